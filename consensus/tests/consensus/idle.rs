//! A chain with nothing to decide, and those who would keep it busy.

use tender_consensus::{
    engine::{IDLE_ROUND_MS, Verdict},
    message::Message,
    sim::{Sim, SimConfig, byzantine::Silent, keys::test_keys, toy::toy_tx},
    vote::{Vote, VoteKind},
};
use tender_wire::{BlockId, Round};

const LIAR: usize = 3;

fn idle(seed: u64) -> Sim {
    let mut sim = Sim::new(SimConfig {
        seed,
        endless: false,
        relay: true,
        ..SimConfig::default()
    });
    sim.corrupt(LIAR, Silent);
    sim.run_for(1_000);
    sim
}

fn bogus(sim: &Sim, round: u32) -> Message {
    let height = sim.engine(0).unwrap().height();
    let chain = sim.chain(0).unwrap().chain;
    let slot = (height, Round(round), VoteKind::Prevote);
    let mut key = test_keys(4).swap_remove(LIAR);
    let vote = Vote::sign(&mut key, &chain, slot, Some(BlockId([9; 32]))).unwrap();
    Message::Vote(Box::new(vote))
}

fn highest(sim: &Sim) -> u32 {
    let rounds = (0..3).map(|n| sim.engine(n).unwrap().round().0.0);
    rounds.max().unwrap()
}

/// One vote for nothing by one validator: everyone gets a turn to show what it could have seen, and then it is a round in a minute. The next
/// transaction is decided as if nothing had been.
#[test]
fn one_vote_for_nothing_does_not_keep_an_idle_chain_spinning() {
    for seed in 0..2 {
        let mut sim = idle(seed);
        let before = sim.writes(0);
        let vote = bogus(&sim, 0);
        assert_eq!(sim.inject(0, vote), Some(Verdict::Accept));
        sim.run_for(1_200_000);
        let rounds = u64::from(highest(&sim));
        let minutes = 1_200_000 / IDLE_ROUND_MS;
        assert!(
            rounds <= 4 + minutes,
            "seed {seed}: {rounds} rounds in twenty minutes"
        );
        let writes = sim.writes(0) - before;
        assert!(
            writes as u64 <= 4 * (4 + minutes),
            "seed {seed}: {writes} writes"
        );
        // More of them change nothing.
        for round in [rounds + 1, rounds + 2, rounds + 30] {
            let vote = bogus(&sim, round as u32);
            sim.inject(1, vote);
        }
        sim.run_for(600_000);
        assert!(u64::from(highest(&sim)) <= rounds + 12);
        assert_eq!(sim.height(0), 0);

        let start = sim.elapsed_ms();
        sim.submit(0, toy_tx("work"));
        assert!(sim.run_until(60_000, |s| s.all_at(1)), "seed {seed}");
        let took = sim.elapsed_ms() - start;
        // A liar's turn costs its propose timeout, not one grown over all the idle rounds.
        assert!(took < 5_000, "seed {seed}: {took} ms");
    }
}

/// A transaction that reached one validator alone still gets its turns.
#[test]
fn a_transaction_only_one_validator_has_is_decided() {
    for seed in 0..8 {
        let mut sim = Sim::new(SimConfig {
            seed,
            endless: false,
            ..SimConfig::default()
        });
        sim.run_for(1_000);
        sim.partition(&[]);
        let lone = seed as usize % 4;
        sim.submit(lone, toy_tx("nobody else has this"));
        sim.run_for(10);
        sim.heal();
        assert!(sim.run_until(60_000, |s| s.all_at(1)), "seed {seed}");
    }
}

/// Rest ends with work, also in a late round, and whoever proposes then is waited for no longer than in a first round.
#[test]
fn work_that_comes_during_a_rest_is_decided_at_once() {
    for seed in 0..6 {
        let mut sim = idle(seed);
        let vote = bogus(&sim, 0);
        sim.inject(2, vote);
        sim.run_for(20_000 + seed * 40_000);
        assert_eq!(sim.height(0), 0);
        sim.submit(seed as usize % 3, toy_tx("work"));
        assert!(sim.run_until(5_000, |s| s.all_at(1)), "seed {seed}");
    }
}
