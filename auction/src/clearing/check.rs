//! The witness of a clearing, and the check every peer makes before it votes for a block.
//!
//! ```text
//! witness = 0 u32[4] (form 1) ‖ nonce u32[4] ‖ tasks u64[8] ‖ per task: winners u64[8] ‖ bid index u32[4] each     (little-endian)
//! ```

use super::{CheckError, Clearing, MAX_ENTRIES, MAX_TASKS, Market, PaymentRule, clear};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tender_wire::{Digest, Wire};

/// What a proposer puts in a block so that others need not search. Exactly one witness of a form is accepted for a market.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Witness {
    /// Form 1: the assignment itself; the checker solves again.
    V1 {
        /// Least nonce with a unique optimum.
        nonce: u32,
        /// Per task of the market, in order: indexes of the winning bids, strictly ascending.
        winners: Vec<Vec<u32>>,
    },
}

impl Wire for Witness {
    const NAME: &'static str = "clearing witness";
    // Variant, nonce, list length; a length per task; an index per unit.
    const MAX_BYTES: usize = 16 + 8 * MAX_TASKS + 4 * MAX_ENTRIES;
}

/// The clearing of `market`, if `witness` is the one witness of it.
///
/// Feasibility is checked first, in linear time; then the market is solved again and compared. A linear-time proof of optimality
/// can replace the second half behind the same interface.
///
/// # Errors
/// [`CheckError`], the first rule broken.
pub fn check(
    market: &Market,
    seed: &Digest,
    rule: PaymentRule,
    witness: &Witness,
) -> Result<Clearing, CheckError> {
    check_feasible(market, witness)?;
    let (right, clearing) = clear(market, seed, rule)?;
    check_same(market, witness, &right)?;
    Ok(clearing)
}

/// The cheap half of [`check`]: whether the witness is an assignment of the market at all.
///
/// # Errors
/// [`CheckError`], the first rule broken.
pub fn check_feasible(market: &Market, witness: &Witness) -> Result<(), CheckError> {
    let Witness::V1 { winners, .. } = witness;
    if winners.len() != market.tasks().len() {
        return Err(CheckError::Tasks {
            expected: market.tasks().len(),
            found: winners.len(),
        });
    }
    let mut used: BTreeMap<u32, u32> = BTreeMap::new();
    for (task, list) in market.tasks().iter().zip(winners) {
        if list.len() > task.quantity as usize {
            return Err(CheckError::Quantity {
                task: task.id,
                winners: list.len(),
                quantity: task.quantity,
            });
        }
        let mut previous = None;
        let position = market.task(task.id).map_or(0, |(position, _)| position);
        for &bid in list {
            if previous >= Some(bid) {
                return Err(CheckError::WinnerOrder { task: task.id, bid });
            }
            previous = Some(bid);
            let slots = market
                .entry_of(bid as usize, position)
                .and_then(|_| market.slots().get(bid as usize).copied())
                .ok_or(CheckError::NoEntry { task: task.id, bid })?;
            let used = used.entry(bid).or_default();
            *used = used.saturating_add(1);
            if *used > slots {
                return Err(CheckError::Slots { bid, slots });
            }
        }
    }
    Ok(())
}

/// The other half of [`check`], for whoever has solved the market already: whether a feasible witness is the `right` one.
///
/// # Errors
/// [`CheckError`], the first difference.
pub fn check_same(market: &Market, witness: &Witness, right: &Witness) -> Result<(), CheckError> {
    let Witness::V1 {
        nonce: found,
        winners,
    } = witness;
    let Witness::V1 {
        nonce: expected,
        winners: right,
    } = right;
    if found != expected {
        return Err(CheckError::Nonce {
            expected: *expected,
            found: *found,
        });
    }
    for ((task, found), right) in market.tasks().iter().zip(winners).zip(right) {
        if found != right {
            return Err(CheckError::NotOptimal { task: task.id });
        }
    }
    Ok(())
}
