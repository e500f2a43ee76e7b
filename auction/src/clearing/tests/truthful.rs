//! Under VCG no misreport of one bidder pays, within one market. The same search finds one that does under rules that are
//! not truthful, so it can fail.

use super::markets::{Draw, Row, Rows, bid_id, seed, small};
use crate::clearing::{Clearing, Market, MarketBid, PaymentRule, clear};
use std::collections::BTreeMap;
use tender_wire::{Price, PublicKey};

/// What one clearing pays, by award.
type Pay = fn(&Clearing) -> Vec<u64>;

fn as_cleared(clearing: &Clearing) -> Vec<u64> {
    clearing.awards.iter().map(|a| a.payment.0).collect()
}

/// Wrong on purpose: every winner of a task gets its highest winning price.
fn uniform(clearing: &Clearing) -> Vec<u64> {
    let mut highest = BTreeMap::new();
    for award in &clearing.awards {
        let price = highest.entry(award.task).or_insert(0);
        *price = award.price.0.max(*price);
    }
    clearing.awards.iter().map(|a| highest[&a.task]).collect()
}

/// What a bidder takes home: payments less its true costs.
fn utility(
    market: &Market,
    costs: &BTreeMap<u32, u64>,
    bidder: &PublicKey,
    rule: PaymentRule,
    pay: Pay,
    number: u64,
) -> i128 {
    let clearing = clear(market, &seed(number), rule).unwrap().1;
    let own = |bid: usize| market.bidders()[bid] == *bidder;
    let paid = clearing.awards.iter().zip(pay(&clearing));
    paid.filter(|(award, _)| own(award.bid))
        .map(|(award, payment)| i128::from(payment) - i128::from(costs[&award.task]))
        .sum()
}

/// `bid` with true costs, kept to what the market takes: nothing above a reserve.
fn truthful(market: &Rows, bid: &MarketBid, costs: &BTreeMap<u32, u64>) -> Row {
    let priced = market
        .tasks
        .iter()
        .filter_map(|t| Some((t.id, Price(*costs.get(&t.id)?), t.reserve)));
    let within = priced.filter(|(_, p, r)| p.0 <= r.0 + bid.bonus);
    (*bid, within.map(|(t, p, _)| (t, p)).collect())
}

/// A misreport: prices raised, lowered or dropped, and sometimes the bid split in two of the same bidder.
fn misreport(
    draw: &mut Draw,
    market: &Rows,
    bid: &MarketBid,
    costs: &BTreeMap<u32, u64>,
) -> Vec<Row> {
    let mut parts = [*bid, *bid].map(|bid| (bid, Vec::new()));
    parts[1].0.bid_id = bid_id(draw.next());
    let split = bid.slots > 1 && draw.below(3) == 0;
    if split {
        parts[1].0.slots = 1 + draw.below(u64::from(bid.slots) - 1) as u32;
        parts[0].0.slots -= parts[1].0.slots;
    }
    for task in &market.tasks {
        let Some(&cost) = costs.get(&task.id) else {
            continue;
        };
        let price = match draw.below(4) {
            0 => continue,
            1 => cost,
            2 => 1 + draw.below(cost),
            _ => cost + draw.below(task.reserve.0),
        };
        if price <= task.reserve.0 + bid.bonus {
            let part = usize::from(split && draw.below(2) == 0);
            parts[part].1.push((task.id, Price(price)));
        }
    }
    parts.into_iter().take(1 + usize::from(split)).collect()
}

/// Misreports that pay, among `markets` times 8.
fn profitable(rule: PaymentRule, pay: Pay, markets: u64) -> u32 {
    let mut draw = Draw(6);
    let mut found = 0;
    for number in 0..markets {
        let mut market = small(&mut draw);
        let bid = draw.below(market.bids.len() as u64) as usize;
        let bidder = PublicKey([200; 32]);
        // The true type: one bid of one bidder, some costs above the reserve.
        let costs: BTreeMap<u32, u64> = market
            .tasks
            .iter()
            .filter(|_| draw.below(4) > 0)
            .map(|t| (t.id, 1))
            .collect();
        let costs: BTreeMap<u32, u64> = costs
            .into_keys()
            .map(|id| {
                let reserve = market.tasks.iter().find(|t| t.id == id).unwrap().reserve.0;
                (id, 1 + draw.below(reserve + reserve / 2))
            })
            .collect();
        market.bids[bid].0.bidder = bidder;
        let (own, _) = market.bids.remove(bid);
        let with = |bids: Vec<Row>| {
            let mut market = market.clone();
            market.bids.extend(bids);
            market.bids.sort_by_key(|(b, _)| b.bid_id);
            utility(&market.market(), &costs, &bidder, rule, pay, number)
        };
        let honest = with(vec![truthful(&market, &own, &costs)]);
        assert!(honest >= 0, "a truthful bidder lost money");
        for _ in 0..8 {
            let lie = misreport(&mut draw, &market, &own, &costs);
            found += u32::from(with(lie) > honest);
        }
    }
    found
}

#[test]
fn no_misreport_pays_under_vcg() {
    assert_eq!(profitable(PaymentRule::Vcg, as_cleared, 2000), 0);
}

#[test]
fn the_same_search_catches_rules_that_are_not_truthful() {
    assert!(profitable(PaymentRule::PayAsBid, uniform, 500) > 20);
    assert!(profitable(PaymentRule::PayAsBid, as_cleared, 500) > 20);
}
