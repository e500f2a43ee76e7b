//! Prices to begin with, where the exact auction alone would leave much to searches: markets in which nearly everybody finds a place, after long
//! wars over prices.
//!
//! The auction with `epsilon` > 0, begun coarse and repeated finer from the prices it found (Bertsekas 1979; Bertsekas and Castañon 1989 call it
//! ε-scaling). What it ends with is only a hint: the exact auction starts again from these prices, with nothing assigned, and searches settle
//! the rest, so that the result does not depend on it.

// Positions and counts below the bounds of a market, which the caller keeps; weights go through `Weight`.
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{
    assignment::Assignment,
    problem::{Problem, Weight},
};

/// One bid of so many left by the exact auction is enough to look for better prices.
pub(super) const LEFT_ONE_OF: usize = 32;
/// Each round is so many powers of two finer than the one before.
const FINER: u32 = 2;
/// The last round is so many powers of two finer than the spread of worths.
const FINEST: u32 = 16;
/// Offers per bid in one round.
const OFFERS: usize = 32;

impl<W: Weight> Assignment<W> {
    /// Leaves prices, and nothing assigned.
    pub(super) fn hint(&mut self, problem: &Problem<'_, W>) {
        let worths = problem.worth.iter();
        let (Some(least), Some(most)) = (worths.clone().min(), worths.max()) else {
            return;
        };
        let spread = most.minus(*least);
        self.duals.fill(W::ZERO);
        for bits in (FINER..=FINEST).step_by(FINER as usize) {
            let epsilon = spread.shifted(bits);
            if epsilon == W::ZERO {
                break;
            }
            self.empty(problem);
            self.auction(problem, epsilon, OFFERS * problem.bid_count());
        }
        self.empty(problem);
    }
}
