//! What was tried, and what came of it.

use crate::{
    Verdict, engines,
    kinds::KINDS,
    plots::PLOTS,
    stock::{Case, UNTOUCHED},
};
use std::{collections::BTreeMap, time::Duration};
use tender_circuits::verify::{Engine, VerifyError};

/// Names of verdicts, as columns.
pub const VERDICTS: [&str; 7] = [
    "holds",
    "invalid",
    "malformed",
    "no canon",
    "identity",
    "count",
    "input",
];

pub fn column(verdict: &Verdict) -> usize {
    match verdict {
        Ok(()) => 0,
        Err(VerifyError::Invalid) => 1,
        Err(VerifyError::ProofMalformed) => 2,
        Err(VerifyError::ProofNotCanonical) => 3,
        Err(VerifyError::ProofIdentity) => 4,
        Err(VerifyError::InputCount { .. }) => 5,
        Err(VerifyError::InputNotCanonical { .. }) => 6,
    }
}

/// What was tried, and what came of it.
#[derive(Default)]
pub struct Counts {
    /// Verdicts of the single verifier, by what was done.
    pub kinds: BTreeMap<&'static str, [u64; 7]>,
    /// Verdicts of each engine.
    pub engines: BTreeMap<&'static str, [u64; 7]>,
    /// What they took.
    pub times: BTreeMap<&'static str, Duration>,
    /// Batches by how many of their proofs are bad, and by their size modulo eight.
    pub shares: BTreeMap<&'static str, u64>,
    pub sizes: BTreeMap<usize, u64>,
    pub largest: usize,
    pub seconds: u64,
}

impl Counts {
    pub fn tried(&mut self, cases: &[Case], verdicts: &[Verdict]) {
        for (case, verdict) in cases.iter().zip(verdicts) {
            self.kinds.entry(case.label).or_default()[column(verdict)] += 1;
        }
        let bad = verdicts.iter().filter(|verdict| verdict.is_err()).count();
        let share = match (bad, cases.len() - bad) {
            (0, _) => "none bad",
            (_, 0) => "all bad",
            (1, _) => "one bad",
            (_, 1) => "all but one bad",
            _ => "some bad",
        };
        *self.shares.entry(share).or_default() += 1;
        *self.sizes.entry(cases.len() % 8).or_default() += 1;
        self.largest = self.largest.max(cases.len());
    }

    pub fn judged(&mut self, engine: Engine, verdicts: &[Verdict], time: Duration) {
        *self.times.entry(engine.name()).or_default() += time;
        let row = self.engines.entry(engine.name()).or_default();
        for verdict in verdicts {
            row[column(verdict)] += 1;
        }
    }

    pub fn add(&mut self, other: Counts) {
        for (mine, others) in [
            (&mut self.kinds, other.kinds),
            (&mut self.engines, other.engines),
        ] {
            for (name, row) in others {
                let sums = mine.entry(name).or_default().iter_mut();
                sums.zip(row).for_each(|(sum, count)| *sum += count);
            }
        }
        for (engine, time) in other.times {
            *self.times.entry(engine).or_default() += time;
        }
        for (share, count) in other.shares {
            *self.shares.entry(share).or_default() += count;
        }
        for (size, count) in other.sizes {
            *self.sizes.entry(size).or_default() += count;
        }
        self.largest = self.largest.max(other.largest);
    }

    /// Every kind of mutation, of batch and of verdict was met.
    pub fn nothing_is_missing(&self) {
        let kinds = KINDS.iter().map(|kind| kind.name);
        for name in kinds.chain(PLOTS.iter().map(|plot| plot.name)) {
            assert!(self.kinds.contains_key(name), "not tried: {name}");
        }
        for share in [
            "none bad",
            "all bad",
            "one bad",
            "all but one bad",
            "some bad",
        ] {
            assert!(self.shares.contains_key(share), "no batch with {share}");
        }
        for engine in engines() {
            let row = self.engines[engine.name()];
            assert!(row.iter().all(|count| *count > 0), "{row:?}");
        }
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let row = |f: &mut std::fmt::Formatter<'_>, name: &str, row: &[u64; 7]| {
            write!(f, "{name:<58} {:>9}", row.iter().sum::<u64>())?;
            row.iter().try_for_each(|count| write!(f, " {count:>9}"))?;
            writeln!(f)
        };
        let head = |f: &mut std::fmt::Formatter<'_>, name: &str| {
            write!(f, "{name:<58} {:>9}", "tried")?;
            VERDICTS
                .iter()
                .try_for_each(|name| write!(f, " {name:>9}"))?;
            writeln!(f)
        };
        head(f, "what was done")?;
        let mut mutated = [0; 7];
        for (name, counts) in &self.kinds {
            row(f, name, counts)?;
            if *name != UNTOUCHED {
                mutated
                    .iter_mut()
                    .zip(counts)
                    .for_each(|(sum, count)| *sum += count);
            }
        }
        row(f, "mutated, in all", &mutated)?;
        head(f, "engine")?;
        for (name, counts) in &self.engines {
            row(f, name, counts)?;
        }
        for engine in Engine::ALL.into_iter().filter(|it| !it.is_available()) {
            writeln!(f, "{:<58} not on this processor", engine.name())?;
        }
        write!(f, "batches:")?;
        for (share, count) in &self.shares {
            write!(f, " {share} {count},")?;
        }
        write!(f, " of up to {} proofs; by size modulo 8:", self.largest)?;
        for (size, count) in &self.sizes {
            write!(f, " {size}: {count}")?;
        }
        write!(f, "\n{} s, in threads' seconds:", self.seconds)?;
        for (engine, time) in &self.times {
            write!(f, " {engine} {},", time.as_secs())?;
        }
        writeln!(f)
    }
}
