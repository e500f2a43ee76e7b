//! The Tender peer: libp2p, storage, mempool admission, HTTP API and command line.
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

pub mod agent;
pub mod api;
mod blocking;
pub mod cli;
pub mod config;
pub mod documents;
pub mod files;
pub mod keystore;
pub mod limits;
pub mod logging;
pub mod mempool;
pub mod metrics;
pub mod network;
pub mod node;
pub mod store;
