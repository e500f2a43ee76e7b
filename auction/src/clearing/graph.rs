//! The market as a bipartite graph with numbered nodes: the form everything else works on.

// Every index below is a position that the checked market holds.
#![allow(clippy::indexing_slicing)]

use super::{Market, tie::TieKey};
use std::{collections::BTreeMap, ops::Range};

/// A weight `(surplus, h)`, compared lexicographically; also sums and differences of weights. One number, `surplus·2^75 + h`, for solving does
/// little else than add and compare.
///
/// Weights, duals and distances of the solver have a surplus within ±3·10^15 < 2^51.5, so the number stays below 2^127. Their `h` is a sum over
/// a path, at most 2^56 for each of its entries taken or left, at most 2^17 of those: below 2^74, so two never differ by as much as
/// a surplus of one, and the order is the lexicographic one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Weight(i128);

/// Bits that `h` takes.
const H_BITS: u32 = 75;

impl Weight {
    pub(super) const ZERO: Weight = Weight(0);

    fn new(surplus: u64, h: u64) -> Weight {
        Weight((i128::from(surplus) << H_BITS).saturating_add(i128::from(h)))
    }

    pub(super) fn surplus(self) -> i128 {
        self.0.saturating_add(1 << (H_BITS - 1)) >> H_BITS
    }

    pub(super) fn plus(self, other: Weight) -> Weight {
        Weight(self.0.saturating_add(other.0))
    }

    pub(super) fn minus(self, other: Weight) -> Weight {
        Weight(self.0.saturating_sub(other.0))
    }
}

/// One entry: bid `bid` offers to serve task `task` (both are positions in the market).
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) bid: usize,
    pub(super) task: usize,
    /// Reserve − price.
    pub(super) surplus: u64,
    /// Tie breaker under the current nonce.
    pub(super) h: u64,
}

impl Entry {
    pub(super) fn weight(&self) -> Weight {
        Weight::new(self.surplus, self.h)
    }
}

/// A checked market. Entries are numbered bid by bid.
pub(super) struct Graph {
    pub(super) entries: Vec<Entry>,
    /// Entries of each bid.
    pub(super) of_bid: Vec<Range<usize>>,
    /// Entries of each task, ascending by bid.
    pub(super) of_task: Vec<Vec<usize>>,
    /// Slots of each bid, at most its number of entries: more cannot be used.
    pub(super) slots: Vec<usize>,
    /// Units of each task, at most its number of entries.
    pub(super) quantity: Vec<usize>,
    /// The bidder of each bid, numbered in order of first appearance.
    pub(super) bidder: Vec<usize>,
}

impl Graph {
    /// Numbers a market's parts. Ties are not broken yet.
    pub(super) fn new(market: &Market) -> Graph {
        let mut graph = Graph {
            entries: Vec::with_capacity(market.entry_count()),
            of_bid: Vec::with_capacity(market.bid_count()),
            of_task: vec![Vec::new(); market.tasks().len()],
            slots: Vec::with_capacity(market.bid_count()),
            quantity: Vec::with_capacity(market.tasks().len()),
            bidder: Vec::with_capacity(market.bid_count()),
        };
        let mut bidders = BTreeMap::new();
        let bids = market.bidders().iter().zip(market.slots());
        for (bid, ((bidder, slots), bonus)) in bids.zip(market.bonuses()).enumerate() {
            let range = market.entries_of(bid);
            for e in range.clone() {
                let task = market.entry_tasks()[e] as usize;
                let worth = market.tasks()[task].reserve.0.saturating_add(*bonus);
                graph.of_task[task].push(e);
                graph.entries.push(Entry {
                    bid,
                    task,
                    surplus: worth.saturating_sub(market.entry_prices()[e]),
                    h: 0,
                });
            }
            let number = bidders.len();
            graph.bidder.push(*bidders.entry(*bidder).or_insert(number));
            graph.slots.push(range.len().min(*slots as usize));
            graph.of_bid.push(range);
        }
        for (task, entries) in market.tasks().iter().zip(&graph.of_task) {
            graph
                .quantity
                .push(entries.len().min(task.quantity as usize));
        }
        graph
    }

    /// Sets every entry's `h` under `key`.
    pub(super) fn break_ties(&mut self, market: &Market, key: &TieKey) {
        let bids = market.bid_ids().iter().enumerate();
        let named = bids.flat_map(|(bid, id)| market.entries(bid).map(move |(task, _)| (id, task)));
        for (entry, (bid, task)) in self.entries.iter_mut().zip(named) {
            entry.h = key.h(bid, task);
        }
    }

    /// Entries of a node, where the bids come first and then the tasks.
    pub(super) fn entries_of(&self, node: usize) -> impl Iterator<Item = usize> {
        let of_bid = self.of_bid.get(node).cloned().unwrap_or_default();
        let task = node.checked_sub(self.of_bid.len());
        let of_task = task.and_then(|task| self.of_task.get(task));
        of_bid.chain(of_task.into_iter().flatten().copied())
    }

    /// Positions of the tasks.
    pub(super) fn tasks(&self) -> Range<usize> {
        0..self.of_task.len()
    }

    /// Positions of the bids.
    pub(super) fn bids(&self) -> Range<usize> {
        0..self.of_bid.len()
    }
}
