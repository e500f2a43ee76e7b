//! Sealed-bid auctions: tasks, bids, ledger, clearing, outcomes and certificates.
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

pub mod audit;
pub mod bid;
pub mod certificate;
pub mod clearing;
pub mod genesis;
pub mod ledger;
pub mod market;
pub mod outcome;
pub mod scenario;
pub mod seal;
pub mod task;
pub mod transaction;
