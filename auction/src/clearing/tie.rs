//! Tie breaking: the seed of an auction, the key of a nonce, the hash of an entry. Layouts in the parent's documentation.
//!
//! SipHash-2-4 (Aumasson and Bernstein 2012) is written out here because every hash of a bid begins with the same 32 bytes: they are absorbed once
//! ([`TieKey::of_bid`]), and an entry costs one block more. A test compares with the crate `siphasher`.

use tender_wire::{AuctionId, BidId, Digest, Tag, hash, hash::Hasher};

/// Bits of SipHash that break ties: a sum over the largest market's entries stays far within 128 bits.
pub(super) const BITS: u32 = 56;

/// The length of what is hashed, in the top byte of its last block.
const LENGTH: u64 = 36 << 56;

/// Seed of one auction's tie breaking, over (bid id, salt) of **every live bid that opened**, winners or not, in any order.
pub fn tie_seed(auction: &AuctionId, opened: &[(BidId, [u8; 32])]) -> Digest {
    let mut sorted = opened.to_vec();
    sorted.sort_unstable();
    sorted
        .iter()
        .fold(
            Hasher::new(Tag::TieSeed).part(auction.as_ref()),
            |h, (id, salt)| h.part(&[id.0, *salt].concat()),
        )
        .finish()
}

/// The key under which one nonce hashes entries.
#[derive(Clone, Copy)]
pub(super) struct TieKey {
    sip: Sip,
    shift: u32,
}

/// A key that has absorbed a bid's id.
#[derive(Clone, Copy)]
pub(super) struct BidTies {
    sip: Sip,
    shift: u32,
}

impl TieKey {
    pub(super) fn new(seed: &Digest, nonce: u32, bits: u32) -> Self {
        let digest = hash(Tag::TieKey, &[seed.as_ref(), &nonce.to_le_bytes()]);
        let [k0, k1, ..] = words(&digest.0);
        let shift = u64::BITS.saturating_sub(bits);
        TieKey {
            sip: Sip::new(k0, k1),
            shift,
        }
    }

    /// The hashes of one bid's entries.
    #[inline]
    pub(super) fn of_bid(&self, bid: &BidId) -> BidTies {
        let sip = words(&bid.0).into_iter().fold(self.sip, Sip::absorb);
        let shift = self.shift;
        BidTies { sip, shift }
    }

    /// `h` of an entry, from 1 to 2^[`BITS`].
    pub(super) fn h(&self, bid: &BidId, task: u32) -> u64 {
        self.of_bid(bid).h(task)
    }
}

impl BidTies {
    /// `h` of the bid's entry for the task of this id, from 1 to 2^[`BITS`].
    #[inline]
    pub(super) fn h(&self, task: u32) -> u64 {
        let hash = self.sip.absorb(LENGTH | u64::from(task)).finish();
        hash.checked_shr(self.shift).unwrap_or(0).saturating_add(1)
    }
}

fn words(bytes: &[u8; 32]) -> [u64; 4] {
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}

/// The state of SipHash.
#[derive(Clone, Copy)]
struct Sip(u64, u64, u64, u64);

impl Sip {
    /// The state under a key; the constants spell "somepseudorandomlygeneratedbytes".
    fn new(k0: u64, k1: u64) -> Self {
        Sip(
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        )
    }

    #[inline]
    fn round(self) -> Self {
        let Sip(mut v0, mut v1, mut v2, mut v3) = self;
        v0 = v0.wrapping_add(v1);
        v1 = v1.rotate_left(13) ^ v0;
        v0 = v0.rotate_left(32);
        v2 = v2.wrapping_add(v3);
        v3 = v3.rotate_left(16) ^ v2;
        v0 = v0.wrapping_add(v3);
        v3 = v3.rotate_left(21) ^ v0;
        v2 = v2.wrapping_add(v1);
        v1 = v1.rotate_left(17) ^ v2;
        v2 = v2.rotate_left(32);
        Sip(v0, v1, v2, v3)
    }

    #[inline]
    fn absorb(self, block: u64) -> Self {
        let Sip(v0, v1, v2, v3) = self;
        let Sip(v0, v1, v2, v3) = Sip(v0, v1, v2, v3 ^ block).round().round();
        Sip(v0 ^ block, v1, v2, v3)
    }

    #[inline]
    fn finish(self) -> u64 {
        let Sip(v0, v1, v2, v3) = self;
        let last = Sip(v0, v1, v2 ^ 0xff, v3);
        let Sip(v0, v1, v2, v3) = last.round().round().round().round();
        v0 ^ v1 ^ v2 ^ v3
    }
}

#[cfg(test)]
mod tests {
    use super::{BITS, TieKey};
    use siphasher::sip::SipHasher24;
    use std::hash::Hasher as _;
    use tender_wire::{BidId, Digest, Tag, hash};

    #[test]
    fn h_is_siphash_2_4_as_the_crate_computes_it() {
        for n in 0..1000u32 {
            let seed = hash(Tag::Seed, &[&n.to_le_bytes()]);
            let bid = BidId(hash(Tag::Bid, &[&n.to_le_bytes()]).0);
            let task = n.wrapping_mul(0x9e37_79b9);
            let key = hash(Tag::TieKey, &[seed.as_ref(), &n.to_le_bytes()]);
            let mut sip = SipHasher24::new_with_key(key.0[..16].try_into().unwrap());
            sip.write(bid.as_ref());
            sip.write(&task.to_le_bytes());
            let sip = sip.finish();
            let h = |bits| TieKey::new(&seed, n, bits).h(&bid, task);
            assert_eq!(h(BITS), (sip >> 8) + 1);
            assert_eq!(h(3), (sip >> 61) + 1);
            assert_eq!(h(0), 1);
        }
        let last = TieKey::new(&Digest([0xff; 32]), u32::MAX, BITS);
        assert!(last.h(&BidId([0xff; 32]), u32::MAX) <= 1 << BITS);
    }
}
