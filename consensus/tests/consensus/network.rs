//! What a network may do to messages, a machine to a process, and a clock to itself. Rows are those of THREATS N and P.

use tender_consensus::{
    engine::{Refusal, Verdict},
    message::{Bundle, Request, Response},
    sim::{
        Rng, Sim, SimConfig,
        byzantine::{Silent, SyncLiar},
        toy::TOY_GENESIS_TIME,
    },
};
use tender_wire::{Height, Round};

fn config(seed: u64) -> SimConfig {
    SimConfig {
        seed,
        ..SimConfig::default()
    }
}

fn round_of(sim: &Sim, height: u64) -> Round {
    let at = usize::try_from(height - 1).unwrap();
    sim.blocks(0)[at].certificate.round()
}

/// N1: two and two decide nothing; when they meet again the height they stood at is decided within two rounds of the one they were in.
#[test]
fn a_split_in_halves_heals_within_two_rounds() {
    let mut worst = 0;
    for seed in 0..30 {
        let mut sim = Sim::new(config(seed));
        assert!(sim.run_until(60_000, |s| s.all_at(2)));
        sim.run_for(seed * 13);
        let halves: [&[&[usize]]; 3] = [
            &[&[0, 1], &[2, 3]],
            &[&[0, 2], &[1, 3]],
            &[&[0, 3], &[1, 2]],
        ];
        sim.partition(halves[seed as usize % 3]);
        sim.run_for(10_000); // a block decided by one is still learned by its half
        let height = (0..4).map(|n| sim.height(n)).max().unwrap();
        sim.run_for(30_000);
        let after = (0..4).map(|n| sim.height(n)).max().unwrap();
        assert_eq!(after, height, "seed {seed}: a half decided");
        let next = height + 1;
        let at = (0..4).filter(|n| sim.height(*n) == height);
        let stood = at.map(|n| sim.engine(n).unwrap().round().0).max().unwrap();
        sim.heal();
        assert!(sim.run_until(60_000, |s| s.all_at(next)), "seed {seed}");
        let rounds = round_of(&sim, next).0.saturating_sub(stood.0);
        assert!(rounds <= 2, "seed {seed}: {rounds} rounds after healing");
        worst = worst.max(rounds);
    }
    println!("decided at most {worst} rounds after healing");
}

/// N2: any one-way link down, with and without gossip among the others: nothing is lost but time.
#[test]
fn a_one_way_link_down_does_not_stop_the_chain() {
    for from in 0..4 {
        for to in (0..4).filter(|to| *to != from) {
            let mut sim = Sim::new(SimConfig {
                relay: from % 2 == 0,
                ..config(from as u64 * 4 + to as u64)
            });
            sim.cut(from, to);
            assert!(sim.run_until(60_000, |s| s.all_at(10)), "{from} to {to}");
            assert!(sim.rejections().is_empty(), "{:?}", sim.rejections());
        }
    }
}

/// N2: a ring in which everyone hears one neighbour only decides by gossip.
#[test]
fn a_one_way_ring_decides_by_gossip() {
    for seed in 0..5 {
        let mut sim = Sim::new(SimConfig {
            relay: true,
            ..config(seed)
        });
        for from in 0..4 {
            for to in (0..4).filter(|to| *to != (from + 1) % 4) {
                sim.cut(from, to);
            }
        }
        assert!(sim.run_until(60_000, |s| s.all_at(8)), "seed {seed}");
    }
}

/// N2: two pairs that only one bridge joins; and a node that is heard and hears nobody, then is well again.
#[test]
fn a_bridge_keeps_the_quorum_and_a_deaf_node_catches_up() {
    let mut sim = Sim::new(SimConfig {
        relay: true,
        ..config(1)
    });
    for (a, b) in [(0, 3), (1, 3)] {
        sim.cut(a, b);
        sim.cut(b, a);
    }
    assert!(sim.run_until(60_000, |s| s.all_at(10)));
    sim.heal();
    for from in 0..3 {
        sim.cut(from, 3);
    }
    let height = sim.height(0);
    assert!(sim.run_until(60_000, |s| s.height(0) >= height + 10));
    assert!(sim.height(3) <= height + 1, "it hears nobody");
    sim.heal();
    let height = sim.height(0);
    assert!(sim.run_until(60_000, |s| s.all_at(height)));
}

/// N3, THREATS C: heights per simulated second under loss, and with f proposers dead: not only "progress". The block interval of 200 ms allows
/// five. Virtual time: the figures are the same on every machine.
#[test]
fn heights_per_second_under_loss() {
    let rate = |loss_percent: u64, relay: bool, dead: Option<usize>| {
        let mut sim = Sim::new(SimConfig {
            loss_percent,
            relay,
            ..config(1)
        });
        if let Some(dead) = dead {
            sim.corrupt(dead, Silent);
        }
        sim.run_for(60_000);
        sim.height(0) as f64 / 60.0
    };
    // Floors: about half of what was measured when this was written.
    for (loss, relay, dead, floor) in [
        (0, false, None, 4.0),
        (10, false, None, 1.0),
        (30, false, None, 0.1),
        (30, true, None, 1.0),
        (0, false, Some(1), 1.2),
        (10, true, Some(1), 0.7),
    ] {
        let found = rate(loss, relay, dead);
        let what = format!("loss {loss} %, gossip {relay}, dead {dead:?}");
        println!("{what}: {found:.2} heights/s");
        assert!(found > floor, "{what}: {found:.2}");
    }
}

/// N3: half of all messages twice, delays up to five seconds, so that everything arrives in any order.
#[test]
fn delays_of_seconds_and_duplicates_only_cost_time() {
    for seed in 0..4 {
        let mut sim = Sim::new(SimConfig {
            delay_ms: (0, 5_000),
            duplicate_percent: 50,
            ..config(seed)
        });
        assert!(sim.run_until(600_000, |s| s.all_at(5)), "seed {seed}");
        assert!(sim.rejections().is_empty(), "{:?}", sim.rejections());
    }
}

/// N4, swizzle-clog (FoundationDB): nodes lose the network one by one in a random order, and get it back in another.
#[test]
fn swizzle_clog_never_forks_and_recovers() {
    for seed in 0..6 {
        let validators = [4, 7][seed as usize % 2];
        let mut sim = Sim::new(SimConfig {
            powers: vec![1; validators],
            relay: seed % 3 == 0,
            ..config(seed)
        });
        let mut rng = Rng::new(seed);
        let order = |rng: &mut Rng| {
            let mut nodes: Vec<usize> = (0..validators).collect();
            nodes.sort_by_key(|_| rng.bits());
            nodes.truncate(1 + rng.below(validators as u64) as usize);
            nodes
        };
        for _ in 0..5 {
            for node in order(&mut rng) {
                sim.clog(node);
                sim.run_for(rng.below(1_500));
            }
            for node in order(&mut rng) {
                sim.unclog(node);
                sim.run_for(rng.below(1_500));
            }
        }
        sim.heal();
        let height = (0..validators).map(|n| sim.height(n)).max().unwrap();
        assert!(
            sim.run_until(60_000, |s| s.all_at(height + 3)),
            "seed {seed}"
        );
    }
}

/// N5, B18: one message in ten arrives with a flipped bit. Nobody honest is blamed, nobody panics, and what is damaged counts for nothing.
#[test]
fn flipped_bits_are_refused_and_blamed_on_nobody() {
    for seed in 0..6 {
        let mut sim = Sim::new(SimConfig {
            corrupt_percent: 10,
            loss_percent: 5,
            followers: 1,
            relay: seed % 2 == 0,
            ..config(seed)
        });
        assert!(sim.run_until(120_000, |s| s.all_at(20)), "seed {seed}");
        assert!(sim.rejections().is_empty(), "{:?}", sim.rejections());
        assert!((0..5).all(|n| sim.halted(n).is_none()));
    }
}

/// B13: two of the peers a latecomer asks answer falsely, each time in another way, and for a while they are its only ones. It takes what is true of
/// it, and gets the rest of the chain, whole and in order, from the others.
#[test]
fn lying_sync_peers_delay_a_latecomer_and_no_more() {
    let mut caught = 0;
    for seed in 0..5 {
        let mut sim = Sim::new(SimConfig {
            powers: vec![1; 7],
            followers: 1,
            ..config(seed)
        });
        sim.corrupt(0, SyncLiar::new(seed));
        sim.corrupt(4, SyncLiar::new(seed + 100));
        sim.partition(&[&[0, 1, 2, 3, 4, 5, 6]]);
        assert!(sim.run_until(60_000, |s| s.height(1) > 25));
        assert_eq!(sim.height(7), 0);
        sim.heal();
        // At first the liars are all it has.
        for honest in [1, 2, 3, 5, 6] {
            sim.cut(honest, 7);
        }
        sim.run_for(15_000);
        sim.heal();
        let tip = sim.height(1);
        assert!(sim.run_until(60_000, |s| s.height(7) >= tip), "seed {seed}");
        for (height, committed) in (1..).zip(sim.blocks(7)) {
            assert_eq!(committed.block.header.height, Height(height));
        }
        let unfair = sim
            .rejections()
            .iter()
            .find(|(_, of, _)| ![0, 4].contains(of));
        assert!(unfair.is_none(), "seed {seed}: {unfair:?}");
        caught += sim.rejections().iter().filter(|r| r.0 == 7).count();
    }
    assert!(caught > 10, "lies get their senders named: {caught}");
}

/// B13, CVE-2025-24371: a peer claims a height far away, is asked, and then says it is lower. The latecomer neither waits for the first claim nor
/// regresses to the second, and catches up from the others.
#[test]
fn a_claim_raised_and_then_lowered_does_not_hold_up_sync() {
    const LATE: usize = 4;
    let mut sim = Sim::new(SimConfig {
        followers: 1,
        ..config(3)
    });
    sim.partition(&[&[0, 1, 2, 3]]);
    assert!(sim.run_until(60_000, |s| s.height(0) >= 30));
    let claim = |sim: &mut Sim, tip: u64| {
        let height = sim.engine(LATE).unwrap().height();
        let bundle = Bundle {
            tip: Height(tip),
            ..Bundle::default()
        };
        sim.inject_response(LATE, Request::Votes(height), Response::Votes(bundle))
    };
    let blocks = sim.blocks(0)[..2].to_vec();
    for tip in [1_000_000, 2, 900_000, 1, u64::MAX] {
        assert_eq!(claim(&mut sim, tip), Some(Verdict::Accept));
        sim.run_for(3_000);
    }
    // It shows two blocks, then nothing of what it claimed.
    let request = Request::Blocks(Height(1));
    let verdict = sim.inject_response(LATE, request, Response::Blocks(blocks));
    assert_eq!(verdict, Some(Verdict::Accept));
    assert_eq!(sim.height(LATE), 2);
    assert_eq!(claim(&mut sim, 1), Some(Verdict::Accept));
    assert_eq!(sim.height(LATE), 2, "never regresses");
    assert_eq!(claim(&mut sim, 9), Some(Verdict::Accept));
    let nothing = Response::Blocks(Vec::new());
    let verdict = sim.inject_response(LATE, Request::Blocks(Height(3)), nothing);
    let claimed = Height(9);
    assert_eq!(
        verdict,
        Some(Verdict::Reject(Refusal::FalseHeight { claimed }))
    );
    sim.heal();
    let tip = sim.height(0);
    assert!(sim.run_until(20_000, |s| s.height(LATE) >= tip));
}

/// B13: while a validator catches up, the height it is at is being decided by the others too: whichever comes first, the block is the same, and
/// the range goes on behind it.
#[test]
fn sync_and_consensus_at_one_height_agree() {
    for seed in 0..10 {
        let mut sim = Sim::new(SimConfig {
            loss_percent: 30,
            relay: true,
            ..config(seed)
        });
        let mut rng = Rng::new(seed);
        for _ in 0..25 {
            let node = rng.below(4) as usize;
            sim.clog(node);
            sim.run_for(rng.below(900));
            sim.unclog(node);
            sim.run_for(rng.below(400));
        }
        sim.heal();
        let height = (0..4).map(|n| sim.height(n)).max().unwrap();
        assert!(
            sim.run_until(60_000, |s| s.all_at(height + 1)),
            "seed {seed}"
        );
        assert!(sim.rejections().is_empty(), "{:?}", sim.rejections());
    }
}

/// B13, N1: a validator that was away for a thousand heights, and one that was never there, get all of them while the chain goes on, and the first
/// votes again.
#[test]
fn away_for_a_thousand_heights_a_node_catches_up() {
    let mut sim = Sim::new(SimConfig {
        followers: 1,
        ..config(5)
    });
    assert!(sim.run_until(60_000, |s| s.height(3) >= 3));
    sim.partition(&[&[0, 1, 2]]);
    let left = sim.height(0);
    assert!(sim.run_until(2_000_000, |s| s.height(0) >= left + 1_000));
    assert!(sim.height(3) <= left + 1 && sim.height(4) <= left + 1);
    sim.heal();
    assert!(sim.run_until(120_000, |s| s.all_at(s.height(0))));
    assert!(sim.rejections().is_empty(), "{:?}", sim.rejections());
    // Its vote is needed again.
    sim.crash(0);
    let height = sim.height(1);
    assert!(sim.run_until(60_000, |s| s.height(1) >= height + 5));
}

const TEN_YEARS_MS: i64 = 315_360_000_000;

/// P8: one clock jumps by ten years, ahead or back, and is set right again: its owner loses turns, the chain does not stop, and no block carries
/// that time.
#[test]
fn a_clock_that_jumps_costs_its_owner_turns_only() {
    for (seed, jump) in [TEN_YEARS_MS, -TEN_YEARS_MS, 3_600_000, -3_600_000, 40_000]
        .into_iter()
        .enumerate()
    {
        let mut sim = Sim::new(config(seed as u64));
        assert!(sim.run_until(60_000, |s| s.all_at(4)));
        for _ in 0..4 {
            let height = sim.height(1);
            sim.skew(3, jump);
            assert!(
                sim.run_until(60_000, |s| s.height(1) >= height + 5),
                "{jump}"
            );
            sim.skew(3, 0);
            sim.run_for(700);
        }
        let height = sim.height(1);
        assert!(sim.run_until(60_000, |s| s.all_at(height + 4)), "{jump}");
        let last = sim.blocks(0).last().unwrap().block.header.time;
        assert!(last.0.saturating_sub(TOY_GENESIS_TIME.0) <= sim.elapsed_ms() + 500);
        assert_eq!(sim.halted(3), None);
    }
}

/// P8: a clock that drifts by a tenth, one that stands still, and one that is set every ten seconds.
#[test]
fn clocks_that_drift_or_stand_still_do_not_stop_the_chain() {
    for (seed, per_second) in [100i64, -100, -1_000].into_iter().enumerate() {
        let mut sim = Sim::new(config(seed as u64));
        let mut skew = 0;
        for tenth in 1..=300 {
            skew += per_second / 10;
            if tenth % 100 == 0 && per_second.abs() == 100 {
                skew = 0;
            }
            sim.skew(2, skew);
            sim.run_for(100);
        }
        assert!(sim.height(0) > 30, "{per_second}: {}", sim.height(0));
    }
}

/// P8: every clock an hour back at once. Time of blocks does not go back, so the chain waits out the hour rather than break its rule, or
/// goes on as soon as the clocks are right.
#[test]
fn every_clock_back_at_once_pauses_the_chain_and_breaks_nothing() {
    let mut sim = Sim::new(config(0));
    assert!(sim.run_until(60_000, |s| s.all_at(5)));
    (0..4).for_each(|node| sim.skew(node, -3_600_000));
    sim.run_for(60_000);
    let height = sim.height(0);
    assert!(height <= 6, "{height}");
    (0..4).for_each(|node| sim.skew(node, 0));
    assert!(sim.run_until(60_000, |s| s.all_at(height + 5)));
    let times = sim.blocks(0).iter().map(|b| b.block.header.time);
    assert!(times.is_sorted());
}

/// P9: a process stopped for half a minute wakes to a full queue and timers long past. It says nothing twice (the simulator watches) and catches up;
/// with f stopped the others go on meanwhile.
#[test]
fn a_process_stopped_for_half_a_minute_catches_up() {
    for seed in 0..3 {
        let mut sim = Sim::new(config(seed));
        assert!(sim.run_until(60_000, |s| s.all_at(2)));
        for node in [seed as usize % 4, (seed as usize + 1) % 4] {
            sim.run_for(seed * 31);
            sim.pause(node, 30_000);
            let height = sim.height((node + 1) % 4);
            sim.run_for(30_000);
            assert!(sim.height((node + 1) % 4) > height + 10, "seed {seed}");
            let height = sim.height((node + 1) % 4);
            assert!(sim.run_until(20_000, |s| s.all_at(height)), "seed {seed}");
        }
        // All of them at once: nobody knows, and the chain goes on.
        (0..4).for_each(|node| sim.pause(node, 30_000));
        let height = sim.height(0);
        assert!(
            sim.run_until(60_000, |s| s.all_at(height + 3)),
            "seed {seed}"
        );
    }
}

/// L3: one validator is dead. Two of its turns end in a timeout, then it has none, and every height is decided in its first round; when it is back it
/// proposes again.
#[test]
fn a_dead_validator_slows_the_rest_for_two_turns_only() {
    for seed in 0..3 {
        let mut sim = Sim::new(config(seed));
        let (node, other) = (seed as usize % 4, (seed as usize + 1) % 4);
        assert!(sim.run_until(60_000, |s| s.all_at(2)));
        sim.crash(node);
        let dead = sim.height(other);
        assert!(sim.run_until(120_000, |s| s.height(other) >= dead + 60));
        let rounds = |sim: &Sim, from: u64, to: u64| -> u32 {
            let blocks = sim.blocks(other).iter();
            let decided = blocks.filter(|b| (from..to).contains(&b.block.header.height.0));
            decided.map(|b| b.certificate.round().0).sum()
        };
        assert!((1..=3).contains(&rounds(&sim, dead, dead + 14)), "{seed}");
        assert_eq!(rounds(&sim, dead + 14, dead + 60), 0, "{seed}");
        sim.restart(node);
        let proposes = |s: &Sim| {
            let mut proposers = s.chain(other).unwrap().proposers();
            usize::from(proposers.of(Round(0)).0) == node
        };
        assert!(sim.run_until(60_000, proposes), "{seed}");
        let height = sim.height(other);
        assert!(sim.run_until(60_000, |s| s.all_at(height + 1)), "{seed}");
        assert_eq!(rounds(&sim, height + 1, height + 2), 0, "{seed}");
    }
}

/// P9: every node killed in turn every two seconds, for two minutes: each is down for a third of it. Nobody signs twice, and there is progress while
/// it lasts, for a quorum is up most of the time.
#[test]
fn a_restart_storm_never_signs_twice_and_goes_on() {
    for seed in 0..2 {
        let mut sim = Sim::new(SimConfig {
            loss_percent: 5,
            ..config(seed)
        });
        let mut rng = Rng::new(seed);
        for _ in 0..60 {
            for node in 0..4 {
                sim.crash(node);
                sim.run_for(rng.below(250));
                sim.restart(node);
                sim.run_for(250);
            }
        }
        let height = sim.height(0);
        assert!(height > 30, "seed {seed}: {height} heights in the storm");
        assert!(
            sim.run_until(60_000, |s| s.all_at(height + 3)),
            "seed {seed}"
        );
        assert!((0..4).all(|n| sim.halted(n).is_none()), "seed {seed}");
    }
}
