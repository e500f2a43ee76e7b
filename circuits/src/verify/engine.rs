//! Which engine verifies: all give the same verdicts, and differ in what they cost.

use super::{
    Item, VerifyError,
    batch::{Verdict, linear_combination},
    lanes,
    stages::{Stage, Stages},
};
use ark_bn254::{Bn254, G1Affine, G1Projective, G2Affine, G2Projective};
use ark_ec::{CurveGroup, PrimeGroup, pairing::Pairing};
use std::time::{Duration, Instant};

/// The environment variable that forces an engine, by [`Engine::name`]; empty is not set.
pub const ENGINE_VARIABLE: &str = "TENDER_ENGINE";

/// A way to verify proofs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Engine {
    /// One proof after the other, on arkworks: the reference for verdicts, and the anchor of every ratio.
    Naive,
    /// A random linear combination, on arkworks: the reference for the lanes.
    Arkworks,
    /// The lanes, one element wide: for any machine.
    Portable,
    /// The lanes, eight elements wide: for processors with AVX-512 IFMA.
    Ifma,
}

/// The engine asked for cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// No engine has this name.
    #[error("no engine is called {0:?}: naive, arkworks, portable or ifma")]
    Unknown(String),
    /// This processor lacks what the engine needs.
    #[error("this processor cannot run the {0} engine: it lacks AVX-512 IFMA")]
    Unavailable(&'static str),
}

impl Engine {
    /// All engines, the slowest first.
    pub const ALL: [Engine; 4] = [
        Engine::Naive,
        Engine::Arkworks,
        Engine::Portable,
        Engine::Ifma,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Engine::Naive => "naive",
            Engine::Arkworks => "arkworks",
            Engine::Portable => "portable",
            Engine::Ifma => "ifma",
        }
    }

    /// Whether this processor can run it.
    pub fn is_available(self) -> bool {
        self != Engine::Ifma || lanes::has_ifma()
    }

    /// The fastest engine this processor can run.
    pub fn fastest() -> Self {
        if Engine::Ifma.is_available() {
            Engine::Ifma
        } else {
            Engine::Portable
        }
    }

    /// The engine [`ENGINE_VARIABLE`] names, else the fastest.
    ///
    /// # Errors
    /// [`EngineError`]: the variable names no engine, or one this processor cannot run. Never another engine in its place.
    pub fn chosen() -> Result<Self, EngineError> {
        let name = std::env::var_os(ENGINE_VARIABLE).unwrap_or_default();
        match name.to_string_lossy().as_ref() {
            "" => Ok(Engine::fastest()),
            name => name.parse(),
        }
    }

    /// Checks many proofs, of any keys. One verdict for each, in order: always what [`verify_inputs`](super::verify_inputs) says of it alone. `secret` should be
    /// random and known to nobody else; verdicts do not depend on it. Where the processor cannot run this engine, the portable one does it.
    pub fn verify(self, items: &[Item<'_>], secret: &[u8; 32]) -> Vec<Result<(), VerifyError>> {
        self.run(items, secret, &Stages::untimed())
    }

    /// [`verify`](Engine::verify), and what each stage of it cost, in their order: times of all threads added up, and only stages that were entered. The engines
    /// on arkworks are not divided into stages.
    pub fn verify_staged(
        self,
        items: &[Item<'_>],
        secret: &[u8; 32],
    ) -> (Vec<Verdict>, Vec<(Stage, Duration)>) {
        let stages = Stages::timed();
        let verdicts = self.run(items, secret, &stages);
        (verdicts, stages.spent())
    }

    fn run(self, items: &[Item<'_>], secret: &[u8; 32], stages: &Stages) -> Vec<Verdict> {
        match self {
            Engine::Naive => {
                let verdict =
                    |item: &Item<'_>| super::single::verify(item.key, item.inputs, item.proof);
                items.iter().map(verdict).collect()
            }
            Engine::Arkworks => linear_combination(items, secret),
            Engine::Portable => lanes::portable(items, secret, stages),
            Engine::Ifma => lanes::ifma(items, secret, stages),
        }
    }

    /// How long the Miller loops of so many pairs take, and nothing else: what no batch of as many proofs can be faster than. The pairs are ready in the engine's
    /// own form before the clock starts. The engines on arkworks prepare the second points within the loop.
    pub fn miller_loops(self, pairs: usize) -> Duration {
        let different = DIFFERENT.map(pair);
        let pairs: Vec<(G1Affine, G2Affine)> = different.into_iter().cycle().take(pairs).collect();
        match self {
            Engine::Naive | Engine::Arkworks => {
                let began = Instant::now();
                for pairs in pairs.chunks(super::MILLER_WINDOW) {
                    let (a, b): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
                    let _ = std::hint::black_box(Bn254::multi_miller_loop(a, b));
                }
                began.elapsed()
            }
            Engine::Portable => lanes::portable_miller_loops(&pairs),
            Engine::Ifma => lanes::ifma_miller_loops(&pairs),
        }
    }
}

/// Multiples of the generators that pairs are made of: as many as lanes.
const DIFFERENT: [u64; 8] = [2, 3, 5, 7, 11, 13, 17, 19];

fn pair(multiple: u64) -> (G1Affine, G2Affine) {
    (
        G1Projective::generator()
            .mul_bigint([multiple])
            .into_affine(),
        G2Projective::generator()
            .mul_bigint([multiple])
            .into_affine(),
    )
}

impl std::str::FromStr for Engine {
    type Err = EngineError;

    fn from_str(name: &str) -> Result<Self, EngineError> {
        let engine = (Engine::ALL.into_iter().find(|engine| engine.name() == name))
            .ok_or_else(|| EngineError::Unknown(name.to_owned()))?;
        if engine.is_available() {
            Ok(engine)
        } else {
            Err(EngineError::Unavailable(engine.name()))
        }
    }
}
