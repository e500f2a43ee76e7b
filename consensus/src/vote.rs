//! Proposals and votes: the signed messages of Tendermint.
//!
//! What is signed, as `hash(tag, [chain, body])` (see [`tender_wire::keys`]):
//!
//! | message | tag | body = canonical encoding of |
//! |---|---|---|
//! | proposal | `SignProposal` | (height u64, round u32, pol_round `Option<u32>`, block\[32\]) |
//! | prevote | `SignPrevote` | (height u64, round u32, block `Option<[u8; 32]>`) |
//! | precommit | `SignPrecommit` | (height u64, round u32, block `Option<[u8; 32]>`) |
//!
//! The kind is in the tag, the chain in the hash: no message can be replayed as another (THREATS B11). Messages name their signer by key,
//! not by index, so that they can be checked without knowing the set of their height.

use crate::signer::{Signer, SignerRefused};
use serde::{Deserialize, Serialize};
use tender_wire::{
    BlockId, ChainId, Height, PublicKey, Round, Signature, SignatureError, Tag, encode,
};

/// The two votes of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum VoteKind {
    /// First vote: "I would accept this block".
    Prevote,
    /// Second vote: "more than two thirds would".
    Precommit,
}

impl VoteKind {
    /// The tag its signatures carry.
    pub fn tag(self) -> Tag {
        match self {
            VoteKind::Prevote => Tag::SignPrevote,
            VoteKind::Precommit => Tag::SignPrecommit,
        }
    }
}

/// A signed vote for a block, or for none (`nil`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Vote {
    /// Height voted in.
    pub height: Height,
    /// Round voted in.
    pub round: Round,
    /// Prevote or precommit.
    pub kind: VoteKind,
    /// The block, or `None` for nil.
    pub block: Option<BlockId>,
    /// Who votes.
    pub validator: PublicKey,
    /// Over the layout in the module documentation.
    pub signature: Signature,
}

/// A signed proposal of a block.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Proposal {
    /// Height proposed for.
    pub height: Height,
    /// Round proposed in.
    pub round: Round,
    /// The earlier round in which more than two thirds prevoted the block, if it is proposed again.
    pub pol_round: Option<Round>,
    /// The block.
    pub block: BlockId,
    /// Who proposes.
    pub validator: PublicKey,
    /// Over the layout in the module documentation.
    pub signature: Signature,
}

impl Vote {
    /// Signs a vote.
    ///
    /// # Errors
    /// [`SignerRefused`].
    pub fn sign(
        signer: &mut dyn Signer,
        chain: &ChainId,
        (height, round, kind): (Height, Round, VoteKind),
        block: Option<BlockId>,
    ) -> Result<Self, SignerRefused> {
        let signature = signer.sign(kind.tag(), chain, &vote_body(height, round, block))?;
        Ok(Vote {
            height,
            round,
            kind,
            block,
            validator: signer.public(),
            signature,
        })
    }

    /// Checks the signature, and nothing else.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify(&self, chain: &ChainId) -> Result<(), SignatureError> {
        verify_vote(
            chain,
            (self.height, self.round, self.kind),
            self.block,
            &self.validator,
            &self.signature,
        )
    }
}

impl Proposal {
    /// Signs a proposal.
    ///
    /// # Errors
    /// [`SignerRefused`].
    pub fn sign(
        signer: &mut dyn Signer,
        chain: &ChainId,
        (height, round, pol_round): (Height, Round, Option<Round>),
        block: BlockId,
    ) -> Result<Self, SignerRefused> {
        let body = encode(&(height, round, pol_round, block));
        let signature = signer.sign(Tag::SignProposal, chain, &body)?;
        Ok(Proposal {
            height,
            round,
            pol_round,
            block,
            validator: signer.public(),
            signature,
        })
    }

    /// Checks the signature, and nothing else.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify(&self, chain: &ChainId) -> Result<(), SignatureError> {
        let body = encode(&(self.height, self.round, self.pol_round, self.block));
        self.validator
            .verify(Tag::SignProposal, chain, &body, &self.signature)
    }
}

/// Checks a vote's signature from its parts, as a certificate holds them.
pub(crate) fn verify_vote(
    chain: &ChainId,
    (height, round, kind): (Height, Round, VoteKind),
    block: Option<BlockId>,
    validator: &PublicKey,
    signature: &Signature,
) -> Result<(), SignatureError> {
    validator.verify(
        kind.tag(),
        chain,
        &vote_body(height, round, block),
        signature,
    )
}

fn vote_body(height: Height, round: Round, block: Option<BlockId>) -> Vec<u8> {
    encode(&(height, round, block))
}
