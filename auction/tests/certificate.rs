//! Assignment certificates: what verifies, and that nothing else does.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::collections::BTreeMap;
use tender_auction::{
    certificate::{AssignmentCertificate, SetChange, VerifyError},
    checkpoint::{Adds, Checkpoint, CheckpointError, Headers},
    genesis::{Genesis, GenesisValidator, Openers, VERSION},
    outcome::{AuctionEnd, AuctionRecord, OutcomeRecord, UnitOutcome, UnitRecord, outcome_root},
};
use tender_consensus::{
    block::{HEADER_VERSION, Header},
    certificate::CommitCertificate,
    params::Params,
    validators::{Validator, ValidatorSet},
    vote::{Vote, VoteKind},
};
use tender_wire::{AuctionId, BlockId, Digest, Height, Power, Round, SecretKey, TimeMs};

fn key(n: u8) -> SecretKey {
    SecretKey::from_seed(&mut [n; 32])
}

fn set(keys: &[u8]) -> ValidatorSet {
    let validator = |n: &u8| Validator {
        key: key(*n).public(),
        power: Power(1),
    };
    ValidatorSet::new(keys.iter().map(validator).collect()).unwrap()
}

fn genesis(name: &str) -> Genesis {
    let set = set(&[1, 2, 3, 4]);
    let validators = set.as_slice().iter().map(|v| GenesisValidator {
        name: v.key.short(),
        key: v.key,
        power: v.power,
    });
    Genesis {
        version: VERSION,
        name: name.into(),
        time: TimeMs(1_000),
        consensus: Params::default(),
        allow_insecure_setup: false,
        validators: validators.collect(),
        issuers: vec![],
        openers: Openers::Any,
        types: vec![],
        open_budget: 1,
    }
}

fn header(genesis: &Genesis, height: u64, by: &[u8], next: &[u8], outcome_root: Digest) -> Header {
    Header {
        version: HEADER_VERSION,
        chain: genesis.chain_id(),
        height: Height(height),
        parent: BlockId([7; 32]),
        time: TimeMs(height * 1_000),
        tx_root: Digest::ZERO,
        last_certificate_hash: Digest::ZERO,
        evidence_hash: Digest::ZERO,
        witness_hash: Digest::ZERO,
        validators_hash: set(by).hash(),
        next_validators_hash: set(next).hash(),
        state_root: Digest::ZERO,
        outcome_root,
    }
}

fn commit(header: &Header, set_of: &[u8], signers: &[u8]) -> CommitCertificate {
    let set = set(set_of);
    let slot = (header.height, Round(2), VoteKind::Precommit);
    let precommits: BTreeMap<_, _> = signers
        .iter()
        .map(|n| {
            let mut signer = key(*n);
            let vote = Vote::sign(&mut signer, &header.chain, slot, Some(header.id())).unwrap();
            (set.index_of(&signer.public()).unwrap(), vote.signature)
        })
        .collect();
    CommitCertificate::assemble(&set, (header.height, Round(2), header.id()), &precommits)
}

fn records() -> Vec<OutcomeRecord> {
    let unit = |unit| {
        OutcomeRecord::Unit(UnitRecord {
            auction: AuctionId([9; 32]),
            task: 3,
            unit,
            outcome: UnitOutcome::NoCoveringBid,
        })
    };
    let auction = OutcomeRecord::Auction(AuctionRecord {
        auction: AuctionId([9; 32]),
        end: AuctionEnd::Cleared {
            seed: Digest([5; 32]),
            nonces: vec![0, 1],
            bids: 3,
            surplus: u128::MAX,
        },
    });
    std::iter::once(auction).chain((0..4).map(unit)).collect()
}

/// Height 5 replaces validator 4 by 5; height 9 commits the records.
fn certificate(
    genesis: &Genesis,
    signers_of_change: &[u8],
    signers: &[u8],
) -> AssignmentCertificate {
    let (old, new) = ([1, 2, 3, 4], [1, 2, 3, 5]);
    let changed = header(genesis, 5, &old, &new, Digest::ZERO);
    let change = SetChange {
        certificate: commit(&changed, &old, signers_of_change),
        header: changed,
        next: set(&new).as_slice().to_vec(),
    };
    let records = records();
    let leaves: Vec<_> = records.iter().map(OutcomeRecord::leaf).collect();
    let last = header(genesis, 9, &new, &new, outcome_root(&records));
    let commit = commit(&last, &new, signers);
    AssignmentCertificate::assemble(vec![change], last, commit, &leaves, 3, records[3].clone())
        .unwrap()
}

#[test]
fn a_record_is_proven_from_genesis_through_a_set_change() {
    let genesis = genesis("chain");
    let certificate = certificate(&genesis, &[1, 2, 4], &[2, 3, 5]);
    let json = certificate.to_json();
    let read = AssignmentCertificate::from_json(json.as_bytes()).unwrap();
    let proven = read.verify(&genesis).unwrap();
    assert_eq!(
        (proven.header.height, proven.record),
        (Height(9), &records()[3])
    );
}

#[test]
fn too_few_signers_a_skipped_change_or_another_record_prove_nothing() {
    let genesis = genesis("chain");
    let good = certificate(&genesis, &[1, 2, 4], &[2, 3, 5]);
    let few = certificate(&genesis, &[1, 2], &[2, 3, 5]);
    assert!(matches!(
        few.verify(&genesis),
        Err(VerifyError::NotCommitted {
            height: Height(5),
            ..
        })
    ));
    let few = certificate(&genesis, &[1, 2, 4], &[2, 3]);
    assert!(matches!(
        few.verify(&genesis),
        Err(VerifyError::NotCommitted {
            height: Height(9),
            ..
        })
    ));
    let skipped = AssignmentCertificate {
        set_changes: vec![],
        ..good.clone()
    };
    assert!(matches!(
        skipped.verify(&genesis),
        Err(VerifyError::WrongSet { height: Height(9) })
    ));
    let mut twice = good.clone();
    twice.set_changes.push(twice.set_changes[0].clone());
    assert_eq!(twice.verify(&genesis), Err(VerifyError::SetChangeOrder));
    let mut other_set = good.clone();
    other_set.set_changes[0].next = set(&[1, 2, 3, 6]).as_slice().to_vec();
    assert!(matches!(
        other_set.verify(&genesis),
        Err(VerifyError::WrongSet { height: Height(6) })
    ));
    let swapped = AssignmentCertificate {
        record: records()[2].clone(),
        ..good.clone()
    };
    assert_eq!(
        swapped.verify(&genesis),
        Err(VerifyError::NotIncluded { height: Height(9) })
    );
    assert!(matches!(
        good.verify(&self::genesis("other")),
        Err(VerifyError::WrongChain { .. })
    ));
}

fn at(header: &Header) -> Checkpoint {
    Checkpoint {
        height: header.height,
        block: header.id(),
    }
}

/// Headers of heights 10 to 14 on top of a certificate's block.
fn later(genesis: &Genesis, last: &Header) -> Vec<Header> {
    let set = [1, 2, 3, 5];
    let mut headers: Vec<Header> = Vec::new();
    for height in 10..15 {
        let mut next = header(genesis, height, &set, &set, Digest::ZERO);
        next.parent = headers.last().unwrap_or(last).id();
        headers.push(next);
    }
    headers
}

/// Old keys leaked: who has them makes a certificate that verifies. A checkpoint anywhere tells it from the chain's own.
#[test]
fn a_checkpoint_adds_what_it_can_and_is_never_passed_over() {
    let genesis = genesis("chain");
    let good = certificate(&genesis, &[1, 2, 4], &[2, 3, 5]);
    let proven = good.verify(&genesis).unwrap();
    let file = |headers: &[Header]| Headers::new(genesis.chain_id(), headers.to_vec());

    // On the path: the set change, and its own block. No headers are needed.
    assert_eq!(
        proven.under(&at(&good.set_changes[0].header), None),
        Ok(Adds::LaterSetsOnly)
    );
    assert_eq!(proven.under(&at(&good.header), None), Ok(Adds::OwnBlock));
    for header in [&good.set_changes[0].header, &good.header] {
        let checkpoint = Checkpoint {
            block: BlockId([8; 32]),
            ..at(header)
        };
        let error = CheckpointError::Differs {
            checkpoint,
            found: header.id(),
        };
        assert_eq!(proven.under(&checkpoint, None), Err(error));
    }

    // Elsewhere below: its header says which set comes next, and must say what the certificate says.
    let (old, new) = ([1, 2, 3, 4], [1, 2, 3, 5]);
    let before = header(&genesis, 3, &old, &old, Digest::ZERO);
    let between = header(&genesis, 7, &new, &new, Digest::ZERO);
    for header in [&before, &between] {
        let error = proven.under(&at(header), None).unwrap_err();
        assert!(
            matches!(error, CheckpointError::NotConnected { missing, .. } if missing == header.height)
        );
        assert!(error.to_string().contains("heights 5, 9"), "{error}");
        let given = file(std::slice::from_ref(header));
        assert_eq!(
            proven.under(&at(header), Some(&given)),
            Ok(Adds::LaterSetsOnly)
        );
    }
    let elsewhere = header(&genesis, 7, &old, &old, Digest::ZERO);
    assert!(matches!(
        proven.under(
            &at(&elsewhere),
            Some(&file(std::slice::from_ref(&elsewhere)))
        ),
        Err(CheckpointError::OtherSet { .. })
    ));
    assert!(matches!(
        proven.under(&at(&elsewhere), Some(&file(std::slice::from_ref(&between)))),
        Err(CheckpointError::Differs { .. })
    ));

    // Above: by parent ids alone.
    let above = later(&genesis, &good.header);
    let all = file(&above);
    for header in &above {
        assert_eq!(proven.under(&at(header), Some(&all)), Ok(Adds::Descendant));
    }
    let mut gap = above.clone();
    gap.remove(2);
    assert!(matches!(
        proven.under(&at(&above[4]), Some(&file(&gap))),
        Err(CheckpointError::NotConnected {
            missing: Height(12),
            ..
        })
    ));
    let mut broken = above.clone();
    broken[2].parent = BlockId([8; 32]);
    assert!(matches!(
        proven.under(&at(&broken[4]), Some(&file(&broken))),
        Err(CheckpointError::Unlinked { height: Height(12) })
    ));

    // The same keys sign another block 9: it verifies, but no checkpoint of this chain above speaks for it.
    let mut forged_record = records();
    forged_record.pop();
    let leaves: Vec<_> = forged_record.iter().map(OutcomeRecord::leaf).collect();
    let other = header(&genesis, 9, &new, &new, outcome_root(&forged_record));
    let forged = AssignmentCertificate::assemble(
        good.set_changes.clone(),
        other.clone(),
        commit(&other, &new, &[1, 2, 3]),
        &leaves,
        3,
        forged_record[3].clone(),
    )
    .unwrap();
    let proven = forged.verify(&genesis).unwrap();
    assert!(matches!(
        proven.under(&at(&above[4]), Some(&all)),
        Err(CheckpointError::Unlinked { height: Height(10) })
    ));
    assert!(matches!(
        proven.under(&at(&good.header), Some(&all)),
        Err(CheckpointError::Differs { .. })
    ));
}

#[test]
fn a_headers_file_has_one_form() {
    let genesis = genesis("chain");
    let good = certificate(&genesis, &[1, 2, 4], &[2, 3, 5]);
    let headers = Headers::new(genesis.chain_id(), later(&genesis, &good.header));
    let json = headers.to_json();
    assert_eq!(Headers::from_json(json.as_bytes()), Ok(headers.clone()));
    assert_eq!(
        Headers::from_json(json.trim_end().as_bytes()),
        Err(VerifyError::NotCanonical)
    );
    let mut twice = headers;
    twice.headers.push(twice.headers[0].clone());
    assert!(matches!(
        Headers::from_json(twice.to_json().as_bytes()),
        Err(VerifyError::Malformed(_))
    ));
    assert!(matches!(
        Headers::from_json(good.to_json().as_bytes()),
        Err(VerifyError::Malformed(_))
    ));
}

#[test]
fn a_changed_byte_anywhere_is_refused() {
    let genesis = genesis("chain");
    let json = certificate(&genesis, &[1, 2, 4], &[2, 3, 5])
        .to_json()
        .into_bytes();
    let verdict = |bytes: &[u8]| match AssignmentCertificate::from_json(bytes) {
        Ok(read) => read.verify(&genesis).map(|_| ()),
        Err(e) => Err(e),
    };
    assert_eq!(verdict(&json), Ok(()));
    for at in 0..json.len() {
        // One flip per place that keeps JSON, hex and white space plausible, beside a plain bit flip.
        for changed in [json[at] ^ 1, json[at] ^ 0x20, b' ', b'0'] {
            let mut bad = json.clone();
            bad[at] = changed;
            assert!(
                bad == json || verdict(&bad).is_err(),
                "byte {at} changed to {changed}"
            );
        }
    }
    assert!(verdict(&json[..json.len() - 1]).is_err());
    assert!(verdict(&[json.as_slice(), b"\n"].concat()).is_err());
}

#[test]
fn every_kind_of_record_survives_the_file() {
    let genesis = genesis("chain");
    let records = records();
    let leaves: Vec<_> = records.iter().map(OutcomeRecord::leaf).collect();
    let set = [1, 2, 3, 4];
    let header = header(&genesis, 1, &set, &set, outcome_root(&records));
    for (index, record) in records.iter().enumerate() {
        let commit = commit(&header, &set, &[1, 2, 3]);
        let made = AssignmentCertificate::assemble(
            vec![],
            header.clone(),
            commit,
            &leaves,
            index,
            record.clone(),
        );
        let json = made.unwrap().to_json();
        let read = AssignmentCertificate::from_json(json.as_bytes()).unwrap();
        assert_eq!(read.verify(&genesis).unwrap().record, record);
    }
}
