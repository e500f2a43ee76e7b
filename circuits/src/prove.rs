//! Proving: from a credential and its place in the registry to 128 bytes.
//!
//! A prover returns `Ok` with a worthless proof for a false witness, so nothing is left to it: the native twin answers first, in
//! words a holder understands; then every constraint is evaluated, and an unsatisfied one is named; then the finished proof is verified as a
//! stranger would. Takes some 0.1 s of one core: keep it off asynchronous threads. Not constant-time: do not prove on a stranger's schedule.

use crate::{
    capability::Unsupported,
    circuit::{Witness, assignment},
    credential::{Credential, CredentialError},
    evidence::ProofBytes,
    issuer::{IssuerIndex, IssuerMask},
    keys::{ProvingKey, rng},
    prover,
    r1cs::{Assignment, Factors, Written},
    registry::MerklePath,
    schema::SchemaError,
    statement::{Statement, holder_of},
    verify::{self, Engine, VerifyError, single::proof_bytes},
};
use ark_bn254::Fr;
use ark_ff::UniformRand;
use tender_wire::{UnixTime, encode};
use zeroize::Zeroizing;

/// Why there is no proof.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProveError {
    /// The credential is not of this type, or malformed.
    #[error("credential: {0}")]
    Credential(#[from] CredentialError),
    /// The claim is not a value of the type's schema.
    #[error("claim: {0}")]
    Claim(#[from] SchemaError),
    /// The statement is about another holder.
    #[error("the credential was given to another key than the one this bid is signed with")]
    WrongHolder,
    /// The statement is about another machine.
    #[error("the credential is for another asset than the one this bid names")]
    WrongAsset,
    /// The credential expires during the lease.
    #[error("the credential expires at {expiry}, before the lease ends at {valid_until}")]
    Expired {
        /// Its last second.
        expiry: UnixTime,
        /// The lease's end.
        valid_until: UnixTime,
    },
    /// The credential's issuer is not among those named.
    #[error("issuer {issuer} attested this credential, which is not among the issuers named ({issuers:#x})", issuers = issuers.0)]
    IssuerNotNamed {
        /// The credential's issuer.
        issuer: IssuerIndex,
        /// The statement's.
        issuers: IssuerMask,
    },
    /// The credential is not under the root: revoked, not yet issued, or the path is of another root.
    #[error(
        "the credential does not lie under this registry root: it was revoked, or root and path are of different blocks"
    )]
    NotRegistered,
    /// The attested attributes do not support the claim.
    #[error("{reason}{}", constraint.as_ref().map_or_else(String::new, |c| format!(" (constraint {c})")))]
    Unsupported {
        /// Which field, and what is claimed and attested.
        reason: Unsupported,
        /// The first constraint it breaks; only [`prove`] looks for it.
        constraint: Option<Written>,
    },
    /// A constraint is not satisfied although the native checks passed.
    #[error("constraint not satisfied: {constraint}")]
    Unsatisfied {
        /// Where it was written.
        constraint: Written,
    },
    /// The values do not fit the circuit (a path or list of the wrong length).
    #[error("the values do not fit the circuit")]
    Misfit,
    /// arkworks could not make the proof.
    #[error("proving failed: {0}")]
    Prover(String),
    /// The finished proof does not verify: the proving key is not the type's.
    #[error("the finished proof does not verify ({0}); the proving key is damaged or wrong")]
    SelfCheck(VerifyError),
}

/// Proves a statement. `seed` must be secret and random; it is mixed with everything that is proven, so repeating it does no harm. The engine is
/// [`Engine::chosen`].
///
/// # Errors
/// [`ProveError`]: the first check that fails, in words.
pub fn prove(
    key: &ProvingKey,
    credential: &Credential,
    path: &MerklePath,
    statement: &Statement,
    seed: [u8; 32],
) -> Result<ProofBytes, ProveError> {
    let engine = Engine::chosen().map_err(|e| ProveError::Prover(e.to_string()))?;
    let proof = Assigned::new(key, credential, path, statement, seed)?.create(engine, true)?;
    verify::verify(&key.verifying, statement, &proof).map_err(ProveError::SelfCheck)?;
    Ok(proof)
}

/// A statement that was checked, with the values that are proven: what is left is arithmetic. For measuring it: [`prove`] is what makes proofs.
pub struct Assigned<'a> {
    key: &'a ProvingKey,
    values: (Assignment, Factors),
    /// The proof's randomness.
    random: Zeroizing<[Fr; 2]>,
}

impl<'a> Assigned<'a> {
    /// Checks the statement, natively and constraint by constraint. Arguments are those of [`prove`].
    ///
    /// # Errors
    /// [`ProveError`]: the first check that fails.
    pub fn new(
        key: &'a ProvingKey,
        credential: &Credential,
        path: &MerklePath,
        statement: &Statement,
        seed: [u8; 32],
    ) -> Result<Self, ProveError> {
        match check(key, credential, path, statement) {
            Ok(()) => {}
            Err(ProveError::Unsupported { reason, .. }) => {
                let constraint = violated(key, credential, path, statement);
                return Err(ProveError::Unsupported { reason, constraint });
            }
            Err(error) => return Err(error),
        }
        let assigned = Self::unchecked(key, credential, path, statement, seed)?;
        let (_, factors) = &assigned.values;
        match factors.violated.and_then(|row| key.shape.written(row)) {
            Some(constraint) => Err(ProveError::Unsatisfied { constraint }),
            None => Ok(assigned),
        }
    }

    /// The same for a statement true or not.
    pub(crate) fn unchecked(
        key: &'a ProvingKey,
        credential: &Credential,
        path: &MerklePath,
        statement: &Statement,
        seed: [u8; 32],
    ) -> Result<Self, ProveError> {
        let secret = Zeroizing::new(encode(credential));
        let seed = Zeroizing::new(seed);
        let mut parts: Vec<&[u8]> = vec![seed.as_ref(), &secret];
        let inputs = statement.public_inputs();
        parts.extend(inputs.iter().map(|i| i.as_ref()));
        let mut rng = rng(b"prove", &parts);
        Ok(Assigned {
            key,
            values: values(key, credential, path, statement)?,
            random: Zeroizing::new([Fr::rand(&mut rng), Fr::rand(&mut rng)]),
        })
    }

    /// The proof, not verified, by an engine, of which `naive` and `arkworks` mean arkworks' prover; `tables` says whether to use those that
    /// [`ProvingKey::prepare`] made, if it did.
    ///
    /// # Errors
    /// [`ProveError::Prover`].
    pub fn create(&self, engine: Engine, tables: bool) -> Result<ProofBytes, ProveError> {
        let (key, (z, factors)) = (self.key, &self.values);
        prover::create(
            &key.inner,
            &key.prepared,
            (engine, tables),
            &key.shape,
            (z, factors),
            *self.random,
        )
        .map(|proof| proof_bytes(&proof))
        .map_err(ProveError::Prover)
    }
}

/// The first constraint that the statement breaks with this credential, if it breaks one: where a refusal of [`check`] comes from.
pub fn violated(
    key: &ProvingKey,
    credential: &Credential,
    path: &MerklePath,
    statement: &Statement,
) -> Option<Written> {
    let (_, factors) = values(key, credential, path, statement).ok()?;
    factors.violated.and_then(|row| key.shape.written(row))
}

/// The native twin of the whole circuit: whether the credential supports the statement.
///
/// # Errors
/// [`ProveError`]: the first reason why not.
pub fn check(
    key: &ProvingKey,
    credential: &Credential,
    path: &MerklePath,
    statement: &Statement,
) -> Result<(), ProveError> {
    let record = &key.record;
    let attributes = key.capability.attributes();
    credential.check(&record.name, record.version, &attributes)?;
    record.schema.check_value(&statement.claim)?;
    if holder_of(&credential.holder) != statement.holder {
        return Err(ProveError::WrongHolder);
    }
    if credential.asset != statement.asset {
        return Err(ProveError::WrongAsset);
    }
    if credential.expiry < statement.valid_until {
        return Err(ProveError::Expired {
            expiry: credential.expiry,
            valid_until: statement.valid_until,
        });
    }
    if !statement.issuers.contains(credential.issuer) {
        return Err(ProveError::IssuerNotNamed {
            issuer: credential.issuer,
            issuers: statement.issuers,
        });
    }
    key.capability
        .check(&credential.attributes, &statement.claim)
        .map_err(|reason| ProveError::Unsupported {
            reason,
            constraint: None,
        })?;
    if path.root(&credential.leaf()) != Some(statement.registry_root) {
        return Err(ProveError::NotRegistered);
    }
    Ok(())
}

/// The values of every variable and row, true or not.
fn values(
    key: &ProvingKey,
    credential: &Credential,
    path: &MerklePath,
    statement: &Statement,
) -> Result<(Assignment, Factors), ProveError> {
    let (shape, witness) = (&key.shape, Witness::new(credential, path));
    let inputs = statement.public_inputs();
    let (z, factors) = assignment(&*key.capability, &inputs, &witness, shape);
    if z.0.len() == shape.variables && factors.a.len() == shape.constraints() {
        Ok((z, factors))
    } else {
        Err(ProveError::Misfit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Registry, asset_of, resources, resources::Resources, setup};
    use std::{collections::BTreeMap, sync::Arc};
    use tender_wire::{FieldBytes, PublicKey};

    /// T32: a proving key that is not the one behind the type's verifying key. Loading refuses it; should one slip through, the proof does
    /// not leave this function.
    #[test]
    fn a_proof_under_a_foreign_key_is_never_handed_out() {
        let (mut key, record) = setup(Arc::new(Resources), [1; 32]).unwrap();
        key.inner = setup(Arc::new(Resources), [2; 32]).unwrap().0.inner;
        let attributes = r#"{"gpu_model": "none", "region": "uk"}"#;
        let credential = Credential {
            type_name: record.name.clone(),
            version: record.version,
            issuer: IssuerIndex::new(0).unwrap(),
            holder: PublicKey([1; 32]),
            asset: asset_of("m"),
            attributes: resources::schema()
                .attributes_from_named(&serde_json::from_str(attributes).unwrap())
                .unwrap(),
            expiry: UnixTime(10),
            salt: FieldBytes([1; 32]),
        };
        let mut registry = Registry::default();
        let index = registry.append(&credential.leaf()).unwrap();
        let statement = Statement {
            registry_root: registry.root(),
            holder: holder_of(&credential.holder),
            ctx: FieldBytes::from_u64(1),
            asset: credential.asset,
            valid_until: UnixTime(10),
            issuers: IssuerMask(1),
            claim: record.schema.claim_from_named(&BTreeMap::new()).unwrap(),
        };
        let path = registry.path(index).unwrap();
        assert_eq!(
            prove(&key, &credential, &path, &statement, [3; 32]),
            Err(ProveError::SelfCheck(VerifyError::Invalid))
        );
    }
}
