//! One auction in the state: its phase, its committee and keys, its live bids, and after clearing its assignments.
//!
//! ```text
//!            opened        frozen            closed                 t-th reveal, one block later
//!  Keys ───────────▶ Bidding ────────▶ Reveal ──────────────────▶ Settled ──▶ leaves the state
//!    └─ too few keys ─▶ void (NoKeys)     └─ too few by the deadline ─▶ void (NoReveals)
//! ```
//!
//! Invariant: a live bid is in `bids` and, by its asset, in `by_asset`; a bid that was ever admitted is in `bids` or
//! `replaced` until the auction clears. Bound: `open_budget / |K|` bids, and
//! [`MAX_AUCTION_ENTRIES`] entries, [`MAX_CLEARING_WORK`] of them and units together; replaced bids included.

use crate::{
    bid::{ClassSlots, EvidenceSummary},
    ledger::{Amounts, Capacity},
    market::table::{Content, whole},
    outcome::AwardState,
    seal::{CommitteeKey, Reveal, Sealed},
    task::AuctionSpec,
    transaction::AwardRef,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tender_wire::{
    AuctionId, BidId, BlockId, Digest, FieldBytes, Height, Price, PublicKey, Tag, TypeId, encode,
    hash,
};

/// Entries one auction may take in, over all its bids. They clear in one block and each leaves an outcome record of about
/// half a kilobyte; [`crate::clearing`] itself takes more.
pub const MAX_AUCTION_ENTRIES: usize = 1 << 15;
/// Units of an auction times entries it may take in: in the dearest markets known, clearing and its payments take that many steps of some
/// 50 nanoseconds, 1.2 seconds on one core. It must stay below half of a usual propose timeout (3 s), for a peer that could not clear ahead.
pub const MAX_CLEARING_WORK: usize = 3 << 23;

/// An auction that is not over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Auction {
    /// Its id.
    pub id: AuctionId,
    /// Who opened it.
    pub opener: PublicKey,
    /// Opening order over the whole chain.
    pub order: u64,
    /// Block that opened it.
    pub opened: Height,
    /// That block's id; known from the next block on.
    pub opening_block: Option<BlockId>,
    /// What is wanted.
    pub spec: Arc<AuctionSpec>,
    /// Hash of the specification.
    pub spec_hash: Digest,
    /// Who seals: the validator set after the opening block.
    pub committee: Committee,
    /// Seal keys on chain; once frozen, K.
    pub keys: BTreeMap<PublicKey, CommitteeKey>,
    /// Where it stands.
    pub phase: Phase,
    /// Live bids.
    pub bids: BTreeMap<BidId, Arc<AdmittedBid>>,
    /// The live bid of each asset.
    pub by_asset: BTreeMap<FieldBytes, BidId>,
    /// Bids replaced before the close.
    pub replaced: BTreeMap<BidId, ReplacedBid>,
    /// Live bids whose evidence no longer stood at the closing block.
    pub suspended: BTreeSet<BidId>,
    /// Reveals on chain, by rank in K from 1.
    pub reveals: BTreeMap<u8, Reveal>,
    /// Assignments made, ended ones included.
    pub awards: BTreeMap<AwardRef, Award>,
    /// Per task, losers that may still be assigned, best first, each at its own price.
    pub runners_up: BTreeMap<u32, Vec<(BidId, Price)>>,
}

/// The members that seal an auction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Committee {
    /// Consensus keys, sorted.
    pub members: Vec<PublicKey>,
    /// Largest number of members that can together hold less than a third of the power.
    pub faulty: u16,
}

/// Where an auction stands. Heights are the last block of the window, unless they say otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Members post seal keys.
    Keys {
        /// End of the key window.
        until: Height,
    },
    /// Keys are frozen; sealed bids are admitted.
    Bidding {
        /// The closing block.
        closes: Height,
    },
    /// Closed; members reveal.
    Reveal {
        /// The closing block.
        closed: Height,
        /// End of the reveal window.
        until: Height,
        /// Block by whose end its bids can be open everywhere: that of the t-th reveal, or later if there is much to open
        /// ([`super::opening`]). It clears in a later one.
        opened: Option<Height>,
    },
    /// Cleared; assignments live their lives.
    Settled {
        /// The clearing block.
        cleared: Height,
    },
}

/// A bid the market has verified and admitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdmittedBid {
    /// Its market identity, which commits to all of its content but proofs.
    pub id: BidId,
    /// Who bids.
    pub bidder: PublicKey,
    /// Rank among the bidder's bids for this asset.
    pub sequence: u32,
    /// The machine.
    pub asset: FieldBytes,
    /// What was shown, and how fresh it was.
    pub evidences: Vec<AdmittedEvidence>,
    /// Units it can serve at once, per class.
    pub slots: Vec<ClassSlots>,
    /// The sealed part.
    pub sealed: Sealed,
    /// Claimed amounts of its consumable type, if it shows one.
    pub capacity: Option<Capacity>,
    /// Block that admitted it.
    pub admitted: Height,
}

/// Verified evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdmittedEvidence {
    /// Type, kind, issuers, claim.
    pub summary: EvidenceSummary,
    /// Latest block known to end with the registry root it relies on; the admitting block for an attestation.
    pub fresh_at: Height,
}

/// What is kept of a replaced bid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplacedBid {
    /// Who bid.
    pub bidder: PublicKey,
    /// The machine.
    pub asset: FieldBytes,
    /// The bid that replaced it.
    pub by: BidId,
}

/// An assignment of one unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Award {
    /// Who holds it.
    pub bidder: PublicKey,
    /// The machine that serves.
    pub asset: FieldBytes,
    /// The consumable type debited, if any.
    pub type_id: Option<TypeId>,
    /// Amounts reserved for it.
    pub amounts: Amounts,
    /// What the holder is paid.
    pub payment: Price,
    /// Where it stands.
    pub state: AwardState,
    /// Last block in which it can be accepted.
    pub accept_by: Height,
}

impl Committee {
    /// Keys without which the auction is void: n - f.
    pub fn least_keys(&self) -> usize {
        self.members.len().saturating_sub(self.faulty.into())
    }
}

impl Auction {
    /// `t = |K| - f`, the reveals that open every bid. Meaningful once keys are frozen.
    pub fn threshold(&self) -> usize {
        self.keys.len().saturating_sub(self.committee.faulty.into())
    }

    /// K in rank order.
    pub fn ranked_keys(&self) -> Vec<CommitteeKey> {
        self.keys.values().copied().collect()
    }

    /// A member's rank in K, from 1.
    pub fn rank(&self, member: &PublicKey) -> Option<u8> {
        let position = self.keys.keys().position(|key| key == member)?;
        u8::try_from(position.saturating_add(1)).ok()
    }

    /// The committee key at a rank of K.
    pub fn key_at(&self, rank: u8) -> Option<&CommitteeKey> {
        self.keys.values().nth(usize::from(rank).checked_sub(1)?)
    }

    /// Bids it admits in all under an opening budget of this many shares; never more entries than one class can clear, or clear in time.
    pub fn bid_cap(&self, open_budget: u32) -> usize {
        let opened = (open_budget as usize).checked_div(self.keys.len());
        let entries = MAX_AUCTION_ENTRIES.min(
            MAX_CLEARING_WORK
                .checked_div(self.spec.units())
                .unwrap_or(0),
        );
        let cleared = entries.checked_div(self.spec.max_entries.into());
        opened.unwrap_or(0).min(cleared.unwrap_or(0))
    }

    /// Entries its live bids hold at most.
    pub fn entries(&self) -> usize {
        self.bids.len().saturating_mul(self.spec.max_entries.into())
    }

    /// What clearing it costs at most, in units x entries.
    pub fn clearing_work(&self) -> usize {
        self.entries().saturating_mul(self.spec.units())
    }

    /// Bids admitted so far.
    pub fn admitted(&self) -> usize {
        self.bids.len().saturating_add(self.replaced.len())
    }

    /// The closing block, once past.
    pub fn closed_at(&self) -> Option<Height> {
        match self.phase {
            Phase::Reveal { closed, .. } => Some(closed),
            _ => None,
        }
    }

    /// Whether it has neither cleared nor become void (void ones leave the state at once).
    pub fn is_live(&self) -> bool {
        !matches!(self.phase, Phase::Settled { .. })
    }

    /// What a class requires of the ledger per unit, in fields of `type_id`.
    pub fn requirement_of(&self, class: u16, type_id: &TypeId) -> Option<&tender_circuits::Claim> {
        let class = self.spec.classes.get(usize::from(class))?;
        Some(&class.requirement_of(type_id)?.requirement)
    }
}

impl AdmittedBid {
    /// Slots offered in a class.
    pub fn slots_in(&self, class: u16) -> u32 {
        let offered = self.slots.iter().find(|s| s.class == class);
        offered.map_or(0, |s| s.slots)
    }

    /// The consumable type it is accounted in.
    pub fn consumable(&self) -> Option<TypeId> {
        self.capacity.as_ref().map(|capacity| capacity.type_id)
    }
}

impl AwardState {
    /// Whether the assignment still holds its reservation.
    pub fn is_running(self) -> bool {
        matches!(
            self,
            AwardState::Assigned | AwardState::Accepted | AwardState::Delivered { .. }
        )
    }
}

impl Content for Auction {
    // Bids by id, which commits to their content: hashing thousands of ciphertexts anew in every block would not do.
    fn digest(&self) -> Digest {
        let core = encode(&(
            (
                self.id,
                self.opener,
                self.order,
                self.opened,
                self.opening_block,
                self.spec_hash,
            ),
            (
                &self.committee,
                &self.keys,
                self.phase,
                &self.by_asset,
                &self.replaced,
            ),
            (
                &self.suspended,
                &self.reveals,
                &self.awards,
                &self.runners_up,
            ),
        ));
        let mut bids = Vec::new();
        for bid in self.bids.values() {
            bids.extend_from_slice(bid.id.as_ref());
            bids.extend_from_slice(&bid.admitted.0.to_le_bytes());
            for evidence in &bid.evidences {
                bids.extend_from_slice(&evidence.fresh_at.0.to_le_bytes());
            }
        }
        hash(Tag::Table, &[&core, &bids])
    }
}

/// Every auction that is not over.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Auctions {
    /// By id.
    pub by_id: BTreeMap<AuctionId, super::table::Table<Auction>>,
    /// Auctions opened so far, over the whole chain.
    pub opened: u64,
}

impl Content for Auctions {
    fn digest(&self) -> Digest {
        let roots: Vec<_> = self
            .by_id
            .iter()
            .map(|(id, auction)| (id, auction.root()))
            .collect();
        whole(&(self.opened, roots))
    }
}

impl Auctions {
    /// Ids in (closing height, opening order): the order in which closed auctions clear.
    pub fn in_clearing_order(&self) -> Vec<AuctionId> {
        let mut closed: Vec<_> = self
            .by_id
            .values()
            .filter_map(|a| a.closed_at().map(|height| (height, a.order, a.id)))
            .collect();
        closed.sort_unstable();
        closed.into_iter().map(|(.., id)| id).collect()
    }

    /// Ids in opening order.
    pub fn in_opening_order(&self) -> Vec<AuctionId> {
        let mut all: Vec<_> = self.by_id.values().map(|a| (a.order, a.id)).collect();
        all.sort_unstable();
        all.into_iter().map(|(_, id)| id).collect()
    }

    /// Least closing height of a closed auction that has not cleared.
    pub fn oldest_close(&self) -> Option<Height> {
        self.by_id.values().filter_map(|a| a.closed_at()).min()
    }
}
