//! Capability types, credentials, registry, proving and strict verification: is this claim *attested*?
//!
//! ```text
//!   issuer                     holder                                    everybody
//!   Credential ──commitment──▶ Registry ──path──▶ prove(key, credential,  ──▶ Evidence ──▶ verify(key, statement, proof)
//!                              (on chain)               path, statement)                     schema.covers(claim, requirement)
//! ```
//!
//! | module | answers |
//! |---|---|
//! | [`schema`], [`names`] | what may be claimed, when does a claim cover a requirement, how do people write it? |
//! | [`capability`], [`types`] | what is a capability type, and how does one write a circuit for it? |
//! | [`credential`], [`registry`], [`issuer`] | what did who attest, and where is it recorded? |
//! | [`statement`], [`circuit`] | what exactly does a proof state? |
//! | [`keys`], [`mod@prove`] | how is one made? |
//! | [`evidence`], [`attestation`], [`mod@verify`] | what travels, and when is it good? |
//! | [`r1cs`], [`gadgets`] | constraints, for circuit authors |
//! | [`testing`] | does a circuit keep its laws? for authors |
//! | [`trial`], [`inspect`] | what would a claim prove, and what is this file? For circuit authors |
//! | [`snarkjs`] | how do other verifiers read keys, proofs and inputs? |
//! | [`attacks`] | what a cheat would do, for tests and demonstrations |
//!
//! # The statement
//!
//! **Public:** registry root, holder, `ctx` (the bid), asset, lease end, issuer mask, claim; see [`statement`].
//! **Private:** the credential (issuer, attributes, expiry, salt) and its place in the registry.
//! **Circuit:** an issuer of the mask attested attributes that support the claim to this holder for this asset, unexpired and under this root;
//! see [`circuit`]. **Proof bytes:** 128, canonical; see [`mod@verify`].
//!
//! A proof shows what was *attested*. It does not show that hardware exists.
//!
//! # Invariants
//!
//! - A verifier recomputes every public input and reads none from the proof.
//! - Every proof passes through [`verify::verify`] or a [`verify::Engine`], whose verdicts are equal; nothing else calls `Groth16::verify*`.
//! - `unsafe` is denied, but for the instructions of one processor extension, in one module of `verify`.
//! - No arkworks type is public, so the curve arithmetic is instantiated here and nowhere else.
//! - Pure: no sockets, no hidden randomness, no clock but for timing stages. Seeds come in; the same seed gives the same proof. Threads share work out and
//!   change no result.
//! - Witness data is wiped when dropped, where this crate owns it, and never logged. (Sums of points that it weighs are not wiped.)
//!
//! # Not here
//!
//! Which roots, issuers and serials are good (the market's state), and what an asset has reserved (the ledger).

#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

pub mod attacks;
pub mod attestation;
pub mod capability;
pub mod circuit;
pub mod credential;
pub mod evidence;
pub mod field;
pub mod gadgets;
pub mod inspect;
pub mod issuer;
pub mod keys;
pub mod names;
mod packing;
mod poseidon;
pub mod prove;
mod prover;
pub mod r1cs;
pub mod registry;
pub mod schema;
pub mod snarkjs;
pub mod statement;
pub mod testing;
pub mod trial;
pub mod types;
pub mod verify;

pub use attestation::Attestation;
pub use capability::{Capability, CapabilityType, Setup};
pub use credential::{Credential, asset_of, placed};
pub use evidence::{Evidence, EvidenceKind, ProofBytes, ProofEvidence};
pub use issuer::{IssuerIndex, IssuerMask};
pub use keys::{ProvingKey, setup};
pub use names::NamedValue;
pub use prove::prove;
pub use registry::{MerklePath, Registry};
pub use schema::{Claim, ClaimField, ClaimSchema, FieldValue, Rule};
pub use statement::{Statement, context, holder_of};
pub use types::{Circuits, resources, score};
pub use verify::{VerifyingKey, verify};
