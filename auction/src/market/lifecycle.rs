//! The life of an assignment: `Assigned → Accepted → Delivered → Confirmed`, or `Rejected | Failed | Expired`.
//!
//! The winner accepts by a deadline and delivers; the opener confirms or rejects. An assignment nobody accepts expires and goes to the
//! next runner-up that still fits the ledger, at its own price. A lease that ends by block time expires whatever is still running.
//! Every ending releases its reservation at the start of the next block, in (time, id) order.
//!
//! One block may move an assignment more than once (accept and deliver); its outcome record shows the last state.

use super::{
    auction::{Auction, Award, Phase},
    execute::{Run, after},
    state::Release,
};
use crate::{
    outcome::{AwardRecord, AwardState, FailReason, OutcomeRecord},
    transaction::{Action, AwardRef},
};
use std::collections::{BTreeMap, BTreeSet};
use tender_wire::{BidId, Height, Price, TimeMs};

/// Releases so far all count: capacity as of now, not of an auction's close.
const NOW: Height = Height(u64::MAX);

/// Units a bid serves in a class.
type Serving = BTreeMap<(BidId, u16), u64>;

impl Run<'_> {
    /// Moves an assignment as its party asked; admission has checked that it may.
    pub(crate) fn move_award(&mut self, action: &Action) {
        let (award, state) = match action {
            Action::Accept(award) => (award, AwardState::Accepted),
            Action::Deliver { award, result } => (award, AwardState::Delivered { result: *result }),
            Action::Confirm(award) => (award, AwardState::Confirmed),
            Action::Reject(award) => (award, AwardState::Rejected),
            _ => return,
        };
        self.set_award(award, state, self.at.time);
    }

    /// Leases that ended by this block's time.
    pub(crate) fn end_leases(&mut self) {
        let now = self.at.time.seconds();
        for id in self.auctions_where(|auction| !auction.is_live() && auction.spec.lease_end <= now)
        {
            let Some(auction) = self.state.auction(&id) else {
                continue;
            };
            let ended = TimeMs(auction.spec.lease_end.0.saturating_mul(1000));
            for award in running(auction, |_| true) {
                self.set_award(&award, AwardState::Expired, ended);
            }
        }
    }

    /// Assignments nobody accepted in time. They ended with the block before.
    pub(crate) fn expire_unaccepted(&mut self) -> Vec<AwardRef> {
        let (height, parent_time) = (self.at.height, self.state.clock.time);
        let late = |award: &Award| award.state == AwardState::Assigned && award.accept_by < height;
        let expired: Vec<_> = self
            .state
            .auctions()
            .flat_map(|auction| running(auction, late))
            .collect();
        for award in &expired {
            self.set_award(award, AwardState::Expired, parent_time);
        }
        expired
    }

    /// Gives back what ended before this block.
    pub(crate) fn release_endings(&mut self) {
        if self.state.endings.0.is_empty() {
            return;
        }
        let note = self.state.auctions.oldest_close().is_some();
        let endings = std::mem::take(&mut self.state.endings.edit().0);
        let ledger = self.state.ledger.edit();
        for Release { asset, amounts } in endings.values() {
            ledger.release(asset, amounts, self.at.height, note);
        }
    }

    /// Gives each vacancy to the first runner-up that still fits. Those passed over keep their rank: they may fit later.
    pub(crate) fn assign_runners_up(&mut self, vacancies: Vec<AwardRef>) {
        let mut serving = self.serving(&vacancies);
        for vacancy in vacancies {
            let mut waiting = Vec::new();
            self.edit(&vacancy.auction, |auction| {
                waiting = auction.runners_up.remove(&vacancy.task).unwrap_or_default();
            });
            let found = waiting.iter().enumerate().find_map(|(rank, (bid, price))| {
                Some((rank, self.promote(&vacancy, *bid, *price, &mut serving)?))
            });
            let next = found.map(|(rank, next)| {
                waiting.remove(rank);
                next
            });
            self.edit(&vacancy.auction, |auction| {
                auction.runners_up.insert(vacancy.task, waiting);
                if let Some((award, row)) = &next {
                    auction.awards.insert(*award, row.clone());
                }
            });
            if let Some((
                award,
                Award {
                    bidder,
                    payment,
                    state,
                    ..
                },
            )) = next
            {
                self.record(OutcomeRecord::Award(AwardRecord {
                    award,
                    bidder,
                    payment,
                    state,
                }));
            }
        }
    }

    /// Units that bids of these auctions serve. Counted once for all vacancies: an auction may have thousands of both.
    fn serving(&self, vacancies: &[AwardRef]) -> Serving {
        let auctions: BTreeSet<_> = vacancies.iter().map(|vacancy| vacancy.auction).collect();
        let mut serving = Serving::new();
        for auction in auctions.iter().filter_map(|id| self.state.auction(id)) {
            for award in running(auction, |_| true) {
                if let Some(task) = auction.spec.tasks.get(award.task as usize) {
                    let units: &mut u64 = serving.entry((award.bid, task.class)).or_default();
                    *units = units.saturating_add(1);
                }
            }
        }
        serving
    }

    /// The assignment of a vacancy to this runner-up, reserved, if it still stands, has a slot and fits the ledger.
    fn promote(
        &mut self,
        vacancy: &AwardRef,
        id: BidId,
        price: Price,
        serving: &mut Serving,
    ) -> Option<(AwardRef, Award)> {
        let auction = self.state.auction(&vacancy.auction)?;
        let bid = auction.bids.get(&id)?;
        let class = auction.spec.tasks.get(vacancy.task as usize)?.class;
        let units = serving.entry((id, class)).or_default();
        let free = *units < u64::from(bid.slots_in(class));
        if !free
            || !bid
                .evidences
                .iter()
                .all(|evidence| self.state.stands(evidence))
        {
            return None;
        }
        let type_id = bid.consumable();
        self.state
            .ledger
            .check_binding(&bid.asset, &bid.bidder, type_id.as_ref())
            .ok()?;
        let amounts = match &bid.capacity {
            Some(capacity) => {
                let unit = self.state.unit_of(&auction.spec, class, &capacity.type_id);
                self.state
                    .ledger
                    .check_capacity(&bid.asset, &unit, &capacity.amounts, NOW)
                    .ok()?;
                unit
            }
            None => Vec::new(),
        };
        let award = AwardRef {
            bid: id,
            ..*vacancy
        };
        let row = Award {
            bidder: bid.bidder,
            asset: bid.asset,
            type_id,
            amounts,
            payment: price,
            state: AwardState::Assigned,
            accept_by: after(self.at.height.prev(), auction.spec.windows.accept),
        };
        *units = units.saturating_add(1);
        self.state
            .ledger
            .edit()
            .reserve(row.asset, row.bidder, type_id, &row.amounts);
        Some((award, row))
    }

    /// A revocation after the close turns a win into a failure, never into a withdrawal (THREATS T10).
    pub(crate) fn fail_suspended(&mut self) {
        let mut fallen = Vec::new();
        for auction in self
            .state
            .auctions()
            .filter(|auction| matches!(auction.phase, Phase::Settled { .. }))
        {
            let running = running(auction, |_| true);
            let serving: BTreeSet<_> = running.iter().map(|award| award.bid).collect();
            let fell = |id: &&BidId| {
                let bid = auction.bids.get(id);
                bid.is_some_and(|bid| !bid.evidences.iter().all(|e| self.state.stands(e)))
            };
            // Each bid once, however many units it serves.
            let fell: BTreeSet<_> = serving.iter().filter(fell).copied().collect();
            fallen.extend(
                running
                    .into_iter()
                    .filter(|award| fell.contains(&award.bid)),
            );
        }
        for award in fallen {
            self.set_award(
                &award,
                AwardState::Failed(FailReason::Suspended),
                self.at.time,
            );
        }
    }

    fn set_award(&mut self, award: &AwardRef, state: AwardState, time: TimeMs) {
        let mut changed = None;
        self.edit(&award.auction, |auction| {
            if let Some(row) = auction.awards.get_mut(award) {
                row.state = state;
                changed = Some(row.clone());
            }
        });
        let Some(Award {
            bidder,
            payment,
            asset,
            amounts,
            ..
        }) = changed
        else {
            return;
        };
        if !state.is_running() {
            self.state
                .endings
                .edit()
                .0
                .insert((time, *award), Release { asset, amounts });
        }
        self.record(OutcomeRecord::Award(AwardRecord {
            award: *award,
            bidder,
            payment,
            state,
        }));
    }
}

fn running(auction: &Auction, fits: impl Fn(&Award) -> bool) -> Vec<AwardRef> {
    let rows = auction
        .awards
        .iter()
        .filter(|(_, row)| row.state.is_running() && fits(row));
    rows.map(|(award, _)| *award).collect()
}
