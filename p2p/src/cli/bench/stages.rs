//! Where an engine's time goes: stage by stage, and beside its Miller loops alone.

use super::{
    Failure,
    cell::{Draw, Situation, Stock},
    engine::{Engine, name},
    stats::Samples,
};
use crate::cli::bidding::random;
use rayon::ThreadPool;
use serde::Serialize;
use std::{collections::BTreeMap, time::Instant};
use tender_circuits::verify::Stage;

/// An engine's stages in one situation, measured round by round.
pub(super) struct Stages {
    engine: Engine,
    situation: Situation,
    whole: Samples,
    parts: BTreeMap<Stage, Samples>,
    miller_loops: Samples,
}

/// What came of it, in microseconds per proof, on one core.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Breakdown {
    pub(super) engine: &'static str,
    /// Proofs in the batch, all good.
    pub(super) n: usize,
    /// Median of the whole, with the stages timed.
    pub(super) us_per_proof: f64,
    /// Median of the Miller loops of as many pairs alone, which no batch can be faster than.
    pub(super) miller_loops: f64,
    /// Medians of the stages, in their order.
    pub(super) stages: Vec<Part>,
}

/// A stage's share.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Part {
    pub(super) stage: &'static str,
    pub(super) us_per_proof: f64,
}

impl Stages {
    /// Whether an engine is divided into stages.
    pub(super) fn has(engine: Engine) -> bool {
        matches!(engine, Engine::Portable | Engine::Ifma)
    }

    pub(super) fn new(engine: Engine, situation: Situation) -> Self {
        Stages {
            engine,
            situation,
            whole: Samples::default(),
            parts: BTreeMap::new(),
            miller_loops: Samples::default(),
        }
    }

    /// One round, on a pool of one thread.
    ///
    /// # Errors
    /// [`Failure`] if a verdict is not the expected one.
    pub(super) fn round(
        &mut self,
        pool: &ThreadPool,
        stocks: &[Stock],
        seed: &[u8; 32],
        round: u64,
    ) -> Result<(), Failure> {
        let draw = Draw::of(&self.situation, stocks, seed, round);
        let (items, secret) = (draw.items(stocks), random()?);
        let (engine, n) = (self.engine, items.len());
        let (verdicts, spent, whole, bare) = pool.install(|| {
            let began = Instant::now();
            let (verdicts, spent) = engine.verify_staged(&items, &secret);
            (verdicts, spent, began.elapsed(), engine.miller_loops(n))
        });
        draw.check(engine, 0..n, &verdicts)?;
        let each = 1e6 / n.max(1) as f64;
        self.whole.push(whole.as_secs_f64() * each);
        self.miller_loops.push(bare.as_secs_f64() * each);
        for (stage, time) in spent {
            let samples = self.parts.entry(stage).or_default();
            samples.push(time.as_secs_f64() * each);
        }
        Ok(())
    }

    pub(super) fn breakdown(&self) -> Breakdown {
        let part = |(stage, samples): (&Stage, &Samples)| Part {
            stage: stage.name(),
            us_per_proof: samples.median(),
        };
        Breakdown {
            engine: name(self.engine),
            n: self.situation.n,
            us_per_proof: self.whole.median(),
            miller_loops: self.miller_loops.median(),
            stages: self.parts.iter().map(part).collect(),
        }
    }
}
