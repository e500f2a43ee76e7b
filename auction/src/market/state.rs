//! The state of the market, every table named here once.
//!
//! | table | key → row | bound |
//! |---|---|---|
//! | `rules` | fixed by genesis | constant |
//! | `clock` | height and time of the last block | constant |
//! | `sequences` | signer → next sequence number | [`MAX_SIGNERS`] |
//! | `issuers` | index → issuer | 64, for ever |
//! | `types` | type id → record; (name, version) → type id | 256, for ever |
//! | `credentials` | leaves, recent roots, revocations | 2^20 leaves, 1024 roots |
//! | `ledger` | asset → account | live bids and leases |
//! | `auctions` | auction id → auction | [`MAX_LIVE`] + [`MAX_SETTLED`], of [`MAX_UNITS_IN_ALL`] units |
//! | `endings` | (time, assignment) → what is released at the start of the next block | assignments of those auctions |
//! | `validators` | the set that decides the next block; jailed keys | 100, and as many jailed |
//! | `governance` | openers; open, passed and waiting proposals | per validator |
//!
//! [`MarketState::root`] is the hash of the tables' roots in this order. Cloning costs a handful of reference counts. Finished
//! auctions leave the state; their outcomes live in blocks.

use super::{
    auction::Auctions,
    governance::{Governance, Validators},
    registry::{Credentials, Issuers},
    table::{Content, Table, hashed_whole, whole},
};
use crate::{
    ledger::{Amounts, Ledger},
    transaction::AwardRef,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};
use tender_circuits::CapabilityType;
use tender_wire::{
    ChainId, Digest, FieldBytes, Height, PublicKey, Tag, TimeMs, TypeId, Wire, hash,
};

/// Signers the chain remembers: a sequence number is never forgotten, or its transactions could be replayed.
pub const MAX_SIGNERS: usize = 1 << 20;
/// Live auctions (neither cleared nor void) of one opener.
pub const MAX_LIVE_PER_OPENER: usize = 8;
/// Live auctions in all: bounds the openings and clearings a block can hold.
pub const MAX_LIVE: usize = 64;
/// Cleared auctions whose assignments still run: bounds the state that long leases hold.
pub const MAX_SETTLED: usize = 1024;
/// Of those, one opener's, so that no opener can lock out the others.
pub const MAX_SETTLED_PER_OPENER: usize = 64;
/// Units wanted by auctions that are not over, live and cleared. All their assignments may end in one block: at some ten microseconds
/// each, five seconds of work.
pub const MAX_UNITS_IN_ALL: usize = 1 << 19;
/// Of those, one opener's, so that no opener can lock out the others: as many as its live auctions can want.
pub const MAX_UNITS_PER_OPENER: usize = 1 << 15;

/// What genesis fixes and no transaction changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// The chain.
    pub chain: ChainId,
    /// Least distance between block times, in milliseconds.
    pub block_interval_ms: u64,
    /// Whether single-party setups are accepted.
    pub allow_insecure_setup: bool,
    /// Shares that opening one auction may cost.
    pub open_budget: u32,
}

/// The last executed block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// Its height.
    pub height: Height,
    /// Its time.
    pub time: TimeMs,
}

/// Next sequence number of every signer that acted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sequences(pub BTreeMap<PublicKey, u64>);

/// Capability types.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Types {
    /// By id.
    pub by_id: BTreeMap<TypeId, Arc<CapabilityType>>,
    /// By name and version, unique for ever.
    pub by_name: BTreeMap<(String, u16), TypeId>,
}

/// Reservations of ended assignments, released at the start of the next block.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endings(pub BTreeMap<(TimeMs, AwardRef), Release>);

/// What an ended assignment gives back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// The machine.
    pub asset: FieldBytes,
    /// What was reserved for it.
    pub amounts: Amounts,
}

hashed_whole!(Rules, Clock, Sequences, Endings, Ledger);

impl Content for Types {
    fn digest(&self) -> Digest {
        whole(&self.by_name) // an id is the hash of its record
    }
}

/// The live state. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MarketState {
    pub(crate) rules: Table<Rules>,
    pub(crate) clock: Clock,
    pub(crate) sequences: Table<Sequences>,
    pub(crate) issuers: Table<Issuers>,
    pub(crate) types: Table<Types>,
    pub(crate) credentials: Table<Credentials>,
    pub(crate) ledger: Table<Ledger>,
    pub(crate) auctions: Table<Auctions>,
    pub(crate) endings: Table<Endings>,
    pub(crate) validators: Table<Validators>,
    pub(crate) governance: Table<Governance>,
}

impl Wire for MarketState {
    const NAME: &'static str = "market state";
    /// A snapshot on a peer's own disk: a full registry and 2^16 sealed bids are below this.
    const MAX_BYTES: usize = 1 << 30;
}

impl MarketState {
    /// The state root.
    pub fn root(&self) -> Digest {
        let roots = [
            self.rules.root(),
            self.clock.digest(),
            self.sequences.root(),
            self.issuers.root(),
            self.types.root(),
            self.credentials.root(),
            self.ledger.root(),
            self.auctions.root(),
            self.endings.root(),
            self.validators.root(),
            self.governance.root(),
        ];
        let parts: Vec<&[u8]> = roots.iter().map(AsRef::as_ref).collect();
        hash(Tag::State, &parts)
    }
}
