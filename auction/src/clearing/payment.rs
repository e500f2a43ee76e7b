//! VCG payments: a bidder's profit, spread over what it won. The rule and its proof stand in the parent's documentation.

use super::solve::Matching;
use std::{cmp::Reverse, collections::BTreeMap};

/// What each winner gets above its price, by (task, bid) position.
pub(super) fn vcg_shares(matching: &mut Matching) -> BTreeMap<(usize, usize), u64> {
    matching.minimise_duals();
    let mut shares = BTreeMap::new();
    for (bidder, entries) in matching.by_bidder() {
        let profit = matching.contribution(bidder, &entries);
        let mut units: Vec<_> = entries
            .iter()
            .filter_map(|&e| matching.graph().entries.get(e))
            .map(|e| ((e.task, e.bid), e.surplus))
            .collect();
        units.sort_unstable();
        let surpluses: Vec<u64> = units.iter().map(|(_, surplus)| *surplus).collect();
        let split = split(profit, &surpluses);
        shares.extend(units.iter().map(|(unit, _)| *unit).zip(split));
    }
    shares
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
