//! Validator sets: who votes, with how much power.
//!
//! Invariant: sorted by key, keys distinct and not weak, powers at least 1, never empty, at most [`MAX_VALIDATORS`].
//! Powers are summed in `u128`, which cannot overflow under that bound.
//!
//! Layout: the canonical encoding of `Vec<(key[32], power u64)>`; `validators_hash = hash(Validators, [that])`.

use serde::{Deserialize, Serialize};
use tender_wire::{Digest, Power, PublicKey, Tag, hash_of};

/// Largest set. Bounds a certificate to 16 KiB of signatures and a vote bundle per round.
pub const MAX_VALIDATORS: usize = 256;

/// One validator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Validator {
    /// Consensus key.
    pub key: PublicKey,
    /// Voting power, at least 1.
    pub power: Power,
}

/// Rank of a validator in its set, in key order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ValidatorIndex(pub u16);

/// A set of validators in key order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<Validator>", into = "Vec<Validator>")]
pub struct ValidatorSet {
    validators: Vec<Validator>,
    total: u128,
}

/// Why a list of validators is not a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValidatorSetError {
    /// No validators: such a chain could never continue.
    #[error("a validator set cannot be empty")]
    Empty,
    /// More than [`MAX_VALIDATORS`].
    #[error("{found} validators, at most {MAX_VALIDATORS} are accepted")]
    TooMany {
        /// How many were given.
        found: usize,
    },
    /// A key listed twice.
    #[error("validator {0} is listed twice")]
    Duplicate(PublicKey),
    /// A validator without power.
    #[error("validator {0} has no power")]
    NoPower(PublicKey),
    /// A key that is not a point or is weak.
    #[error("validator key {0} is malformed or weak")]
    BadKey(PublicKey),
}

impl ValidatorSet {
    /// The set of these validators, in any order.
    ///
    /// # Errors
    /// [`ValidatorSetError`], one variant per rule.
    pub fn new(mut validators: Vec<Validator>) -> Result<Self, ValidatorSetError> {
        match validators.len() {
            0 => return Err(ValidatorSetError::Empty),
            found if found > MAX_VALIDATORS => return Err(ValidatorSetError::TooMany { found }),
            _ => validators.sort_unstable(),
        }
        for pair in validators.windows(2) {
            if let [a, b] = pair
                && a.key == b.key
            {
                return Err(ValidatorSetError::Duplicate(a.key));
            }
        }
        for Validator { key, power } in &validators {
            if *power == Power(0) {
                return Err(ValidatorSetError::NoPower(*key));
            }
            key.check().map_err(|_| ValidatorSetError::BadKey(*key))?;
        }
        let total = validators.iter().map(|v| u128::from(v.power.0)).sum();
        Ok(ValidatorSet { validators, total })
    }

    /// The validators, in key order.
    pub fn as_slice(&self) -> &[Validator] {
        &self.validators
    }

    /// Number of validators; never 0.
    #[allow(clippy::len_without_is_empty)] // a set is never empty
    pub fn len(&self) -> usize {
        self.validators.len()
    }

    /// Sum of all powers.
    pub fn total(&self) -> u128 {
        self.total
    }

    /// The validator at `index`.
    pub fn at(&self, index: ValidatorIndex) -> Option<&Validator> {
        self.validators.get(usize::from(index.0))
    }

    /// Rank of `key`.
    pub fn index_of(&self, key: &PublicKey) -> Option<ValidatorIndex> {
        let rank = self.validators.binary_search_by(|v| v.key.cmp(key)).ok()?;
        u16::try_from(rank).ok().map(ValidatorIndex)
    }

    /// Whether `power` is more than two thirds of the total: any two such groups share an honest validator.
    pub fn is_quorum(&self, power: u128) -> bool {
        exceeds_two_thirds(power, self.total)
    }

    /// `validators_hash`: keys and powers, not priorities.
    pub fn hash(&self) -> Digest {
        hash_of(Tag::Validators, self)
    }
}

impl TryFrom<Vec<Validator>> for ValidatorSet {
    type Error = ValidatorSetError;
    fn try_from(validators: Vec<Validator>) -> Result<Self, Self::Error> {
        ValidatorSet::new(validators)
    }
}

impl From<ValidatorSet> for Vec<Validator> {
    fn from(set: ValidatorSet) -> Self {
        set.validators
    }
}

/// `power > 2/3 total`, without rounding. Sums of at most [`MAX_VALIDATORS`] `u64` stay far below `u128::MAX / 3`.
pub(crate) fn exceeds_two_thirds(power: u128, total: u128) -> bool {
    power.saturating_mul(3) > total.saturating_mul(2)
}

/// `power > 1/3 total`: such a group holds an honest validator.
pub(crate) fn exceeds_one_third(power: u128, total: u128) -> bool {
    power.saturating_mul(3) > total
}
