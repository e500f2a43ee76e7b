//! Whole peers in one process.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod agreement;
mod api;
mod auction;
mod bytes;
mod events;
mod net;
mod openapi;
