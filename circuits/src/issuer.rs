//! Issuers by index. An index is given once by governance and never reused, so one bit of a `u64` names one issuer for ever.

use serde::{Deserialize, Serialize};

/// Most issuers a chain ever lists: the bits of [`IssuerMask`].
pub const MAX_ISSUERS: u8 = 64;

/// An issuer's index, below [`MAX_ISSUERS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct IssuerIndex(u8);

/// An issuer index of 64 or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("issuer indices are 0 to 63, this is {0}")]
pub struct BadIssuerIndex(pub u8);

impl IssuerIndex {
    /// The index, if it is below [`MAX_ISSUERS`].
    ///
    /// # Errors
    /// [`BadIssuerIndex`].
    pub const fn new(index: u8) -> Result<Self, BadIssuerIndex> {
        if index < MAX_ISSUERS {
            Ok(IssuerIndex(index))
        } else {
            Err(BadIssuerIndex(index))
        }
    }

    /// The number.
    pub const fn value(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for IssuerIndex {
    type Error = BadIssuerIndex;
    fn try_from(index: u8) -> Result<Self, BadIssuerIndex> {
        IssuerIndex::new(index)
    }
}

impl From<IssuerIndex> for u8 {
    fn from(index: IssuerIndex) -> u8 {
        index.0
    }
}

impl std::fmt::Display for IssuerIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A set of issuers: bit `i` is issuer `i`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct IssuerMask(pub u64);

impl IssuerMask {
    /// The set with this issuer added.
    #[must_use]
    pub const fn with(self, issuer: IssuerIndex) -> Self {
        IssuerMask(self.0 | 1u64.wrapping_shl(issuer.0 as u32))
    }

    /// Whether the issuer is in the set.
    pub const fn contains(self, issuer: IssuerIndex) -> bool {
        self.0.wrapping_shr(issuer.0 as u32) & 1 == 1
    }

    /// Whether every issuer of this set is in `other`.
    pub const fn is_subset_of(self, other: IssuerMask) -> bool {
        self.0 & !other.0 == 0
    }

    /// Whether nobody is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The issuers, ascending.
    pub fn iter(self) -> impl Iterator<Item = IssuerIndex> {
        (0..MAX_ISSUERS)
            .map(IssuerIndex)
            .filter(move |i| self.contains(*i))
    }
}

impl FromIterator<IssuerIndex> for IssuerMask {
    fn from_iter<I: IntoIterator<Item = IssuerIndex>>(issuers: I) -> Self {
        issuers.into_iter().fold(IssuerMask(0), IssuerMask::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_and_masks() {
        assert_eq!(IssuerIndex::new(64), Err(BadIssuerIndex(64)));
        assert!(serde_json::from_str::<IssuerIndex>("64").is_err());
        let mask: IssuerMask = [0, 5, 63]
            .map(|i| IssuerIndex::new(i).unwrap())
            .into_iter()
            .collect();
        assert_eq!(mask.0, 1 | 1 << 5 | 1 << 63);
        assert_eq!(mask.iter().map(u8::from).collect::<Vec<_>>(), [0, 5, 63]);
        assert!(IssuerMask(1 << 5).is_subset_of(mask) && !IssuerMask(2).is_subset_of(mask));
    }
}
