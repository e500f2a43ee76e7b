//! Evidence: two signatures of one validator that an honest one never makes.
//!
//! A stranger can verify it with the chain id alone. Invariant: the two messages are in ascending order, so one pair has one encoding;
//! an offence is counted once per validator and height.
//!
//! Layout: variant `u32` (0 = proposals, 1 = votes), then the two signed messages. `evidence_hash = hash(Evidence, [encoding of
//! the block's list])`.

use crate::vote::{Proposal, Vote};
use serde::{Deserialize, Serialize};
use tender_wire::{ChainId, Height, PublicKey, SignatureError, Wire};

/// Proof of equivocation. Later forms get later variants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Evidence {
    /// Two different proposals for one round.
    Proposals(Box<Proposal>, Box<Proposal>),
    /// Two different votes of one kind in one round.
    Votes(Box<Vote>, Box<Vote>),
}

impl Wire for Evidence {
    const NAME: &'static str = "equivocation evidence";
    const MAX_BYTES: usize = 1024;
}

/// What an offence is counted by: a validator offends at most once per height.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Offence {
    /// Height of the equivocation.
    pub height: Height,
    /// Who signed twice.
    pub validator: PublicKey,
}

/// Why two messages are no evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// Different signer, height, round or kind.
    #[error("the two messages do not belong to the same slot of the same validator")]
    DifferentSlots,
    /// The same message twice, or the pair in descending order.
    #[error("the two messages are equal or in descending order")]
    NotAscending,
    /// A signature that does not verify.
    #[error("a message is not signed by the accused")]
    BadSignature,
}

impl From<SignatureError> for EvidenceError {
    fn from(_: SignatureError) -> Self {
        EvidenceError::BadSignature
    }
}

impl Evidence {
    /// Evidence from two conflicting proposals, in either order.
    pub fn proposals(a: Proposal, b: Proposal) -> Self {
        let (a, b) = if a < b { (a, b) } else { (b, a) };
        Evidence::Proposals(Box::new(a), Box::new(b))
    }

    /// Evidence from two conflicting votes, in either order.
    pub fn votes(a: Vote, b: Vote) -> Self {
        let (a, b) = if a < b { (a, b) } else { (b, a) };
        Evidence::Votes(Box::new(a), Box::new(b))
    }

    /// Who is accused, and of which height.
    pub fn offence(&self) -> Offence {
        let (height, validator) = match self {
            Evidence::Proposals(a, _) => (a.height, a.validator),
            Evidence::Votes(a, _) => (a.height, a.validator),
        };
        Offence { height, validator }
    }

    /// Checks everything that needs no chain state: one slot, different content, both signatures.
    ///
    /// # Errors
    /// [`EvidenceError`], one variant per rule.
    pub fn verify(&self, chain: &ChainId) -> Result<(), EvidenceError> {
        let (same_slot, same_content, ascending) = match self {
            Evidence::Proposals(a, b) => (
                (a.height, a.round, a.validator) == (b.height, b.round, b.validator),
                (a.block, a.pol_round) == (b.block, b.pol_round),
                a < b,
            ),
            Evidence::Votes(a, b) => (
                (a.height, a.round, a.kind, a.validator)
                    == (b.height, b.round, b.kind, b.validator),
                a.block == b.block,
                a < b,
            ),
        };
        match (same_slot, same_content, ascending) {
            (false, _, _) => return Err(EvidenceError::DifferentSlots),
            (_, true, _) | (_, _, false) => return Err(EvidenceError::NotAscending),
            _ => {}
        }
        match self {
            Evidence::Proposals(a, b) => {
                a.verify(chain)?;
                b.verify(chain)?;
            }
            Evidence::Votes(a, b) => {
                a.verify(chain)?;
                b.verify(chain)?;
            }
        }
        Ok(())
    }
}
