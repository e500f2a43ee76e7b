//! What the parts of a batch's verification cost.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// A part of the work that [`Engine::verify_staged`](super::Engine::verify_staged) times by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// The transcript, the coefficients out of it, and reading the bytes of inputs and proofs.
    Transcript,
    /// Square roots: abscissae to points that are on their curves.
    Decoding,
    /// Every A times its coefficient.
    Weighting,
    /// The weighted sum of all C.
    Sums,
    /// The weighted sums of all inputs, and of the key's points.
    Inputs,
    /// The Miller loops, from whose ends membership in G2 is read.
    MillerLoops,
    /// The product of all lanes, and its final exponentiation.
    Tail,
    /// Everything after a test that failed: which proofs it failed for.
    Retests,
}

impl Stage {
    /// All stages, in the order of the work.
    pub const ALL: [Stage; 8] = [
        Stage::Transcript,
        Stage::Decoding,
        Stage::Weighting,
        Stage::Sums,
        Stage::Inputs,
        Stage::MillerLoops,
        Stage::Tail,
        Stage::Retests,
    ];

    /// Its name, as a reader of a table would have it.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Transcript => "transcript and coefficients",
            Stage::Decoding => "decoding and curve checks",
            Stage::Weighting => "multiples of A",
            Stage::Sums => "sum of C",
            Stage::Inputs => "inputs",
            Stage::MillerLoops => "Miller loops and G2 membership",
            Stage::Tail => "tail",
            Stage::Retests => "finding bad proofs",
        }
    }
}

/// Sums up what stages cost, over all threads; or does not look at a clock at all.
pub(super) struct Stages(Option<[AtomicU64; Stage::ALL.len()]>);

impl Stages {
    pub(super) fn untimed() -> Self {
        Stages(None)
    }

    pub(super) fn timed() -> Self {
        Stages(Some(Default::default()))
    }

    /// Does work of a stage.
    pub(super) fn time<T>(&self, stage: Stage, work: impl FnOnce() -> T) -> T {
        let Some(spent) = self.0.as_ref().and_then(|spent| spent.get(stage as usize)) else {
            return work();
        };
        let began = Instant::now();
        let output = work();
        let nanoseconds = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        spent.fetch_add(nanoseconds, Ordering::Relaxed);
        output
    }

    /// What each stage that was entered cost, in their order.
    pub(super) fn spent(&self) -> Vec<(Stage, Duration)> {
        let spent = self.0.iter().flatten();
        (Stage::ALL.into_iter().zip(spent))
            .map(|(stage, spent)| (stage, Duration::from_nanos(spent.load(Ordering::Relaxed))))
            .filter(|(_, spent)| !spent.is_zero())
            .collect()
    }
}
