//! Partitions, crashes inside every durable write, lost disks, bad answers to sync. Rows are those of THREATS B, N and P.

use tender_consensus::{
    engine::{HaltReason, Refusal, Verdict},
    message::{Message, Request, Response},
    sim::{CrashPoint, Kept, Sim, SimConfig, byzantine::Puppet},
    vote::{Vote, VoteKind},
    wal,
};
use tender_wire::{BlockId, Height, Round};

/// N1.
#[test]
fn partition_two_and_two_commits_nothing_and_heals() {
    for seed in 0..10 {
        let mut sim = Sim::new(SimConfig {
            seed,
            ..SimConfig::default()
        });
        assert!(sim.run_until(60_000, |s| s.all_at(2)));
        sim.partition(&[&[0, 1], &[2, 3]]);
        sim.run_for(2_000); // what was under way may still end
        let height = (0..4).map(|n| sim.height(n)).max().unwrap();
        sim.run_for(30_000);
        assert!(
            (0..4).all(|n| sim.height(n) <= height),
            "seed {seed}: a half decided"
        );
        sim.heal();
        assert!(
            sim.run_until(120_000, |s| s.all_at(height + 2)),
            "seed {seed}: stuck after healing"
        );
    }
}

/// N1: the majority goes on, the cut-off node stops, and catches up by sync.
#[test]
fn a_node_cut_off_for_long_catches_up() {
    let mut sim = Sim::new(SimConfig::default());
    sim.partition(&[&[0, 1, 2]]);
    sim.run_until(60_000, |s| s.height(0) >= 30);
    assert_eq!(sim.height(3), 0);
    sim.heal();
    assert!(sim.run_until(20_000, |s| s.height(3) >= 30));
    assert!(sim.rejections().is_empty(), "{:?}", sim.rejections());
}

/// N4: the partition changes every 100 ms to 3 s.
#[test]
fn a_flapping_network_never_forks_and_recovers() {
    for seed in 0..5 {
        let mut sim = Sim::new(SimConfig {
            seed,
            ..SimConfig::default()
        });
        let cuts: [&[&[usize]]; 4] = [
            &[&[0, 1], &[2, 3]],
            &[&[0, 1, 2]],
            &[&[1, 2, 3]],
            &[&[0, 3], &[1, 2]],
        ];
        for i in 0..60 {
            sim.partition(cuts[(seed as usize + i) % 4]);
            sim.run_for(100 + (i as u64 * 977) % 2_900);
        }
        sim.heal();
        let height = sim.height(0);
        assert!(
            sim.run_until(120_000, |s| s.all_at(height + 3)),
            "seed {seed}"
        );
    }
}

/// P1, P3: node 0 crashes in every one of its first durable writes, leaving nothing, half or all of it; the simulator watches that it never
/// signs twice; it comes back and takes part.
#[test]
fn a_crash_at_every_persist_point_never_signs_twice() {
    for kept in [Kept::Nothing, Kept::Half, Kept::All] {
        for after in 0..24 {
            let mut sim = Sim::new(SimConfig {
                seed: after as u64,
                downtime_ms: 1 + 97 * (after as u64 % 7),
                ..SimConfig::default()
            });
            sim.crash_at(0, CrashPoint { after, kept });
            assert!(
                sim.run_until(100_000, |s| s.all_at(8)),
                "{kept:?} after {after}"
            );
            assert_eq!(sim.halted(0), None, "{kept:?} after {after}");
        }
    }
}

/// P1: somebody's conflicting votes of the next height become evidence the moment a block is decided. Telling it must not write the next
/// height's log before that block is stored. Node 0 decides alone, so its commit waits for its own precommit to be durable.
#[test]
fn evidence_for_the_next_height_never_puts_the_log_ahead_of_the_store() {
    for kept in [Kept::Nothing, Kept::Half, Kept::All] {
        for after in 0..8 {
            let mut sim = Sim::new(SimConfig {
                powers: vec![7, 1, 1, 1],
                ..SimConfig::default()
            });
            sim.corrupt(1, Puppet);
            assert!(sim.run_until(60_000, |s| s.height(0) >= 1));
            let (chain, next) = (sim.chain(0).unwrap().chain, Height(sim.height(0) + 2));
            let mut offender = tender_consensus::sim::keys::test_keys(4).swap_remove(1);
            for block in [None, Some(BlockId([5; 32]))] {
                let slot = (next, Round(3), VoteKind::Prevote);
                let vote = Vote::sign(&mut offender, &chain, slot, block).unwrap();
                let verdict = sim.inject(0, Message::Vote(Box::new(vote)));
                assert_eq!(verdict, Some(Verdict::Accept));
            }
            sim.crash_at(0, CrashPoint { after, kept });
            assert!(sim.run_until(60_000, |s| s.halted(0).is_some() || s.all_at(next.0 + 4)));
            assert_eq!(sim.halted(0), None, "{kept:?} after {after}");
        }
    }
}

/// P2: every pair of crashes: in one of the first writes, and again in one of the writes after the restart, each leaving nothing, some or all of
/// what was being written. The simulator watches that nothing is signed twice; the node comes back with what it had decided.
#[test]
fn a_second_crash_while_recovering_from_the_first_loses_nothing() {
    for after in 0..10 {
        for again in 0..4 {
            for (kept, left) in [
                (Kept::All, Kept::Nothing),
                (Kept::Part(30 + 20 * after as u8), Kept::All),
                (Kept::Half, Kept::Part(200)),
            ] {
                let mut sim = Sim::new(SimConfig {
                    seed: after as u64,
                    downtime_ms: 1 + 130 * again as u64,
                    ..SimConfig::default()
                });
                sim.crash_at(0, CrashPoint { after, kept });
                let what = format!("{kept:?} after {after}, {left:?} after {again} more");
                assert!(sim.run_until(30_000, |s| s.engine(0).is_none() && s.writes(0) > after));
                let height = sim.height(0);
                let kept = left;
                sim.crash_at(0, CrashPoint { after: again, kept });
                assert!(sim.run_until(100_000, |s| s.all_at(height + 4)), "{what}");
                assert_eq!(sim.halted(0), None, "{what}");
            }
        }
    }
}

/// P3: an append of which any part survives, in the middle of a frame too.
#[test]
fn any_prefix_of_an_append_recovers() {
    for part in (0..=255).step_by(15) {
        let mut sim = Sim::new(SimConfig {
            seed: part,
            ..SimConfig::default()
        });
        let kept = Kept::Part(part as u8);
        for after in [1, 2, 4] {
            sim.crash_at(1, CrashPoint { after, kept });
            sim.run_for(1_500);
        }
        let height = sim.height(0);
        assert!(sim.run_until(60_000, |s| s.all_at(height + 3)), "{part}");
        assert_eq!(sim.halted(1), None, "{part}");
    }
}

/// P2: crashing again in the writes right after the restart.
#[test]
fn crashes_in_a_row_replay_the_same() {
    for seed in 0..20 {
        let mut sim = Sim::new(SimConfig {
            seed,
            loss_percent: 10,
            ..SimConfig::default()
        });
        for round in 0..12 {
            let kept = [Kept::Nothing, Kept::Half, Kept::All][(seed as usize + round) % 3];
            for node in [round % 4, (round + 1) % 4] {
                sim.crash_at(
                    node,
                    CrashPoint {
                        after: (seed as usize * 7 + round) % 3,
                        kept,
                    },
                );
            }
            sim.run_for(900);
        }
        assert!((0..4).all(|n| sim.halted(n).is_none()), "seed {seed}");
        let height = sim.height(0);
        assert!(
            sim.run_until(200_000, |s| s.all_at(height + 3)),
            "seed {seed}"
        );
    }
}

/// Everybody locked and then everybody crashed: the bodies were durable before the votes, so the block is still there to decide.
#[test]
fn everyone_crashing_with_a_lock_loses_no_block() {
    for after in 1..4 {
        let mut sim = Sim::new(SimConfig::default());
        for node in 0..4 {
            sim.crash_at(
                node,
                CrashPoint {
                    after,
                    kept: Kept::All,
                },
            );
        }
        sim.run_for(5_000);
        assert!(sim.run_until(100_000, |s| s.all_at(3)), "after {after}");
    }
}

/// P7: a validator whose vote log is gone may have voted at this height: it sits it out, and votes again at the next.
#[test]
fn a_validator_without_its_log_sits_the_height_out() {
    for seed in 0..10 {
        let mut sim = Sim::new(SimConfig {
            seed,
            ..SimConfig::default()
        });
        assert!(sim.run_until(60_000, |s| s.all_at(2)));
        sim.run_for(seed * 23); // somewhere inside a height
        sim.crash(0);
        sim.lose_log(0);
        sim.restart(0);
        let height = sim.height(0);
        assert!(sim.run_until(60_000, |s| s.all_at(height + 6)));
        assert!(
            sim.halted(0).is_none() && !sim.vote_log(0).is_empty(),
            "it votes again"
        );
    }
}

/// P7: a validator that never voted, for it only ever caught up, has lost no log: restarted it votes at once, also where its vote is needed.
#[test]
fn a_validator_that_only_caught_up_sits_nothing_out() {
    let mut sim = Sim::new(SimConfig {
        endless: false,
        ..SimConfig::default()
    });
    sim.partition(&[&[0, 1, 2]]);
    sim.submit(0, tender_consensus::sim::toy::toy_tx("one"));
    assert!(sim.run_until(60_000, |s| s.height(0) >= 1));
    sim.heal();
    assert!(sim.run_until(60_000, |s| s.all_at(1)));
    sim.crash(3);
    assert!(sim.vote_log(3).is_empty(), "it never voted");
    sim.restart(3);
    sim.run_for(1_000);
    sim.crash(0);
    sim.submit(1, tender_consensus::sim::toy::toy_tx("two"));
    assert!(sim.run_until(60_000, |s| s.height(1) >= 2));
}

/// P7: a vote under our own key that this process did not make stops it before it can contradict it.
#[test]
fn a_key_in_use_elsewhere_halts() {
    let mut sim = Sim::new(SimConfig::default());
    assert!(sim.run_until(60_000, |s| s.all_at(2)));
    let chain = sim.chain(1).unwrap().chain;
    let mut twin = tender_consensus::sim::keys::test_keys(4).swap_remove(1);
    let slot = (sim.engine(1).unwrap().height(), Round(7), VoteKind::Prevote);
    let vote = Vote::sign(&mut twin, &chain, slot, None).unwrap();
    sim.inject(1, Message::Vote(Box::new(vote)));
    assert!(matches!(
        sim.halted(1),
        Some(HaltReason::KeyInUseElsewhere {
            round: Round(7),
            ..
        })
    ));
    assert_eq!(sim.engine(1).map(|e| e.is_halted()), Some(true));
}

/// P7: a log ahead of its store (a restored copy of the store) refuses to start.
#[test]
fn a_store_behind_its_vote_log_halts() {
    let mut sim = Sim::new(SimConfig::default());
    assert!(sim.run_until(60_000, |s| s.all_at(3)));
    let log = wal::scan(sim.vote_log(0)).unwrap().records;
    assert!(!log.is_empty());
    let (app, chain) = fresh();
    let signer = tender_consensus::sim::keys::test_keys(4).swap_remove(0);
    let started = tender_consensus::engine::Engine::start(
        app,
        chain,
        None,
        Some(Box::new(signer)),
        std::sync::Arc::new(tender_consensus::sim::SimPool::default()),
        log,
        tender_consensus::sim::toy::TOY_GENESIS_TIME,
    );
    let reason = started.map(|_| ()).unwrap_err();
    assert!(
        matches!(
            reason,
            HaltReason::StoreBehindLog {
                store: Height(0),
                ..
            }
        ),
        "{reason}"
    );
}

fn fresh() -> (
    std::sync::Arc<tender_consensus::sim::toy::Toy>,
    tender_consensus::chain::ChainState<tender_consensus::sim::toy::ToyState>,
) {
    let config = SimConfig::default();
    let app = tender_consensus::sim::toy::Toy {
        validators: tender_consensus::sim::keys::test_validators(&config.powers),
        params: config.params,
        endless: true,
    };
    let chain = tender_consensus::chain::ChainState::genesis(&app);
    (std::sync::Arc::new(app), chain)
}

/// A chain of `n` blocks, and a fifth node that has none of it and hears nobody.
fn behind(n: u64) -> (Sim, Vec<tender_consensus::block::CommittedBlock>) {
    let mut sim = Sim::new(SimConfig {
        followers: 1,
        ..SimConfig::default()
    });
    sim.partition(&[&[0, 1, 2, 3]]);
    assert!(sim.run_until(60_000, |s| s.height(0) >= n));
    let blocks = sim.blocks(0)[..n as usize].to_vec();
    (sim, blocks)
}

const LATE: usize = 4;

fn offer(
    sim: &mut Sim,
    from: u64,
    blocks: Vec<tender_consensus::block::CommittedBlock>,
) -> Verdict {
    sim.inject_response(
        LATE,
        Request::Blocks(Height(from)),
        Response::Blocks(blocks),
    )
    .unwrap()
}

/// B13.
#[test]
fn an_honest_range_is_applied_and_never_regresses() {
    let (mut sim, blocks) = behind(6);
    assert_eq!(offer(&mut sim, 1, blocks.clone()), Verdict::Accept);
    assert_eq!(sim.height(LATE), 6);
    assert_eq!(offer(&mut sim, 1, blocks[..3].to_vec()), Verdict::Accept);
    assert_eq!(sim.height(LATE), 6, "an old range changes nothing");
}

/// B13: each lie is its sender's, and what came before it in the range stays applied.
#[test]
fn bad_sync_is_refused_and_its_sender_named() {
    let gap = |mut b: Vec<tender_consensus::block::CommittedBlock>| {
        b.remove(2);
        b
    };
    let (mut sim, blocks) = behind(6);
    assert_eq!(
        offer(&mut sim, 1, gap(blocks.clone())),
        Verdict::Reject(Refusal::BrokenRange)
    );
    assert_eq!(
        offer(&mut sim, 2, blocks.clone()),
        Verdict::Reject(Refusal::BrokenRange)
    );
    assert_eq!(sim.height(LATE), 0);

    let mut swapped = blocks.clone();
    swapped[2].certificate = blocks[3].certificate.clone();
    assert!(matches!(
        offer(&mut sim, 1, swapped),
        Verdict::Reject(Refusal::Certificate(_))
    ));
    assert_eq!(sim.height(LATE), 2);

    let mut other = blocks.clone();
    other[3].block.header.time = other[3].block.header.time.next();
    assert!(matches!(
        offer(&mut sim, 1, other),
        Verdict::Reject(Refusal::Certificate(_))
    ));

    let mut body = blocks.clone();
    body[3].block.annex.witnesses.push(vec![1]);
    assert!(matches!(
        offer(&mut sim, 1, body),
        Verdict::Reject(Refusal::Body(_))
    ));
    assert_eq!(sim.height(LATE), 3);
    assert_eq!(offer(&mut sim, 1, blocks), Verdict::Accept);
    assert_eq!(sim.height(LATE), 6);
    assert_eq!(sim.halted(LATE), None);
}

/// B13: a claimed height is held against the peer that cannot show it.
#[test]
fn a_peer_that_claims_blocks_it_has_not_is_named() {
    let (mut sim, _) = behind(2);
    let bundle = tender_consensus::message::Bundle {
        tip: Height(1_000),
        ..Default::default()
    };
    let request = Request::Votes(Height(1));
    assert_eq!(
        sim.inject_response(LATE, request, Response::Votes(bundle)),
        Some(Verdict::Accept)
    );
    let claimed = Height(1_000);
    assert_eq!(
        offer(&mut sim, 1, Vec::new()),
        Verdict::Reject(Refusal::FalseHeight { claimed })
    );
}

/// An answer of the wrong kind is its sender's fault.
#[test]
fn an_answer_to_another_question_is_refused() {
    let (mut sim, blocks) = behind(1);
    let response = Response::Blocks(blocks);
    let verdict = sim.inject_response(LATE, Request::Votes(Height(1)), response);
    assert_eq!(verdict, Some(Verdict::Reject(Refusal::WrongAnswer)));
}
