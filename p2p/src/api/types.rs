//! The JSON the API answers with: what the command line, agents and examples read.
//!
//! Identifiers are hex, times are numbers with their unit in the name, money is smallest units.

use super::schema;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
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
use utoipa::ToSchema;

/// Every error the API answers with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiError {
    /// Machine-readable reason, snake_case, stable.
    pub code: String,
    /// What happened, with the values.
    pub message: String,
    /// What to do next.
    pub hint: String,
}

/// `GET /v1/status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// The chain.
    #[schema(value_type = schema::Hex32)]
    pub chain_id: ChainId,
    /// The chain's name in genesis.
    pub chain_name: String,
    /// libp2p peer id.
    pub peer_id: String,
    /// This peer's validator key, if it is one.
    #[schema(value_type = Option<schema::Hex32>)]
    pub validator: Option<PublicKey>,
    /// Whether that key is in the current validator set.
    pub voting: bool,
    /// Last committed height.
    #[schema(value_type = u64)]
    pub height: Height,
    /// Its block.
    #[schema(value_type = schema::Hex32)]
    pub block_id: BlockId,
    /// Its state root.
    #[schema(value_type = schema::Hex32)]
    pub state_root: Digest,
    /// Its time.
    #[schema(value_type = u64)]
    pub time_ms: TimeMs,
    /// Round of the height being decided.
    #[schema(value_type = u32)]
    pub round: Round,
    /// Connected peers.
    pub peers: u32,
    /// Highest height that more than a third of the connected peers have announced and stand by.
    #[schema(value_type = u64)]
    pub best_known_height: Height,
    /// Whether this peer is still catching up.
    pub syncing: bool,
    /// Transactions waiting.
    pub mempool: u32,
    /// Set when the peer stopped itself, with the reason.
    pub halted: Option<String>,
}

/// `GET /v1/admin/peers`: a connected peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Neighbour {
    /// Its libp2p peer id.
    pub peer_id: String,
    /// Where the connection goes, as a multiaddress.
    pub address: String,
    /// Whether this peer dialled it.
    pub outbound: bool,
    /// What it says it runs; not to be believed.
    pub agent: String,
}

/// `POST /v1/transactions` (body: canonical transaction bytes, `application/octet-stream`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Submitted {
    /// The transaction's hash.
    #[schema(value_type = schema::Hex32)]
    pub tx_hash: TxHash,
}

/// `GET /v1/transactions/{hash}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum TxStatus {
    /// Waiting in this peer's mempool.
    Pending,
    /// In a block.
    Committed {
        /// The block's height.
        #[schema(value_type = u64)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuctionSummary {
    /// The auction.
    #[schema(value_type = schema::Hex32)]
    pub auction: AuctionId,
    /// Its title.
    pub title: String,
    /// Who opened it.
    #[schema(value_type = schema::Hex32)]
    pub opener: PublicKey,
    /// Where it is.
    pub phase: Phase,
    /// Height of the opening block.
    #[schema(value_type = u64)]
    pub opened_at: Height,
    /// Last height of the current phase, where it has one.
    #[schema(value_type = Option<u64>)]
    pub phase_ends_at: Option<Height>,
    /// Height at which it cleared or was voided.
    #[schema(value_type = Option<u64>)]
    pub ended_at: Option<Height>,
    /// Tasks.
    pub tasks: u32,
    /// Live bids.
    pub bids: u32,
}

/// `GET /v1/auctions/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuctionDetail {
    /// The summary.
    pub summary: AuctionSummary,
    /// What was opened.
    #[schema(value_type = schema::AuctionSpec)]
    pub spec: AuctionSpec,
    /// Frozen committee keys in rank order and the number of reveals needed; empty before the freeze.
    pub committee: Vec<String>,
    /// Reveals needed to open.
    pub threshold: Option<u32>,
    /// Committed outcomes, sorted by key; empty before clearing.
    #[schema(value_type = Vec<schema::OutcomeRecord>)]
    pub outcomes: Vec<OutcomeRecord>,
    /// Current assignments.
    pub awards: Vec<Award>,
    /// Live bids, by (bidder, asset).
    pub live_bids: Vec<LiveBid>,
}

/// A live bid: what is public of it before the close.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LiveBid {
    /// The bid.
    #[schema(value_type = schema::Hex32)]
    pub bid: BidId,
    /// Who bids.
    #[schema(value_type = schema::Hex32)]
    pub bidder: PublicKey,
    /// The machine.
    #[schema(value_type = schema::Hex32)]
    pub asset: FieldBytes,
    /// Its sequence number; a replacement needs a higher one.
    pub sequence: u32,
}

/// An assignment as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Award {
    /// The task.
    pub task: u32,
    /// The winning bid.
    #[schema(value_type = schema::Hex32)]
    pub bid: BidId,
    /// Who won.
    #[schema(value_type = schema::Hex32)]
    pub bidder: PublicKey,
    /// The machine.
    #[schema(value_type = schema::Hex32)]
    pub asset: FieldBytes,
    /// What the winner is paid.
    #[schema(value_type = u64)]
    pub payment: Price,
    /// Its state.
    #[schema(value_type = schema::AwardState)]
    pub state: AwardState,
    /// Height by which it must be accepted, while `assigned`.
    #[schema(value_type = Option<u64>)]
    pub accept_by: Option<Height>,
}

/// `GET /v1/accounts/{key}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Account {
    /// The signer.
    #[schema(value_type = schema::Hex32)]
    pub key: PublicKey,
    /// Sequence number its next signed transaction must carry (mempool included).
    pub next_sequence: u64,
    /// Issuer index, if it is a listed issuer.
    #[schema(value_type = Option<u8>)]
    pub issuer: Option<IssuerIndex>,
}

/// `GET /v1/registry/{leaf}`: where a leaf stands, and its path under the newest root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LeafPath {
    /// Index in the registry.
    pub index: u32,
    /// Newest end-of-block root.
    #[schema(value_type = schema::Hex32)]
    pub root: FieldBytes,
    /// Siblings from the leaf upwards.
    #[schema(value_type = Vec<schema::Hex32>)]
    pub siblings: Vec<FieldBytes>,
}

/// One line of `GET /v1/issuers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IssuerInfo {
    /// Its index: the bit that stands for it in issuer masks.
    #[schema(value_type = u8)]
    pub index: IssuerIndex,
    /// Name, key and quota.
    #[schema(value_type = schema::Issuer)]
    pub issuer: Issuer,
    /// False once governance has removed it.
    pub listed: bool,
}

/// `GET /v1/blocks/{height}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BlockInfo {
    /// Its height.
    #[schema(value_type = u64)]
    pub height: Height,
    /// Its id.
    #[schema(value_type = schema::Hex32)]
    pub block_id: BlockId,
    /// Its time.
    #[schema(value_type = u64)]
    pub time_ms: TimeMs,
    /// State after it.
    #[schema(value_type = schema::Hex32)]
    pub state_root: Digest,
    /// Root over its outcomes.
    #[schema(value_type = schema::Hex32)]
    pub outcome_root: Digest,
    /// Its transactions, in order.
    #[schema(value_type = Vec<schema::Hex32>)]
    pub transactions: Vec<TxHash>,
}

/// One line of `GET /v1/types`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TypeInfo {
    /// The type's id.
    #[schema(value_type = schema::Hex32)]
    pub type_id: TypeId,
    /// The record.
    #[schema(value_type = schema::CapabilityType)]
    pub record: tender_circuits::CapabilityType,
}

/// One line of `GET /v1/events` (SSE `data:`), also the live timeline of `tender dev`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A block was committed.
    Block {
        /// Its height.
        #[schema(value_type = u64)]
        height: Height,
        /// Its id.
        #[schema(value_type = schema::Hex32)]
        block_id: BlockId,
        /// Round it was decided in.
        #[schema(value_type = u32)]
        round: Round,
        /// Transactions in it, by kind, as `"3 bids, 1 reveal"`.
        summary: String,
        /// Transactions in it.
        transactions: u32,
    },
    /// An auction entered a phase.
    Auction {
        /// The auction.
        #[schema(value_type = schema::Hex32)]
        auction: AuctionId,
        /// The phase it entered.
        phase: Phase,
        /// The height.
        #[schema(value_type = u64)]
        height: Height,
        /// Position among the block's events, from 1: the block itself is 0.
        index: u32,
    },
    /// This peer refused a transaction. Told once, to whoever listens then; it is not in the chain and has no id.
    Refused {
        /// The transaction.
        #[schema(value_type = schema::Hex32)]
        tx_hash: TxHash,
        /// Why.
        error: ApiError,
    },
    /// The listener was too slow. Blocks and auctions go on without a hole, from the disk; refusals told meanwhile are lost.
    Gap {
        /// The next block that is told.
        #[schema(value_type = u64)]
        height: Height,
        /// Events that had no more room.
        missed: u64,
    },
}

/// Where an event of the chain stands: the same on every peer, and after a restart. As text `height.index`, the `id:` of its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventId {
    /// The block.
    pub height: Height,
    /// Position among its events; 0 is the block itself.
    pub index: u32,
}

impl EventId {
    /// The block itself: the first of its events.
    pub const fn of_block(height: Height) -> Self {
        EventId { height, index: 0 }
    }

    /// The least id after this one.
    pub const fn next(self) -> Self {
        match self.index.checked_add(1) {
            Some(index) => EventId { index, ..self },
            None => EventId::of_block(Height(self.height.0.saturating_add(1))),
        }
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.height, self.index)
    }
}

impl FromStr for EventId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text
            .split_once('.')
            .and_then(|(height, index)| Some((height.parse().ok()?, index.parse().ok()?)));
        let (height, index) = parsed.ok_or_else(|| {
            let shown: String = text.chars().take(40).collect();
            format!("an event's id is height.index, as 12.0; this is {shown:?}")
        })?;
        Ok(EventId {
            height: Height(height),
            index,
        })
    }
}

impl Event {
    /// Its id, if it is one of the chain's.
    pub const fn id(&self) -> Option<EventId> {
        match self {
            Event::Block { height, .. } => Some(EventId::of_block(*height)),
            Event::Auction { height, index, .. } => Some(EventId {
                height: *height,
                index: *index,
            }),
            Event::Refused { .. } | Event::Gap { .. } => None,
        }
    }
}

/// `POST /v1/auctions`, once the auction is in a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OpenedAuction {
    /// The auction.
    #[schema(value_type = schema::Hex32)]
    pub auction: AuctionId,
    /// Who opened it: the home's agent.
    #[schema(value_type = schema::Hex32)]
    pub opener: PublicKey,
    /// Its block.
    #[schema(value_type = u64)]
    pub height: Height,
}

/// `POST /v1/bids`, once the bid is in a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlacedBid {
    /// The bid.
    #[schema(value_type = schema::Hex32)]
    pub bid: BidId,
    /// Who bids: the home's agent.
    #[schema(value_type = schema::Hex32)]
    pub bidder: PublicKey,
    /// Its block.
    #[schema(value_type = u64)]
    pub height: Height,
    /// How often its proofs were made: again where the registry's root went stale meanwhile.
    pub attempts: u32,
    /// What will probably lose, and why.
    pub warnings: Vec<String>,
}

/// `POST /v1/auctions/{id}/accept` and its siblings, once the step is in a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TakenStep {
    /// The auction.
    #[schema(value_type = schema::Hex32)]
    pub auction: AuctionId,
    /// The task.
    pub task: u32,
    /// The winning bid.
    #[schema(value_type = schema::Hex32)]
    pub bid: BidId,
    /// The step's block.
    #[schema(value_type = u64)]
    pub height: Height,
}

/// How a job of `GET /v1/jobs/{id}` ended well: what its `POST` would have answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Done {
    /// An auction was opened.
    Opened(OpenedAuction),
    /// A bid was placed.
    Placed(PlacedBid),
    /// An assignment went a step further.
    Stepped(TakenStep),
}

/// The answer 202: the work goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Running {
    /// The job; its address is in the header `Location`.
    pub job: String,
}

/// Body of `POST /v1/bids`: a bid document and the auction it is for.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BidRequest {
    /// The auction.
    #[schema(value_type = schema::Hex32)]
    pub auction: AuctionId,
    /// Serial number of the machine; may be left out by an agent with only one.
    #[serde(default)]
    pub machine: Option<String>,
    /// Units of each class it can serve at once; as many as it can where prices name a single class.
    #[serde(default)]
    pub slots: std::collections::BTreeMap<String, u32>,
    /// Price asked per task, by task name, in smallest units.
    pub prices: std::collections::BTreeMap<String, u64>,
    /// What to claim, by field name; no more than the classes and slots need unless said otherwise.
    #[serde(default)]
    #[schema(value_type = Option<std::collections::BTreeMap<String, schema::NamedValue>>)]
    pub claim: Option<crate::documents::names::Named>,
    /// Hide which issuer vouches among all that the classes accept. (Any of them revoking the machine then suspends the bid.)
    #[serde(default)]
    pub hide_issuer: bool,
}

/// Body of `POST /v1/auctions/{id}/accept`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptRequest {
    /// The task, by name or number.
    pub task: TaskName,
}

/// Body of `POST /v1/auctions/{id}/deliver`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeliverRequest {
    /// The task, by name or number.
    pub task: TaskName,
    /// 32 bytes that stand for the result: any hash that both sides agree on.
    #[schema(value_type = schema::Hex32)]
    pub result: Digest,
}

/// Body of `POST /v1/auctions/{id}/confirm` and `…/reject`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VerdictRequest {
    /// The task, by name or number.
    pub task: TaskName,
    /// The winner, where several units are assigned.
    #[serde(default)]
    #[schema(value_type = Option<schema::Hex32>)]
    pub bidder: Option<PublicKey>,
}

/// A task of an auction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum TaskName {
    /// By its position, from 0.
    Number(u32),
    /// By its name.
    Name(String),
}

impl fmt::Display for TaskName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TaskName::Number(number) => write!(f, "{number}"),
            TaskName::Name(name) => write!(f, "{:?}", name.chars().take(64).collect::<String>()),
        }
    }
}
