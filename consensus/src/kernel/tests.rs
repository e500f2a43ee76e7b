//! The rules, one by one, as tables.

use super::*;
use crate::sim::keys::test_validators;

pub(super) const PV: VoteKind = VoteKind::Prevote;
pub(super) const PC: VoteKind = VoteKind::Precommit;
pub(super) const A: u8 = 0xaa;
pub(super) const B: u8 = 0xbb;

pub(super) fn id(n: u8) -> BlockId {
    BlockId([n; 32])
}

pub(super) fn kernel(me: Option<u16>, powers: &[u64]) -> Kernel {
    let set = test_validators(powers);
    let proposers = Proposers::new(set.clone(), crate::proposer::Rotation::new(&set));
    Kernel::new(me.map(ValidatorIndex), &set, proposers)
}

pub(super) fn prop(round: u32, block: u8, pol: Option<u32>) -> Input {
    Input::Proposal(ProposalInput {
        round: Round(round),
        block: id(block),
        pol_round: pol.map(Round),
        timely: true,
    })
}

fn late(round: u32, block: u8) -> Input {
    Input::Proposal(ProposalInput {
        round: Round(round),
        block: id(block),
        pol_round: None,
        timely: false,
    })
}

pub(super) fn vote(kind: VoteKind, round: u32, validator: u16, block: Option<u8>) -> Input {
    Input::Vote(VoteInput {
        kind,
        round: Round(round),
        validator: ValidatorIndex(validator),
        block: block.map(id),
    })
}

fn votes(kind: VoteKind, round: u32, validators: &[u16], block: Option<u8>) -> Vec<Input> {
    validators
        .iter()
        .map(|v| vote(kind, round, *v, block))
        .collect()
}

pub(super) fn judged(block: u8, valid: bool) -> Input {
    Input::Judged {
        block: id(block),
        valid,
    }
}

fn timer(kind: TimeoutKind, round: u32) -> Timeout {
    Timeout {
        round: Round(round),
        kind,
    }
}

fn expired(kind: TimeoutKind, round: u32) -> Input {
    Input::Timeout(timer(kind, round))
}

fn casts(kind: VoteKind, round: u32, block: Option<u8>) -> Effect {
    Effect::Vote {
        kind,
        round: Round(round),
        block: block.map(id),
    }
}

fn waits(kind: TimeoutKind, round: u32) -> Effect {
    Effect::Schedule(timer(kind, round))
}

fn decides(round: u32, block: u8) -> Effect {
    Effect::Decide {
        round: Round(round),
        block: id(block),
    }
}

/// One situation: everything in `given` is fed first, then `input`, which must give exactly `expected`.
struct Case {
    desc: &'static str,
    me: u16,
    given: Vec<Input>,
    input: Input,
    expected: Vec<Effect>,
}

fn check(cases: Vec<Case>) {
    for case in cases {
        let mut kernel = kernel(Some(case.me), &[1; 4]);
        let mut out = Vec::new();
        for input in case.given {
            kernel.step(input, &mut out);
        }
        out.clear();
        kernel.step(case.input, &mut out);
        assert_eq!(out, case.expected, "{}", case.desc);
        let before = kernel.clone();
        out.clear();
        kernel.step(case.input, &mut out);
        let again: Vec<_> = out
            .iter()
            .filter(|e| !matches!(e, Effect::Schedule(_)))
            .collect();
        assert!(
            again.is_empty() || before != kernel,
            "{}: fires twice",
            case.desc
        );
    }
}

fn list(parts: &[&[Input]]) -> Vec<Input> {
    parts.concat()
}

use TimeoutKind::{Precommit as TC, Prevote as TV, Propose as TP};

/// Validator 1, having accepted A in round 0 and locked on it.
fn locked_on_a() -> Vec<Input> {
    list(&[
        &[
            Input::Start,
            judged(A, true),
            judged(B, true),
            prop(0, A, None),
        ],
        &votes(PV, 0, &[0, 2], Some(A)),
    ])
}

#[test]
fn proposing() {
    check(vec![
        Case {
            desc: "L11-L21: the proposer asks for a value and waits for itself",
            me: 0,
            given: vec![],
            input: Input::Start,
            expected: vec![waits(TP, 0), Effect::Build { round: Round(0) }],
        },
        Case {
            desc: "L21: others wait for the proposal",
            me: 1,
            given: vec![],
            input: Input::Start,
            expected: vec![waits(TP, 0)],
        },
        Case {
            desc: "L18-L19: a built value is proposed, and prevoted by its own author",
            me: 0,
            given: vec![Input::Start],
            input: Input::Built {
                round: Round(0),
                block: id(A),
            },
            expected: vec![
                Effect::Propose {
                    round: Round(0),
                    block: id(A),
                    pol_round: None,
                },
                casts(PV, 0, Some(A)),
            ],
        },
        Case {
            desc: "a value built too late is not proposed",
            me: 0,
            given: vec![Input::Start, expired(TP, 0)],
            input: Input::Built {
                round: Round(0),
                block: id(A),
            },
            expected: vec![],
        },
        Case {
            desc: "a value nobody asked this validator for is not proposed",
            me: 1,
            given: vec![Input::Start],
            input: Input::Built {
                round: Round(0),
                block: id(A),
            },
            expected: vec![],
        },
        Case {
            desc: "L15-L16: whoever knows a polka proposes its block again, with its round",
            me: 1,
            given: list(&[&locked_on_a(), &votes(PC, 0, &[2, 3], None)]),
            input: expired(TC, 0),
            expected: vec![
                waits(TP, 1),
                Effect::Propose {
                    round: Round(1),
                    block: id(A),
                    pol_round: Some(Round(0)),
                },
                casts(PV, 1, Some(A)),
            ],
        },
    ]);
}

#[test]
fn prevoting() {
    check(vec![
        Case {
            desc: "L22: a valid fresh proposal",
            me: 1,
            given: vec![Input::Start, judged(A, true)],
            input: prop(0, A, None),
            expected: vec![casts(PV, 0, Some(A))],
        },
        Case {
            desc: "L22: not before it is judged",
            me: 1,
            given: vec![Input::Start],
            input: prop(0, A, None),
            expected: vec![],
        },
        Case {
            desc: "L22: judged after it arrived (the edge that edge-triggered drivers miss)",
            me: 1,
            given: vec![Input::Start, prop(0, A, None)],
            input: judged(A, true),
            expected: vec![casts(PV, 0, Some(A))],
        },
        Case {
            desc: "L22: proposal and verdict long before the start",
            me: 1,
            given: vec![prop(0, A, None), judged(A, true)],
            input: Input::Start,
            expected: vec![waits(TP, 0), casts(PV, 0, Some(A))],
        },
        Case {
            desc: "L23: an invalid block gets nil",
            me: 1,
            given: vec![Input::Start, prop(0, A, None)],
            input: judged(A, false),
            expected: vec![casts(PV, 0, None)],
        },
        Case {
            desc: "an untimely fresh block gets nil",
            me: 1,
            given: vec![Input::Start, judged(A, true)],
            input: late(0, A),
            expected: vec![casts(PV, 0, None)],
        },
        Case {
            desc: "L23: locked on another block: nil, across rounds",
            me: 1,
            given: list(&[&locked_on_a(), &votes(PC, 2, &[0, 2], None)]),
            input: prop(2, B, None),
            expected: vec![casts(PV, 2, None)],
        },
        Case {
            desc: "L23: locked on this block: yes",
            me: 1,
            given: list(&[&locked_on_a(), &votes(PC, 2, &[0, 2], None)]),
            input: prop(2, A, None),
            expected: vec![casts(PV, 2, Some(A))],
        },
        Case {
            desc: "L28: a re-proposal waits for its polka",
            me: 1,
            given: list(&[
                &[Input::Start, judged(B, true)],
                &votes(PC, 2, &[0, 2], None),
            ]),
            input: prop(2, B, Some(1)),
            expected: vec![],
        },
        Case {
            desc: "L28: the polka arrives late, by catching up",
            me: 1,
            given: list(&[
                &[Input::Start, judged(B, true)],
                &votes(PC, 2, &[0, 2], None),
                &[prop(2, B, Some(1))],
                &votes(PV, 1, &[0, 2], Some(B)),
            ]),
            input: vote(PV, 1, 3, Some(B)),
            expected: vec![casts(PV, 2, Some(B))],
        },
        Case {
            desc: "L29: a polka later than the lock unlocks",
            me: 1,
            given: list(&[
                &locked_on_a(),
                &votes(PC, 2, &[0, 2], None),
                &votes(PV, 1, &[0, 2, 3], Some(B)),
            ]),
            input: prop(2, B, Some(1)),
            expected: vec![casts(PV, 2, Some(B))],
        },
        Case {
            desc: "L29: re-proposals do not judge time",
            me: 1,
            given: list(&[
                &[Input::Start, judged(B, true)],
                &votes(PC, 2, &[0, 2], None),
                &votes(PV, 1, &[0, 2, 3], Some(B)),
            ]),
            input: Input::Proposal(ProposalInput {
                round: Round(2),
                block: id(B),
                pol_round: Some(Round(1)),
                timely: false,
            }),
            expected: vec![casts(PV, 2, Some(B))],
        },
        Case {
            desc: "a conflicting prevote counts for the block a proposal names with its polka",
            me: 1,
            given: list(&[
                &[Input::Start, judged(B, true), vote(PV, 1, 3, None)],
                &votes(PC, 2, &[0, 2], None),
                &votes(PV, 1, &[0, 2], Some(B)),
                &[prop(2, B, Some(1))],
            ]),
            input: vote(PV, 1, 3, Some(B)),
            expected: vec![casts(PV, 2, Some(B))],
        },
        Case {
            desc: "a polka round that is not before the proposal's is no proposal",
            me: 1,
            given: vec![Input::Start, judged(A, true)],
            input: prop(0, A, Some(0)),
            expected: vec![],
        },
        Case {
            desc: "L57: the propose timeout gives nil",
            me: 1,
            given: vec![Input::Start],
            input: expired(TP, 0),
            expected: vec![casts(PV, 0, None)],
        },
        Case {
            desc: "L57: not after prevoting",
            me: 1,
            given: vec![Input::Start, judged(A, true), prop(0, A, None)],
            input: expired(TP, 0),
            expected: vec![],
        },
        Case {
            desc: "L57: not for another round",
            me: 1,
            given: vec![Input::Start],
            input: expired(TP, 1),
            expected: vec![],
        },
    ]);
}

#[test]
fn precommitting() {
    let prevoted = |block| {
        vec![
            Input::Start,
            judged(A, true),
            judged(B, true),
            prop(0, block, None),
        ]
    };
    check(vec![
        Case {
            desc: "L36: a polka locks and precommits",
            me: 1,
            given: list(&[&prevoted(A), &[vote(PV, 0, 0, Some(A))]]),
            input: vote(PV, 0, 2, Some(A)),
            expected: vec![casts(PC, 0, Some(A))],
        },
        Case {
            desc: "L36: a polka for another block than the one proposed to us, once judged",
            me: 1,
            given: list(&[&prevoted(A), &votes(PV, 0, &[0, 2], Some(B))]),
            input: vote(PV, 0, 3, Some(B)),
            expected: vec![casts(PC, 0, Some(B))],
        },
        Case {
            desc: "L36: not without the body; the wait for more prevotes starts instead",
            me: 1,
            given: list(&[
                &[Input::Start, expired(TP, 0)],
                &votes(PV, 0, &[0, 2], Some(A)),
            ]),
            input: vote(PV, 0, 3, Some(A)),
            expected: vec![],
        },
        Case {
            desc: "L36: the body arrives after the polka",
            me: 1,
            given: list(&[
                &[Input::Start, expired(TP, 0)],
                &votes(PV, 0, &[0, 2, 3], Some(A)),
            ]),
            input: judged(A, true),
            expected: vec![casts(PC, 0, Some(A))],
        },
        Case {
            desc: "L36: never for an invalid block",
            me: 1,
            given: list(&[
                &[Input::Start, expired(TP, 0)],
                &votes(PV, 0, &[0, 2, 3], Some(A)),
            ]),
            input: judged(A, false),
            expected: vec![],
        },
        Case {
            desc: "L34: a quorum of any prevotes starts the wait",
            me: 1,
            given: list(&[&prevoted(A), &[vote(PV, 0, 0, None)]]),
            input: vote(PV, 0, 2, Some(A)),
            expected: vec![waits(TV, 0)],
        },
        Case {
            desc: "L34: once",
            me: 1,
            given: list(&[&prevoted(A), &[vote(PV, 0, 0, None), vote(PV, 0, 2, None)]]),
            input: vote(PV, 0, 3, Some(B)),
            expected: vec![],
        },
        Case {
            desc: "L61: its end gives nil",
            me: 1,
            given: list(&[
                &prevoted(A),
                &[vote(PV, 0, 0, None), vote(PV, 0, 2, Some(A))],
            ]),
            input: expired(TV, 0),
            expected: vec![casts(PC, 0, None)],
        },
        Case {
            desc: "L44: a polka for nil gives nil at once",
            me: 1,
            given: list(&[&[Input::Start, expired(TP, 0)], &[vote(PV, 0, 0, None)]]),
            input: vote(PV, 0, 2, None),
            expected: vec![casts(PC, 0, None)],
        },
        Case {
            desc: "a second vote of one validator does not count",
            me: 1,
            given: list(&[
                &prevoted(A),
                &[vote(PV, 0, 0, Some(A)), vote(PV, 0, 2, Some(B))],
            ]),
            input: vote(PV, 0, 2, Some(A)),
            expected: vec![],
        },
    ]);
}

#[test]
fn deciding_and_changing_rounds() {
    check(vec![
        Case {
            desc: "L49: a quorum of precommits decides",
            me: 1,
            given: list(&[&locked_on_a(), &[vote(PC, 0, 0, Some(A))]]),
            input: vote(PC, 0, 2, Some(A)),
            expected: vec![decides(0, A)],
        },
        Case {
            desc: "L49: of a round long past",
            me: 1,
            given: list(&[
                &locked_on_a(),
                &votes(PC, 3, &[0, 2], None),
                &[vote(PC, 0, 2, Some(A))],
            ]),
            input: vote(PC, 0, 3, Some(A)),
            expected: vec![decides(0, A)],
        },
        Case {
            desc: "L49: of a round not reached, without ever seeing the proposal",
            me: 1,
            given: list(&[
                &[Input::Start, judged(B, true)],
                &votes(PC, 5, &[0, 2], Some(B)),
            ]),
            input: vote(PC, 5, 3, Some(B)),
            expected: vec![decides(5, B)],
        },
        Case {
            desc: "L49: before the height has begun here",
            me: 1,
            given: list(&[&[judged(B, true)], &votes(PC, 0, &[0, 2], Some(B))]),
            input: vote(PC, 0, 3, Some(B)),
            expected: vec![decides(0, B)],
        },
        Case {
            desc: "L49: the body comes last",
            me: 1,
            given: list(&[&[Input::Start], &votes(PC, 0, &[0, 2, 3], Some(B))]),
            input: judged(B, true),
            expected: vec![decides(0, B)],
        },
        Case {
            desc: "a quorum for what does not execute is reported, not decided",
            me: 1,
            given: list(&[&[Input::Start], &votes(PC, 0, &[0, 2, 3], Some(B))]),
            input: judged(B, false),
            expected: vec![Effect::DecidedInvalid { block: id(B) }],
        },
        Case {
            desc: "nil is never decided",
            me: 1,
            given: list(&[&[Input::Start], &votes(PC, 0, &[0, 2], None)]),
            input: vote(PC, 0, 3, None),
            expected: vec![waits(TC, 0)],
        },
        Case {
            desc: "after the decision nothing happens",
            me: 1,
            given: list(&[&locked_on_a(), &votes(PC, 0, &[0, 2], Some(A))]),
            input: expired(TC, 0),
            expected: vec![],
        },
        Case {
            desc: "L47: a quorum of any precommits starts the wait",
            me: 1,
            given: list(&[
                &[Input::Start],
                &[vote(PC, 0, 0, None), vote(PC, 0, 2, Some(A))],
            ]),
            input: vote(PC, 0, 3, None),
            expected: vec![waits(TC, 0)],
        },
        Case {
            desc: "L65: its end starts the next round",
            me: 2,
            given: vec![Input::Start],
            input: expired(TC, 0),
            expected: vec![waits(TP, 1)],
        },
        Case {
            desc: "L65: not for a round that is over",
            me: 2,
            given: vec![Input::Start, expired(TC, 0)],
            input: expired(TC, 0),
            expected: vec![],
        },
        Case {
            desc: "L55: one validator in a later round moves nobody",
            me: 3,
            given: vec![Input::Start, vote(PV, 7, 0, None), prop(4, A, None)],
            input: vote(PC, 9, 0, None),
            expected: vec![],
        },
        Case {
            desc: "L55: f+1 do, to the round both have reached",
            me: 3,
            given: vec![Input::Start, vote(PV, 7, 0, None)],
            input: vote(PV, 4, 1, None),
            expected: vec![waits(TP, 4)],
        },
        Case {
            desc: "L55: a proposal counts as a message of its proposer",
            me: 3,
            given: vec![Input::Start, vote(PV, 5, 0, None)],
            input: prop(5, A, None),
            expected: vec![waits(TP, 5)],
        },
        Case {
            desc: "L55: nobody is moved before the start",
            me: 3,
            given: vec![vote(PV, 4, 0, None)],
            input: vote(PV, 4, 1, None),
            expected: vec![],
        },
    ]);
}

/// L55, L22, L36, L49 chained by a single vote.
#[test]
fn one_input_may_run_through_a_whole_round() {
    let mut kernel = kernel(Some(3), &[1; 4]);
    let mut out = Vec::new();
    // The proposer of round 1 is validator 1: its proposal and the vote of 0 make f+1.
    let given = list(&[
        &[Input::Start, judged(A, true)],
        &votes(PC, 1, &[0], Some(A)),
        &votes(PV, 1, &[0], Some(A)),
    ]);
    given
        .into_iter()
        .for_each(|input| kernel.step(input, &mut out));
    out.clear();
    kernel.step(prop(1, A, None), &mut out);
    assert_eq!(out, [waits(TP, 1), casts(PV, 1, Some(A))]);
    out.clear();
    kernel.step(vote(PV, 1, 1, Some(A)), &mut out);
    assert_eq!(out, [casts(PC, 1, Some(A))]);
    out.clear();
    kernel.step(vote(PC, 1, 2, Some(A)), &mut out);
    assert_eq!(out, [decides(1, A)]);
}

/// L42-L43: a polka seen after precommitting moves `valid`, not the lock.
#[test]
fn a_polka_after_precommitting_nil_is_remembered_but_does_not_lock() {
    let mut kernel = kernel(Some(1), &[1; 4]);
    let mut out = Vec::new();
    let given = list(&[
        &[Input::Start, judged(A, true), prop(0, A, None)],
        &[
            vote(PV, 0, 0, None),
            vote(PV, 0, 2, Some(A)),
            expired(TV, 0),
        ],
        &[vote(PV, 0, 3, Some(A))],
    ]);
    given
        .into_iter()
        .for_each(|input| kernel.step(input, &mut out));
    assert_eq!(kernel.locked(), None);
    assert_eq!(kernel.valid(), Some((Round(0), id(A))));
}

#[test]
fn powers_count_not_heads() {
    let mut out = Vec::new();
    let mut heavy = kernel(Some(1), &[1, 1, 1, 7]);
    for input in [Input::Start, judged(A, true), vote(PC, 0, 3, Some(A))] {
        heavy.step(input, &mut out);
    }
    assert!(
        out.contains(&decides(0, A)),
        "7 of 10 is more than two thirds"
    );
    let mut exact = kernel(Some(1), &[1, 1, 1, 6]);
    out.clear();
    for input in [Input::Start, judged(A, true), vote(PC, 0, 3, Some(A))] {
        exact.step(input, &mut out);
    }
    assert!(
        !out.contains(&decides(0, A)),
        "6 of 9 is two thirds, not more"
    );
    let mut huge = kernel(Some(1), &[u64::MAX; 4]);
    out.clear();
    let given = list(&[
        &[Input::Start, judged(A, true)],
        &votes(PC, 0, &[0, 2, 3], Some(A)),
    ]);
    given
        .into_iter()
        .for_each(|input| huge.step(input, &mut out));
    assert!(out.contains(&decides(0, A)), "no overflow");
}

#[test]
fn a_follower_decides_and_says_nothing() {
    let mut kernel = kernel(None, &[1; 4]);
    let mut out = Vec::new();
    let given = list(&[
        &[Input::Start, judged(A, true), prop(0, A, None)],
        &votes(PV, 0, &[0, 1, 2], Some(A)),
        &votes(PC, 0, &[0, 1, 2], Some(A)),
    ]);
    given
        .into_iter()
        .for_each(|input| kernel.step(input, &mut out));
    assert!(
        out.iter()
            .all(|e| matches!(e, Effect::Schedule(_) | Effect::Decide { .. }))
    );
    assert_eq!(out.last(), Some(&decides(0, A)));
}

/// However long the others went on without it, their votes bring a latecomer to their round.
#[test]
fn a_latecomer_is_not_locked_out_by_a_distant_round() {
    let far = 3 * MAX_ROUND_AHEAD;
    let mut kernel = kernel(Some(3), &[1; 4]);
    let mut out = Vec::new();
    for input in [Input::Start, judged(A, true), vote(PV, far, 0, None)] {
        kernel.step(input, &mut out);
    }
    assert_eq!(kernel.round(), Round(0), "one moves nobody");
    kernel.step(vote(PV, far + 1, 1, Some(A)), &mut out);
    assert_eq!(kernel.round(), Round(far), "more than a third does");
    out.clear();
    votes(PC, far + 1, &[0, 1, 2], Some(A))
        .into_iter()
        .for_each(|input| kernel.step(input, &mut out));
    assert_eq!(out.last(), Some(&decides(far + 1, A)));
}

/// B8: a flood of future rounds fills only its sender's room.
#[test]
fn future_rounds_are_bounded_per_sender() {
    let mut kernel = kernel(Some(1), &[1; 4]);
    let mut out = Vec::new();
    kernel.step(Input::Start, &mut out);
    for round in 1..100_000 {
        kernel.step(vote(PV, round, 0, None), &mut out);
    }
    let size = format!("{kernel:?}").len();
    assert!(!kernel.has_room(Round(50), ValidatorIndex(0)));
    assert!(kernel.has_room(Round(50), ValidatorIndex(2)));
    assert!(
        kernel.has_room(Round(0), ValidatorIndex(0)),
        "the present is always heard"
    );
    assert!(kernel.is_near(Round(MAX_ROUND_AHEAD)));
    assert!(!kernel.is_near(Round(MAX_ROUND_AHEAD + 1)));
    kernel.step(prop(MAX_ROUND_AHEAD + 1, A, None), &mut out);
    kernel.step(prop(u32::MAX, A, None), &mut out);
    for round in 0..100_000 {
        kernel.step(vote(PC, u32::MAX - round, 0, Some(B)), &mut out);
        kernel.step(vote(PC, round, 9, Some(B)), &mut out); // nobody
    }
    assert_eq!(format!("{kernel:?}").len(), size);
}

/// B8, B23: more than a third can name the last round there is. It is entered once, never left, and voted in once, whatever expires.
#[test]
fn the_last_round_is_entered_once_and_never_begun_again() {
    let mut kernel = kernel(Some(3), &[1; 4]);
    let last = u32::MAX;
    let mut out = Vec::new();
    kernel.step(Input::Start, &mut out);
    out.clear();
    for input in votes(PV, last, &[0, 1], None) {
        kernel.step(input, &mut out);
    }
    assert_eq!(kernel.round(), Round(last));
    let begun = out
        .iter()
        .filter(|e| **e == waits(TimeoutKind::Propose, last));
    assert_eq!(begun.count(), 1);
    out.clear();
    for kind in [
        TimeoutKind::Propose,
        TimeoutKind::Precommit,
        TimeoutKind::Propose,
        TimeoutKind::Prevote,
        TimeoutKind::Precommit,
        TimeoutKind::Propose,
    ] {
        kernel.step(expired(kind, last), &mut out);
    }
    let cast = out.iter().filter(|e| matches!(e, Effect::Vote { .. }));
    assert!(cast.count() <= 2, "{out:?}");
    assert!(!out.contains(&casts(PV, last, Some(A))));
    let prevotes = out
        .iter()
        .filter(|e| matches!(e, Effect::Vote { kind: PV, .. }));
    assert_eq!(prevotes.count(), 1, "{out:?}");
}
