//! Capability types, credentials, registry tree, Groth16 proving and strict verification.
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]
