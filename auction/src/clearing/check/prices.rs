//! The price of every task, from what sets it: a walk from each task to where its chain of setters ends, every task once, without recursion.

// Every index below is an entry that `assignment` compared with the market's, or a position that the checked market holds.
#![allow(clippy::indexing_slicing)]

use super::assignment::{Assignment, NONE};
use crate::clearing::{CheckError, MAX_PRICE, Market};

/// Not known yet, and on the way to being known.
const UNKNOWN: i64 = i64::MIN;
const ON_PATH: i64 = i64::MIN + 1;
/// The price of a task without units: so low that no bid asks less, whatever it would be paid.
pub(super) const NO_UNITS: i64 = -(1 << 60);

/// Below all that anybody asks, less the largest bonus.
const LEAST: i64 = (MAX_PRICE.0 as i64).wrapping_neg();

/// The prices of the tasks.
#[derive(Default)]
pub(super) struct Prices {
    /// `reserve − v`, in money, by position: within ±10^15, or [`NO_UNITS`].
    pub(super) of: Vec<i64>,
    /// Tasks whose price is set, each after the one its own follows from.
    pub(super) order: Vec<u32>,
    /// Tasks whose price is set at their reserve in money, so that `h` decides whether it is below.
    pub(super) at_reserve: Vec<u32>,
    path: Vec<u32>,
}

impl Prices {
    /// Finds all prices.
    ///
    /// # Errors
    /// [`CheckError`]: a price set for a task with a spare unit, in a circle, or not below the reserve.
    pub(super) fn follow(
        &mut self,
        market: &Market,
        assignment: &Assignment,
    ) -> Result<(), CheckError> {
        self.order.clear();
        self.at_reserve.clear();
        self.of.clear();
        let tasks = market.tasks().iter().zip(&assignment.spare);
        for ((task, spare), step) in tasks.zip(&assignment.steps) {
            let set = step.setter != NONE;
            if set && (*spare > 0 || task.quantity == 0) {
                return Err(CheckError::SpareUnit { task: task.id });
            }
            self.of.push(match (set, task.quantity) {
                (true, _) => UNKNOWN,
                (false, 0) => NO_UNITS,
                (false, _) => task.reserve.0 as i64,
            });
        }
        for task in 0..self.of.len() {
            let mut at = task as u32;
            while at != NONE && self.of[at as usize] == UNKNOWN {
                self.of[at as usize] = ON_PATH;
                self.path.push(at);
                at = assignment.steps[at as usize].parent;
            }
            let mut price = self.of.get(at as usize).copied().unwrap_or(0);
            if price == ON_PATH {
                self.path.clear();
                let task = market.tasks()[at as usize].id;
                return Err(CheckError::Circle { task });
            }
            while let Some(at) = self.path.pop() {
                price = price.wrapping_add(assignment.steps[at as usize].offset); // below 2^53
                let task = &market.tasks()[at as usize];
                let reserve = task.reserve.0 as i64;
                if price > reserve || price < LEAST {
                    self.path.clear();
                    return Err(CheckError::TaskPrice { task: task.id });
                }
                if price == reserve {
                    self.at_reserve.push(at);
                }
                self.of[at as usize] = price;
                self.order.push(at);
            }
        }
        Ok(())
    }
}
