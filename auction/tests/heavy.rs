//! Blocks as heavy as strangers can make them. Prints times (`--nocapture`) and asserts none; what would be quadratic here takes minutes.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::time::Instant;
use tender_auction::{
    bid::Bid,
    clearing::PaymentRule,
    market::Phase,
    outcome::{AwardState, OutcomeRecord},
    scenario::{ISSUERS, Plan, Scenario, amounts, class, spec, task},
    task::AuctionSpec,
    transaction::Action,
};
use tender_circuits::asset_of;
use tender_wire::AuctionId;

/// Tasks and entries of a bid.
const TASKS: u32 = 64;

/// Classes that take nothing, so that one machine serves any number of units.
fn free(quantity: u32) -> AuctionSpec {
    let tasks = (0..TASKS).map(|i| task(&format!("task {i}"), 0, 1_000, quantity));
    AuctionSpec {
        max_entries: 64,
        payment: PaymentRule::PayAsBid,
        ..spec(vec![class("free", &[])], tasks.collect())
    }
}

/// A bid for every task at one price.
fn bid(scenario: &Scenario, auction: AuctionId, agent: &str, price: u64, entries: u32) -> Bid {
    let entries: Vec<_> = (0..entries).map(|task| (task, price)).collect();
    let plan = Plan {
        auction,
        agent,
        machine: agent,
        sequence: 0,
        slots: &[(0, TASKS)],
        entries: &entries,
        claim: amounts(&[]),
    };
    let attestation = scenario.attest(0, agent, agent, plan.claim.clone(), 1);
    scenario.attested_bid(&plan, &[attestation])
}

fn is_settled(phase: &Phase) -> bool {
    matches!(phase, Phase::Settled { .. })
}

/// Every unit falls vacant in one block, and none of sixteen runners-up a task can take it.
#[test]
fn thousands_of_vacancies_in_one_block() {
    let mut scenario = Scenario::default();
    let units = 64;
    let auction = scenario.open(free(units));
    let mut names: Vec<_> = (0..units).map(|i| format!("winner-{i}")).collect();
    names.extend((0..16).map(|i| format!("next-{i}")));
    for name in &names {
        let price = if name.starts_with("winner") { 10 } else { 20 };
        scenario.submit_bid(&bid(&scenario, auction, name, price, TASKS));
    }
    scenario.step_until(&auction, is_settled);
    let all = (units * TASKS) as usize;
    assert_eq!(scenario.state.awards().count(), all);
    for name in names.iter().filter(|name| name.starts_with("next")) {
        let asset = asset_of(name);
        scenario.act(ISSUERS[0], Action::RevokeAttestation { asset, serial: 1 });
    }
    let accept_by = scenario.state.awards().next().unwrap().accept_by;
    while scenario.state.height() < accept_by {
        scenario.step();
    }
    let start = Instant::now();
    let records = scenario.step().records.clone();
    println!("{all} vacancies: {:?}", start.elapsed());
    let expired = records.iter().filter(|record| {
        matches!(record, OutcomeRecord::Award(award) if award.state == AwardState::Expired)
    });
    assert_eq!((expired.count(), records.len()), (all, all));
    assert_eq!(scenario.state.auctions().count(), 0);
    assert_eq!(scenario.state.accounts().count(), 0);
}

/// A runner-up takes as many vacancies as it has slots, counted over all of a block and over those it serves already.
#[test]
fn a_runner_up_takes_no_more_vacancies_of_a_block_than_it_has_slots() {
    let mut scenario = Scenario::default();
    let tasks = (0..4).map(|i| task(&format!("task {i}"), 0, 1_000, 1));
    let auction = scenario.open(spec(vec![class("free", &[])], tasks.collect()));
    let mut ids = Vec::new();
    for (agent, slots, entries) in [
        ("best", 3, vec![(0, 10), (1, 10), (2, 10)]),
        ("next", 3, vec![(0, 20), (1, 20), (2, 20), (3, 20)]),
        ("last", 4, vec![(0, 30), (1, 30), (2, 30), (3, 30)]),
    ] {
        let plan = Plan {
            auction,
            agent,
            machine: agent,
            sequence: 0,
            slots: &[(0, slots)],
            entries: &entries,
            claim: amounts(&[]),
        };
        let attestation = scenario.attest(0, agent, agent, plan.claim.clone(), 1);
        let bid = scenario.attested_bid(&plan, &[attestation]);
        scenario.submit_bid(&bid);
        ids.push(bid.content.id());
    }
    scenario.step_until(&auction, is_settled);
    let holders = |scenario: &Scenario| -> Vec<_> {
        let running = scenario.state.awards().filter(|row| row.state.is_running());
        running.map(|row| (row.award.task, row.award.bid)).collect()
    };
    let (best, next, last) = (ids[0], ids[1], ids[2]);
    assert_eq!(
        holders(&scenario),
        [(0, best), (1, best), (2, best), (3, next)]
    );
    let own = scenario
        .state
        .awards()
        .find(|row| row.award.bid == next)
        .unwrap();
    scenario.act("next", Action::Accept(own.award));
    while scenario.state.height() < own.accept_by {
        scenario.step();
    }
    scenario.step();
    // Of three vacancies it takes two: one slot is taken.
    assert_eq!(
        holders(&scenario),
        [(0, next), (1, next), (2, last), (3, next)]
    );
}
