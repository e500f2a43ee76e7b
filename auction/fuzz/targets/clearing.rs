//! Any small market with any witness: the checker says yes to exactly one, the solver's; nobody is paid less than asked or more than the reserve,
//! nobody serves twice or beyond its slots, and no unit twice.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;
use tender_auction::clearing::{
    CheckError, Checker, ClearingError, Market, MarketBid, MarketTask, PaymentRule, Witness, check,
    clear,
};
use tender_wire::{BidId, Digest, Price, PublicKey};

#[derive(Arbitrary, Debug)]
struct Case {
    tasks: Vec<(u8, u64, u8)>,
    bids: Vec<(u8, u8, u8, Vec<(u8, u64)>)>,
    /// Whether the market is put right first, so that clearing is reached.
    sound: bool,
    small: bool,
    vcg: bool,
    seed: [u8; 32],
    /// Winners by task, as form 1 has them, or entries and setters, as form 2 does.
    old: Option<(u32, Vec<Vec<u32>>)>,
    witness: Option<(u32, Vec<u32>, Vec<u32>)>,
    change: (u8, u8, u32),
}

fn market(case: &Case) -> Result<Market, ClearingError> {
    let most = if case.small { 7 } else { 1_000_000_000_000_000 };
    let price = |price: u64| Price(if case.sound { price % most + 1 } else { price });
    let mut tasks: Vec<_> = case
        .tasks
        .iter()
        .take(12)
        .map(|(id, reserve, quantity)| MarketTask {
            id: u32::from(*id),
            reserve: price(*reserve),
            quantity: u32::from(*quantity % 5) + u32::from(case.sound),
        })
        .collect();
    let mut bids: Vec<_> = case
        .bids
        .iter()
        .take(16)
        .map(|(id, bidder, slots, entries)| {
            let bid = MarketBid {
                bid_id: BidId([*id; 32]),
                bidder: PublicKey([*bidder; 32]),
                slots: u32::from(*slots % 5) + u32::from(case.sound),
                bonus: u64::from(*id % 3),
            };
            let entries = entries.iter().take(12);
            let entries = entries.map(|(task, p)| (u32::from(*task), price(*p)));
            (bid, entries.collect::<Vec<_>>())
        })
        .collect();
    if case.sound {
        tasks.sort_by_key(|task| task.id);
        tasks.dedup_by_key(|task| task.id);
        let reserves: BTreeMap<_, _> = tasks.iter().map(|task| (task.id, task.reserve)).collect();
        bids.sort_by_key(|(bid, _)| bid.bid_id);
        bids.dedup_by_key(|(bid, _)| bid.bid_id);
        for (bid, entries) in &mut bids {
            entries.sort_by_key(|entry| entry.0);
            entries.dedup_by_key(|entry| entry.0);
            entries.retain(|(task, price)| {
                let reserve = reserves.get(task);
                reserve.is_some_and(|reserve| price.0 <= reserve.0 + bid.bonus)
            });
        }
        bids.retain(|(_, entries)| !entries.is_empty());
    }
    Market::new(tasks, bids)
}

fuzz_target!(|data: &[u8]| {
    let Ok(case) = Case::arbitrary_take_rest(Unstructured::new(data)) else {
        return;
    };
    let Ok(market) = market(&case) else {
        assert!(!case.sound);
        return;
    };
    let rule = if case.vcg {
        PaymentRule::Vcg
    } else {
        PaymentRule::PayAsBid
    };
    let seed = Digest(case.seed);
    let old = case
        .old
        .clone()
        .map(|(nonce, winners)| Witness::V1 { nonce, winners });
    if let Some(old) = old {
        let verdict = check(&market, &seed, rule, &old);
        assert!(matches!(verdict, Err(CheckError::Form { found: 1, .. })));
    }
    let given = case
        .witness
        .clone()
        .map(|(nonce, won, setters)| Witness::V2 {
            nonce,
            won,
            setters,
        });
    let Ok((witness, clearing)) = clear(&market, &seed, rule) else {
        if let Some(given) = given {
            assert!(check(&market, &seed, rule, &given).is_err());
        }
        return;
    };
    assert_eq!(
        check(&market, &seed, rule, &witness).as_ref(),
        Ok(&clearing)
    );
    // The checker's memory serves one market after another.
    let mut checker = Checker::default();
    let mut accepts = |given: &Witness| checker.check(&market, &seed, rule, given).is_ok();
    if let Some(given) = given {
        assert_eq!(accepts(&given), given == witness);
    }
    let Witness::V2 {
        nonce,
        mut won,
        mut setters,
    } = witness.clone()
    else {
        panic!("form 2 is what is made");
    };
    let (list, place, to) = case.change;
    let list = if list % 2 == 0 {
        &mut won
    } else {
        &mut setters
    };
    match list.len() {
        0 => list.push(to),
        len => list[usize::from(place) % len] = to,
    }
    let changed = Witness::V2 {
        nonce,
        won,
        setters,
    };
    assert_eq!(accepts(&changed), changed == witness);
    assert!(accepts(&witness));

    let (mut of_bid, mut of_task) = (BTreeMap::new(), BTreeMap::new());
    for award in &clearing.awards {
        let bid = market.bid(award.bid).expect("a bid");
        let (position, task) = market.task(award.task).expect("a task");
        let entry = market.entry_of(award.bid, position).expect("an entry");
        let asked = Price(market.entry_prices()[entry]);
        let most = Price(task.reserve.0 + bid.bonus);
        assert!(asked <= award.payment && award.payment <= most);
        *of_bid.entry(award.bid).or_insert(0u32) += 1;
        let units = of_task.entry(award.task).or_insert_with(Vec::new);
        assert!(!units.contains(&award.bid));
        units.push(award.bid);
        assert!(units.len() <= task.quantity as usize && of_bid[&award.bid] <= bid.slots);
    }
});
