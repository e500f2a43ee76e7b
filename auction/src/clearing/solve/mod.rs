//! The solver: the canonical optimum of a market, and its least duals.
//!
//! ```text
//! market ──► money (i64): auction, augmenting paths ──► least duals ──► tight entries ──► ties (h): the same engine, on what is left open
//!                                                                             │                               │
//!                                                                             └──► setters ◄── the optimum ◄──┘
//! ```
//!
//! Invariant: nothing here decides what the result is, only how fast it is found; the parent's documentation defines it, and the checker judges it.
//! Bounds: those of [`Market`]; integers only; all room is kept in a [`Workspace`] for the next run.

// Positions and counts below the bounds of a market.
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod assignment;
mod auction;
mod duals;
mod hint;
mod paths;
mod problem;
mod ties;

pub(crate) use problem::NONE;

use super::{ClearingError, MAX_NONCES, Market, tie::TieKey};
use assignment::{Assignment, Holder};
use duals::Tight;
use problem::{Problem, TooWide, Weight};
use tender_wire::Digest;
use ties::Ties;

/// Room for solving, kept from one market to the next.
#[derive(Debug, Default)]
pub struct Workspace {
    worth: Vec<i64>,
    slots: Vec<u32>,
    units: Vec<u32>,
    money: Assignment<i64>,
    tight: Tight<i64>,
    ties: Ties,
}

/// The canonical optimum of a market: what a witness says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Optimum {
    /// Least nonce with a unique optimum.
    pub(super) nonce: u32,
    /// Entries that won, task by task, ascending.
    pub(super) winners: Vec<u32>,
    /// Where each task's are, and their number at the end.
    pub(super) winner_starts: Vec<u32>,
    /// Per task whose least dual is positive, the least entry that lost it and is worth exactly that: what sets its price. Ascending.
    pub(super) setters: Vec<u32>,
    /// Entries that won, bid by bid: ascending, but where a bid has used all its slots the one it profits least from comes first.
    pub(super) by_bid: Vec<u32>,
}

impl Optimum {
    fn new(
        nonce: u32,
        problem: &Problem<'_, i64>,
        money: &Assignment<i64>,
        (setters, by_bid): (Vec<u32>, Vec<u32>),
    ) -> Optimum {
        let mut winners = Vec::with_capacity(problem.bid_count());
        let mut winner_starts = Vec::with_capacity(problem.task_count() + 1);
        winner_starts.push(0);
        for task in 0..problem.task_count() {
            let first = winners.len();
            let units = money.filled_units(problem, task);
            winners.extend(units.map(|unit| money.holders[unit as usize].entry));
            winners[first..].sort_unstable();
            winner_starts.push(winners.len() as u32);
        }
        Optimum {
            nonce,
            winners,
            winner_starts,
            setters,
            by_bid,
        }
    }

    /// Entries that won each task, by position.
    pub(super) fn by_task(&self) -> impl Iterator<Item = &[u32]> {
        let ends = self.winner_starts.windows(2);
        ends.map(|ends| &self.winners[ends[0] as usize..ends[1] as usize])
    }
}

impl<W: Weight> Assignment<W> {
    /// From nothing to the optimum.
    fn optimise(&mut self, problem: &Problem<'_, W>) -> Result<(), TooWide> {
        let offers = auction::ROUNDS * problem.bid_count();
        self.auction(problem, W::ZERO, offers);
        if self.always_hint || self.left.len() > problem.bid_count() / hint::LEFT_ONE_OF {
            self.hint(problem);
            self.auction(problem, W::ZERO, offers);
        }
        #[cfg(test)]
        self.assert_sound(problem, "the auction");
        self.offer_left(problem)?;
        self.fill_spare(problem)?;
        #[cfg(test)]
        self.assert_sound(problem, "the searches");
        Ok(())
    }
}

impl Workspace {
    /// The optimum of `market` under the least nonce that makes it unique, with `bits` of tie-breaking hash.
    pub(super) fn solve(
        &mut self,
        market: &Market,
        seed: &Digest,
        bits: u32,
    ) -> Result<Optimum, ClearingError> {
        self.solve_money(market);
        let problem = problem(market, &self.worth, &self.slots, &self.units);
        let money = &mut self.money;
        for nonce in 0..MAX_NONCES {
            let key = TieKey::new(seed, nonce, bits);
            if !self.ties.solve(market, &key) {
                continue;
            }
            if self.ties.apply(&problem, money) {
                self.tight.find(&problem, money);
            }
            let explained = self
                .ties
                .explain(market, &key, &problem, money, &self.tight);
            return Ok(Optimum::new(nonce, &problem, money, explained));
        }
        Err(ClearingError::NoUniqueOptimum { tried: MAX_NONCES })
    }

    /// The greatest surplus, its least duals, and the problem that ties leave.
    fn solve_money(&mut self, market: &Market) {
        self.load(market);
        let problem = problem(market, &self.worth, &self.slots, &self.units);
        let money = &mut self.money;
        money.reset(&problem);
        // Duals of money are at most a worth: far below the limit.
        let _ = money.optimise(&problem);
        money.minimise(&problem);
        self.tight.find(&problem, money);
        let any = self.tight.find_live(&problem, money);
        self.ties.collect(&problem, money, &self.tight, any);
    }

    /// Has every run begin from a hint.
    #[cfg(test)]
    pub(super) fn always_hint(&mut self) {
        self.money.always_hint = true;
        self.ties.always_hint();
    }

    /// Whether the market has a unique optimum under `nonce`.
    pub(super) fn is_unique(
        &mut self,
        market: &Market,
        seed: &Digest,
        nonce: u32,
        bits: u32,
    ) -> bool {
        self.solve_money(market);
        self.ties.solve(market, &TieKey::new(seed, nonce, bits))
    }

    /// Takes over a checked assignment, its entries by bid, and the least duals of its tasks: as if this had solved the market's money.
    pub(super) fn take_over<'a>(
        &mut self,
        market: &Market,
        won: impl Iterator<Item = &'a [u32]>,
        dual: impl Fn(usize) -> i64,
    ) {
        self.load(market);
        let problem = problem(market, &self.worth, &self.slots, &self.units);
        let money = &mut self.money;
        money.reset(&problem);
        for (task, place) in money.duals.iter_mut().enumerate() {
            *place = dual(task);
        }
        for (bid, entries) in (0u32..).zip(won) {
            for &entry in entries {
                let task = problem.task(entry);
                let filled = money.filled[task];
                money.set_unit(problem.units[task] + filled, Holder { bid, entry });
                money.set_filled(task, filled + 1);
            }
            money.set_used(bid, entries.len() as u32);
        }
    }

    /// Lays out the market as a problem in money.
    fn load(&mut self, market: &Market) {
        self.worth.clear();
        self.worth.reserve(market.entry_count());
        self.slots.clear();
        self.units.clear();
        self.units.resize(market.tasks().len() + 1, 0);
        let bids = market.slots().iter().zip(market.bonuses());
        for (bid, (slots, bonus)) in bids.enumerate() {
            let range = market.entries_of(bid);
            self.slots.push((*slots).min(range.len() as u32));
            let prices = &market.entry_prices()[range.clone()];
            for (task, price) in market.entry_tasks()[range].iter().zip(prices) {
                let about = market.tasks()[*task as usize];
                let surplus = (about.reserve.0 + bonus - price) as i64; // at most 2·10^15
                // What nobody wants is worth less than nothing.
                self.worth
                    .push(if about.quantity == 0 { -1 } else { surplus });
                self.units[*task as usize] += 1;
            }
        }
        let mut end = 0;
        for (units, task) in self.units.iter_mut().zip(market.tasks()) {
            let quantity = task.quantity.min(*units);
            *units = end;
            end += quantity;
        }
        if let Some(last) = self.units.last_mut() {
            *last = end;
        }
    }

    /// Reserve and bonus less price of an entry, as last laid out.
    pub(super) fn surplus(&self, entry: u32) -> u64 {
        self.worth[entry as usize] as u64 // never negative
    }

    /// Entries that these bids won, ascending.
    pub(super) fn won_by(&self, market: &Market, bids: &[u32], won: &mut Vec<u32>) {
        won.clear();
        for bid in bids {
            let entries = market.entries_of(*bid as usize);
            let entries = entries.filter(|entry| self.money.unit_of[*entry] != NONE);
            won.extend(entries.map(|entry| entry as u32));
        }
    }

    /// What a bid with a single slot won, or [`NONE`], with the worth of that slot; `None` for bids with more.
    pub(super) fn only_slot(&self, market: &Market, bid: u32) -> Option<(u32, u64)> {
        match (self.slots[bid as usize], self.money.used[bid as usize]) {
            (_, 0) => Some((NONE, 0)),
            (1, _) => {
                let entry = self.money.held[bid as usize];
                let worth = self.money.gain(
                    &problem(market, &self.worth, &self.slots, &self.units),
                    entry,
                );
                Some((entry, worth as u64)) // never negative
            }
            _ => None,
        }
    }

    /// How much total surplus falls when the bidder with these bids, who won these entries, is taken out: `V − V₋ᵢ`.
    pub(super) fn contribution(&mut self, market: &Market, bids: &[u32], won: &[u32]) -> u128 {
        let problem = problem(market, &self.worth, &self.slots, &self.units);
        let money = &mut self.money;
        money.list_by_task(&problem);
        money.begin();
        let mut fall = 0i128;
        for entry in won {
            money.vacate(&problem, money.unit_of[*entry as usize]);
            fall += i128::from(problem.worth[*entry as usize]);
        }
        for entry in won {
            let barred = |bid| bids.binary_search(&bid).is_ok();
            let gained = money.fill_unit(&problem, problem.task(*entry), barred);
            if let Ok(Some(gained)) = gained {
                fall -= i128::from(gained);
            }
        }
        money.roll_back();
        u128::try_from(fall).unwrap_or(0) // its bids only add choices
    }
}

/// A market in money, as laid out.
fn problem<'a>(
    market: &'a Market,
    worth: &'a [i64],
    slots: &'a [u32],
    units: &'a [u32],
) -> Problem<'a, i64> {
    Problem {
        starts: market.starts(),
        tasks: market.entry_tasks(),
        worth,
        slots,
        units,
        full_bids: &[],
        full_tasks: &[],
    }
}
