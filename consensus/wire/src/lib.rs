//! The words every Tender crate shares: how bytes are laid out, hashed and signed.
//!
//! ```text
//!  bytes from outside ──▶ codec::decode ──▶ typed value ──▶ codec::encode ──▶ hash / sign
//!                          (bounded, canonical)               (domain-tagged)
//! ```
//!
//! | module | answers |
//! |---|---|
//! | [`codec`] | what are the canonical bytes of a value, and do these bytes denote one? |
//! | [`domain`] | which tag separates this hash or signature from every other? |
//! | [`hash`] | tagged SHA-256, and its 248-bit form that fits a BN254 scalar |
//! | [`merkle`] | roots and inclusion proofs over ordered lists |
//! | [`keys`] | ed25519, strict verification only |
//! | [`ids`] | newtypes for every identifier and quantity |
//! | [`text`] | may people be shown this? |
//! | [`testing`] | what do damaged bytes look like? For tests alone |
//!
//! Invariants: one value has one encoding; one encoding has one value; nothing is hashed or signed
//! without a tag of [`domain::Tag`]; no function here panics on foreign bytes or allocates more
//! than a small multiple of their (capped) length. The crate knows nothing of auctions, blocks or proofs.
//! The byte layouts are written out in `fixtures/FORMATS.md`.

#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

pub mod codec;
pub mod domain;
pub mod hash;
pub mod ids;
pub mod keys;
pub mod merkle;
pub mod testing;
pub mod text;

#[doc(hidden)]
pub use hex; // for `byte_newtype!`

pub use codec::{CodecError, Wire, decode, encode};
pub use domain::Tag;
pub use hash::{Digest, FieldBytes, h31, hash};
pub use ids::*;
pub use keys::{PublicKey, SecretKey, Signature, SignatureError};
