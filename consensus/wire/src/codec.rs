//! The one canonical codec: bincode, fixed-width little-endian integers, no trailing bytes.
//!
//! Layout: integers little-endian at their full width; `bool` one byte; `Option` one byte (0 or 1) and the
//! value; `Vec` and `String` a `u64` length and the items; enums a `u32` variant index and the fields; structs and
//! tuples their fields in order; byte newtypes their bytes, without a length.
//!
//! Invariant: [`decode`] accepts exactly the bytes [`encode`] produces. bincode alone does not promise that
//! (unsorted maps decode), so the value is encoded again and compared. Bound: the input
//! is refused above [`Wire::MAX_BYTES`] before a byte of it is parsed; what a length claims is bounded by the input's own
//! size, and serde reserves at most 1 MiB ahead of the items it has actually read. A list whose items take more room in memory than on
//! the wire, in a type that may be large, has a cap of its own ([`at_most`]).

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, Error as _, SeqAccess, Visitor},
};
use std::{fmt, marker::PhantomData};

/// A type that crosses the wire or is hashed, with the cap that bounds its encoding.
pub trait Wire: Serialize + DeserializeOwned {
    /// What the bytes are called in an error message.
    const NAME: &'static str;
    /// Largest accepted encoding, in bytes.
    const MAX_BYTES: usize;
}

/// Why bytes are not the canonical encoding of a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Longer than the type's cap.
    #[error("{name}: {len} bytes, at most {max} are accepted")]
    TooLong {
        /// The type.
        name: &'static str,
        /// Bytes offered.
        len: usize,
        /// The cap.
        max: usize,
    },
    /// Not an encoding of the type at all.
    #[error("{name}: malformed: {reason}")]
    Malformed {
        /// The type.
        name: &'static str,
        /// The parser's reason.
        reason: String,
    },
    /// A value followed by more bytes.
    #[error("{name}: {extra} bytes after the end")]
    Trailing {
        /// The type.
        name: &'static str,
        /// Bytes left over.
        extra: usize,
    },
    /// Bytes that decode, but not the ones the value encodes to.
    #[error("{name}: not the canonical encoding")]
    NotCanonical {
        /// The type.
        name: &'static str,
    },
}

const CONFIG: bincode::config::Configuration<
    bincode::config::LittleEndian,
    bincode::config::Fixint,
    bincode::config::NoLimit,
> = bincode::config::standard()
    .with_little_endian()
    .with_fixed_int_encoding()
    .with_no_limit();

/// bincode reserves a `String`'s claimed length before it looks for the bytes, unless it has a limit. Limits are constants to it, so the
/// smallest that leaves the input twice its size is taken: no claim reserves more than a few times what was received.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, usize), bincode::error::DecodeError> {
    use bincode::serde::decode_from_slice as from;
    match bytes.len() {
        0..0x800 => from(bytes, CONFIG.with_limit::<0x1000>()),
        0x800..0x8000 => from(bytes, CONFIG.with_limit::<0x1_0000>()),
        0x8000..0x8_0000 => from(bytes, CONFIG.with_limit::<0x10_0000>()),
        0x8_0000..0x100_0000 => from(bytes, CONFIG.with_limit::<0x200_0000>()),
        _ => from(bytes, CONFIG.with_limit::<0x1_0000_0000>()),
    }
}

/// The canonical bytes of a value.
///
/// # Panics
/// Only for a type bincode cannot encode at all (a sequence of unknown length, a failing `Serialize`), which
/// is a mistake in our own types and never depends on foreign bytes.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    #[allow(clippy::expect_used)]
    bincode::serde::encode_to_vec(value, CONFIG).expect("every wire type has a canonical encoding")
}

/// The value whose canonical encoding is `bytes`.
///
/// # Errors
/// [`CodecError`] if the bytes are too long, malformed, followed by others, or not canonical.
pub fn decode<T: Wire>(bytes: &[u8]) -> Result<T, CodecError> {
    let name = T::NAME;
    if bytes.len() > T::MAX_BYTES {
        return Err(CodecError::TooLong {
            name,
            len: bytes.len(),
            max: T::MAX_BYTES,
        });
    }
    let (value, read) = parse::<T>(bytes).map_err(|e| CodecError::Malformed {
        name,
        reason: e.to_string(),
    })?;
    if read < bytes.len() {
        return Err(CodecError::Trailing {
            name,
            extra: bytes.len().saturating_sub(read),
        });
    }
    if encode(&value) != bytes {
        return Err(CodecError::NotCanonical { name });
    }
    Ok(value)
}

/// For `#[serde(deserialize_with = "at_most::<_, _, MAX>")]`: a list of at most `MAX` items. A longer one is refused at its length, before
/// an item is read.
///
/// # Errors
/// Those of the deserializer, and too many items.
pub fn at_most<'de, D: Deserializer<'de>, T: Deserialize<'de>, const MAX: usize>(
    d: D,
) -> Result<Vec<T>, D::Error> {
    struct List<T, const MAX: usize>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for List<T, MAX> {
        type Value = Vec<T>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at most {MAX} items")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
            let claimed = seq.size_hint().unwrap_or(0);
            if claimed > MAX {
                return Err(A::Error::invalid_length(claimed, &self));
            }
            let mut items = Vec::with_capacity(claimed);
            while let Some(item) = seq.next_element()? {
                if items.len() >= MAX {
                    return Err(A::Error::invalid_length(MAX.saturating_add(1), &self));
                }
                items.push(item);
            }
            Ok(items)
        }
    }
    d.deserialize_seq(List::<T, MAX>(PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Named {
        name: String,
        items: Vec<u64>,
    }

    impl Wire for Named {
        const NAME: &'static str = "named";
        const MAX_BYTES: usize = 64 << 20;
    }

    /// THREATS B15: a claimed length is never believed before its bytes are there.
    #[test]
    fn a_length_bomb_is_malformed() {
        for claimed in [9u64, 1 << 20, 1 << 33, 1 << 46, 1 << 63, u64::MAX] {
            for at in [0, 8] {
                let mut bytes = encode(&Named {
                    name: String::new(),
                    items: vec![],
                });
                bytes[at..at + 8].copy_from_slice(&claimed.to_le_bytes());
                let refused = decode::<Named>(&bytes);
                assert!(
                    matches!(refused, Err(CodecError::Malformed { .. })),
                    "{claimed}: {refused:?}"
                );
            }
        }
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Few(#[serde(deserialize_with = "at_most::<_, _, 3>")] Vec<u64>);

    impl Wire for Few {
        const NAME: &'static str = "few";
        const MAX_BYTES: usize = 1024;
    }

    /// B15: a list with a cap is refused at its length, whether its items are there or not.
    #[test]
    fn a_list_is_never_longer_than_its_cap() {
        for len in 0..6u64 {
            let bytes = encode(&Few((0..len).collect()));
            let read = decode::<Few>(&bytes);
            assert_eq!(read.is_ok(), len <= 3, "{len}: {read:?}");
            let text = serde_json::to_string(&Few((0..len).collect())).unwrap();
            assert_eq!(serde_json::from_str::<Few>(&text).is_ok(), len <= 3);
            let refused = decode::<Few>(&bytes[..8]).err();
            let named = refused.is_some_and(|e| e.to_string().contains("at most 3 items"));
            assert_eq!(named, len > 3, "{len}");
        }
    }

    #[test]
    fn values_of_every_size_come_back_and_nothing_may_follow() {
        for len in [
            0usize, 1, 100, 0x7f0, 0x810, 0x7ff0, 0x8010, 0x7_fff0, 0x8_0010, 0x7f_fff0, 0x80_0010,
        ] {
            let value = Named {
                name: "n".repeat(len),
                items: vec![7; len / 9],
            };
            let mut bytes = encode(&value);
            assert_eq!(decode::<Named>(&bytes).as_ref(), Ok(&value), "{len}");
            bytes.push(0);
            assert_eq!(
                decode::<Named>(&bytes),
                Err(CodecError::Trailing {
                    name: "named",
                    extra: 1
                })
            );
        }
    }
}
