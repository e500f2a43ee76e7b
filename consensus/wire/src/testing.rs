//! Bytes gone wrong, for tests and fuzzing: what a disk, a wire or a stranger makes of an encoding.
//!
//! Nothing here is used outside tests. [`each`] is exhaustive where that is finite (cuts, flips); for everything else there is a fuzzer.
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)] // a test instrument

use std::fmt;

/// Lengths that no honest encoding claims, and that arithmetic or an allocator may stumble over.
pub const LYING_LENGTHS: [u64; 7] = [
    0x100,
    1 << 20,
    1 << 32,
    (1 << 62) / 3,
    1 << 63,
    u64::MAX - 7,
    u64::MAX,
];

/// One thing done to bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Only so many bytes are left.
    Cut(usize),
    /// One bit is the other way round.
    Flip {
        /// Where.
        byte: usize,
        /// From 0, the lowest.
        bit: u8,
    },
    /// One byte more at the end.
    Longer(u8),
    /// Eight bytes claim a length.
    Length {
        /// Where they begin.
        at: usize,
        /// What they say.
        claim: u64,
    },
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Damage::Cut(len) => write!(f, "cut to {len} bytes"),
            Damage::Flip { byte, bit } => write!(f, "bit {bit} of byte {byte} flipped"),
            Damage::Longer(byte) => write!(f, "byte {byte} appended"),
            Damage::Length { at, claim } => write!(f, "the length {claim} at byte {at}"),
        }
    }
}

/// Shows every truncation, every single-bit flip, a byte appended, and each of [`LYING_LENGTHS`] written over every eight bytes.
pub fn each(bytes: &[u8], mut see: impl FnMut(Damage, &[u8])) {
    for len in 0..bytes.len() {
        see(Damage::Cut(len), &bytes[..len]);
    }
    each_flip(bytes, &mut see);
    for byte in [0, 1, 0xff] {
        see(Damage::Longer(byte), &[bytes, &[byte]].concat());
    }
    let mut damaged = bytes.to_vec();
    for (at, honest) in bytes.windows(8).enumerate() {
        for claim in LYING_LENGTHS.map(u64::to_le_bytes) {
            if claim != honest {
                damaged[at..at + 8].copy_from_slice(&claim);
                let claim = u64::from_le_bytes(claim);
                see(Damage::Length { at, claim }, &damaged);
            }
        }
        damaged[at..at + 8].copy_from_slice(honest);
    }
}

/// Shows every single-bit flip.
pub fn each_flip(bytes: &[u8], mut see: impl FnMut(Damage, &[u8])) {
    let mut damaged = bytes.to_vec();
    for (byte, honest) in bytes.iter().enumerate() {
        for bit in 0..8 {
            damaged[byte] = honest ^ (1 << bit);
            see(Damage::Flip { byte, bit }, &damaged);
        }
        damaged[byte] = *honest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_damage_changes_the_bytes_and_none_is_left_out() {
        let bytes = [7; 10];
        let mut seen = Vec::new();
        each(&bytes, |damage, damaged| {
            assert_ne!(damaged, bytes, "{damage}");
            seen.push((damage, damaged.to_vec()));
        });
        assert_eq!(seen.len(), 10 + 80 + 3 + 3 * LYING_LENGTHS.len());
        assert!(seen.contains(&(Damage::Cut(4), vec![7; 4])));
        let length = [&[7][..], &[0xff; 8], &[7]].concat();
        let claim = u64::MAX;
        assert!(seen.contains(&(Damage::Length { at: 1, claim }, length)));
    }
}
