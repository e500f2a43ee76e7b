//! Assignment certificates: what verifies, and that nothing else does.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::collections::BTreeMap;
use tender_auction::{
    certificate::{AssignmentCertificate, SetChange, VerifyError},
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
