//! Offences seen and not yet counted on chain.
//!
//! Invariant: verified before stored, one per offence, none the chain would refuse. Bound: [`MAX_POOLED_EVIDENCE`].

use crate::{
    chain::ChainState,
    evidence::{Evidence, Offence},
    params::MAX_BLOCK_EVIDENCE,
};
use std::collections::BTreeMap;

/// Offences kept: more than a block counts, and one for every member of most sets.
pub const MAX_POOLED_EVIDENCE: usize = 128;

#[derive(Default)]
pub(super) struct EvidencePool(BTreeMap<Offence, Evidence>);

impl EvidencePool {
    pub(super) fn contains(&self, offence: &Offence) -> bool {
        self.0.contains_key(offence)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= MAX_POOLED_EVIDENCE
    }

    /// Adds verified evidence, unless full.
    pub(super) fn add(&mut self, evidence: Evidence) {
        if !self.is_full() {
            self.0.entry(evidence.offence()).or_insert(evidence);
        }
    }

    /// What the next block may count, ascending.
    pub(super) fn for_block(&self) -> Vec<Evidence> {
        self.0.values().take(MAX_BLOCK_EVIDENCE).cloned().collect()
    }

    /// Forgets what the chain has counted or would no longer count.
    pub(super) fn prune<S: Clone>(&mut self, chain: &ChainState<S>) {
        self.0
            .retain(|offence, _| chain.admits_offence(offence).is_ok());
    }
}
