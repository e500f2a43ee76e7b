//! Every way an entry, a task unit or an assignment can end: the closed list of reasons, in one place.
//!
//! The block that decides an outcome commits a Merkle root over its [`OutcomeRecord`]s, sorted by [`OutcomeKey`] and unique, so that
//! presence and absence are both provable.

use crate::bid::EvidenceSummary;
use crate::clearing::PaymentRule;
use crate::transaction::AwardRef;
use serde::{Deserialize, Serialize};
use tender_circuits::Claim;
use tender_wire::{
    AuctionId, BidId, Digest, FieldBytes, Price, PublicKey, TypeId, UnixTime, Wire, encode, merkle,
};

/// What a record speaks of; also the order of the outcome tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum OutcomeKey {
    /// The auction as a whole.
    Auction(AuctionId),
    /// A bid as a whole, when it has no readable entries or is out whole.
    Bid(AuctionId, BidId),
    /// One entry of a bid.
    Entry(AuctionId, BidId, u32),
    /// One unit of a task.
    Unit(AuctionId, u32, u32),
    /// A step in an assignment's life.
    Award(AwardRef),
}

/// One outcome, as committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OutcomeRecord {
    /// The auction cleared or is void.
    Auction(AuctionRecord),
    /// A bid out as a whole.
    Bid(BidRecord),
    /// An entry of a bid that opened.
    Entry(EntryRecord),
    /// A unit of a task.
    Unit(UnitRecord),
    /// An assignment changed state after clearing.
    Award(AwardRecord),
}

impl Wire for OutcomeRecord {
    const NAME: &'static str = "outcome record";
    const MAX_BYTES: usize = 16 * 1024;
}

/// How an auction ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuctionRecord {
    /// The auction.
    pub auction: AuctionId,
    /// Cleared or void.
    pub end: AuctionEnd,
}

/// How an auction can end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuctionEnd {
    /// Cleared under this tie seed, with one nonce per class.
    Cleared {
        /// Hash over every opened bid's id and salt.
        seed: Digest,
        /// Least nonce with a unique optimum, per class.
        nonces: Vec<u32>,
        /// Bids that were live at the close.
        bids: u32,
        /// Sum over the classes of reserve and bonus minus price, in smallest units.
        surplus: u128,
    },
    /// Fewer than n - f seal keys by the end of the key window.
    NoKeys {
        /// Members who posted none.
        missing: Vec<PublicKey>,
    },
    /// Fewer than t reveals by the deadline.
    NoReveals {
        /// Members who withheld.
        withheld: Vec<PublicKey>,
    },
}

/// A bid that is out as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BidRecord {
    /// The auction.
    pub auction: AuctionId,
    /// The bid.
    pub bid: BidId,
    /// Who bid.
    pub bidder: PublicKey,
    /// The machine.
    pub asset: FieldBytes,
    /// Why no entry of it competes.
    pub reason: BidReason,
}

/// Why a whole bid is out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BidReason {
    /// The sealed part does not open to a well-formed body.
    SealInvalid,
    /// A registry root it relies on was no longer good at the closing block.
    Suspended,
    /// Reserved plus offered capacity exceeds the claim at clearing.
    NoCapacity,
    /// Replaced before the close by a bid with a higher sequence.
    Replaced {
        /// The bid that replaced it.
        by: BidId,
    },
    /// It opened to no entries.
    NoEntries,
    /// The auction is void.
    AuctionVoid,
}

/// One entry of a bid that opened: everything a certificate must show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryRecord {
    /// The auction.
    pub auction: AuctionId,
    /// The task bid for.
    pub task: u32,
    /// The bid.
    pub bid: BidId,
    /// Who bid.
    pub bidder: PublicKey,
    /// The machine.
    pub asset: FieldBytes,
    /// What was shown: types, kinds, issuers, claims.
    pub evidences: Vec<EvidenceSummary>,
    /// What the task's class requires, per type.
    pub requirements: Vec<(TypeId, Claim)>,
    /// Price asked.
    pub price: Price,
    /// The task's reserve price.
    pub reserve: Price,
    /// What its bid earns in the task's class beyond it.
    pub bonus: Price,
    /// How payments are computed.
    pub rule: PaymentRule,
    /// Until when a winner must serve.
    pub lease_end: UnixTime,
    /// How it ended.
    pub outcome: EntryOutcome,
}

/// How a bid entry can end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryOutcome {
    /// Assigned.
    Won {
        /// What the winner is paid.
        payment: Price,
    },
    /// Another assignment is better for the market as a whole.
    Outbid {
        /// The task's lowest-weight winner.
        by: BidId,
    },
    /// The task stays (partly) unfilled, yet the bid's slots earn more elsewhere.
    SlotsUsed,
    /// Asked more than the reserve.
    AboveReserve,
    /// A claim does not cover the class's requirement.
    NotCovered {
        /// The capability type.
        type_id: TypeId,
        /// Index of the first field that falls short.
        field: u16,
    },
    /// No acceptable evidence of a required type: missing, issuer or kind not accepted, or too few distinct issuers.
    NotEvidenced {
        /// The capability type.
        type_id: TypeId,
    },
    /// The bid offers no slot in the task's class.
    NoSlots,
    /// The auction has no such task.
    UnknownTask,
}

/// One unit of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitRecord {
    /// The auction.
    pub auction: AuctionId,
    /// The task.
    pub task: u32,
    /// The unit, from 0.
    pub unit: u32,
    /// How it ended.
    pub outcome: UnitOutcome,
}

/// How a task unit can end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnitOutcome {
    /// Assigned.
    Filled {
        /// The winning bid.
        bid: BidId,
        /// What it is paid.
        payment: Price,
        /// What a unit of the task goes for: whoever could serve it and did not win asked for more, or earns as much with its slots elsewhere.
        price: Price,
        /// The bid that sets the payment: it would serve the unit if the winner were not there. None if nobody would, so that the reserve sets it; if the
        /// winner is paid as bid; or if its bidder offered more than one slot, and is paid for what all of them are worth together.
        set_by: Option<BidId>,
        /// First runner-up, if any.
        runner_up: Option<BidId>,
    },
    /// Nobody bid for it with a covering claim.
    NoCoveringBid,
    /// Every covering bid asked more than the reserve.
    AboveReserve,
    /// Covering bids there were, but their capacity went elsewhere.
    NoCapacity,
    /// The auction is void.
    AuctionVoid,
}

/// A step in an assignment's life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwardRecord {
    /// The assignment.
    pub award: AwardRef,
    /// Who holds it.
    pub bidder: PublicKey,
    /// What the holder is paid.
    pub payment: Price,
    /// The state it is in from now on.
    pub state: AwardState,
}

/// States of an assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AwardState {
    /// Won, not yet accepted.
    Assigned,
    /// The winner took it on.
    Accepted,
    /// A result was handed over.
    Delivered {
        /// Its hash.
        result: Digest,
    },
    /// The opener accepted the result.
    Confirmed,
    /// The opener refused the result.
    Rejected,
    /// It ended without a result.
    Failed(FailReason),
    /// Not accepted by the deadline, or the lease ended.
    Expired,
}

/// Why an assignment failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailReason {
    /// The evidence behind it was revoked after the closing block.
    Suspended,
}

impl OutcomeRecord {
    /// What the record speaks of.
    pub fn key(&self) -> OutcomeKey {
        match self {
            OutcomeRecord::Auction(r) => OutcomeKey::Auction(r.auction),
            OutcomeRecord::Bid(r) => OutcomeKey::Bid(r.auction, r.bid),
            OutcomeRecord::Entry(r) => OutcomeKey::Entry(r.auction, r.bid, r.task),
            OutcomeRecord::Unit(r) => OutcomeKey::Unit(r.auction, r.task, r.unit),
            OutcomeRecord::Award(r) => OutcomeKey::Award(r.award),
        }
    }

    /// Its leaf in the outcome tree.
    pub fn leaf(&self) -> Digest {
        merkle::leaf(&encode(self))
    }
}

/// Root over a block's records, which must be sorted by key and unique.
pub fn outcome_root(records: &[OutcomeRecord]) -> Digest {
    let leaves: Vec<_> = records.iter().map(OutcomeRecord::leaf).collect();
    merkle::root(&leaves)
}
