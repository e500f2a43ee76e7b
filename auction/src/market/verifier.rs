//! The seam to proof verification, and its real side: Groth16 behind a memory of good verdicts.
//!
//! A proof is verified once per peer, when its bid arrives, with those that wait beside it; executing the block that holds it costs a
//! lookup. Only good verdicts are remembered, so invalid proofs cannot push them out. Which engine verifies is said once, when the verifier is made:
//! all give the same verdicts.

use super::cache::Cache;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tender_circuits::{
    CapabilityType, ProofBytes, Statement, VerifyingKey,
    verify::{Engine, Item, VerifyError},
};
use tender_wire::{Digest, FieldBytes, TypeId};

/// Good verdicts remembered: some minutes of full blocks, 8 MiB. As many on bids' signatures.
pub const MAX_VERDICTS: usize = 1 << 16;
/// Prepared keys remembered: as many as a chain has types, about 20 KiB each.
pub const MAX_KEYS: usize = crate::genesis::MAX_TYPES;

/// Proofs verified together on arkworks, or one by one: some 90 ms of work if they are good; if half are bad, 1.7 times what they cost one by one,
/// below a fifth of a second (THREATS T26).
pub const TOGETHER_ARKWORKS: usize = 64;
/// Proofs verified together in lanes one wide: some 25 ms, and a few times that if they are bad.
pub const TOGETHER_PORTABLE: usize = 128;
/// Proofs verified together in lanes eight wide: some 12 ms, and a few times that if they are bad.
pub const TOGETHER_IFMA: usize = 512;

/// Proofs an engine is given at a time, so that no batch, whatever is in it, keeps a thread for longer than a fifth of a second.
pub const fn together(engine: Engine) -> usize {
    match engine {
        Engine::Naive | Engine::Arkworks => TOGETHER_ARKWORKS,
        Engine::Portable => TOGETHER_PORTABLE,
        Engine::Ifma => TOGETHER_IFMA,
    }
}

/// A proof, and all that it must prove.
#[derive(Clone, Debug)]
pub struct ProofClaim {
    /// The capability type: `record`'s id.
    pub type_id: TypeId,
    /// The type's record, with its verifying key.
    pub record: Arc<CapabilityType>,
    /// The statement, recomputed from bid and auction.
    pub statement: Statement,
    /// The proof.
    pub proof: ProofBytes,
}

/// Judges proofs. Must be a pure function of its arguments.
pub trait ProofVerifier: Send + Sync {
    /// Whether the proof proves the statement under the type's key.
    ///
    /// # Errors
    /// [`VerifyError`], the first rule broken.
    fn verify(&self, claim: &ProofClaim) -> Result<(), VerifyError>;

    /// One verdict for each claim, in order: what [`ProofVerifier::verify`] says of it alone.
    fn verify_all(&self, claims: &[&ProofClaim]) -> Vec<Result<(), VerifyError>> {
        claims.iter().map(|claim| self.verify(claim)).collect()
    }

    /// Claims worth handing to [`ProofVerifier::verify_all`] at a time: more would make what bad ones cost greater, and good ones hardly cheaper.
    fn together(&self) -> usize {
        TOGETHER_ARKWORKS
    }
}

/// Groth16 verification with a bounded memory.
pub struct RememberingVerifier {
    verdicts: Cache<Digest, ()>,
    keys: Cache<TypeId, Arc<VerifyingKey>>,
    engine: Engine,
    verified: AtomicU64,
    /// Hedges the coefficients of batches.
    secret: [u8; 32],
}

impl Default for RememberingVerifier {
    /// On the fastest engine there is here. Without a secret: coefficients of batches still come after everything they multiply.
    fn default() -> Self {
        RememberingVerifier::new(Engine::fastest(), [0; 32])
    }
}

impl RememberingVerifier {
    /// Remembers nothing yet. `secret` should be random and this process's own; verdicts do not depend on it.
    pub fn new(engine: Engine, secret: [u8; 32]) -> Self {
        RememberingVerifier {
            verdicts: Cache::new(MAX_VERDICTS),
            keys: Cache::new(MAX_KEYS),
            engine,
            verified: AtomicU64::new(0),
            secret,
        }
    }

    /// Proofs the engine was given until now: those on which no verdict was remembered.
    pub fn verified(&self) -> u64 {
        self.verified.load(Ordering::Relaxed)
    }

    fn key_of(&self, claim: &ProofClaim) -> Result<Arc<VerifyingKey>, VerifyError> {
        if let Some(key) = self.keys.known(&claim.type_id) {
            return Ok(key);
        }
        // Registered types have passed this check; were it to fail, nothing of the type would verify.
        let key = claim.record.verifying_key();
        let key = Arc::new(key.map_err(|_| VerifyError::Invalid)?);
        self.keys.remember(claim.type_id, Arc::clone(&key));
        Ok(key)
    }
}

impl ProofVerifier for RememberingVerifier {
    fn verify(&self, claim: &ProofClaim) -> Result<(), VerifyError> {
        let verdict = self.verify_all(&[claim]).pop();
        verdict.unwrap_or(Err(VerifyError::Invalid))
    }

    fn verify_all(&self, claims: &[&ProofClaim]) -> Vec<Result<(), VerifyError>> {
        let mut verdicts = Vec::with_capacity(claims.len());
        let mut unknown: Vec<Unknown<'_>> = Vec::new();
        for (place, claim) in claims.iter().enumerate() {
            let memory = claim.statement.verdict_key(&claim.type_id, &claim.proof);
            if self.verdicts.known(&memory).is_some() {
                verdicts.push(Ok(()));
                continue;
            }
            // Until the batch says otherwise.
            verdicts.push(Err(VerifyError::Invalid));
            if let Ok(key) = self.key_of(claim) {
                let inputs = claim.statement.public_inputs();
                let proof = &claim.proof;
                unknown.push(Unknown {
                    place,
                    memory,
                    key,
                    inputs,
                    proof,
                });
            }
        }
        if unknown.is_empty() {
            return verdicts;
        }
        self.verified
            .fetch_add(unknown.len() as u64, Ordering::Relaxed);
        let items: Vec<Item<'_>> = unknown.iter().map(Unknown::item).collect();
        for (unknown, found) in unknown.iter().zip(self.engine.verify(&items, &self.secret)) {
            if found.is_ok() {
                self.verdicts.remember(unknown.memory, ());
            }
            if let Some(verdict) = verdicts.get_mut(unknown.place) {
                *verdict = found;
            }
        }
        verdicts
    }

    fn together(&self) -> usize {
        together(self.engine)
    }
}

/// A proof without a verdict yet.
struct Unknown<'a> {
    place: usize,
    memory: Digest,
    key: Arc<VerifyingKey>,
    inputs: Vec<FieldBytes>,
    proof: &'a ProofBytes,
}

impl Unknown<'_> {
    fn item(&self) -> Item<'_> {
        Item {
            key: &self.key,
            inputs: &self.inputs,
            proof: self.proof,
        }
    }
}
