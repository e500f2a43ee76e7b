//! One history has one outcome: on every machine, in every build, and as often as it is executed.
//!
//! THREATS P11. The roots below are constants: a debug build, a release and another machine must come to them. Every network of the process tests is
//! audited besides (`common::audit`), and CI lets each build audit the other's chain.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use tender_auction::{
    market::Market,
    outcome::{EntryOutcome, EntryRecord, OutcomeRecord},
    scenario::{Plan, START, Scenario, amounts, attributes, class, genesis, key, spec, task},
    transaction::{Action, AwardRef},
};
use tender_circuits::asset_of;
use tender_consensus::application::Application as _;
use tender_wire::{AuctionId, Digest, Tag, TimeMs, hash};

/// The blocks of the history that have outcomes, as height, state root and outcome root; then a hash over the roots of all blocks.
const GOLDEN: &str = "\
11 12ce4c8627562d0d22538d9eba58457bc31f67392ffccbc54bd5c023c1c5bd7e d9db4c7091c586a9b708bd925eaa9d3fdc07c27506128fa3fac94b4666b6e1c5
12 04e9f6be1c37ffd96cb038a028c0ee057dda7a874df3663ace9dd7c3fdc5abb1 9f5ead378dd8c20aedd357213436bb24fe3474b41226caf4b70ca1356c26b8a2
13 ebdb48ef50ed8e6d836842872ede1f5153b709371528fbacff83e538f5708fc5 b376126e58733cf45b528e64b19c6c081790a811730255ab6a38eb53d5453420
14 25b70c8d35907498545a5cb4edf135095f27cd39757da6c9361c20b929b47274 b3be002d3e0818c6d443ad8cccf133423360173a0539ecaddd62b529ce234c38
16 4c8101476b50a57d642d03ec3bf8ccf4bccd4bd05f01d2c59b77960699a0ea81 ccd1a817a83e1b3fffb53e7f5b0c65e60f7d7aae8708d5aa1006d981c47fde8c
20 8e6af0cb18e49d5e2ee1be48be9d9c0cae0f4a7ee1165873bafaebe2ca9def58 a000bb03faef4332f566a5215a6db158ae027993d7f5dbfa9b937d2fed2c9c5a
28 0781c945b668d4393195c191147258d2626d42620a56dbe4784730c068401bdd f97726ecc4b8792c8db402da84fb0a8986348c20204df77c09614fa988e33454
31 blocks 2b2356bd8e0c8231c6f4098d8cc14d8b36584dc204116d2e88c7621fd748449d
";

const MACHINE: &[(&str, u64)] = &[("cpu_milli", 64_000), ("memory_mib", 262_144)];

/// Two agents who prove, two who show attestations; a bid replaced, one outbid, one above the reserve, a machine revoked after the close, an
/// award that expires to its runner-up, one that is delivered and confirmed; and an auction that nobody opens the bids of.
fn history() -> Scenario {
    let mut it = Scenario::new(genesis());
    let proven = ["ann", "bob"].map(|agent| it.issue(0, agent, agent, attributes(MACHINE)));
    let auction = it.open(spec(
        vec![
            class("small", &[("cpu_milli", 3_000)]),
            class("large", &[("cpu_milli", 20_000)]),
        ],
        vec![
            task("render", 0, 100, 2),
            task("train", 1, 1_000, 1),
            task("index", 0, 50, 1),
        ],
    ));
    let plan = |agent: &'static str, sequence, slots, entries| Plan {
        auction,
        agent,
        machine: agent,
        sequence,
        slots,
        entries,
        claim: amounts(&[("cpu_milli", 24_000)]),
    };
    let bids = [
        plan("ann", 0, &[(0, 1), (1, 1)], &[(0, 41), (1, 700)]),
        plan("bob", 0, &[(0, 2)], &[(0, 60), (2, 20)]),
    ];
    for (plan, credential) in bids.iter().zip(&proven) {
        let bid = it.bid(plan, credential);
        it.submit_bid(&bid);
    }
    for (plan, serial) in [
        (plan("cyd", 0, &[(0, 1), (1, 1)], &[(0, 30), (1, 900)]), 1),
        (plan("dee", 0, &[(0, 1)], &[(0, 70), (2, 60)]), 2),
    ] {
        let attestation = it.attest(1, plan.agent, plan.agent, plan.claim.clone(), serial);
        let bid = it.attested_bid(&plan, &[attestation]);
        it.submit_bid(&bid);
    }
    it.step();
    let again = plan("ann", 1, &[(0, 1), (1, 1)], &[(0, 40), (1, 650)]);
    let bid = it.bid(&again, &proven[0]);
    it.submit_bid(&bid);
    it.clear(&auction);
    live(&mut it, auction);
    void(&mut it);
    it
}

/// Whoever won the dear task accepts, delivers and is paid; an attestation is revoked; the other winners let it lapse.
fn live(it: &mut Scenario, auction: AuctionId) {
    let won = it.records().find_map(|record| match record {
        OutcomeRecord::Entry(EntryRecord {
            task: 1,
            bid,
            bidder,
            outcome: EntryOutcome::Won { .. },
            ..
        }) => Some((*bid, *bidder)),
        _ => None,
    });
    let (bid, bidder) = won.expect("somebody won");
    let task = 1;
    let award = AwardRef { auction, task, bid };
    let names = ["ann", "bob", "cyd", "dee"].into_iter();
    let winner = names.into_iter().find(|name| key(name).public() == bidder);
    let winner = winner.unwrap();
    let (asset, serial) = (asset_of("dee"), 2);
    it.act("issuer-1", Action::RevokeAttestation { asset, serial });
    it.act(winner, Action::Accept(award));
    it.step();
    let result = Digest([4; 32]);
    it.act(winner, Action::Deliver { award, result });
    it.step();
    it.act("opener", Action::Confirm(award));
    for _ in 0..8 {
        it.step();
    }
    it.step_at(TimeMs(START.0 + 3_700_000));
    it.step();
}

/// An auction whose bids nobody opens: half of the validators are silent.
fn void(it: &mut Scenario) {
    it.silent = ["validator-0", "validator-1"].into();
    let classes = vec![class("small", &[("cpu_milli", 1)])];
    let mut lost = spec(classes, vec![task("lost", 0, 9, 1)]);
    lost.lease_end.0 += 7_200;
    it.act("opener", Action::OpenAuction(Box::new(lost)));
    for _ in 0..8 {
        it.step();
    }
}

/// P11: constants, so that a debug build, a release and another machine must come to the same roots. Change them only with the rules of the chain: a
/// root that differs is a fork.
#[test]
fn the_roots_of_a_known_history_are_these() {
    let it = history();
    let roots: Vec<_> = it
        .blocks
        .iter()
        .map(|block| {
            (
                block.context.height.0,
                block.executed.state_root,
                block.executed.outcome_root,
            )
        })
        .collect();
    let mut all = Digest::ZERO;
    for (_, state, outcome) in &roots {
        all = hash(
            Tag::Block,
            &[all.as_ref(), state.as_ref(), outcome.as_ref()],
        );
    }
    let shown: Vec<_> = roots
        .iter()
        .filter(|(_, _, outcome)| *outcome != roots[0].2)
        .map(|(height, state, outcome)| format!("{height} {state} {outcome}"))
        .collect();
    let shown = format!("{}\n{} blocks {all}\n", shown.join("\n"), roots.len());
    assert_eq!(shown, GOLDEN, "the roots are now:\n{shown}");
}

/// P11: executed again by a market that has seen none of it, without remembered proofs and openings.
#[test]
fn a_history_executed_again_from_genesis_has_the_same_roots() {
    let it = history();
    let again = Market::new(genesis()).unwrap();
    let mut state = again.initial_state().clone();
    for block in &it.blocks {
        let executed = again
            .execute(&state, &block.context, &block.payload)
            .unwrap();
        let height = block.context.height;
        assert_eq!(
            executed.state_root, block.executed.state_root,
            "height {height}"
        );
        assert_eq!(
            executed.outcome_root, block.executed.outcome_root,
            "height {height}"
        );
        assert_eq!(executed.outcome.records, block.executed.outcome.records);
        state = executed.state;
    }
}
