//! The second component: what is equal in money is decided by `h`.
//!
//! Only entries that are equal in money are hashed, and of the tasks only those whose `h` some such entry asks for, with the chains behind them. In
//! a market of many prices that is next to nothing.

// Every index below is an entry that `assignment` compared with the market's, or a position that the checked market holds.
#![allow(clippy::indexing_slicing)]

use super::{
    assignment::{Assignment, NONE, Step},
    conditions::{Open, Tie, not_optimal},
    prices::Prices,
    unique,
};
use crate::clearing::{
    CheckError, Market,
    tie::{BidTies, TieKey},
};
use std::cmp::Ordering;

/// The `h` of prices.
#[derive(Default)]
pub(super) struct Ties {
    needed: Vec<bool>,
    /// The second component of each task's dual, where it is needed: a sum of at most 2^21 hashes, so within ±2^77.
    duals: Vec<i128>,
    /// Tight entries besides setters and marginal units, as arcs of [`unique`].
    arcs: Vec<(u32, u32)>,
}

/// What the pass over the entries was given and has found.
#[derive(Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) market: &'a Market,
    pub(super) assignment: &'a Assignment,
    pub(super) prices: &'a Prices,
    pub(super) open: &'a Open,
}

impl Ties {
    /// Decides everything that money left open.
    ///
    /// # Errors
    /// [`CheckError`], the first condition that fails.
    pub(super) fn check(&mut self, found: Found<'_>, key: &TieKey) -> Result<(), CheckError> {
        if found.open.is_empty() && found.prices.at_reserve.is_empty() {
            return Ok(());
        }
        self.mark(found);
        self.follow(found, key);
        self.arcs.clear();
        self.check_duals(found, key)?;
        self.check_won(found, key)?;
        self.check_lost(found, key)?;
        // Setters and marginal units alone are a forest.
        if !self.arcs.is_empty() && !unique::is_acyclic(found, &self.arcs) {
            return Err(CheckError::NotUnique);
        }
        Ok(())
    }

    /// Marks the tasks that the open entries are compared by, and those their prices follow from.
    fn mark(&mut self, found: Found<'_>) {
        let Found {
            market,
            assignment,
            prices,
            open,
        } = found;
        self.needed.clear();
        self.needed.resize(market.tasks().len(), false);
        let mut mark = |entry: u32| {
            if let Some(task) = market.entry_tasks().get(entry as usize) {
                self.needed[*task as usize] = true;
            }
        };
        for tie in open.lost.iter().chain(&open.won) {
            mark(tie.entry);
            mark(assignment.roles[tie.bid as usize].marginal);
        }
        for bid in &open.worthless {
            mark(assignment.roles[*bid as usize].marginal);
        }
        for task in &prices.at_reserve {
            self.needed[*task as usize] = true;
        }
        for task in prices.order.iter().rev() {
            let parent = assignment.steps[*task as usize].parent;
            if parent != NONE && self.needed[*task as usize] {
                self.needed[parent as usize] = true;
            }
        }
    }

    /// Finds the duals of the marked tasks.
    fn follow(&mut self, found: Found<'_>, key: &TieKey) {
        let steps = &found.assignment.steps;
        self.duals.clear();
        self.duals.resize(steps.len(), 0);
        for task in &found.prices.order {
            if self.needed[*task as usize] {
                let Step { setter, bid, .. } = steps[*task as usize];
                let ties = key.of_bid(&found.market.bid_ids()[bid as usize]);
                let dual = self
                    .h(found, &ties, setter)
                    .wrapping_sub(self.worth(found, &ties, bid));
                self.duals[*task as usize] = dual;
            }
        }
    }

    /// `h` of an entry.
    fn h(&self, found: Found<'_>, ties: &BidTies, entry: u32) -> i128 {
        let task = found.market.entry_tasks()[entry as usize] as usize;
        i128::from(ties.h(found.market.tasks()[task].id))
    }

    /// What a winning entry leaves its bid.
    fn profit(&self, found: Found<'_>, ties: &BidTies, entry: u32) -> i128 {
        let task = found.market.entry_tasks()[entry as usize] as usize;
        self.h(found, ties, entry).wrapping_sub(self.duals[task])
    }

    /// The worth of a bid's slot.
    fn worth(&self, found: Found<'_>, ties: &BidTies, bid: u32) -> i128 {
        match found.assignment.roles[bid as usize].marginal {
            NONE => 0,
            unit => self.profit(found, ties, unit),
        }
    }

    /// Prices set are below the reserve, and slots sold out are worth something.
    fn check_duals(&self, found: Found<'_>, key: &TieKey) -> Result<(), CheckError> {
        for task in &found.prices.at_reserve {
            if self.duals[*task as usize] <= 0 {
                let task = found.market.tasks()[*task as usize].id;
                return Err(CheckError::TaskPrice { task });
            }
        }
        for &bid in &found.open.worthless {
            let ties = key.of_bid(&found.market.bid_ids()[bid as usize]);
            match self.worth(found, &ties, bid).cmp(&0) {
                Ordering::Less => {
                    let unit = found.assignment.roles[bid as usize].marginal;
                    return Err(not_optimal(found.market, bid as usize, unit));
                }
                Ordering::Equal => return Err(CheckError::NotUnique),
                Ordering::Greater => {}
            }
        }
        Ok(())
    }

    fn check_won(&mut self, found: Found<'_>, key: &TieKey) -> Result<(), CheckError> {
        for &Tie { entry, bid } in &found.open.won {
            let ties = key.of_bid(&found.market.bid_ids()[bid as usize]);
            let role = found.assignment.roles[bid as usize];
            let leaves = self.profit(found, &ties, entry);
            match leaves.cmp(&self.worth(found, &ties, bid)) {
                Ordering::Less if role.marginal == NONE => {
                    return Err(not_optimal(found.market, bid as usize, entry));
                }
                Ordering::Less => return Err(CheckError::Marginal { bid }),
                // A unit that could be given up for nothing.
                Ordering::Equal if role.marginal == NONE => return Err(CheckError::NotUnique),
                Ordering::Equal if entry < role.marginal => {
                    return Err(CheckError::Marginal { bid });
                }
                Ordering::Equal => self.arcs.push(unique::left(found, bid, entry)),
                Ordering::Greater => {}
            }
        }
        Ok(())
    }

    fn check_lost(&mut self, found: Found<'_>, key: &TieKey) -> Result<(), CheckError> {
        let (market, assignment) = (found.market, found.assignment);
        for ties in found.open.lost.chunk_by(|a, b| a.bid == b.bid) {
            let Some(&Tie { bid, .. }) = ties.first() else {
                continue;
            };
            let hashes = key.of_bid(&market.bid_ids()[bid as usize]);
            let worth = self.worth(found, &hashes, bid);
            for &Tie { entry, .. } in ties {
                let task = market.entry_tasks()[entry as usize] as usize;
                match self.profit(found, &hashes, entry).cmp(&worth) {
                    Ordering::Less => {}
                    Ordering::Greater => return Err(not_optimal(market, bid as usize, entry)),
                    // A spare unit that could be sold for nothing.
                    Ordering::Equal if assignment.spare[task] > 0 => {
                        return Err(CheckError::NotUnique);
                    }
                    Ordering::Equal => {
                        let setter = assignment.steps[task].setter;
                        if setter != NONE && entry < setter {
                            let task = market.tasks()[task].id;
                            return Err(CheckError::NotFirstSetter { task });
                        }
                        self.arcs.extend(unique::taken(found, bid, entry));
                    }
                }
            }
        }
        Ok(())
    }
}
