//! Tendermint consensus as a pure kernel and engine, generic over an application.
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

pub mod application;
pub mod block;
pub mod certificate;
pub mod chain;
pub mod engine;
pub mod evidence;
pub mod kernel;
pub mod message;
pub mod params;
pub mod proposer;
pub mod signer;
pub mod sim;
pub mod tx;
pub mod validators;
pub mod vote;
pub mod wal;
