//! An agent's own side of its peer: the key that signs, proving keys, bids, attestations, and a client of the HTTP API.
//!
//! | module | holds |
//! |---|---|
//! | [`client`] | a blocking client of one peer's API |
//! | [`actor`] | somebody who signs actions and sees them committed |
//! | [`prover`] | proving keys of a home |
//! | [`bidding`] | from prices by name to a sealed, proven, signed bid in a block |
//! | [`issuing`] | the issuer's side: attest, revoke |
//! | [`machine`] | what this machine has, as an issuer is to attest it |
//! | [`standing`] | an agent that stands by: bids, accepts, runs a command, delivers |
//! | [`error`] | how all of it fails: what happened, what to do next |
//!
//! Secrets never leave the process that holds the home directory. The command line, the API's `POST` routes and the standing agent all bid
//! through here.

pub mod actor;
pub mod bidding;
pub mod client;
pub mod error;
pub mod issuing;
pub mod machine;
pub mod prover;
pub mod standing;
#[cfg(test)]
mod testing;

use sha2::{Digest as _, Sha256};
use tender_wire::Digest;

/// The hash under which a result is delivered: plain SHA-256 of its bytes, what `sha256sum` prints, so that an opener checks it with
/// nothing of ours. The chain never looks behind it.
pub fn result_hash(result: &[u8]) -> Digest {
    Digest(Sha256::digest(result).into())
}
