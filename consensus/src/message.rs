//! What peers say to each other: gossip, and questions with answers.
//!
//! Gossip is small ([`MAX_GOSSIP_BYTES`]). Blocks above [`MAX_PUSHED_BLOCK_BYTES`], transaction bodies, missed votes and committed
//! ranges are asked for. Every list has a cap; a decoder is bounded by the type's cap before it starts.

use crate::{
    block::{CommittedBlock, CompactBlock},
    evidence::Evidence,
    params::{MAX_BLOCK_BYTES, MAX_BLOCK_TXS},
    tx::TxBytes,
    vote::{Proposal, Vote},
};
use serde::{Deserialize, Serialize};
use tender_wire::{BlockId, Height, TxHash, Wire, codec::at_most};

/// Largest gossip message.
pub const MAX_GOSSIP_BYTES: usize = 80 << 10;
/// Largest compact block that travels with its proposal; larger ones are asked for.
pub const MAX_PUSHED_BLOCK_BYTES: usize = 64 << 10;
/// Proposals and votes in one bundle: five rounds of the largest set.
pub const MAX_BUNDLE_MESSAGES: usize = 2560;
/// Committed blocks in one answer.
pub const MAX_RANGE_BLOCKS: usize = 64;
/// Bytes of one answer: at least one committed block of any size.
pub const MAX_RESPONSE_BYTES: usize = 2 * MAX_BLOCK_BYTES;

/// A gossip message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// A proposal, with its block if that is small enough.
    Proposal(Box<Proposed>),
    /// A vote.
    Vote(Box<Vote>),
    /// An offence somebody saw.
    Evidence(Evidence),
}

/// A proposal and, unless too large, the block it proposes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposed {
    /// The signed part.
    pub proposal: Proposal,
    /// The block, which must hash to `proposal.block`.
    pub block: Option<CompactBlock>,
}

/// A question to one peer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Request {
    /// A block of the current height, in compact form.
    Block(BlockId),
    /// Transaction bodies, at most [`MAX_BLOCK_TXS`].
    Transactions(#[serde(deserialize_with = "at_most::<_, _, MAX_BLOCK_TXS>")] Vec<TxHash>),
    /// Proposals and votes of a height in progress.
    Votes(Height),
    /// Committed blocks from this height on.
    Blocks(Height),
}

/// The answer to a [`Request`], variant by variant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response {
    /// The block, if known.
    Block(Option<Box<CompactBlock>>),
    /// Those known, in any order; at most [`MAX_BLOCK_TXS`].
    Transactions(#[serde(deserialize_with = "at_most::<_, _, MAX_BLOCK_TXS>")] Vec<TxBytes>),
    /// What was seen at that height.
    Votes(Bundle),
    /// Consecutive blocks, starting at the height asked for; empty beyond the tip; at most [`MAX_RANGE_BLOCKS`].
    Blocks(#[serde(deserialize_with = "at_most::<_, _, MAX_RANGE_BLOCKS>")] Vec<CommittedBlock>),
}

/// What a peer knows of a height in progress.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// Height of the answering peer's tip. If it is not below the height asked about, ask for blocks instead.
    pub tip: Height,
    /// Proposals, without blocks.
    #[serde(deserialize_with = "at_most::<_, _, MAX_BUNDLE_MESSAGES>")]
    pub proposals: Vec<Proposal>,
    /// Votes.
    #[serde(deserialize_with = "at_most::<_, _, MAX_BUNDLE_MESSAGES>")]
    pub votes: Vec<Vote>,
}

impl Wire for Message {
    const NAME: &'static str = "consensus message";
    const MAX_BYTES: usize = MAX_GOSSIP_BYTES;
}
impl Wire for Request {
    const NAME: &'static str = "consensus request";
    const MAX_BYTES: usize = 64 + MAX_BLOCK_TXS * 32;
}
impl Wire for Response {
    const NAME: &'static str = "consensus response";
    const MAX_BYTES: usize = MAX_RESPONSE_BYTES;
}
