//! Public instances with known optima, read from `../shared/data` beside the repository; skipped, with a word, where that folder is not.

use super::markets::{bid_id, seed};
use crate::clearing::{Market, MarketBid, MarketTask, PaymentRule, clear};
use std::{fs, path::Path};
use tender_wire::{Price, PublicKey};

fn numbers(name: &str) -> Option<Vec<f64>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let Ok(text) = fs::read_to_string(root.join(name)) else {
        println!("skipped: there is no ../shared/data/{name}");
        return None;
    };
    Some(
        text.split_whitespace()
            .map(|n| n.parse().unwrap())
            .collect(),
    )
}

/// Greatest surplus where bids of one slot offer these (bid, task, price), sorted, for tasks of one unit and one reserve.
fn surplus(bids: usize, tasks: usize, reserve: u64, offers: &[(usize, u32, u64)]) -> u128 {
    let task = |id| MarketTask {
        id,
        reserve: Price(reserve),
        quantity: 1,
    };
    let mut ids: Vec<_> = (0..bids as u64).map(bid_id).collect();
    ids.sort_unstable();
    let rows = ids.into_iter().enumerate().map(|(number, bid_id)| {
        let row = MarketBid {
            bid_id,
            bidder: PublicKey(bid_id.0),
            slots: 1,
            bonus: 0,
        };
        let first = offers.partition_point(|offer| offer.0 < number);
        let own = offers[first..].iter().take_while(move |o| o.0 == number);
        (row, own.map(|o| (o.1, Price(o.2))))
    });
    let market = Market::new((0..tasks as u32).map(task).collect(), rows).unwrap();
    let (_, clearing) = clear(&market, &seed(0), PaymentRule::Vcg).unwrap();
    clearing.total_surplus
}

/// Beasley's OR-Library: a size, then a cost for each pair.
#[test]
fn assignment_problems_have_their_known_optima() {
    const RESERVE: u64 = 1_000_000;
    for (name, optimum) in [("assign100", 305), ("assign500", 991)] {
        let Some(numbers) = numbers(&format!("assignment/{name}.txt")) else {
            continue;
        };
        let size = numbers[0] as usize;
        let costs = numbers[1..].iter().enumerate();
        let offers: Vec<_> = costs
            .map(|(n, cost)| (n / size, (n % size) as u32, *cost as u64))
            .collect();
        let most = RESERVE as u128 * size as u128;
        assert_eq!(
            most - surplus(size, size, RESERVE, &offers),
            optimum,
            "{name}"
        );
    }
}

/// Unit-demand markets: how many bidders, items and values, then so many (bidder, item, value), of which we take thousandths. (`p0` has more rows than
/// it says; the known welfare is of those it says.)
#[test]
fn unit_demand_markets_have_their_known_welfare() {
    const RESERVE: u64 = 1 << 40;
    for (name, welfare) in [("c0", 6_112_667), ("n0", 43_922_894), ("p0", 2_097_490)] {
        let Some(numbers) = numbers(&format!("market/{name}.txt")) else {
            continue;
        };
        let mut offers: Vec<_> = numbers[3..]
            .chunks_exact(3)
            .take(numbers[2] as usize)
            .map(|row| {
                let value = (row[2] * 1000.0).round() as u64;
                (row[0] as usize, row[1] as u32, RESERVE - value)
            })
            .collect();
        offers.sort_unstable();
        let found = surplus(numbers[0] as usize, numbers[1] as usize, RESERVE, &offers);
        assert_eq!(found, welfare, "{name}");
    }
}
