//! An agent's own side of its peer: the key that signs, proving keys, bids, attestations, and a client of the HTTP API.
//!
//! | module | holds |
//! |---|---|
//! | [`client`] | a blocking client of one peer's API |
//! | [`actor`] | somebody who signs actions and sees them committed |
//! | [`prover`] | proving keys of a home |
//! | [`bidding`] | from prices by name to a sealed, proven, signed bid in a block |
//! | [`issuing`] | the issuer's side: attest, revoke |
//! | [`error`] | how all of it fails: what happened, what to do next |
//!
//! Secrets never leave the process that holds the home directory. The command line, the API's `POST` routes and the standing agent all bid
//! through here.

pub mod actor;
pub mod bidding;
pub mod client;
pub mod error;
pub mod issuing;
pub mod prover;
