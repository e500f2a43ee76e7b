//! Small random markets, from a seed.

use crate::clearing::{ClearingError, Market, MarketBid, MarketTask};
use tender_wire::{BidId, Digest, Price, PublicKey, Tag, hash};

/// SplitMix64 (Steele, Lea and Flood 2014): reproducible, and good enough to draw markets.
pub(super) struct Draw(pub(super) u64);

impl Draw {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

pub(super) fn seed(number: u64) -> Digest {
    hash(Tag::Seed, &[&number.to_le_bytes()])
}

pub(super) fn bid_id(number: u64) -> BidId {
    hash(Tag::Bid, &[&number.to_le_bytes()]).into()
}

/// What a market is made of, to change before it is made.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    pub(super) tasks: Vec<MarketTask>,
    pub(super) bids: Vec<Row>,
}

/// A bid with its entries (task id, price).
pub(super) type Row = (MarketBid, Vec<(u32, Price)>);

impl Rows {
    /// What they make, if anything.
    pub(super) fn checked(&self) -> Result<Market, ClearingError> {
        Market::new(self.tasks.clone(), self.bids.clone())
    }

    pub(super) fn market(&self) -> Market {
        self.checked().unwrap()
    }
}

/// At most 5 tasks, 6 bids, 12 entries; slots and quantities up to 3; few bidders; few distinct prices; some bonuses.
pub(super) fn small(draw: &mut Draw) -> Rows {
    let range = [1, 2, 4, 1000][draw.below(4) as usize];
    let task_count = 1 + draw.below(5);
    let bid_count = 1 + draw.below(6);
    let bidders = 1 + draw.below(bid_count);
    let mut tasks: Vec<_> = (0..task_count)
        .map(|n| MarketTask {
            id: (10 * n + draw.below(10)) as u32,
            reserve: Price(1 + draw.below(range)),
            quantity: 1 + draw.below(3) as u32,
        })
        .collect();
    if draw.below(50) == 0 {
        tasks[0].quantity = 0;
    }
    let mut left = 12;
    let mut bids: Vec<_> = (0..bid_count)
        .map(|_| {
            let mut entries = Vec::new();
            let bonus = draw.below(2) * draw.below(range + 1);
            for task in &tasks {
                if left > 0 && draw.below(10) < 7 {
                    left -= 1;
                    let price = 1 + draw.below(task.reserve.0 + bonus);
                    entries.push((task.id, Price(price)));
                }
            }
            let bid = MarketBid {
                bid_id: bid_id(draw.next()),
                bidder: PublicKey([draw.below(bidders) as u8; 32]),
                slots: 1 + draw.below(3) as u32,
                bonus,
            };
            (bid, entries)
        })
        .collect();
    bids.sort_by_key(|(bid, _)| bid.bid_id);
    Rows { tasks, bids }
}
