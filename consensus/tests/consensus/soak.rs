//! Everything at once, from a seed: loss, damage, partitions, one-way links, crashes inside writes, stopped processes, clocks that jump, and up to f
//! validators that lie, each in a way of its own. A few seeds always; more with
//! `TENDER_SIM_SEEDS=0..500 cargo test -p tender-consensus --test consensus soak`, and one with `7..8`.

use tender_consensus::{
    block::CompactBlock,
    sim::{
        CrashPoint, Kept, Rng, Sim, SimConfig,
        byzantine::{
            Forger, Mutator, Nuller, ProposalEquivocator, Puppet, Silent, SyncLiar,
            VoteEquivocator, Withholder, WrongRoot, refit,
        },
        toy::toy_tx,
    },
};
use tender_wire::Digest;

#[test]
fn soak() {
    let text = std::env::var("TENDER_SIM_SEEDS").unwrap_or_else(|_| "0..30".into());
    let (from, to) = text.split_once("..").expect("a range like 0..12");
    for seed in from.parse().unwrap()..to.parse().unwrap() {
        run(seed);
    }
}

/// Ways to lie, [`lie`]'s and two that are done from outside.
const LIES: u64 = 11;
const FORGETS: u64 = 9;
const IS_TWO: u64 = 10;

fn lie(sim: &mut Sim, liar: usize, how: u64, seed: u64) {
    match how {
        0 => sim.corrupt(liar, Silent),
        1 => sim.corrupt(liar, Nuller),
        2 => sim.corrupt(liar, VoteEquivocator),
        3 => sim.corrupt(liar, ProposalEquivocator),
        4 => sim.corrupt(liar, WrongRoot),
        5 => sim.corrupt(liar, Withholder { only: 1 }),
        6 => sim.corrupt(liar, Mutator::new(seed)),
        7 => sim.corrupt(liar, SyncLiar::new(seed)),
        8 => {
            let mut rng = Rng::new(seed);
            sim.corrupt(liar, Forger::new(move |block| spoil(block, &mut rng)).0);
        }
        FORGETS => sim.corrupt(liar, Puppet),
        _ => {} // run twice
    }
}

/// One of the ways in which a block may be wrong; sometimes none.
fn spoil(block: &mut CompactBlock, rng: &mut Rng) {
    match rng.below(9) {
        0 => block.header.version = 9,
        1 => block.header.parent.0[0] ^= 1,
        2 => block.header.validators_hash.0[0] ^= 1,
        3 => block.header.outcome_root = Digest([6; 32]),
        4 => block.header.tx_root.0[0] ^= 1,
        5 => block.header.time.0 += 10_000,
        6 => {
            block.annex.last_certificate = None;
            refit(block);
        }
        7 => {
            block.transactions.push(toy_tx("!does not apply").hash());
            refit(block);
        }
        _ => {}
    }
}

const HOUR_MS: i64 = 3_600_000;
const TEN_YEARS_MS: i64 = 315_360_000_000;

fn run(seed: u64) {
    let mut rng = Rng::new(seed ^ 0x50a4);
    let validators = 4 + rng.below(4) as usize;
    let liars = rng.below((validators as u64 - 1) / 3 + 1) as usize;
    let honest = validators - liars;
    let lies: Vec<u64> = (0..liars).map(|_| rng.below(LIES)).collect();
    let doing = |what| {
        (honest..validators)
            .filter(|liar| lies[liar - honest] == what)
            .collect::<Vec<_>>()
    };
    let followers = rng.below(2) as usize;
    let twins = doing(IS_TWO);
    let nodes = validators + followers + twins.len();
    let mut sim = Sim::new(SimConfig {
        seed,
        powers: (0..validators).map(|_| 10 + rng.below(3)).collect(),
        followers,
        twins,
        loss_percent: rng.below(20),
        duplicate_percent: rng.below(20),
        corrupt_percent: rng.below(2) * rng.below(8),
        delay_ms: (1, 20 + rng.below(200)),
        relay: rng.chance(50),
        endless: rng.chance(50),
        downtime_ms: 1 + rng.below(3_000),
        ..SimConfig::default()
    });
    for liar in honest..validators {
        lie(&mut sim, liar, lies[liar - honest], rng.bits());
    }
    let mut loses_a_log = liars == 0 && rng.chance(50);
    for phase in 0..12 {
        let any = |rng: &mut Rng| rng.below(nodes as u64) as usize;
        let well = |rng: &mut Rng| rng.below(honest as u64) as usize;
        sim.submit(
            rng.below(validators as u64) as usize,
            toy_tx(&format!("{seed}/{phase}")),
        );
        sim.heal();
        match rng.below(10) {
            0..4 => {
                let (left, right): (Vec<usize>, Vec<usize>) =
                    (0..nodes).partition(|_| rng.chance(50));
                sim.partition(&[&left, &right]);
            }
            4 | 5 => {
                for _ in 0..=rng.below(2 * nodes as u64) {
                    sim.cut(any(&mut rng), any(&mut rng));
                }
            }
            6 => sim.clog(any(&mut rng)),
            _ => {}
        }
        if rng.chance(60) {
            let part = Kept::Part(rng.below(256) as u8);
            let kept = [Kept::Nothing, Kept::Half, part, Kept::All][rng.below(4) as usize];
            let after = rng.below(5) as usize;
            sim.crash_at(well(&mut rng), CrashPoint { after, kept });
        }
        if rng.chance(30) {
            sim.pause(any(&mut rng), rng.below(30_000));
        }
        // One clock at a time: as many as f more would be a quorum with the liars.
        (0..nodes).for_each(|node| sim.skew(node, 0));
        if rng.chance(30) {
            let jumps = [40_000, -40_000, HOUR_MS, -HOUR_MS, TEN_YEARS_MS];
            sim.skew(any(&mut rng), jumps[rng.below(5) as usize]);
        }
        // Without a block either it would take itself for one that has never voted.
        let node = well(&mut rng);
        if phase > 5 && sim.height(node) > 0 && std::mem::take(&mut loses_a_log) {
            sim.crash(node);
            sim.lose_log(node);
            sim.restart(node);
        }
        if rng.chance(50) {
            for liar in doing(FORGETS) {
                sim.forget(liar);
            }
        }
        sim.run_for(200 + rng.below(3_000));
    }
    sim.heal();
    (0..nodes).for_each(|node| sim.skew(node, 0));
    let height = (0..honest).map(|n| sim.height(n)).max().unwrap();
    // Crash points left over go off on the way; the last transactions make the chain move.
    for i in 0..3 {
        sim.submit(i, toy_tx(&format!("{seed}/last/{i}")));
        sim.run_for(5_000);
    }
    let state = |sim: &Sim| {
        (0..validators)
            .map(|n| {
                (
                    sim.height(n),
                    sim.engine(n).map(|e| e.round()),
                    sim.halted(n).cloned(),
                )
            })
            .collect::<Vec<_>>()
    };
    let goal = height + 1;
    let done = sim.run_until(400_000, |s| s.all_at(goal));
    let what = format!("seed {seed}, lies {lies:?}");
    assert!(done, "{what} stalls below {goal}: {:?}", state(&sim));
    let halted = (0..honest).find(|n| sim.halted(*n).is_some());
    assert_eq!(halted, None, "{what}: {:?}", state(&sim));
    let unfair = sim
        .rejections()
        .iter()
        .find(|(_, of, _)| sim.is_honest(*of));
    assert!(unfair.is_none(), "{what}: {unfair:?}");
}
