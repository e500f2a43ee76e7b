//! The seam between agreement and what is agreed on.
//!
//! Consensus orders opaque transactions; an [`Application`] gives them meaning. It must be a pure function of its arguments: the same
//! parent state, context and payload give the same result on every machine, for ever. It is called with transactions and
//! witnesses a stranger chose (within the block caps), so it must be total.

use crate::{
    evidence::Evidence, params::Params, tx::TxBytes, validators::Validator,
    validators::ValidatorSet,
};
use std::sync::Arc;
use tender_wire::{BlockId, ChainId, Digest, Height, TimeMs};

/// A deterministic state machine over blocks.
pub trait Application {
    /// Live state; cloning it should be cheap (share what does not change).
    type State: Clone;
    /// What a block brought about beside the new state (events, outcomes, assignments); opaque here, handed to the shell.
    type Outcome: Clone;
    /// Why a payload does not apply.
    type Error: std::error::Error;

    /// What the chain starts from. Must always return the same.
    fn genesis(&self) -> Genesis<Self::State>;

    /// Told of blocks that most likely come next on top of `parent`, in order, before they are executed one by one: a chance to do at once what they have
    /// in common. Must change no result of anything.
    fn foresee(&self, _parent: &Self::State, _blocks: &[&[TxBytes]]) {}

    /// Chooses from `candidates` (in order) the transactions that apply, and computes witnesses, so that both together stay within
    /// `context.params`. May return nothing.
    /// The result must be accepted by [`Application::execute`]; if it is not, nothing is proposed.
    fn propose(
        &self,
        parent: &Self::State,
        context: &BlockContext,
        candidates: &[TxBytes],
    ) -> Payload;

    /// Applies a payload: every transaction, in order, or an error.
    ///
    /// # Errors
    /// Whatever makes the block invalid; every honest validator then prevotes nil.
    fn execute(
        &self,
        parent: &Self::State,
        context: &BlockContext,
        payload: &Payload,
    ) -> Result<Executed<Self::State, Self::Outcome>, Self::Error>;
}

/// What every peer must agree on before the first block.
#[derive(Clone, Debug)]
pub struct Genesis<S> {
    /// Hash of the canonical genesis document.
    pub chain: ChainId,
    /// Time of height 0.
    pub time: TimeMs,
    /// Times and sizes.
    pub params: Params,
    /// The set that decides height 1.
    pub validators: ValidatorSet,
    /// Application state before height 1.
    pub state: S,
    /// Its root.
    pub state_root: Digest,
    /// Whether a block is due even without transactions.
    pub needs_block: bool,
}

/// What a block is executed in. Everything here is under the block id or the parent state.
#[derive(Clone, Debug)]
pub struct BlockContext {
    /// The chain.
    pub chain: ChainId,
    /// Height of the block.
    pub height: Height,
    /// Its header's time.
    pub time: TimeMs,
    /// Id of the block before: final, hence the place to bind seeds to.
    pub parent: BlockId,
    /// Verified, not counted before, ascending by offence; each culprit is in `validators`.
    pub evidence: Vec<Evidence>,
    /// The set deciding this block.
    pub validators: Arc<ValidatorSet>,
    /// Caps the payload must respect.
    pub params: Arc<Params>,
}

/// What a proposer chose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payload {
    /// In execution order.
    pub transactions: Vec<TxBytes>,
    /// Whatever [`Application::execute`] checks instead of searching for.
    pub witnesses: Vec<Vec<u8>>,
}

/// What executing a payload gives.
#[derive(Clone, Debug)]
pub struct Executed<S, O> {
    /// State after the block.
    pub state: S,
    /// Its root; the header commits to it together with the proposer priorities.
    pub state_root: Digest,
    /// Root over the outcomes of this block.
    pub outcome_root: Digest,
    /// The set that decides the next height. An invalid set (empty, say) makes the block invalid.
    pub next_validators: Vec<Validator>,
    /// Whether the next block is due even without transactions ("an auction is neither cleared nor void").
    pub needs_block: bool,
    /// For the shell.
    pub outcome: O,
}
