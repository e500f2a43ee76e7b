//! Shortest augmenting paths: whatever the auction left open, exactly.
//!
//! A *forward* search begins at a bid with a free slot whose entries are worth something: it takes a unit, whose holder takes another,
//! …, until a task has one to spare, a holder goes without, or the bid itself is better left out. A *reverse* search begins at a spare unit of
//! a task with a positive dual: it takes a bid, whose unit takes another bid, …, until a bid has a free slot or a unit is better left spare. Both are
//! Dijkstra's algorithm over reduced costs `|u + v − w|` (Edmonds and Karp 1972, Tomizawa 1971), tasks being its nodes; it stops at the
//! nearest end, and the duals of the tasks nearer than that move by the difference. Each search leaves the conditions of
//! [`super::assignment`] true for one more slot or unit.

// Positions and counts below the bounds of a market, which the caller keeps; weights go through `Weight`.
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{
    assignment::{Assignment, Holder, Node},
    problem::{NONE, Problem, TooWide, Weight},
};
use std::cmp::Reverse;

/// Where a forward path ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Forward {
    /// The bid that began stays out.
    Stay,
    /// A task has a spare unit.
    Spare(usize),
    /// A unit's holder goes without.
    Drop(u32),
}

/// Where a reverse path ends: always at a task.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Backward {
    task: usize,
    /// The bid with a free slot that takes the task's unit; none if the unit is left spare.
    holder: Option<Holder>,
}

impl<W: Weight> Assignment<W> {
    /// Offers every slot of the bids left.
    pub(super) fn offer_left(&mut self, problem: &Problem<'_, W>) -> Result<(), TooWide> {
        let left = std::mem::take(&mut self.left);
        let offered = left.iter().try_for_each(|&bid| {
            while self.used[bid as usize] < problem.slots[bid as usize] {
                if !self.offer_slot(problem, bid)? {
                    break; // its other slots are worth no more
                }
            }
            Ok(())
        });
        self.left = left;
        offered
    }

    /// Offers every spare unit of tasks that are worth something, or must be filled.
    pub(super) fn fill_spare(&mut self, problem: &Problem<'_, W>) -> Result<(), TooWide> {
        for task in 0..problem.task_count() {
            while self.has_spare(problem, task)
                && (self.duals[task] > W::ZERO || problem.is_full_task(task))
            {
                self.list_by_task(problem);
                if self.fill_unit(problem, task, |_| false)?.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    fn begin_search(&mut self) {
        self.search += 1;
        self.heap.clear();
        self.ready.clear();
        self.settled.clear();
    }

    /// The next nearest task, nearer than `end`.
    #[inline(always)]
    fn next_task(&mut self, now: W, end: W) -> Result<Option<(W, usize)>, TooWide> {
        if now < end
            && let Some(task) = self.ready.pop()
        {
            return Ok(Some((now, task as usize)));
        }
        while let Some(Reverse((distance, task))) = self.heap.pop() {
            if distance >= end {
                return Ok(None);
            }
            if self.nodes[task as usize].distance == distance {
                if distance > W::LIMIT {
                    return Err(TooWide);
                }
                return Ok(Some((distance, task as usize)));
            }
        }
        Ok(None)
    }

    /// Finds the best use of one free slot; whether it found any.
    fn offer_slot(&mut self, problem: &Problem<'_, W>, bid: u32) -> Result<bool, TooWide> {
        let floor = problem.floor(bid);
        let lost = problem
            .entries(bid)
            .filter(|entry| self.unit_of[*entry] == NONE);
        let worth = lost.map(|entry| self.gain(problem, entry as u32)).max();
        let Some(worth) = worth.filter(|worth| *worth > floor) else {
            return Ok(false);
        };
        let stay = if problem.is_full_bid(bid) {
            W::NEVER
        } else {
            worth
        };
        self.begin_search();
        let mut end = (stay, Forward::Stay);
        let mut now = W::ZERO;
        self.reach(problem, bid, worth, NONE, now, &mut end);
        while let Some((distance, task)) = self.next_task(now, end.0)? {
            now = distance;
            self.settled.push(task as u32);
            for unit in self.filled_units(problem, task) {
                let holder = self.holders[unit as usize];
                let gain = self.gain(problem, holder.entry).plus(now);
                if gain < end.0 && !problem.is_full_bid(holder.bid) {
                    end = (gain, Forward::Drop(unit));
                }
                self.reach(problem, holder.bid, gain, unit, now, &mut end);
            }
        }
        self.raise_settled(end.0)?;
        self.take_forward(problem, bid, end.1);
        Ok(end.1 != Forward::Stay)
    }

    /// Reaches the tasks that a bid might take, having left `unit` or being the one that began; `gain` is what it gave up, and the way here.
    #[inline(always)]
    fn reach(
        &mut self,
        problem: &Problem<'_, W>,
        bid: u32,
        gain: W,
        unit: u32,
        now: W,
        end: &mut (W, Forward),
    ) {
        let range = problem.entries(bid);
        let several = problem.slots[bid as usize] > 1;
        let first = range.start;
        let worth = &problem.worth[range.clone()];
        for ((place, task), worth) in problem.tasks[range].iter().enumerate().zip(worth) {
            let task = *task as usize;
            let distance = gain.minus(worth.minus(self.duals[task]));
            if distance >= end.0 {
                continue;
            }
            let entry = first + place;
            if several && self.unit_of[entry] != NONE {
                continue;
            }
            let node = self.nodes[task];
            if node.search == self.search && node.distance <= distance {
                continue;
            }
            self.nodes[task] = Node {
                distance,
                search: self.search,
                entry: entry as u32,
                unit,
            };
            if self.filled[task] < problem.capacity(task) {
                *end = (distance, Forward::Spare(task));
            } else if distance == now {
                self.ready.push(task as u32);
            } else {
                self.heap.push(Reverse((distance, task as u32)));
            }
        }
    }

    fn raise_settled(&mut self, end: W) -> Result<(), TooWide> {
        if end == W::NEVER {
            return Ok(()); // nobody can make room: the caller's problem has no solution
        }
        let settled = std::mem::take(&mut self.settled);
        let mut widest = W::ZERO;
        for &task in &settled {
            let step = end.minus(self.nodes[task as usize].distance);
            if step > W::ZERO {
                let dual = self.duals[task as usize].plus(step);
                widest = widest.max(dual);
                self.set_dual(task, dual);
            }
        }
        self.settled = settled;
        if widest > W::LIMIT {
            return Err(TooWide);
        }
        Ok(())
    }

    /// Moves everyone along the path to its end.
    fn take_forward(&mut self, problem: &Problem<'_, W>, start: u32, end: Forward) {
        let (mut vacant, mut task) = match end {
            Forward::Stay => return,
            Forward::Spare(task) => {
                let filled = self.filled[task];
                self.set_filled(task, filled + 1);
                (problem.units[task] + filled, task)
            }
            Forward::Drop(unit) => {
                let Holder { bid, entry } = self.holders[unit as usize];
                self.unit_of[entry as usize] = NONE;
                self.set_used(bid, self.used[bid as usize].saturating_sub(1));
                (unit, problem.task(entry))
            }
        };
        loop {
            let Node { entry, unit, .. } = self.nodes[task];
            if unit == NONE {
                self.set_unit(vacant, Holder { bid: start, entry });
                self.set_used(start, self.used[start as usize] + 1);
                return;
            }
            let before = self.holders[unit as usize];
            self.unit_of[before.entry as usize] = NONE;
            self.set_unit(
                vacant,
                Holder {
                    bid: before.bid,
                    entry,
                },
            );
            vacant = unit;
            task = problem.task(before.entry);
        }
    }

    /// Finds the best use of a spare unit among bids that are not `barred`: what is gained by it, none if it stays spare.
    ///
    /// The entries of tasks must be listed ([`Assignment::list_by_task`]).
    pub(super) fn fill_unit(
        &mut self,
        problem: &Problem<'_, W>,
        start: usize,
        barred: impl Fn(u32) -> bool,
    ) -> Result<Option<W>, TooWide> {
        self.begin_search();
        let mut now = W::ZERO;
        let mut end = (W::NEVER, None);
        self.nodes[start] = Node {
            distance: now,
            search: self.search,
            entry: NONE,
            unit: NONE,
        };
        self.ready.push(start as u32);
        while let Some((distance, task)) = self.next_task(now, end.0)? {
            now = distance;
            self.settled.push(task as u32);
            let left = now.plus(self.duals[task]);
            if left < end.0 && !problem.is_full_task(task) {
                let holder = None;
                end = (left, Some(Backward { task, holder }));
            }
            self.reach_backward(problem, task, now, &barred, &mut end);
        }
        let (distance, Some(end)) = end else {
            return Ok(None);
        };
        let gained = self.duals[start].minus(distance);
        let settled = std::mem::take(&mut self.settled);
        for &task in &settled {
            let step = distance.minus(self.nodes[task as usize].distance);
            if step > W::ZERO {
                let dual = self.duals[task as usize].minus(step);
                if W::ZERO.minus(dual) > W::LIMIT {
                    return Err(TooWide);
                }
                self.set_dual(task, dual);
            }
        }
        self.settled = settled;
        let stays_spare = end.task == start && end.holder.is_none();
        self.take_backward(problem, start, end);
        Ok((!stays_spare).then_some(gained))
    }

    /// Reaches the tasks whose holders might take a unit of `task` instead, and the bids with a free slot that might.
    #[inline(always)]
    fn reach_backward(
        &mut self,
        problem: &Problem<'_, W>,
        task: usize,
        now: W,
        barred: &impl Fn(u32) -> bool,
        end: &mut (W, Option<Backward>),
    ) {
        let dual = self.duals[task].plus(now);
        let (by_task, mut unit_of) = (
            std::mem::take(&mut self.by_task),
            std::mem::take(&mut self.unit_of),
        );
        for &(bid, entry) in by_task.of(task) {
            let cost = dual.minus(problem.worth[entry as usize]);
            let slots = problem.slots[bid as usize];
            // What the bid gains where it is adds to the cost, unless it must be somewhere.
            let too_dear = cost >= end.0 && problem.full_bids.is_empty();
            if too_dear || slots == 0 || unit_of[entry as usize] != NONE || barred(bid) {
                continue;
            }
            if self.used[bid as usize] < slots {
                if cost >= end.0 {
                    continue;
                }
                let holder = Some(Holder { bid, entry });
                *end = (cost, Some(Backward { task, holder }));
                continue;
            }
            let only = self.held[bid as usize] as usize;
            let won = if slots == 1 {
                only..only + 1
            } else {
                problem.entries(bid)
            };
            for other in won {
                let unit = unit_of[other];
                if unit == NONE {
                    continue;
                }
                let from = problem.task(other as u32);
                let gain = problem.worth[other].minus(self.duals[from]);
                let distance = cost.plus(gain);
                let node = self.nodes[from];
                if distance >= end.0 || (node.search == self.search && node.distance <= distance) {
                    continue;
                }
                self.nodes[from] = Node {
                    distance,
                    search: self.search,
                    entry,
                    unit,
                };
                if distance == now {
                    self.ready.push(from as u32);
                } else {
                    self.heap.push(Reverse((distance, from as u32)));
                }
            }
        }
        self.by_task = by_task;
        std::mem::swap(&mut self.unit_of, &mut unit_of);
    }

    /// Moves everyone along the path from its end.
    fn take_backward(&mut self, problem: &Problem<'_, W>, start: usize, end: Backward) {
        if end.task == start && end.holder.is_none() {
            return;
        }
        let mut task = end.task;
        // Who takes the unit that the next one on the path leaves; nobody if it is left spare.
        let mut taker = end.holder;
        if let Some(holder) = taker {
            self.set_used(holder.bid, self.used[holder.bid as usize] + 1);
        }
        while task != start {
            let Node { entry, unit, .. } = self.nodes[task];
            let before = self.holders[unit as usize];
            match taker {
                Some(holder) => {
                    self.unit_of[before.entry as usize] = NONE;
                    self.set_unit(unit, holder);
                }
                None => {
                    self.vacate(problem, unit);
                    self.set_used(before.bid, self.used[before.bid as usize] + 1);
                }
            }
            taker = Some(Holder {
                bid: before.bid,
                entry,
            });
            task = problem.task(entry);
        }
        if let Some(holder) = taker {
            let filled = self.filled[start];
            self.set_filled(start, filled + 1);
            self.set_unit(problem.units[start] + filled, holder);
        }
    }
}
