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
11 ff4f13a2377cf8592d50f729d195601bb118efae9409558dcd11d516d33894a3 1433ba8f4e5c1bd21b15f6ba85b21194b29de339350f0912c8391ed955f49eb9
12 ab67a715569fe9e6e64d9f7c605294f8b43c76160634b214a2cdc8d188964041 07d3ff929f61566c1fbbdbc489f4f170146436b7b99ebbc39bd0f1dcc891ec18
13 c5bcead7a60cbaf256d8961215dbe1bc8426ecb754aa08f055725c0fd43bd434 fd1e26db72e07911a1cb169d005c461ed53fcee36c0b9175224fb706be909572
14 c31d5d735922285fd2c8ee21bc4d77ddf697fddf0f5a42c58bfc6c839491b5d7 dc87be73ff753259a58cf8b7ff3c10a8f225e16030fed1cad4d3383b0287f106
16 243799e33737e9e385fd6150efc2d95021a8b5d270fb3e5af158c4adfd842989 6e5d4d2025eaf0fd88d561683bec85894a6240e244037730f662a3b650a03e2d
20 3eddd06d3dc37d486359265c3a159610e373d7af549559b08e81c3ba7ffb8edd 182be312a3bc3651172cc0c5286bd010e6c6c55ee2530f5e77f98cc24a751525
28 7e2042013af8e77fcbb17077d4a17aa5cdbd8e76f450a83803c3142854d1ad90 d055f97f5ca454d1194a9d2a53f1476f49bd7f332693064bee31d5aba1c399c5
31 blocks 7ffa4d691ff4160ce18fa27a258c953e1ec74a66dd5d84f6ecdf29af6d72f361
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
