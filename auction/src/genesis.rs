//! The genesis document: everything a stranger needs to verify the chain. The chain id is its hash.

use serde::{Deserialize, Serialize};
use tender_circuits::CapabilityType;
use tender_wire::{ChainId, Power, PublicKey, Tag, TimeMs, Wire, hash_of};

/// Format version of the genesis document and of every structure under it.
pub const VERSION: u16 = 1;
/// Most validators: sealing is per member (32 bytes a share) and certificates carry every signature.
pub const MAX_VALIDATORS: usize = 100;
/// Most issuers a chain ever has: an evidence names them by bits of a `u64`.
pub const MAX_ISSUERS: usize = 64;
/// Most capability types a chain ever has.
pub const MAX_TYPES: usize = 256;
/// Most keys on an openers list.
pub const MAX_OPENERS: usize = 256;

/// The genesis document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// [`VERSION`].
    pub version: u16,
    /// For people; also separates chains that are otherwise alike.
    pub name: String,
    /// Time of block 0.
    pub time: TimeMs,
    /// Least distance between block times, in milliseconds.
    pub block_interval_ms: u64,
    /// Whether types with a single-party (forgeable) setup are accepted. Only for development.
    pub allow_insecure_setup: bool,
    /// First validator set, sorted by key; n >= 3f + 1 by count.
    pub validators: Vec<GenesisValidator>,
    /// First issuers; an issuer's index is its position.
    pub issuers: Vec<Issuer>,
    /// Who may open auctions.
    pub openers: Openers,
    /// First capability types, sorted by (name, version).
    pub types: Vec<CapabilityType>,
    /// Shares that opening one auction may cost: it admits at most `open_budget / |K|` bids.
    pub open_budget: u32,
    /// Heights for which equivocation evidence can still be committed.
    pub evidence_age: u64,
}

impl Wire for Genesis {
    const NAME: &'static str = "genesis";
    const MAX_BYTES: usize = 4 << 20;
}

/// A validator of the first set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisValidator {
    /// For people.
    pub name: String,
    /// Consensus key.
    pub key: PublicKey,
    /// Voting power.
    pub power: Power,
}

/// An authority whose attestations the chain knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// For people; unique.
    pub name: String,
    /// Signs leaves, revocations and attestations.
    pub key: PublicKey,
    /// Leaves it may post in all: bounds the work of de-listing it.
    pub quota: u32,
}

/// Who may open auctions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Openers {
    /// Anyone: development chains.
    Any,
    /// These keys, sorted.
    List(Vec<PublicKey>),
}

impl Genesis {
    /// The chain id.
    pub fn chain_id(&self) -> ChainId {
        hash_of(Tag::Genesis, self).into()
    }
}
