//! What a block brought about, for logs, timelines and subscribers. Nothing is decided from events: they repeat the state and
//! the outcome records in a form that is easy to show.

use crate::outcome::OutcomeRecord;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tender_circuits::IssuerIndex;
use tender_wire::{AuctionId, BidId, Digest, FieldBytes, Height, PublicKey};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    /// An auction was opened.
    AuctionOpened {
        /// Its id.
        auction: AuctionId,
        /// Who opened it.
        opener: PublicKey,
    },
    /// A committee member posted its seal key.
    SealKeyPosted {
        /// The auction.
        auction: AuctionId,
        /// The member.
        member: PublicKey,
    },
    /// Seal keys are frozen; bidding time runs.
    KeysFrozen {
        /// The auction.
        auction: AuctionId,
        /// |K|.
        keys: usize,
        /// Reveals that open the bids.
        threshold: usize,
        /// The closing block.
        closes: Height,
    },
    /// A sealed bid was admitted.
    BidAdmitted {
        /// The auction.
        auction: AuctionId,
        /// The bid.
        bid: BidId,
        /// Who bid.
        bidder: PublicKey,
        /// The machine.
        asset: FieldBytes,
        /// The bid it replaces.
        replaces: Option<BidId>,
    },
    /// The closing block of an auction.
    BiddingClosed {
        /// The auction.
        auction: AuctionId,
        /// Live bids.
        bids: usize,
        /// Of those, suspended ones.
        suspended: usize,
    },
    /// A committee member's secret was revealed.
    Revealed {
        /// The auction.
        auction: AuctionId,
        /// The member.
        member: PublicKey,
        /// Reveals so far.
        reveals: usize,
    },
    /// The auction cleared.
    Cleared {
        /// The auction.
        auction: AuctionId,
        /// Units assigned.
        assigned: usize,
    },
    /// The auction is void.
    Void {
        /// The auction.
        auction: AuctionId,
    },
    /// A credential leaf was posted.
    LeafIssued {
        /// The issuer.
        issuer: IssuerIndex,
        /// Index in the registry.
        index: u32,
        /// The machine.
        asset: FieldBytes,
    },
    /// A credential leaf was revoked.
    LeafRevoked {
        /// The issuer.
        issuer: IssuerIndex,
        /// Index in the registry.
        index: u32,
        /// The machine.
        asset: FieldBytes,
    },
    /// A signed attestation was revoked.
    AttestationRevoked {
        /// The issuer.
        issuer: IssuerIndex,
        /// The machine.
        asset: FieldBytes,
        /// Its serial number.
        serial: u64,
    },
    /// A validator approved a proposal.
    Approved {
        /// The proposal.
        proposal: Digest,
        /// The validator.
        validator: PublicKey,
    },
    /// The validator set changes with the next height.
    ValidatorsChanged {
        /// Validators from then on.
        count: usize,
    },
}

/// What executing a block reports beside the new state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockOutcome {
    /// Outcome records, sorted by key, unique: the leaves of the header's `outcome_root`.
    pub records: Arc<[OutcomeRecord]>,
    /// In order of occurrence.
    pub events: Arc<[Event]>,
}
