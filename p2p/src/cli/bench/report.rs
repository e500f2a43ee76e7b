//! What `tender bench verify` leaves behind: rows as JSON and CSV, and a [page](super::page) to look at.

use super::{
    Failure,
    figures::{Figure, times},
    machine::Machine,
    page,
    stages::Breakdown,
};
use crate::documents::{Access, write_bytes, write_json};
use serde::{Serialize, Serializer};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
};

/// What a row belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Sweep {
    /// Batch sizes, all proofs good.
    Size,
    /// Bad proofs.
    Bad,
    /// Types with different numbers of public inputs.
    Inputs,
    /// Several verifying keys in a batch.
    Keys,
    /// Numbers of cores between one and all.
    Cores,
    /// Other programs' verifiers, one proof at a time.
    Peer,
}

impl Sweep {
    /// All of them, and what their tables are called.
    pub(super) const TITLES: [(Sweep, &'static str); 6] = [
        (Sweep::Size, "Batch size"),
        (Sweep::Cores, "Cores"),
        (Sweep::Bad, "Bad proofs"),
        (Sweep::Inputs, "Public inputs"),
        (Sweep::Keys, "Verifying keys in a batch"),
        (Sweep::Peer, "Peers"),
    ];

    fn name(self) -> &'static str {
        match self {
            Sweep::Size => "size",
            Sweep::Bad => "bad",
            Sweep::Inputs => "inputs",
            Sweep::Keys => "keys",
            Sweep::Cores => "cores",
            Sweep::Peer => "peer",
        }
    }
}

/// A whole number where it is one: `30`, `3.125`.
fn short<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
    if value.fract() == 0.0 && (0.0..1e9).contains(value) {
        to.serialize_u64(*value as u64)
    } else {
        to.serialize_f64(*value)
    }
}

/// One engine in one situation.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    /// Which comparison it belongs to.
    pub(super) sweep: Sweep,
    /// Engine, or a peer's name and version.
    pub(super) engine: String,
    /// Threads, each with a core if there are enough.
    pub(super) cores: usize,
    /// Proofs per batch.
    pub(super) n: usize,
    /// Public inputs per proof; the mean where types are mixed.
    pub(super) inputs: usize,
    /// Percentage of bad proofs.
    #[serde(serialize_with = "short")]
    pub(super) bad: f64,
    /// Median time per proof, in microseconds.
    pub(super) us_per_proof: f64,
    /// The naive loop's median in the same situation over this one's.
    pub(super) ratio: f64,
    /// Median (the same as `us_per_proof`).
    pub(super) p50: f64,
    /// 95th percentile.
    pub(super) p95: f64,
    /// Times measured.
    pub(super) samples: usize,
    /// Proofs of the batch that were verified each time: all, but in a naive loop over many.
    pub(super) timed: usize,
    /// Bad proofs in the batch.
    pub(super) bad_proofs: usize,
    /// Verifying keys in the batch.
    pub(super) keys: usize,
    /// Capability types, with spaces between them.
    #[serde(rename = "type")]
    pub(super) type_name: String,
}

impl Row {
    /// The ratio as people read it: `84.2×`.
    pub(super) fn times(&self) -> String {
        times(self.ratio)
    }

    /// What rows of one situation have in common.
    fn situation(&self) -> (Sweep, usize, usize, f64, usize, &str) {
        (
            self.sweep,
            self.cores,
            self.n,
            self.bad,
            self.keys,
            &self.type_name,
        )
    }
}

/// How a run was made.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Run {
    /// When, in unix seconds.
    pub(super) date: u64,
    /// How long it took, setups and proofs included.
    pub(super) seconds: f64,
    /// The command line.
    pub(super) command: String,
    /// Seed of keys, proofs and places of the bad ones.
    pub(super) seed: String,
    /// Rounds.
    pub(super) rounds: u16,
    /// Engines measured.
    pub(super) engines: Vec<&'static str>,
    /// Proofs of the main sweep that were proven, each of another statement.
    pub(super) proven: usize,
    /// Distinct proofs in it: the others are re-randomised.
    pub(super) distinct_proofs: usize,
    /// Proofs on which the naive loop is timed in larger batches.
    pub(super) naive_sample: usize,
    /// Spread of the naive loop's times, as a fraction of their median.
    pub(super) naive_spread: f64,
}

/// A whole run.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    /// Where.
    pub(super) machine: Machine,
    /// How.
    pub(super) run: Run,
    /// What to keep in mind.
    pub(super) warnings: Vec<String>,
    /// What people ask for first.
    pub(super) figures: Vec<Figure>,
    /// What came of it.
    pub(super) rows: Vec<Row>,
    /// Where the engines' time goes.
    pub(super) stages: Vec<Breakdown>,
    /// Peers among the rows, and what each of them says it does.
    pub(super) peers: BTreeMap<String, String>,
}

impl Report {
    /// Writes all three files; gives their paths.
    ///
    /// # Errors
    /// [`Failure`] naming the file that cannot be written.
    pub(super) fn write(&self, directory: &Path) -> Result<[PathBuf; 3], Failure> {
        let paths = ["results.json", "results.csv", "report.html"].map(|name| directory.join(name));
        let [json, csv, html] = &paths;
        write_json(json, self, Access::Public)?;
        write_bytes(csv, self.csv().as_bytes(), Access::Public)?;
        write_bytes(html, page::html(self).as_bytes(), Access::Public)?;
        Ok(paths)
    }

    /// The rows, one per line, under a line of names. No value holds a comma or a quote.
    pub(super) fn csv(&self) -> String {
        let mut out = String::from(
            "sweep,engine,cores,n,inputs,bad,us_per_proof,ratio,p50,p95,samples,timed,bad_proofs,keys,type\n",
        );
        for row in &self.rows {
            let Row {
                sweep,
                engine,
                cores,
                n,
                inputs,
                bad,
                us_per_proof,
                ratio,
                p50,
                p95,
                samples,
                timed,
                bad_proofs,
                keys,
                type_name,
            } = row;
            let sweep = sweep.name();
            let _ = writeln!(
                out,
                "{sweep},{engine},{cores},{n},{inputs},{bad},{us_per_proof:.3},{ratio:.4},{p50:.3},{p95:.3},{samples},{timed},{bad_proofs},{keys},{type_name}"
            );
        }
        out
    }

    /// The rows of a sweep, those of one situation together.
    pub(super) fn situations(&self, sweep: Sweep) -> Vec<Vec<&Row>> {
        let mut groups: Vec<Vec<&Row>> = Vec::new();
        for row in self.rows.iter().filter(|row| row.sweep == sweep) {
            let group = groups.iter_mut().find(|group| {
                group.first().map(|first| first.situation()) == Some(row.situation())
            });
            match group {
                Some(group) => group.push(row),
                None => groups.push(vec![row]),
            }
        }
        groups
    }
}
