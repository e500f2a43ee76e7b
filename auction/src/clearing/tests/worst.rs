//! The dearest markets that one auction can hold: dense, as many units as entries, every unit contested. Small by default;
//! `TENDER_CLEARING_WORK=25165824 cargo test -p tender-auction --lib dearest -- --nocapture` takes the largest and says how long each took.

use super::markets::{Draw, bid_id, seed};
use crate::{
    clearing::{Market, MarketBid, MarketTask, PaymentRule, check, clear},
    market::auction::MAX_CLEARING_WORK,
};
use std::{collections::BTreeSet, time::Instant};
use tender_wire::{Price, PublicKey};

/// Tasks, units of each, bids, entries of each, slots of each.
struct Shape {
    tasks: usize,
    quantity: usize,
    bids: usize,
    entries: usize,
    slots: u32,
}

/// A price, by bid and task.
type PriceOf = fn(u64, u64, &mut Draw) -> u64;

const RESERVE: u64 = 1_000_000_000_000;

/// Prices that make every unit change hands (Machol and Wien 1976), few prices, and any.
const PRICES: [(&str, PriceOf); 4] = [
    ("products", |b, t, _| b * t * 1000),
    ("falling products", |b, t, _| RESERVE - 1 - b * t * 1000),
    ("three prices", |_, _, draw| draw.below(3)),
    ("any price", |_, _, draw| draw.below(RESERVE)),
];

/// Shapes of so much work, as dense and as tight as may be.
fn shapes(work: usize) -> Vec<Shape> {
    let entries_per_bid = [64, 64, 64, 8, 8, 4, 1];
    let units = [1024, 512, 2048, 1024, 4096, 1024, 1024];
    let tasks = [1024, 64, 1024, 8, 512, 4, 4];
    let shapes = entries_per_bid.iter().zip(units).zip(tasks);
    let scale = |n: usize| (n * work.isqrt() / MAX_CLEARING_WORK.isqrt()).max(1);
    shapes
        .map(|((entries, units), tasks)| {
            let (units, tasks) = (scale(units), scale(tasks).max(*entries));
            let bids = (work / units / entries).clamp(1, (1 << 15) / entries);
            Shape {
                tasks,
                quantity: units.div_ceil(tasks),
                bids,
                entries: *entries,
                // As many slots as units: nobody has one to spare, so every what-if searches the whole market.
                slots: u32::try_from(units.div_ceil(bids)).unwrap(),
            }
        })
        .collect()
}

fn market(shape: &Shape, price: PriceOf) -> Market {
    let mut draw = Draw(7);
    let tasks = (0..shape.tasks as u32).map(|id| MarketTask {
        id,
        reserve: Price(RESERVE),
        quantity: shape.quantity as u32,
    });
    let mut bids: Vec<_> = (0..shape.bids as u64)
        .map(|number| {
            let mut entered = BTreeSet::new();
            while entered.len() < shape.entries {
                entered.insert(draw.below(shape.tasks as u64) as u32);
            }
            let mut bidder = [0; 32];
            bidder[..8].copy_from_slice(&number.to_le_bytes());
            let bid = MarketBid {
                bid_id: bid_id(number),
                bidder: PublicKey(bidder),
                slots: shape.slots,
                bonus: 0,
            };
            let mut priced = |task: u32| 1 + price(number, task.into(), &mut draw) % RESERVE;
            let entries = entered.into_iter().map(|task| (task, Price(priced(task))));
            (bid, entries.collect::<Vec<_>>())
        })
        .collect();
    bids.sort_by_key(|(bid, _)| bid.bid_id);
    Market::new(tasks.collect(), bids).unwrap()
}

/// L1, L2: what a proposer solves and everybody else checks, on the markets that take longest.
#[test]
fn the_dearest_markets_clear_and_check_alike() {
    let asked = std::env::var("TENDER_CLEARING_WORK").ok();
    let work = asked.map_or(1 << 18, |work| work.parse().unwrap());
    for shape in shapes(work) {
        for (name, price) in PRICES {
            let market = market(&shape, price);
            let began = Instant::now();
            let (witness, clearing) = clear(&market, &seed(1), PaymentRule::Vcg).unwrap();
            let took = began.elapsed().as_millis();
            let Shape {
                tasks,
                quantity,
                bids,
                entries,
                slots,
            } = shape;
            println!(
                "{tasks:4} tasks x {quantity:3}, {bids:5} bids x {entries:2} entries x {slots:2} slots, {name:16}: {:4} won, {took:5} ms",
                clearing.awards.len()
            );
            if work <= 1 << 20 {
                let checked = check(&market, &seed(1), PaymentRule::Vcg, &witness);
                assert_eq!(checked, Ok(clearing));
            }
        }
    }
}
