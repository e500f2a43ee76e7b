//! Opening sealed bids after the close, ahead of the block that needs them if somebody asks in time.
//!
//! Whether a bid opens depends on the committee's keys and the bid alone, never on which reveals are at hand; so results are
//! remembered by both, and remembering changes nothing.

use super::{
    Market,
    auction::{AdmittedBid, Auction, Phase},
    cache::Cache,
    state::MarketState,
};
use crate::seal::{Associated, BidBody, Opener};
use std::{collections::BTreeMap, sync::Arc};
use tender_wire::{BidId, ChainId, Digest, Tag, hash_of};

/// Openings remembered: as many bids as the largest auction admits; at most 64 MiB, usually far less.
pub const MAX_OPENINGS: usize = crate::genesis::MAX_OPEN_BUDGET as usize;

/// The body of a bid, or `None` if it does not open to one.
pub(crate) type Opening = Option<Arc<BidBody>>;

/// Results by (committee keys, bid).
pub(crate) struct Openings(Cache<(Digest, BidId), Opening>);

impl Default for Openings {
    fn default() -> Self {
        Openings(Cache::new(MAX_OPENINGS))
    }
}

impl Openings {
    /// Opens every live bid of a closed auction that has its reveals.
    pub(crate) fn open_all(&self, chain: &ChainId, auction: &Auction) -> BTreeMap<BidId, Opening> {
        let keys = auction.ranked_keys();
        let committee = hash_of(Tag::Table, &(auction.id, &keys, auction.threshold() as u64));
        // Reveals were checked when they were admitted, and there are t of them; were this to fail, no bid would open anywhere.
        let opener = Opener::new(&keys, auction.threshold(), &auction.reveals).ok();
        let open = |bid: &AdmittedBid| {
            let memory = (committee, bid.id);
            self.0.known(&memory).unwrap_or_else(|| {
                let opening = opener
                    .as_ref()
                    .and_then(|opener| open(opener, chain, auction, bid));
                self.0.remember(memory, opening.clone());
                opening
            })
        };
        auction
            .bids
            .values()
            .map(|bid| (bid.id, open(bid)))
            .collect()
    }
}

fn open(opener: &Opener, chain: &ChainId, auction: &Auction, bid: &AdmittedBid) -> Opening {
    let associated = Associated {
        chain: *chain,
        auction: auction.id,
        bidder: bid.bidder,
        asset: bid.asset,
        sequence: bid.sequence,
    };
    let plain = opener.open(&associated, &bid.sealed).ok()?;
    let body = BidBody::decode(&plain, auction.spec.max_entries.into()).ok()?;
    Some(Arc::new(body))
}

impl Market {
    /// Opens the bids of every auction whose reveals are on chain, so that the block that clears it finds them open. To be called
    /// off the consensus thread after each committed block; leaving it out costs time, nothing else.
    pub fn prefetch_openings(&self, state: &MarketState) {
        for auction in state.auctions() {
            if matches!(
                auction.phase,
                Phase::Reveal {
                    opened: Some(_),
                    ..
                }
            ) {
                self.openings.open_all(&state.chain(), auction);
            }
        }
    }
}
