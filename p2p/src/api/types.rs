//! The JSON the API answers with: what the command line, agents and examples read.
//!
//! Identifiers are hex, times are numbers with their unit in the name, money is smallest units.

use serde::{Deserialize, Serialize};
use tender_auction::{
    genesis::Issuer,
    outcome::{AwardState, OutcomeRecord},
    task::AuctionSpec,
};
use tender_circuits::IssuerIndex;
use tender_wire::{
    AuctionId, BidId, BlockId, ChainId, Digest, FieldBytes, Height, Price, PublicKey, Round,
    TimeMs, TxHash, TypeId,
};

/// Every error the API answers with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiError {
    /// Machine-readable reason, snake_case, stable.
    pub code: String,
    /// What happened, with the values.
    pub message: String,
    /// What to do next.
    pub hint: String,
}

/// `GET /v1/status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The chain.
    pub chain_id: ChainId,
    /// The chain's name in genesis.
    pub chain_name: String,
    /// libp2p peer id.
    pub peer_id: String,
    /// This peer's validator key, if it is one.
    pub validator: Option<PublicKey>,
    /// Whether that key is in the current validator set.
    pub voting: bool,
    /// Last committed height.
    pub height: Height,
    /// Its block.
    pub block_id: BlockId,
    /// Its state root.
    pub state_root: Digest,
    /// Its time.
    pub time_ms: TimeMs,
    /// Round of the height being decided.
    pub round: Round,
    /// Connected peers.
    pub peers: u32,
    /// Highest height that more than a third of the connected peers have announced.
    pub best_known_height: Height,
    /// Whether this peer is still catching up.
    pub syncing: bool,
    /// Transactions waiting.
    pub mempool: u32,
    /// Set when the peer stopped itself, with the reason.
    pub halted: Option<String>,
}

/// `POST /v1/transactions` (body: canonical transaction bytes, `application/octet-stream`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submitted {
    /// The transaction's hash.
    pub tx_hash: TxHash,
}

/// `GET /v1/transactions/{hash}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum TxStatus {
    /// Waiting in this peer's mempool.
    Pending,
    /// In a block.
    Committed {
        /// The block's height.
        height: Height,
    },
    /// Dropped by this peer.
    Refused {
        /// Why.
        error: ApiError,
    },
    /// Not known here.
    Unknown,
}

/// Where an auction is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Committee keys are being posted.
    Keys,
    /// Sealed bids are accepted.
    Bidding,
    /// Closed; reveals are being posted.
    Reveal,
    /// Enough reveals; clears in the next block, or waits for an earlier auction.
    Clearing,
    /// Cleared; assignments are alive.
    Cleared,
    /// Ended without a result.
    Void,
    /// Every assignment has ended.
    Finished,
}

/// One line of `GET /v1/auctions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuctionSummary {
    /// The auction.
    pub auction: AuctionId,
    /// Its title.
    pub title: String,
    /// Who opened it.
    pub opener: PublicKey,
    /// Where it is.
    pub phase: Phase,
    /// Height of the opening block.
    pub opened_at: Height,
    /// Last height of the current phase, where it has one.
    pub phase_ends_at: Option<Height>,
    /// Height at which it cleared or was voided.
    pub ended_at: Option<Height>,
    /// Tasks.
    pub tasks: u32,
    /// Live bids.
    pub bids: u32,
}

/// `GET /v1/auctions/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuctionDetail {
    /// The summary.
    pub summary: AuctionSummary,
    /// What was opened.
    pub spec: AuctionSpec,
    /// Frozen committee keys in rank order and the number of reveals needed; empty before the freeze.
    pub committee: Vec<String>,
    /// Reveals needed to open.
    pub threshold: Option<u32>,
    /// Committed outcomes, sorted by key; empty before clearing.
    pub outcomes: Vec<OutcomeRecord>,
    /// Current assignments.
    pub awards: Vec<Award>,
    /// Live bids, by (bidder, asset).
    pub live_bids: Vec<LiveBid>,
}

/// A live bid: what is public of it before the close.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveBid {
    /// The bid.
    pub bid: BidId,
    /// Who bids.
    pub bidder: PublicKey,
    /// The machine.
    pub asset: FieldBytes,
    /// Its sequence number; a replacement needs a higher one.
    pub sequence: u32,
}

/// An assignment as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Award {
    /// The task.
    pub task: u32,
    /// The winning bid.
    pub bid: BidId,
    /// Who won.
    pub bidder: PublicKey,
    /// The machine.
    pub asset: FieldBytes,
    /// What the winner is paid.
    pub payment: Price,
    /// Its state.
    pub state: AwardState,
    /// Height by which it must be accepted, while `assigned`.
    pub accept_by: Option<Height>,
}

/// `GET /v1/accounts/{key}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The signer.
    pub key: PublicKey,
    /// Sequence number its next signed transaction must carry (mempool included).
    pub next_sequence: u64,
    /// Issuer index, if it is a listed issuer.
    pub issuer: Option<IssuerIndex>,
}

/// `GET /v1/registry/{leaf}`: where a leaf stands, and its path under the newest root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeafPath {
    /// Index in the registry.
    pub index: u32,
    /// Newest end-of-block root.
    pub root: FieldBytes,
    /// Siblings from the leaf upwards.
    pub siblings: Vec<FieldBytes>,
}

/// One line of `GET /v1/issuers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuerInfo {
    /// Its index: the bit that stands for it in issuer masks.
    pub index: IssuerIndex,
    /// Name, key and quota.
    pub issuer: Issuer,
    /// False once governance has removed it.
    pub listed: bool,
}

/// `GET /v1/blocks/{height}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockInfo {
    /// Its height.
    pub height: Height,
    /// Its id.
    pub block_id: BlockId,
    /// Its time.
    pub time_ms: TimeMs,
    /// State after it.
    pub state_root: Digest,
    /// Root over its outcomes.
    pub outcome_root: Digest,
    /// Its transactions, in order.
    pub transactions: Vec<TxHash>,
}

/// One line of `GET /v1/types`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeInfo {
    /// The type's id.
    pub type_id: TypeId,
    /// The record.
    pub record: tender_circuits::CapabilityType,
}

/// One line of `GET /v1/events` (SSE `data:`), also the live timeline of `tender dev`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A block was committed.
    Block {
        /// Its height.
        height: Height,
        /// Its id.
        block_id: BlockId,
        /// Round it was decided in.
        round: Round,
        /// Transactions in it, by kind, as `"3 bids, 1 reveal"`.
        summary: String,
        /// Transactions in it.
        transactions: u32,
    },
    /// An auction entered a phase.
    Auction {
        /// The auction.
        auction: AuctionId,
        /// The phase it entered.
        phase: Phase,
        /// The height.
        height: Height,
    },
    /// This peer refused a transaction.
    Refused {
        /// The transaction.
        tx_hash: TxHash,
        /// Why.
        error: ApiError,
    },
}
