//! The audit: the whole history again, from nothing but the genesis document.
//!
//! Block by block: the commit certificate under the set the history itself leads to, then [`ChainState::apply`], which checks
//! every signature, proof and opening, clears every auction again and compares every root. A stranger who runs it needs to trust no peer.

use crate::checkpoint::Checkpoint;
use crate::genesis::{Genesis, GenesisError};
use crate::market::{Market, MarketState, ProofVerifier};
use crate::outcome::{AuctionEnd, EntryOutcome, OutcomeRecord};
use crate::transaction::Transaction;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};
use tender_circuits::EvidenceKind;
use tender_consensus::{
    block::CommittedBlock,
    certificate::CertificateError,
    chain::{BlockError, ChainState},
};
use tender_wire::{BlockId, ChainId, Digest, Height};

/// Header fields compared a block: roots of transactions, state and outcomes; hashes of last certificate, evidence, witnesses and two
/// validator sets.
pub const ROOTS: usize = 8;

/// A history being audited.
pub struct Audit {
    market: Market,
    chain: ChainState<MarketState>,
    report: AuditReport,
}

/// What was checked, and where it led.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditReport {
    /// The chain.
    pub chain: ChainId,
    /// Last height checked; every block up to it was.
    pub height: Height,
    /// Its block.
    pub block_id: BlockId,
    /// Its state root.
    pub state_root: Digest,
    /// Commit certificates verified, one a block.
    pub certificates: u64,
    /// Precommit signatures checked in them.
    pub precommits: u64,
    /// Transactions executed, by kind.
    pub transactions: BTreeMap<String, u64>,
    /// Signatures of transactions checked (a reveal has none: it proves itself).
    pub signatures: u64,
    /// Capability proofs verified.
    pub proofs: u64,
    /// Signed attestations verified.
    pub attestations: u64,
    /// Equivocations verified.
    pub evidence: u64,
    /// Auctions cleared again.
    pub cleared: u64,
    /// Bids opened again.
    pub opened: u64,
    /// Payments computed again.
    pub payments: u64,
    /// Auctions that ended void.
    pub void: u64,
    /// Outcome records compared.
    pub outcomes: u64,
    /// Hashes and roots in headers compared with what execution gives, [`ROOTS`] a block.
    pub roots: u64,
    /// Changes of the validator set.
    pub set_changes: u64,
}

/// The first block that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// Not the next block.
    #[error("expected the block of height {expected}, found height {found}")]
    Gap {
        /// The next height.
        expected: Height,
        /// The block's.
        found: Height,
    },
    /// Precommits do not make it final.
    #[error("height {height}: not committed: {error}")]
    NotCommitted {
        /// The height.
        height: Height,
        /// What is wrong.
        error: CertificateError,
    },
    /// It does not follow from the history before it.
    #[error("height {height}: {error}")]
    Invalid {
        /// The height.
        height: Height,
        /// What is wrong.
        error: BlockError,
    },
}

impl Audit {
    /// An audit of the chain of `genesis`, nothing checked yet.
    ///
    /// # Errors
    /// [`GenesisError`].
    pub fn new(genesis: Genesis) -> Result<Self, GenesisError> {
        Ok(Audit::of(Market::new(genesis)?))
    }

    /// The same with another judge of proofs.
    ///
    /// # Errors
    /// [`GenesisError`].
    pub fn with_verifier(
        genesis: Genesis,
        verifier: Arc<dyn ProofVerifier>,
    ) -> Result<Self, GenesisError> {
        Ok(Audit::of(Market::with_verifier(genesis, verifier)?))
    }

    fn of(market: Market) -> Self {
        let chain = ChainState::genesis(&market);
        let report = AuditReport {
            chain: chain.chain,
            height: chain.height,
            block_id: chain.tip,
            state_root: chain.state_root,
            certificates: 0,
            precommits: 0,
            transactions: BTreeMap::new(),
            signatures: 0,
            proofs: 0,
            attestations: 0,
            evidence: 0,
            cleared: 0,
            opened: 0,
            payments: 0,
            void: 0,
            outcomes: 0,
            roots: 0,
            set_changes: 0,
        };
        Audit {
            market,
            chain,
            report,
        }
    }

    /// Verifies the proofs of the blocks that are audited next, those of many blocks together. Says nothing of them and counts nothing: [`Audit::block`] does,
    /// for each, and finds what is good already verified.
    pub fn foresee(&self, blocks: &[CommittedBlock]) {
        let blocks: Vec<_> = blocks.iter().map(|it| &it.block.transactions[..]).collect();
        self.market.verify_range(&self.chain.app, &blocks);
    }

    /// The last block checked: what an auditor may hand on for others to trust.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            height: self.report.height,
            block: self.report.block_id,
        }
    }

    /// What was checked so far.
    pub fn report(&self) -> &AuditReport {
        &self.report
    }

    /// Checks the next block. After an error the audit stands where it stood.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn block(&mut self, committed: &CommittedBlock) -> Result<(), AuditError> {
        let CommittedBlock { block, certificate } = committed;
        let height = block.header.height;
        let expected = self.chain.height.next();
        if height != expected {
            return Err(AuditError::Gap {
                expected,
                found: height,
            });
        }
        let set = &self.chain.validators;
        let precommits = certificate
            .verify(&self.chain.chain, set, (height, block.id()))
            .and_then(|()| certificate.precommits(set))
            .map_err(|error| AuditError::NotCommitted { height, error })?;
        let applied = self
            .chain
            .apply(&self.market, block)
            .map_err(|error| AuditError::Invalid { height, error })?;
        self.chain = applied.chain;
        self.count(committed, precommits.len(), &applied.outcome.records);
        Ok(())
    }

    fn count(&mut self, committed: &CommittedBlock, precommits: usize, records: &[OutcomeRecord]) {
        let header = &committed.block.header;
        let report = &mut self.report;
        report.height = header.height;
        report.block_id = self.chain.tip;
        report.state_root = self.chain.state_root;
        add(&mut report.certificates, 1);
        add(&mut report.precommits, precommits);
        add(&mut report.roots, ROOTS);
        add(&mut report.evidence, committed.block.annex.evidence.len());
        add(&mut report.outcomes, records.len());
        add(
            &mut report.set_changes,
            usize::from(header.validators_hash != header.next_validators_hash),
        );
        for tx in &committed.block.transactions {
            let Ok(tx) = Transaction::from_bytes(tx.bytes()) else {
                continue;
            }; // it applied, so it decodes
            add(
                report.transactions.entry(tx.kind().to_owned()).or_default(),
                1,
            );
            let signed = !matches!(tx, Transaction::SealReveal(_));
            add(&mut report.signatures, usize::from(signed));
            if let Transaction::Bid(bid) = &tx {
                for evidence in &bid.content.evidences {
                    match evidence.kind() {
                        EvidenceKind::Proof => add(&mut report.proofs, 1),
                        EvidenceKind::Attestation => add(&mut report.attestations, 1),
                    }
                }
            }
        }
        for record in records {
            match record {
                OutcomeRecord::Auction(auction) => match &auction.end {
                    AuctionEnd::Cleared { bids, .. } => {
                        add(&mut report.cleared, 1);
                        report.opened = report.opened.saturating_add((*bids).into());
                    }
                    _ => add(&mut report.void, 1),
                },
                OutcomeRecord::Entry(entry) => {
                    let won = matches!(entry.outcome, EntryOutcome::Won { .. });
                    add(&mut report.payments, usize::from(won));
                }
                _ => {}
            }
        }
    }
}

fn add(counter: &mut u64, count: usize) {
    *counter = counter.saturating_add(count as u64);
}
