//! arkworks as it comes, with its assembly and for this very processor.

use crate::{Key, Proof};
use ark_bn254::{Bn254, Fr};
use ark_ff::{BigInteger256, PrimeField};
use ark_groth16::{Groth16, PreparedVerifyingKey, VerifyingKey, prepare_verifying_key};
use ark_serialize::CanonicalDeserialize;

pub const NAME: &str = "ark-groth16 0.6 (asm)";
pub const ABOUT: &str = "Rust with assembly for this processor, one proof at a time; from compressed bytes; checks curves and subgroups";

pub struct Prepared(PreparedVerifyingKey<Bn254>);

impl Prepared {
    pub fn new(key: &Key) -> Self {
        // The bytes have no length before the inputs' points.
        let at = 32 + 3 * 64;
        let count = ((key.bytes.len() - at) / 32) as u64;
        let bytes = [&key.bytes[..at], &count.to_le_bytes(), &key.bytes[at..]].concat();
        let key = VerifyingKey::deserialize_compressed(&bytes[..]).unwrap();
        Prepared(prepare_verifying_key(&key))
    }

    pub fn encode<'a>(&self, proof: &'a Proof) -> &'a Proof {
        proof
    }

    pub fn verify(&self, proof: &Proof) -> bool {
        let input = |bytes: &[u8; 32]| {
            let limb = |i: usize| u64::from_be_bytes(bytes[24 - 8 * i..32 - 8 * i].try_into().unwrap());
            Fr::from_bigint(BigInteger256::new([limb(0), limb(1), limb(2), limb(3)]))
        };
        let Some(inputs) = proof.inputs.iter().map(input).collect::<Option<Vec<Fr>>>() else {
            return false;
        };
        let Ok(proof) = ark_groth16::Proof::<Bn254>::deserialize_compressed(&proof.bytes[..]) else {
            return false;
        };
        Groth16::<Bn254>::verify_proof(&self.0, &proof, &inputs).unwrap_or(false)
    }
}
