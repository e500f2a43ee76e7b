//! Scenarios in the seeded network, named by what goes wrong, and the rules for what strangers send.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod agreement;
mod byzantine;
mod certificates;
mod faults;
mod limits;
mod messages;
mod replay;
mod soak;
mod sync;
mod validity;
