//! One proof at a time, on arkworks: the reference that any faster engine must agree with, and the only call of `Groth16::verify*`.

use super::VerifyError;
use crate::{evidence::ProofBytes, field::to_fr};
use ark_bn254::{Bn254, Fr};
use ark_ec::AffineRepr;
use ark_groth16::{Groth16, PreparedVerifyingKey, Proof, prepare_verifying_key};
use ark_serialize::{CanonicalDeserialize, CanonicalSerialize};
use tender_wire::FieldBytes;

/// Bytes of a compressed G1 point.
const G1_BYTES: usize = 32;
/// Bytes of a compressed G2 point.
const G2_BYTES: usize = 64;

/// Why a verifying key is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not the length of a key with this many inputs.
    #[error("{found} bytes, a key for {inputs} public inputs has {expected}")]
    Length {
        /// Public inputs of the type.
        inputs: usize,
        /// Bytes expected.
        expected: usize,
        /// Bytes found.
        found: usize,
    },
    /// A point that is not on the curve or not in the subgroup.
    #[error("{0} is not a point of its group")]
    NotAPoint(&'static str),
    /// A point in another encoding than its own.
    #[error("{0} is not canonically encoded")]
    NotCanonical(&'static str),
    /// A point that is the identity.
    #[error("{0} is the identity")]
    Identity(&'static str),
    /// Two points whose ratio is known: anyone can forge.
    #[error("{0} and {1} are equal or opposite: proofs under this key can be forged by anyone")]
    Degenerate(&'static str, &'static str),
}

/// A verifying key that passed every check, prepared for pairings.
#[derive(Clone)]
pub struct VerifyingKey {
    prepared: PreparedVerifyingKey<Bn254>,
    inputs: usize,
}

impl std::fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifyingKey")
            .field("inputs", &self.inputs)
            .finish_non_exhaustive()
    }
}

impl VerifyingKey {
    /// Parses and checks a key for a type with this many public inputs. Layout, all points compressed: alpha (G1), beta, gamma,
    /// delta (G2), then `inputs + 1` points of G1, nothing else.
    ///
    /// # Errors
    /// [`KeyError`]: the first rule broken.
    pub fn parse(bytes: &[u8], inputs: usize) -> Result<Self, KeyError> {
        let fixed = G1_BYTES + 3 * G2_BYTES;
        let expected = inputs
            .saturating_add(1)
            .saturating_mul(G1_BYTES)
            .saturating_add(fixed);
        if bytes.len() != expected {
            return Err(KeyError::Length {
                inputs,
                expected,
                found: bytes.len(),
            });
        }
        let mut rest = bytes;
        let key = ark_groth16::VerifyingKey::<Bn254> {
            alpha_g1: point(&mut rest, G1_BYTES, "alpha")?,
            beta_g2: point(&mut rest, G2_BYTES, "beta")?,
            gamma_g2: point(&mut rest, G2_BYTES, "gamma")?,
            delta_g2: point(&mut rest, G2_BYTES, "delta")?,
            gamma_abc_g1: (0..=inputs)
                .map(|_| point(&mut rest, G1_BYTES, "an input's point"))
                .collect::<Result<_, _>>()?,
        };
        let pairs = [
            (("gamma", key.gamma_g2), ("delta", key.delta_g2)),
            (("beta", key.beta_g2), ("gamma", key.gamma_g2)),
            (("beta", key.beta_g2), ("delta", key.delta_g2)),
        ];
        for ((a, p), (b, q)) in pairs {
            if p.x().is_some() && p.x() == q.x() {
                return Err(KeyError::Degenerate(a, b));
            }
        }
        Ok(VerifyingKey {
            prepared: prepare_verifying_key(&key),
            inputs,
        })
    }

    /// Number of public inputs.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    pub(crate) fn inner(&self) -> &ark_groth16::VerifyingKey<Bn254> {
        &self.prepared.vk
    }
}

/// The bytes [`VerifyingKey::parse`] reads.
pub(crate) fn key_bytes(key: &ark_groth16::VerifyingKey<Bn254>) -> Vec<u8> {
    let mut out = compressed(&key.alpha_g1);
    for point in [&key.beta_g2, &key.gamma_g2, &key.delta_g2] {
        out.extend(compressed(point));
    }
    for point in &key.gamma_abc_g1 {
        out.extend(compressed(point));
    }
    out
}

/// A point's canonical bytes. Writing to memory does not fail.
fn compressed<P: CanonicalSerialize>(point: &P) -> Vec<u8> {
    let mut out = Vec::new();
    let _ = point.serialize_compressed(&mut out);
    out
}

fn point<P: AffineRepr>(rest: &mut &[u8], len: usize, name: &'static str) -> Result<P, KeyError> {
    let (head, tail) = rest
        .split_at_checked(len)
        .ok_or(KeyError::NotAPoint(name))?;
    *rest = tail;
    let point = P::deserialize_compressed(head).map_err(|_| KeyError::NotAPoint(name))?;
    if compressed(&point) != head {
        return Err(KeyError::NotCanonical(name));
    }
    if point.is_zero() {
        return Err(KeyError::Identity(name));
    }
    Ok(point)
}

/// Decodes a proof: canonical, in the subgroups, without identities.
pub(crate) fn parse_proof(bytes: &ProofBytes) -> Result<Proof<Bn254>, VerifyError> {
    let proof = Proof::<Bn254>::deserialize_compressed(bytes.0.as_slice())
        .map_err(|_| VerifyError::ProofMalformed)?;
    if proof_bytes(&proof) != *bytes {
        return Err(VerifyError::ProofNotCanonical);
    }
    if proof.a.is_zero() || proof.b.is_zero() || proof.c.is_zero() {
        return Err(VerifyError::ProofIdentity);
    }
    Ok(proof)
}

/// A proof's canonical bytes.
pub(crate) fn proof_bytes(proof: &Proof<Bn254>) -> ProofBytes {
    let mut out = [0; ProofBytes::LEN];
    let points = [
        compressed(&proof.a),
        compressed(&proof.b),
        compressed(&proof.c),
    ];
    out.iter_mut()
        .zip(points.iter().flatten())
        .for_each(|(o, b)| *o = *b);
    ProofBytes(out)
}

pub(super) fn verify(
    key: &VerifyingKey,
    inputs: &[FieldBytes],
    proof: &ProofBytes,
) -> Result<(), VerifyError> {
    if inputs.len() != key.inputs {
        return Err(VerifyError::InputCount {
            expected: key.inputs,
            found: inputs.len(),
        });
    }
    let inputs = inputs
        .iter()
        .enumerate()
        .map(|(index, i)| to_fr(i).ok_or(VerifyError::InputNotCanonical { index }))
        .collect::<Result<Vec<Fr>, _>>()?;
    let proof = parse_proof(proof)?;
    match Groth16::<Bn254>::verify_proof(&key.prepared, &proof, &inputs) {
        Ok(true) => Ok(()),
        _ => Err(VerifyError::Invalid),
    }
}
