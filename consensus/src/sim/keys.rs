//! Keys and sets for tests.

use crate::validators::{Validator, ValidatorSet};
use tender_wire::{Power, SecretKey};

/// The key of test validator `n`.
pub fn test_key(n: u64) -> SecretKey {
    let mut seed = [0; 32];
    let (low, _) = seed.split_at_mut(8);
    low.copy_from_slice(&n.to_le_bytes());
    SecretKey::from_seed(&mut seed)
}

/// A set of test validators with these powers, given to keys in key order.
#[allow(clippy::expect_used)] // fixed keys, for tests
pub fn test_validators(powers: &[u64]) -> ValidatorSet {
    let mut keys: Vec<_> = (0u64..)
        .take(powers.len())
        .map(|n| test_key(n).public())
        .collect();
    keys.sort_unstable();
    let validators = keys.into_iter().zip(powers).map(|(key, power)| Validator {
        key,
        power: Power(*power),
    });
    ValidatorSet::new(validators.collect()).expect("test powers are positive")
}
