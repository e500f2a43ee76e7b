//! Deterministic simulation.
pub mod keys;
