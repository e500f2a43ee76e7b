//! A deterministic network of engines in one process: virtual time, a seed, and everything that can go wrong.
//!
//! Delay, loss, reordering, duplicates, flipped bits, partitions and one-way cuts on the wire; crashes between and inside writes of the vote log and the
//! store, and restarts from what was durable; processes that stand still, clocks that are wrong; Byzantine validators as modules
//! ([`byzantine`]), and validators run twice ([`SimConfig::twins`]). The same seed gives the same run, checked by [`Sim::trace`].
//!
//! Every run watches two promises by itself and panics when one breaks: no two honest nodes commit different blocks at a height, and no honest
//! node ever signs two different messages for one slot, across any number of crashes. Liveness is for the test to ask ([`Sim::run_until`]).
//!
//! This is the fake of the shell; it lives here, and not among the tests, so that other crates can run their application under it.
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)] // a test instrument

pub mod byzantine;
pub mod keys;
mod network;
mod node;
mod rng;
pub mod toy;

pub use network::{Delivered, Sim, SimConfig};
pub use node::{CrashPoint, Kept, SimPool};
pub use rng::Rng;
