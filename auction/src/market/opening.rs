//! Opening sealed bids after the close, and clearing what they hold, ahead of the block that needs both if somebody asks in time.
//!
//! ```text
//!  block with the t-th reveal ──▶ time to prepare, at least a block ──▶ clearing block
//!                                 every peer, off its consensus thread:
//!                                 open each bid · judge and solve ──▶ remembered, looked up in the clearing block
//! ```
//!
//! Whether a bid opens depends on the committee's keys and the bid alone, never on which reveals are at hand; a clearing depends on its
//! market alone. So results are remembered by that, and remembering changes nothing: a peer that was too slow does what is left in
//! the clearing block, late, and holds up nobody else. How long the others wait is a rule ([`preparing_us`]), not a measurement.

use super::{
    Market,
    auction::{AdmittedBid, Auction, Phase},
    cache::Cache,
    judge::{Judged, judge},
    phases::MAX_BLOCK_CLEARINGS,
    settle::market_of,
    state::MarketState,
    witness::WitnessError,
};
use crate::{
    clearing::{self, tie_seed},
    seal::{Associated, BidBody, Opener},
};
use std::{collections::BTreeMap, sync::Arc};
use tender_wire::{AuctionId, BidId, ChainId, Digest, Height, Tag, hash_of};

/// Openings remembered: as many bids as the largest auction admits; at most 64 MiB, usually far less.
pub const MAX_OPENINGS: usize = crate::genesis::MAX_OPEN_BUDGET as usize;
/// Time every peer is given to open one share of a bid, in microseconds: four times what one core needs.
const SHARE_US: u64 = 200;
/// Clearing work (units x entries) every peer is given a microsecond for: a third of what one core does in the dearest markets known.
const WORK_PER_US: u64 = 6;

/// The body of a bid, or `None` if it does not open to one.
pub(crate) type Opening = Option<Arc<BidBody>>;

/// Results by (committee keys, bid).
pub(crate) struct Openings(Cache<(Digest, BidId), Opening>);

impl Default for Openings {
    fn default() -> Self {
        Openings(Cache::new(MAX_OPENINGS))
    }
}

/// A bid that the coming blocks need open.
pub struct DueOpening {
    with: Arc<AuctionOpener>,
    bid: Arc<AdmittedBid>,
}

/// What the bids of one closed auction are opened with.
struct AuctionOpener {
    chain: ChainId,
    auction: AuctionId,
    max_entries: usize,
    /// Keys and threshold: beside the bid, all that its opening depends on.
    committee: Digest,
    opener: Option<Opener>,
}

impl AuctionOpener {
    fn new(chain: ChainId, auction: &Auction) -> Self {
        let keys = auction.ranked_keys();
        let threshold = auction.threshold();
        AuctionOpener {
            chain,
            auction: auction.id,
            max_entries: auction.spec.max_entries.into(),
            committee: hash_of(Tag::Table, &(auction.id, &keys, threshold as u64)),
            // Reveals were checked when they were admitted, and there are t of them; were this to fail, no bid would open anywhere.
            opener: Opener::new(&keys, threshold, &auction.reveals).ok(),
        }
    }

    fn open(&self, bid: &AdmittedBid) -> Opening {
        let associated = Associated {
            chain: self.chain,
            auction: self.auction,
            bidder: bid.bidder,
            asset: bid.asset,
            sequence: bid.sequence,
        };
        let plain = self.opener.as_ref()?.open(&associated, &bid.sealed).ok()?;
        let body = BidBody::decode(&plain, self.max_entries).ok()?;
        Some(Arc::new(body))
    }
}

impl Openings {
    fn open(&self, with: &AuctionOpener, bid: &AdmittedBid) -> Opening {
        let memory = (with.committee, bid.id);
        self.0.known(&memory).unwrap_or_else(|| {
            let opening = with.open(bid);
            self.0.remember(memory, opening.clone());
            opening
        })
    }

    /// Opens every live bid of a closed auction that has its reveals.
    pub(crate) fn open_all(&self, chain: &ChainId, auction: &Auction) -> BTreeMap<BidId, Opening> {
        let with = AuctionOpener::new(*chain, auction);
        let bids = auction.bids.values();
        bids.map(|bid| (bid.id, self.open(&with, bid))).collect()
    }
}

/// Time that every peer is given to open an auction's bids and clear it before a block needs the result, in microseconds.
pub(super) fn preparing_us(auction: &Auction) -> u64 {
    let shares = auction.bids.len().saturating_mul(auction.keys.len());
    let shares = u64::try_from(shares).unwrap_or(u64::MAX);
    let work = u64::try_from(auction.clearing_work()).unwrap_or(u64::MAX);
    shares
        .saturating_mul(SHARE_US)
        .saturating_add(work / WORK_PER_US)
}

/// What a closed auction clears, by the state it is read in.
pub(super) struct Opened {
    pub(super) seed: Digest,
    pub(super) judged: Judged,
    /// In class order.
    pub(super) markets: Vec<clearing::Market>,
}

impl Market {
    /// Opens an auction's bids, or looks them up, and judges them.
    pub(super) fn open_market(
        &self,
        state: &MarketState,
        auction: &Auction,
        closed: Height,
    ) -> Result<Opened, WitnessError> {
        let openings = self.openings.open_all(&state.chain(), auction);
        let salts: Vec<_> = openings
            .iter()
            .filter_map(|(bid, opening)| Some((*bid, opening.as_ref()?.salt)))
            .collect();
        let judged = judge(state, auction, closed, &openings);
        let markets = (0u16..).zip(&judged.competing).map(|(class, competing)| {
            market_of(auction, class, competing).map_err(|error| {
                let class = usize::from(class);
                WitnessError::Unclearable { class, error }
            })
        });
        Ok(Opened {
            seed: tie_seed(&auction.id, &salts),
            markets: markets.collect::<Result<_, _>>()?,
            judged,
        })
    }

    /// Bids that the coming blocks need open and that are not, soonest first, at most as many as are remembered. To be asked after each
    /// committed block.
    pub fn due_openings(&self, state: &MarketState) -> Vec<DueOpening> {
        let mut room = MAX_OPENINGS;
        let mut due = Vec::new();
        for auction in state.about_to_clear() {
            let Some(left) = room.checked_sub(auction.bids.len()) else {
                break; // they would push out what is needed before
            };
            room = left;
            let with = Arc::new(AuctionOpener::new(state.chain(), auction));
            let unknown = auction
                .bids
                .values()
                .filter(|bid| self.openings.0.known(&(with.committee, bid.id)).is_none());
            due.extend(unknown.map(|bid| DueOpening {
                with: Arc::clone(&with),
                bid: Arc::clone(bid),
            }));
        }
        due
    }

    /// Opens a bid ahead. On any thread, in any order.
    pub fn open_ahead(&self, due: &DueOpening) {
        self.openings.open(&due.with, &due.bid);
    }

    /// Clears ahead the auctions that the next block may clear, as far as can be told: what another auction or a runner-up takes in
    /// between is judged anew. Their bids should be open.
    pub fn clear_ahead(&self, state: &MarketState) {
        for auction in state.about_to_clear().take(MAX_BLOCK_CLEARINGS) {
            let Some(closed) = auction.closed_at() else {
                continue;
            };
            // What cannot be cleared is said in the block.
            let Ok(Opened { seed, markets, .. }) = self.open_market(state, auction, closed) else {
                continue;
            };
            let _ = self.clearings.solved(&markets, &seed, auction.spec.payment);
        }
    }

    /// [`Market::open_ahead`] for all that is due, then [`Market::clear_ahead`]. To be called off the consensus thread; leaving it out costs
    /// time, nothing else.
    pub fn prepare(&self, state: &MarketState) {
        for due in self.due_openings(state) {
            self.open_ahead(&due);
        }
        self.clear_ahead(state);
    }
}

impl MarketState {
    /// Auctions whose reveals are on chain, in the order in which they clear.
    fn about_to_clear(&self) -> impl Iterator<Item = &Auction> {
        let order = self.auctions.in_clearing_order().into_iter();
        order.filter_map(|id| self.auction(&id)).filter(|auction| {
            matches!(
                auction.phase,
                Phase::Reveal {
                    opened: Some(_),
                    ..
                }
            )
        })
    }
}
