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
11 3456420f0f67fdcb049075b006060d2a5ceccd5dba9f11296c881d281ce32b7c 802fd38884a9077ecd9e2060e6c15723760700d8244a88c2721ec8308a4d663e
12 b66daa36667983aac88ec3becdd3ccc4ed84fa21f4266c57df5aab1795ad21ab 755921f789bfcc1f5d46dda7b517f5b3381d286e42f7a80279da8047b3ae4cc4
13 41b83367ef41f5ba1e47ba6da69f5cd833c0c9000ccfb4680c69d79ca5dc919f d9d5b7d2f3f3ba1640327b71479f9444e28a15ffbb00be8098e4dabb355c0af0
14 7e8dffe335c1206730334db2a126918fdebc5331116734df6972aa93b16f3420 c1d61ff9942b75e1acc1e683041cc56cc2b363ee4cbd7562fe64558c84ab59b2
16 53cc22824ceaaf2a1269e303d22c553966d06d011e257eb201f0a6fa98843a0e 689337df3e3bda9c4493b9985b927c173878ec9dfd1e3109829bff2a9de8bd74
20 3eddd06d3dc37d486359265c3a159610e373d7af549559b08e81c3ba7ffb8edd d59a375cc3c7f9edf216b301c7850159c0fc902198882fcb467a2bfecc69bde7
28 7e2042013af8e77fcbb17077d4a17aa5cdbd8e76f450a83803c3142854d1ad90 d055f97f5ca454d1194a9d2a53f1476f49bd7f332693064bee31d5aba1c399c5
31 blocks ea5b6c82a98bed5ec9ff18c8e4635fba580ee402d090b646f4582d33ff53d42a
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
