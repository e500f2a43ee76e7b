//! What `tender bench clear` leaves behind: rows as JSON, and a [page](super::page) to look at.

use super::{
    super::{Failure, figures::Figure, machine::Machine, stats::Samples},
    cell::Cell,
    page,
};
use crate::documents::{Access, write_bytes, write_json};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// One market on so many cores. Times are medians of the rounds in milliseconds, `…_best_ms` their least.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    /// Its family, as text that gives it again.
    pub(super) family: String,
    /// Agents; each has one bid.
    pub(super) agents: usize,
    pub(super) tasks: usize,
    /// Entries of all bids: a price for a task each.
    pub(super) bids: usize,
    /// Threads, each with a core if there are enough.
    pub(super) cores: usize,
    pub(super) seed: u64,
    /// The canonical optimum and its witness.
    pub(super) solve_ms: f64,
    /// What every winner is paid.
    pub(super) pay_ms: f64,
    /// The witness checked, payments included.
    pub(super) check_ms: f64,
    /// SHA-256 of the market's bids.
    pub(super) sha256_ms: f64,
    pub(super) solve_best_ms: f64,
    pub(super) pay_best_ms: f64,
    pub(super) check_best_ms: f64,
    pub(super) sha256_best_ms: f64,
    /// Solving and paying together.
    pub(super) propose_ms: f64,
    pub(super) propose_best_ms: f64,
    /// 95th percentiles, in the order solve, pay, check, sha256.
    pub(super) p95_ms: [f64; 4],
    pub(super) rounds: usize,
    /// Greatest total surplus.
    pub(super) surplus: u128,
    /// Units assigned.
    pub(super) won: usize,
}

impl Row {
    /// A row for each number of cores.
    pub(super) fn of(cell: &Cell, seed: u64) -> Vec<Row> {
        let instance = &cell.subject.instance;
        let best = |samples: &Samples| samples.quantile(0.0);
        let row = |(cores, parts): &(usize, super::cell::Parts)| Row {
            family: cell.subject.family.to_string(),
            agents: instance.slots.len(),
            tasks: instance.quantities.len(),
            bids: cell.subject.entries(),
            cores: *cores,
            seed,
            solve_ms: parts.solve.median(),
            pay_ms: parts.pay.median(),
            check_ms: parts.check.median(),
            sha256_ms: parts.sha256.median(),
            solve_best_ms: best(&parts.solve),
            pay_best_ms: best(&parts.pay),
            check_best_ms: best(&parts.check),
            sha256_best_ms: best(&parts.sha256),
            propose_ms: parts.propose.median(),
            propose_best_ms: best(&parts.propose),
            p95_ms: [&parts.solve, &parts.pay, &parts.check, &parts.sha256].map(Samples::p95),
            rounds: parts.solve.len(),
            surplus: cell.surplus(),
            won: cell.won(),
        };
        cell.turns.iter().map(row).collect()
    }
}

/// Another solver on one of the markets, on one core.
#[derive(Clone, Debug, Serialize)]
pub(super) struct PeerRow {
    pub(super) family: String,
    pub(super) bids: usize,
    /// Its name and version.
    pub(super) peer: String,
    /// Median and least time of the rounds.
    pub(super) ms: f64,
    pub(super) best_ms: f64,
    pub(super) rounds: usize,
    /// What it found the greatest total surplus to be: the same as ours, or it has no row.
    pub(super) surplus: u128,
    /// Its median over ours, for solving, ties and payments on the fewest cores measured.
    pub(super) ratio: f64,
}

/// The worst family that a search came upon.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Found {
    /// As text that gives it again.
    pub(super) family: String,
    pub(super) entries: usize,
    pub(super) seed: u64,
    /// How long it was searched, and how many families were tried.
    pub(super) seconds: f64,
    pub(super) tried: usize,
    /// Its time to solve and pay over the natural family's, as seen in the search.
    pub(super) ratio: f64,
}

/// How a run was made.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Run {
    /// When, in unix seconds.
    pub(super) date: u64,
    /// How long it took, the drawing of markets included.
    pub(super) seconds: f64,
    /// The command line.
    pub(super) command: String,
    /// Seed of markets and ties.
    pub(super) seed: u64,
    pub(super) rounds: u16,
    /// The greatest spread of SHA-256's times, as a fraction of their median.
    pub(super) sha256_spread: f64,
    /// What is hashed.
    pub(super) hashed: &'static str,
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
    /// What others came to, and what each of them says it does.
    pub(super) peers: Vec<PeerRow>,
    pub(super) about_peers: BTreeMap<String, String>,
    /// What was searched for.
    pub(super) worst: Option<Found>,
}

impl Report {
    /// Writes data and page; gives their paths.
    ///
    /// # Errors
    /// [`Failure`] naming the file that cannot be written.
    pub(super) fn write(&self, directory: &Path) -> Result<[PathBuf; 2], Failure> {
        let paths = ["results.json", "report.html"].map(|name| directory.join(name));
        let [json, html] = &paths;
        write_json(json, self, Access::Public)?;
        write_bytes(html, page::html(self).as_bytes(), Access::Public)?;
        Ok(paths)
    }
}
