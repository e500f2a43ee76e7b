//! Offences seen and not yet counted on chain.
//!
//! Invariant: verified before stored, one per culprit, none the chain would refuse. So nobody's offences, however many, crowd out another's.
//! Bound: [`MAX_POOLED_EVIDENCE`].
//!
//! It outlives a restart in the vote log: every piece is written when it comes, and again behind the `Start` of each height until it is counted.

use crate::{
    chain::ChainState,
    evidence::{Evidence, Offence},
    params::MAX_BLOCK_EVIDENCE,
};
use std::collections::BTreeMap;
use tender_wire::PublicKey;

/// Offences kept: more than a block counts, and one for every member of most sets.
pub const MAX_POOLED_EVIDENCE: usize = 128;

#[derive(Default)]
pub(super) struct EvidencePool(BTreeMap<PublicKey, Evidence>);

impl EvidencePool {
    /// The offence kept against a validator.
    pub(super) fn against(&self, validator: &PublicKey) -> Option<Offence> {
        self.0.get(validator).map(Evidence::offence)
    }

    /// Adds verified evidence, unless full or there is some against its culprit.
    pub(super) fn add(&mut self, evidence: Evidence) {
        if !self.is_full() {
            let culprit = evidence.offence().validator;
            self.0.entry(culprit).or_insert(evidence);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= MAX_POOLED_EVIDENCE
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Evidence> {
        self.0.values()
    }

    /// What the next block may count, ascending.
    pub(super) fn for_block(&self) -> Vec<Evidence> {
        let mut evidence: Vec<Evidence> = self.0.values().cloned().collect();
        evidence.sort_unstable_by_key(Evidence::offence);
        evidence.truncate(MAX_BLOCK_EVIDENCE);
        evidence
    }

    /// Forgets what the chain has counted or would no longer count.
    pub(super) fn prune<S: Clone>(&mut self, chain: &ChainState<S>) {
        self.0
            .retain(|_, evidence| chain.admits_offence(&evidence.offence()).is_ok());
    }
}
