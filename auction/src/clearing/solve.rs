//! The solver: an optimal assignment, grown one task unit at a time.
//!
//! Invariant: the assignment is optimal for the units admitted so far, and the *duals* prove it. Every bid has a dual `u ≥ 0`
//! (worth of a slot) and every task a dual `v ≥ 0` (worth of a unit), with
//!
//! - `u + v ≥ w` on entries that do not win, `u + v ≤ w` on those that do,
//! - `u = 0` for a bid with a free slot, `v = 0` for a task with a spare unit
//!
//! (linear-programming duality; the edge bound 1 is what `u + v < w` on a winner pays for). Admitting one more unit of a task changes
//! the optimum along one alternating path from it: the unit takes a bid, the bid leaves another task, that
//! unit takes another bid, … until a bid has a free slot or a task is left with one unit fewer. [`Matching::fill`] finds the best such path
//! by Dijkstra over reduced costs `|u + v − w|` (Edmonds and Karp 1972), stopping at the best end; duals move as in the Hungarian method.
//!
//! The same step answers "what if a bidder had not come": take its entries out (the rest is optimal for the units left, or putting
//! them back would beat the optimum), and fill those units again without it.
//!
//! Bound: one fill per unit and one more per won unit for payments, each `O(entries · log)`.

// Every index below is a number that `Graph` assigned itself; none comes from outside.
#![allow(clippy::indexing_slicing)]

use super::graph::{Entry, Graph, Weight};
use std::{cmp::Reverse, collections::BinaryHeap};

/// An optimal assignment with its duals.
pub(super) struct Matching {
    graph: Graph,
    won: Vec<bool>,
    /// Free slots of each bid.
    free: Vec<usize>,
    /// Duals and search marks: the bids, then the tasks.
    nodes: Vec<Node>,
    /// Nodes the running search has reached.
    reached: Vec<usize>,
    /// What to undo to return to the last [`Matching::commit`].
    journal: Vec<Change>,
}

#[derive(Clone, Copy, Default)]
struct Node {
    dual: Weight,
    /// Distance from the unit being filled, and the entry it came by.
    reached: Option<(Weight, usize)>,
}

enum Change {
    Flipped(usize),
    TookSlot(usize),
    Dual(usize, Weight),
}

impl Matching {
    /// The optimum of the graph.
    pub(super) fn optimal(graph: Graph) -> Matching {
        let order = graph.tasks();
        Matching::optimal_in_order(graph, order)
    }

    /// The optimum, admitting tasks in the order given.
    pub(super) fn optimal_in_order(
        graph: Graph,
        order: impl IntoIterator<Item = usize>,
    ) -> Matching {
        let mut matching = Matching {
            won: vec![false; graph.entries.len()],
            free: graph.slots.clone(),
            nodes: vec![Node::default(); graph.bids().len().saturating_add(graph.tasks().len())],
            reached: Vec::new(),
            journal: Vec::new(),
            graph,
        };
        for task in order {
            matching.price(task);
            for _ in 0..matching.graph.quantity[task] {
                let gain = matching.fill(task, None);
                matching.commit();
                if gain == Weight::ZERO {
                    break; // nobody left for this task: its other units stay spare too
                }
            }
        }
        matching
    }

    pub(super) fn into_graph(self) -> Graph {
        self.graph
    }

    pub(super) fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Winning entries of a task, by bid.
    pub(super) fn winners(&self, task: usize) -> impl Iterator<Item = &Entry> {
        let of_task = self.graph.of_task[task].iter();
        of_task
            .filter(|&&e| self.won[e])
            .map(|&e| &self.graph.entries[e])
    }

    /// Winning entries of each bidder: its number and entry numbers, by bid, then task.
    pub(super) fn by_bidder(&self) -> Vec<(usize, Vec<usize>)> {
        let mut lists: Vec<(usize, Vec<usize>)> = Vec::new();
        lists.resize_with(self.graph.bids().len(), Default::default);
        for (e, entry) in self.graph.entries.iter().enumerate() {
            if self.won[e] {
                let bidder = self.graph.bidder[entry.bid];
                lists[bidder].0 = bidder;
                lists[bidder].1.push(e);
            }
        }
        lists.retain(|(_, entries)| !entries.is_empty());
        lists
    }

    /// How much total surplus falls when a bidder with these winning entries is taken out: `V − V₋ᵢ`.
    pub(super) fn contribution(&mut self, bidder: usize, entries: &[usize]) -> u128 {
        let mut fall = 0i128;
        for &e in entries {
            self.flip(e);
            fall = fall.saturating_add(i128::from(self.graph.entries[e].surplus));
        }
        for &e in entries {
            let gain = self.fill(self.graph.entries[e].task, Some(bidder));
            fall = fall.saturating_sub(gain.surplus());
        }
        self.roll_back();
        u128::try_from(fall).unwrap_or(0) // never negative: the bidder's bids only add choices
    }

    /// Lowers every task's dual as far as it goes, raising bids' duals to match: the worth of a unit becomes exactly the distance
    /// from it to an end. Any optimal duals would do; under these a fill after a small change ends at once, or near by.
    pub(super) fn minimise_duals(&mut self) {
        let bids = self.graph.of_bid.len();
        let mut distance: Vec<Option<Weight>> = vec![None; self.nodes.len()];
        let mut heap = BinaryHeap::new();
        for bid in self.graph.bids().filter(|&bid| self.free[bid] > 0) {
            heap.push(Reverse((Weight::ZERO, bid)));
        }
        for node in bids..self.nodes.len() {
            heap.push(Reverse((self.nodes[node].dual, node)));
        }
        let mut farthest = Weight::ZERO;
        while let Some(Reverse((near, node))) = heap.pop() {
            if distance[node].is_some() {
                continue;
            }
            distance[node] = Some(near);
            farthest = near;
            // Backwards: to the tasks that could take this bid, or to the bids that could leave this task.
            for e in self.graph.entries_of(node) {
                if self.won[e] != (node < bids) {
                    let (previous, cost) = self.step(node, e);
                    heap.push(Reverse((near.plus(cost), previous)));
                }
            }
        }
        for (index, node) in self.nodes.iter_mut().enumerate() {
            let step = distance[index].unwrap_or(farthest); // a bid without slots leads nowhere
            node.dual = if index < bids {
                node.dual.plus(step)
            } else {
                node.dual.minus(step)
            };
        }
    }

    pub(super) fn has_won(&self, entry: usize) -> bool {
        self.won[entry]
    }

    pub(super) fn free_slots(&self, bid: usize) -> usize {
        self.free[bid]
    }

    pub(super) fn bid_dual(&self, bid: usize) -> Weight {
        self.nodes[bid].dual
    }

    pub(super) fn task_dual(&self, task: usize) -> Weight {
        self.nodes[self.node_of(task)].dual
    }

    fn node_of(&self, task: usize) -> usize {
        self.graph.of_bid.len().saturating_add(task)
    }

    /// Where an entry leads from a node, and its reduced cost `|u + v − w|`.
    fn step(&self, node: usize, e: usize) -> (usize, Weight) {
        let entry = &self.graph.entries[e];
        let task = self.node_of(entry.task);
        let duals = self.nodes[entry.bid].dual.plus(self.nodes[task].dual);
        let next = if node == task { entry.bid } else { task };
        if self.won[e] {
            (next, entry.weight().minus(duals))
        } else {
            (next, duals.minus(entry.weight()))
        }
    }

    /// The least dual of a task none of whose units has been admitted.
    fn price(&mut self, task: usize) {
        let worth = |&e: &usize| {
            let entry = &self.graph.entries[e];
            entry.weight().minus(self.nodes[entry.bid].dual)
        };
        let best = self.graph.of_task[task].iter().map(worth).max();
        let node = self.node_of(task);
        self.nodes[node].dual = best.unwrap_or_default().max(Weight::ZERO);
    }

    /// Admits one unit of `task`; the gain is zero if it is best left spare. Bids of bidder `without` do not exist.
    fn fill(&mut self, task: usize, without: Option<usize>) -> Weight {
        let start = self.node_of(task);
        let before = self.nodes[start].dual;
        let (distance, end) = self.search(start, without);
        self.move_duals(distance);
        self.augment(start, end);
        for node in self.reached.drain(..) {
            self.nodes[node].reached = None;
        }
        before.minus(distance)
    }

    /// The nearest end of an alternating path from `start`: a bid with a free slot, or a task that loses a unit.
    fn search(&mut self, start: usize, without: Option<usize>) -> (Weight, usize) {
        let bids = self.graph.of_bid.len();
        let mut best = (self.nodes[start].dual, start); // leave the unit spare
        let mut heap = BinaryHeap::from([Reverse((Weight::ZERO, start))]);
        self.nodes[start].reached = Some((Weight::ZERO, usize::MAX));
        self.reached.push(start);
        while let Some(Reverse((distance, node))) = heap.pop() {
            if distance >= best.0 {
                break;
            }
            if self.nodes[node].reached.is_some_and(|(d, _)| d < distance) {
                continue; // a shorter way was found since
            }
            let leaving = node < bids; // a bid leaves what it won, a task takes what it lost
            for e in self.graph.entries_of(node) {
                let of = |bidder| self.graph.bidder[self.graph.entries[e].bid] == bidder;
                if self.won[e] != leaving || without.is_some_and(of) {
                    continue;
                }
                let (next, cost) = self.step(node, e);
                let reach = distance.plus(cost);
                let known = self.nodes[next].reached;
                if reach >= best.0 || known.is_some_and(|(d, _)| d <= reach) {
                    continue;
                }
                if known.is_none() {
                    self.reached.push(next);
                }
                self.nodes[next].reached = Some((reach, e));
                heap.push(Reverse((reach, next)));
                let ends = if leaving {
                    Some(reach.plus(self.nodes[next].dual))
                } else {
                    (self.free[next] > 0).then_some(reach)
                };
                if let Some(end) = ends.filter(|end| *end < best.0) {
                    best = (end, next);
                }
            }
        }
        best
    }

    /// Keeps the duals' invariant after a search that ended at `distance`.
    fn move_duals(&mut self, distance: Weight) {
        let bids = self.graph.of_bid.len();
        for &index in &self.reached {
            let node = &mut self.nodes[index];
            let Some((near, _)) = node.reached.filter(|(near, _)| *near < distance) else {
                continue;
            };
            self.journal.push(Change::Dual(index, node.dual));
            let step = distance.minus(near);
            node.dual = if index < bids {
                node.dual.plus(step)
            } else {
                node.dual.minus(step)
            };
        }
    }

    /// Turns every entry on the path to `end` over.
    fn augment(&mut self, start: usize, end: usize) {
        let bids = self.graph.of_bid.len();
        if end < bids {
            self.free[end] = self.free[end].saturating_sub(1);
            self.journal.push(Change::TookSlot(end));
        }
        let mut node = end;
        while node != start {
            let Some((_, entry)) = self.nodes[node].reached else {
                break; // every node of the path was reached
            };
            self.flip(entry);
            node = if node < bids {
                self.node_of(self.graph.entries[entry].task)
            } else {
                self.graph.entries[entry].bid
            };
        }
    }

    fn flip(&mut self, entry: usize) {
        self.won[entry] = !self.won[entry];
        self.journal.push(Change::Flipped(entry));
    }

    fn commit(&mut self) {
        self.journal.clear();
    }

    fn roll_back(&mut self) {
        while let Some(change) = self.journal.pop() {
            match change {
                Change::Flipped(entry) => self.won[entry] = !self.won[entry],
                Change::TookSlot(bid) => self.free[bid] = self.free[bid].saturating_add(1),
                Change::Dual(node, dual) => self.nodes[node].dual = dual,
            }
        }
    }
}
