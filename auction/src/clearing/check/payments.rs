//! What the checked assignment pays.
//!
//! A bidder whose one bid sells one slot makes the worth of that slot (proof in [`super`]): it is paid the task's price and its bonus. Others are
//! taken out whole, and the units they leave are filled again ([`payment`]).

// Every index below is a position that the checked market holds.
#![allow(clippy::indexing_slicing)]

use super::{assignment::Assignment, prices::Prices, ties::Found};
use crate::clearing::{Award, Clearing, Market, PaymentRule, payment, solve::Workspace};
use tender_wire::Price;

/// Whether a winner is, or belongs to, a bidder of several slots or bids.
pub(super) fn has_larger_bidders(market: &Market, assignment: &Assignment) -> bool {
    let wins = |bid: usize| assignment.starts[bid] < assignment.starts[bid.wrapping_add(1)];
    let slots = market.slots().iter().zip(market.starts().windows(2));
    let mut slots = slots.map(|(slots, row)| *slots.min(&row[1].wrapping_sub(row[0])));
    let mut shared = market.shared_bids().flatten();
    shared.any(|bid| wins(*bid as usize))
        || (0..market.bid_count()).any(|bid| slots.next() > Some(1) && wins(bid))
}

/// Pays everybody by searches from the checked duals, where some bidder is larger.
pub(super) fn search(
    workspace: &mut Workspace,
    found: Found<'_>,
    won: &[u32],
    clearing: &mut Clearing,
) {
    let market = found.market;
    let bids = found.assignment.starts.windows(2);
    let units = bids.map(|ends| &won[ends[0] as usize..ends[1] as usize]);
    workspace.take_over(market, units, |task| {
        let about = &market.tasks()[task];
        match about.quantity {
            0 => 0,
            _ => (about.reserve.0 as i64).wrapping_sub(found.prices.of[task]), // below 2^52
        }
    });
    let shares = payment::shares_by_entry(workspace, market);
    for award in &mut clearing.awards {
        let task = market.task(award.task).map(|(position, _)| position);
        let entry = task.and_then(|task| market.entry_of(award.bid, task));
        let share = entry.map_or(0, |entry| shares[entry]);
        award.payment = Price(award.price.0.saturating_add(share)); // at most reserve and bonus
    }
}

/// The clearing of a checked witness, with the payments of bidders of one bid and one slot; under [`PaymentRule::PayAsBid`], all of them.
pub(super) fn clearing(
    market: &Market,
    assignment: &Assignment,
    prices: &Prices,
    (nonce, won): (u32, &[u32]),
    rule: PaymentRule,
) -> Clearing {
    let none = Award {
        task: 0,
        bid: 0,
        price: Price(0),
        payment: Price(0),
    };
    let mut awards = vec![none; won.len()];
    // Where the awards of each task go.
    let mut next = Vec::with_capacity(market.tasks().len());
    let mut filled = 0u32;
    for (task, spare) in market.tasks().iter().zip(&assignment.spare) {
        next.push(filled);
        filled = filled.wrapping_add(task.quantity.wrapping_sub(*spare)); // the units won, in all
    }
    let mut total_surplus = 0u128;
    for (bid, units) in assignment.starts.windows(2).enumerate() {
        let bonus = market.bonuses()[bid];
        for entry in &won[units[0] as usize..units[1] as usize] {
            let task = market.entry_tasks()[*entry as usize] as usize;
            let about = &market.tasks()[task];
            let price = market.entry_prices()[*entry as usize];
            let worth = about.reserve.0.saturating_add(bonus);
            total_surplus = total_surplus.saturating_add(worth.saturating_sub(price).into());
            let payment = match rule {
                PaymentRule::PayAsBid => price,
                // At least the price where the bid has one slot; others are paid later.
                PaymentRule::Vcg => prices.of[task].wrapping_add(bonus as i64) as u64,
            };
            awards[next[task] as usize] = Award {
                task: about.id,
                bid,
                price: Price(price),
                payment: Price(payment),
            };
            next[task] = next[task].wrapping_add(1);
        }
    }
    Clearing {
        nonce,
        awards,
        total_surplus,
    }
}
