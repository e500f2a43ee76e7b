//! Keys and sets for tests.

use crate::validators::{Validator, ValidatorSet};
use tender_wire::{Power, SecretKey};

/// `n` fixed keys in the order a validator set has them: key `i` belongs to validator index `i`.
pub fn test_keys(n: usize) -> Vec<SecretKey> {
    let mut keys: Vec<_> = (0u64..).take(n).map(key).collect();
    keys.sort_unstable_by_key(SecretKey::public);
    keys
}

/// The set of [`test_keys`] with these powers.
#[allow(clippy::expect_used)] // fixed keys, for tests
pub fn test_validators(powers: &[u64]) -> ValidatorSet {
    let validators = test_keys(powers.len())
        .into_iter()
        .zip(powers)
        .map(|(key, power)| Validator {
            key: key.public(),
            power: Power(*power),
        });
    ValidatorSet::new(validators.collect()).expect("test powers are positive")
}

fn key(n: u64) -> SecretKey {
    let mut seed = [0; 32];
    let (low, _) = seed.split_at_mut(8);
    low.copy_from_slice(&n.to_le_bytes());
    SecretKey::from_seed(&mut seed)
}
