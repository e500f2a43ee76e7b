//! Sealing: bids nobody can read before the auction closes, opened by the committee without the bidders.
//!
//! # Who holds what
//!
//! Each committee member `i` has a one-time secret `e_i` per auction and posts `E_i = e_i·G` with a proof that it knows `e_i`
//! (ristretto255). A bidder seals to the list of keys `K = (E_1, …, E_n)` with a threshold `t`. After the close, members reveal `e_i`;
//! any `t` reveals open every bid of the auction.
//!
//! **Privacy fails silently if `t` members collude**: together they hold the secrets from the start, can open every bid
//! at once, and leave no trace. Fewer than `t` learn nothing. Below `n − t + 1` withholders the bids open all the same. A secret serves one auction.
//!
//! # Invariant: opening does not depend on who reveals
//!
//! Everything in a sealed bid follows from the bidder's 32-byte seed (Fujisaki and Okamoto 1999). Opening recovers the seed, seals *again* and
//! compares `U`, every share and the masked seed. If that succeeds for one set of `t` honest reveals, the bid is the honest
//! encapsulation of that seed, so every other set recovers the same polynomial and succeeds too; the body then opens or not under one key.
//! Hence a bid opens for every set, to the same plaintext, or for none (THREATS T17). Reveals are checked against `K` first. A copied
//! bid does not open under another identity, since every derivation is bound to the bid's [`Associated`] data (T16).
//!
//! # Bytes
//!
//! `H(tag, part…)` is [`tender_wire::hash()`]. Points are 32-byte compressed ristretto255; scalars 32 bytes little-endian;
//! both canonical, and the identity is refused. `S(tag, part…)` is the scalar
//! `H(tag, part…, [0]) ‖ H(tag, part…, [1])`, 64 bytes little-endian, modulo the group order. Integers are little-endian.
//!
//! ```text
//! e_i     = HKDF-SHA-256(salt = tag SealKey[32], key = seal seed[32], info = chain[32] ‖ auction[32] ‖ opening block[32]),
//!           64 bytes little-endian, modulo the group order
//! E_i     = e_i·G
//! proof   = R[32] ‖ z[32]:  k = S(SealPokNonce, e_i, chain, auction, member);  R = k·G;
//!           z = k + c·e_i;  c = S(SealPok, chain, auction, member, E_i, R)          verify: z·G − c·E_i encodes to R
//! reveal  = e_i[32]                                                                 verify: e_i·G encodes to E_i
//!
//! ad      = chain[32] ‖ auction[32] ‖ bidder[32] ‖ asset[32] ‖ sequence u32[4]
//! ctx     = H(SealContext, ad, t u32[4], E_1 ‖ … ‖ E_n)
//! a_k     = S(SealPoly, ctx, seed, k u32[4])           k = 0 … t−1;  f(x) = Σ a_k·x^k;  the shared secret is f(0) = a_0
//! r       = S(SealEphemeral, ctx, seed)
//! U       = r·G
//! share_i = f(i) xor H(SealMask, ctx, i u32[4], U, r·E_i)          i = 1 … n, the rank in K; r·E_i = e_i·U
//! masked  = seed xor H(SealSeed, ctx, a_0)
//! body    = ChaCha20-Poly1305(key = H(SealBody, ctx, seed), nonce = 0[12], aad = ctx, plaintext) ‖ its tag[16]
//!
//! sealed  = U[32] ‖ n u64 ‖ share_1 ‖ … ‖ share_n ‖ masked[32] ‖ body length u64 ‖ body      (canonical codec)
//! body plaintext = salt[32] ‖ count u8 ‖ count × (task u32 ‖ price u64) ‖ zeros up to 33 + 12·max_entries
//! ```
//!
//! The nonce is constant because the key is used once: **the seed must be fresh for every bid**.
//!
//! # Bounds
//!
//! At most [`MAX_COMMITTEE`] keys and [`MAX_BODY_BYTES`] of body. Opening one bid costs `n + 1` point multiplications. The
//! state machine around this (who may post keys and when, what a missing reveal means) is the market's.

// Operators here act on scalars and points of a prime-order group, where nothing overflows.
#![allow(clippy::arithmetic_side_effects)]

mod body;
mod ciphertext;
mod committee;
#[cfg(test)]
mod tests;

pub use body::{BidBody, BodyError};
pub use ciphertext::{Associated, Opener, Sealed, open, seal};
pub use committee::{
    CommitteeKey, CommitteeSecret, KeyProof, Reveal, SealSeed, check_key, check_reveal,
};

use curve25519_dalek::{
    ristretto::{CompressedRistretto, RistrettoPoint},
    scalar::Scalar,
    traits::IsIdentity,
};
use tender_wire::{Tag, hash};
use zeroize::Zeroizing;

/// Most members of a committee: bounds a sealed bid at about 4 KiB and the work of opening it.
pub const MAX_COMMITTEE: usize = 100;
/// Most entries of one bid.
pub const MAX_BID_ENTRIES: usize = 64;
/// Longest body: the largest padded plaintext and the authentication tag.
pub const MAX_BODY_BYTES: usize = BidBody::padded_bytes(MAX_BID_ENTRIES) + 16;

/// Why something about a seal is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Not a canonical point, or the identity.
    #[error("the committee key is not a canonical ristretto255 point, or is the identity")]
    BadKey,
    /// The proof of knowledge does not verify for this chain, auction and member.
    #[error("the proof does not show that this member knows the secret of its committee key")]
    BadProof,
    /// Not a canonical scalar, or not the secret of the key.
    #[error("the reveal is not the secret of the committee key")]
    BadReveal,
    /// No keys, too many, or a threshold outside 1..=n.
    #[error("a committee of {keys} keys with threshold {threshold} (1 ≤ threshold ≤ keys ≤ 100)")]
    BadCommittee {
        /// Keys given.
        keys: usize,
        /// Threshold given.
        threshold: usize,
    },
    /// A plaintext longer than any bid.
    #[error("a plaintext of {found} bytes, at most {max} are sealed")]
    TooLong {
        /// Its length.
        found: usize,
        /// The bound.
        max: usize,
    },
}

/// Why a bid was not opened. Only [`OpenError::Invalid`] is the bid's own fault, and it never depends on which reveals were used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The committee itself is malformed.
    #[error(transparent)]
    Committee(#[from] SealError),
    /// Fewer reveals than the threshold.
    #[error("{found} reveals, {threshold} are needed")]
    TooFew {
        /// Reveals given.
        found: usize,
        /// Reveals needed.
        threshold: usize,
    },
    /// A reveal that is not the secret of the key at its rank.
    #[error("the reveal of rank {rank} is not the secret of its committee key")]
    BadReveal {
        /// Rank in the list of keys, from 1.
        rank: u8,
    },
    /// Not an honest sealing under this associated data and committee: the bid is void.
    #[error("the bid is not validly sealed")]
    Invalid,
}

/// A point other than the identity, from canonical bytes.
fn parse_point(bytes: &[u8; 32]) -> Option<RistrettoPoint> {
    let point = CompressedRistretto(*bytes).decompress()?;
    (!point.is_identity()).then_some(point)
}

/// A scalar from canonical bytes.
fn parse_scalar(bytes: &[u8; 32]) -> Option<Scalar> {
    Scalar::from_canonical_bytes(*bytes).into()
}

/// `S(tag, parts…)`: 512 hashed bits, reduced.
fn scalar(tag: Tag, parts: &[&[u8]]) -> Scalar {
    let mut wide = Zeroizing::new([0; 64]);
    let (low, high) = wide.split_at_mut(32);
    low.copy_from_slice(hash(tag, &[parts, &[&[0]]].concat()).as_ref());
    high.copy_from_slice(hash(tag, &[parts, &[&[1]]].concat()).as_ref());
    Scalar::from_bytes_mod_order_wide(&wide)
}
