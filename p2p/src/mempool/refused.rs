//! What was refused lately and why, for whoever asks about a transaction. It decides nothing.
//!
//! Bound: [`MAX_REMEMBERED`] reasons of a few hundred bytes, and as many of what others gossiped, so that a flood of those does not push out
//! what somebody here waits to hear.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, PoisonError},
};
use tender_wire::TxHash;

/// Reasons remembered, of each kind.
pub(crate) const MAX_REMEMBERED: usize = 4096;

/// Why a transaction was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The rule, as a stable snake_case word.
    pub code: &'static str,
    /// What is wrong, with the values.
    pub message: String,
    /// Whether every peer refuses these bytes whatever it has seen of the chain.
    pub for_ever: bool,
}

/// The reasons, oldest forgotten first.
#[derive(Default)]
pub struct RefusedMemory {
    own: Mutex<Rows>,
    of_others: Mutex<Rows>,
}

#[derive(Default)]
struct Rows {
    by_hash: BTreeMap<TxHash, Refused>,
    order: VecDeque<TxHash>,
}

impl RefusedMemory {
    /// Remembers why something submitted or waiting here was refused; a newer reason replaces it.
    pub fn remember(&self, hash: TxHash, refused: Refused) {
        remember(&self.own, hash, refused);
    }

    /// Remembers why something gossiped was refused.
    pub fn remember_of_others(&self, hash: TxHash, refused: Refused) {
        remember(&self.of_others, hash, refused);
    }

    /// The last reason, if it is remembered.
    pub fn reason(&self, hash: &TxHash) -> Option<Refused> {
        let known = |rows: &Mutex<Rows>| {
            let rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
            rows.by_hash.get(hash).cloned()
        };
        known(&self.own).or_else(|| known(&self.of_others))
    }
}

fn remember(rows: &Mutex<Rows>, hash: TxHash, refused: Refused) {
    let mut rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
    if rows.by_hash.insert(hash, refused).is_none() {
        rows.order.push_back(hash);
    }
    while rows.order.len() > MAX_REMEMBERED {
        if let Some(oldest) = rows.order.pop_front() {
            rows.by_hash.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// L1: the reason somebody here waits for outlives a flood of what others gossip.
    #[test]
    fn a_flood_of_others_does_not_push_out_what_was_submitted_here() {
        let memory = RefusedMemory::default();
        let refused = |code| Refused {
            code,
            message: String::new(),
            for_ever: true,
        };
        let hash = |n: usize| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&n.to_le_bytes());
            TxHash(bytes)
        };
        memory.remember(hash(0), refused("own"));
        for n in 1..=2 * MAX_REMEMBERED {
            memory.remember_of_others(hash(n), refused("gossip"));
        }
        assert_eq!(memory.reason(&hash(0)), Some(refused("own")));
        assert_eq!(memory.reason(&hash(1)), None);
        assert_eq!(
            memory.reason(&hash(2 * MAX_REMEMBERED)),
            Some(refused("gossip"))
        );
    }
}
