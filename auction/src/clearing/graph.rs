//! The market as a bipartite graph with numbered nodes: the checked form everything else works on.

use super::{ClearingError, MAX_BIDS, MAX_ENTRIES, MAX_PRICE, MAX_TASKS, Market, tie::TieKey};
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
    /// Checks every rule of a market and numbers its parts. Ties are not broken yet.
    pub(super) fn new(market: &Market) -> Result<Graph, ClearingError> {
        check_sizes(market)?;
        let positions = check_tasks(market)?;
        let mut graph = Graph {
            entries: Vec::new(),
            of_bid: Vec::with_capacity(market.bids.len()),
            of_task: vec![Vec::new(); market.tasks.len()],
            slots: Vec::with_capacity(market.bids.len()),
            quantity: Vec::with_capacity(market.tasks.len()),
            bidder: Vec::with_capacity(market.bids.len()),
        };
        let mut bidders = BTreeMap::new();
        let mut previous = None;
        for (bid, about) in market.bids.iter().enumerate() {
            let id = about.bid_id;
            if previous >= Some(id) {
                return Err(ClearingError::BidOrder { id });
            }
            previous = Some(id);
            let first = graph.entries.len();
            let mut last_task = None;
            for &(task, price) in &about.entries {
                if last_task >= Some(task) {
                    return Err(ClearingError::EntryOrder { id, task });
                }
                last_task = Some(task);
                let &(position, reserve) = positions
                    .get(&task)
                    .ok_or(ClearingError::UnknownTask { id, task })?;
                let surplus = match reserve.checked_sub(price.0) {
                    Some(surplus) if price.0 > 0 => surplus,
                    _ => {
                        let price = price.0;
                        return Err(ClearingError::Price {
                            id,
                            task,
                            price,
                            reserve,
                        });
                    }
                };
                if let Some(list) = graph.of_task.get_mut(position) {
                    list.push(graph.entries.len());
                }
                graph.entries.push(Entry {
                    bid,
                    task: position,
                    surplus,
                    h: 0,
                });
            }
            let number = bidders.len();
            graph
                .bidder
                .push(*bidders.entry(about.bidder).or_insert(number));
            graph.of_bid.push(first..graph.entries.len());
            graph
                .slots
                .push(about.entries.len().min(about.slots as usize));
        }
        for (task, entries) in market.tasks.iter().zip(&graph.of_task) {
            graph
                .quantity
                .push(entries.len().min(task.quantity as usize));
        }
        Ok(graph)
    }

    /// Sets every entry's `h` under `key`.
    pub(super) fn break_ties(&mut self, market: &Market, key: &TieKey) {
        let named = market.bids.iter().flat_map(|bid| {
            bid.entries
                .iter()
                .map(move |(task, _)| (&bid.bid_id, *task))
        });
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

fn check_sizes(market: &Market) -> Result<(), ClearingError> {
    let entries = market
        .bids
        .iter()
        .fold(0usize, |sum, bid| sum.saturating_add(bid.entries.len()));
    for (what, found, max) in [
        ("tasks", market.tasks.len(), MAX_TASKS),
        ("bids", market.bids.len(), MAX_BIDS),
        ("entries", entries, MAX_ENTRIES),
    ] {
        if found > max {
            return Err(ClearingError::TooLarge { what, found, max });
        }
    }
    Ok(())
}

/// Position and reserve of each task id.
fn check_tasks(market: &Market) -> Result<BTreeMap<u32, (usize, u64)>, ClearingError> {
    let mut positions = BTreeMap::new();
    let mut previous = None;
    for (position, task) in market.tasks.iter().enumerate() {
        if previous >= Some(task.id) {
            return Err(ClearingError::TaskOrder { id: task.id });
        }
        previous = Some(task.id);
        if task.reserve.0 == 0 || task.reserve > MAX_PRICE {
            return Err(ClearingError::Reserve {
                task: task.id,
                reserve: task.reserve.0,
            });
        }
        positions.insert(task.id, (position, task.reserve.0));
    }
    Ok(positions)
}
