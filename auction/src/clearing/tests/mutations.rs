//! Of all witnesses of a market the checker accepts one.

use super::markets::{Draw, Row, seed, small};
use crate::clearing::{
    CheckError, Checker, Market, MarketBid, MarketTask, PaymentRule, Witness, clear_with, tie,
};
use std::collections::BTreeMap;
use tender_wire::{Price, PublicKey};

/// Form 2, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Parts {
    nonce: u32,
    won: Vec<u32>,
    setters: Vec<u32>,
}

impl Parts {
    fn of(witness: Witness) -> Parts {
        match witness {
            Witness::V2 {
                nonce,
                won,
                setters,
            } => Parts {
                nonce,
                won,
                setters,
            },
            Witness::V1 { .. } => panic!("form 1 is never solved for"),
        }
    }

    fn witness(&self) -> Witness {
        Witness::V2 {
            nonce: self.nonce,
            won: self.won.clone(),
            setters: self.setters.clone(),
        }
    }
}

/// How often each condition refused.
#[derive(Default)]
struct Refusals(BTreeMap<String, u32>);

impl Refusals {
    fn count(&mut self, error: &CheckError) {
        let name = format!("{error:?}");
        let name = name.split([' ', '{', '(']).next().unwrap_or_default();
        *self.0.entry(name.to_string()).or_default() += 1;
    }
}

fn mutate(draw: &mut Draw, parts: &mut Parts, others: &[Parts], entries: u64) {
    let other = &others[draw.below(others.len() as u64) as usize];
    let entry = draw.below(entries + 1) as u32;
    let kind = draw.below(14);
    let list = match draw.below(2) {
        0 => &mut parts.won,
        _ => &mut parts.setters,
    };
    let place = draw.below(list.len().max(1) as u64) as usize;
    let second = draw.below(list.len().max(1) as u64) as usize;
    match kind {
        0 if list.len() > 1 => list.swap(place, second),
        1 => list.insert(place, entry),
        2 => {
            list.push(entry);
            list.sort_unstable();
        }
        3 if !list.is_empty() => {
            list.remove(place);
        }
        4 if !list.is_empty() => list[place] = entry,
        5 if !list.is_empty() => list[place] = list[place].wrapping_add(1),
        6 if !list.is_empty() => list[place] = list[place].wrapping_sub(1),
        7 if !list.is_empty() => list[place] ^= 1 << draw.below(32),
        8 => list.truncate(place),
        9 => parts.won.clone_from(&other.won),
        10 => parts.setters.clone_from(&other.setters),
        11 => *parts = other.clone(),
        12 => parts.nonce = [0, 1, 7, 8, u32::MAX][draw.below(5) as usize],
        _ if !parts.won.is_empty() => {
            // A unit for the one that sets its price, or another.
            let place = draw.below(parts.won.len() as u64) as usize;
            let from = parts.won.remove(place);
            match parts.setters.get(second) {
                Some(&to) => {
                    parts.setters[second] = from;
                    parts.won.push(to);
                }
                None => parts.won.push(entry),
            }
            parts.setters.sort_unstable();
            parts.won.sort_unstable();
        }
        _ => {}
    }
}

/// Mutations of right witnesses, and right witnesses of the same market under other seeds and hashes: other optima, with other setters.
#[test]
fn a_million_mutated_witnesses_are_refused() {
    let mut draw = Draw(4);
    let mut refusals = Refusals::default();
    let mut checker = Checker::default();
    let (mut mutants, mut same) = (0u32, 0u32);
    for number in 0..12_000 {
        let market = small(&mut draw).market();
        let bits = [tie::BITS, 2, 3, 8][(number % 4) as usize];
        let clear =
            |seed_of, bits| clear_with(&market, &seed(seed_of), PaymentRule::PayAsBid, bits);
        let Ok((right, clearing)) = clear(number, bits) else {
            continue;
        };
        let right = Parts::of(right);
        let mut others = vec![right.clone()];
        for (seed_of, bits) in [(1 << 40 | number, tie::BITS), (number, 1), (number, 4)] {
            others.extend(clear(seed_of, bits).map(|(witness, _)| Parts::of(witness)));
        }
        for _ in 0..130 {
            let mut mutant = right.clone();
            for _ in 0..1 + draw.below(3) {
                mutate(&mut draw, &mut mutant, &others, market.entry_count() as u64);
            }
            let rule = PaymentRule::PayAsBid;
            let verdict = checker.check_with(&market, &seed(number), rule, &mutant.witness(), bits);
            mutants += 1;
            if mutant == right {
                same += 1;
                assert_eq!(verdict.as_ref(), Ok(&clearing));
                continue;
            }
            match verdict {
                Err(error) => refusals.count(&error),
                Ok(_) => panic!("{number} {bits} {market:?}\n{mutant:?} for\n{right:?}"),
            }
        }
    }
    println!("{mutants} mutants, {same} of them right: {:?}", refusals.0);
    assert!(mutants - same >= 1_000_000, "{mutants} {same}");
    let seen: Vec<_> = refusals.0.keys().map(String::as_str).collect();
    assert_eq!(
        seen,
        [
            "Circle",
            "Marginal",
            "NoSetter",
            "Nonce",
            "NonceBound",
            "NotFirstSetter",
            "NotOptimal",
            "NotUnique",
            "Quantity",
            "SecondSetter",
            "SetterOrder",
            "Slots",
            "SpareUnit",
            "TaskPrice",
            "WonOrder",
        ]
    );
}

/// All lists without repetition of numbers below `entries`.
fn lists(entries: u32) -> Vec<Vec<u32>> {
    let mut lists = vec![vec![]];
    let mut at = 0;
    while let Some(list) = lists.get(at).cloned() {
        for entry in (0..entries).filter(|e| !list.contains(e)) {
            lists.push([&list[..], &[entry]].concat());
        }
        at += 1;
    }
    lists
}

/// A market of at most three entries: one or two bids, one or two tasks.
fn tiny(draw: &mut Draw) -> Market {
    let tasks: Vec<_> = (0..1 + draw.below(2) as u32)
        .map(|id| MarketTask {
            id,
            reserve: Price(1 + draw.below(3)),
            quantity: draw.below(4).min(2) as u32,
        })
        .collect();
    let mut left = 3;
    let mut bids: Vec<Row> = (0..1 + draw.below(3))
        .map(|_| {
            let bid = MarketBid {
                bid_id: super::markets::bid_id(draw.next()),
                bidder: PublicKey([draw.below(3) as u8; 32]),
                slots: draw.below(5).min(2) as u32,
                bonus: draw.below(2),
            };
            let mut entries = Vec::new();
            for task in &tasks {
                if left > 0 && draw.below(4) > 0 {
                    left -= 1;
                    let most = task.reserve.0 + bid.bonus;
                    entries.push((task.id, Price(1 + draw.below(most))));
                }
            }
            (bid, entries)
        })
        .collect();
    bids.sort_by_key(|(bid, _)| bid.bid_id);
    Market::new(tasks, bids).unwrap()
}

#[test]
fn of_all_witnesses_of_a_tiny_market_exactly_one_is_accepted() {
    let mut draw = Draw(6);
    let mut checker = Checker::default();
    let all: Vec<_> = (0..=3).map(lists).collect();
    let mut tried = 0u64;
    let mut several = 0;
    for number in 0..3000 {
        let market = tiny(&mut draw);
        let bits = [tie::BITS, 0, 1, 2][(number % 4) as usize];
        let rule = PaymentRule::PayAsBid;
        let right = clear_with(&market, &seed(number), rule, bits).ok();
        let mut accepted = Vec::new();
        let lists = &all[market.entry_count()];
        for nonce in 0..4 {
            for won in lists {
                for setters in lists {
                    tried += 1;
                    let witness = Witness::V2 {
                        nonce,
                        won: won.clone(),
                        setters: setters.clone(),
                    };
                    let verdict = checker.check_with(&market, &seed(number), rule, &witness, bits);
                    accepted.extend(verdict.ok().map(|clearing| (witness, clearing)));
                }
            }
        }
        let within = right.filter(|(_, clearing)| clearing.nonce < 4);
        several += u32::from(within.as_ref().is_some_and(|(_, c)| c.nonce > 0));
        assert_eq!(
            accepted,
            Vec::from_iter(within),
            "{number} {bits} {market:?}"
        );
    }
    println!("{tried} witnesses, {several} of the right ones with a nonce above 0");
    assert!(tried > 1_000_000 && several > 10);
}
