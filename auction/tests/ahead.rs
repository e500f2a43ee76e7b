//! Large auctions: the work of opening and clearing is bounded, is given time before the block that needs it, and holds up no block.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use tender_auction::{
    market::{
        Phase, Refusal,
        auction::{MAX_AUCTION_ENTRIES, MAX_CLEARING_WORK},
    },
    outcome::OutcomeRecord,
    scenario::{OPENER, Plan, Scenario, amounts, class, genesis, key, spec, task},
    task::{AuctionSpec, MAX_ENTRIES, MAX_QUANTITY, MAX_UNITS, auction_id},
    transaction::{Action, Transaction},
};
use tender_consensus::application::Application as _;
use tender_wire::{AuctionId, Height};

/// The scenario's validators, all of which post keys.
const MEMBERS: u64 = 4;

/// Blocks so many milliseconds apart: at one, few bids are much work; at thousands, many are little.
fn paced(block_interval_ms: u64) -> Scenario {
    let mut document = genesis();
    document.consensus.block_interval_ms = block_interval_ms;
    Scenario::new(document)
}

fn small() -> AuctionSpec {
    let tasks = vec![task("a", 0, 100, 1), task("b", 0, 100, 1)];
    let mut spec = spec(vec![class("small", &[("cpu_milli", 1_000)])], tasks);
    spec.windows.bidding = 8;
    spec
}

/// A bid of the numbered agent with its own machine.
fn bid(scenario: &Scenario, auction: AuctionId, agent: usize) -> Transaction {
    let agent = format!("agent-{agent}");
    let plan = Plan {
        auction,
        agent: &agent,
        machine: &agent,
        sequence: 0,
        slots: &[(0, 1)],
        entries: &[(0, 50), (1, 60)],
        claim: amounts(&[("cpu_milli", 1_000)]),
    };
    let attestation = scenario.attest(0, &agent, &agent, plan.claim.clone(), 1);
    Transaction::Bid(Box::new(scenario.attested_bid(&plan, &[attestation])))
}

/// Opens auctions in one block and bids in each; stops when all have their reveals.
fn revealed(scenario: &mut Scenario, specs: &[(AuctionSpec, usize)]) -> Vec<AuctionId> {
    let opener = key(OPENER).public();
    let first = scenario.state.next_sequence(&opener);
    let ids: Vec<_> = (first..)
        .take(specs.len())
        .map(|nonce| auction_id(&scenario.state.chain(), &opener, nonce))
        .collect();
    for (spec, _) in specs {
        scenario.act(OPENER, Action::OpenAuction(Box::new(spec.clone())));
    }
    scenario.step();
    for id in &ids {
        scenario.step_until(id, |phase| matches!(phase, Phase::Bidding { .. }));
    }
    let mut agent = 0;
    for (id, (_, bids)) in ids.iter().zip(specs) {
        for _ in 0..*bids {
            let bid = bid(scenario, *id, agent);
            scenario.submit(&bid);
            agent += 1;
        }
    }
    let opened = |phase: &Phase| {
        matches!(
            phase,
            Phase::Reveal {
                opened: Some(_),
                ..
            }
        )
    };
    for id in &ids {
        scenario.step_until(id, opened);
        let live = scenario.state.auction(id).unwrap();
        assert_eq!(
            live.bids.len(),
            specs[ids.iter().position(|it| it == id).unwrap()].1
        );
    }
    ids
}

/// Steps until each has cleared; the blocks from now on that did it.
fn clear(scenario: &mut Scenario, ids: &[AuctionId]) -> Vec<u64> {
    let from = scenario.state.height();
    for id in ids {
        scenario.clear(id);
    }
    let at = |id: &AuctionId| -> Height {
        let block = scenario.blocks.iter().find(|block| {
            let mut records = block.executed.outcome.records.iter();
            records.any(|record| matches!(record, OutcomeRecord::Auction(it) if it.auction == *id))
        });
        block.unwrap().context.height
    };
    ids.iter().map(|id| at(id).0 - from.0).collect()
}

/// L1, 5.2: peers are given time to open what was sealed, by a rule and in blocks, and the blocks until then hold whatever comes.
#[test]
fn an_auction_with_much_to_open_clears_later_and_blocks_go_on() {
    for (bids, later) in [(1, 1), (2, 2), (3, 3), (12, 10), (24, 20)] {
        let mut scenario = paced(1);
        let ids = revealed(&mut scenario, &[(small(), bids)]);
        // A fifth of a millisecond a share, and little for clearing; at least the next block.
        assert_eq!(((bids as u64 * MEMBERS).div_ceil(5)).max(1), later);
        assert_eq!(clear(&mut scenario, &ids), [later], "{bids} bids");
    }
    let mut slow = Scenario::default();
    let ids = revealed(&mut slow, &[(small(), 25)]);
    assert_eq!(clear(&mut slow, &ids), [1], "a second is enough for these");
}

/// L1: what waits to be opened is opened one after the other, so time is given for all of it.
#[test]
fn of_auctions_that_are_revealed_together_each_waits_for_those_before() {
    let mut scenario = paced(1);
    let ids = revealed(
        &mut scenario,
        &[(small(), 12), (small(), 12), (small(), 12)],
    );
    assert_eq!(clear(&mut scenario, &ids), [10, 20, 29]);
}

/// L1: one block clears no more than one auction may be, in entries times units.
#[test]
fn auctions_that_are_too_much_together_clear_in_blocks_of_their_own() {
    let large = || {
        let mut spec = small();
        let quantity = MAX_QUANTITY;
        spec.tasks = (0..MAX_UNITS / quantity)
            .map(|n| task(&format!("t{n}"), 0, 100, quantity))
            .collect();
        spec.max_entries = MAX_ENTRIES;
        spec
    };
    let most = MAX_CLEARING_WORK / (MAX_UNITS as usize * usize::from(MAX_ENTRIES));
    let (half, more) = (most / 2, most / 2 + 1);
    let mut scenario = paced(60_000);
    let ids = revealed(
        &mut scenario,
        &[(large(), half), (large(), half), (small(), 1)],
    );
    let cleared = clear(&mut scenario, &ids);
    assert_eq!(cleared[0], cleared[1], "both fit");
    assert_eq!(cleared[2], cleared[0] + 1, "this one no more");
    let mut scenario = paced(60_000);
    let ids = revealed(&mut scenario, &[(large(), half), (large(), more)]);
    let cleared = clear(&mut scenario, &ids);
    assert_eq!(cleared[1], cleared[0] + 1);
}

/// L1, T26: whatever an auction is like, what it admits can be opened and cleared in time.
#[test]
fn no_auction_takes_in_more_than_can_be_opened_and_cleared() {
    let mut scenario = Scenario::default();
    for (units, max_entries) in [
        (1, 1),
        (1, 64),
        (4096, 1),
        (4096, 64),
        (1024, 32),
        (1025, 32),
    ] {
        let mut spec = small();
        spec.tasks = (0..u32::max(1, units / MAX_QUANTITY))
            .map(|n| task(&format!("t{n}"), 0, 100, units.min(MAX_QUANTITY)))
            .collect();
        spec.tasks[0].quantity += units % MAX_QUANTITY * u32::from(units > MAX_QUANTITY);
        spec.max_entries = max_entries;
        if spec.tasks[0].quantity > MAX_QUANTITY {
            spec.tasks[0].quantity = MAX_QUANTITY;
            spec.tasks.push(task("rest", 0, 100, units % MAX_QUANTITY));
        }
        assert_eq!(spec.tasks.iter().map(|t| t.quantity).sum::<u32>(), units);
        let id = scenario.open(spec);
        let auction = scenario.state.auction(&id).unwrap();
        let cap = auction.bid_cap(scenario.state.rules().open_budget);
        let (entries, units) = (cap * usize::from(max_entries), units as usize);
        assert!(cap > 0 && cap * auction.keys.len() <= 65_536);
        assert!(entries <= MAX_AUCTION_ENTRIES && entries * units <= MAX_CLEARING_WORK);
        let one_more = entries + usize::from(max_entries);
        let bound = (cap + 1) * auction.keys.len() > 65_536
            || one_more > MAX_AUCTION_ENTRIES
            || one_more * units > MAX_CLEARING_WORK;
        assert!(
            bound,
            "{units} units of {max_entries}: no less than it could"
        );
        scenario.clear(&id);
    }
}

/// L1: the bound holds in blocks, not only in the pool: the bid that is one too many is refused where it stands.
#[test]
fn the_bid_that_could_not_be_cleared_in_time_is_refused() {
    let mut spec = small();
    spec.tasks = (0..MAX_UNITS / MAX_QUANTITY)
        .map(|n| task(&format!("t{n}"), 0, 100, MAX_QUANTITY))
        .collect();
    spec.max_entries = MAX_ENTRIES;
    let mut scenario = Scenario::default();
    let id = scenario.open(spec);
    let cap = scenario.state.auction(&id).unwrap().bid_cap(65_536);
    for agent in 0..cap {
        let bid = bid(&scenario, id, agent);
        scenario.submit(&bid);
    }
    scenario.step();
    assert_eq!(scenario.state.auction(&id).unwrap().bids.len(), cap);
    let refused = scenario.predict(&bid(&scenario, id, cap)).unwrap_err();
    assert_eq!(refused, Refusal::BidLimit { auction: id, cap });
}

/// L1: thousands of bids are open and the market is cleared before the block that needs it, which then looks both up; with and without, it comes to
/// the same. `TENDER_OPENINGS=10000 cargo test -p tender-auction --test ahead thousands -- --nocapture` says what each step took.
#[test]
fn thousands_of_bids_are_opened_ahead_of_their_block_and_change_nothing() {
    let count: usize = std::env::var("TENDER_OPENINGS").map_or(300, |n| n.parse().unwrap());
    let timed = |what: &str, began: std::time::Instant| {
        println!("{what:32} {:6} ms", began.elapsed().as_millis());
    };
    let mut spec = small();
    spec.tasks = (0..64)
        .map(|n| task(&format!("t{n}"), 0, 10_000, 4))
        .collect();
    spec.max_entries = 3;
    spec.windows.bidding = u32::try_from(count.div_ceil(256) + 8).unwrap();
    spec.lease_end.0 += 3600;
    let mut scenario = Scenario::default();
    let id = scenario.open(spec);
    let began = std::time::Instant::now();
    let bids: Vec<_> = (0..count).map(|n| bid(&scenario, id, n)).collect();
    timed("bids made", began);
    for part in bids.chunks(256) {
        for bid in part {
            scenario.submit(bid);
        }
        let began = std::time::Instant::now();
        scenario.step();
        timed("a block of 256 bids, both halves", began);
    }
    assert_eq!(scenario.state.auction(&id).unwrap().bids.len(), count);
    let opened = |phase: &Phase| {
        matches!(
            phase,
            Phase::Reveal {
                opened: Some(_),
                ..
            }
        )
    };
    scenario.step_until(&id, opened);
    // A peer that looks ahead, and one that does not.
    let ahead = Scenario::new(scenario.market.genesis().clone());
    let behind = Scenario::new(scenario.market.genesis().clone());
    let began = std::time::Instant::now();
    let due = ahead.market.due_openings(&scenario.state);
    assert_eq!(due.len(), count);
    // In any order.
    due.iter()
        .rev()
        .for_each(|bid| ahead.market.open_ahead(bid));
    timed("opened", began);
    assert!(ahead.market.due_openings(&scenario.state).is_empty());
    let began = std::time::Instant::now();
    ahead.market.clear_ahead(&scenario.state);
    timed("cleared", began);
    while !scenario.state.auction(&id).is_some_and(|it| {
        matches!(it.phase, Phase::Reveal { opened: Some(at), .. } if at < scenario.context().height)
    }) {
        scenario.step();
    }
    let context = scenario.context();
    let began = std::time::Instant::now();
    let payload = ahead.market.propose(&scenario.state, &context, &[]);
    timed("proposed by who looked ahead", began);
    let began = std::time::Instant::now();
    let fast = ahead
        .market
        .execute(&scenario.state, &context, &payload)
        .unwrap();
    timed("executed by who looked ahead", began);
    let began = std::time::Instant::now();
    let slow = behind
        .market
        .execute(&scenario.state, &context, &payload)
        .unwrap();
    timed("executed by who did not", began);
    assert_eq!(fast.state_root, slow.state_root);
    assert_eq!(fast.outcome_root, slow.outcome_root);
    assert!(fast.outcome.records.len() > count);
}
