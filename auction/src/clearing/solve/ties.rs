//! Ties: which of the assignments that are equal in money is greatest in `h`, and whether it is the only one.
//!
//! All assignments of greatest surplus satisfy complementary slackness with the same duals: an entry worth more than `u + v` wins in all of them, one
//! worth less in none. What may differ are the tight entries, and of those only what an exchange may pass through ([`Tight::find_live`]). They make a problem
//! of their own, with `h` for worth: a bid whose slots are worth money must use all of them, a task whose units are must fill all. It is
//! empty or small where money decides, and it has the same form; so the same engine solves it.
//!
//! The duals of both parts, side by side, are duals of the pair `(surplus, h)`. Least in money, then least in `h`, they are the
//! least of all.

// Positions and counts below the bounds of a market, which the caller keeps; weights go through `Weight`.
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{
    assignment::{Assignment, Holder},
    duals::Tight,
    problem::{NONE, Problem, TooWide, Weight},
};
use crate::clearing::{Market, tie::TieKey};

/// The problem that money leaves open, and the room to solve it.
#[derive(Debug, Default)]
pub(super) struct Ties {
    /// Number of each task of the market here; [`NONE`] if it is not.
    number: Vec<u32>,
    /// Bids and tasks of the market, by number here.
    bids: Vec<u32>,
    tasks: Vec<u32>,
    /// Entries of the market, by number here.
    entries: Vec<u32>,
    starts: Vec<u32>,
    entry_tasks: Vec<u32>,
    slots: Vec<u32>,
    units: Vec<u32>,
    full_bids: Vec<bool>,
    full_tasks: Vec<bool>,
    h: Vec<i64>,
    wide_h: Vec<i128>,
    narrow: Assignment<i64>,
    narrow_tight: Tight<i64>,
    wide: Assignment<i128>,
    wide_tight: Tight<i128>,
    /// The last solution did not fit the narrow type.
    is_wide: bool,
    /// The part of a task's dual that is in `h`, where it is known.
    duals: Vec<Option<i128>>,
    stack: Vec<u32>,
}

impl Ties {
    /// Takes out what money leaves open. The duals of `money` are least, `tight` is of them, and its live parts are marked.
    pub(super) fn collect(
        &mut self,
        problem: &Problem<'_, i64>,
        money: &Assignment<i64>,
        tight: &Tight<i64>,
        any: bool,
    ) {
        for list in [
            &mut self.bids,
            &mut self.tasks,
            &mut self.entries,
            &mut self.starts,
            &mut self.entry_tasks,
            &mut self.slots,
            &mut self.units,
            &mut self.number,
        ] {
            list.clear();
        }
        self.full_bids.clear();
        self.full_tasks.clear();
        self.starts.push(0);
        self.units.push(0);
        if !any {
            return;
        }
        self.number.resize(problem.task_count(), NONE);
        let mut lost = tight.lost.iter().peekable();
        for bid in 0..problem.bid_count() as u32 {
            let before = self.entries.len();
            let mut won = 0;
            let is_live = tight.live_bids[bid as usize];
            while let Some((_, entry)) = lost.next_if(|(loser, _)| *loser == bid) {
                if is_live && tight.live_tasks[problem.task(*entry)] {
                    self.entries.push(*entry);
                }
            }
            if is_live && money.used[bid as usize] > 0 {
                for entry in problem.entries(bid) {
                    if money.unit_of[entry] != NONE
                        && tight.is_live_winner(problem, money, bid, entry as u32)
                    {
                        self.entries.push(entry as u32);
                        won += 1;
                    }
                }
            }
            if self.entries.len() == before {
                continue;
            }
            self.entries[before..].sort_unstable();
            self.bids.push(bid);
            let free = problem.slots[bid as usize] - money.used[bid as usize];
            self.slots.push(won + free);
            self.full_bids.push(tight.slot_worths[bid as usize] > 0);
            for entry in &self.entries[before..] {
                let task = problem.task(*entry);
                if self.number[task] == NONE {
                    self.number[task] = self.tasks.len() as u32;
                    self.tasks.push(task as u32);
                }
                self.entry_tasks.push(self.number[task]);
            }
            self.starts.push(self.entries.len() as u32);
        }
        for &task in &self.tasks {
            let task = task as usize;
            let mut open = problem.capacity(task) - money.filled[task];
            for unit in money.filled_units(problem, task) {
                let Holder { bid, entry } = money.holders[unit as usize];
                open += u32::from(tight.is_live_winner(problem, money, bid, entry));
            }
            self.units.push(self.units.last().unwrap_or(&0) + open);
            self.full_tasks.push(money.duals[task] > 0);
        }
    }

    /// Solves it under `key`; whether the solution is the only one.
    pub(super) fn solve(&mut self, market: &Market, key: &TieKey) -> bool {
        self.h.clear();
        for (bid, ends) in self.bids.iter().zip(self.starts.windows(2)) {
            let id = &market.bid_ids()[*bid as usize];
            for entry in &self.entries[ends[0] as usize..ends[1] as usize] {
                let task = market.entry_tasks()[*entry as usize] as usize;
                self.h.push(key.h(id, market.tasks()[task].id) as i64); // at most 2^56
            }
        }
        let problem = Problem {
            starts: &self.starts,
            tasks: &self.entry_tasks,
            worth: &self.h,
            slots: &self.slots,
            units: &self.units,
            full_bids: &self.full_bids,
            full_tasks: &self.full_tasks,
        };
        if let Ok(unique) = optimum(&problem, &mut self.narrow, &mut self.narrow_tight) {
            self.is_wide = false;
            return unique;
        }
        self.is_wide = true;
        self.wide_h.clear();
        self.wide_h.extend(self.h.iter().map(|h| i128::from(*h)));
        let problem = Problem {
            starts: problem.starts,
            tasks: problem.tasks,
            worth: &self.wide_h[..],
            slots: problem.slots,
            units: problem.units,
            full_bids: problem.full_bids,
            full_tasks: problem.full_tasks,
        };
        // Sums of 2^20 weights of 2^56 do not reach the limit of this type.
        optimum(&problem, &mut self.wide, &mut self.wide_tight).unwrap_or(false)
    }

    #[cfg(test)]
    pub(super) fn always_hint(&mut self) {
        self.narrow.always_hint = true;
        self.wide.always_hint = true;
    }

    fn has_won(&self, entry: usize) -> bool {
        let unit_of = if self.is_wide {
            &self.wide.unit_of
        } else {
            &self.narrow.unit_of
        };
        unit_of[entry] != NONE
    }

    /// Puts the solution into the assignment of the market; whether that changes it.
    pub(super) fn apply(&self, problem: &Problem<'_, i64>, money: &mut Assignment<i64>) -> bool {
        let mut changes = false;
        for (number, entry) in self.entries.iter().enumerate() {
            let unit = money.unit_of[*entry as usize];
            if unit != NONE && !self.has_won(number) {
                money.vacate(problem, unit);
                changes = true;
            }
        }
        for (bid, ends) in self.bids.iter().zip(self.starts.windows(2)) {
            for number in ends[0] as usize..ends[1] as usize {
                let entry = self.entries[number];
                if money.unit_of[entry as usize] == NONE && self.has_won(number) {
                    let task = problem.task(entry);
                    let filled = money.filled[task];
                    money.set_filled(task, filled + 1);
                    money.set_used(*bid, money.used[*bid as usize] + 1);
                    let holder = Holder { bid: *bid, entry };
                    money.set_unit(problem.units[task] + filled, holder);
                    changes = true;
                }
            }
        }
        changes
    }

    /// What sets the prices, and what won, in the orders of [`super::Optimum`]. `tight` is of the final assignment.
    pub(super) fn explain(
        &mut self,
        market: &Market,
        key: &TieKey,
        problem: &Problem<'_, i64>,
        money: &Assignment<i64>,
        tight: &Tight<i64>,
    ) -> (Vec<u32>, Vec<u32>) {
        self.duals.clear();
        self.duals.resize(problem.task_count(), None);
        for (number, task) in self.tasks.iter().enumerate() {
            let dual = if self.is_wide {
                self.wide.duals[number]
            } else {
                i128::from(self.narrow.duals[number])
            };
            self.duals[*task as usize] = Some(dual);
        }
        let context = Context {
            market,
            key,
            problem,
            money,
            tight,
        };
        let setters = self.setters(&context);
        let by_bid = self.winners(&context);
        (setters, by_bid)
    }

    /// For every task with a positive dual, in money or in `h`, the least entry that lost it and is worth exactly that; ascending.
    fn setters(&mut self, context: &Context<'_>) -> Vec<u32> {
        let Context {
            problem,
            money,
            tight,
            ..
        } = *context;
        let mut setters = Vec::with_capacity(problem.task_count());
        for task in 0..problem.task_count() {
            let mut candidates = tight.of(task);
            let first = candidates.next();
            let setter = match first {
                Some((_, entry)) if money.duals[task] > 0 && tight.count(task) == 1 => Some(entry),
                Some(_) if !money.has_spare(problem, task) => {
                    let dual = self.dual(context, task);
                    let mut exact = tight.of(task).filter(|(bid, entry)| {
                        context.h(*bid, *entry) - self.slot_worth(context, *bid).unwrap_or(0)
                            == dual
                    });
                    let is_priced = money.duals[task] > 0 || dual > 0;
                    exact.next().filter(|_| is_priced).map(|(_, entry)| entry)
                }
                _ => None,
            };
            setters.extend(setter);
        }
        setters.sort_unstable();
        setters
    }

    /// Entries that won, bid by bid, the one that a full bid profits least from first.
    fn winners(&mut self, context: &Context<'_>) -> Vec<u32> {
        let Context {
            problem,
            money,
            tight,
            ..
        } = *context;
        let mut won = Vec::with_capacity(problem.bid_count());
        for bid in 0..problem.bid_count() as u32 {
            let used = money.used[bid as usize];
            if problem.slots[bid as usize] == 1 && used == 1 {
                won.push(money.held[bid as usize]);
                continue;
            }
            let first = won.len();
            let entries = problem.entries(bid);
            let entries = entries.filter(|entry| money.unit_of[*entry] != NONE);
            won.extend(entries.map(|entry| entry as u32));
            if used == 0 || used < problem.slots[bid as usize] {
                continue;
            }
            let worth = tight.slot_worths[bid as usize];
            let is_least = |entry: &u32| money.gain(problem, *entry) == worth;
            let least = won[first..].iter().filter(|entry| is_least(entry));
            let marginal = if least.clone().count() > 1 {
                let least: Vec<u32> = least.copied().collect();
                let profit = |this: &mut Self, entry: u32| {
                    let dual = this.dual(context, problem.task(entry));
                    context.h(bid, entry) - dual
                };
                let least = least.into_iter().map(|entry| (profit(self, entry), entry));
                least.min().map(|(_, entry)| entry)
            } else {
                least.copied().next()
            };
            let place = won[first..].iter().position(|e| Some(*e) == marginal);
            if let Some(place) = place {
                won[first..=first + place].rotate_right(1);
            }
        }
        won
    }

    /// The part of a task's least dual that is in `h`: what its best tight loser is worth beyond its own slot's worth.
    fn dual(&mut self, context: &Context<'_>, task: usize) -> i128 {
        self.stack.clear();
        self.stack.push(task as u32);
        while let Some(&top) = self.stack.last() {
            let top = top as usize;
            if self.duals[top].is_some() {
                self.stack.pop();
                continue;
            }
            if context.money.has_spare(context.problem, top) {
                self.duals[top] = Some(0);
                continue;
            }
            // Nothing below zero where there is no money to lose either.
            let mut dual = (context.money.duals[top] == 0).then_some(0);
            let mut is_known = true;
            for (bid, entry) in context.tight.of(top) {
                match self.slot_worth(context, bid) {
                    Ok(worth) => dual = dual.max(Some(context.h(bid, entry) - worth)),
                    Err(unknown) => {
                        self.stack.push(unknown);
                        is_known = false;
                        break;
                    }
                }
            }
            if is_known {
                self.duals[top] = Some(dual.unwrap_or(0));
                self.stack.pop();
            }
        }
        self.duals[task].unwrap_or(0)
    }

    /// The part of a bid's worth of a slot that is in `h`, or a task whose dual it needs.
    fn slot_worth(&self, context: &Context<'_>, bid: u32) -> Result<i128, u32> {
        let Context { problem, money, .. } = context;
        if money.used[bid as usize] < problem.slots[bid as usize] {
            return Ok(0);
        }
        let mut worth = None::<i128>;
        for entry in problem.entries(bid) {
            let entry = entry as u32;
            if money.unit_of[entry as usize] == NONE
                || money.gain(problem, entry) != context.tight.slot_worths[bid as usize]
            {
                continue;
            }
            let task = problem.task(entry);
            let dual = self.duals[task].ok_or(task as u32)?;
            let gain = context.h(bid, entry) - dual;
            worth = Some(worth.map_or(gain, |worth| worth.min(gain)));
        }
        Ok(worth.unwrap_or(0))
    }
}

/// What the duals in `h` follow from.
struct Context<'a> {
    market: &'a Market,
    key: &'a TieKey,
    problem: &'a Problem<'a, i64>,
    money: &'a Assignment<i64>,
    tight: &'a Tight<i64>,
}

impl Context<'_> {
    fn h(&self, bid: u32, entry: u32) -> i128 {
        let id = &self.market.bid_ids()[bid as usize];
        let task = self.problem.task(entry);
        i128::from(self.key.h(id, self.market.tasks()[task].id))
    }
}

/// The optimum of a problem with its least duals; whether it is the only one.
fn optimum<W: Weight>(
    problem: &Problem<'_, W>,
    assignment: &mut Assignment<W>,
    tight: &mut Tight<W>,
) -> Result<bool, TooWide> {
    assignment.reset(problem);
    assignment.optimise(problem)?;
    assignment.minimise(problem);
    tight.find(problem, assignment);
    Ok(!tight.find_live(problem, assignment))
}
