//! Random walks: honest kernels among any delivery order, any timeouts and a Byzantine validator that may say anything to anyone.

use super::{
    tests::{A, B, PC, PV, id, judged, kernel, prop, vote},
    *,
};
use crate::sim::Rng;
use std::collections::BTreeMap;

/// Three honest validators and one that may send anything to anyone, in random order, with timeouts at any moment: no two decide
/// differently, nobody votes twice in a slot, nobody precommits without a polka it can show.
#[test]
fn random_walks_with_a_byzantine_validator_never_fork() {
    let mut decided_walks = 0;
    for seed in 0..3000 {
        decided_walks += usize::from(walk(seed));
    }
    assert!(
        decided_walks > 80,
        "the walks must get somewhere: {decided_walks}"
    );
}

fn walk(seed: u64) -> bool {
    let mut rng = Rng::new(seed);
    let loss = 10 * rng.below(6);
    let byzantine = (seed % 4) as u16;
    let honest: Vec<u16> = (0..4).filter(|i| *i != byzantine).collect();
    let mut kernels: BTreeMap<u16, Kernel> = honest
        .iter()
        .map(|i| (*i, kernel(Some(*i), &[1; 4])))
        .collect();
    let (mut lies, mut said): (Vec<Input>, Vec<Input>) = Default::default();
    let mut timers: BTreeMap<u16, Vec<Timeout>> = BTreeMap::new();
    let mut decisions: BTreeMap<u16, BlockId> = BTreeMap::new();
    let mut cast: BTreeMap<(u16, Round, VoteKind), Option<BlockId>> = BTreeMap::new();
    for round in 0..3 {
        for block in [Some(A), Some(B), None] {
            lies.extend([
                vote(PV, round, byzantine, block),
                vote(PC, round, byzantine, block),
            ]);
        }
        if round % 4 == u32::from(byzantine) {
            lies.extend([prop(round, A, None), prop(round, B, None)]);
            lies.extend((0..round).map(|pol| prop(round, B, Some(pol))));
        }
    }
    let mut todo: Vec<(u16, Input)> = honest.iter().map(|i| (*i, Input::Start)).collect();
    for _ in 0..700 {
        let (who, input) = todo.pop().unwrap_or_else(|| {
            let who = honest[rng.below(3) as usize];
            let timers = timers.entry(who).or_default();
            if !timers.is_empty() && rng.chance(5) {
                let timeout = timers.remove(rng.below(timers.len() as u64) as usize);
                (who, Input::Timeout(timeout))
            } else if rng.chance(5) {
                (who, judged([A, B][rng.below(2) as usize], true))
            } else {
                let lie = said.is_empty() || rng.chance(30);
                let from = if lie { &lies } else { &said };
                let at = rng.below(from.len() as u64);
                // What honest validators say never reaches some of them in this walk.
                let lost = Rng::new(seed << 32 | at << 8 | u64::from(who)).chance(loss);
                let message = from[at as usize];
                (who, if lost && !lie { Input::Start } else { message })
            }
        });
        let mut out = Vec::new();
        let kernel = kernels.get_mut(&who).unwrap();
        kernel.step(input, &mut out);
        for effect in out {
            match effect {
                Effect::Build { round } => {
                    todo.push((
                        who,
                        Input::Built {
                            round,
                            block: id([A, B][usize::from(who & 1)]),
                        },
                    ));
                }
                Effect::Propose {
                    round,
                    block,
                    pol_round,
                } => {
                    let timely = true;
                    said.push(Input::Proposal(ProposalInput {
                        round,
                        block,
                        pol_round,
                        timely,
                    }));
                }
                Effect::Vote { kind, round, block } => {
                    assert_eq!(
                        cast.insert((who, round, kind), block),
                        None,
                        "seed {seed}: voted twice"
                    );
                    if kind == PC && block.is_some() {
                        assert_eq!(kernel.tally.majority(round, PV), block, "seed {seed}");
                        assert_eq!(kernel.locked(), block.map(|b| (round, b)));
                    }
                    let validator = ValidatorIndex(who);
                    said.push(Input::Vote(VoteInput {
                        kind,
                        round,
                        validator,
                        block,
                    }));
                }
                Effect::Schedule(timeout) => timers.entry(who).or_default().push(timeout),
                Effect::Decide { block, .. } => {
                    decisions.insert(who, block);
                }
                Effect::DecidedInvalid { .. } => panic!("everything is valid here"),
            }
        }
        let mut blocks = decisions.values();
        let first = blocks.next();
        assert!(blocks.all(|b| Some(b) == first), "seed {seed}: fork");
    }
    !decisions.is_empty()
}
