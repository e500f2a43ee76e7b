//! Scenarios in the seeded network, named by what goes wrong, and the rules for what strangers send.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod accountability;
mod agreement;
mod bodies;
mod byzantine;
mod certificates;
mod faults;
mod idle;
mod limits;
mod messages;
mod network;
mod proposers;
mod replay;
mod soak;
mod sync;
mod validity;
mod voters;
