//! The definition, executed by enumeration: every assignment of a small market, its weight, the payments. Shares nothing
//! with the solver but the hash of an entry.

use crate::clearing::{Award, Clearing, MAX_NONCES, Market, PaymentRule, Standings, tie::TieKey};
use std::collections::{BTreeMap, BTreeSet};
use tender_wire::{Digest, Price, PublicKey};

/// One entry with its weight.
#[derive(Clone, Copy)]
struct Offer {
    bid: usize,
    task: usize,
    surplus: u64,
    h: u64,
}

/// The best weight found, the first assignment that has it, and how many have it.
struct Best {
    weight: (u64, u128),
    chosen: Vec<usize>,
    count: u64,
}

fn offers(market: &Market, key: &TieKey) -> Vec<Offer> {
    let mut offers = Vec::new();
    for (bid, bid_id) in market.bid_ids().iter().enumerate() {
        for (id, price) in market.entries(bid) {
            let task = market.tasks().iter().position(|t| t.id == id).unwrap();
            offers.push(Offer {
                bid,
                task,
                surplus: market.tasks()[task].reserve.0 + market.bonuses()[bid] - price.0,
                h: key.h(bid_id, id),
            });
        }
    }
    offers
}

/// Visits every assignment.
fn enumerate(market: &Market, offers: &[Offer]) -> Best {
    let mut best = Best {
        weight: (0, 0),
        chosen: Vec::new(),
        count: 0,
    };
    let mut slots: Vec<u32> = market.slots().to_vec();
    let mut units: Vec<u32> = market.tasks().iter().map(|t| t.quantity).collect();
    visit(
        offers,
        0,
        (0, 0),
        &mut slots,
        &mut units,
        &mut vec![],
        &mut best,
    );
    best
}

fn visit(
    offers: &[Offer],
    at: usize,
    weight: (u64, u128),
    slots: &mut [u32],
    units: &mut [u32],
    chosen: &mut Vec<usize>,
    best: &mut Best,
) {
    let Some(offer) = offers.get(at) else {
        if best.count == 0 || weight > best.weight {
            *best = Best {
                weight,
                chosen: chosen.clone(),
                count: 1,
            };
        } else if weight == best.weight {
            best.count += 1;
        }
        return;
    };
    visit(offers, at + 1, weight, slots, units, chosen, best);
    if slots[offer.bid] > 0 && units[offer.task] > 0 {
        slots[offer.bid] -= 1;
        units[offer.task] -= 1;
        chosen.push(at);
        let more = (weight.0 + offer.surplus, weight.1 + u128::from(offer.h));
        visit(offers, at + 1, more, slots, units, chosen, best);
        chosen.pop();
        slots[offer.bid] += 1;
        units[offer.task] += 1;
    }
}

/// Greatest total surplus of a market without one bidder.
fn value_without(market: &Market, offers: &[Offer], bidder: &PublicKey) -> u64 {
    let rest: Vec<_> = offers
        .iter()
        .filter(|o| market.bidders()[o.bid] != *bidder)
        .copied()
        .collect();
    enumerate(market, &rest).weight.0
}

/// The clearing by definition, with `bits` of hash; `None` if no nonce will do.
pub(super) fn clearing(
    market: &Market,
    seed: &Digest,
    rule: PaymentRule,
    bits: u32,
) -> Option<(Clearing, Standings)> {
    let (nonce, offers, best) = (0..MAX_NONCES).find_map(|nonce| {
        let offers = offers(market, &TieKey::new(seed, nonce, bits));
        let best = enumerate(market, &offers);
        (best.count == 1).then_some((nonce, offers, best))
    })?;
    let won: BTreeSet<_> = best.chosen.iter().copied().collect();
    let mut units: Vec<_> = best.chosen.iter().map(|&o| offers[o]).collect();
    units.sort_by_key(|o| (o.task, o.bid));

    let mut payments = BTreeMap::new();
    for bidder in market.bidders().iter().copied().collect::<BTreeSet<_>>() {
        let own: Vec<_> = units
            .iter()
            .filter(|o| market.bidders()[o.bid] == bidder)
            .collect();
        let profit = match rule {
            PaymentRule::Vcg => best.weight.0 - value_without(market, &offers, &bidder),
            PaymentRule::PayAsBid => 0,
        };
        let sum = own.iter().map(|o| o.surplus).sum::<u64>().max(1); // if 0, so is the profit
        let mut shares: Vec<u64> = own.iter().map(|o| profit * o.surplus / sum).collect();
        let mut order: Vec<usize> = (0..own.len()).collect();
        order.sort_by_key(|&i| std::cmp::Reverse(profit * own[i].surplus % sum));
        let missing = (profit - shares.iter().sum::<u64>()) as usize;
        for &i in &order[..missing] {
            shares[i] += 1;
        }
        for (o, share) in own.iter().zip(shares) {
            let price = market.tasks()[o.task].reserve.0 + market.bonuses()[o.bid] - o.surplus;
            payments.insert((o.task, o.bid), (Price(price), Price(price + share)));
        }
    }

    let mut clearing = Clearing {
        nonce,
        awards: Vec::new(),
        total_surplus: best.weight.0.into(),
    };
    let mut standings = Standings::default();
    for ((task, bid), (price, payment)) in payments {
        clearing.awards.push(Award {
            task: market.tasks()[task].id,
            bid,
            price,
            payment,
        });
    }
    for (task, about) in market.tasks().iter().enumerate() {
        let free = |bid: usize| {
            let used = units.iter().filter(|o| o.bid == bid).count();
            used < market.slots()[bid] as usize
        };
        let mut ranked: Vec<_> = (0..offers.len())
            .filter(|&o| offers[o].task == task)
            .collect();
        ranked.sort_by_key(|&o| {
            std::cmp::Reverse((
                offers[o].surplus,
                offers[o].h,
                std::cmp::Reverse(offers[o].bid),
            ))
        });
        if let Some(&o) = ranked.iter().rev().find(|o| won.contains(o)) {
            standings.lowest.insert(about.id, offers[o].bid);
        }
        let waiting: Vec<_> = ranked
            .iter()
            .filter(|o| !won.contains(o) && free(offers[**o].bid))
            .map(|&o| offers[o].bid)
            .collect();
        if !waiting.is_empty() {
            standings.runners_up.insert(about.id, waiting);
        }
    }
    Some((clearing, standings))
}
