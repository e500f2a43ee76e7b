//! A toy application: a hash chain over transactions and a counter.
//!
//! A transaction applies unless its first byte is `!`. One that begins with `+n` makes the next `n` (a digit) blocks due without transactions. An
//! offender is removed from the set unless fewer than four would stay.

use crate::{
    application::{Application, BlockContext, Executed, Genesis, Payload},
    params::Params,
    tx::TxBytes,
    validators::ValidatorSet,
};
use tender_wire::{ChainId, Digest, Tag, TimeMs, hash};

/// The application.
#[derive(Clone, Debug)]
pub struct Toy {
    /// The set at genesis.
    pub validators: ValidatorSet,
    /// Parameters of the chain.
    pub params: Params,
    /// Whether every block is due, so that the chain runs without transactions.
    pub endless: bool,
}

/// Its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToyState {
    /// Hash over everything applied so far.
    pub digest: Digest,
    /// Transactions applied.
    pub count: u64,
    /// Blocks still due.
    pub due: u8,
    /// The set.
    pub validators: ValidatorSet,
}

/// Why a payload does not apply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("transaction {0} does not apply")]
pub struct ToyError(usize);

/// Time of the toy chain's genesis.
pub const TOY_GENESIS_TIME: TimeMs = TimeMs(1_700_000_000_000);

/// A transaction of the toy.
#[allow(clippy::expect_used)] // short texts, for tests
pub fn toy_tx(text: &str) -> TxBytes {
    TxBytes::new(text.as_bytes().to_vec()).expect("short")
}

fn applies(tx: &TxBytes) -> bool {
    !tx.bytes().starts_with(b"!")
}

fn root(state: &ToyState) -> Digest {
    let rest = [
        state.count.to_le_bytes(),
        u64::from(state.due).to_le_bytes(),
    ]
    .concat();
    hash(Tag::State, &[state.digest.as_ref(), &rest])
}

impl Application for Toy {
    type State = ToyState;
    type Outcome = u64;
    type Error = ToyError;

    fn genesis(&self) -> Genesis<ToyState> {
        let state = ToyState {
            digest: Digest::ZERO,
            count: 0,
            due: 0,
            validators: self.validators.clone(),
        };
        Genesis {
            chain: ChainId(self.validators.hash().0),
            time: TOY_GENESIS_TIME,
            params: self.params.clone(),
            validators: self.validators.clone(),
            state_root: root(&state),
            state,
            needs_block: self.endless,
        }
    }

    fn propose(&self, _: &ToyState, context: &BlockContext, candidates: &[TxBytes]) -> Payload {
        Payload {
            transactions: candidates
                .iter()
                .filter(|tx| applies(tx))
                .cloned()
                .collect(),
            witnesses: vec![context.height.0.to_le_bytes().to_vec()],
        }
    }

    fn execute(
        &self,
        parent: &ToyState,
        context: &BlockContext,
        payload: &Payload,
    ) -> Result<Executed<ToyState, u64>, ToyError> {
        if let Some(at) = payload.transactions.iter().position(|tx| !applies(tx)) {
            return Err(ToyError(at));
        }
        let mut state = parent.clone();
        state.due = state.due.saturating_sub(1);
        for tx in &payload.transactions {
            state.digest = hash(Tag::State, &[state.digest.as_ref(), tx.hash().as_ref()]);
            state.count = state.count.saturating_add(1);
            if let [b'+', n @ b'0'..=b'9', ..] = tx.bytes() {
                state.due = n.saturating_sub(b'0');
            }
        }
        for offence in context
            .evidence
            .iter()
            .map(crate::evidence::Evidence::offence)
        {
            let mut rest = state.validators.as_slice().to_vec();
            rest.retain(|v| v.key != offence.validator);
            if rest.len() >= 4
                && let Ok(set) = ValidatorSet::new(rest)
            {
                state.validators = set;
            }
        }
        Ok(Executed {
            state_root: root(&state),
            outcome_root: hash(Tag::Outcome, &[&state.count.to_le_bytes()]),
            next_validators: state.validators.as_slice().to_vec(),
            needs_block: self.endless || state.due > 0,
            outcome: state.count,
            state,
        })
    }
}
