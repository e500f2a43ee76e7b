//! The market: the state machine that consensus replicates.
//!
//! ```text
//!  Transaction ──check──▶ Refusal              proposer: propose ──▶ Payload ─┐
//!       │ (mempool)                                                          ▼
//!       └─────────────────── block ──▶ execute: begin · apply · end ──▶ MarketState, outcomes, roots
//! ```
//!
//! | module | answers |
//! |---|---|
//! | [`state`], [`table`] | what is remembered, and what is its root? |
//! | [`auction`], [`registry`], [`crate::ledger`] | the rows |
//! | [`admission`], [`bids`], [`refusal`] | does this transaction apply, and if not, why? |
//! | [`verifier`], [`cache`] | proofs, once each, many together |
//! | [`execute`], [`phases`], [`settle`], [`lifecycle`], [`governance`], [`witness`] | what does a block bring about? |
//! | [`sealing`] | which seal keys and reveals does a member owe? |
//! | [`query`] | what does a peer show of it? |
//!
//! Invariants: everything is a pure function of (state, block); bounded by named constants; total on foreign input. Memories
//! (verdicts, signatures, openings, clearings) make it faster and never change a result.

pub mod admission;
mod application;
pub mod auction;
pub mod bids;
pub mod cache;
pub mod draft;
pub mod event;
pub mod execute;
pub mod governance;
pub mod judge;
pub mod lifecycle;
#[cfg(test)]
mod limits;
pub mod opening;
pub mod phases;
pub mod query;
pub mod refusal;
pub mod registry;
pub mod sealing;
pub mod settle;
pub mod state;
pub mod table;
pub mod verifier;
pub mod witness;

pub use auction::{AdmittedBid, Auction, Award, Phase};
pub use draft::{Draft, DraftError};
pub use event::{BlockOutcome, Event};
pub use execute::ExecutionError;
pub use opening::DueOpening;
pub use refusal::Refusal;
pub use sealing::duties;
pub use state::{Clock, MarketState};
pub use verifier::{ProofClaim, ProofVerifier, RememberingVerifier};

use crate::genesis::{Genesis, GenesisError};
use auction::Auctions;
use cache::Cache;
use governance::{Governance, Validators};
use opening::Openings;
use registry::{Credentials, Issuers};
use state::{Endings, Rules, Sequences, Types};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};
use table::Table;
use tender_wire::{Digest, Height};
use verifier::MAX_VERDICTS;
use witness::Clearings;

/// The market of one chain. Shared by the mempool, which predicts, and consensus, which executes.
pub struct Market {
    genesis: Genesis,
    initial: MarketState,
    verifier: Arc<dyn ProofVerifier>,
    /// Bids whose signature is good.
    signatures: Cache<Digest, ()>,
    openings: Openings,
    clearings: Clearings,
}

impl Market {
    /// The market of a genesis document, verifying proofs for real.
    ///
    /// # Errors
    /// [`GenesisError`] if the document breaks a rule.
    pub fn new(genesis: Genesis) -> Result<Self, GenesisError> {
        Market::with_verifier(genesis, Arc::new(RememberingVerifier::default()))
    }

    /// The market of a genesis document, with another judge of proofs.
    ///
    /// # Errors
    /// [`GenesisError`] if the document breaks a rule.
    pub fn with_verifier(
        genesis: Genesis,
        verifier: Arc<dyn ProofVerifier>,
    ) -> Result<Self, GenesisError> {
        genesis.check()?;
        let initial = initial_state(&genesis)?;
        Ok(Market {
            genesis,
            initial,
            verifier,
            signatures: Cache::new(MAX_VERDICTS),
            openings: Openings::default(),
            clearings: Clearings::default(),
        })
    }

    /// The document the chain starts from.
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The state before the first block.
    pub fn initial_state(&self) -> &MarketState {
        &self.initial
    }
}

fn initial_state(genesis: &Genesis) -> Result<MarketState, GenesisError> {
    let mut state = MarketState {
        rules: Table::new(Rules {
            chain: genesis.chain_id(),
            block_interval_ms: genesis.consensus.block_interval_ms,
            allow_insecure_setup: genesis.allow_insecure_setup,
            open_budget: genesis.open_budget,
        }),
        clock: Clock {
            height: Height(0),
            time: genesis.time,
        },
        sequences: Table::new(Sequences::default()),
        issuers: Table::new(Issuers::default()),
        types: Table::new(Types::default()),
        credentials: Table::new(Credentials::genesis()),
        ledger: Table::default(),
        auctions: Table::new(Auctions::default()),
        endings: Table::new(Endings::default()),
        validators: Table::new(Validators {
            set: genesis.validator_set()?,
            jailed: BTreeMap::new(),
        }),
        governance: Table::new(Governance {
            openers: genesis.openers.clone(),
            open: BTreeMap::new(),
            passed: BTreeMap::new(),
            waiting: VecDeque::new(),
        }),
    };
    for record in &genesis.types {
        state.add_type(record.clone());
    }
    for issuer in &genesis.issuers {
        state.add_issuer(issuer.clone());
    }
    Ok(state)
}
