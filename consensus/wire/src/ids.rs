//! Newtypes for identifiers and quantities. Byte identifiers are hex in text formats and bare bytes on the wire.

use crate::{
    codec::encode,
    domain::Tag,
    hash::{Digest, hash},
};
use serde::{Deserialize, Serialize};

/// Why a text is not a byte identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} is {expected} lower-case hex digits, this has {found}: `{text}`")]
pub struct ParseIdError {
    /// The identifier's type.
    pub name: &'static str,
    /// Digits expected.
    pub expected: usize,
    /// Characters found.
    pub found: usize,
    /// The text, cut to 80 characters.
    pub text: String,
}

/// Defines a fixed-size byte newtype: hex for people and JSON, raw bytes (no length) on the wire.
/// The crate that uses it depends on `serde`.
#[macro_export]
macro_rules! byte_newtype {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;
            /// The bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] { &self.0 }
            /// The first eight hex digits, for logs and tables.
            pub fn short(&self) -> String {
                let mut text = self.to_string();
                text.truncate(8);
                text
            }
        }
        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] { &self.0 }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&$crate::hex::encode(self.0))
            }
        }
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({})", stringify!($name), $crate::hex::encode(self.0))
            }
        }
        impl std::str::FromStr for $name {
            type Err = $crate::ids::ParseIdError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let mut bytes = [0; $len];
                let lower = !text.bytes().any(|b| b.is_ascii_uppercase());
                match $crate::hex::decode_to_slice(text, &mut bytes) {
                    Ok(()) if lower => Ok($name(bytes)),
                    _ => Err($crate::ids::ParseIdError {
                        name: stringify!($name),
                        expected: 2 * $len,
                        found: text.chars().count(),
                        text: text.chars().take(80).collect(),
                    }),
                }
            }
        }
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                if s.is_human_readable() {
                    s.collect_str(self)
                } else {
                    $crate::ids::serialize_bytes(&self.0, s)
                }
            }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                if d.is_human_readable() {
                    let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                    text.parse().map_err(serde::de::Error::custom)
                } else {
                    $crate::ids::deserialize_bytes(d).map($name)
                }
            }
        }
    };
}

/// Writes bytes as a tuple: no length prefix. (`[u8; 64]` has no serde form of its own.)
///
/// # Errors
/// Those of the serializer.
#[doc(hidden)]
pub fn serialize_bytes<S: serde::Serializer, const N: usize>(
    bytes: &[u8; N],
    s: S,
) -> Result<S::Ok, S::Error> {
    use serde::ser::SerializeTuple;
    let mut tuple = s.serialize_tuple(N)?;
    for byte in bytes {
        tuple.serialize_element(byte)?;
    }
    tuple.end()
}

/// Reads what [`serialize_bytes`] wrote.
///
/// # Errors
/// Those of the deserializer, and too few bytes.
#[doc(hidden)]
pub fn deserialize_bytes<'de, D: serde::Deserializer<'de>, const N: usize>(
    d: D,
) -> Result<[u8; N], D::Error> {
    struct Bytes<const N: usize>;
    impl<'de, const N: usize> serde::de::Visitor<'de> for Bytes<N> {
        type Value = [u8; N];
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "{N} bytes")
        }
        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<[u8; N], A::Error> {
            let mut out = [0; N];
            for (i, slot) in out.iter_mut().enumerate() {
                *slot = seq
                    .next_element()?
                    .ok_or_else(|| serde::de::Error::invalid_length(i, &self))?;
            }
            Ok(out)
        }
    }
    d.deserialize_tuple(N, Bytes::<N>)
}

byte_newtype! {
    /// The chain: hash of the canonical genesis document.
    ChainId, 32
}
byte_newtype! {
    /// A block: hash of its canonical header.
    BlockId, 32
}
byte_newtype! {
    /// A transaction: hash of its full canonical bytes, proofs and signature included.
    TxHash, 32
}
byte_newtype! {
    /// A bid as the market knows it: hash of the bid without proofs and signature.
    BidId, 32
}
byte_newtype! {
    /// An auction: hash of chain, opener and the opener's nonce.
    AuctionId, 32
}
byte_newtype! {
    /// A capability type: hash of its record.
    TypeId, 32
}

impl BlockId {
    /// Parent of the first block.
    pub const ZERO: BlockId = BlockId([0; 32]);
}

macro_rules! digest_id {
    ($($name:ident),*) => { $(
        impl From<Digest> for $name {
            fn from(digest: Digest) -> Self { $name(digest.0) }
        }
        impl From<$name> for Digest {
            fn from(id: $name) -> Self { Digest(id.0) }
        }
    )* };
}
digest_id!(ChainId, BlockId, TxHash, BidId, AuctionId, TypeId);

/// Hash of a value's canonical encoding under `tag`.
pub fn hash_of<T: Serialize>(tag: Tag, value: &T) -> Digest {
    hash(tag, &[&encode(value)])
}

macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident, $int:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $int);

        impl $name {
            /// Sum, or `None` on overflow.
            pub fn checked_add(self, other: Self) -> Option<Self> { self.0.checked_add(other.0).map($name) }
            /// Difference, or `None` below zero.
            pub fn checked_sub(self, other: Self) -> Option<Self> { self.0.checked_sub(other.0).map($name) }
            /// The next value, saturating.
            #[must_use]
            pub fn next(self) -> Self { $name(self.0.saturating_add(1)) }
            /// The previous value, saturating.
            #[must_use]
            pub fn prev(self) -> Self { $name(self.0.saturating_sub(1)) }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { self.0.fmt(f) }
        }
    };
}

quantity! {
    /// Block height; the first block has height 1, genesis is 0.
    Height, u64
}
quantity! {
    /// Consensus round within a height, from 0.
    Round, u32
}
quantity! {
    /// Voting power.
    Power, u64
}
quantity! {
    /// An amount of money in smallest units.
    Price, u64
}
quantity! {
    /// Milliseconds since the Unix epoch: block time.
    TimeMs, u64
}
quantity! {
    /// Seconds since the Unix epoch: lease ends and credential expiry.
    UnixTime, u64
}

impl TimeMs {
    /// Whole seconds, rounded down.
    pub fn seconds(self) -> UnixTime {
        UnixTime(self.0 / 1000)
    }
}
