//! The Tender peer: libp2p, storage, mempool admission, HTTP API and command line.
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

pub mod documents;
pub mod metrics;
pub mod network;
