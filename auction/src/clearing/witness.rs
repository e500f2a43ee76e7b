//! The witness of a clearing: what a proposer puts in a block so that nobody else has to solve.
//!
//! ```text
//! witness = 1 u32[4] (form 2) ‖ nonce u32[4] ‖ units u64[8] ‖ entry u32[4] each ‖ prices u64[8] ‖ entry u32[4] each     (little-endian)
//! ```
//!
//! Entries are numbered as [`super::Market`] holds them: bid by bid, and within a bid by task. A filled unit takes four bytes, a task whose price
//! another bid sets takes four. What the two lists mean, and why exactly one witness is accepted, stands in [`super::check`].

use super::{MAX_ENTRIES, MAX_TASKS, solve::Optimum};
use serde::{Deserialize, Serialize};
use tender_wire::Wire;

/// The form that [`super::check()`] reads.
pub const FORM: u32 = 2;

/// What a proposer puts in a block so that others need not search. Exactly one is accepted for a market.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Witness {
    /// Form 1, of earlier builds: the assignment alone. It decodes, so that an old chain is refused with a clear message, and is never accepted.
    V1 {
        /// Least nonce with a unique optimum.
        nonce: u32,
        /// Per task of the market, in order: positions of the winning bids.
        winners: Vec<Vec<u32>>,
    },
    /// Form 2: the assignment, and what sets the prices.
    V2 {
        /// Least nonce with a unique optimum.
        nonce: u32,
        /// Entries that win, bid by bid: ascending, but where a bid has sold all its slots the one it profits least from comes first.
        won: Vec<u32>,
        /// Per task with a price below its reserve, the losing entry that sets the price; ascending.
        setters: Vec<u32>,
    },
}

impl Wire for Witness {
    const NAME: &'static str = "clearing witness";
    // Variant, nonce, two list lengths; an entry per task and per unit. Form 1, of a list's length per task, decodes too, to be refused as what it is.
    const MAX_BYTES: usize = 24 + 8 * MAX_TASKS + 4 * MAX_ENTRIES;
}

impl Witness {
    /// The form of its encoding.
    pub fn form(&self) -> u32 {
        match self {
            Witness::V1 { .. } => 1,
            Witness::V2 { .. } => FORM,
        }
    }

    /// The witness of an optimum.
    pub(super) fn of(optimum: Optimum) -> Witness {
        Witness::V2 {
            nonce: optimum.nonce,
            won: optimum.by_bid,
            setters: optimum.setters,
        }
    }
}
