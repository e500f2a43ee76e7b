//! Many proofs in the lanes of one processor core.
//!
//! The linear combination is that of [`batch`](super::batch); this is how it is computed fast. One proof is one lane, and every lane does the same at the
//! same time. From the bottom to the top:
//!
//! | layer | |
//! |---|---|
//! | [`field`] | the base field in lanes: a trait, implemented by [`ifma`] (eight lanes, AVX-512 IFMA) and [`portable`] (one lane, any machine) |
//! | [`inverse`] | one inverse |
//! | [`quadratic`], [`tower`] | its extensions, of which a line of the Miller loop and the accumulator are elements |
//! | [`curve`], [`coefficients`] | multiples of G1 points by coefficients made to be cheap |
//! | [`decode`] | square roots: proof bytes to points |
//! | [`miller`] | the Miller loop, and G2 membership |
//! | [`across`] | one element of the tower across all lanes |
//! | [`exponentiation`] | which values of the Miller loop stand for 1 |
//! | [`engine`] | proofs to verdicts |
//! | [`layers`] | each by itself, for `benches/layers.rs` |
//!
//! All but the two implementations of [`field::Field`] is written once. `unsafe` is in [`ifma`] alone.

// Indices are lanes, limbs and digits, whose ranges are those of the arrays, and none of which a stranger chooses; arithmetic is of fields and limbs, and of
// counts of what is in memory. Loops over limbs stay loops over numbers: see `ifma` for why not iterators.
#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::needless_range_loop
)]

#[cfg(target_arch = "x86_64")]
mod across;
mod coefficients;
mod curve;
mod decode;
mod engine;
mod exponentiation;
mod field;
#[cfg(target_arch = "x86_64")]
mod ifma;
mod inverse;
mod layers;
mod miller;
mod msm;
mod portable;
mod quadratic;
#[cfg(test)]
mod tests;
mod tower;

pub(super) use curve::Tables;
pub(crate) use msm::{Multiples, g1_multiples, g2_multiples, table_bytes};

use super::{
    batch::{Item, Verdict},
    layers::Layer,
    stages::Stages,
};
use crate::evidence::ProofBytes;
use ark_bn254::{G1Affine, G2Affine};
use std::time::Duration;

/// Whether this processor can run [`ifma()`].
pub(super) fn has_ifma() -> bool {
    #[cfg(target_arch = "x86_64")]
    return ifma::available();
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// Verdicts, computed one lane wide.
pub(super) fn portable(items: &[Item<'_>], secret: &[u8; 32], stages: &Stages) -> Vec<Verdict> {
    engine::verify::<portable::Portable>(items, secret, stages)
}

/// Verdicts, computed eight lanes wide where the processor can.
pub(super) fn ifma(items: &[Item<'_>], secret: &[u8; 32], stages: &Stages) -> Vec<Verdict> {
    #[cfg(target_arch = "x86_64")]
    if ifma::available() {
        return engine::verify::<ifma::Ifma>(items, secret, stages);
    }
    portable(items, secret, stages)
}

/// How long the Miller loops of pairs take, one lane wide.
pub(super) fn portable_miller_loops(pairs: &[(G1Affine, G2Affine)]) -> Duration {
    engine::miller_loops::<portable::Portable>(pairs)
}

/// The same, eight lanes wide where the processor can.
pub(super) fn ifma_miller_loops(pairs: &[(G1Affine, G2Affine)]) -> Duration {
    #[cfg(target_arch = "x86_64")]
    if ifma::available() {
        return engine::miller_loops::<ifma::Ifma>(pairs);
    }
    portable_miller_loops(pairs)
}

/// Every layer, one lane wide.
pub(super) fn portable_layers(pairs: &[(G1Affine, G2Affine)], proofs: &[ProofBytes]) -> Vec<Layer> {
    layers::layers::<portable::Portable>(pairs, proofs)
}

/// Every layer, eight lanes wide; none where the processor cannot.
pub(super) fn ifma_layers(pairs: &[(G1Affine, G2Affine)], proofs: &[ProofBytes]) -> Vec<Layer> {
    #[cfg(target_arch = "x86_64")]
    if ifma::available() {
        return layers::layers::<ifma::Ifma>(pairs, proofs);
    }
    let _ = (pairs, proofs);
    Vec::new()
}
