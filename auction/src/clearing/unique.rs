//! Whether an optimum is the only one, exactly and in linear time.
//!
//! A second optimum differs from the first by alternating cycles, or alternating paths whose ends may gain or lose a unit, each of weight
//! zero. Weight zero means every entry on it is *tight* (`u + v = w`) and so are its ends. So orient each tight entry from task to bid if it lost
//! (it could be taken) and from bid to task if it won (it could be left). The optimum is unique if and only if this graph
//!
//! 1. has no cycle, and
//! 2. has no path, of at least one entry, from a node where a change may begin (a task with a spare unit; a bid that
//!    gives up a slot worth nothing) to one where it may end (a bid with a free slot; a task that gives up a unit worth nothing).
//!
//! One topological pass (Kahn 1962) decides both.

// Every index below is a number that `Graph` assigned itself; none comes from outside.
#![allow(clippy::indexing_slicing)]

use super::{graph::Weight, solve::Matching};

pub(super) fn is_unique(matching: &Matching) -> bool {
    let graph = matching.graph();
    let bids = graph.bids().len();
    let nodes = bids.saturating_add(graph.tasks().len());

    let mut next = vec![Vec::new(); nodes];
    let mut incoming = vec![0usize; nodes];
    let mut used = vec![0usize; nodes];
    for (e, entry) in graph.entries.iter().enumerate() {
        let task = bids.saturating_add(entry.task);
        let won = matching.has_won(e);
        if won {
            used[entry.bid] = used[entry.bid].saturating_add(1);
            used[task] = used[task].saturating_add(1);
        }
        let duals = matching
            .bid_dual(entry.bid)
            .plus(matching.task_dual(entry.task));
        if duals == entry.weight() {
            let (from, to) = if won {
                (entry.bid, task)
            } else {
                (task, entry.bid)
            };
            next[from].push(to);
            incoming[to] = incoming[to].saturating_add(1);
        }
    }
    let begins = |node: usize| {
        if node < bids {
            used[node] > 0 && matching.bid_dual(node) == Weight::ZERO
        } else {
            used[node] < graph.quantity[node.saturating_sub(bids)]
        }
    };
    let ends = |node: usize| {
        if node < bids {
            matching.free_slots(node) > 0
        } else {
            used[node] > 0 && matching.task_dual(node.saturating_sub(bids)) == Weight::ZERO
        }
    };

    let mut ready: Vec<usize> = (0..nodes).filter(|&n| incoming[n] == 0).collect();
    let mut changes: Vec<bool> = (0..nodes).map(begins).collect();
    let mut sorted = 0usize;
    while let Some(node) = ready.pop() {
        sorted = sorted.saturating_add(1);
        for &to in &next[node] {
            if changes[node] {
                if ends(to) {
                    return false;
                }
                changes[to] = true;
            }
            incoming[to] = incoming[to].saturating_sub(1);
            if incoming[to] == 0 {
                ready.push(to);
            }
        }
    }
    sorted == nodes
}
