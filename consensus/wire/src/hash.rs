//! Tagged SHA-256.
//!
//! `hash(tag, parts…) = SHA-256(tag[32] ‖ for each part: len_u64_le ‖ part)`. Lengths make the list of parts
//! unambiguous; the tag separates uses. [`h31`] is the same with the first byte set to zero: a
//! big-endian integer below 2^248, hence a canonical BN254 scalar with no reduction to argue about.

use crate::{byte_newtype, domain::Tag};
use sha2::{Digest as _, Sha256};

byte_newtype! {
    /// A 32-byte SHA-256 digest.
    Digest, 32
}

byte_newtype! {
    /// A BN254 scalar in 32 big-endian bytes. Canonical (below the modulus) only once `circuits` has checked it.
    FieldBytes, 32
}

impl Digest {
    /// All zeros: "nothing", for example the parent of the first block.
    pub const ZERO: Digest = Digest([0; 32]);
}

/// Incremental form of [`hash`], for parts that are produced one at a time.
#[derive(Clone)]
pub struct Hasher(Sha256);

impl Hasher {
    /// Starts a hash under `tag`.
    pub fn new(tag: Tag) -> Self {
        let mut inner = Sha256::new();
        inner.update(tag.bytes());
        Hasher(inner)
    }

    /// Appends one length-prefixed part.
    #[must_use]
    pub fn part(mut self, part: &[u8]) -> Self {
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part);
        self
    }

    /// The digest of everything appended.
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

/// SHA-256 over a tag and length-prefixed parts.
pub fn hash(tag: Tag, parts: &[&[u8]]) -> Digest {
    parts
        .iter()
        .fold(Hasher::new(tag), |h, part| h.part(part))
        .finish()
}

/// [`hash`] with its top byte zeroed: a field element of at most 248 bits, big-endian.
pub fn h31(tag: Tag, parts: &[&[u8]]) -> FieldBytes {
    let mut bytes = hash(tag, parts).0;
    let [top, ..] = &mut bytes;
    *top = 0;
    FieldBytes(bytes)
}

impl FieldBytes {
    /// A small integer as a field element.
    pub fn from_u64(value: u64) -> Self {
        let mut bytes = [0; 32];
        let (_, low) = bytes.split_at_mut(24);
        low.copy_from_slice(&value.to_be_bytes());
        FieldBytes(bytes)
    }
}
