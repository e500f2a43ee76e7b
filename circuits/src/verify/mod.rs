//! Verification policy: the one entrance through which everything that verifies a proof goes.
//!
//! ark-groth16 0.6 ignores surplus and missing public inputs, arkworks decodes several byte strings to one point, and anyone can
//! re-randomise a proof. So, before the pairing equation is asked (THREATS T4–T6):
//!
//! - **proof**: exactly 128 bytes, decoded, encoded again and compared; on the curve, in the subgroup, no identity;
//! - **inputs**: as many as the key has, every one canonical;
//! - **key**: right length and encoding, every point on the curve, in the subgroup and not the identity, no two of beta, gamma and
//!   delta equal or opposite (with gamma = ±delta anybody proves anything).
//!
//! That proofs are re-randomisable remains: two proofs of one statement are no two facts. Identity is in `ctx`, not in proof bytes.
//!
//! An [`Engine`] gives many proofs the verdicts that they would get one by one, for less; the policy is the same. `naive` and `arkworks` are the references for
//! verdicts and for the combination; `portable` and `ifma` compute the combination in the lanes of this crate's own arithmetic. Peers and audits verify on the
//! one that [`Engine::chosen`] gives.

mod batch;
mod engine;
pub(crate) mod lanes;
#[doc(hidden)]
pub mod layers;
pub(crate) mod single;
mod spread;
mod stages;

pub use batch::{Item, MILLER_WINDOW, RETESTS, Verdict};
pub use engine::{ENGINE_VARIABLE, Engine, EngineError};
pub use single::{KeyError, VerifyingKey};
pub use stages::Stage;

use crate::{evidence::ProofBytes, statement::Statement};
use tender_wire::FieldBytes;

/// Why a proof is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The statement has another number of inputs than the key.
    #[error("the key takes {expected} public inputs, the statement has {found}")]
    InputCount {
        /// Inputs of the key.
        expected: usize,
        /// Inputs of the statement.
        found: usize,
    },
    /// A public input at or above the field modulus.
    #[error("public input {index} is not a canonical field element")]
    InputNotCanonical {
        /// Its position.
        index: usize,
    },
    /// The bytes are not three points of the right groups.
    #[error("the proof bytes do not decode to curve points")]
    ProofMalformed,
    /// The bytes decode, but are not the encoding of what they decode to.
    #[error("the proof bytes are not canonical")]
    ProofNotCanonical,
    /// One of the points is the identity.
    #[error("a point of the proof is the identity")]
    ProofIdentity,
    /// The pairing equation does not hold: the proof is not of this statement.
    #[error("the proof does not hold for this statement")]
    Invalid,
}

/// Checks a proof of a statement, by the policy above.
///
/// # Errors
/// [`VerifyError`]: the first rule broken.
pub fn verify(
    key: &VerifyingKey,
    statement: &Statement,
    proof: &ProofBytes,
) -> Result<(), VerifyError> {
    single::verify(key, &statement.public_inputs(), proof)
}

/// [`verify`] on bare inputs: for tools and types whose statement is given as numbers.
///
/// # Errors
/// [`VerifyError`]: the first rule broken.
pub fn verify_inputs(
    key: &VerifyingKey,
    inputs: &[FieldBytes],
    proof: &ProofBytes,
) -> Result<(), VerifyError> {
    single::verify(key, inputs, proof)
}
