//! Any inputs in any order into the kernel: it never panics, never votes or proposes twice in a slot, never leaves a lock but by a polka, never goes back
//! a round, never votes for what it was not shown to be valid, decides once, and is a function of what it was told.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::OnceLock,
};
use tender_consensus::{
    kernel::{Effect, Input, Kernel, ProposalInput, Timeout, TimeoutKind, VoteInput},
    proposer::{Proposers, Rotation},
    sim::keys::test_validators,
    validators::{ValidatorIndex, ValidatorSet},
    vote::VoteKind,
};
use tender_wire::{BlockId, Round};

#[derive(Arbitrary, Clone, Copy, Debug)]
enum When {
    Near(u8),
    Far(u32),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Told {
    Start,
    Proposal {
        when: When,
        block: u8,
        pol: Option<When>,
        timely: bool,
    },
    Vote {
        when: When,
        precommit: bool,
        who: u16,
        block: Option<u8>,
    },
    Judged {
        block: u8,
        valid: bool,
    },
    Built {
        when: When,
        block: u8,
    },
    Timeout {
        when: When,
        kind: u8,
    },
}

fn round(when: When) -> Round {
    Round(match when {
        When::Near(round) => u32::from(round % 6),
        When::Far(round) => round,
    })
}

fn id(block: u8) -> BlockId {
    BlockId([block % 4; 32])
}

fn input(told: Told) -> Input {
    match told {
        Told::Start => Input::Start,
        Told::Proposal {
            when,
            block,
            pol,
            timely,
        } => Input::Proposal(ProposalInput {
            round: round(when),
            block: id(block),
            pol_round: pol.map(round),
            timely,
        }),
        Told::Vote {
            when,
            precommit,
            who,
            block,
        } => Input::Vote(VoteInput {
            kind: if precommit {
                VoteKind::Precommit
            } else {
                VoteKind::Prevote
            },
            round: round(when),
            // Its own votes are never told to it; now and then somebody's who does not exist.
            validator: ValidatorIndex(if who < 0xff00 { 1 + who % 3 } else { who }),
            block: block.map(id),
        }),
        Told::Judged { block, valid } => Input::Judged {
            block: id(block),
            valid,
        },
        Told::Built { when, block } => Input::Built {
            round: round(when),
            block: id(block),
        },
        Told::Timeout { when, kind } => Input::Timeout(Timeout {
            round: round(when),
            kind: match kind % 3 {
                0 => TimeoutKind::Propose,
                1 => TimeoutKind::Prevote,
                _ => TimeoutKind::Precommit,
            },
        }),
    }
}

fn fresh(powers: u8) -> Kernel {
    static SETS: OnceLock<[ValidatorSet; 3]> = OnceLock::new();
    let sets = SETS.get_or_init(|| {
        [&[1, 1, 1, 1], &[3, 2, 2, 1], &[u64::MAX; 4]].map(|p: &[u64; 4]| test_validators(p))
    });
    let set = &sets[usize::from(powers) % sets.len()];
    Kernel::new(
        Some(ValidatorIndex(0)),
        set,
        Proposers::new(set.clone(), Rotation::new(set)),
    )
}

fuzz_target!(|data: &[u8]| {
    let Ok((powers, all)) = <(u8, Vec<Told>)>::arbitrary_take_rest(Unstructured::new(data)) else {
        return;
    };
    let (mut kernel, mut twin) = (fresh(powers), fresh(powers));
    let (mut votes, mut proposed, mut valid) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
    let mut decided = false;
    let mut last = Round(0);
    for told in all.into_iter().take(400) {
        let input = input(told);
        let (mut out, mut again) = (Vec::new(), Vec::new());
        let locked = kernel.locked();
        kernel.step(input, &mut out);
        twin.step(input, &mut again);
        assert_eq!(out, again);
        assert!(kernel.round() >= last);
        last = kernel.round();
        match input {
            Input::Judged { block, valid: is } => {
                valid.entry(block).or_insert(is);
            }
            Input::Built { block, .. } => {
                valid.entry(block).or_insert(true); // our own block, just built
            }
            _ => {}
        }
        if let (Some((since, _)), Some((now, _))) = (locked, kernel.locked()) {
            assert!(now >= since);
        }
        assert!(locked.is_none() || kernel.locked().is_some());
        for effect in out {
            assert!(!decided, "{effect:?} after the decision");
            match effect {
                Effect::Vote { kind, round, block } => {
                    assert_eq!(votes.insert((round, kind), block), None);
                    assert!(block.is_none_or(|block| valid.contains_key(&block)));
                    if kind == VoteKind::Precommit
                        && let Some(block) = block
                    {
                        assert_eq!(kernel.locked().map(|(_, locked)| locked), Some(block));
                        assert_eq!(valid.get(&block), Some(&true));
                    }
                }
                Effect::Propose {
                    round, pol_round, ..
                } => {
                    assert!(proposed.insert(round));
                    assert!(pol_round.is_none_or(|pol| pol < round));
                }
                Effect::Decide { .. } | Effect::DecidedInvalid { .. } => decided = true,
                Effect::Build { .. } | Effect::Schedule(_) => {}
            }
        }
    }
    assert!(kernel == twin);
});
