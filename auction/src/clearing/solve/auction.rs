//! An auction among the bids: what most of the assignment costs least to find.
//!
//! Bids without all their slots used take turns. A bid with `f` free slots looks at its `f` best tasks by `w − v`, and offers each
//! so much that it is left no better off than with the next best after them: its *level* (Bertsekas 1979; for several slots and units,
//! Bertsekas and Castañon 1989). A task sells to whoever offers most: a new offer takes the unit whose holder asks least, `v` is the least of
//! what all its units' holders ask, and zero while it has units to spare.
//!
//! With `epsilon` = 0 every step keeps the conditions of [`super::assignment`] exactly: tasks only become dearer, so entries that a bid lost are worth no
//! more to it than its level was, and what it holds is worth no less: for it asks no less for it than what would leave it its latest level. But a bid that would raise nothing could go round for ever: it is put
//! on the list of those *left*, and so is everyone once so many offers were made as there are bids, times [`ROUNDS`]. With `epsilon` > 0
//! every offer raises something, so the auction ends, within `epsilon` of the conditions.

// Positions and counts below the bounds of a market, which the caller keeps; weights go through `Weight`.
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{
    assignment::{Assignment, Holder},
    problem::{NONE, Problem, Weight},
};

/// Offers made per bid before the rest is left to searches.
pub(super) const ROUNDS: usize = 8;

impl<W: Weight> Assignment<W> {
    /// Auctions from the present duals, with nothing assigned; what is undecided in the end is in [`Assignment::left`].
    pub(super) fn auction(&mut self, problem: &Problem<'_, W>, epsilon: W, offers: usize) {
        let mut offers = offers;
        self.left.clear();
        for bid in 0..problem.bid_count() as u32 {
            self.stack.push(bid);
            while let Some(bid) = self.stack.pop() {
                let placed = match problem.slots[bid as usize] {
                    0 => true,
                    _ if offers == 0 => false,
                    1 => self.offer_one(problem, bid, epsilon),
                    _ => self.offer_many(problem, bid, epsilon),
                };
                if !placed {
                    self.left.push(bid);
                }
                offers = offers.saturating_sub(1);
            }
        }
        self.left.sort_unstable();
        self.left.dedup();
    }

    /// A turn of a bid with one slot; whether it is decided.
    fn offer_one(&mut self, problem: &Problem<'_, W>, bid: u32, epsilon: W) -> bool {
        let floor = problem.floor(bid);
        let (mut best, mut second) = ((floor, NONE), (floor, NONE));
        let range = problem.entries(bid);
        let first = range.start;
        let worth = &problem.worth[range.clone()];
        for ((place, task), worth) in problem.tasks[range].iter().enumerate().zip(worth) {
            let gain = worth.minus(self.duals[*task as usize]);
            if gain > second.0 || (gain == best.0 && best.1 != NONE) {
                let found = (gain, (first + place) as u32);
                if gain > best.0 {
                    second = best;
                    best = found;
                } else {
                    second = found;
                }
            }
        }
        if best.1 == NONE {
            return true;
        }
        let mut entry = best.1;
        let level = if second.0 == W::LOWEST {
            best.0 // it takes nothing else: a search will tell whom it costs least to move
        } else {
            second.0
        };
        let stalls = best.0 == level && epsilon == W::ZERO;
        if stalls && !self.has_spare(problem, problem.task(entry)) {
            let other = second.1 != NONE && self.has_spare(problem, problem.task(second.1));
            if !other {
                return false;
            }
            entry = second.1;
        }
        self.sell(problem, bid, entry, level, epsilon);
        true
    }

    /// A turn of a bid with several slots; whether it is decided.
    fn offer_many(&mut self, problem: &Problem<'_, W>, bid: u32, epsilon: W) -> bool {
        let free = problem.slots[bid as usize].saturating_sub(self.used[bid as usize]) as usize;
        if free == 0 {
            return true;
        }
        let floor = problem.floor(bid);
        let mut best = std::mem::take(&mut self.best);
        best.clear();
        for entry in problem.entries(bid) {
            let gain = self.gain(problem, entry as u32);
            if gain > floor && self.unit_of[entry] == NONE {
                best.push((gain, entry as u32));
            }
        }
        let level = if best.len() > free {
            best.select_nth_unstable_by(free, |a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
            let level = best[free].0;
            best.truncate(free);
            level
        } else if floor == W::LOWEST {
            best.iter().map(|(gain, _)| *gain).min().unwrap_or(floor)
        } else {
            floor
        };
        // What it holds it would now let go for as little, or it could lose something better than what it buys.
        if !best.is_empty() && self.used[bid as usize] > 0 {
            for entry in problem.entries(bid) {
                if self.unit_of[entry] != NONE {
                    self.ask_more(problem, entry as u32, level, epsilon);
                }
            }
        }
        let mut decided = true;
        for &(gain, entry) in &best {
            let stalls = gain == level && epsilon == W::ZERO;
            if stalls && !self.has_spare(problem, problem.task(entry)) {
                decided = false;
                continue;
            }
            self.sell(problem, bid, entry, level, epsilon);
        }
        self.best = best;
        decided
    }

    /// Sells the unit that is asked least for to a bid that wants `level` to be left; whoever held it gets another turn.
    fn sell(&mut self, problem: &Problem<'_, W>, bid: u32, entry: u32, level: W, epsilon: W) {
        let task = problem.task(entry);
        let ask = problem.worth[entry as usize].minus(level).plus(epsilon);
        let (first, capacity) = (problem.units[task], problem.capacity(task));
        let filled = self.filled[task];
        self.used[bid as usize] += 1;
        let unit = if filled < capacity {
            self.filled[task] = filled + 1;
            first + filled
        } else {
            let before = self.holders[first as usize];
            self.unit_of[before.entry as usize] = NONE;
            self.used[before.bid as usize] -= 1;
            self.stack.push(before.bid);
            first
        };
        self.set_unit(unit, Holder { bid, entry });
        self.asks[unit as usize] = ask;
        if capacity == 1 {
            self.duals[task] = ask;
        } else if filled < capacity {
            // A heap, least ask first, from the moment it is full.
            if filled + 1 == capacity {
                for place in (0..capacity / 2).rev() {
                    self.sift(first, capacity, place);
                }
                self.duals[task] = self.asks[first as usize];
            }
        } else {
            self.sift(first, capacity, 0);
            self.duals[task] = self.asks[first as usize];
        }
    }

    /// Raises what a unit's holder asks for it to what leaves `level`.
    fn ask_more(&mut self, problem: &Problem<'_, W>, entry: u32, level: W, epsilon: W) {
        let ask = problem.worth[entry as usize].minus(level).plus(epsilon);
        let unit = self.unit_of[entry as usize];
        if ask <= self.asks[unit as usize] {
            return;
        }
        self.asks[unit as usize] = ask;
        let task = problem.task(entry);
        let (first, capacity) = (problem.units[task], problem.capacity(task));
        if self.filled[task] == capacity {
            self.sift(first, capacity, unit - first);
            self.duals[task] = self.asks[first as usize];
        }
    }

    /// Puts the unit at `place` of a task's heap where its ask belongs.
    fn sift(&mut self, first: u32, capacity: u32, mut place: u32) {
        loop {
            let mut least = place;
            for child in [2 * place + 1, 2 * place + 2] {
                let ask = |place: u32| self.asks[(first + place) as usize];
                if child < capacity && ask(child) < ask(least) {
                    least = child;
                }
            }
            if least == place {
                return;
            }
            let (a, b) = (first + place, first + least);
            self.asks.swap(a as usize, b as usize);
            self.holders.swap(a as usize, b as usize);
            for unit in [a, b] {
                let entry = self.holders[unit as usize].entry;
                self.unit_of[entry as usize] = unit;
            }
            place = least;
        }
    }
}
