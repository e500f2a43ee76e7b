//! snarkjs' JSON files of Groth16 over BN254 (which it calls `bn128`): written for its verifier, and read back strictly.
//!
//! | file | type | is |
//! |---|---|---|
//! | `verification_key.json` | [`KeyJson`] | a verifying key |
//! | `proof.json` | [`ProofJson`] | a proof |
//! | `public.json` | [`PublicJson`] | its public inputs, in circuit order |
//!
//! Numbers are decimal strings; a G1 point is `[x, y, "1"]`, a G2 point `[[x.c0, x.c1], [y.c0, y.c1], ["1", "0"]]`, and `vk_alphabeta_12` is the
//! pairing of alpha and beta as two triples of pairs. snarkjs 0.7 writes and reads exactly this.
//!
//! Invariants of reading: protocol and curve are these two words; every number is canonical (no leading zero, below its modulus); every point is affine,
//! on the curve, in the subgroup and not the identity; a key passes [`VerifyingKey::parse`] and its pairing is that of its points. What is read is
//! turned into the bytes the rest of the crate knows, and verified by [`mod@crate::verify`] like everything else. Bounds: [`MAX_DIGITS`],
//! [`MAX_INPUTS`]; the caller bounds the text.

mod number;
mod point;

pub use number::{Decimal, MAX_DIGITS};

use crate::{
    evidence::ProofBytes,
    field::to_fr,
    schema::MAX_FIELDS,
    statement::PREFIX_INPUTS,
    verify::{
        KeyError, VerifyError, VerifyingKey,
        single::{key_bytes, parse_proof, proof_bytes},
    },
};
use ark_bn254::Bn254;
use ark_ec::pairing::Pairing;
use number::{decimal, element, scalar};
use point::{G1Json, G2Json, PairJson, g1, g2, read_g1, read_g2};
use serde::{Deserialize, Serialize};
use tender_wire::FieldBytes;

/// Most public inputs of a key that is read: what a capability type can have.
pub const MAX_INPUTS: usize = PREFIX_INPUTS + MAX_FIELDS;

/// Why a snarkjs file is refused, or cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnarkjsError {
    /// A number that is not below its modulus.
    #[error("{0}: the number is not below the field's modulus")]
    NotCanonical(&'static str),
    /// Coordinates of no point, or not in affine form.
    #[error("{0} is not an affine point of its group")]
    NotAPoint(&'static str),
    /// The point at infinity.
    #[error("{0} is the identity")]
    Identity(&'static str),
    /// `nPublic` or the number of IC points is out of bounds, or they disagree.
    #[error(
        "nPublic is {declared} with {points} points in IC; a key has 1 to {MAX_INPUTS} inputs and one point more"
    )]
    Inputs {
        /// `nPublic`.
        declared: usize,
        /// Points in `IC`.
        points: usize,
    },
    /// `vk_alphabeta_12` is not the pairing of `vk_alpha_1` and `vk_beta_2`.
    #[error("vk_alphabeta_12 is not the pairing of vk_alpha_1 and vk_beta_2")]
    Pairing,
    /// The key breaks the verification policy.
    #[error("verifying key: {0}")]
    Key(#[from] KeyError),
    /// The proof breaks the verification policy.
    #[error("{0}")]
    Proof(#[from] VerifyError),
}

/// The only protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Groth16.
    Groth16,
}

/// The only curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Curve {
    /// BN254 in snarkjs' words.
    Bn128,
}

/// `verification_key.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyJson {
    protocol: Protocol,
    curve: Curve,
    #[serde(rename = "nPublic")]
    inputs: u32,
    vk_alpha_1: G1Json,
    vk_beta_2: G2Json,
    vk_gamma_2: G2Json,
    vk_delta_2: G2Json,
    vk_alphabeta_12: [[PairJson; 3]; 2],
    #[serde(rename = "IC")]
    points: Vec<G1Json>,
}

/// `proof.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProofJson {
    pi_a: G1Json,
    pi_b: G2Json,
    pi_c: G1Json,
    protocol: Protocol,
    curve: Curve,
}

/// `public.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PublicJson(Vec<Decimal>);

impl KeyJson {
    /// A verifying key as snarkjs writes it.
    pub fn of(key: &VerifyingKey) -> Self {
        let inner = key.inner();
        KeyJson {
            protocol: Protocol::Groth16,
            curve: Curve::Bn128,
            inputs: u32::try_from(key.inputs()).unwrap_or(u32::MAX),
            vk_alpha_1: g1(&inner.alpha_g1),
            vk_beta_2: g2(&inner.beta_g2),
            vk_gamma_2: g2(&inner.gamma_g2),
            vk_delta_2: g2(&inner.delta_g2),
            vk_alphabeta_12: pairing(inner),
            points: inner.gamma_abc_g1.iter().map(g1).collect(),
        }
    }

    /// The bytes of the key, as a type's record holds them.
    ///
    /// # Errors
    /// [`SnarkjsError`]: the first rule broken.
    pub fn to_bytes(&self) -> Result<Vec<u8>, SnarkjsError> {
        let (declared, points) = (self.inputs as usize, self.points.len());
        if !(1..=MAX_INPUTS).contains(&declared) || points != declared.saturating_add(1) {
            return Err(SnarkjsError::Inputs { declared, points });
        }
        let inner = ark_groth16::VerifyingKey::<Bn254> {
            alpha_g1: read_g1(&self.vk_alpha_1, "vk_alpha_1")?,
            beta_g2: read_g2(&self.vk_beta_2, "vk_beta_2")?,
            gamma_g2: read_g2(&self.vk_gamma_2, "vk_gamma_2")?,
            delta_g2: read_g2(&self.vk_delta_2, "vk_delta_2")?,
            gamma_abc_g1: self
                .points
                .iter()
                .map(|point| read_g1(point, "a point of IC"))
                .collect::<Result<_, _>>()?,
        };
        if pairing(&inner) != self.vk_alphabeta_12 {
            return Err(SnarkjsError::Pairing);
        }
        Ok(key_bytes(&inner))
    }

    /// The key, checked as every key is.
    ///
    /// # Errors
    /// [`SnarkjsError`]: the first rule broken.
    pub fn verifying_key(&self) -> Result<VerifyingKey, SnarkjsError> {
        let bytes = self.to_bytes()?;
        Ok(VerifyingKey::parse(&bytes, self.inputs as usize)?)
    }

    /// Public inputs it says it takes.
    pub fn inputs(&self) -> usize {
        self.inputs as usize
    }
}

impl ProofJson {
    /// A proof as snarkjs writes it.
    ///
    /// # Errors
    /// [`SnarkjsError::Proof`] if the bytes are no proof.
    pub fn of(proof: &ProofBytes) -> Result<Self, SnarkjsError> {
        let proof = parse_proof(proof)?;
        Ok(ProofJson {
            pi_a: g1(&proof.a),
            pi_b: g2(&proof.b),
            pi_c: g1(&proof.c),
            protocol: Protocol::Groth16,
            curve: Curve::Bn128,
        })
    }

    /// The proof's bytes.
    ///
    /// # Errors
    /// [`SnarkjsError`]: the first rule broken.
    pub fn to_bytes(&self) -> Result<ProofBytes, SnarkjsError> {
        Ok(proof_bytes(&ark_groth16::Proof {
            a: read_g1(&self.pi_a, "pi_a")?,
            b: read_g2(&self.pi_b, "pi_b")?,
            c: read_g1(&self.pi_c, "pi_c")?,
        }))
    }
}

impl PublicJson {
    /// Public inputs as snarkjs writes them.
    ///
    /// # Errors
    /// [`SnarkjsError::NotCanonical`].
    pub fn of(inputs: &[FieldBytes]) -> Result<Self, SnarkjsError> {
        let one = |bytes| to_fr(bytes).ok_or(SnarkjsError::NotCanonical("a public input"));
        let numbers = inputs.iter().map(|bytes| one(bytes).map(|x| decimal(&x)));
        numbers.collect::<Result<_, _>>().map(PublicJson)
    }

    /// The inputs.
    ///
    /// # Errors
    /// [`SnarkjsError::NotCanonical`].
    pub fn inputs(&self) -> Result<Vec<FieldBytes>, SnarkjsError> {
        let numbers = self.0.iter();
        numbers.map(|n| scalar(n, "a public input")).collect()
    }
}

fn pairing(key: &ark_groth16::VerifyingKey<Bn254>) -> [[PairJson; 3]; 2] {
    let value = Bn254::pairing(key.alpha_g1, key.beta_g2).0;
    [&value.c0, &value.c1].map(|half| [&half.c0, &half.c1, &half.c2].map(element))
}

#[cfg(test)]
mod tests;
