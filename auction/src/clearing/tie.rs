//! Tie breaking: the seed of an auction, the key of a nonce, the hash of an entry. Layouts in the parent's documentation.

use siphasher::sip::SipHasher24;
use std::hash::Hasher as _;
use tender_wire::{AuctionId, BidId, Digest, Tag, hash, hash::Hasher};

/// Bits of SipHash that break ties: a sum over [`super::MAX_ENTRIES`] stays far within 128 bits.
pub(super) const BITS: u32 = 56;

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
pub(super) struct TieKey {
    key: [u8; 16],
    shift: u32,
}

impl TieKey {
    pub(super) fn new(seed: &Digest, nonce: u32, bits: u32) -> Self {
        let digest = hash(Tag::TieKey, &[seed.as_ref(), &nonce.to_le_bytes()]);
        let mut key = [0; 16];
        for (to, from) in key.iter_mut().zip(digest.as_ref()) {
            *to = *from;
        }
        let shift = u64::BITS.saturating_sub(bits);
        TieKey { key, shift }
    }

    /// `h` of an entry, from 1 to 2^[`BITS`].
    pub(super) fn h(&self, bid: &BidId, task: u32) -> u64 {
        let mut sip = SipHasher24::new_with_key(&self.key);
        sip.write(bid.as_ref());
        sip.write(&task.to_le_bytes());
        let bits = sip.finish().checked_shr(self.shift).unwrap_or(0);
        bits.saturating_add(1)
    }
}
