//! The engines that are compared, by the names they have in results, and how one is timed.

use rayon::{ThreadPool, iter::ParallelIterator as _, slice::ParallelSlice as _};
use std::time::{Duration, Instant};
use tender_circuits::verify::Item;
pub(super) use tender_circuits::verify::{Engine, Verdict};

/// Its name in results.
pub(super) fn name(engine: Engine) -> &'static str {
    match engine {
        Engine::Arkworks => "arkworks-batch",
        other => other.name(),
    }
}

/// The engine of a name, if this processor can run it.
pub(super) fn named(text: &str) -> Result<Engine, String> {
    let known = Engine::ALL.into_iter().find(|it| name(*it) == text);
    let engine = known.ok_or_else(|| {
        let names = Engine::ALL.map(name).join(", ");
        format!("no engine is called {text:?}: {names}")
    })?;
    engine.name().parse::<Engine>().map_err(|e| e.to_string())
}

/// What it does, in a sentence.
pub(super) fn about(engine: Engine) -> &'static str {
    match engine {
        Engine::Naive => {
            "arkworks, one proof after the other: decode strictly, check, one pairing equation each"
        }
        Engine::Arkworks => {
            "arkworks, a whole batch: decode strictly, check, one randomised pairing equation for all, bad proofs singled out"
        }
        Engine::Portable => {
            "Tender's own arithmetic on 64-bit limbs, for any machine: the same equation, membership in G2 read off the Miller loop"
        }
        Engine::Ifma => "the same in eight lanes of AVX-512 IFMA",
    }
}

/// Verifies on the threads of a pool, and says how long it took from bytes to verdicts. Engines in lanes share a batch out over the threads by themselves; for the
/// others it is divided, an even share for each thread.
pub(super) fn time(
    engine: Engine,
    pool: &ThreadPool,
    items: &[Item<'_>],
    secret: &[u8; 32],
) -> (Vec<Verdict>, Duration) {
    let threads = pool.current_num_threads().max(1);
    let share = match engine {
        Engine::Naive | Engine::Arkworks => items.len().div_ceil(threads).max(1),
        Engine::Portable | Engine::Ifma => items.len().max(1),
    };
    pool.install(|| {
        let began = Instant::now();
        let verdicts: Vec<_> = items
            .par_chunks(share)
            .flat_map_iter(|items| engine.verify(items, secret))
            .collect();
        (verdicts, began.elapsed())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_are_known_by_the_names_they_have_in_results() {
        for engine in Engine::ALL {
            let found = named(name(engine));
            assert_eq!(found.is_ok(), engine.is_available());
            assert!(found.is_err() || found == Ok(engine));
        }
        assert!(named("arkworks").unwrap_err().contains("arkworks-batch"));
    }
}
