//! The solver against the definition, and what a witness and a market must be.

use super::{
    markets::{Draw, Row, Rows, seed, small},
    oracle,
};
use crate::clearing::{
    ClearingError, MAX_BIDS, MAX_ENTRIES, MAX_PRICE, MarketBid, MarketTask, PaymentRule, Witness,
    check, clear, clear_with, solve, solve::Workspace, standings::standings_with, tie, tie_seed,
};
use std::{collections::BTreeMap, time::Instant};
use tender_wire::{AuctionId, BidId, Price, PublicKey, decode, encode};

const RULES: [PaymentRule; 2] = [PaymentRule::Vcg, PaymentRule::PayAsBid];

/// Markets compared: `TENDER_CLEARING_MARKETS=10000000 cargo test -p tender-auction --lib every_small_market` for more.
fn markets() -> u64 {
    let asked = std::env::var("TENDER_CLEARING_MARKETS").ok();
    asked.map_or(20_000, |count| count.parse().unwrap())
}

#[test]
fn every_small_market_clears_as_enumeration_says() {
    let mut draw = Draw(1);
    let mut nonces = BTreeMap::<Option<u32>, u32>::new();
    for number in 0..markets() {
        let market = small(&mut draw).market();
        let seed = seed(number);
        let rule = RULES[(number % 4 == 3) as usize];
        // Few bits of hash leave ties that only the nonce resolves, or nothing does.
        for bits in [tie::BITS, (number % 4) as u32] {
            let expected = oracle::clearing(&market, &seed, rule, bits);
            *nonces
                .entry(expected.as_ref().map(|(c, _)| c.nonce))
                .or_default() += 1;
            let found = clear_with(&market, &seed, rule, bits);
            match expected {
                Some(expected) => {
                    let (_, found) = found.unwrap();
                    let standings = standings_with(&market, &seed, &found, bits);
                    assert_eq!((found, standings), expected, "{number} {bits} {market:?}")
                }
                None => assert_eq!(
                    found.unwrap_err(),
                    ClearingError::NoUniqueOptimum { tried: 8 },
                    "{number} {bits} {market:?}"
                ),
            }
        }
    }
    // The search for a nonce was really exercised, and so was its end.
    assert!(
        nonces.keys().filter(|n| n.is_some()).count() >= 5,
        "{nonces:?}"
    );
    assert!(nonces[&None] > 100, "{nonces:?}");
}

#[test]
fn check_accepts_what_solve_proposes_and_pays_between_price_and_reserve() {
    let mut draw = Draw(2);
    for number in 0..3000 {
        let market = small(&mut draw).market();
        for rule in RULES {
            let witness = solve(&market, &seed(number), rule).unwrap();
            let witness = decode::<Witness>(&encode(&witness)).unwrap();
            let clearing = check(&market, &seed(number), rule, &witness).unwrap();
            assert_eq!(
                clear(&market, &seed(number), rule).unwrap(),
                (witness, clearing.clone())
            );
            for award in &clearing.awards {
                let reserve = market.task(award.task).unwrap().1.reserve.0;
                let most = Price(reserve + market.bonuses()[award.bid]);
                assert!(award.price <= award.payment && award.payment <= most);
                assert!(rule == PaymentRule::Vcg || award.payment == award.price);
            }
        }
    }
}

#[test]
fn where_the_solver_begins_does_not_matter() {
    let (mut plain, mut hinted) = (Workspace::default(), Workspace::default());
    hinted.always_hint();
    let mut draw = Draw(3);
    for number in 0..5000 {
        let market = small(&mut draw).market();
        let seed = seed(number);
        for bits in [tie::BITS, 1] {
            let expected = plain.solve(&market, &seed, bits);
            assert_eq!(hinted.solve(&market, &seed, bits), expected, "{market:?}");
        }
    }
    for (bids, tasks, quantity, prices) in [
        (400, 400, 1, 50),
        (400, 64, 3, 1000),
        (400, 400, 3, 1000),
        (300, 300, 1, 1),
    ] {
        let price = |n: u64| Price(1 + n % prices);
        let market = large(bids, tasks, quantity, 6, price).market();
        let expected = plain.solve(&market, &seed(0), tie::BITS).unwrap();
        assert_eq!(hinted.solve(&market, &seed(0), tie::BITS), Ok(expected));
    }
}

#[test]
fn only_a_sorted_market_within_bounds_is_cleared() {
    let task = |id, reserve| MarketTask {
        id,
        reserve: Price(reserve),
        quantity: 1,
    };
    let bid = |id: u8, entries: &[(u32, u64)]| -> Row {
        let row = MarketBid {
            bid_id: BidId([id; 32]),
            bidder: PublicKey([id; 32]),
            slots: 1,
            bonus: 0,
        };
        let entries = entries.iter().map(|(t, p)| (*t, Price(*p)));
        (row, entries.collect())
    };
    let with_bonus = |bonus, (row, entries): Row| (MarketBid { bonus, ..row }, entries);
    let top = MAX_PRICE.0;
    let id = BidId([1; 32]);
    let price = |price, most| {
        Some(ClearingError::Price {
            id,
            task: 1,
            price,
            most,
        })
    };
    let reserve = |reserve| Some(ClearingError::Reserve { task: 1, reserve });
    for (desc, tasks, bids, expected) in [
        ("nothing", vec![], vec![], None),
        (
            "the ends of the range",
            vec![task(1, top)],
            vec![bid(1, &[(1, 1)]), bid(2, &[(1, top)])],
            None,
        ),
        (
            "task twice",
            vec![task(1, 5), task(1, 5)],
            vec![],
            Some(ClearingError::TaskOrder { id: 1 }),
        ),
        (
            "tasks unsorted",
            vec![task(2, 5), task(1, 5)],
            vec![],
            Some(ClearingError::TaskOrder { id: 1 }),
        ),
        (
            "bid twice",
            vec![],
            vec![bid(1, &[]), bid(1, &[])],
            Some(ClearingError::BidOrder { id }),
        ),
        (
            "bids unsorted",
            vec![],
            vec![bid(2, &[]), bid(1, &[])],
            Some(ClearingError::BidOrder { id }),
        ),
        (
            "entry twice",
            vec![task(1, 5)],
            vec![bid(1, &[(1, 1), (1, 2)])],
            Some(ClearingError::EntryOrder { id, task: 1 }),
        ),
        (
            "unknown task",
            vec![task(1, 5)],
            vec![bid(1, &[(3, 1)])],
            Some(ClearingError::UnknownTask { id, task: 3 }),
        ),
        (
            "T15 price zero",
            vec![task(1, 5)],
            vec![bid(1, &[(1, 0)])],
            price(0, 5),
        ),
        (
            "T15 price above the reserve",
            vec![task(1, 5)],
            vec![bid(1, &[(1, 6)])],
            price(6, 5),
        ),
        (
            "T15 price that would wrap",
            vec![task(1, 5)],
            vec![bid(1, &[(1, u64::MAX)])],
            price(u64::MAX, 5),
        ),
        (
            "a bonus allows for more",
            vec![task(1, 5)],
            vec![with_bonus(2, bid(1, &[(1, 7)]))],
            None,
        ),
        (
            "T15 price above the reserve and the bonus",
            vec![task(1, 5)],
            vec![with_bonus(2, bid(1, &[(1, 8)]))],
            price(8, 7),
        ),
        (
            "T15 bonus too high",
            vec![],
            vec![with_bonus(top + 1, bid(1, &[]))],
            Some(ClearingError::Bonus { id, bonus: top + 1 }),
        ),
        ("reserve zero", vec![task(1, 0)], vec![], reserve(0)),
        (
            "T15 reserve too high",
            vec![task(1, top + 1)],
            vec![],
            reserve(top + 1),
        ),
    ] {
        let rows = Rows { tasks, bids };
        assert_eq!(rows.checked().err(), expected, "{desc}");
    }
}

#[test]
fn t15_sums_of_the_highest_surpluses_do_not_wrap() {
    let market = large(3000, 64, 20, 10, |_| Price(1)).market();
    let clearing = clear(&market, &seed(0), PaymentRule::Vcg).unwrap().1;
    assert_eq!(
        clearing.total_surplus,
        clearing.awards.len() as u128 * u128::from(MAX_PRICE.0 - 1)
    );
    assert_eq!(clearing.awards.len(), 64 * 20);
    assert!(clearing.total_surplus > u128::from(u64::MAX / 20));
}

/// A market of identical reserves where each bid covers `width` tasks and two bids are one bidder's; bids have one slot where there are as
/// many as tasks, else up to three.
fn large(
    bids: u64,
    tasks: u64,
    quantity: u32,
    width: u64,
    mut price: impl FnMut(u64) -> Price,
) -> Rows {
    let mut draw = Draw(bids ^ tasks);
    let mut market = Rows {
        tasks: (0..tasks)
            .map(|id| MarketTask {
                id: id as u32,
                reserve: MAX_PRICE,
                quantity,
            })
            .collect(),
        bids: (0..bids)
            .map(|number| {
                let mut entries = BTreeMap::new();
                while entries.len() < width as usize {
                    let task = draw.below(tasks);
                    entries.insert(task as u32, price(draw.next()));
                }
                let slots = if tasks == bids { 1 } else { 1 + number % 3 };
                let bid = MarketBid {
                    bid_id: super::markets::bid_id(number),
                    bidder: PublicKey(super::markets::bid_id(number / 2).0),
                    slots: slots as u32,
                    bonus: 0,
                };
                (bid, entries.into_iter().collect())
            })
            .collect(),
    };
    market.bids.sort_by_key(|(bid, _)| bid.bid_id);
    market
}

/// Prints times (`--nocapture`); asserts only that thousands of entries stay far from a block's time.
#[test]
fn thousands_of_entries_clear_quickly() {
    for (desc, bids, tasks, quantity, range) in [
        ("5,000 entries, spread prices", 500, 500, 1, u64::MAX),
        ("5,000 entries, ten prices", 500, 500, 1, 10),
        ("5,000 entries, all tied", 500, 500, 1, 1),
        ("20,000 entries, as many bids as units", 2000, 2000, 1, 1000),
        ("20,000 entries, scarce tasks", 2000, 64, 3, 1000),
        ("20,000 entries, scarce bids", 2000, 2000, 3, 1000),
    ] {
        let market = large(bids, tasks, quantity, 10, |n| {
            Price(1 + n % range % (MAX_PRICE.0 - 1))
        })
        .market();
        let start = Instant::now();
        let witness = solve(&market, &seed(0), PaymentRule::Vcg).unwrap();
        let solved = start.elapsed();
        let clearing = check(&market, &seed(0), PaymentRule::Vcg, &witness).unwrap();
        let checked = start.elapsed() - solved;
        println!(
            "{desc}: {} units, solve {solved:.1?}, check {checked:.1?}",
            clearing.awards.len()
        );
        assert!(checked.as_secs() < 60, "{desc}: {checked:?}");
    }
}

/// As many bids and entries as there may be; prints its time (`--nocapture`).
#[test]
fn the_largest_market_clears() {
    let width = (MAX_ENTRIES / MAX_BIDS) as u64;
    let rows = large(MAX_BIDS as u64, 1 << 15, 2, width, |n| {
        Price(1 + n % 1_000_000)
    });
    let market = rows.market();
    let start = Instant::now();
    let (_, clearing) = clear(&market, &seed(0), PaymentRule::Vcg).unwrap();
    println!(
        "{MAX_ENTRIES} entries: {} units, {:.1?}",
        clearing.awards.len(),
        start.elapsed()
    );
    assert_eq!(clearing.awards.len(), 1 << 16);
    // One more entry is refused, before any work.
    let mut over = rows;
    over.bids.last_mut().unwrap().1.push((u32::MAX, Price(1)));
    assert_eq!(
        over.checked().unwrap_err(),
        ClearingError::TooLarge {
            what: "entries",
            found: MAX_ENTRIES + 1,
            max: MAX_ENTRIES
        }
    );
}

#[test]
fn the_tie_seed_covers_every_opened_bid_in_any_order() {
    let auction = AuctionId([7; 32]);
    let opened = [
        (BidId([1; 32]), [5; 32]),
        (BidId([2; 32]), [6; 32]),
        (BidId([3; 32]), [6; 32]),
    ];
    let seed = tie_seed(&auction, &opened);
    let mut turned = opened;
    turned.reverse();
    assert_eq!(tie_seed(&auction, &turned), seed);
    // T25: one salt more, less or different changes it.
    assert_ne!(tie_seed(&auction, &opened[..2]), seed);
    turned[0].1 = [9; 32];
    assert_ne!(tie_seed(&auction, &turned), seed);
    assert_ne!(tie_seed(&AuctionId([8; 32]), &opened), seed);
    assert_eq!(seed.to_string(), GOLDEN_SEED);
    assert_eq!(
        tie::TieKey::new(&seed, 1, tie::BITS).h(&opened[0].0, 42),
        GOLDEN_H
    );
}

const GOLDEN_SEED: &str = "c9b24694d2cb2a0ee7c178716f78717076bf213248352a0c617cf107138f5215";
const GOLDEN_H: u64 = 22_267_026_160_297_127;
