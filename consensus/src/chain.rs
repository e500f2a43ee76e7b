//! The tip of the chain, and the rules by which one block extends it.
//!
//! [`ChainState::apply`] is all of block validity but the wall clock: a pure function of (parent state, block), the same for a
//! fresh proposal, a re-proposal, sync, replay and audit. Order: counts and hashes, header fields, evidence, certificate,
//! execution, roots; cheap to dear.
//!
//! Layout of `state_root`: `hash(ChainState, [application root, encoding of the turns, encoding of the offences])`, where turns are
//! those the next height starts with ([`crate::proposer`]) and offences are the counted `(height u64, key[32])` of the last
//! `evidence_age` heights, ascending, as a sequence.

use crate::{
    application::{Application, BlockContext, Executed, Payload},
    block::{Annex, Block, BodyError, HEADER_VERSION, Header, tx_root},
    certificate::{CertificateError, CommitCertificate},
    evidence::{Evidence, EvidenceError, Offence},
    params::Params,
    proposer::{Proposers, Rotation},
    tx::TxBytes,
    validators::{ValidatorSet, ValidatorSetError},
};
use std::{collections::BTreeSet, sync::Arc};
use tender_wire::{BlockId, ChainId, Digest, Height, Tag, TimeMs, encode, hash};

/// Everything needed to judge and build the next block.
#[derive(Clone, Debug)]
pub struct ChainState<S> {
    /// The chain.
    pub chain: ChainId,
    /// Genesis parameters.
    pub params: Arc<Params>,
    /// Height of the tip; 0 is genesis.
    pub height: Height,
    /// Id of the tip; zero at genesis.
    pub tip: BlockId,
    /// Time of the tip.
    pub time: TimeMs,
    /// The set that decided the tip.
    pub last_validators: Arc<ValidatorSet>,
    /// The set that decides the next height.
    pub validators: Arc<ValidatorSet>,
    /// Turns the next height starts with.
    pub rotation: Rotation,
    /// Offences counted in the last `evidence_age` heights.
    pub offences: BTreeSet<Offence>,
    /// Whether the next block is due even without transactions.
    pub needs_block: bool,
    /// `state_root` of the tip.
    pub state_root: Digest,
    /// The application's state.
    pub app: S,
}

/// Why a block does not extend the chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// The body is not the header's.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// A header field that the parent state fixes has another value.
    #[error("header field {0} does not match the chain")]
    Field(&'static str),
    /// Less than `block_interval` after the parent.
    #[error("block time {time} is before {earliest}")]
    TooEarly {
        /// The header's time.
        time: TimeMs,
        /// The earliest time allowed.
        earliest: TimeMs,
    },
    /// More bytes or transactions than genesis allows.
    #[error("too large: {found} {what}, at most {max}")]
    TooLarge {
        /// Bytes or transactions.
        what: &'static str,
        /// How many.
        found: usize,
        /// The parameter.
        max: u32,
    },
    /// A block with neither transactions nor news of an offence when none is due.
    #[error("an empty block, and none is due")]
    Empty,
    /// The parent's certificate is missing, or present at height 1.
    #[error("the parent's certificate must be present above height 1, and only there")]
    CertificatePresence,
    /// The parent's certificate does not verify.
    #[error("the parent's certificate: {0}")]
    Certificate(#[from] CertificateError),
    /// Evidence that does not verify.
    #[error("evidence: {0}")]
    Evidence(#[from] EvidenceError),
    /// Evidence that is valid in itself but not here.
    #[error("evidence against {validator} at height {height} is {why}", validator = .offence.validator, height = .offence.height)]
    EvidencePlace {
        /// The offence.
        offence: Offence,
        /// Too old, from the future, counted before, out of order, not a validator.
        why: &'static str,
    },
    /// The application refused the payload.
    #[error("execution: {0}")]
    Execution(String),
    /// The application's next set is no set.
    #[error("next validators: {0}")]
    NextValidators(#[from] ValidatorSetError),
    /// A root the header claims is not the one execution gives.
    #[error("the header's {0} is not what execution gives")]
    WrongRoot(&'static str),
}

/// A block that was applied: the new tip and what the application reports.
#[derive(Clone, Debug)]
pub struct Applied<S, O> {
    /// State after the block.
    pub chain: ChainState<S>,
    /// The application's report.
    pub outcome: O,
}

impl<S: Clone> ChainState<S> {
    /// The state before the first block.
    pub fn genesis<A: Application<State = S>>(app: &A) -> Self {
        let genesis = app.genesis();
        let validators = Arc::new(genesis.validators);
        let rotation = Rotation::new(&validators);
        let offences = BTreeSet::new();
        ChainState {
            chain: genesis.chain,
            params: Arc::new(genesis.params),
            height: Height(0),
            tip: BlockId::ZERO,
            time: genesis.time,
            last_validators: Arc::clone(&validators),
            validators,
            state_root: state_root(&genesis.state_root, &rotation, &offences),
            rotation,
            offences,
            needs_block: genesis.needs_block,
            app: genesis.state,
        }
    }

    /// The proposers of the next height.
    pub fn proposers(&self) -> Proposers {
        Proposers::new((*self.validators).clone(), self.rotation.clone())
    }

    /// Earliest time of the next block.
    pub fn earliest(&self) -> TimeMs {
        TimeMs(self.time.0.saturating_add(self.params.block_interval_ms))
    }

    /// The context of the next block.
    pub fn context(&self, time: TimeMs, evidence: Vec<Evidence>) -> BlockContext {
        BlockContext {
            chain: self.chain,
            height: self.height.next(),
            time,
            parent: self.tip,
            evidence,
            validators: Arc::clone(&self.validators),
            params: Arc::clone(&self.params),
        }
    }

    /// Judges `block` as the next one and executes it. The certificate of `block` itself is not its concern.
    ///
    /// # Errors
    /// [`BlockError`], one variant per rule.
    pub fn apply<A: Application<State = S>>(
        &self,
        app: &A,
        block: &Block,
    ) -> Result<Applied<S, A::Outcome>, BlockError> {
        block.check_body()?;
        self.check_header(&block.header)?;
        self.check_size(block)?;
        self.check_evidence(&block.annex.evidence)?;
        self.check_last_certificate(&block.annex)?;
        let context = self.context(block.header.time, block.annex.evidence.clone());
        let payload = Payload {
            transactions: block.transactions.clone(),
            witnesses: block.annex.witnesses.clone(),
        };
        let parent = block.annex.last_certificate.as_ref();
        let applied = self.execute(app, &context, &payload, (block.id(), parent))?;
        let Applied { chain, .. } = &applied.0;
        [
            (
                "next_validators_hash",
                chain.validators.hash(),
                block.header.next_validators_hash,
            ),
            ("state_root", chain.state_root, block.header.state_root),
            ("outcome_root", applied.1, block.header.outcome_root),
        ]
        .into_iter()
        .try_for_each(|(name, found, claimed)| {
            if found == claimed {
                return Ok(());
            }
            Err(BlockError::WrongRoot(name))
        })?;
        Ok(applied.0)
    }

    /// Whether the application would put any of these into the next block.
    pub fn has_work<A: Application<State = S>>(
        &self,
        app: &A,
        time: TimeMs,
        evidence: Vec<Evidence>,
        candidates: &[TxBytes],
    ) -> bool {
        let context = self.context(time.max(self.earliest()), evidence);
        let payload = app.propose(&self.app, &context, candidates);
        !payload.transactions.is_empty()
    }

    /// Builds the next block from what the application chooses; `None` if it would be empty and none is due.
    ///
    /// # Errors
    /// [`BlockError`] if the application's own choice does not apply.
    #[allow(clippy::type_complexity)] // a block and what it gives, maybe
    pub fn build<A: Application<State = S>>(
        &self,
        app: &A,
        time: TimeMs,
        mut annex: Annex,
        candidates: &[TxBytes],
    ) -> Result<Option<(Block, Applied<S, A::Outcome>)>, BlockError> {
        let context = self.context(time.max(self.earliest()), annex.evidence.clone());
        let payload = app.propose(&self.app, &context, candidates);
        if !self.is_due(&payload.transactions, &annex.evidence) {
            return Ok(None);
        }
        let parent = annex.last_certificate.as_ref();
        let (mut applied, outcome_root) =
            self.execute(app, &context, &payload, (BlockId::ZERO, parent))?;
        annex.witnesses = payload.witnesses;
        let header = Header {
            version: HEADER_VERSION,
            chain: self.chain,
            height: context.height,
            parent: self.tip,
            time: context.time,
            tx_root: tx_root(payload.transactions.iter().map(TxBytes::hash)),
            last_certificate_hash: annex.last_certificate_hash(),
            evidence_hash: annex.evidence_hash(),
            witness_hash: annex.witness_hash(),
            validators_hash: self.validators.hash(),
            next_validators_hash: applied.chain.validators.hash(),
            state_root: applied.chain.state_root,
            outcome_root,
        };
        applied.chain.tip = header.id();
        let block = Block {
            header,
            transactions: payload.transactions,
            annex,
        };
        block.check_body()?;
        self.check_size(&block)?;
        Ok(Some((block, applied)))
    }

    /// Whether some of this evidence is against a validator of whom no offence has been counted in the last `evidence_age` heights. Only such
    /// evidence makes a block due: one that cannot be jailed would otherwise keep an idle chain busy with its own offences.
    pub fn is_news<'a>(&self, evidence: impl IntoIterator<Item = &'a Evidence>) -> bool {
        let counted = |key| self.offences.iter().any(|o| o.validator == key);
        evidence
            .into_iter()
            .any(|piece| !counted(piece.offence().validator))
    }

    /// Whether a block of this content may come next: with transactions, with news of an offence, or when one is due anyway.
    fn is_due(&self, transactions: &[TxBytes], evidence: &[Evidence]) -> bool {
        !transactions.is_empty() || self.needs_block || self.is_news(evidence)
    }

    /// Whether this offence may still be counted in the next block.
    ///
    /// # Errors
    /// Why not, in words.
    pub fn admits_offence(&self, offence: &Offence) -> Result<(), &'static str> {
        let next = self.height.next();
        let age = next
            .checked_sub(offence.height)
            .ok_or("from a later height")?;
        if age.0 > self.params.evidence_age {
            return Err("too old");
        }
        if self.offences.contains(offence) {
            return Err("already counted");
        }
        if self.validators.index_of(&offence.validator).is_none() {
            return Err("against a key that is no validator");
        }
        Ok(())
    }

    fn check_header(&self, header: &Header) -> Result<(), BlockError> {
        [
            ("version", header.version == HEADER_VERSION),
            ("chain", header.chain == self.chain),
            ("height", header.height == self.height.next()),
            ("parent", header.parent == self.tip),
            (
                "validators_hash",
                header.validators_hash == self.validators.hash(),
            ),
        ]
        .into_iter()
        .try_for_each(|(name, holds)| {
            if holds {
                Ok(())
            } else {
                Err(BlockError::Field(name))
            }
        })?;
        if header.time < self.earliest() {
            return Err(BlockError::TooEarly {
                time: header.time,
                earliest: self.earliest(),
            });
        }
        Ok(())
    }

    fn check_size(&self, block: &Block) -> Result<(), BlockError> {
        [
            ("bytes", block.payload_bytes(), self.params.max_block_bytes),
            (
                "transactions",
                block.transactions.len(),
                self.params.max_block_txs,
            ),
        ]
        .into_iter()
        .try_for_each(|(what, found, max)| {
            if u32::try_from(found).is_ok_and(|n| n <= max) {
                return Ok(());
            }
            Err(BlockError::TooLarge { what, found, max })
        })?;
        if !self.is_due(&block.transactions, &block.annex.evidence) {
            return Err(BlockError::Empty);
        }
        Ok(())
    }

    fn check_evidence(&self, evidence: &[Evidence]) -> Result<(), BlockError> {
        let mut last = None;
        for piece in evidence {
            let offence = piece.offence();
            let why = if last.is_some_and(|o| o >= offence) {
                Err("out of order")
            } else {
                self.admits_offence(&offence)
            };
            why.map_err(|why| BlockError::EvidencePlace { offence, why })?;
            piece.verify(&self.chain)?;
            last = Some(offence);
        }
        Ok(())
    }

    fn check_last_certificate(&self, annex: &Annex) -> Result<(), BlockError> {
        match (&annex.last_certificate, self.height) {
            (None, Height(0)) => Ok(()),
            (Some(certificate), Height(1..)) => Ok(certificate.verify(
                &self.chain,
                &self.last_validators,
                (self.height, self.tip),
            )?),
            _ => Err(BlockError::CertificatePresence),
        }
    }

    /// Executes and folds the result into the next chain state, whose tip is this block and whose parent's certificate is this; also gives the
    /// outcome root.
    fn execute<A: Application<State = S>>(
        &self,
        app: &A,
        context: &BlockContext,
        payload: &Payload,
        (tip, parent): (BlockId, Option<&CommitCertificate>),
    ) -> Result<(Applied<S, A::Outcome>, Digest), BlockError> {
        let executed: Executed<S, A::Outcome> = app
            .execute(&self.app, context, payload)
            .map_err(|e| BlockError::Execution(e.to_string()))?;
        let validators = if executed.next_validators == self.validators.as_slice() {
            Arc::clone(&self.validators)
        } else {
            Arc::new(ValidatorSet::new(executed.next_validators)?)
        };
        let mut rotation = self.rotation.clone();
        rotation.turn(&self.validators);
        if let Some(certificate) = parent {
            rotation.attend(&self.validators, &self.last_validators, certificate);
        }
        let rotation = rotation.carry_over(&self.validators, &validators);
        let horizon = Height(context.height.0.saturating_sub(self.params.evidence_age));
        let mut offences = self.offences.clone();
        offences.extend(context.evidence.iter().map(Evidence::offence));
        offences.retain(|o| o.height >= horizon);
        let chain = ChainState {
            chain: self.chain,
            params: Arc::clone(&self.params),
            height: context.height,
            tip,
            time: context.time,
            last_validators: Arc::clone(&self.validators),
            validators,
            needs_block: executed.needs_block,
            state_root: state_root(&executed.state_root, &rotation, &offences),
            rotation,
            offences,
            app: executed.state,
        };
        let outcome = executed.outcome;
        Ok((Applied { chain, outcome }, executed.outcome_root))
    }
}

fn state_root(app: &Digest, rotation: &Rotation, offences: &BTreeSet<Offence>) -> Digest {
    let parts = (encode(rotation), encode(offences));
    hash(Tag::ChainState, &[app.as_ref(), &parts.0, &parts.1])
}
