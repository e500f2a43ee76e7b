//! Which engine verifies: all give the same verdicts, and differ in what they cost.

use super::{
    Item, VerifyError,
    batch::{Verdict, linear_combination},
    lanes,
};

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

    /// Checks many proofs, of any keys, as [`verify_batch`](super::verify_batch) does. Where the processor cannot run this engine, the portable one does it.
    pub fn verify(self, items: &[Item<'_>], secret: &[u8; 32]) -> Vec<Result<(), VerifyError>> {
        let run: fn(&[Item<'_>], &[u8; 32]) -> Vec<Verdict> = match self {
            Engine::Naive => |items, _| {
                let verdict =
                    |item: &Item<'_>| super::single::verify(item.key, item.inputs, item.proof);
                items.iter().map(verdict).collect()
            },
            Engine::Arkworks => linear_combination,
            Engine::Portable => lanes::portable,
            Engine::Ifma => lanes::ifma,
        };
        run(items, secret)
    }
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
