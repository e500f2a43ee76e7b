//! The seam to proof verification, and its real side: Groth16 behind a memory of good verdicts.
//!
//! A proof is verified once per peer, when its bid arrives; executing the block that holds it costs a lookup. Only good verdicts
//! are remembered, so invalid proofs cannot push them out.

use super::cache::Cache;
use std::sync::Arc;
use tender_circuits::{
    CapabilityType, ProofBytes, Statement, VerifyingKey,
    verify::{VerifyError, verify},
};
use tender_wire::{Digest, TypeId};

/// Good verdicts remembered: some minutes of full blocks, 8 MiB.
const MAX_VERDICTS: usize = 1 << 16;
/// Prepared keys remembered: as many as a chain has types, about 20 KiB each.
const MAX_KEYS: usize = crate::genesis::MAX_TYPES;

/// Judges proofs. Must be a pure function of its arguments.
pub trait ProofVerifier: Send + Sync {
    /// Whether `proof` proves `statement` under the type's key. `type_id` is `record`'s id.
    ///
    /// # Errors
    /// [`VerifyError`], the first rule broken.
    fn verify(
        &self,
        type_id: &TypeId,
        record: &CapabilityType,
        statement: &Statement,
        proof: &ProofBytes,
    ) -> Result<(), VerifyError>;
}

/// Groth16 verification with a bounded memory.
pub struct RememberingVerifier {
    verdicts: Cache<Digest, ()>,
    keys: Cache<TypeId, Arc<VerifyingKey>>,
}

impl Default for RememberingVerifier {
    fn default() -> Self {
        RememberingVerifier {
            verdicts: Cache::new(MAX_VERDICTS),
            keys: Cache::new(MAX_KEYS),
        }
    }
}

impl ProofVerifier for RememberingVerifier {
    fn verify(
        &self,
        type_id: &TypeId,
        record: &CapabilityType,
        statement: &Statement,
        proof: &ProofBytes,
    ) -> Result<(), VerifyError> {
        let verdict = statement.verdict_key(type_id, proof);
        if self.verdicts.known(&verdict).is_some() {
            return Ok(());
        }
        let key = match self.keys.known(type_id) {
            Some(key) => key,
            None => {
                // Registered types have passed this check; were it to fail, nothing of the type would verify.
                let key = Arc::new(record.verifying_key().map_err(|_| VerifyError::Invalid)?);
                self.keys.remember(*type_id, Arc::clone(&key));
                key
            }
        };
        verify(&key, statement, proof)?;
        self.verdicts.remember(verdict, ());
        Ok(())
    }
}
