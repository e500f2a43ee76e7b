//! What is due at the end of a block: governance, the registry root, and the phases of every auction.
//!
//! ```text
//! governance · registry root · committees · freeze · close · reveals · clear, in (closing height, opening order) · suspensions · leave
//! ```
//!
//! Bound: [`MAX_BLOCK_CLEARINGS`]; everything else is linear in the auctions of the state.

use super::{
    auction::{AdmittedBid, Auction, Committee, MAX_AUCTION_ENTRIES, MAX_CLEARING_WORK, Phase},
    event::Event,
    execute::{Run, after},
    opening::preparing_us,
    witness::{self, WitnessError, Witnesses},
};
use crate::outcome::AuctionEnd;
use std::{collections::BTreeSet, sync::Arc};
use tender_wire::{Height, PublicKey};

/// Auctions that clear in one block: bounds its work. Others wait for the next, in the same order; so do those whose witnesses would
/// fill more than half of the block ([`Run::witness_cap`]), and those that with the ones before would be more than one auction may be
/// ([`MAX_AUCTION_ENTRIES`], [`MAX_CLEARING_WORK`]). The first always fits: half of the smallest block is 32 KiB.
pub const MAX_BLOCK_CLEARINGS: usize = 4;

impl Run<'_> {
    /// Everything due at the end of the block.
    pub(crate) fn end(&mut self, witnesses: &mut Witnesses<'_>) -> Result<(), WitnessError> {
        let before = (self.state.validators.root(), self.state.issuers.root());
        self.state.govern(self.at.height, self.jailed);
        if before.1 != self.state.issuers.root() {
            self.doubt = true; // an issuer may have been taken off the list
        }
        if self.jailed || before.0 != self.state.validators.root() {
            let count = self.state.validators.set.len();
            self.events.push(Event::ValidatorsChanged { count });
        }
        self.state.credentials.edit().end_block(self.at.height);
        self.seat_committees();
        self.freeze_keys();
        self.close_bidding();
        self.note_reveals();
        self.clear_in_order(witnesses)?;
        if self.doubt {
            self.fail_suspended();
        }
        self.retire();
        Ok(())
    }

    /// The committee of an auction is the validator set after its opening block.
    fn seat_committees(&mut self) {
        let committee = Committee::of(&self.state.validators.set);
        let height = self.at.height;
        for id in self.auctions_where(|auction| auction.opened == height) {
            self.edit(&id, |auction| auction.committee = committee.clone());
        }
    }

    /// K freezes when every member's key is on chain, or at the end of the window with at least n - f.
    fn freeze_keys(&mut self) {
        let height = self.at.height;
        for id in self.auctions_where(|auction| matches!(auction.phase, Phase::Keys { .. })) {
            let Some(auction) = self.state.auction(&id) else {
                continue;
            };
            let Phase::Keys { until } = auction.phase else {
                continue;
            };
            let keys = auction.keys.len();
            let over = height >= until;
            if keys == auction.committee.members.len()
                || (over && keys >= auction.committee.least_keys())
            {
                let closes = after(height, auction.spec.windows.bidding);
                let threshold = auction.threshold();
                self.edit(&id, |auction| auction.phase = Phase::Bidding { closes });
                self.events.push(Event::KeysFrozen {
                    auction: id,
                    keys,
                    threshold,
                    closes,
                });
            } else if over {
                let silent = |member: &&PublicKey| !auction.keys.contains_key(member);
                let missing = auction
                    .committee
                    .members
                    .iter()
                    .filter(silent)
                    .copied()
                    .collect();
                self.void(&id, AuctionEnd::NoKeys { missing });
            }
        }
    }

    /// Suspension is judged as of the closing block, which is this one.
    fn close_bidding(&mut self) {
        let height = self.at.height;
        for id in self
            .auctions_where(|a| matches!(a.phase, Phase::Bidding { closes } if closes <= height))
        {
            let Some(auction) = self.state.auction(&id) else {
                continue;
            };
            let fallen =
                |bid: &&Arc<AdmittedBid>| !bid.evidences.iter().all(|e| self.state.stands(e));
            let suspended: BTreeSet<_> = auction
                .bids
                .values()
                .filter(fallen)
                .map(|bid| bid.id)
                .collect();
            let until = after(height, auction.spec.windows.reveal);
            let bids = auction.bids.len();
            self.events.push(Event::BiddingClosed {
                auction: id,
                bids,
                suspended: suspended.len(),
            });
            self.edit(&id, |auction| {
                auction.suspended = suspended;
                auction.phase = Phase::Reveal {
                    closed: height,
                    until,
                    opened: None,
                };
            });
        }
    }

    /// Notes from when on an auction with t reveals can clear; past the deadline without them, it is void.
    fn note_reveals(&mut self) {
        let height = self.at.height;
        for id in self.auctions_where(|a| matches!(a.phase, Phase::Reveal { opened: None, .. })) {
            let Some(auction) = self.state.auction(&id) else {
                continue;
            };
            let Phase::Reveal { closed, until, .. } = auction.phase else {
                continue;
            };
            if height > closed && auction.reveals.len() >= auction.threshold() {
                let opened = Some(self.prepared_by(auction));
                self.edit(&id, |auction| {
                    auction.phase = Phase::Reveal {
                        closed,
                        until,
                        opened,
                    }
                });
            } else if height >= until {
                let ranked = (1u8..).zip(auction.keys.keys());
                let silent = ranked.filter(|(rank, _)| !auction.reveals.contains_key(rank));
                let withheld = silent.map(|(_, member)| *member).collect();
                self.void(&id, AuctionEnd::NoReveals { withheld });
            }
        }
    }

    /// The block before the first in which an auction that has its reveals may clear: peers begin to prepare it after this block, behind those
    /// that wait already, and blocks are at least an interval apart. That is this block, unless there is more to do than an interval is given for.
    fn prepared_by(&self, auction: &Auction) -> Height {
        let waiting = self.state.auctions().filter(|other| {
            matches!(
                other.phase,
                Phase::Reveal {
                    opened: Some(_),
                    ..
                }
            )
        });
        let us = waiting
            .map(preparing_us)
            .fold(preparing_us(auction), u64::saturating_add);
        let interval_us = self.state.rules.block_interval_ms.saturating_mul(1000);
        let more = us.saturating_sub(1).checked_div(interval_us).unwrap_or(0);
        Height(self.at.height.0.saturating_add(more))
    }

    /// Clears auctions in (closing height, opening order), none before an earlier one is done.
    fn clear_in_order(&mut self, witnesses: &mut Witnesses<'_>) -> Result<(), WitnessError> {
        let (mut room, mut entries, mut work) = (0usize, 0usize, 0usize);
        for id in self
            .state
            .auctions
            .in_clearing_order()
            .into_iter()
            .take(MAX_BLOCK_CLEARINGS)
        {
            let Some(auction) = self.state.auction(&id) else {
                break;
            };
            room = room.saturating_add(witness::room(&auction.spec));
            entries = entries.saturating_add(auction.entries());
            work = work.saturating_add(auction.clearing_work());
            let fits = room <= self.witness_cap
                && entries <= MAX_AUCTION_ENTRIES
                && work <= MAX_CLEARING_WORK;
            match auction.phase {
                Phase::Reveal {
                    closed,
                    opened: Some(opened),
                    ..
                } if opened < self.at.height && fits => {
                    self.settle(&id, closed, witnesses)?;
                    self.doubt = true; // evidence may have fallen since the close
                }
                _ => break,
            }
        }
        Ok(())
    }

    /// Finished auctions leave; releases nobody has to count any more are forgotten.
    fn retire(&mut self) {
        let over = |auction: &Auction| {
            !auction.is_live()
                && !auction
                    .awards
                    .values()
                    .any(|award| award.state.is_running())
        };
        for id in self.auctions_where(over) {
            self.state.auctions.edit().by_id.remove(&id);
        }
        if self.state.ledger.notes_releases() {
            let oldest = self.state.auctions.oldest_close();
            self.state.ledger.edit().forget_releases(oldest);
        }
    }

    /// Room that the witnesses of auctions about to clear take at most; which of them clear, the block's reveals and deadlines decide.
    pub(crate) fn witness_room(&self) -> usize {
        let due = self.state.auctions().filter(|auction| {
            matches!(auction.phase, Phase::Reveal { opened: Some(opened), .. } if opened < self.at.height)
        });
        due.map(|auction| witness::room(&auction.spec))
            .fold(0, usize::saturating_add)
            .min(self.witness_cap)
    }
}
