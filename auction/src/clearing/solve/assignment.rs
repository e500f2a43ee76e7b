//! An assignment under construction, its duals, and the room that searches need.
//!
//! Every task has a dual `v` (what a unit is worth), every bid implicitly one (what a slot is worth):
//!
//! ```text
//! u(b) = the least w − v over the units that b holds, if it has no free slot; 0 if it has
//! ```
//!
//! The steps of the engine keep this true, and end when nothing is left to do:
//!
//! - `w − v ≤ u` for entries that lost, for every bid whose slots are not still to be offered;
//! - `v ≥ 0`, and `v = 0` for tasks with spare units, but for tasks still to be offered.
//!
//! That is linear-programming duality for an entry capacity of one: a winner may well be worth more than `u + v`.

// Positions and counts below the bounds of a market, which the caller keeps; weights go through `Weight`.
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::problem::{ByTask, NONE, Problem, Weight};
use std::{cmp::Reverse, collections::BinaryHeap};

/// Who serves a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) bid: u32,
    pub(super) entry: u32,
}

const NOBODY: Holder = Holder {
    bid: NONE,
    entry: NONE,
};

/// A task as a search has reached it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Node<W> {
    pub(super) distance: W,
    /// The search that reached it.
    pub(super) search: u32,
    /// The entry it was reached by.
    pub(super) entry: u32,
    /// Forward: the unit that the entry's bid leaves for it, none if it is the bid that began. Reverse: the unit of this task that its
    /// holder leaves.
    pub(super) unit: u32,
}

/// What to undo after a what-if.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change<W> {
    Dual(u32, W),
    Unit(u32, Holder),
    Filled(u32, u32),
    Used(u32, u32),
}

/// See the module's documentation. All lists keep their room from one run to the next.
#[derive(Debug, Default)]
pub(super) struct Assignment<W> {
    /// `v`, by task.
    pub(super) duals: Vec<W>,
    /// Units filled, by task; they come first among its units.
    pub(super) filled: Vec<u32>,
    /// Who serves each unit.
    pub(super) holders: Vec<Holder>,
    /// Slots used, by bid.
    pub(super) used: Vec<u32>,
    /// The unit that an entry serves, by entry.
    pub(super) unit_of: Vec<u32>,
    /// An entry that won, by bid: the only one where a bid has one slot.
    pub(super) held: Vec<u32>,
    /// Bids that may want more slots used.
    pub(super) left: Vec<u32>,
    /// What each unit's holder would at most let it go for; of the auction alone.
    pub(super) asks: Vec<W>,
    pub(super) stack: Vec<u32>,
    pub(super) best: Vec<(W, u32)>,

    pub(super) nodes: Vec<Node<W>>,
    pub(super) search: u32,
    pub(super) heap: BinaryHeap<Reverse<(W, u32)>>,
    /// Tasks as near as the one looked at.
    pub(super) ready: Vec<u32>,
    pub(super) settled: Vec<u32>,
    pub(super) by_task: ByTask,
    pub(super) has_by_task: bool,

    /// Looks for prices to begin with even where it would not.
    pub(super) always_hint: bool,
    pub(super) recording: bool,
    pub(super) changes: Vec<Change<W>>,
}

impl<W: Weight> Assignment<W> {
    /// Nothing assigned, every dual zero.
    pub(super) fn reset(&mut self, problem: &Problem<'_, W>) {
        let tasks = problem.task_count();
        self.duals.clear();
        self.duals.resize(tasks, W::ZERO);
        self.unit_of.clear();
        self.unit_of.resize(problem.tasks.len(), NONE);
        self.held.clear();
        self.held.resize(problem.bid_count(), NONE);
        self.empty(problem);
        self.nodes.clear();
        self.nodes.resize(tasks, Node::default());
        self.search = 0;
        self.recording = false;
        self.changes.clear();
        self.has_by_task = false;
        self.left.clear();
    }

    /// Nothing assigned, duals as they are.
    pub(super) fn empty(&mut self, problem: &Problem<'_, W>) {
        let units = problem.units.last().map_or(0, |end| *end as usize);
        self.filled.clear();
        self.filled.resize(problem.task_count(), 0);
        // What entries a unit's former holder had is forgotten with it.
        for holder in &self.holders {
            if let Some(unit) = self.unit_of.get_mut(holder.entry as usize) {
                *unit = NONE;
            }
        }
        self.holders.clear();
        self.holders.resize(units, NOBODY);
        self.used.clear();
        self.used.resize(problem.bid_count(), 0);
        self.asks.clear();
        self.asks.resize(units, W::ZERO);
    }

    /// The entries of each task, listed when first asked for.
    pub(super) fn list_by_task(&mut self, problem: &Problem<'_, W>) {
        if !self.has_by_task {
            self.by_task
                .build(problem.starts, problem.tasks, problem.task_count());
            self.has_by_task = true;
        }
    }

    #[inline(always)]
    pub(super) fn has_spare(&self, problem: &Problem<'_, W>, task: usize) -> bool {
        self.filled[task] < problem.capacity(task)
    }

    /// Units of a task that are filled.
    #[inline(always)]
    pub(super) fn filled_units(
        &self,
        problem: &Problem<'_, W>,
        task: usize,
    ) -> std::ops::Range<u32> {
        let first = problem.units[task];
        first..first + self.filled[task]
    }

    /// What a unit's holder gains on it.
    #[inline(always)]
    pub(super) fn gain(&self, problem: &Problem<'_, W>, entry: u32) -> W {
        problem.worth[entry as usize].minus(self.duals[problem.task(entry)])
    }

    /// `u` of a bid; [`Weight::NEVER`] if it has no slots at all.
    pub(super) fn slot_worth(&self, problem: &Problem<'_, W>, bid: u32) -> W {
        let slots = problem.slots[bid as usize];
        if self.used[bid as usize] < slots {
            return W::ZERO;
        }
        if slots == 1 {
            return self.gain(problem, self.held[bid as usize]);
        }
        let won = problem
            .entries(bid)
            .filter(|e| self.unit_of[*e] != NONE)
            .map(|e| self.gain(problem, e as u32));
        won.min().unwrap_or(W::NEVER)
    }

    /// Takes down who serves a unit; whoever did has been dealt with.
    #[inline(always)]
    pub(super) fn set_unit(&mut self, unit: u32, holder: Holder) {
        if self.recording {
            let before = self.holders[unit as usize];
            self.changes.push(Change::Unit(unit, before));
        }
        self.holders[unit as usize] = holder;
        self.unit_of[holder.entry as usize] = unit;
        self.held[holder.bid as usize] = holder.entry;
    }

    pub(super) fn set_dual(&mut self, task: u32, dual: W) {
        let place = &mut self.duals[task as usize];
        if self.recording {
            self.changes.push(Change::Dual(task, *place));
        }
        *place = dual;
    }

    pub(super) fn set_filled(&mut self, task: usize, filled: u32) {
        let place = &mut self.filled[task];
        if self.recording {
            self.changes.push(Change::Filled(task as u32, *place));
        }
        *place = filled;
    }

    pub(super) fn set_used(&mut self, bid: u32, used: u32) {
        let place = &mut self.used[bid as usize];
        if self.recording {
            self.changes.push(Change::Used(bid, *place));
        }
        *place = used;
    }

    /// Makes a unit spare, and the last filled one take its place.
    pub(super) fn vacate(&mut self, problem: &Problem<'_, W>, unit: u32) {
        let Holder { bid, entry } = self.holders[unit as usize];
        self.unit_of[entry as usize] = NONE;
        let task = problem.task(entry);
        let filled = self.filled[task].saturating_sub(1);
        let last = problem.units[task] + filled;
        self.set_filled(task, filled);
        self.set_used(bid, self.used[bid as usize].saturating_sub(1));
        let moved = self.holders[last as usize];
        if last != unit {
            self.set_unit(unit, moved);
        }
        if self.recording {
            self.changes.push(Change::Unit(last, moved));
        }
        self.holders[last as usize] = NOBODY;
    }

    /// Begins to record what changes.
    pub(super) fn begin(&mut self) {
        self.recording = true;
        self.changes.clear();
    }

    /// Undoes all that was recorded.
    pub(super) fn roll_back(&mut self) {
        self.recording = false;
        let changes = std::mem::take(&mut self.changes);
        for change in &changes {
            if let Change::Unit(unit, _) = *change {
                let now = self.holders[unit as usize];
                if let Some(place) = self.unit_of.get_mut(now.entry as usize) {
                    *place = NONE;
                }
            }
        }
        for change in changes.iter().rev() {
            match *change {
                Change::Dual(task, dual) => self.duals[task as usize] = dual,
                Change::Unit(unit, holder) => self.holders[unit as usize] = holder,
                Change::Filled(task, filled) => self.filled[task as usize] = filled,
                Change::Used(bid, used) => self.used[bid as usize] = used,
            }
        }
        for change in &changes {
            if let Change::Unit(unit, _) = *change {
                let Holder { bid, entry } = self.holders[unit as usize];
                if entry != NONE {
                    self.unit_of[entry as usize] = unit;
                    self.held[bid as usize] = entry;
                }
            }
        }
        self.changes = changes;
        self.changes.clear();
    }
}

#[cfg(test)]
impl<W: Weight> Assignment<W> {
    /// Panics unless what a bid holds is worth no less to it than what it lost, and units and entries agree.
    pub(super) fn assert_sound(&self, problem: &Problem<'_, W>, after: &str) {
        for (unit, holder) in self.holders.iter().enumerate() {
            if holder.entry != NONE {
                assert_eq!(
                    self.unit_of[holder.entry as usize] as usize, unit,
                    "{after}"
                );
            }
        }
        for bid in 0..problem.bid_count() as u32 {
            let entries = problem.entries(bid);
            let (won, lost): (Vec<usize>, Vec<usize>) =
                entries.partition(|entry| self.unit_of[*entry] != NONE);
            assert_eq!(won.len(), self.used[bid as usize] as usize, "{after}");
            let gain = |entry: &usize| self.gain(problem, *entry as u32);
            let least = won.iter().map(gain).min().unwrap_or(W::NEVER);
            let most = lost.iter().map(gain).max().unwrap_or(W::LOWEST);
            assert!(
                least >= most,
                "{after}: bid {bid} holds {least:?}, lost {most:?}"
            );
        }
    }
}
