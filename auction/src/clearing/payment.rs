//! VCG payments: a bidder's profit, spread over what it won. The rule and its proof stand in the parent's documentation.
//!
//! A bidder with one bid and one slot has exactly the worth of that slot under the least duals of the tasks: `V − V₋ᵢ = u` (Leonard 1983). Of
//! any other bidder all units are taken away and offered again, one by one, to everybody else: a reverse search each
//! ([`super::solve`]), near by as a rule, and undone afterwards.

// Positions below the bounds of a market.
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{
    Market,
    solve::{NONE, Optimum, Workspace},
};
use std::cmp::Reverse;

/// What each winner of `optimum` gets above its price, in its order. It must be what `workspace` solved last.
pub(super) fn vcg_shares(
    workspace: &mut Workspace,
    market: &Market,
    optimum: &Optimum,
) -> Vec<u64> {
    let shares = shares_by_entry(workspace, market);
    let won = optimum.winners.iter();
    won.map(|entry| shares[*entry as usize]).collect()
}

/// What each winner gets above its price, by entry, of what `workspace` has solved or taken over.
pub(super) fn shares_by_entry(workspace: &mut Workspace, market: &Market) -> Vec<u64> {
    let mut shares = vec![0u64; market.entry_count()];
    let mut alone = vec![true; market.bid_count()];
    let mut won: Vec<u32> = Vec::new();
    for bids in market.shared_bids() {
        for bid in bids {
            alone[*bid as usize] = false;
        }
        workspace.won_by(market, bids, &mut won);
        // By task, then bid: entries of a bid are in order of tasks already.
        let task = |entry: &u32| market.entry_tasks()[*entry as usize];
        won.sort_unstable_by_key(|entry| (task(entry), *entry));
        share(workspace, market, bids, &won, &mut shares);
    }
    for (bid, _) in alone.iter().enumerate().filter(|(_, alone)| **alone) {
        let bids = [bid as u32];
        if let Some((entry, worth)) = workspace.only_slot(market, bids[0]) {
            if entry != NONE {
                shares[entry as usize] = worth;
            }
            continue;
        }
        workspace.won_by(market, &bids, &mut won);
        share(workspace, market, &bids, &won, &mut shares);
    }
    shares
}

/// Spreads the profit of the bidder with these bids over what it won.
fn share(
    workspace: &mut Workspace,
    market: &Market,
    bids: &[u32],
    won: &[u32],
    shares: &mut [u64],
) {
    if won.is_empty() {
        return;
    }
    let surpluses: Vec<u64> = won.iter().map(|entry| workspace.surplus(*entry)).collect();
    let profit = workspace.contribution(market, bids, won);
    for (entry, share) in won.iter().zip(split(profit, &surpluses)) {
        shares[*entry as usize] = share;
    }
}

/// Splits `profit ≤ Σ surplus` in proportion to surplus: floors, then one more for the largest remainders, earlier units
/// first among equals. No share exceeds its surplus.
fn split(profit: u128, surpluses: &[u64]) -> Vec<u64> {
    let sum: u128 = surpluses.iter().map(|s| u128::from(*s)).sum();
    let mut shares = Vec::with_capacity(surpluses.len());
    let mut remainders = Vec::with_capacity(surpluses.len());
    let mut left = profit;
    for (index, surplus) in surpluses.iter().enumerate() {
        let product = profit.saturating_mul(u128::from(*surplus)); // below 2^120
        let floor = product.checked_div(sum).unwrap_or(0);
        remainders.push((Reverse(product.checked_rem(sum).unwrap_or(0)), index));
        left = left.saturating_sub(floor);
        shares.push(u64::try_from(floor).unwrap_or(u64::MAX)); // at most the surplus
    }
    remainders.sort_unstable();
    for (_, index) in remainders {
        if left == 0 {
            break;
        }
        left = left.saturating_sub(1);
        if let Some(share) = shares.get_mut(index) {
            *share = share.saturating_add(1);
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn profit_is_split_in_proportion_with_largest_remainders_in_task_order() {
        for (desc, profit, surpluses, expected) in [
            ("nothing won", 0, &[][..], &[][..]),
            ("no surplus", 0, &[0, 0], &[0, 0]),
            ("all of it", 9, &[2, 3, 4], &[2, 3, 4]),
            ("even", 6, &[4, 4, 4], &[2, 2, 2]),
            ("ties go to the earlier", 7, &[4, 4, 4], &[3, 2, 2]),
            ("largest remainder first", 5, &[1, 2, 5], &[1, 1, 3]),
            ("zero surplus gets none", 1, &[0, 1, 1], &[0, 1, 0]),
        ] {
            assert_eq!(split(profit, surpluses), expected, "{desc}");
        }
    }
}
