//! Range checks by bit decomposition: `n` boolean constraints and one that adds the bits up.

use crate::r1cs::{Builder, Num};
use ark_bn254::Fr;
use ark_ff::{AdditiveGroup as _, BigInteger as _, Field as _, PrimeField as _};
use zeroize::Zeroize;

/// Most bits of a decomposition: one fewer than the modulus has, so that the sum cannot wrap.
pub const MAX_BITS: u32 = 253;

/// A number and its bits, least significant first, each constrained to 0 or 1 and together to the number.
#[derive(Clone)]
pub struct Bits {
    /// The number.
    pub num: Num,
    pub(crate) bits: Vec<Num>,
}

/// Constrains `num` to `width` bits (capped at [`MAX_BITS`]) and returns them.
pub fn bits(b: &mut Builder, num: &Num, width: u32) -> Bits {
    let width = width.min(MAX_BITS);
    let value = num.value;
    #[cfg(test)]
    let deleted = b.deletion();
    #[cfg(test)]
    let value = deleted
        .as_ref()
        .and_then(|d| d.bits_of)
        .map_or(value, Fr::from);
    let mut value = value.into_bigint();
    let bits: Vec<Num> = (0..width as usize)
        .map(|i| {
            let bit = b.witness(Fr::from(value.get_bit(i)));
            boolean(b, &bit);
            bit
        })
        .collect();
    value.zeroize();
    let powers = std::iter::successors(Some(Fr::ONE), |power| Some(power.double()));
    let sum = Num::combination(powers.zip(&bits));
    #[cfg(test)]
    if deleted.is_some() {
        return Bits {
            num: num.clone(),
            bits,
        };
    }
    b.enforce_equal(&sum, num);
    Bits {
        num: num.clone(),
        bits,
    }
}

/// Constrains `bit` to 0 or 1.
pub(crate) fn boolean(b: &mut Builder, bit: &Num) {
    let complement = Num::from_u64(1).minus(bit);
    b.enforce_product(bit, &complement, &Num::constant(Fr::ZERO));
}

/// Constrains `attested ≥ claimed`, both below 2^`width` (`attested` by its own range check, `claimed` because it is a public
/// input of that width): the difference has `width` bits, so it did not wrap.
pub fn at_least(b: &mut Builder, attested: &Num, claimed: &Num, width: u32) {
    b.scope("attested covers claimed", |b| {
        bits(b, &attested.minus(claimed), width);
    });
}

/// Constrains `num ≠ 0`: it has an inverse.
pub fn nonzero(b: &mut Builder, num: &Num) {
    b.scope("not empty", |b| {
        let inverse = b.witness(num.value.inverse().unwrap_or(Fr::ZERO));
        b.enforce_product(num, &inverse, &Num::from_u64(1));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A width beyond the field's would let a sum wrap: it is cut.
    #[test]
    fn a_range_check_has_so_many_bits_and_no_more() {
        for width in [MAX_BITS - 1, MAX_BITS, MAX_BITS + 1, u32::MAX] {
            let mut builder = Builder::recording();
            let bits = bits(&mut builder, &Num::from_u64(1), width);
            assert_eq!(bits.bits.len(), width.min(MAX_BITS) as usize);
        }
    }
}
