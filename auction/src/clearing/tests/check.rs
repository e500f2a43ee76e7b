//! The checker against the definition, each of its conditions, and what it does with anything at all.

use super::{
    markets::{Draw, Rows, bid_id, seed, small},
    oracle,
};
use crate::clearing::{
    CheckError, Checker, MAX_PRICE, Market, MarketBid, MarketTask, PaymentRule, Witness, check,
    clear, clear_with, tie,
};
use tender_wire::{Price, PublicKey};

const VCG: PaymentRule = PaymentRule::Vcg;

/// A small market with bonuses, bids without slots and bids without entries.
fn odd(draw: &mut Draw) -> Market {
    let mut rows = small(draw);
    for (bid, entries) in &mut rows.bids {
        bid.slots = draw.below(4) as u32;
        bid.bonus = draw.below(6).saturating_sub(3);
        for (task, price) in entries.iter_mut() {
            let task = rows.tasks.iter().find(|t| t.id == *task).unwrap();
            price.0 = 1 + draw.below(task.reserve.0 + bid.bonus);
        }
    }
    rows.market()
}

#[test]
fn the_checker_clears_every_small_market_as_enumeration_says() {
    let mut draw = Draw(7);
    let mut checker = Checker::default();
    let mut nonces = 0;
    for number in 0..3000 {
        let market = odd(&mut draw);
        for bits in [tie::BITS, 0, 1, 2, 3] {
            for rule in [VCG, PaymentRule::PayAsBid] {
                let expected = oracle::clearing(&market, &seed(number), rule, bits);
                let found = clear_with(&market, &seed(number), rule, bits);
                let Some((expected, _)) = expected else {
                    assert!(found.is_err());
                    continue;
                };
                let witness = found.unwrap().0;
                let checked = checker.check_with(&market, &seed(number), rule, &witness, bits);
                assert_eq!(
                    checked.as_ref(),
                    Ok(&expected),
                    "{number} {bits} {market:?}"
                );
                nonces += u32::from(expected.nonce > 0);
            }
        }
    }
    assert!(nonces > 1000, "{nonces}");
}

/// Tasks (reserve, units) numbered from 0, and bids (slots, bonus, prices of the tasks from 0; 0 is no entry) with ids as the seed would have it.
fn market(tasks: &[(u64, u32)], bids: &[(u32, u64, &[u64])]) -> Market {
    let tasks = (0u32..).zip(tasks).map(|(id, task)| MarketTask {
        id,
        reserve: Price(task.0),
        quantity: task.1,
    });
    let bids = (0u8..).zip(bids).map(|(n, (slots, bonus, prices))| {
        let bid = MarketBid {
            bid_id: tender_wire::BidId([n; 32]),
            bidder: PublicKey([n; 32]),
            slots: *slots,
            bonus: *bonus,
        };
        let entries = (0u32..).zip(*prices).filter(|(_, price)| **price > 0);
        let entries: Vec<_> = entries.map(|(task, price)| (task, Price(*price))).collect();
        (bid, entries)
    });
    Market::new(tasks.collect(), bids).unwrap()
}

fn refusal(market: &Market, bits: u32, nonce: u32, won: &[u32], setters: &[u32]) -> CheckError {
    let witness = Witness::V2 {
        nonce,
        won: won.to_vec(),
        setters: setters.to_vec(),
    };
    let verdict = Checker::default().check_with(market, &seed(0), VCG, &witness, bits);
    verdict.expect_err("must be refused")
}

#[test]
fn every_condition_refuses_what_breaks_it() {
    // Entries 0 to 4: bid 0 would serve task 0 for 10 and task 1 for 60, bid 1 them for 20 and 30, bid 2 task 1 for 80.
    let two = market(
        &[(100, 1), (90, 1)],
        &[(1, 0, &[10, 60]), (1, 0, &[20, 30]), (1, 0, &[0, 80])],
    );
    let (right, clearing) = clear(&two, &seed(0), VCG).unwrap();
    let (won, setters) = (vec![0, 3], vec![2, 4]);
    assert_eq!(
        right,
        Witness::V2 {
            nonce: 0,
            won,
            setters
        }
    );
    // Bid 2 sets the price of task 1. Bid 1 makes 50 there, so it would take task 0 for 70.
    let paid: Vec<_> = clearing.awards.iter().map(|a| a.payment.0).collect();
    assert_eq!(paid, [70, 80]);

    let refused = |won: &[u32], setters: &[u32]| refusal(&two, tie::BITS, 0, won, setters);
    let not_optimal = |bid, task| CheckError::NotOptimal { bid, task };
    let won_order = |entry| CheckError::WonOrder { entry };
    let setter_order = |entry| CheckError::SetterOrder { entry };
    for (desc, error, expected) in [
        ("disorder", refused(&[3, 0], &[2, 4]), won_order(0)),
        ("an entry twice", refused(&[0, 0, 3], &[2, 4]), won_order(0)),
        ("no such entry", refused(&[0, 3, 5], &[2, 4]), won_order(5)),
        (
            "setters in disorder",
            refused(&[0, 3], &[4, 2]),
            setter_order(2),
        ),
        ("a setter twice", refused(&[0, 3], &[2, 2]), setter_order(2)),
        (
            "no such setter",
            refused(&[0, 3], &[2, 4, u32::MAX]),
            setter_order(u32::MAX),
        ),
        (
            "two units of one slot",
            refused(&[0, 1], &[]),
            CheckError::Slots { bid: 0, slots: 1 },
        ),
        (
            "two winners of one unit",
            refused(&[0, 2], &[]),
            CheckError::Quantity {
                task: 0,
                quantity: 1,
            },
        ),
        (
            "a winner sets its own price",
            refused(&[0, 3], &[0, 4]),
            CheckError::NoSetter { task: 0, bid: 0 },
        ),
        (
            "two setters",
            refused(&[0, 3], &[1, 2, 4]),
            CheckError::SecondSetter { task: 1 },
        ),
        (
            "a price for a spare unit",
            refused(&[0], &[3]),
            CheckError::SpareUnit { task: 1 },
        ),
        (
            "a circle of prices",
            refused(&[0, 3], &[1, 2]),
            CheckError::Circle { task: 0 },
        ),
        ("a unit kept back", refused(&[0], &[2]), not_optimal(0, 1)),
        (
            "another assignment",
            refused(&[1, 2], &[]),
            not_optimal(0, 0),
        ),
        ("no prices", refused(&[0, 3], &[]), not_optimal(1, 0)),
        (
            "a price left out",
            refused(&[0, 3], &[2]),
            not_optimal(2, 1),
        ),
        (
            "another setter",
            refused(&[0, 3], &[1, 2]),
            CheckError::Circle { task: 0 },
        ),
        (
            "a price above the reserve",
            refused(&[0, 3], &[1]),
            CheckError::TaskPrice { task: 1 },
        ),
        (
            "no nonce",
            refusal(&two, tie::BITS, 8, &[0, 3], &[2, 4]),
            CheckError::NonceBound { found: 8 },
        ),
        (
            "another nonce",
            refusal(&two, tie::BITS, 1, &[0, 3], &[2, 4]),
            CheckError::Nonce {
                expected: 0,
                found: 1,
            },
        ),
    ] {
        assert_eq!(error, expected, "{desc}");
    }
    let old = Witness::V1 {
        nonce: 0,
        winners: vec![vec![0], vec![1]],
    };
    let error = check(&two, &seed(0), VCG, &old).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a witness of form 1, this build reads form 2: a chain made by an earlier build is checked by that build"
    );
}

#[test]
fn conditions_on_ties_refuse_what_breaks_them() {
    // Without hash bits every h is 1.
    let one = |prices: &[u64]| {
        let bids: Vec<_> = prices.iter().map(std::slice::from_ref).collect();
        let bids: Vec<_> = bids.into_iter().map(|p| (1, 0, p)).collect();
        market(&[(100, 1)], &bids)
    };
    let refused =
        |market: &Market, won: &[u32], setters: &[u32]| refusal(market, 0, 0, won, setters);
    let pair = market(&[(100, 1), (100, 1)], &[(2, 0, &[80, 90])]);
    let same = market(&[(100, 1), (100, 1)], &[(2, 0, &[80, 80])]);
    let spare = market(&[(100, 2)], &[(1, 0, &[100])]);
    let zero = market(&[(100, 1)], &[(1, 0, &[100]), (1, 0, &[100])]);
    for (desc, error, expected) in [
        (
            "either may win",
            refused(&one(&[50, 50]), &[0], &[1]),
            CheckError::NotUnique,
        ),
        (
            "the second of two equal setters",
            refused(&one(&[10, 50, 50]), &[0], &[2]),
            CheckError::NotFirstSetter { task: 0 },
        ),
        (
            "the more profitable unit first",
            refused(&pair, &[0, 1], &[]),
            CheckError::Marginal { bid: 0 },
        ),
        (
            "the later of two equal units first",
            refused(&same, &[1, 0], &[]),
            CheckError::Marginal { bid: 0 },
        ),
        (
            "a bid at the reserve left out",
            refused(&spare, &[], &[]),
            CheckError::NotOptimal { bid: 0, task: 0 },
        ),
        (
            "equal bids at the reserve",
            refused(&zero, &[0], &[1]),
            CheckError::NotUnique,
        ),
        (
            "equal bids at the reserve, without a price",
            refused(&zero, &[0], &[]),
            CheckError::NotOptimal { bid: 1, task: 0 },
        ),
    ] {
        assert_eq!(error, expected, "{desc}");
    }
    // With hash bits one of the equal bids wins, and the other, at the reserve too, sets the price by its h.
    let (witness, clearing) = clear(&zero, &seed(0), VCG).unwrap();
    let Witness::V2 { won, setters, .. } = witness else {
        panic!("form 2");
    };
    assert_eq!((won.len(), setters.len()), (1, 1));
    let refused = |won: &[u32], setters: &[u32]| refusal(&zero, tie::BITS, 0, won, setters);
    let (winner, loser) = (won[0], setters[0]);
    assert_eq!(
        refused(&[loser], &[winner]),
        CheckError::NotOptimal {
            bid: loser,
            task: 0
        }
    );
    assert_eq!(
        refused(&[winner], &[]),
        CheckError::NotOptimal {
            bid: loser,
            task: 0
        }
    );
    assert_eq!(clearing.awards[0].payment, Price(100));
}

/// `count` tasks of one unit; bid `b` asks 100 for task `b − 1` and 99 for task `b`, but the last has none, so its loss sets all prices.
fn chain(count: u32) -> Market {
    let tasks = (0..count).map(|id| MarketTask {
        id,
        reserve: MAX_PRICE,
        quantity: 1,
    });
    let mut ids: Vec<_> = (0..=u64::from(count)).map(bid_id).collect();
    ids.sort_unstable();
    let bids = (0..=count).zip(ids).map(|(b, bid_id)| {
        let bid = MarketBid {
            bid_id,
            bidder: PublicKey(bid_id.0),
            slots: 1,
            bonus: 0,
        };
        let entries = [(b.wrapping_sub(1), Price(100)), (b, Price(99))];
        (bid, entries.into_iter().filter(move |(t, _)| *t < count))
    });
    Market::new(tasks.collect(), bids).unwrap()
}

#[test]
fn prices_that_follow_from_one_another_over_thousands_of_tasks_are_found_without_recursion() {
    let count = 30_000;
    let market = chain(count);
    // Entry 0 is bid 0's for task 0; then two for each bid, for the task before and its own.
    let right = Witness::V2 {
        nonce: 0,
        won: (0..count).map(|b| 2 * b).collect(),
        setters: (0..count).map(|b| 2 * b + 1).collect(),
    };
    let clearing = check(&market, &seed(0), VCG, &right).unwrap();
    let payment = |task: u32| 100 + u64::from(count - 1 - task);
    for award in &clearing.awards {
        assert_eq!(
            (award.bid, award.payment.0),
            (award.task as usize, payment(award.task))
        );
    }
    // Closed to a circle by a price that the first bid's other task sets.
    let mut rows: Vec<_> = (0..=count as usize)
        .map(|b| {
            (
                market.bid(b).unwrap(),
                market.entries(b).collect::<Vec<_>>(),
            )
        })
        .collect();
    rows[0].1.push((count - 1, Price(100)));
    let closed = Market::new(market.tasks().to_vec(), rows).unwrap();
    let circle = Witness::V2 {
        nonce: 0,
        won: (0..count).map(|b| 2 * b + u32::from(b > 0)).collect(),
        setters: [vec![1], (1..count).map(|b| 2 * b).collect()].concat(),
    };
    let error = check(&closed, &seed(0), VCG, &circle).unwrap_err();
    assert_eq!(error, CheckError::Circle { task: 0 });
}

#[test]
fn the_order_of_rows_changes_nothing_but_positions() {
    let mut draw = Draw(8);
    for number in 0..500 {
        // Money decides: prices are far apart.
        let mut rows = small(&mut draw);
        for task in &mut rows.tasks {
            task.reserve = Price(MAX_PRICE.0 - draw.below(1 << 40));
        }
        for (bid, entries) in &mut rows.bids {
            bid.bidder = PublicKey(bid.bid_id.0);
            for (_, price) in entries {
                price.0 = 1 + draw.below(1 << 49);
            }
        }
        // The same bids under other ids stand in another order, of other hashes.
        let mut other = rows.clone();
        for (bid, _) in &mut other.bids {
            bid.bid_id = bid_id(draw.next());
        }
        other.bids.sort_by_key(|(bid, _)| bid.bid_id);
        let paid = |rows: &Rows| {
            let market = rows.market();
            let (witness, _) = clear(&market, &seed(number), VCG).unwrap();
            let clearing = check(&market, &seed(number), VCG, &witness).unwrap();
            let paid = clearing.awards.iter();
            let paid = paid.map(|a| (a.task, market.bidders()[a.bid], a.price, a.payment));
            let mut paid: Vec<_> = paid.collect();
            paid.sort();
            (clearing.total_surplus, paid)
        };
        assert_eq!(paid(&rows), paid(&other), "{number} {rows:?}");
    }
}

#[test]
fn anything_at_all_is_answered_at_once() {
    let mut draw = Draw(9);
    let mut checker = Checker::default();
    for _ in 0..200_000 {
        let market = odd(&mut draw);
        let entries = market.entry_count() as u64;
        let range = [entries + 1, 2 * entries + 1, 1 << 32][draw.below(3) as usize];
        let mut list = || -> Vec<u32> {
            let count = draw.below(entries + 2);
            let mut list: Vec<_> = (0..count).map(|_| draw.below(range) as u32).collect();
            if draw.below(4) > 0 {
                list.sort_unstable();
                list.dedup();
            }
            list
        };
        let (won, setters) = (list(), list());
        let witness = Witness::V2 {
            nonce: draw.below(2) as u32,
            won,
            setters,
        };
        let bits = [0, tie::BITS][draw.below(2) as usize];
        let rule = PaymentRule::PayAsBid;
        let verdict = checker.check_with(&market, &seed(1), rule, &witness, bits);
        if let Ok(clearing) = verdict {
            let right = clear_with(&market, &seed(1), rule, bits);
            assert_eq!(right, Ok((witness, clearing)));
        }
    }
}
