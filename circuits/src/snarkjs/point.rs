//! Points with a third coordinate, as snarkjs writes them: `"1"`, because a point that is not the identity is affine.

use super::{
    SnarkjsError,
    number::{Decimal, coordinate, decimal, element},
};
use ark_bn254::{Fq2, G1Affine, G2Affine};
use ark_ec::AffineRepr;
use ark_ff::AdditiveGroup;

/// `[x, y, "1"]`.
pub(super) type G1Json = [Decimal; 3];
/// `[c0, c1]`.
pub(super) type PairJson = [Decimal; 2];
/// `[x, y, ["1", "0"]]`.
pub(super) type G2Json = [PairJson; 3];

/// The identity is `["0", "1", "0"]`; nothing this crate writes holds one.
pub(super) fn g1(point: &G1Affine) -> G1Json {
    let (x, y, z) = match point.xy() {
        Some((x, y)) => (x, y, 1),
        None => (ark_bn254::Fq::ZERO, ark_bn254::Fq::from(1u8), 0),
    };
    [decimal(&x), decimal(&y), Decimal::small(z)]
}

pub(super) fn g2(point: &G2Affine) -> G2Json {
    let (x, y, z) = match point.xy() {
        Some((x, y)) => (x, y, 1),
        None => (Fq2::ZERO, Fq2::from(1u8), 0),
    };
    let third = [Decimal::small(z), Decimal::small(0)];
    [element(&x), element(&y), third]
}

pub(super) fn read_g1(json: &G1Json, what: &'static str) -> Result<G1Affine, SnarkjsError> {
    let [x, y, z] = json;
    let (x, y) = (coordinate(x, what)?, coordinate(y, what)?);
    affine(z == &Decimal::small(1), z == &Decimal::small(0), what)?;
    let point = G1Affine::new_unchecked(x, y);
    if point.is_on_curve() && point.is_in_correct_subgroup_assuming_on_curve() {
        Ok(point)
    } else {
        Err(SnarkjsError::NotAPoint(what))
    }
}

pub(super) fn read_g2(json: &G2Json, what: &'static str) -> Result<G2Affine, SnarkjsError> {
    let [x, y, [z, zero]] = json;
    let pair = |[c0, c1]: &PairJson| -> Result<Fq2, SnarkjsError> {
        Ok(Fq2::new(coordinate(c0, what)?, coordinate(c1, what)?))
    };
    let (x, y) = (pair(x)?, pair(y)?);
    let flat = zero == &Decimal::small(0);
    affine(
        flat && z == &Decimal::small(1),
        flat && z == &Decimal::small(0),
        what,
    )?;
    let point = G2Affine::new_unchecked(x, y);
    if point.is_on_curve() && point.is_in_correct_subgroup_assuming_on_curve() {
        Ok(point)
    } else {
        Err(SnarkjsError::NotAPoint(what))
    }
}

fn affine(one: bool, zero: bool, what: &'static str) -> Result<(), SnarkjsError> {
    match (one, zero) {
        (true, _) => Ok(()),
        (_, true) => Err(SnarkjsError::Identity(what)),
        _ => Err(SnarkjsError::NotAPoint(what)),
    }
}
