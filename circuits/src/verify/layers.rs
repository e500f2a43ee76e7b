//! The layers of the engines, for `benches/layers.rs` and nobody else.

use super::{Engine, lanes};
use crate::evidence::ProofBytes;
use ark_bn254::{G1Affine, G2Affine};

/// A layer of an engine.
pub struct Layer {
    /// What it computes.
    pub name: &'static str,
    /// How many of them one run computes.
    pub elements: usize,
    /// A run.
    pub run: Box<dyn Fn()>,
}

/// The layers of an engine in lanes, on pairs without an identity and proofs that decode; none for the engines on arkworks, and where the engine cannot run.
pub fn layers(engine: Engine, pairs: &[(G1Affine, G2Affine)], proofs: &[ProofBytes]) -> Vec<Layer> {
    match engine {
        Engine::Portable => lanes::portable_layers(pairs, proofs),
        Engine::Ifma => lanes::ifma_layers(pairs, proofs),
        _ => Vec::new(),
    }
}
