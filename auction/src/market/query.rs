//! The read side: what peers, APIs and command lines ask of a state.

use super::{
    auction::{Auction, Phase},
    registry::{IssuerRow, LeafRow},
    state::{Clock, MarketState, Rules},
};
use crate::{genesis::Openers, ledger::Account, outcome::AwardState, transaction::AwardRef};
use serde::{Deserialize, Serialize};
use tender_circuits::{CapabilityType, IssuerIndex, MerklePath};
use tender_consensus::validators::ValidatorSet;
use tender_wire::{
    AuctionId, ChainId, FieldBytes, Height, Power, Price, PublicKey, TimeMs, TypeId, UnixTime,
};

/// An auction at a glance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuctionSummary {
    /// Its id.
    pub id: AuctionId,
    /// Its title.
    pub title: String,
    /// Who opened it.
    pub opener: PublicKey,
    /// Block that opened it.
    pub opened: Height,
    /// Where it stands.
    pub phase: Phase,
    /// Last block of the running window; `None` once settled.
    pub until: Option<Height>,
    /// Blocks left in the running window, the next one included.
    pub blocks_left: u64,
    /// Classes wanted.
    pub classes: usize,
    /// Tasks wanted.
    pub tasks: usize,
    /// Members of the committee.
    pub members: usize,
    /// Seal keys on chain.
    pub keys: usize,
    /// Reveals that open the bids; meaningful once keys are frozen.
    pub threshold: usize,
    /// Reveals on chain.
    pub reveals: usize,
    /// Live bids.
    pub bids: usize,
    /// Bids it admits in all; 0 until keys are frozen.
    pub bid_cap: usize,
    /// Assignments that are running.
    pub running: usize,
    /// Until when winners must serve.
    pub lease_end: UnixTime,
}

/// An assignment as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwardSummary {
    /// Which.
    pub award: AwardRef,
    /// Who holds it.
    pub bidder: PublicKey,
    /// The machine that serves.
    pub asset: FieldBytes,
    /// What the holder is paid.
    pub payment: Price,
    /// Where it stands.
    pub state: AwardState,
    /// Last block in which it can be accepted.
    pub accept_by: Height,
}

impl MarketState {
    /// The chain.
    pub fn chain(&self) -> ChainId {
        self.rules.chain
    }

    /// What genesis fixed.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Height of the last block.
    pub fn height(&self) -> Height {
        self.clock.height
    }

    /// Time of the last block.
    pub fn time(&self) -> TimeMs {
        self.clock.time
    }

    /// The earliest block that can follow.
    pub fn next_clock(&self) -> Clock {
        Clock {
            height: self.clock.height.next(),
            time: TimeMs(
                self.clock
                    .time
                    .0
                    .saturating_add(self.rules.block_interval_ms),
            ),
        }
    }

    /// The sequence number a signer's next action must carry.
    pub fn next_sequence(&self, signer: &PublicKey) -> u64 {
        self.sequences.0.get(signer).copied().unwrap_or(0)
    }

    /// An auction that is not over.
    pub fn auction(&self, id: &AuctionId) -> Option<&Auction> {
        self.auctions.by_id.get(id).map(|auction| &**auction)
    }

    /// Every auction that is not over, in opening order.
    pub fn auctions(&self) -> impl Iterator<Item = &Auction> {
        let order = self.auctions.in_opening_order();
        order.into_iter().filter_map(|id| self.auction(&id))
    }

    /// Every auction that is not over, at a glance, in opening order.
    pub fn auction_summaries(&self) -> Vec<AuctionSummary> {
        self.auctions()
            .map(|auction| self.summary_of(auction))
            .collect()
    }

    /// One auction at a glance.
    pub fn auction_summary(&self, id: &AuctionId) -> Option<AuctionSummary> {
        self.auction(id).map(|auction| self.summary_of(auction))
    }

    fn summary_of(&self, auction: &Auction) -> AuctionSummary {
        let until = match auction.phase {
            Phase::Keys { until } | Phase::Reveal { until, .. } => Some(until),
            Phase::Bidding { closes } => Some(closes),
            Phase::Settled { .. } => None,
        };
        let frozen = !matches!(auction.phase, Phase::Keys { .. });
        AuctionSummary {
            id: auction.id,
            title: auction.spec.title.clone(),
            opener: auction.opener,
            opened: auction.opened,
            phase: auction.phase,
            until,
            blocks_left: until.map_or(0, |until| until.0.saturating_sub(self.clock.height.0)),
            classes: auction.spec.classes.len(),
            tasks: auction.spec.tasks.len(),
            members: auction.committee.members.len(),
            keys: auction.keys.len(),
            threshold: auction.threshold(),
            reveals: auction.reveals.len(),
            bids: auction.bids.len(),
            bid_cap: if frozen {
                auction.bid_cap(self.rules.open_budget)
            } else {
                0
            },
            running: auction
                .awards
                .values()
                .filter(|award| award.state.is_running())
                .count(),
            lease_end: auction.spec.lease_end,
        }
    }

    /// Every assignment of auctions that are not over.
    pub fn awards(&self) -> impl Iterator<Item = AwardSummary> {
        self.auctions()
            .flat_map(|auction| &auction.awards)
            .map(|(award, row)| AwardSummary {
                award: *award,
                bidder: row.bidder,
                asset: row.asset,
                payment: row.payment,
                state: row.state,
                accept_by: row.accept_by,
            })
    }

    /// An asset's account, if it is bound.
    pub fn account(&self, asset: &FieldBytes) -> Option<&Account> {
        self.ledger.account(asset)
    }

    /// Every bound asset with its account.
    pub fn accounts(&self) -> impl Iterator<Item = (&FieldBytes, &Account)> {
        self.ledger.accounts()
    }

    /// Every issuer the chain ever had, by index.
    pub fn issuers(&self) -> impl Iterator<Item = (IssuerIndex, &IssuerRow)> {
        let rows = (0u8..).map(IssuerIndex::new).zip(&self.issuers.0);
        rows.filter_map(|(index, row)| Some((index.ok()?, row)))
    }

    /// A capability type.
    pub fn capability_type(&self, id: &TypeId) -> Option<&CapabilityType> {
        self.types.by_id.get(id).map(|record| &**record)
    }

    /// Every capability type.
    pub fn capability_types(&self) -> impl Iterator<Item = (&TypeId, &CapabilityType)> {
        self.types.by_id.iter().map(|(id, record)| (id, &**record))
    }

    /// The id of a type by name and version.
    pub fn type_id(&self, name: &str, version: u16) -> Option<TypeId> {
        self.types.by_name.get(&(name.to_owned(), version)).copied()
    }

    /// The registry root proofs should be made under now, and the last block known to end with it.
    pub fn good_root(&self) -> Option<(FieldBytes, Height)> {
        self.credentials.good_root()
    }

    /// A leaf's path to the registry root as of the last block, which is [`MarketState::good_root`].
    pub fn registry_path(&self, index: u32) -> Option<MerklePath> {
        self.credentials.tree().path(index)
    }

    /// Where a leaf stands in the registry and who posted it; `None` if it was never posted or is revoked.
    pub fn find_leaf(&self, leaf: &FieldBytes) -> Option<(u32, &LeafRow)> {
        let tree = self.credentials.tree();
        self.credentials
            .leaves()
            .find(|(index, _)| tree.leaf(*index).as_ref() == Some(leaf))
    }

    /// Leaves ever posted, revoked ones included.
    pub fn leaf_count(&self) -> u32 {
        self.credentials.tree().len()
    }

    /// The set that decides the next block.
    pub fn validators(&self) -> &ValidatorSet {
        &self.validators.set
    }

    /// Jailed validators with their former power.
    pub fn jailed(&self) -> impl Iterator<Item = (&PublicKey, &Power)> {
        self.validators.jailed.iter()
    }

    /// Who may open auctions.
    pub fn openers(&self) -> &Openers {
        &self.governance.openers
    }

    /// Whether the next block is due even if it is empty: an auction is neither cleared nor void, or a winner has yet to accept.
    /// Running leases keep no clock running.
    pub fn needs_block(&self) -> bool {
        self.auctions.by_id.values().any(|auction| {
            auction.is_live()
                || auction
                    .awards
                    .values()
                    .any(|award| award.state == AwardState::Assigned)
        })
    }
}
