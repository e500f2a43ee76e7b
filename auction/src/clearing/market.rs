//! A market as everything here reads it: checked once, flat, and unchangeable after.
//!
//! ```text
//! tasks         id, reserve, quantity                                   ascending by id; a task's *position* is its index here
//! bids          bid id | bidder | slots | bonus, one list each          ascending by bid id
//! starts        entries of bid b are starts[b] .. starts[b + 1]
//! entry_tasks   position of the task of each entry                      ascending within a bid
//! entry_prices  price of each entry
//! ```
//!
//! One pass over the bids is one pass over `starts`, `entry_tasks` and `entry_prices`: twelve bytes an entry. Bound: [`Bounds`], checked before
//! anything is read twice.

use super::{ClearingError, MAX_BIDS, MAX_ENTRIES, MAX_PRICE, MAX_TASKS};
use std::ops::Range;
use tender_wire::{BidId, Price, PublicKey};

/// A task of a market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarketTask {
    /// Its number within the auction.
    pub id: u32,
    /// The most its owner pays for one unit, bonuses apart.
    pub reserve: Price,
    /// Units wanted, each served by another bid.
    pub quantity: u32,
}

/// A bid of a market, without its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarketBid {
    /// Its market identity.
    pub bid_id: BidId,
    /// Whose it is: for payments all bids of one key are one agent.
    pub bidder: PublicKey,
    /// Units it can serve at once.
    pub slots: u32,
    /// What the owner adds to every reserve for the quality of this bid, in smallest units.
    pub bonus: u64,
}

/// How large a market may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Most tasks.
    pub tasks: usize,
    /// Most bids.
    pub bids: usize,
    /// Most entries.
    pub entries: usize,
}

impl Bounds {
    /// What one class of one auction may hold.
    pub const AUCTION: Bounds = Bounds {
        tasks: MAX_TASKS,
        bids: MAX_BIDS,
        entries: MAX_ENTRIES,
    };
    /// What the engine is made for: positions and entries fit `u32`, every sum of weights fits 128 bits.
    pub const ENGINE: Bounds = Bounds {
        tasks: 1 << 20,
        bids: 1 << 20,
        entries: 1 << 24,
    };
}

/// One class of one auction: its tasks, the eligible bids and their entries. Layout and order in the module's documentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Market {
    tasks: Vec<MarketTask>,
    bid_ids: Vec<BidId>,
    bidders: Vec<PublicKey>,
    slots: Vec<u32>,
    bonuses: Vec<u64>,
    starts: Vec<u32>,
    entry_tasks: Vec<u32>,
    entry_prices: Vec<u64>,
    /// Bids of every bidder that has several, bidder by bidder, each ascending.
    shared_bids: Vec<u32>,
    shared_starts: Vec<u32>,
}

impl Market {
    /// The market of these tasks, strictly ascending by id, and these bids, strictly ascending by bid id, each with its entries (task id,
    /// price), strictly ascending by task, `1 ≤ price ≤ reserve + bonus`; within [`Bounds::AUCTION`].
    ///
    /// # Errors
    /// [`ClearingError`], the first rule broken.
    pub fn new<E>(
        tasks: Vec<MarketTask>,
        bids: impl IntoIterator<Item = (MarketBid, E)>,
    ) -> Result<Market, ClearingError>
    where
        E: IntoIterator<Item = (u32, Price)>,
    {
        Market::within(&Bounds::AUCTION, tasks, bids)
    }

    /// [`Market::new`] within other bounds, at most [`Bounds::ENGINE`]: for callers that clear without an auction.
    ///
    /// # Errors
    /// [`ClearingError`], the first rule broken.
    pub fn within<E>(
        bounds: &Bounds,
        tasks: Vec<MarketTask>,
        bids: impl IntoIterator<Item = (MarketBid, E)>,
    ) -> Result<Market, ClearingError>
    where
        E: IntoIterator<Item = (u32, Price)>,
    {
        let bounds = Bounds {
            tasks: bounds.tasks.min(Bounds::ENGINE.tasks),
            bids: bounds.bids.min(Bounds::ENGINE.bids),
            entries: bounds.entries.min(Bounds::ENGINE.entries),
        };
        check_tasks(&tasks, bounds.tasks)?;
        let mut market = Market {
            tasks,
            bid_ids: Vec::new(),
            bidders: Vec::new(),
            slots: Vec::new(),
            bonuses: Vec::new(),
            starts: vec![0],
            entry_tasks: Vec::new(),
            entry_prices: Vec::new(),
            shared_bids: Vec::new(),
            shared_starts: vec![0],
        };
        for (bid, entries) in bids {
            market.push_bid(&bounds, &bid)?;
            for (task, price) in entries {
                market.push_entry(&bounds, &bid, task, price)?;
            }
            market.starts.push(number(market.entry_tasks.len()));
        }
        market.find_shared();
        Ok(market)
    }

    /// Lists the bidders that have several bids.
    fn find_shared(&mut self) {
        let mut bids: Vec<(&PublicKey, u32)> = self.bidders.iter().zip(0u32..).collect();
        bids.sort_unstable();
        for group in bids.chunk_by(|a, b| a.0 == b.0).filter(|g| g.len() > 1) {
            self.shared_bids.extend(group.iter().map(|(_, bid)| *bid));
            self.shared_starts.push(number(self.shared_bids.len()));
        }
    }

    fn push_bid(&mut self, bounds: &Bounds, bid: &MarketBid) -> Result<(), ClearingError> {
        let id = bid.bid_id;
        at_most("bids", self.bid_ids.len().saturating_add(1), bounds.bids)?;
        if self.bid_ids.last() >= Some(&id) {
            return Err(ClearingError::BidOrder { id });
        }
        if bid.bonus > MAX_PRICE.0 {
            let bonus = bid.bonus;
            return Err(ClearingError::Bonus { id, bonus });
        }
        self.bid_ids.push(id);
        self.bidders.push(bid.bidder);
        self.slots.push(bid.slots);
        self.bonuses.push(bid.bonus);
        Ok(())
    }

    fn push_entry(
        &mut self,
        bounds: &Bounds,
        bid: &MarketBid,
        task: u32,
        price: Price,
    ) -> Result<(), ClearingError> {
        let id = bid.bid_id;
        let found = self.entry_tasks.len().saturating_add(1);
        at_most("entries", found, bounds.entries)?;
        let first = self.starts.last().map_or(0, |start| *start as usize);
        let last = self.entry_tasks.get(first..).and_then(<[u32]>::last);
        if last.and_then(|last| self.task_id(*last)) >= Some(task) {
            return Err(ClearingError::EntryOrder { id, task });
        }
        let (position, about) = self
            .task(task)
            .ok_or(ClearingError::UnknownTask { id, task })?;
        let most = about.reserve.0.saturating_add(bid.bonus);
        let price = price.0;
        if price == 0 || price > most {
            return Err(ClearingError::Price {
                id,
                task,
                price,
                most,
            });
        }
        self.entry_tasks.push(number(position));
        self.entry_prices.push(price);
        Ok(())
    }

    /// Tasks, ascending by id.
    pub fn tasks(&self) -> &[MarketTask] {
        &self.tasks
    }

    /// Ids of the bids, ascending.
    pub fn bid_ids(&self) -> &[BidId] {
        &self.bid_ids
    }

    /// Bidders, by bid.
    pub fn bidders(&self) -> &[PublicKey] {
        &self.bidders
    }

    /// Slots, by bid.
    pub fn slots(&self) -> &[u32] {
        &self.slots
    }

    /// Bonuses, by bid.
    pub fn bonuses(&self) -> &[u64] {
        &self.bonuses
    }

    /// Where the entries of each bid start, and the number of entries at the end.
    pub fn starts(&self) -> &[u32] {
        &self.starts
    }

    /// Positions of the entries' tasks.
    pub fn entry_tasks(&self) -> &[u32] {
        &self.entry_tasks
    }

    /// Prices of the entries.
    pub fn entry_prices(&self) -> &[u64] {
        &self.entry_prices
    }

    /// Bids of each bidder that has several, ascending; bidders by key.
    pub fn shared_bids(&self) -> impl Iterator<Item = &[u32]> {
        let ends = self.shared_starts.windows(2);
        ends.filter_map(|ends| {
            let (first, end) = (*ends.first()?, *ends.last()?);
            self.shared_bids.get(first as usize..end as usize)
        })
    }

    /// Number of bids.
    pub fn bid_count(&self) -> usize {
        self.bid_ids.len()
    }

    /// Number of entries.
    pub fn entry_count(&self) -> usize {
        self.entry_tasks.len()
    }

    /// A bid, if there is one at this position.
    pub fn bid(&self, bid: usize) -> Option<MarketBid> {
        Some(MarketBid {
            bid_id: *self.bid_ids.get(bid)?,
            bidder: *self.bidders.get(bid)?,
            slots: *self.slots.get(bid)?,
            bonus: *self.bonuses.get(bid)?,
        })
    }

    /// Numbers of a bid's entries; none if there is no such bid.
    pub fn entries_of(&self, bid: usize) -> Range<usize> {
        let start = |bid: usize| self.starts.get(bid).map(|start| *start as usize);
        match (start(bid), start(bid.saturating_add(1))) {
            (Some(first), Some(end)) => first..end,
            _ => 0..0,
        }
    }

    /// A bid's entries: id of the task, price.
    pub fn entries(&self, bid: usize) -> impl Iterator<Item = (u32, Price)> + '_ {
        let range = self.entries_of(bid);
        let tasks = self.entry_tasks.get(range.clone()).unwrap_or_default();
        let prices = self.entry_prices.get(range).unwrap_or_default();
        let ids = tasks.iter().filter_map(|task| self.task_id(*task));
        ids.zip(prices.iter().map(|price| Price(*price)))
    }

    /// The number of a bid's entry for the task at a position.
    pub fn entry_of(&self, bid: usize, task: usize) -> Option<usize> {
        let range = self.entries_of(bid);
        let task = u32::try_from(task).ok()?;
        let found = self.entry_tasks.get(range.clone())?.binary_search(&task);
        Some(range.start.saturating_add(found.ok()?))
    }

    /// A task by its id, with its position.
    pub fn task(&self, id: u32) -> Option<(usize, &MarketTask)> {
        // Most auctions number their tasks from 0, in one class.
        let guess = self.tasks.get(id as usize).filter(|task| task.id == id);
        if let Some(task) = guess {
            return Some((id as usize, task));
        }
        let position = self.tasks.binary_search_by_key(&id, |task| task.id).ok()?;
        Some((position, self.tasks.get(position)?))
    }

    /// Id of the task at a position.
    fn task_id(&self, position: u32) -> Option<u32> {
        self.tasks.get(position as usize).map(|task| task.id)
    }
}

/// A count below the engine's bounds as the `u32` it fits.
fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn at_most(what: &'static str, found: usize, max: usize) -> Result<(), ClearingError> {
    if found > max {
        return Err(ClearingError::TooLarge { what, found, max });
    }
    Ok(())
}

fn check_tasks(tasks: &[MarketTask], max: usize) -> Result<(), ClearingError> {
    at_most("tasks", tasks.len(), max)?;
    let mut previous = None;
    for task in tasks {
        if previous >= Some(task.id) {
            return Err(ClearingError::TaskOrder { id: task.id });
        }
        previous = Some(task.id);
        if task.reserve.0 == 0 || task.reserve > MAX_PRICE {
            return Err(ClearingError::Reserve {
                task: task.id,
                reserve: task.reserve.0,
            });
        }
    }
    Ok(())
}
