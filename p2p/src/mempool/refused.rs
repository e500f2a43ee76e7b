//! What was refused lately and why, for whoever asks about a transaction. It decides nothing.
//!
//! Bound: [`MAX_REMEMBERED`] reasons of a few hundred bytes.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, PoisonError},
};
use tender_wire::TxHash;

/// Reasons remembered.
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
pub struct RefusedMemory(Mutex<Rows>);

#[derive(Default)]
struct Rows {
    by_hash: BTreeMap<TxHash, Refused>,
    order: VecDeque<TxHash>,
}

impl RefusedMemory {
    /// Remembers a reason; a newer one replaces it.
    pub fn remember(&self, hash: TxHash, refused: Refused) {
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if rows.by_hash.insert(hash, refused).is_none() {
            rows.order.push_back(hash);
        }
        while rows.order.len() > MAX_REMEMBERED {
            if let Some(oldest) = rows.order.pop_front() {
                rows.by_hash.remove(&oldest);
            }
        }
    }

    /// The last reason, if it is remembered.
    pub fn reason(&self, hash: &TxHash) -> Option<Refused> {
        let rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rows.by_hash.get(hash).cloned()
    }
}
