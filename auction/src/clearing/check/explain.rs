//! What a witness says beside who won: what a unit of each task goes for, and who sets that.

// Every index below is a position that the checked market holds.
#![allow(clippy::indexing_slicing)]

use super::{
    assignment::{Assignment, NONE},
    prices::Prices,
};
use crate::clearing::{Market, Witness};
use tender_wire::Price;

/// What a unit of a task goes for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskPrice {
    /// The reserve less the least dual of the task, in money; zero where that is below, so that only a bonus could have won.
    /// No bid with a free slot asks less, its bonus taken off, and lost.
    pub price: Price,
    /// Position of the bid that sets it, and would serve a unit if a winner were not there; nobody where the reserve does.
    pub set_by: Option<usize>,
}

/// The prices of the tasks, by position, from a witness that [`super::check()`] accepts; none from another.
pub fn task_prices(market: &Market, witness: &Witness) -> Vec<TaskPrice> {
    let Witness::V2 { won, setters, .. } = witness else {
        return Vec::new();
    };
    let (mut assignment, mut prices) = (Assignment::default(), Prices::default());
    let read = assignment.read(market, won, setters);
    if read
        .and_then(|()| prices.follow(market, &assignment))
        .is_err()
    {
        return Vec::new();
    }
    let tasks = prices.of.iter().zip(&assignment.steps);
    let prices = tasks.map(|(price, step)| TaskPrice {
        price: Price(u64::try_from(*price).unwrap_or(0)),
        set_by: (step.setter != NONE).then_some(step.bid as usize),
    });
    prices.collect()
}

/// Per bid, whether it is all that its bidder offers, and sells one slot: such a winner is paid the price of its task and its bonus.
pub fn one_slot_bids(market: &Market) -> Vec<bool> {
    let slots = market.slots().iter().enumerate();
    let mut alone: Vec<bool> = slots
        .map(|(bid, slots)| market.entries_of(bid).len().min(*slots as usize) <= 1)
        .collect();
    for bids in market.shared_bids() {
        bids.iter().for_each(|bid| alone[*bid as usize] = false);
    }
    alone
}
