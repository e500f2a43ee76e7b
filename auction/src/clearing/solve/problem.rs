//! What the engine optimises: a sparse bipartite b-matching with weights of one kind.
//!
//! A market's money is one problem; the ties that money leaves open are another, smaller one. Both are solved by the same steps.

// Positions and counts below the bounds of a market, which the caller keeps; weights go through [`Weight`].
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{fmt::Debug, ops::Range};

/// No bid, entry or unit.
pub(crate) const NONE: u32 = u32::MAX;

/// What is added up and compared.
pub(super) trait Weight: Copy + Ord + Default + Debug + 'static {
    /// Nothing.
    const ZERO: Self;
    /// More than any distance: there is no such end.
    const NEVER: Self;
    /// Less than any worth less any dual: whoever must be matched takes anything.
    const LOWEST: Self;
    /// Duals and distances up to this, with worths up to 2^57 in `i64`, are far from wrapping.
    const LIMIT: Self;

    fn plus(self, other: Self) -> Self;
    fn minus(self, other: Self) -> Self;
    /// One over 2^`bits` of it, rounded down.
    fn shifted(self, bits: u32) -> Self;
}

macro_rules! weight {
    ($integer:ty) => {
        impl Weight for $integer {
            const ZERO: Self = 0;
            const NEVER: Self = <$integer>::MAX;
            const LOWEST: Self = <$integer>::MIN / 2;
            const LIMIT: Self = 1 << (<$integer>::BITS - 4);

            #[inline(always)]
            fn plus(self, other: Self) -> Self {
                self.wrapping_add(other)
            }

            #[inline(always)]
            fn minus(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }

            fn shifted(self, bits: u32) -> Self {
                self >> bits
            }
        }
    };
}
weight!(i64);
weight!(i128);

/// A weight grew beyond [`Weight::LIMIT`]: the same problem in a wider type will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooWide;

/// The problem: find an assignment of greatest total worth.
#[derive(Clone, Copy)]
pub(super) struct Problem<'a, W> {
    /// Entries of bid `b` are `starts[b]..starts[b + 1]`.
    pub(super) starts: &'a [u32],
    /// Task of each entry.
    pub(super) tasks: &'a [u32],
    /// Worth of each entry.
    pub(super) worth: &'a [W],
    /// Slots of each bid.
    pub(super) slots: &'a [u32],
    /// Units of task `t` are `units[t]..units[t + 1]`; none has more than entries.
    pub(super) units: &'a [u32],
    /// Bids all of whose slots must be used, whatever it costs; empty if there are none.
    pub(super) full_bids: &'a [bool],
    /// Tasks all of whose units must be filled, whatever it costs; empty if there are none.
    pub(super) full_tasks: &'a [bool],
}

impl<W: Weight> Problem<'_, W> {
    pub(super) fn bid_count(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn task_count(&self) -> usize {
        self.units.len().saturating_sub(1)
    }

    #[inline(always)]
    pub(super) fn entries(&self, bid: u32) -> Range<usize> {
        let bid = bid as usize;
        self.starts[bid] as usize..self.starts[bid + 1] as usize
    }

    #[inline(always)]
    pub(super) fn task(&self, entry: u32) -> usize {
        self.tasks[entry as usize] as usize
    }

    #[inline(always)]
    pub(super) fn capacity(&self, task: usize) -> u32 {
        self.units[task + 1] - self.units[task]
    }

    /// Whether every slot of the bid must be used.
    #[inline(always)]
    pub(super) fn is_full_bid(&self, bid: u32) -> bool {
        self.full_bids.get(bid as usize) == Some(&true)
    }

    /// Whether every unit of the task must be filled.
    #[inline(always)]
    pub(super) fn is_full_task(&self, task: usize) -> bool {
        self.full_tasks.get(task) == Some(&true)
    }

    /// The least that a slot of the bid must be worth to be used.
    #[inline(always)]
    pub(super) fn floor(&self, bid: u32) -> W {
        if self.is_full_bid(bid) {
            W::LOWEST
        } else {
            W::ZERO
        }
    }
}

/// The entries of every task, ascending by bid.
#[derive(Clone, Debug, Default)]
pub(super) struct ByTask {
    starts: Vec<u32>,
    /// Bid, entry.
    entries: Vec<(u32, u32)>,
}

impl ByTask {
    pub(super) fn build(&mut self, starts: &[u32], tasks: &[u32], task_count: usize) {
        self.starts.clear();
        self.starts.resize(task_count + 1, 0);
        for &task in tasks {
            self.starts[task as usize] += 1;
        }
        let mut end = 0;
        for count in &mut self.starts {
            end += *count;
            *count = end; // where the task's entries end, until they are filled in from the back
        }
        self.entries.clear();
        self.entries.resize(tasks.len(), (0, 0));
        for bid in (0..starts.len().saturating_sub(1)).rev() {
            for entry in (starts[bid]..starts[bid + 1]).rev() {
                let place = &mut self.starts[tasks[entry as usize] as usize];
                *place -= 1;
                self.entries[*place as usize] = (bid as u32, entry);
            }
        }
    }

    #[inline(always)]
    pub(super) fn of(&self, task: usize) -> &[(u32, u32)] {
        &self.entries[self.starts[task] as usize..self.starts[task + 1] as usize]
    }
}
