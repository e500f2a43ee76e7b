//! Commit certificates and evidence, as a stranger checks them (THREATS B11, B12, T30).

use std::collections::BTreeMap;
use tender_consensus::{
    certificate::{CertificateError as E, Commit, CommitCertificate},
    evidence::{Evidence, EvidenceError},
    sim::keys::{test_keys, test_validators},
    validators::{Validator, ValidatorIndex, ValidatorSet, ValidatorSetError},
    vote::{Proposal, Vote, VoteKind},
};
use tender_wire::{BlockId, ChainId, Height, Power, PublicKey, Round, decode, encode};

const CHAIN: ChainId = ChainId([1; 32]);
const BLOCK: BlockId = BlockId([2; 32]);
const HEIGHT: Height = Height(7);

fn vote(n: usize, signer: usize, slot: (Height, Round, VoteKind), block: Option<BlockId>) -> Vote {
    Vote::sign(&mut test_keys(n).swap_remove(signer), &CHAIN, slot, block).unwrap()
}

fn certificate(set: &ValidatorSet, signers: &[usize]) -> CommitCertificate {
    let slot = (HEIGHT, Round(3), VoteKind::Precommit);
    let sign = |s: &usize| {
        (
            ValidatorIndex(*s as u16),
            vote(set.len(), *s, slot, Some(BLOCK)).signature,
        )
    };
    let precommits: BTreeMap<_, _> = signers.iter().map(sign).collect();
    CommitCertificate::assemble(set, (HEIGHT, Round(3), BLOCK), &precommits)
}

fn verdict(set: &ValidatorSet, certificate: &CommitCertificate) -> Result<(), E> {
    certificate.verify(&CHAIN, set, (HEIGHT, BLOCK))
}

fn altered(certificate: &CommitCertificate, change: impl FnOnce(&mut Commit)) -> CommitCertificate {
    let CommitCertificate::V1(mut commit) = certificate.clone();
    change(&mut commit);
    CommitCertificate::V1(commit)
}

#[test]
fn more_than_two_thirds_is_exact_for_every_small_set() {
    for n in [1, 2, 3, 4, 7, 9, 10] {
        let set = test_validators(&vec![1; n]);
        for signers in 0..=n {
            let list: Vec<usize> = (0..signers).collect();
            let ok = verdict(&set, &certificate(&set, &list)).is_ok();
            assert_eq!(ok, 3 * signers > 2 * n, "{signers} of {n}");
        }
    }
}

#[test]
fn powers_near_the_limit_do_not_overflow() {
    let set = test_validators(&[u64::MAX; 4]);
    assert_eq!(verdict(&set, &certificate(&set, &[0, 1, 2])), Ok(()));
    assert!(matches!(
        verdict(&set, &certificate(&set, &[0, 1])),
        Err(E::NoQuorum { .. })
    ));
    let set = test_validators(&[u64::MAX, 1, 1, 1]);
    assert_eq!(verdict(&set, &certificate(&set, &[0])), Ok(()));
    assert!(matches!(
        verdict(&set, &certificate(&set, &[1, 2, 3])),
        Err(E::NoQuorum { .. })
    ));
}

#[test]
fn a_certificate_of_another_height_block_or_chain_proves_nothing() {
    let set = test_validators(&[1; 4]);
    let good = certificate(&set, &[0, 1, 3]);
    assert_eq!(verdict(&set, &good), Ok(()));
    assert!(matches!(
        good.verify(&CHAIN, &set, (Height(8), BLOCK)),
        Err(E::WrongHeight { .. })
    ));
    let other = BlockId([3; 32]);
    assert!(matches!(
        good.verify(&CHAIN, &set, (HEIGHT, other)),
        Err(E::WrongBlock { .. })
    ));
    let foreign = good.verify(&ChainId([9; 32]), &set, (HEIGHT, BLOCK));
    assert!(matches!(foreign, Err(E::BadSignature(_))));
    // Relabelled: the fields fit, the signatures do not.
    let relabelled = altered(&good, |c| c.round = Round(4));
    assert!(matches!(
        verdict(&set, &relabelled),
        Err(E::BadSignature(_))
    ));
    let relabelled = altered(&good, |c| c.height = Height(8));
    let verdict = relabelled.verify(&CHAIN, &set, (Height(8), BLOCK));
    assert!(matches!(verdict, Err(E::BadSignature(_))));
}

#[test]
fn prevotes_and_nil_precommits_certify_nothing() {
    let set = test_validators(&[1; 4]);
    for (kind, block) in [
        (VoteKind::Prevote, Some(BLOCK)),
        (VoteKind::Precommit, None),
    ] {
        let sign = |s: u16| {
            (
                ValidatorIndex(s),
                vote(4, s.into(), (HEIGHT, Round(3), kind), block).signature,
            )
        };
        let votes: BTreeMap<_, _> = (0..3).map(sign).collect();
        let forged = CommitCertificate::assemble(&set, (HEIGHT, Round(3), BLOCK), &votes);
        assert!(matches!(verdict(&set, &forged), Err(E::BadSignature(_))));
    }
}

#[test]
fn a_signature_counts_for_one_signer_only() {
    let set = test_validators(&[1; 4]);
    let two = certificate(&set, &[0, 1]);
    // The second signer's signature again, under a third signer's bit.
    let doubled = altered(&two, |c| {
        c.signers[0] |= 1 << 2;
        c.signatures.push(c.signatures[1]);
    });
    assert!(matches!(verdict(&set, &doubled), Err(E::BadSignature(_))));
    // More signatures than bits, and fewer.
    let more = altered(&certificate(&set, &[0, 1, 2]), |c| {
        c.signatures.push(c.signatures[0])
    });
    assert!(matches!(
        verdict(&set, &more),
        Err(E::SignatureCount {
            signers: 3,
            signatures: 4
        })
    ));
    let fewer = altered(&certificate(&set, &[0, 1, 2]), |c| c.signers[0] = 0b1111);
    assert!(matches!(
        verdict(&set, &fewer),
        Err(E::SignatureCount {
            signers: 4,
            signatures: 3
        })
    ));
    // In another order.
    let swapped = altered(&certificate(&set, &[0, 1, 2]), |c| c.signatures.swap(0, 1));
    assert!(matches!(verdict(&set, &swapped), Err(E::BadSignature(_))));
}

#[test]
fn a_bad_signature_beyond_the_quorum_still_spoils_it() {
    let set = test_validators(&[1; 4]);
    let spoiled = altered(&certificate(&set, &[0, 1, 2, 3]), |c| {
        c.signatures[3].0[0] ^= 1
    });
    assert!(matches!(verdict(&set, &spoiled), Err(E::BadSignature(_))));
}

#[test]
fn the_bitmap_has_one_form() {
    let set = test_validators(&[1; 4]);
    let good = certificate(&set, &[0, 1, 2]);
    for change in [
        (|c| c.signers.push(0)) as fn(&mut Commit),
        |c| c.signers.clear(),
        |c| c.signers[0] |= 0b1000_0000,
        |c| c.signers = vec![0b111; 64],
    ] {
        let bad = verdict(&set, &altered(&good, change));
        assert!(
            matches!(
                bad,
                Err(E::BadBitmap { validators: 4 } | E::SignatureCount { .. })
            ),
            "{bad:?}"
        );
    }
    // A certificate of another set.
    let larger = test_validators(&[1; 9]);
    assert!(verdict(&larger, &good).is_err());
}

#[test]
fn any_flipped_byte_of_a_certificate_is_noticed() {
    let set = test_validators(&[1; 4]);
    let bytes = encode(&certificate(&set, &[0, 2, 3]));
    for at in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 0x41;
        let proves = decode(&bad).is_ok_and(|c: CommitCertificate| verdict(&set, &c).is_ok());
        assert!(!proves, "byte {at}");
    }
}

#[test]
fn validator_sets_are_refused_by_rule() {
    let set = test_validators(&[1; 4]);
    let list = set.as_slice().to_vec();
    let with = |change: fn(&mut Vec<Validator>)| {
        let mut list = list.clone();
        change(&mut list);
        ValidatorSet::new(list).unwrap_err()
    };
    assert_eq!(with(Vec::clear), ValidatorSetError::Empty);
    assert!(matches!(
        with(|l| l.push(l[0])),
        ValidatorSetError::Duplicate(_)
    ));
    assert!(matches!(
        with(|l| l[1].power = Power(0)),
        ValidatorSetError::NoPower(_)
    ));
    assert!(matches!(
        with(|l| l[1].key = PublicKey([0; 32])),
        ValidatorSetError::BadKey(_)
    ));
    let mut reversed = list.clone();
    reversed.reverse();
    assert_eq!(
        ValidatorSet::new(reversed).unwrap(),
        set,
        "order does not matter"
    );
}

#[test]
fn evidence_convicts_only_who_signed_twice() {
    let (p0, p1) = (
        (HEIGHT, Round(0), VoteKind::Prevote),
        (HEIGHT, Round(1), VoteKind::Prevote),
    );
    let nil = vote(4, 0, p0, None);
    let block = vote(4, 0, p0, Some(BLOCK));
    let good = Evidence::votes(block.clone(), nil.clone());
    assert_eq!(
        good,
        Evidence::votes(nil.clone(), block.clone()),
        "one pair, one encoding"
    );
    assert_eq!(good.verify(&CHAIN), Ok(()));
    assert_eq!(
        good.verify(&ChainId([9; 32])),
        Err(EvidenceError::BadSignature)
    );
    assert_eq!(good.offence().height, HEIGHT);

    let Evidence::Votes(a, b) = good else {
        panic!()
    };
    let descending = Evidence::Votes(b, a);
    assert_eq!(descending.verify(&CHAIN), Err(EvidenceError::NotAscending));
    let same = Evidence::votes(nil.clone(), nil.clone());
    assert_eq!(same.verify(&CHAIN), Err(EvidenceError::NotAscending));
    for other in [
        vote(4, 1, p0, Some(BLOCK)),
        vote(4, 0, p1, Some(BLOCK)),
        vote(4, 0, (HEIGHT, Round(0), VoteKind::Precommit), Some(BLOCK)),
        vote(4, 0, (Height(8), Round(0), VoteKind::Prevote), Some(BLOCK)),
    ] {
        let innocent = Evidence::votes(nil.clone(), other);
        assert_eq!(innocent.verify(&CHAIN), Err(EvidenceError::DifferentSlots));
    }
    // Framing: the accused's name over somebody else's signature.
    let mut framed = vote(4, 1, p0, Some(BLOCK));
    framed.validator = nil.validator;
    assert_eq!(
        Evidence::votes(nil, framed).verify(&CHAIN),
        Err(EvidenceError::BadSignature)
    );
    // Proposals.
    let propose = |pol, block| {
        let slot = (HEIGHT, Round(2), pol);
        Proposal::sign(&mut test_keys(4).swap_remove(0), &CHAIN, slot, block).unwrap()
    };
    let pair = Evidence::proposals(propose(None, BLOCK), propose(None, BlockId([3; 32])));
    assert_eq!(pair.verify(&CHAIN), Ok(()));
    let pair = Evidence::proposals(propose(None, BLOCK), propose(Some(Round(1)), BLOCK));
    assert_eq!(
        pair.verify(&CHAIN),
        Ok(()),
        "the polka round is part of what is said once"
    );
    assert_eq!(decode::<Evidence>(&encode(&pair)).unwrap(), pair);
}
