//! Sealed-bid auctions: tasks, bids, ledger, clearing, outcomes and certificates.
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

pub mod clearing;
pub mod seal;
