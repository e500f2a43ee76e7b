//! Everything at once, from a seed: loss, partitions, crashes inside writes, a liar. A few seeds always; more with
//! `TENDER_SIM_SEEDS=0..500 cargo test -p tender-consensus --test consensus soak`, and one with `7..8`.

use tender_consensus::sim::{
    CrashPoint, Kept, Rng, Sim, SimConfig,
    byzantine::{Nuller, ProposalEquivocator, Silent, VoteEquivocator, Withholder, WrongRoot},
    toy::toy_tx,
};

#[test]
fn soak() {
    let text = std::env::var("TENDER_SIM_SEEDS").unwrap_or_else(|_| "0..12".into());
    let (from, to) = text.split_once("..").expect("a range like 0..12");
    for seed in from.parse().unwrap()..to.parse().unwrap() {
        run(seed);
    }
}

fn run(seed: u64) {
    let mut rng = Rng::new(seed ^ 0x50a4);
    let validators = 4 + rng.below(4) as usize;
    let mut sim = Sim::new(SimConfig {
        seed,
        powers: (0..validators).map(|_| 10 + rng.below(3)).collect(),
        followers: rng.below(2) as usize,
        loss_percent: rng.below(20),
        duplicate_percent: rng.below(20),
        delay_ms: (1, 20 + rng.below(200)),
        relay: rng.chance(50),
        endless: rng.chance(50),
        downtime_ms: 1 + rng.below(3_000),
        ..SimConfig::default()
    });
    // With crashes of honest nodes as well, at most one may lie among four to seven.
    let liar = validators - 1;
    match rng.below(8) {
        0 => sim.corrupt(liar, Silent),
        1 => sim.corrupt(liar, Nuller),
        2 => sim.corrupt(liar, VoteEquivocator),
        3 => sim.corrupt(liar, ProposalEquivocator),
        4 => sim.corrupt(liar, WrongRoot),
        5 => sim.corrupt(liar, Withholder { only: 1 }),
        _ => {}
    }
    for phase in 0..12 {
        sim.submit(
            rng.below(validators as u64) as usize,
            toy_tx(&format!("{seed}/{phase}")),
        );
        if rng.chance(40) {
            let cut = rng.below(validators as u64) as usize;
            let (left, right): (Vec<usize>, Vec<usize>) = (0..validators).partition(|n| *n < cut);
            sim.partition(&[&left, &right]);
        } else {
            sim.heal();
        }
        if rng.chance(60) {
            let kept = [Kept::Nothing, Kept::Half, Kept::All][rng.below(3) as usize];
            let after = rng.below(5) as usize;
            sim.crash_at(rng.below(liar as u64) as usize, CrashPoint { after, kept });
        }
        sim.run_for(200 + rng.below(3_000));
    }
    sim.heal();
    let height = (0..validators).map(|n| sim.height(n)).max().unwrap();
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
    assert!(done, "seed {seed} stalls below {goal}: {:?}", state(&sim));
    let halted = (0..liar).find(|n| sim.halted(*n).is_some());
    assert_eq!(halted, None, "seed {seed}: {:?}", state(&sim));
    let unfair = sim.rejections().iter().find(|(_, of, _)| *of != liar);
    assert!(unfair.is_none(), "seed {seed}: {unfair:?}");
}
