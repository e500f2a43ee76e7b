//! Field elements as bytes, and back. A [`FieldBytes`] is canonical if, read big-endian, it is below the BN254 scalar modulus;
//! only canonical bytes become an [`Fr`], so one element has one encoding (THREATS T6).

use ark_bn254::Fr;
use ark_ff::{BigInt, BigInteger, PrimeField};
use tender_wire::FieldBytes;

/// Whether the bytes are the one encoding of a BN254 scalar.
pub fn is_canonical(bytes: &FieldBytes) -> bool {
    to_fr(bytes).is_some()
}

/// The element, or `None` if the bytes are not below the modulus.
pub(crate) fn to_fr(bytes: &FieldBytes) -> Option<Fr> {
    let mut limbs = [0u64; 4];
    for (limb, chunk) in limbs.iter_mut().rev().zip(bytes.0.chunks_exact(8)) {
        *limb = u64::from_be_bytes(chunk.try_into().ok()?);
    }
    Fr::from_bigint(BigInt(limbs))
}

/// The element of bytes that need not be canonical: reduced. Only for values whose canonical form is checked elsewhere.
pub(crate) fn to_fr_reduced(bytes: &FieldBytes) -> Fr {
    Fr::from_be_bytes_mod_order(&bytes.0)
}

/// The canonical bytes of an element.
pub(crate) fn from_fr(value: &Fr) -> FieldBytes {
    let mut out = [0; 32];
    let bytes = value.into_bigint().to_bytes_be();
    out.iter_mut().zip(bytes).for_each(|(o, b)| *o = b);
    FieldBytes(out)
}

/// 2^`exponent`.
pub(crate) fn power_of_two(exponent: u32) -> Fr {
    let mut value = Fr::from(1u64);
    for _ in 0..exponent {
        ark_ff::AdditiveGroup::double_in_place(&mut value);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_modulus_and_above_are_not_canonical() {
        let minus_one = from_fr(&-Fr::from(1u64));
        assert!(is_canonical(&minus_one));
        let mut modulus = minus_one;
        modulus.0[31] += 1; // the modulus is odd
        assert!(!is_canonical(&modulus));
        assert!(!is_canonical(&FieldBytes([0xff; 32])));
        assert_eq!(to_fr(&FieldBytes::from_u64(7)), Some(Fr::from(7u64)));
    }
}
