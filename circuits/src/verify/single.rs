//! One proof at a time, on arkworks: the reference that any faster engine must agree with, and the only call of `Groth16::verify*`.

use super::{VerifyError, lanes::Tables};
use crate::{evidence::ProofBytes, field::to_fr};
use ark_bn254::{Bn254, Fr};
use ark_ec::AffineRepr;
use ark_groth16::{Groth16, PreparedVerifyingKey, Proof, prepare_verifying_key};
use ark_serialize::{CanonicalDeserialize, CanonicalSerialize};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
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
    /// SHA-256 of the key's bytes: what tells keys apart inside this process.
    fingerprint: [u8; 32],
    /// Multiples of the key's points, made when first needed.
    tables: Arc<Tables>,
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
            fingerprint: Sha256::digest(bytes).into(),
            tables: Arc::default(),
        })
    }

    /// Number of public inputs.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    pub(crate) fn inner(&self) -> &ark_groth16::VerifyingKey<Bn254> {
        &self.prepared.vk
    }

    /// The key prepared for pairings: gamma and delta negated.
    pub(super) fn prepared(&self) -> &PreparedVerifyingKey<Bn254> {
        &self.prepared
    }

    /// Multiples of the key's points.
    pub(super) fn tables(&self) -> &Tables {
        &self.tables
    }

    /// Equal for keys of equal bytes, and for no others.
    pub(super) fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
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

/// A proof and its inputs, decoded: everything checked but the pairing equation.
pub(super) struct Parsed {
    pub(super) inputs: Vec<Fr>,
    pub(super) proof: Proof<Bn254>,
}

impl Parsed {
    /// Applies every rule of the policy that comes before the equation.
    pub(super) fn parse(
        key: &VerifyingKey,
        inputs: &[FieldBytes],
        proof: &ProofBytes,
    ) -> Result<Self, VerifyError> {
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
        Ok(Parsed { inputs, proof })
    }

    /// The pairing equation `e(A, B) = e(alpha, beta) e(L, gamma) e(C, delta)`.
    pub(super) fn holds(&self, key: &VerifyingKey) -> Result<(), VerifyError> {
        match Groth16::<Bn254>::verify_proof(&key.prepared, &self.proof, &self.inputs) {
            Ok(true) => Ok(()),
            _ => Err(VerifyError::Invalid),
        }
    }
}

pub(super) fn verify(
    key: &VerifyingKey,
    inputs: &[FieldBytes],
    proof: &ProofBytes,
) -> Result<(), VerifyError> {
    Parsed::parse(key, inputs, proof)?.holds(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::from_fr;
    use ark_bn254::{Fq, Fq2, G1Affine, G2Affine};
    use ark_ec::{CurveGroup, PrimeGroup, pairing::Pairing};
    use ark_ff::UniformRand;

    const INPUTS: usize = 3;

    /// A key of random points: good enough for every structural rule.
    fn key() -> ark_groth16::VerifyingKey<Bn254> {
        let mut rng = crate::keys::rng(b"test key", &[]);
        let mut g2 = || (ark_bn254::G2Projective::generator() * Fr::rand(&mut rng)).into_affine();
        let (beta_g2, gamma_g2, delta_g2) = (g2(), g2(), g2());
        let g1 = |i: u64| (ark_bn254::G1Projective::generator() * Fr::from(i + 2)).into_affine();
        ark_groth16::VerifyingKey {
            alpha_g1: g1(0),
            beta_g2,
            gamma_g2,
            delta_g2,
            gamma_abc_g1: (1..=INPUTS as u64 + 1).map(g1).collect(),
        }
    }

    fn parse(key: &ark_groth16::VerifyingKey<Bn254>) -> Result<VerifyingKey, KeyError> {
        VerifyingKey::parse(&key_bytes(key), INPUTS)
    }

    #[test]
    fn a_sound_key_parses_and_its_length_is_exact() {
        let bytes = key_bytes(&key());
        assert!(VerifyingKey::parse(&bytes, INPUTS).is_ok());
        let long = [&bytes[..], &[0]].concat();
        for (bytes, inputs) in [
            (&bytes[..], INPUTS + 1),
            (&bytes[..], INPUTS - 1),
            (&bytes[..], usize::MAX),
            (&bytes[..bytes.len() - 1], INPUTS),
            (&long[..], INPUTS),
        ] {
            let refused = VerifyingKey::parse(bytes, inputs).unwrap_err();
            assert!(matches!(refused, KeyError::Length { .. }), "{refused}");
        }
    }

    #[test]
    fn identity_points_are_refused_wherever_they_stand() {
        for i in 0..4 + INPUTS + 1 {
            let mut key = key();
            match i {
                0 => key.alpha_g1 = G1Affine::identity(),
                1 => key.beta_g2 = G2Affine::identity(),
                2 => key.gamma_g2 = G2Affine::identity(),
                3 => key.delta_g2 = G2Affine::identity(),
                i => key.gamma_abc_g1[i - 4] = G1Affine::identity(),
            }
            assert!(
                matches!(parse(&key), Err(KeyError::Identity(_))),
                "point {i}"
            );
        }
    }

    /// T6: arkworks decodes an identity whose other bits are junk.
    #[test]
    fn a_junk_identity_is_refused() {
        let mut bytes = key_bytes(&key());
        bytes[..G1_BYTES].fill(1);
        bytes[G1_BYTES - 1] = 0x40;
        let refused = VerifyingKey::parse(&bytes, INPUTS).unwrap_err();
        assert_eq!(refused, KeyError::NotCanonical("alpha"));
    }

    #[test]
    fn points_off_the_curve_or_the_subgroup_are_refused() {
        // On the twist, outside the subgroup: almost every x gives such a point.
        let stray = (1u64..)
            .find_map(|x| {
                let x = Fq2::new(Fq::from(x), Fq::from(1u64));
                G2Affine::get_point_from_x_unchecked(x, false)
            })
            .unwrap();
        assert!(stray.is_on_curve() && !stray.is_in_correct_subgroup_assuming_on_curve());
        let mut key = key();
        key.beta_g2 = stray;
        assert_eq!(parse(&key).unwrap_err(), KeyError::NotAPoint("beta"));
        let mut proof = ProofBytes([0; 128]);
        proof.0[..32].copy_from_slice(&compressed(&key.alpha_g1));
        proof.0[32..96].copy_from_slice(&compressed(&stray));
        proof.0[96..].copy_from_slice(&compressed(&key.alpha_g1));
        assert_eq!(parse_proof(&proof), Err(VerifyError::ProofMalformed));

        let off_curve = (0..=255u8)
            .map(|x| {
                let mut bytes = [0; G1_BYTES];
                bytes[0] = x;
                bytes
            })
            .find(|bytes| G1Affine::deserialize_compressed(&bytes[..]).is_err())
            .unwrap();
        let mut bytes = key_bytes(&key);
        bytes[..G1_BYTES].copy_from_slice(&off_curve);
        let refused = VerifyingKey::parse(&bytes, INPUTS).unwrap_err();
        assert_eq!(refused, KeyError::NotAPoint("alpha"));
    }

    /// T5: with gamma = ±delta (the first snarkjs keys had it), C = ∓L turns any inputs into a valid proof.
    #[test]
    fn degenerate_keys_are_refused_and_why() {
        let inputs = [5u64, 6, 7].map(Fr::from);
        for opposite in [false, true] {
            let mut weak = key();
            weak.delta_g2 = if opposite {
                -weak.gamma_g2
            } else {
                weak.gamma_g2
            };
            let refused = parse(&weak).unwrap_err();
            assert_eq!(refused, KeyError::Degenerate("gamma", "delta"));

            let prepared = prepare_verifying_key(&weak);
            let l = Groth16::<Bn254>::prepare_inputs(&prepared, &inputs).unwrap();
            let c = if opposite { l } else { -l };
            let (a, b, c) = (weak.alpha_g1, weak.beta_g2, c.into_affine());
            let holds = Bn254::multi_pairing(
                [-a, weak.alpha_g1, l.into_affine(), c],
                [b, weak.beta_g2, weak.gamma_g2, weak.delta_g2],
            );
            assert!(
                ark_ff::Zero::is_zero(&holds),
                "the forgery works on the bare equation"
            );

            // And the pairing alone, without our parser, accepts it.
            let bare = VerifyingKey {
                prepared,
                inputs: INPUTS,
                fingerprint: [0; 32],
                tables: Arc::default(),
            };
            let forged = proof_bytes(&Proof { a, b, c });
            let inputs = inputs.map(|i| from_fr(&i));
            assert_eq!(verify(&bare, &inputs, &forged), Ok(()));
        }
        let mut weak = key();
        weak.beta_g2 = weak.gamma_g2;
        assert_eq!(
            parse(&weak).unwrap_err(),
            KeyError::Degenerate("beta", "gamma")
        );
        let mut weak = key();
        weak.beta_g2 = -weak.delta_g2;
        assert_eq!(
            parse(&weak).unwrap_err(),
            KeyError::Degenerate("beta", "delta")
        );
    }
}
