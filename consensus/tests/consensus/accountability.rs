//! Forks taken apart by hand: who is named, and who is not (THREATS B23).

use std::collections::{BTreeMap, BTreeSet};
use tender_consensus::{
    accountability::culprits,
    certificate::{CertificateError, CommitCertificate},
    sim::keys::{test_keys, test_validators},
    validators::ValidatorIndex,
    vote::{Vote, VoteKind},
};
use tender_wire::{BlockId, ChainId, Height, Round};

const CHAIN: ChainId = ChainId([1; 32]);
const HEIGHT: Height = Height(7);
const A: BlockId = BlockId([0xaa; 32]);
const B: BlockId = BlockId([0xbb; 32]);

fn vote(who: u16, round: u32, kind: VoteKind, block: Option<BlockId>) -> Vote {
    let slot = (HEIGHT, Round(round), kind);
    let mut key = test_keys(4).swap_remove(who.into());
    Vote::sign(&mut key, &CHAIN, slot, block).unwrap()
}

fn prevotes(round: u32, who: &[u16], block: BlockId) -> Vec<Vote> {
    let cast = |who: &u16| vote(*who, round, VoteKind::Prevote, Some(block));
    who.iter().map(cast).collect()
}

fn certificate(round: u32, who: &[u16], block: BlockId) -> CommitCertificate {
    let sign = |who: &u16| {
        let vote = vote(*who, round, VoteKind::Precommit, Some(block));
        (ValidatorIndex(*who), vote.signature)
    };
    let signatures: BTreeMap<_, _> = who.iter().map(sign).collect();
    let slot = (HEIGHT, Round(round), block);
    CommitCertificate::assemble(&test_validators(&[1; 4]), slot, &signatures)
}

fn named(a: &CommitCertificate, b: &CommitCertificate, votes: &[Vote]) -> BTreeSet<u16> {
    let set = test_validators(&[1; 4]);
    let keys = culprits(&CHAIN, &set, [a, b], votes).unwrap();
    keys.iter().map(|k| set.index_of(k).unwrap().0).collect()
}

#[test]
fn two_quorums_of_one_round_convict_whom_they_share() {
    let votes = [prevotes(0, &[0, 1, 2], A), prevotes(0, &[1, 2, 3], B)].concat();
    let (a, b) = (certificate(0, &[0, 1, 2], A), certificate(0, &[1, 2, 3], B));
    assert_eq!(named(&a, &b, &votes), [1, 2].into());
    // From the certificates alone: the shared ones, and whoever cannot show a polka.
    assert!(named(&a, &b, &[]).is_superset(&[1, 2].into()));
}

#[test]
fn a_lock_forgotten_between_rounds_convicts_who_forgot() {
    let (a, b) = (certificate(0, &[0, 1, 2], A), certificate(2, &[0, 1, 3], B));
    let votes = [prevotes(0, &[0, 1, 2], A), prevotes(2, &[0, 1, 3], B)].concat();
    assert_eq!(named(&a, &b, &votes), [0, 1].into());
}

/// Validator 2 unlocked rightly, on a polka of round 1 that 0 and 1 made by breaking their locks.
#[test]
fn who_unlocks_on_a_polka_is_not_blamed_for_those_who_made_it() {
    let (a, b) = (certificate(0, &[0, 1, 2], A), certificate(2, &[0, 2, 3], B));
    let polka = prevotes(1, &[0, 1, 3], B);
    let votes = [
        prevotes(0, &[0, 1, 2], A),
        polka,
        prevotes(2, &[0, 2, 3], B),
    ]
    .concat();
    assert_eq!(named(&a, &b, &votes), [0, 1].into());
}

#[test]
fn a_quorum_out_of_nothing_convicts_itself() {
    let (a, b) = (certificate(0, &[0, 1, 2], A), certificate(3, &[0, 1, 3], B));
    let votes = prevotes(0, &[0, 1, 2], A);
    assert_eq!(named(&a, &b, &votes), [0, 1, 3].into());
}

#[test]
fn noise_convicts_nobody() {
    let (a, b) = (certificate(0, &[0, 1, 2], A), certificate(2, &[0, 1, 3], B));
    let good = [prevotes(0, &[0, 1, 2], A), prevotes(2, &[0, 1, 3], B)].concat();
    let mut noise = good.clone();
    let mut forged = vote(3, 0, VoteKind::Prevote, Some(A));
    forged.validator = test_keys(4).swap_remove(2).public();
    forged.block = Some(B); // 2 would have prevoted twice
    let mut stranger = vote(3, 2, VoteKind::Prevote, None);
    stranger.validator = test_keys(9).swap_remove(8).public();
    let mut elsewhere = vote(3, 2, VoteKind::Prevote, None);
    elsewhere.height = Height(8);
    noise.extend([forged, stranger, elsewhere]);
    noise.extend(good.clone());
    assert_eq!(named(&a, &b, &noise), named(&a, &b, &good));
}

#[test]
fn one_decision_in_two_rounds_is_no_fork_and_a_false_certificate_no_ground() {
    let (first, again) = (certificate(0, &[0, 1, 2], A), certificate(1, &[1, 2, 3], A));
    assert_eq!(named(&first, &again, &[]), BTreeSet::new());
    let set = test_validators(&[1; 4]);
    let weak = certificate(1, &[2, 3], B);
    let error = culprits(&CHAIN, &set, [&first, &weak], &[]).unwrap_err();
    assert!(matches!(error, CertificateError::NoQuorum { .. }));
}
