//! The least duals of the tasks, which entries they make tight, and what else could be chosen at the same worth.
//!
//! Optimal duals of the tasks form a lattice (Shapley and Shubik 1971; Demange and Gale 1985): there is one vector of them that is least for every task
//! at once. It is reached from any other by lowering each task by its distance from the nearest *root*: a task that may be worth nothing, or a
//! bid with a free slot.

// Positions and counts below the bounds of a market, which the caller keeps; weights go through `Weight`.
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{
    assignment::{Assignment, Node},
    problem::{NONE, Problem, Weight},
};
use std::cmp::Reverse;

impl<W: Weight> Assignment<W> {
    /// Lowers every task's dual as far as it goes.
    pub(super) fn minimise(&mut self, problem: &Problem<'_, W>) {
        self.search += 1;
        self.ready.clear();
        for task in 0..problem.task_count() {
            let distance = if problem.is_full_task(task) {
                W::NEVER
            } else {
                self.duals[task]
            };
            self.nodes[task] = Node {
                distance,
                search: self.search,
                entry: NONE,
                unit: NONE,
            };
        }
        for bid in 0..problem.bid_count() as u32 {
            if self.used[bid as usize] < problem.slots[bid as usize] {
                for entry in problem.entries(bid) {
                    if self.unit_of[entry] == NONE {
                        let gain = self.gain(problem, entry as u32);
                        let node = &mut self.nodes[problem.tasks[entry] as usize];
                        node.distance = node.distance.min(W::ZERO.minus(gain));
                    }
                }
            }
        }
        let mut heap = std::mem::take(&mut self.heap).into_vec();
        heap.clear();
        for (task, node) in self.nodes.iter().enumerate() {
            if node.distance == W::ZERO {
                self.ready.push(task as u32);
            } else if node.distance != W::NEVER {
                heap.push(Reverse((node.distance, task as u32)));
            }
        }
        self.heap = heap.into();
        let mut now = W::ZERO;
        loop {
            let task = match self.ready.pop() {
                Some(task) => task,
                None => match self.heap.pop() {
                    Some(Reverse((distance, task))) => {
                        if self.nodes[task as usize].distance != distance {
                            continue;
                        }
                        now = distance;
                        task
                    }
                    None => break,
                },
            };
            for unit in self.filled_units(problem, task as usize) {
                let holder = self.holders[unit as usize];
                let gain = self.gain(problem, holder.entry).plus(now);
                let several = problem.slots[holder.bid as usize] > 1;
                let range = problem.entries(holder.bid);
                let first = range.start;
                let entries = problem.tasks[range.clone()].iter();
                for ((place, other), worth) in entries.enumerate().zip(&problem.worth[range]) {
                    let distance = gain.minus(worth.minus(self.duals[*other as usize]));
                    let node = &mut self.nodes[*other as usize];
                    if distance >= node.distance || (several && self.unit_of[first + place] != NONE)
                    {
                        continue;
                    }
                    node.distance = distance;
                    if distance == now {
                        self.ready.push(*other);
                    } else {
                        self.heap.push(Reverse((distance, *other)));
                    }
                }
            }
        }
        for (dual, node) in self.duals.iter_mut().zip(&self.nodes) {
            if node.distance != W::NEVER {
                *dual = dual.minus(node.distance);
            }
        }
    }
}

/// The tight entries of an assignment: what could be exchanged without a loss.
#[derive(Debug, Default)]
pub(super) struct Tight<W> {
    /// What a slot of each bid is worth.
    pub(super) slot_worths: Vec<W>,
    /// Bid and entry of those that lost though they are worth as much as the bid has (`w = u + v`), by entry.
    pub(super) lost: Vec<(u32, u32)>,
    /// Where each task's are in `of_task`.
    starts: Vec<u32>,
    /// Positions in `lost`, by task, ascending.
    of_task: Vec<u32>,
    /// Whether an exchange that changes nothing in worth may pass through a task, or a bid.
    pub(super) live_tasks: Vec<bool>,
    pub(super) live_bids: Vec<bool>,
    /// Whether an exchange may end at a bid: a slot of it is worth nothing.
    is_end: Vec<bool>,
    from_bid: Vec<u32>,
    from_task: Vec<u32>,
    queue: Vec<u32>,
}

impl<W: Weight> Tight<W> {
    /// Lists the tight entries.
    pub(super) fn find(&mut self, problem: &Problem<'_, W>, assignment: &Assignment<W>) {
        self.slot_worths.clear();
        self.lost.clear();
        for bid in 0..problem.bid_count() as u32 {
            let worth = assignment.slot_worth(problem, bid);
            self.slot_worths.push(worth);
            let several = problem.slots[bid as usize] > 1;
            let held = assignment.held[bid as usize];
            let range = problem.entries(bid);
            let first = range.start;
            let entries = problem.tasks[range.clone()].iter();
            for ((place, task), w) in entries.enumerate().zip(&problem.worth[range]) {
                if w.minus(assignment.duals[*task as usize]) == worth {
                    let entry = (first + place) as u32;
                    let won = if several {
                        assignment.unit_of[entry as usize] != NONE
                    } else {
                        held == entry && assignment.unit_of[entry as usize] != NONE
                    };
                    if !won {
                        self.lost.push((bid, entry));
                    }
                }
            }
        }
        self.starts.clear();
        self.starts.resize(problem.task_count() + 1, 0);
        for &(_, entry) in &self.lost {
            self.starts[problem.task(entry)] += 1;
        }
        let mut end = 0;
        for count in &mut self.starts {
            end += *count;
            *count = end;
        }
        self.of_task.clear();
        self.of_task.resize(self.lost.len(), 0);
        for (position, &(_, entry)) in self.lost.iter().enumerate().rev() {
            let place = &mut self.starts[problem.task(entry)];
            *place -= 1;
            self.of_task[*place as usize] = position as u32;
        }
    }

    /// Bids and entries that lost a task tightly, by entry.
    pub(super) fn of(&self, task: usize) -> impl DoubleEndedIterator<Item = (u32, u32)> + '_ {
        let range = self.starts[task] as usize..self.starts[task + 1] as usize;
        self.of_task[range].iter().map(|p| self.lost[*p as usize])
    }

    pub(super) fn count(&self, task: usize) -> usize {
        (self.starts[task + 1] - self.starts[task]) as usize
    }

    /// Whether a unit that an entry won is held at no more than the bid's other slots.
    #[inline(always)]
    fn is_tight(
        &self,
        problem: &Problem<'_, W>,
        assignment: &Assignment<W>,
        bid: u32,
        entry: u32,
    ) -> bool {
        problem.slots[bid as usize] == 1
            || assignment.gain(problem, entry) == self.slot_worths[bid as usize]
    }

    /// Marks what an exchange of no worth may pass through, given that the duals are least; whether there is any.
    ///
    /// An exchange is a path: a bid takes a task that it lost tightly, whose unit's holder, if that is tight, leaves it and takes another, and so on.
    /// It ends at a task with a spare unit, at a holder whose slot is worth nothing, or where it began, in a circle. Under the least duals every
    /// task and bid can be reached from where a path may begin: a bid with a free slot, or a unit worth nothing; else they
    /// could be lowered. So an exchange passes through all that lead to an end or a circle: what is left when all that lead nowhere is taken away,
    /// one by one.
    pub(super) fn find_live(
        &mut self,
        problem: &Problem<'_, W>,
        assignment: &Assignment<W>,
    ) -> bool {
        let (bids, tasks) = (problem.bid_count(), problem.task_count());
        self.from_bid.clear();
        self.from_bid.resize(bids, 0);
        for &(bid, _) in &self.lost {
            self.from_bid[bid as usize] += 1;
        }
        self.live_bids.clear();
        self.live_bids.resize(bids, true);
        self.live_tasks.clear();
        self.live_tasks.resize(tasks, true);
        self.queue.clear();
        self.is_end.clear();
        for (bid, worth) in (0u32..).zip(&self.slot_worths) {
            let is_end = *worth == W::ZERO && !problem.is_full_bid(bid);
            self.is_end.push(is_end);
        }
        for bid in 0..bids {
            if self.from_bid[bid] == 0 && !self.is_end[bid] {
                self.live_bids[bid] = false;
                self.queue.push(bid as u32);
            }
        }
        self.from_task.clear();
        for task in 0..tasks {
            let mut ways = 0;
            for unit in assignment.filled_units(problem, task) {
                let holder = assignment.holders[unit as usize];
                ways += u32::from(self.is_tight(problem, assignment, holder.bid, holder.entry));
            }
            self.from_task.push(ways);
            if ways == 0 && !assignment.has_spare(problem, task) {
                self.kill(task);
            }
        }
        while let Some(bid) = self.queue.pop() {
            for entry in problem.entries(bid) {
                if assignment.unit_of[entry] == NONE
                    || !self.is_tight(problem, assignment, bid, entry as u32)
                {
                    continue;
                }
                let task = problem.tasks[entry] as usize;
                self.from_task[task] -= 1;
                if self.from_task[task] == 0 && !assignment.has_spare(problem, task) {
                    self.kill(task);
                }
            }
        }
        let lost = self.lost.iter();
        let mut lost = lost.map(|(_, entry)| problem.task(*entry));
        // A way is left if somebody may take a live task, or a live holder may leave one.
        lost.any(|task| self.live_tasks[task]) || self.from_task.iter().any(|ways| *ways > 0)
    }

    /// Takes a task away that leads nowhere.
    fn kill(&mut self, task: usize) {
        self.live_tasks[task] = false;
        for place in self.starts[task]..self.starts[task + 1] {
            let (bid, _) = self.lost[self.of_task[place as usize] as usize];
            let ways = &mut self.from_bid[bid as usize];
            *ways -= 1;
            if *ways == 0 && !self.is_end[bid as usize] {
                self.live_bids[bid as usize] = false;
                self.queue.push(bid);
            }
        }
    }

    /// Whether an entry that won is one that a live bid may leave.
    pub(super) fn is_live_winner(
        &self,
        problem: &Problem<'_, W>,
        assignment: &Assignment<W>,
        bid: u32,
        entry: u32,
    ) -> bool {
        self.live_bids[bid as usize] && self.is_tight(problem, assignment, bid, entry)
    }
}
