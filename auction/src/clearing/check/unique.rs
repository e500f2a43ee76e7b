//! Whether tight entries close a circle.
//!
//! Orient every tight entry from task to bid if it lost (it could be taken) and from bid to task if it won (it could be left). A circle in this graph is
//! a second optimum. Setters and marginal units form a forest; a circle needs another tight entry, of which there are none unless sums of
//! hashes coincide, so the graph is built for those cases only. One topological pass (Kahn 1962), linear in tasks, bids and arcs.
//!
//! Nodes: the tasks, then the bids.

// Every index below is an entry that `assignment` compared with the market's, or a position that the checked market holds.
#![allow(clippy::indexing_slicing)]

use super::{
    assignment::{IDLE, NONE},
    ties::Found,
};

/// Sorted out by where they start.
struct Graph {
    starts: Vec<u32>,
    to: Vec<u32>,
}

fn bid_node(found: Found<'_>, bid: u32) -> u32 {
    (found.market.tasks().len() as u32).wrapping_add(bid) // at most 2^21
}

/// The arc of a winning entry.
pub(super) fn left(found: Found<'_>, bid: u32, entry: u32) -> (u32, u32) {
    let task = found.market.entry_tasks()[entry as usize];
    (bid_node(found, bid), task)
}

/// The arc of a losing entry.
pub(super) fn taken(found: Found<'_>, bid: u32, entry: u32) -> [(u32, u32); 1] {
    let task = found.market.entry_tasks()[entry as usize];
    [(task, bid_node(found, bid))]
}

/// Whether the setters, the marginal units and these other arcs are without a circle.
pub(super) fn is_acyclic(found: Found<'_>, others: &[(u32, u32)]) -> bool {
    let (market, assignment) = (found.market, found.assignment);
    let setters = (0u32..).zip(&assignment.steps);
    let setters = setters.filter(|(_, step)| step.setter != NONE);
    let setters = setters.map(|(task, step)| (task, bid_node(found, step.bid)));
    let roles = (0u32..).zip(&assignment.roles);
    let marginal =
        roles.filter(|(_, role)| role.marginal != NONE && role.marginal != IDLE.marginal);
    let marginal = marginal.map(|(bid, role)| left(found, bid, role.marginal));
    let arcs = setters.chain(marginal).chain(others.iter().copied());
    let nodes = market.tasks().len().saturating_add(market.bid_count());
    let graph = Graph::new(nodes, arcs);
    graph.is_acyclic()
}

impl Graph {
    fn new(nodes: usize, arcs: impl Iterator<Item = (u32, u32)> + Clone) -> Graph {
        let mut starts = vec![0u32; nodes.saturating_add(2)];
        for (from, _) in arcs.clone() {
            let count = &mut starts[(from as usize).wrapping_add(2)];
            *count = count.wrapping_add(1); // fewer than 2^25 arcs
        }
        let mut before = 0u32;
        for count in &mut starts {
            before = before.wrapping_add(*count);
            *count = before;
        }
        let mut to = vec![0; starts.last().map_or(0, |all| *all as usize)];
        for (from, node) in arcs {
            let at = &mut starts[(from as usize).wrapping_add(1)];
            to[*at as usize] = node;
            *at = at.wrapping_add(1);
        }
        Graph { starts, to }
    }

    fn of(&self, node: u32) -> &[u32] {
        let node = node as usize;
        &self.to[self.starts[node] as usize..self.starts[node.wrapping_add(1)] as usize]
    }

    fn is_acyclic(&self) -> bool {
        let nodes = self.starts.len().saturating_sub(2);
        let mut incoming = vec![0u32; nodes];
        for node in &self.to {
            incoming[*node as usize] = incoming[*node as usize].wrapping_add(1);
        }
        let mut ready: Vec<u32> = (0..nodes as u32)
            .filter(|node| incoming[*node as usize] == 0)
            .collect();
        let mut sorted = 0usize;
        while let Some(node) = ready.pop() {
            sorted = sorted.wrapping_add(1);
            for &to in self.of(node) {
                let left = &mut incoming[to as usize];
                *left = left.wrapping_sub(1); // counted above
                if *left == 0 {
                    ready.push(to);
                }
            }
        }
        sorted == nodes
    }
}
