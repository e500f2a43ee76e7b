//! A bidder's half: sealing a bid to an auction whose keys are frozen. Evidence comes after, since proofs bind the ciphertext.

use super::auction::{Auction, Phase};
use crate::{
    bid::{BidContent, ClassSlots},
    seal::{Associated, BidBody, BodyError, SealError, seal},
};
use tender_wire::{AuctionId, ChainId, FieldBytes, PublicKey};

/// Who bids with what, before anything is sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The agent.
    pub bidder: PublicKey,
    /// The machine.
    pub asset: FieldBytes,
    /// 0 for the first bid of this asset in this auction, then higher.
    pub sequence: u32,
    /// Units it can serve at once, per class; sorted by class.
    pub slots: Vec<ClassSlots>,
}

/// Why a bid cannot be sealed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// There is nothing to seal to yet, or not any more.
    #[error("auction {auction} is not in its bidding window")]
    NotBidding {
        /// The auction.
        auction: AuctionId,
    },
    /// Entries that no bid may have.
    #[error("entries: {0}")]
    Body(#[from] BodyError),
    /// The committee cannot be sealed to.
    #[error("sealing: {0}")]
    Seal(#[from] SealError),
}

impl Auction {
    /// The content of a bid, sealed, still without evidence. `seed` must be random and used for this bid alone.
    ///
    /// # Errors
    /// [`DraftError`].
    pub fn seal(
        &self,
        chain: &ChainId,
        draft: Draft,
        body: &BidBody,
        seed: [u8; 32],
    ) -> Result<BidContent, DraftError> {
        if !matches!(self.phase, Phase::Bidding { .. }) {
            return Err(DraftError::NotBidding { auction: self.id });
        }
        let plain = body.encode(self.spec.max_entries.into())?;
        self.seal_plain(chain, draft, &plain, seed)
    }

    /// [`Auction::seal`] of any bytes: what a cheat would do with a body no bid may have.
    ///
    /// # Errors
    /// [`DraftError::Seal`].
    pub fn seal_plain(
        &self,
        chain: &ChainId,
        draft: Draft,
        plain: &[u8],
        seed: [u8; 32],
    ) -> Result<BidContent, DraftError> {
        let Draft {
            bidder,
            asset,
            sequence,
            slots,
        } = draft;
        let associated = Associated {
            chain: *chain,
            auction: self.id,
            bidder,
            asset,
            sequence,
        };
        let sealed = seal(
            &self.ranked_keys(),
            self.threshold(),
            &associated,
            plain,
            seed,
        )?;
        Ok(BidContent {
            auction: self.id,
            bidder,
            sequence,
            asset,
            evidences: Vec::new(),
            slots,
            sealed,
        })
    }
}
