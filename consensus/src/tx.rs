//! Transactions as this crate sees them: opaque bytes with a hash and a cap.
//!
//! `tx_hash = hash(Tx, [bytes])` covers everything, proofs and signatures included. Layout on the wire: length `u64`, bytes.

use crate::params::MAX_TX_BYTES;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::Arc;
use tender_wire::{Tag, TxHash, codec::at_most, hash};

/// One transaction's canonical bytes. Cheap to clone; the hash is computed once.
#[derive(Clone, PartialEq, Eq)]
pub struct TxBytes {
    bytes: Arc<[u8]>,
    hash: TxHash,
}

/// A transaction above [`MAX_TX_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("transaction of {len} bytes, at most {MAX_TX_BYTES} are accepted")]
pub struct TxTooLong {
    /// Its length.
    pub len: usize,
}

impl TxBytes {
    /// Wraps bytes.
    ///
    /// # Errors
    /// [`TxTooLong`] above the cap.
    pub fn new(bytes: Vec<u8>) -> Result<Self, TxTooLong> {
        if bytes.len() > MAX_TX_BYTES {
            return Err(TxTooLong { len: bytes.len() });
        }
        let hash = hash(Tag::Tx, &[&bytes]).into();
        Ok(TxBytes {
            bytes: bytes.into(),
            hash,
        })
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// `tx_hash`.
    pub fn hash(&self) -> TxHash {
        self.hash
    }
}

impl std::fmt::Debug for TxBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "TxBytes({}, {} bytes)",
            self.hash.short(),
            self.bytes.len()
        )
    }
}

impl Serialize for TxBytes {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(self.bytes.iter())
    }
}

impl<'de> Deserialize<'de> for TxBytes {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let bytes = at_most::<_, _, MAX_TX_BYTES>(d)?;
        TxBytes::new(bytes).map_err(serde::de::Error::custom)
    }
}
