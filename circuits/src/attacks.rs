//! Attack tooling, for tests and demonstrations: what a cheat would do. Nothing an honest peer calls.

use crate::{
    capability::CapabilityType,
    credential::Credential,
    evidence::ProofBytes,
    keys::{ProvingKey, rng},
    prove::{Assigned, ProveError},
    registry::MerklePath,
    statement::Statement,
    verify::{
        Engine, VerifyError, VerifyingKey,
        single::{parse_proof, proof_bytes},
    },
};
use ark_bn254::Bn254;
use ark_groth16::Groth16;

/// A proof of whatever is asked, true or not: the prover with every check left out. For a false statement the bytes
/// are well-formed and every verifier refuses them.
///
/// # Errors
/// [`ProveError::Misfit`] if the values do not even fit the circuit.
pub fn forge(
    key: &ProvingKey,
    credential: &Credential,
    path: &MerklePath,
    statement: &Statement,
    seed: [u8; 32],
) -> Result<ProofBytes, ProveError> {
    let engine = Engine::chosen().map_err(|e| ProveError::Prover(e.to_string()))?;
    Assigned::unchecked(key, credential, path, statement, seed)?.create(engine, true)
}

/// Another valid proof of the same statement, made without knowing the witness (THREATS T3). This is why bids are not identified by their proofs.
///
/// # Errors
/// [`VerifyError::ProofMalformed`] and the like if key or proof do not decode.
pub fn rerandomise(
    record: &CapabilityType,
    proof: &ProofBytes,
    seed: [u8; 32],
) -> Result<ProofBytes, VerifyError> {
    let key = record
        .verifying_key()
        .map_err(|_| VerifyError::ProofMalformed)?;
    rerandomise_under(&key, proof, seed)
}

/// [`rerandomise`] with a key that is parsed already.
///
/// # Errors
/// [`VerifyError::ProofMalformed`] and the like if the proof does not decode.
pub fn rerandomise_under(
    key: &VerifyingKey,
    proof: &ProofBytes,
    seed: [u8; 32],
) -> Result<ProofBytes, VerifyError> {
    let proof = parse_proof(proof)?;
    let mut rng = rng(b"rerandomise", &[&seed]);
    let other = Groth16::<Bn254>::rerandomize_proof(key.inner(), &proof, &mut rng);
    Ok(proof_bytes(&other))
}
