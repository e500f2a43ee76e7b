//! Settling a closed auction: open its bids, judge them ([`super::judge`]), clear every class, write down every outcome.
//!
//! Invariant: the tie-breaking seed takes in the salt of every live bid that opened, whatever else is wrong with it, so nobody
//! chooses it late (THREATS T25). Bounds: the auction's bids x its entries; [`MAX_RUNNERS_UP`] per task.

use super::{
    auction::{AdmittedBid, Auction, Award, Phase},
    event::Event,
    execute::{Run, after},
    judge::{Competing, Judged},
    opening::Opened,
    witness::{WitnessError, Witnesses},
};
use crate::{
    clearing::{
        self, Clearing, ClearingError, MarketBid, MarketTask, PaymentRule, Standings, TaskPrice,
        one_slot_bids, standings, task_prices,
    },
    outcome::{
        AuctionEnd, AuctionRecord, AwardState, BidReason, BidRecord, EntryOutcome, EntryRecord,
        OutcomeRecord, UnitOutcome, UnitRecord,
    },
    task::Task,
    transaction::AwardRef,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tender_wire::{AuctionId, BidId, Height, Price};

/// Runners-up kept per task after clearing.
pub const MAX_RUNNERS_UP: usize = 16;

impl Run<'_> {
    /// Clears one auction.
    pub(crate) fn settle(
        &mut self,
        id: &AuctionId,
        closed: Height,
        witnesses: &mut Witnesses<'_>,
    ) -> Result<(), WitnessError> {
        // A copy of the row, to read while the state is edited: bids and specification are behind `Arc`s.
        let Some(auction) = self.state.auction(id).cloned() else {
            return Ok(());
        };
        let Opened {
            seed,
            judged,
            markets,
        } = self.market.open_market(&self.state, &auction, closed)?;
        let memory = &self.market.clearings;
        let cleared = witnesses.clear(memory, &markets, &seed, auction.spec.payment)?;
        let clearings = &cleared.clearings;

        let assigned = self.reserve_awards(&auction, &markets, clearings);
        self.record_bids(&auction, &judged);
        let settled = markets.iter().zip(clearings);
        let standings: Vec<_> = settled
            .clone()
            .map(|(market, clearing)| standings(market, &seed, clearing))
            .collect();
        for (((market, clearing), standings), witness) in
            settled.zip(&standings).zip(&cleared.witness.classes)
        {
            let prices = task_prices(market, witness);
            let about = (standings, prices.as_slice());
            self.record_entries(&auction, market, clearing, standings);
            self.record_units(&auction, market, clearing, about, &judged.interest);
        }
        self.record(OutcomeRecord::Auction(AuctionRecord {
            auction: *id,
            end: AuctionEnd::Cleared {
                seed,
                nonces: clearings.iter().map(|clearing| clearing.nonce).collect(),
                bids: u32::try_from(auction.bids.len()).unwrap_or(u32::MAX),
                surplus: clearings
                    .iter()
                    .fold(0, |sum: u128, c| sum.saturating_add(c.total_surplus)),
            },
        }));
        self.events.push(Event::Cleared {
            auction: *id,
            assigned,
        });
        self.forget_bids(&auction, &markets, &standings);
        Ok(())
    }

    /// Turns winners into assignments. Every bid was judged against the ledger with all its slots, so what it won fits.
    fn reserve_awards(
        &mut self,
        auction: &Auction,
        markets: &[clearing::Market],
        clearings: &[Clearing],
    ) -> usize {
        let accept_by = after(self.at.height, auction.spec.windows.accept);
        let mut awards = BTreeMap::new();
        for ((class, market), clearing) in (0u16..).zip(markets).zip(clearings) {
            for award in &clearing.awards {
                let Some(bid) = bid_at(auction, market, award.bid) else {
                    continue;
                };
                let type_id = bid.consumable();
                let amounts =
                    type_id.map_or_else(Vec::new, |t| self.state.unit_of(&auction.spec, class, &t));
                self.state
                    .ledger
                    .edit()
                    .reserve(bid.asset, bid.bidder, type_id, &amounts);
                let key = AwardRef {
                    auction: auction.id,
                    task: award.task,
                    bid: bid.id,
                };
                let row = Award {
                    bidder: bid.bidder,
                    asset: bid.asset,
                    type_id,
                    amounts,
                    payment: award.payment,
                    state: AwardState::Assigned,
                    accept_by,
                };
                awards.insert(key, row);
            }
        }
        let assigned = awards.len();
        self.edit(&auction.id, |row| row.awards = awards);
        assigned
    }

    /// Bids out whole, replaced bids, and entries that never competed.
    fn record_bids(&mut self, auction: &Auction, judged: &Judged) {
        for (id, reason) in &judged.out {
            if let Some(bid) = auction.bids.get(id) {
                self.record_bid(auction.id, bid, reason.clone());
            }
        }
        self.record_replaced(auction);
        for lost in &judged.lost {
            if let Some(bid) = auction.bids.get(&lost.bid) {
                let entry = (lost.task, lost.price, lost.bonus);
                self.record(entry_record(auction, bid, entry, lost.outcome.clone()));
            }
        }
    }

    fn record_bid(&mut self, auction: AuctionId, bid: &AdmittedBid, reason: BidReason) {
        let (bid, bidder, asset) = (bid.id, bid.bidder, bid.asset);
        self.record(OutcomeRecord::Bid(BidRecord {
            auction,
            bid,
            bidder,
            asset,
            reason,
        }));
    }

    fn record_replaced(&mut self, auction: &Auction) {
        for (bid, replaced) in &auction.replaced {
            self.record(OutcomeRecord::Bid(BidRecord {
                auction: auction.id,
                bid: *bid,
                bidder: replaced.bidder,
                asset: replaced.asset,
                reason: BidReason::Replaced { by: replaced.by },
            }));
        }
    }

    /// Entries that competed: won, outbid, or left out of a task that has units to spare.
    fn record_entries(
        &mut self,
        auction: &Auction,
        market: &clearing::Market,
        clearing: &Clearing,
        standings: &Standings,
    ) {
        let won: BTreeMap<(u32, usize), Price> = clearing
            .awards
            .iter()
            .map(|award| ((award.task, award.bid), award.payment))
            .collect();
        let filled = filled_units(clearing);
        let bids = market.bid_ids().iter().zip(market.bonuses());
        for (index, (id, &bonus)) in bids.enumerate() {
            let Some(bid) = auction.bids.get(id) else {
                continue;
            };
            for (task, price) in market.entries(index) {
                let quantity = auction
                    .spec
                    .tasks
                    .get(task as usize)
                    .map_or(0, |task| task.quantity);
                let full = filled
                    .get(&task)
                    .is_some_and(|units| units.len() >= quantity as usize);
                let lowest = standings
                    .lowest
                    .get(&task)
                    .and_then(|lowest| market.bid_ids().get(*lowest));
                let outcome = match (won.get(&(task, index)), lowest) {
                    (Some(payment), _) => EntryOutcome::Won { payment: *payment },
                    (None, Some(lowest)) if full => EntryOutcome::Outbid { by: *lowest },
                    _ => EntryOutcome::SlotsUsed,
                };
                let entry = (task, price, Price(bonus));
                self.record(entry_record(auction, bid, entry, outcome));
            }
        }
    }

    fn record_units(
        &mut self,
        auction: &Auction,
        market: &clearing::Market,
        clearing: &Clearing,
        (standings, prices): (&Standings, &[TaskPrice]),
        interest: &BTreeMap<u32, (u32, u32)>,
    ) {
        let alone = match auction.spec.payment {
            PaymentRule::Vcg => one_slot_bids(market),
            PaymentRule::PayAsBid => Vec::new(),
        };
        let filled = filled_units(clearing);
        let id_of = |index: &usize| market.bid_ids().get(*index).copied();
        for (task, price) in market.tasks().iter().zip(prices) {
            let winners = filled.get(&task.id).map_or(&[][..], Vec::as_slice);
            let (covering, within) = interest.get(&task.id).copied().unwrap_or_default();
            let runner_up = standings
                .runners_up
                .get(&task.id)
                .and_then(|bids| bids.first())
                .and_then(id_of);
            for unit in 0..task.quantity {
                let winner = winners
                    .get(unit as usize)
                    .and_then(|(bid, payment)| Some((*bid, id_of(bid)?, *payment)));
                let outcome = match winner {
                    Some((position, bid, payment)) => UnitOutcome::Filled {
                        bid,
                        payment,
                        price: price.price,
                        set_by: price
                            .set_by
                            .filter(|_| alone.get(position) == Some(&true))
                            .and_then(|setter| id_of(&setter)),
                        runner_up,
                    },
                    None if covering <= unit => UnitOutcome::NoCoveringBid,
                    None if within <= unit => UnitOutcome::AboveReserve,
                    None => UnitOutcome::NoCapacity,
                };
                self.record(OutcomeRecord::Unit(UnitRecord {
                    auction: auction.id,
                    task: task.id,
                    unit,
                    outcome,
                }));
            }
        }
    }

    /// Bids are no longer live; those that won or may still win stay for the life of the assignments.
    fn forget_bids(
        &mut self,
        auction: &Auction,
        markets: &[clearing::Market],
        standings: &[Standings],
    ) {
        let mut runners_up: BTreeMap<u32, Vec<(BidId, Price)>> = BTreeMap::new();
        for (market, standings) in markets.iter().zip(standings) {
            for (task, bids) in &standings.runners_up {
                let position = market.task(*task).map(|(position, _)| position);
                let priced = bids.iter().filter_map(|bid| {
                    let entry = market.entry_of(*bid, position?)?;
                    let price = market.entry_prices().get(entry)?;
                    Some((*market.bid_ids().get(*bid)?, Price(*price)))
                });
                runners_up.insert(*task, priced.take(MAX_RUNNERS_UP).collect());
            }
        }
        let cleared = self.at.height;
        self.edit(&auction.id, |row| {
            let waiting = runners_up.values().flatten().map(|(bid, _)| *bid);
            let kept: BTreeSet<_> = waiting
                .chain(row.awards.keys().map(|award| award.bid))
                .collect();
            row.bids.retain(|id, _| kept.contains(id));
            row.by_asset.clear();
            row.replaced.clear();
            row.suspended.clear();
            row.runners_up = runners_up;
            row.phase = Phase::Settled { cleared };
        });
        self.unbind(auction);
    }

    /// Ends an auction without a clearing: nothing is assigned, nothing stays bound.
    pub(crate) fn void(&mut self, id: &AuctionId, end: AuctionEnd) {
        let Some(auction) = self.state.auction(id).cloned() else {
            return;
        };
        self.record(OutcomeRecord::Auction(AuctionRecord { auction: *id, end }));
        for bid in auction.bids.values() {
            self.record_bid(*id, bid, BidReason::AuctionVoid);
        }
        self.record_replaced(&auction);
        for (task, index) in auction.spec.tasks.iter().zip(0u32..) {
            for unit in 0..task.quantity {
                let outcome = UnitOutcome::AuctionVoid;
                self.record(OutcomeRecord::Unit(UnitRecord {
                    auction: *id,
                    task: index,
                    unit,
                    outcome,
                }));
            }
        }
        self.state.auctions.edit().by_id.remove(id);
        self.unbind(&auction);
        self.events.push(Event::Void { auction: *id });
    }

    fn unbind(&mut self, auction: &Auction) {
        if !auction.bids.is_empty() {
            let ledger = self.state.ledger.edit();
            auction
                .bids
                .values()
                .for_each(|bid| ledger.remove_bid(&bid.asset));
        }
    }
}

/// The market of one class.
pub(super) fn market_of(
    auction: &Auction,
    class: u16,
    competing: &Competing,
) -> Result<clearing::Market, ClearingError> {
    let tasks = (0u32..)
        .zip(&auction.spec.tasks)
        .filter(|(_, task)| task.class == class);
    let bids = competing.iter().filter_map(|(id, competitor)| {
        let bid = auction.bids.get(id)?;
        let row = MarketBid {
            bid_id: *id,
            bidder: bid.bidder,
            slots: bid.slots_in(class),
            bonus: competitor.bonus.0,
        };
        Some((row, competitor.entries.iter().copied()))
    });
    let tasks = tasks.map(|(id, task)| MarketTask {
        id,
        reserve: task.reserve,
        quantity: task.quantity,
    });
    clearing::Market::new(tasks.collect(), bids)
}

/// Per task, the winning bids by index with what they are paid.
fn filled_units(clearing: &Clearing) -> BTreeMap<u32, Vec<(usize, Price)>> {
    let mut filled: BTreeMap<u32, Vec<(usize, Price)>> = BTreeMap::new();
    for award in &clearing.awards {
        filled
            .entry(award.task)
            .or_default()
            .push((award.bid, award.payment));
    }
    filled
}

fn bid_at<'a>(
    auction: &'a Auction,
    market: &clearing::Market,
    index: usize,
) -> Option<&'a Arc<AdmittedBid>> {
    auction.bids.get(market.bid_ids().get(index)?)
}

fn entry_record(
    auction: &Auction,
    bid: &AdmittedBid,
    (task, price, bonus): (u32, Price, Price),
    outcome: EntryOutcome,
) -> OutcomeRecord {
    let about: Option<&Task> = auction.spec.tasks.get(task as usize);
    let class = about.and_then(|task| auction.spec.classes.get(usize::from(task.class)));
    let requirements = class.map_or(&[][..], |class| &class.requirements);
    OutcomeRecord::Entry(EntryRecord {
        auction: auction.id,
        task,
        bid: bid.id,
        bidder: bid.bidder,
        asset: bid.asset,
        evidences: bid
            .evidences
            .iter()
            .map(|evidence| evidence.summary.clone())
            .collect(),
        requirements: requirements
            .iter()
            .map(|r| (r.type_id, r.requirement.clone()))
            .collect(),
        price,
        reserve: about.map_or(Price(0), |task| task.reserve),
        bonus,
        rule: auction.spec.payment,
        lease_end: auction.spec.lease_end,
        outcome,
    })
}
