//! Who came close: the lowest winner and the runners-up of every task, from a clearing. The definitions stand in the parent's documentation.

// Every index below is a position that the checked market holds.
#![allow(clippy::indexing_slicing)]

use super::{
    Clearing, Market,
    tie::{self, TieKey},
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};
use tender_wire::Digest;

/// Lowest winners and runners-up of a cleared market, by task id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standings {
    /// Per task with any: positions of losing bids with a free slot, best first.
    pub runners_up: BTreeMap<u32, Vec<usize>>,
    /// Per task with a winner: position of the winning bid with the least weight.
    pub lowest: BTreeMap<u32, usize>,
}

/// The standings of `market` after `clearing`, which is its clearing under `seed`.
pub fn standings(market: &Market, seed: &Digest, clearing: &Clearing) -> Standings {
    standings_with(market, seed, clearing, tie::BITS)
}

/// [`standings`] with `bits` of tie-breaking hash.
pub(super) fn standings_with(
    market: &Market,
    seed: &Digest,
    clearing: &Clearing,
    bits: u32,
) -> Standings {
    let key = TieKey::new(seed, clearing.nonce, bits);
    let won: BTreeSet<(u32, usize)> = clearing.awards.iter().map(|a| (a.task, a.bid)).collect();
    let mut used = vec![0u32; market.bid_count()];
    for award in &clearing.awards {
        used[award.bid] = used[award.bid].saturating_add(1);
    }

    let mut lowest: BTreeMap<u32, (_, usize)> = BTreeMap::new();
    let mut waiting: BTreeMap<u32, Vec<_>> = BTreeMap::new();
    for (bid, id) in market.bid_ids().iter().enumerate() {
        let free = used[bid] < market.slots()[bid];
        for (e, (task, price)) in market.entries_of(bid).zip(market.entries(bid)) {
            let has_won = won.contains(&(task, bid));
            if !free && !has_won {
                continue;
            }
            let worth = market.tasks()[market.entry_tasks()[e] as usize].reserve.0;
            let worth = worth.saturating_add(market.bonuses()[bid]);
            let weight = (worth.saturating_sub(price.0), key.h(id, task));
            let ranked = (Reverse(weight), bid);
            if has_won {
                let last = lowest.entry(task).or_insert(ranked);
                *last = ranked.max(*last);
            } else {
                waiting.entry(task).or_default().push(ranked);
            }
        }
    }
    let ranked = waiting.into_iter().map(|(task, mut bids)| {
        bids.sort_unstable();
        (task, bids.into_iter().map(|(_, bid)| bid).collect())
    });
    Standings {
        runners_up: ranked.collect(),
        lowest: lowest.into_iter().map(|(t, (_, bid))| (t, bid)).collect(),
    }
}
