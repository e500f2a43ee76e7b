//! Engines under a bad network: they agree, and they go on. The simulator itself watches agreement and double signing.

use tender_consensus::sim::{Sim, SimConfig, toy::toy_tx};

fn lossy(seed: u64) -> SimConfig {
    SimConfig {
        seed,
        loss_percent: 10 + seed % 21,
        duplicate_percent: 10,
        delay_ms: (1, 300),
        ..SimConfig::default()
    }
}

#[test]
fn four_nodes_commit_without_faults() {
    let mut sim = Sim::new(SimConfig::default());
    assert!(sim.run_until(60_000, |s| s.all_at(10)));
    assert!(sim.rejections().is_empty(), "{:?}", sim.rejections());
    // With messages of at most 50 ms, the block interval of 200 ms sets the pace.
    assert!(sim.elapsed_ms() < 6_000, "{} ms", sim.elapsed_ms());
}

/// N3: loss of 10 to 30 percent, delays up to 300 ms, duplicates, reordering.
#[test]
fn four_nodes_agree_under_loss_delay_duplicates_over_many_seeds() {
    for seed in 0..60 {
        let mut sim = Sim::new(lossy(seed));
        assert!(
            sim.run_until(400_000, |s| s.all_at(5)),
            "seed {seed} stalls"
        );
        assert!(
            sim.rejections().is_empty(),
            "seed {seed}: {:?}",
            sim.rejections()
        );
    }
}

#[test]
fn unequal_powers_and_seven_nodes_agree_under_loss() {
    for seed in 0..10 {
        let powers = vec![1, 5, 2, 4, 3, 1, 5];
        let mut sim = Sim::new(SimConfig {
            powers,
            ..lossy(seed)
        });
        assert!(
            sim.run_until(400_000, |s| s.all_at(4)),
            "seed {seed} stalls"
        );
    }
}

#[test]
fn a_single_validator_and_its_follower_go_on() {
    let mut sim = Sim::new(SimConfig {
        powers: vec![1],
        followers: 1,
        ..SimConfig::default()
    });
    assert!(sim.run_until(60_000, |s| s.all_at(5)));
}

#[test]
fn followers_decide_without_a_voice() {
    let mut sim = Sim::new(SimConfig {
        followers: 2,
        loss_percent: 10,
        ..SimConfig::default()
    });
    assert!(sim.run_until(200_000, |s| s.all_at(8)));
    assert_eq!(sim.speakers().len(), 4);
    assert_eq!(
        sim.writes(4) as u64,
        sim.height(4),
        "a follower writes blocks and no votes"
    );
}

#[test]
fn same_seed_same_trace() {
    let run = |seed| {
        let mut sim = Sim::new(lossy(seed));
        sim.run_until(400_000, |s| s.all_at(4));
        (sim.trace(), sim.elapsed_ms())
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3), run(4));
}

/// No block while there is nothing to decide; one transaction at one peer is enough; the tip then rests again.
#[test]
fn an_idle_chain_waits_and_one_transaction_wakes_it() {
    for seed in 0..10 {
        let mut sim = Sim::new(SimConfig {
            seed,
            endless: false,
            loss_percent: 20,
            ..SimConfig::default()
        });
        sim.run_for(30_000);
        assert!(sim.all_at(0) && sim.height(0) == 0);
        assert!(sim.speakers().is_empty(), "an idle validator signs nothing");
        sim.submit(2, toy_tx("hello"));
        assert!(sim.run_until(60_000, |s| s.all_at(1)), "seed {seed}");
        sim.run_for(30_000);
        assert_eq!(sim.height(0), 1, "nothing more to do");
        assert_eq!(sim.chain(0).unwrap().app.count, 1);
    }
}

/// A transaction that applies nowhere wakes nobody.
#[test]
fn an_inapplicable_transaction_starts_no_timeouts() {
    let mut sim = Sim::new(SimConfig {
        endless: false,
        ..SimConfig::default()
    });
    sim.submit(0, toy_tx("!nonsense"));
    sim.run_for(30_000);
    assert!(sim.speakers().is_empty() && sim.height(0) == 0);
}

/// Blocks due without transactions (an auction neither cleared nor void) keep coming, then stop.
#[test]
fn due_blocks_are_empty_and_then_end() {
    let mut sim = Sim::new(SimConfig {
        endless: false,
        ..SimConfig::default()
    });
    sim.submit(1, toy_tx("+5"));
    assert!(sim.run_until(60_000, |s| s.all_at(6)));
    sim.run_for(30_000);
    assert_eq!(sim.height(0), 6);
    assert!(sim.blocks(0)[3].block.transactions.is_empty());
}

/// P8: validators whose clocks differ by up to half a second still agree on time.
#[test]
fn skewed_clocks_do_not_stop_the_chain() {
    let mut sim = Sim::new(SimConfig::default());
    for (node, ms) in [(0, -250), (1, 250), (2, 0), (3, 100)] {
        sim.skew(node, ms);
    }
    assert!(sim.run_until(60_000, |s| s.all_at(10)));
}

/// P8: one validator's clock is ten years off; its proposals are refused as untimely, the others go on.
#[test]
fn a_clock_ten_years_ahead_costs_its_owner_the_turn_only() {
    const TEN_YEARS_MS: i64 = 315_360_000_000;
    for sign in [1, -1] {
        let mut sim = Sim::new(SimConfig::default());
        sim.skew(3, sign * TEN_YEARS_MS);
        // A clock behind never sees the interval pass, so that validator follows by precommits alone.
        assert!(sim.run_until(200_000, |s| s.all_at(8)), "sign {sign}");
        let last = sim.blocks(0).last().unwrap().block.header.time;
        let start = tender_consensus::sim::toy::TOY_GENESIS_TIME;
        assert!(
            last.0 - start.0 < 400_000,
            "no block carries the wrong clock"
        );
    }
}

/// Every validator's blocks come in proportion to its turns, fairly.
#[test]
fn proposers_take_turns_in_committed_blocks() {
    let mut sim = Sim::new(SimConfig::default());
    assert!(sim.run_until(60_000, |s| s.all_at(12)));
    let certificates = sim.blocks(0).iter().skip(1);
    let full = certificates
        .filter(|b| {
            let certificate = b.block.annex.last_certificate.as_ref().unwrap();
            let tender_consensus::certificate::CommitCertificate::V1(c) = certificate;
            c.signatures.len() == 4
        })
        .count();
    assert!(
        full >= 8,
        "late precommits enter the next block's certificate: {full} of 11"
    );
}

/// One peer alone holds the transactions, too many for their block to travel with its proposal: the others ask for the block, then for its bodies.
#[test]
fn a_block_only_its_proposer_knows_is_fetched() {
    let mut config = SimConfig {
        endless: false,
        ..SimConfig::default()
    };
    config.params.max_block_txs = 4096;
    let mut sim = Sim::new(config);
    sim.run_for(1);
    sim.partition(&[]);
    for i in 0..2300 {
        sim.submit(3, toy_tx(&format!("only node 3 knows {i}")));
    }
    sim.run_for(1);
    sim.heal();
    assert!(sim.run_until(60_000, |s| {
        (0..4).all(|n| s.chain(n).unwrap().app.count == 2300)
    }));
    let largest = sim.blocks(0).iter().map(|b| b.block.transactions.len());
    assert!(largest.max() > Some(2048), "above what is pushed");
    assert!(sim.rejections().is_empty(), "{:?}", sim.rejections());
}
