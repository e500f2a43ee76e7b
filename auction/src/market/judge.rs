//! Judging the bids of a closed auction: who is out whole, which entries cannot compete, which do.
//!
//! Order of judgement for a bid: `Suspended`, `SealInvalid`, `NoEntries`, `NoCapacity` put it out whole. For an entry: `UnknownTask`,
//! `NoSlots`, `NotEvidenced`, `NotCovered`, `AboveReserve`; what is left competes in its class.

use super::{
    auction::{AdmittedBid, Auction},
    opening::Opening,
    state::MarketState,
};
use crate::{
    outcome::{BidReason, EntryOutcome},
    task::{Class, Requirement},
};
use std::{collections::BTreeMap, sync::Arc};
use tender_circuits::Claim;
use tender_wire::{BidId, Height, Price};

/// The bids that compete in a class.
pub(super) type Competing = BTreeMap<BidId, Competitor>;

/// A bid that competes in a class: what it takes to build the class's market.
#[derive(Clone, Default)]
pub(super) struct Competitor {
    /// What it earns there beyond the reserve.
    pub(super) bonus: Price,
    /// Its entries that compete, ascending by task.
    pub(super) entries: Vec<(u32, Price)>,
}

/// An entry that does not compete.
pub(super) struct LostEntry {
    pub(super) bid: BidId,
    pub(super) task: u32,
    pub(super) price: Price,
    /// What its bid earns in the task's class, if it may serve it.
    pub(super) bonus: Price,
    /// Why it does not.
    pub(super) outcome: EntryOutcome,
}

/// What is known of a closed auction once its bids are open.
pub(super) struct Judged {
    /// Bids out as a whole.
    pub(super) out: BTreeMap<BidId, BidReason>,
    /// Entries that do not compete, each with its reason.
    pub(super) lost: Vec<LostEntry>,
    /// Per class, entries that compete.
    pub(super) competing: Vec<Competing>,
    /// Per task, covering entries, and those within the reserve.
    pub(super) interest: BTreeMap<u32, (u32, u32)>,
}

/// Judges every bid and entry of a closed auction.
pub(super) fn judge(
    state: &MarketState,
    auction: &Auction,
    closed: Height,
    openings: &BTreeMap<BidId, Opening>,
) -> Judged {
    let mut judged = Judged {
        out: BTreeMap::new(),
        lost: Vec::new(),
        competing: vec![Competing::new(); auction.spec.classes.len()],
        interest: BTreeMap::new(),
    };
    for bid in auction.bids.values() {
        let opening = openings.get(&bid.id).cloned().flatten();
        let reason = match &opening {
            _ if auction.suspended.contains(&bid.id) => Some(BidReason::Suspended),
            None => Some(BidReason::SealInvalid),
            Some(body) if body.entries.is_empty() => Some(BidReason::NoEntries),
            Some(_) if !fits_ledger(state, auction, bid, closed) => Some(BidReason::NoCapacity),
            Some(_) => None,
        };
        let competes = reason.is_none();
        let suspended = reason == Some(BidReason::Suspended);
        if let Some(reason) = reason {
            judged.out.insert(bid.id, reason);
        }
        match opening {
            Some(body) if !suspended => {
                judge_entries(state, auction, bid, &body.entries, competes, &mut judged)
            }
            _ => {}
        }
    }
    judged
}

/// Judges the entries of a bid that opened. Those of a bid without capacity only count as interest in their tasks.
fn judge_entries(
    state: &MarketState,
    auction: &Auction,
    bid: &Arc<AdmittedBid>,
    entries: &[(u32, Price)],
    competes: bool,
    judged: &mut Judged,
) {
    let mut classes: BTreeMap<u16, Result<Price, EntryOutcome>> = BTreeMap::new();
    for (task, price) in entries {
        let mut earned = Price(0);
        let verdict = auction
            .spec
            .tasks
            .get(*task as usize)
            .ok_or(EntryOutcome::UnknownTask)
            .and_then(|about| {
                let class = classes
                    .entry(about.class)
                    .or_insert_with(|| judge_class(state, auction, bid, about.class));
                earned = class.clone()?;
                let (covering, within) = judged.interest.entry(*task).or_default();
                *covering = covering.saturating_add(1);
                if price.0 > about.reserve.0.saturating_add(earned.0) {
                    return Err(EntryOutcome::AboveReserve);
                }
                *within = within.saturating_add(1);
                Ok(about.class)
            });
        match verdict {
            _ if !competes => {}
            Ok(class) => {
                if let Some(competing) = judged.competing.get_mut(usize::from(class)) {
                    let competitor = competing.entry(bid.id).or_default();
                    competitor.bonus = earned;
                    competitor.entries.push((*task, *price));
                }
            }
            Err(outcome) => judged.lost.push(LostEntry {
                bid: bid.id,
                task: *task,
                price: *price,
                bonus: earned,
                outcome,
            }),
        }
    }
}

/// Whether a bid may serve a class: slots, then each requirement's evidence and coverage. If so, the sum of the bonuses it earns there.
fn judge_class(
    state: &MarketState,
    auction: &Auction,
    bid: &AdmittedBid,
    class: u16,
) -> Result<Price, EntryOutcome> {
    if bid.slots_in(class) == 0 {
        return Err(EntryOutcome::NoSlots);
    }
    let Some(class) = auction.spec.classes.get(usize::from(class)) else {
        return Err(EntryOutcome::UnknownTask);
    };
    for requirement in &class.requirements {
        judge_requirement(state, bid, requirement, &requirement.requirement)?;
    }
    Ok(bonus_of(state, bid, class))
}

/// What a bid earns in a class beyond the reserve.
fn bonus_of(state: &MarketState, bid: &AdmittedBid, class: &Class) -> Price {
    let earned = class.bonuses.iter().filter(|bonus| {
        class
            .requirement_of(&bonus.type_id)
            .is_some_and(|r| judge_requirement(state, bid, r, &bonus.claim).is_ok())
    });
    Price(earned.fold(0, |sum, bonus| sum.saturating_add(bonus.amount.0)))
}

/// Enough evidences that `requirement` accepts, all from different issuers (admission keeps their masks disjoint), each covering `wanted`.
fn judge_requirement(
    state: &MarketState,
    bid: &AdmittedBid,
    requirement: &Requirement,
    wanted: &Claim,
) -> Result<(), EntryOutcome> {
    let type_id = requirement.type_id;
    let not_evidenced = EntryOutcome::NotEvidenced { type_id };
    let Some(record) = state.types.by_id.get(&type_id) else {
        return Err(not_evidenced);
    };
    let acceptable = bid
        .evidences
        .iter()
        .map(|evidence| &evidence.summary)
        .filter(|summary| {
            summary.type_id == type_id
                && summary.issuers.is_subset_of(requirement.issuers)
                && requirement.kinds.accepts(summary.kind)
        });
    let (mut found, mut covering, mut short) = (0u8, 0u8, None);
    for summary in acceptable {
        found = found.saturating_add(1);
        match record.schema.covers(&summary.claim, wanted) {
            Ok(()) => covering = covering.saturating_add(1),
            Err(error) => short = short.or(Some(u16::from(error.index))),
        }
    }
    match short {
        _ if found < requirement.min_issuers => Err(not_evidenced),
        Some(field) if covering < requirement.min_issuers => {
            Err(EntryOutcome::NotCovered { type_id, field })
        }
        _ => Ok(()),
    }
}

/// The ledger's second look, as of the close: releases since do not count, reservations of auctions cleared before do (THREATS T13).
fn fits_ledger(state: &MarketState, auction: &Auction, bid: &AdmittedBid, closed: Height) -> bool {
    let Some(capacity) = &bid.capacity else {
        return true;
    };
    let demand = state.demand(&auction.spec, &bid.slots, &capacity.type_id);
    state
        .ledger
        .check_capacity(&bid.asset, &demand, &capacity.amounts, closed)
        .is_ok()
}
