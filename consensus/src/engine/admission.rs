//! The door for messages: bounds and caps first, then exactly one signature check.
//!
//! A [`Verified`] value can be built nowhere else, and nothing else reaches the kernel. Our own messages are never verified again.

use crate::{
    block::BodyError,
    certificate::CertificateError,
    evidence::{Evidence, EvidenceError},
    vote::{Proposal, Vote},
};
use tender_wire::{ChainId, Height};

/// A message whose signature was checked, or that we signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// The message.
    pub fn into_inner(self) -> T {
        self.0
    }

    /// What we have just signed ourselves.
    pub(super) fn own(message: T) -> Self {
        Verified(message)
    }
}

impl<T> std::ops::Deref for Verified<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

/// Something signed.
pub trait Signed {
    /// Checks the signatures, and nothing else.
    ///
    /// # Errors
    /// [`Refusal`] that counts against the sender.
    fn check_signature(&self, chain: &ChainId) -> Result<(), Refusal>;
}

/// Checks the cheap rules, then the signature.
///
/// # Errors
/// The first rule broken.
pub(super) fn check<T: Signed>(
    message: T,
    chain: &ChainId,
    cheap: impl FnOnce(&T) -> Result<(), Refusal>,
) -> Result<Verified<T>, Refusal> {
    cheap(&message)?;
    message.check_signature(chain)?;
    Ok(Verified(message))
}

impl Signed for Vote {
    fn check_signature(&self, chain: &ChainId) -> Result<(), Refusal> {
        self.verify(chain).map_err(|_| Refusal::BadSignature)
    }
}

impl Signed for Proposal {
    fn check_signature(&self, chain: &ChainId) -> Result<(), Refusal> {
        self.verify(chain).map_err(|_| Refusal::BadSignature)
    }
}

impl Signed for Evidence {
    fn check_signature(&self, chain: &ChainId) -> Result<(), Refusal> {
        Ok(self.verify(chain)?)
    }
}

/// Why something a peer sent is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Seen before.
    #[error("seen before")]
    Duplicate,
    /// Of a height already decided.
    #[error("height {found} is over, this is {current}")]
    OldHeight {
        /// The message's.
        found: Height,
        /// Ours.
        current: Height,
    },
    /// Of a height too far ahead to keep.
    #[error("height {found} is too far ahead of {current}")]
    FutureHeight {
        /// The message's.
        found: Height,
        /// Ours.
        current: Height,
    },
    /// The sender has used up its room for rounds not reached yet.
    #[error("too many or too distant rounds ahead")]
    FutureRound,
    /// Signed by no validator of this height.
    #[error("signed by no validator of this height")]
    NotAValidator,
    /// A proposal by someone whose turn it is not. No fault of who passed it on: a height below, turns are not known yet.
    #[error("it is not this validator's turn to propose")]
    NotTheProposer,
    /// A proposal that refers to a polka of a round not before its own.
    #[error("the polka's round is not before the proposal's")]
    BadPolRound,
    /// A signature that does not verify.
    #[error("the signature does not verify")]
    BadSignature,
    /// The sender was caught signing twice already, and that waits to be counted.
    #[error("an equivocation of this validator is known already")]
    KnownOffender,
    /// The block is not the one the proposal signs.
    #[error("the block is not the one proposed")]
    WrongBlock,
    /// The body is not the header's.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// Evidence that proves nothing.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// Evidence that cannot be counted here.
    #[error("evidence {0}")]
    StaleEvidence(&'static str),
    /// The evidence pool is full.
    #[error("the evidence pool is full")]
    PoolFull,
    /// An answer nobody waits for.
    #[error("nobody waits for this answer")]
    Unasked,
    /// An answer that does not fit its question.
    #[error("the answer does not fit the question")]
    WrongAnswer,
    /// A body that is not one of those asked for.
    #[error("a transaction that was not asked for")]
    WrongTransaction,
    /// The peer claimed a higher tip and has nothing to show for it.
    #[error("the peer claimed height {claimed} and cannot show it")]
    FalseHeight {
        /// Its claim.
        claimed: Height,
    },
    /// Blocks with a gap, out of order, or not starting where asked.
    #[error("the blocks are not the consecutive ones asked for")]
    BrokenRange,
    /// A synced block whose certificate does not verify.
    #[error("certificate of a synced block: {0}")]
    Certificate(#[from] CertificateError),
    /// This peer has halted.
    #[error("this peer has halted")]
    Halted,
}

impl Refusal {
    /// Whether no honest peer, however far ahead or behind, would have sent this.
    pub fn is_fault(&self) -> bool {
        use Refusal as R;
        match self {
            R::Duplicate
            | R::OldHeight { .. }
            | R::FutureHeight { .. }
            | R::FutureRound
            | R::NotAValidator
            | R::NotTheProposer
            | R::KnownOffender
            | R::StaleEvidence(_)
            | R::PoolFull
            | R::Unasked
            | R::Halted => false,
            R::BadPolRound
            | R::BadSignature
            | R::WrongBlock
            | R::Body(_)
            | R::Evidence(_)
            | R::WrongAnswer
            | R::WrongTransaction
            | R::FalseHeight { .. }
            | R::BrokenRange
            | R::Certificate(_) => true,
        }
    }
}
