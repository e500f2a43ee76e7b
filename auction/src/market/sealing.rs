//! The market's side of sealing: how many members may be faulty, and which keys and reveals a member owes.
//!
//! Sealing counts members while consensus counts power, so `n >= 3f + 1` is demanded of every validator set, where `f` is the
//! largest number of members that can together hold less than a third of the power.

use super::{
    auction::{Auction, Committee, Phase},
    state::MarketState,
};
use crate::{
    seal::{CommitteeSecret, SealSeed},
    transaction::{SealKeyTx, SealRevealTx, Transaction},
};
use tender_consensus::validators::ValidatorSet;
use tender_wire::{BlockId, SecretKey};

/// Largest number of members that can together hold less than a third of the power.
pub fn faulty(validators: &ValidatorSet) -> u16 {
    let mut powers: Vec<_> = validators
        .as_slice()
        .iter()
        .map(|v| u128::from(v.power.0))
        .collect();
    powers.sort_unstable();
    let mut held = 0u128;
    let mut members = 0u16;
    for power in powers {
        held = held.saturating_add(power);
        if held.saturating_mul(3) >= validators.total() {
            break;
        }
        members = members.saturating_add(1);
    }
    members
}

/// Whether sealing is safe with this set: `n >= 3f + 1`.
pub fn is_balanced(validators: &ValidatorSet) -> bool {
    validators.len() > usize::from(faulty(validators)).saturating_mul(3)
}

impl Committee {
    /// The committee of an auction opened under this set.
    pub fn of(validators: &ValidatorSet) -> Self {
        Committee {
            members: validators.as_slice().iter().map(|v| v.key).collect(),
            faulty: faulty(validators),
        }
    }
}

/// The seal keys and reveals a member owes, given a durably committed state whose last block is `tip`. Nothing that is on
/// chain already is owed again, so the call can be repeated after every block.
///
/// Never call it with a state that is not committed: a reveal before the closing block is final opens bids early (THREATS T20).
pub fn duties(
    state: &MarketState,
    tip: BlockId,
    member: &SecretKey,
    seed: &SealSeed,
) -> Vec<Transaction> {
    let key = member.public();
    let auctions = state.auctions.by_id.values();
    auctions
        .filter_map(|auction| duty(state, auction, tip, member, &key, seed))
        .collect()
}

fn duty(
    state: &MarketState,
    auction: &Auction,
    tip: BlockId,
    member: &SecretKey,
    key: &tender_wire::PublicKey,
    seed: &SealSeed,
) -> Option<Transaction> {
    if auction.committee.members.binary_search(key).is_err() {
        return None;
    }
    let chain = state.chain();
    let opening = auction.opening_block.unwrap_or(tip);
    let secret = || CommitteeSecret::derive(seed, &chain, &auction.id, &opening);
    match auction.phase {
        Phase::Keys { until } if state.height() < until && !auction.keys.contains_key(key) => {
            let (sealing, proof) = secret().announce(&chain, &auction.id, key);
            let announced = SealKeyTx::new(&chain, member, auction.id, sealing, proof);
            Some(Transaction::SealKey(announced))
        }
        Phase::Reveal { until, .. } if state.height() < until => {
            let rank = auction.rank(key)?;
            let reveal = secret().reveal();
            let fits = auction
                .key_at(rank)
                .is_some_and(|announced| crate::seal::check_reveal(announced, &reveal).is_ok());
            let owed = fits && !auction.reveals.contains_key(&rank);
            let auction = auction.id;
            owed.then_some(Transaction::SealReveal(SealRevealTx {
                auction,
                rank,
                reveal,
            }))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tender_consensus::validators::Validator;
    use tender_wire::Power;

    fn set(powers: &[u64]) -> ValidatorSet {
        let validators = powers.iter().zip(1u8..).map(|(power, i)| Validator {
            key: SecretKey::from_seed(&mut [i; 32]).public(),
            power: Power(*power),
        });
        ValidatorSet::new(validators.collect()).unwrap()
    }

    #[test]
    fn f_is_counted_in_members_and_balance_refuses_many_small_ones() {
        for (powers, f, balanced) in [
            (vec![1], 0, true),
            (vec![1; 3], 0, true),
            (vec![1; 4], 1, true),
            (vec![1; 6], 1, true),
            (vec![1; 7], 2, true),
            (vec![1, 1, 1, 97], 3, false),
            (vec![10, 10, 10, 11], 1, true),
            (vec![u64::MAX; 100], 33, true),
        ] {
            assert_eq!(faulty(&set(&powers)), f, "{powers:?}");
            assert_eq!(is_balanced(&set(&powers)), balanced, "{powers:?}");
        }
    }
}
