//! The books: what must hold after every block, kept apart from the market from what it reports.

use crate::people::{People, second, used_up};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tender_auction::{
    clearing::PaymentRule,
    market::{AdmittedBid, Event, MarketState},
    outcome::{AwardRecord, AwardState, EntryOutcome, OutcomeKey, OutcomeRecord, UnitOutcome},
    scenario::{Block, resources_keys},
    task::AuctionSpec,
    transaction::AwardRef,
};
use tender_wire::{AuctionId, BidId, FieldBytes, Price, PublicKey, TypeId};

/// All that was ever promised.
#[derive(Default)]
pub struct Books {
    specs: BTreeMap<AuctionId, Arc<AuctionSpec>>,
    bids: BTreeMap<BidId, Admitted>,
    /// Auctions, bids, entries and units that have ended.
    ended: BTreeSet<OutcomeKey>,
    awards: BTreeMap<AwardRef, (Price, AwardState)>,
    /// The most any bid claimed of a machine.
    claimed: BTreeMap<FieldBytes, Vec<u64>>,
}

struct Admitted {
    auction: AuctionId,
    bidder: PublicKey,
    asset: FieldBytes,
    /// The type it is accounted in.
    type_id: Option<TypeId>,
    slots: BTreeMap<u16, u32>,
}

/// What one block records of an auction that ends.
#[derive(Default)]
struct Ending {
    whole: BTreeSet<BidId>,
    entries: BTreeMap<BidId, BTreeSet<u32>>,
    won: BTreeSet<(u32, BidId, Price)>,
    filled: BTreeSet<(u32, BidId, Price)>,
    units: BTreeSet<(u32, u32)>,
}

impl Books {
    /// Takes in a block, and checks everything.
    pub fn enter(&mut self, block: &Block, people: &People) {
        let state = &block.executed.state;
        self.admit(block);
        let mut endings: BTreeMap<AuctionId, Ending> = BTreeMap::new();
        let mut moved = Vec::new();
        for record in block.executed.outcome.records.iter() {
            match record {
                OutcomeRecord::Award(award) => moved.push(award.clone()),
                _ => assert!(self.ended.insert(record.key()), "ends twice: {record:?}"),
            }
            self.record(record, &mut endings, people);
        }
        for record in block.executed.outcome.records.iter() {
            if let OutcomeRecord::Auction(record) = record {
                let ending = endings.remove(&record.auction).unwrap_or_default();
                self.complete(&record.auction, &ending, people);
            }
        }
        assert!(
            endings.is_empty(),
            "outcomes of an auction that did not end"
        );
        let held = self.moves(&moved, people);
        self.balance(state, &held);
        for row in state.awards() {
            assert_eq!(self.awards[&row.award], (row.payment, row.state));
        }
    }

    /// Auctions and bids that are new.
    fn admit(&mut self, block: &Block) {
        let state = &block.executed.state;
        for event in block.executed.outcome.events.iter() {
            match event {
                Event::AuctionOpened { auction, .. } => {
                    let spec = Arc::clone(&state.auction(auction).unwrap().spec);
                    self.specs.insert(*auction, spec);
                }
                Event::BidAdmitted { auction, bid, .. } => {
                    // One that was replaced in its own block left nothing but its id.
                    let row = state
                        .auction(auction)
                        .and_then(|auction| auction.bids.get(bid));
                    let Some(row) = row else { continue };
                    self.claim(row);
                    self.bids.insert(*bid, Admitted::of(*auction, row));
                }
                _ => {}
            }
        }
    }

    fn claim(&mut self, bid: &AdmittedBid) {
        for evidence in &bid.evidences {
            let summary = &evidence.summary;
            if consumable(&summary.type_id) {
                let most = self.claimed.entry(summary.asset).or_default();
                let claimed = used_up(&summary.claim);
                most.resize(claimed.len(), 0);
                for (most, claimed) in most.iter_mut().zip(claimed) {
                    *most = claimed.max(*most);
                }
            }
        }
    }

    fn record(
        &mut self,
        record: &OutcomeRecord,
        endings: &mut BTreeMap<AuctionId, Ending>,
        people: &People,
    ) {
        match record {
            OutcomeRecord::Auction(_) | OutcomeRecord::Award(_) => {}
            OutcomeRecord::Bid(bid) => {
                endings
                    .entry(bid.auction)
                    .or_default()
                    .whole
                    .insert(bid.bid);
            }
            OutcomeRecord::Entry(entry) => {
                let ending = endings.entry(entry.auction).or_default();
                let tasks = ending.entries.entry(entry.bid).or_default();
                tasks.insert(entry.task);
                let spec = &self.specs[&entry.auction];
                let asked = people.entries[&entry.bid].as_ref().unwrap();
                assert!(asked.contains(&(entry.task, entry.price.0)));
                if let Some(task) = spec.tasks.get(entry.task as usize) {
                    assert_eq!(entry.reserve, task.reserve);
                }
                if let EntryOutcome::Won { payment } = entry.outcome {
                    assert!(
                        (entry.price..=entry.reserve).contains(&payment),
                        "{entry:?}"
                    );
                    assert!(spec.payment == PaymentRule::Vcg || payment == entry.price);
                    ending.won.insert((entry.task, entry.bid, payment));
                    let award = AwardRef {
                        auction: entry.auction,
                        task: entry.task,
                        bid: entry.bid,
                    };
                    let assigned = (payment, AwardState::Assigned);
                    assert_eq!(self.awards.insert(award, assigned), None);
                }
            }
            OutcomeRecord::Unit(unit) => {
                let ending = endings.entry(unit.auction).or_default();
                ending.units.insert((unit.task, unit.unit));
                if let UnitOutcome::Filled { bid, payment, .. } = unit.outcome {
                    ending.filled.insert((unit.task, bid, payment));
                }
            }
        }
    }

    /// An auction that ended gave every unit and every entry a reason, and each only one.
    fn complete(&self, id: &AuctionId, ending: &Ending, people: &People) {
        let spec = &self.specs[id];
        let units = (0u32..).zip(&spec.tasks);
        let units = units.flat_map(|(task, about)| (0..about.quantity).map(move |u| (task, u)));
        assert_eq!(ending.units, units.collect());
        assert_eq!(
            ending.won, ending.filled,
            "winners and filled units are the same"
        );
        for (id, bid) in self.bids.iter().filter(|(_, bid)| bid.auction == *id) {
            let entries = ending.entries.get(id);
            if ending.whole.contains(id) {
                assert_eq!(entries, None, "out whole, and yet entries");
                continue;
            }
            let asked = people.entries[id]
                .as_ref()
                .expect("a cheat's bid opens to nothing");
            let asked: BTreeSet<u32> = asked.iter().map(|(task, _)| *task).collect();
            assert_eq!(entries, Some(&asked), "every entry has its reason");
            for (class, slots) in &bid.slots {
                let in_class = |task: u32| spec.tasks[task as usize].class == *class;
                let won = ending
                    .won
                    .iter()
                    .filter(|(task, by, _)| by == id && in_class(*task));
                assert!(won.count() <= *slots as usize);
            }
        }
    }

    /// Assignments only move on. Returns what those hold that ended within the block: it is given back in the next.
    fn moves(&mut self, moved: &[AwardRecord], people: &People) -> Vec<AwardRef> {
        let mut held = Vec::new();
        for record in moved {
            match self.awards.get(&record.award) {
                Some((payment, before)) => {
                    assert_eq!(record.payment, *payment);
                    let (before, after) = (rank(*before), rank(record.state));
                    assert!(before < after, "{record:?} came after {before}");
                }
                // A runner-up, at its own price.
                None => {
                    let asked = people.entries[&record.award.bid].as_ref().unwrap();
                    assert!(asked.contains(&(record.award.task, record.payment.0)));
                    assert_eq!(record.bidder, self.bids[&record.award.bid].bidder);
                }
            }
            let now = (record.payment, record.state);
            self.awards.insert(record.award, now);
            // What nobody accepted, and what a lease outlived, ended with the block before.
            if rank(record.state) == 3 && record.state != AwardState::Expired {
                held.push(record.award);
            }
        }
        held
    }

    /// The ledger is the sum of live bids and leases, binds each machine to one holder and type, and never more than was claimed of it.
    fn balance(&self, state: &MarketState, held: &[AwardRef]) {
        let mut accounts: BTreeMap<FieldBytes, (u32, u32, Vec<u64>)> = BTreeMap::new();
        let bound = |bid: &Admitted| {
            let account = state.account(&bid.asset).expect("bound");
            assert_eq!(account.holder, bid.bidder, "one holder");
            assert!(
                bid.type_id.is_none() || account.type_id == bid.type_id,
                "one type"
            );
        };
        for auction in state.auctions().filter(|auction| auction.is_live()) {
            let assets: BTreeSet<_> = auction.bids.values().map(|bid| bid.asset).collect();
            assert_eq!(assets.len(), auction.bids.len(), "one live bid of an asset");
            for id in auction.bids.keys() {
                let bid = &self.bids[id];
                bound(bid);
                accounts.entry(bid.asset).or_default().0 += 1;
            }
        }
        let running = self
            .awards
            .iter()
            .filter(|(_, (_, state))| rank(*state) < 3);
        for award in running.map(|(award, _)| award).chain(held) {
            let bid = &self.bids[&award.bid];
            bound(bid);
            let account = accounts.entry(bid.asset).or_default();
            account.1 += 1;
            let amounts = self.unit(award, bid);
            account.2.resize(account.2.len().max(amounts.len()), 0);
            for (sum, amount) in account.2.iter_mut().zip(amounts) {
                *sum += amount;
            }
        }
        let found = state.accounts().map(|(asset, account)| {
            let trimmed = trim(&account.reserved);
            if let Some(most) = self.claimed.get(asset) {
                let within = account.reserved.iter().zip(most).all(|(r, m)| r <= m);
                assert!(within, "{:?} of {most:?}", account.reserved);
            }
            (*asset, (account.bids, account.leases, trimmed))
        });
        let expected: BTreeMap<_, _> = accounts
            .into_iter()
            .map(|(asset, (bids, leases, sum))| (asset, (bids, leases, trim(&sum))))
            .collect();
        assert_eq!(found.collect::<BTreeMap<_, _>>(), expected);
    }

    /// What an assignment takes.
    fn unit(&self, award: &AwardRef, bid: &Admitted) -> Vec<u64> {
        let spec = &self.specs[&award.auction];
        let class = &spec.classes[usize::from(spec.tasks[award.task as usize].class)];
        let mut needed = class.requirements.iter();
        let needed = needed.find(|needed| Some(needed.type_id) == bid.type_id);
        needed.map_or(Vec::new(), |needed| used_up(&needed.requirement))
    }
}

impl Admitted {
    fn of(auction: AuctionId, bid: &AdmittedBid) -> Self {
        let mut shown = bid.evidences.iter().map(|e| e.summary.type_id);
        Admitted {
            auction,
            bidder: bid.bidder,
            asset: bid.asset,
            type_id: shown.find(consumable),
            slots: bid.slots.iter().map(|s| (s.class, s.slots)).collect(),
        }
    }
}

fn consumable(type_id: &TypeId) -> bool {
    *type_id == resources_keys().1.id() || *type_id == second().id()
}

/// How far an assignment has come.
fn rank(state: AwardState) -> u8 {
    match state {
        AwardState::Assigned => 0,
        AwardState::Accepted => 1,
        AwardState::Delivered { .. } => 2,
        AwardState::Confirmed
        | AwardState::Rejected
        | AwardState::Failed(_)
        | AwardState::Expired => 3,
    }
}

/// Without zeros at the end: accounts grow with the first amount that is not zero.
fn trim(amounts: &[u64]) -> Vec<u64> {
    let last = amounts.iter().rposition(|amount| *amount > 0);
    amounts[..last.map_or(0, |last| last + 1)].to_vec()
}
