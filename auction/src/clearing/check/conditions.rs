//! The one pass over the entries: complementary slackness in money.
//!
//! With the price of its task, an entry leaves its bid `profit = price + bonus − asked`. The *worth* of a bid's slot is 0 if one is free, else what its
//! marginal unit leaves. No losing entry may leave more than the worth, no winning one less. Both sides carry the bid's bonus, so what is compared
//! is `price − asked` with `worth − bonus`, the bid's *margin*.
//!
//! The loop over a bid's entries has no branches: it keeps the greatest difference, and the numbers of the entries that reach the margin. The
//! marginal unit and the setters reach it because prices are made so ([`super::prices`]). If they are all that reach it, as in most bids, the bid is done.
//! Other entries that are equal in money are left to [`super::ties`].

// Every index below is an entry that `assignment` compared with the market's, or a position that the checked market holds.
#![allow(clippy::indexing_slicing)]

use super::{
    assignment::{Assignment, IDLE, NONE},
    prices::Prices,
};
use crate::clearing::{CheckError, Market};
use std::ops::Range;

/// An entry that money does not decide.
#[derive(Clone, Copy)]
pub(super) struct Tie {
    pub(super) entry: u32,
    pub(super) bid: u32,
}

/// What money leaves open.
#[derive(Default)]
pub(super) struct Open {
    /// Losing entries that leave the worth, no setters.
    pub(super) lost: Vec<Tie>,
    /// Winning entries that leave the worth, not marginal.
    pub(super) won: Vec<Tie>,
    /// Bids without a free slot whose worth is nothing in money.
    pub(super) worthless: Vec<u32>,
    /// Entries of the bid at hand that reach the margin.
    reached: Vec<u32>,
}

impl Open {
    pub(super) fn clear(&mut self) {
        self.lost.clear();
        self.won.clear();
        self.worthless.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lost.is_empty() && self.won.is_empty() && self.worthless.is_empty()
    }

    /// Checks a range of bids, and adds what money leaves open.
    ///
    /// # Errors
    /// [`CheckError`], of the first bid that breaks a condition.
    pub(super) fn check(
        &mut self,
        market: &Market,
        assignment: &Assignment,
        prices: &Prices,
        bids: Range<usize>,
    ) -> Result<(), CheckError> {
        for bid in bids {
            let role = assignment.roles[bid];
            let bonus = market.bonuses()[bid] as i64;
            let margin = match role.marginal {
                NONE => bonus.wrapping_neg(),
                unit if unit == IDLE.marginal => continue,
                unit => {
                    let margin = margin(market, prices, unit as usize);
                    let worth = margin.wrapping_add(bonus); // within ±2^53
                    if worth < 0 {
                        return Err(not_optimal(market, bid, unit));
                    }
                    if worth == 0 {
                        self.worthless.push(bid as u32);
                    }
                    margin
                }
            };
            let entries = market.entries_of(bid);
            if self.reached.len() < entries.len() {
                self.reached.resize(entries.len(), 0);
            }
            let tasks = &market.entry_tasks()[entries.clone()];
            let asked = &market.entry_prices()[entries.clone()];
            let (mut most, mut count) = (i64::MIN, 0usize);
            for (k, (task, asked)) in (0u32..).zip(tasks.iter().zip(asked)) {
                let leaves = prices.of[*task as usize].wrapping_sub(*asked as i64);
                most = most.max(leaves);
                self.reached[count] = k;
                count = count.wrapping_add(usize::from(leaves >= margin)); // at most k
            }
            let units = assignment.starts[bid.wrapping_add(1)].wrapping_sub(assignment.starts[bid]);
            let marginal = u32::from(role.marginal != NONE);
            let expected = role.sets.wrapping_add(units);
            if most <= margin && count == expected as usize && units == marginal {
                continue;
            }
            self.sort_out(market, assignment, prices, (bid, margin, units), count)?;
        }
        Ok(())
    }

    /// Looks at the entries of a bid that reach its margin, one by one.
    #[inline(never)]
    fn sort_out(
        &mut self,
        market: &Market,
        assignment: &Assignment,
        prices: &Prices,
        (bid, own, units): (usize, i64, u32),
        count: usize,
    ) -> Result<(), CheckError> {
        let first = market.starts()[bid];
        let mut won = 0u32;
        for k in &self.reached[..count] {
            let entry = first.wrapping_add(*k);
            let equal = margin(market, prices, entry as usize) == own;
            let tie = Tie {
                entry,
                bid: bid as u32,
            };
            if assignment.has_won(entry) {
                won = won.wrapping_add(1);
                if equal && entry != assignment.roles[bid].marginal {
                    self.won.push(tie);
                }
            } else if !equal {
                return Err(not_optimal(market, bid, entry));
            } else if !assignment.sets(entry) {
                self.lost.push(tie);
            }
        }
        if won == units {
            return Ok(());
        }
        if assignment.roles[bid].marginal != NONE {
            return Err(CheckError::Marginal { bid: bid as u32 });
        }
        let mut lost_on = market.entries_of(bid);
        let lost_on = lost_on.find(|e| {
            assignment.has_won(*e as u32) && margin(market, prices, *e) < own // worth less than its price
        });
        Err(not_optimal(market, bid, lost_on.unwrap_or(0) as u32))
    }
}

/// What an entry leaves its bid, less the bid's bonus.
#[inline]
fn margin(market: &Market, prices: &Prices, entry: usize) -> i64 {
    let price = prices.of[market.entry_tasks()[entry] as usize];
    price.wrapping_sub(market.entry_prices()[entry] as i64)
}

#[cold]
pub(super) fn not_optimal(market: &Market, bid: usize, entry: u32) -> CheckError {
    let task = market.entry_tasks()[entry as usize] as usize;
    CheckError::NotOptimal {
        task: market.tasks()[task].id,
        bid: bid as u32,
    }
}
