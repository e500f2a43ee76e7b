//! The ways to verify many proofs that are compared. To add one: a variant, its name, its sentence, its call; everything else follows.

use rayon::{ThreadPool, iter::ParallelIterator as _, slice::ParallelSlice as _};
use std::time::{Duration, Instant};
use tender_circuits::verify::{Item, VerifyError, verify_batch, verify_inputs};

/// An engine: takes keys, public inputs and proof bytes, gives a verdict for each proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    /// [`verify_inputs`] in a loop: the anchor of every ratio.
    Naive,
    /// [`verify_batch`] on arkworks.
    ArkworksBatch,
}

/// What an engine says of one proof.
pub(super) type Verdict = Result<(), VerifyError>;

impl Engine {
    /// All of them, the anchor first.
    pub(super) const ALL: [Engine; 2] = [Engine::Naive, Engine::ArkworksBatch];

    /// Its name in results.
    pub(super) fn name(self) -> &'static str {
        match self {
            Engine::Naive => "naive",
            Engine::ArkworksBatch => "arkworks-batch",
        }
    }

    /// What it does, in a sentence.
    pub(super) fn about(self) -> &'static str {
        match self {
            Engine::Naive => {
                "arkworks, one proof after the other: decode strictly, check, one pairing equation each"
            }
            Engine::ArkworksBatch => {
                "arkworks, a whole batch: decode strictly, check, one randomised pairing equation for all, bad proofs singled out"
            }
        }
    }

    fn run(self, items: &[Item<'_>], secret: &[u8; 32]) -> Vec<Verdict> {
        match self {
            Engine::Naive => items
                .iter()
                .map(|item| verify_inputs(item.key, item.inputs, item.proof))
                .collect(),
            Engine::ArkworksBatch => verify_batch(items, secret),
        }
    }

    /// Verifies on the threads of a pool, an even share of the items on each, and says how long it took from bytes to verdicts.
    pub(super) fn time(
        self,
        pool: &ThreadPool,
        items: &[Item<'_>],
        secret: &[u8; 32],
    ) -> (Vec<Verdict>, Duration) {
        let share = items
            .len()
            .div_ceil(pool.current_num_threads().max(1))
            .max(1);
        pool.install(|| {
            let began = Instant::now();
            let verdicts: Vec<_> = items
                .par_chunks(share)
                .flat_map_iter(|items| self.run(items, secret))
                .collect();
            (verdicts, began.elapsed())
        })
    }
}
