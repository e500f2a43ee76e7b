//! The plaintext of a bid: salt and entries, at a fixed size whatever it holds.

use super::MAX_BID_ENTRIES;
use crate::clearing::MAX_PRICE;
use tender_wire::Price;
use zeroize::{Zeroize, Zeroizing};

const SALT_BYTES: usize = 32;
const ENTRY_BYTES: usize = 12;

/// What a bidder keeps secret until the close. `Debug` shows nothing of it; wiped when dropped.
///
/// Layout: `salt[32] ‖ count u8 ‖ count × (task u32 LE ‖ price u64 LE) ‖ zeros`, `33 + 12·max_entries` bytes in all, tasks
/// strictly ascending, `1 ≤ price ≤ 10^15`. Whether a price is within its task's reserve is for the market to say.
#[derive(Clone, PartialEq, Eq)]
pub struct BidBody {
    /// The bidder's part of the tie-breaking seed; random.
    pub salt: [u8; 32],
    /// (task id, price), strictly ascending by task.
    pub entries: Vec<(u32, Price)>,
}

/// Why a body cannot be written, or bytes are not a body. Says nothing of prices: they may be secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The auction's own limit is above [`MAX_BID_ENTRIES`].
    #[error("max_entries is {0}, at most 64 are supported")]
    MaxEntries(usize),
    /// More entries than the auction allows.
    #[error("{found} entries, the auction allows {max}")]
    TooMany {
        /// Entries there are.
        found: usize,
        /// Entries allowed.
        max: usize,
    },
    /// Tasks not strictly ascending.
    #[error("entry {0}: tasks are not strictly ascending")]
    Order(usize),
    /// A price of zero or above 10^15.
    #[error("entry {0}: the price is not between 1 and 10^15")]
    Price(usize),
    /// Not the auction's fixed size.
    #[error("{found} bytes, a bid body here has {expected}")]
    Size {
        /// Bytes there are.
        found: usize,
        /// Bytes expected.
        expected: usize,
    },
    /// Something other than zeros after the entries.
    #[error("the padding is not zero")]
    Padding,
}

impl BidBody {
    /// Size of every body in an auction that allows `max_entries`.
    pub const fn padded_bytes(max_entries: usize) -> usize {
        (SALT_BYTES + 1).saturating_add(max_entries.saturating_mul(ENTRY_BYTES))
    }

    /// The padded bytes, wiped when dropped.
    ///
    /// # Errors
    /// [`BodyError`] if the entries break a rule.
    pub fn encode(&self, max_entries: usize) -> Result<Zeroizing<Vec<u8>>, BodyError> {
        self.check(max_entries)?;
        let count = u8::try_from(self.entries.len()).unwrap_or(u8::MAX); // at most 64
        let size = Self::padded_bytes(max_entries);
        let mut bytes = Zeroizing::new(Vec::with_capacity(size));
        bytes.extend_from_slice(&self.salt);
        bytes.push(count);
        for (task, price) in &self.entries {
            bytes.extend_from_slice(&task.to_le_bytes());
            bytes.extend_from_slice(&price.0.to_le_bytes());
        }
        bytes.resize(size, 0);
        Ok(bytes)
    }

    /// The body whose padded bytes these are.
    ///
    /// # Errors
    /// [`BodyError`] for anything but what [`BidBody::encode`] writes.
    pub fn decode(bytes: &[u8], max_entries: usize) -> Result<Self, BodyError> {
        let expected = Self::padded_bytes(max_entries);
        let size = BodyError::Size {
            found: bytes.len(),
            expected,
        };
        if max_entries > MAX_BID_ENTRIES {
            return Err(BodyError::MaxEntries(max_entries));
        }
        if bytes.len() != expected {
            return Err(size);
        }
        let (salt, rest) = bytes.split_first_chunk::<SALT_BYTES>().ok_or(size)?;
        let (count, rest) = rest.split_first().ok_or(size)?;
        let count = usize::from(*count);
        let mut slots = rest.chunks_exact(ENTRY_BYTES);
        let mut body = BidBody {
            salt: *salt,
            entries: Vec::with_capacity(count.min(max_entries)), // never grows, so no copy is left behind
        };
        body.entries
            .extend(slots.by_ref().take(count).filter_map(parse_entry));
        if body.entries.len() != count {
            return Err(BodyError::TooMany {
                found: count,
                max: max_entries,
            });
        }
        body.check(max_entries)?;
        if slots.flatten().any(|byte| *byte != 0) {
            return Err(BodyError::Padding);
        }
        Ok(body)
    }

    fn check(&self, max_entries: usize) -> Result<(), BodyError> {
        if max_entries > MAX_BID_ENTRIES {
            return Err(BodyError::MaxEntries(max_entries));
        }
        if self.entries.len() > max_entries {
            return Err(BodyError::TooMany {
                found: self.entries.len(),
                max: max_entries,
            });
        }
        let mut previous = None;
        for (index, (task, price)) in self.entries.iter().enumerate() {
            if previous >= Some(*task) {
                return Err(BodyError::Order(index));
            }
            previous = Some(*task);
            if price.0 == 0 || *price > MAX_PRICE {
                return Err(BodyError::Price(index));
            }
        }
        Ok(())
    }
}

fn parse_entry(bytes: &[u8]) -> Option<(u32, Price)> {
    let (task, price) = bytes.split_first_chunk::<4>()?;
    let price = price.try_into().ok()?;
    Some((u32::from_le_bytes(*task), Price(u64::from_le_bytes(price))))
}

impl Drop for BidBody {
    fn drop(&mut self) {
        self.salt.zeroize();
        for (task, price) in &mut self.entries {
            task.zeroize();
            price.0.zeroize();
        }
    }
}

impl std::fmt::Debug for BidBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BidBody(secret)")
    }
}
