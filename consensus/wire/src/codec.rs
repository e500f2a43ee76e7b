//! The one canonical codec: bincode, fixed-width little-endian integers, no trailing bytes.
//!
//! Layout: integers little-endian at their full width; `bool` one byte; `Option` one byte (0 or 1) and the
//! value; `Vec` and `String` a `u64` length and the items; enums a `u32` variant index and the fields; structs and
//! tuples their fields in order; byte newtypes their bytes, without a length.
//!
//! Invariant: [`decode`] accepts exactly the bytes [`encode`] produces. bincode alone does not promise that
//! (unsorted maps decode), so the value is encoded again and compared. Bound: the input
//! is refused above [`Wire::MAX_BYTES`] before a byte of it is parsed; serde reserves at most 1 MiB ahead of
//! the items it has actually read.

use serde::{Serialize, de::DeserializeOwned};

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
    let (value, read) = bincode::serde::decode_from_slice::<T, _>(bytes, CONFIG).map_err(|e| {
        CodecError::Malformed {
            name,
            reason: e.to_string(),
        }
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
