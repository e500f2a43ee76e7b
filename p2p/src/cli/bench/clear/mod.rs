//! `tender bench clear`: what clearing a market costs: solving, paying, checking, beside SHA-256 of the same bids.
//!
//! A **cell** is one generated market: a family, a size. In every round every cell of a size is solved, paid, checked and hashed on every number of cores, in
//! turns, and after ours other programs solve the same market; so an hour's drift of the machine is in all figures alike. What the checker derives must be what
//! was proposed, in every round and on every number of cores.

mod cell;
mod dump;
mod page;
mod peers;
mod report;
mod search;
mod wanted;

use super::{
    Failure, check_parent, cores, distinct,
    machine::Machine,
    out,
    progress::Progress,
    stats::Samples,
    table::{Table, amount},
    threads, three_digits,
};
use crate::documents::{Access, write_json};
use cell::{Cell, Subject};
use clap::Args;
use peers::Peers;
use rayon::ThreadPool;
use report::{Found, Report, Row, Run};
use std::{
    path::PathBuf,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tender_auction::clearing::families::Family;

/// Sizes, unless arguments say otherwise.
const SIZES: [usize; 4] = [1000, 10_000, 100_000, 1_000_000];
/// One more, of the first family alone.
const LARGEST: usize = 10_000_000;
/// Most entries of one market.
const MOST: u64 = 100_000_000;
/// The size at which worst markets are searched for, unless arguments say otherwise.
const SEARCHED: usize = 100_000;
const ROUNDS: u16 = 5;
/// Spread of SHA-256's times above which the machine is called noisy, and the least time, in milliseconds, of which that is asked.
const NOISY: f64 = 0.10;
const NOTICEABLE: f64 = 0.2;
/// What the yardstick hashes.
const HASHED: &str = "for each entry, in order, the bid's number as u32, the task's as u32, the price as u64, little-endian: 16 bytes an entry";

#[derive(Debug, Args)]
#[command(
    after_help = "Families: natural, heavy-ties, correlated, few-tasks (five agents to a task), planted (a perfect matching is hidden in it), dense, multi-slot \
    (up to 4 slots and 4 copies of a task), price-war (neighbours fight for nothing). Each is a list of numbers, and another number makes another family: \
    price-war:window=64:noise=2. What the numbers mean is said in auction/src/clearing/families.rs. Family, entries and seed give the same market everywhere.\n\n\
    Every entry counts: its price is at most the reserve. Payments are Vickrey's. `check` is what every peer but the proposer does: from the market and the \
    witness to a verdict and all payments. `sha256` hashes 16 bytes an entry: bid, task, price.\n\n\
    --peers runs a program once a round for every market, which has other solvers solve it; auction/benches/peers is one, and says what it must print. \
    --dump writes the markets into files, laid out as p2p/src/cli/bench/clear/dump.rs says.\n\n\
    --search looks for the family that takes longest at one size, the largest asked for or 100,000, by changing numbers, and adds what it found to what is measured."
)]
pub(in crate::cli) struct ClearArgs {
    /// Families, by name or as name:parameter=number:… [default: all that have a name]
    #[arg(long, value_name = "FAMILIES", value_delimiter = ',', value_parser = family)]
    family: Vec<Family>,
    /// Entries of a market [default: 1000,10000,100000,1000000, and of the first family 10000000]
    #[arg(long, value_name = "ENTRIES", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..=MOST))]
    entries: Vec<u64>,
    /// Cores to run on; `all` is every core this program may use
    #[arg(long, value_name = "CORES", value_delimiter = ',', default_value = "1,all", value_parser = cores)]
    cores: Vec<usize>,
    /// Rounds: how often everything is measured
    #[arg(long, default_value_t = ROUNDS, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    rounds: u16,
    /// Seed of markets and ties
    #[arg(long, value_name = "NUMBER", default_value_t = 7)]
    seed: u64,
    /// Search so many seconds for the family that takes longest, and measure it too
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    search: Option<u64>,
    /// Have this program solve the markets with other solvers, and add their rows
    #[arg(long, value_name = "PROGRAM")]
    peers: Option<PathBuf>,
    /// Write the markets into this directory
    #[arg(long, value_name = "DIR")]
    dump: Option<PathBuf>,
    /// Write results.json and report.html into this directory
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write the results as JSON to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn family(text: &str) -> Result<Family, String> {
    text.parse().map_err(|e| format!("{e}"))
}

impl ClearArgs {
    pub(super) fn run(self) -> Result<(), Failure> {
        check_parent("--json", self.json.as_deref())?;
        for (flag, directory) in [("--out", &self.out), ("--dump", &self.dump)] {
            if let Some(directory) = directory {
                std::fs::create_dir_all(directory).map_err(|e| {
                    let what = format!("{flag}: {}: {e}", directory.display());
                    Failure::usage(what, "name a directory you may write to")
                })?;
            }
        }
        let machine = Machine::here();
        out::say(format_args!("{}", machine.line()));
        let report = self.measure(machine)?;
        on_terminal(&report);
        if let Some(path) = &self.json {
            write_json(path, &report, Access::Public)?;
            out::say(format_args!("data: {}", path.display()));
        }
        if let Some(directory) = &self.out {
            for path in report.write(directory)? {
                out::say(format_args!("written: {}", path.display()));
            }
        }
        Ok(())
    }

    /// Families of every size, the sizes ascending.
    fn plan(&self) -> Vec<(usize, Vec<Family>)> {
        let families = match &*self.family {
            [] => Family::named().to_vec(),
            families => distinct(families),
        };
        let mut sizes: Vec<usize> = self.entries.iter().map(|n| *n as usize).collect();
        sizes.sort_unstable();
        sizes.dedup();
        if !sizes.is_empty() {
            return sizes.into_iter().map(|n| (n, families.clone())).collect();
        }
        let mut plan: Vec<_> = SIZES.map(|n| (n, families.clone())).into();
        plan.push((LARGEST, families.into_iter().take(1).collect()));
        plan
    }

    fn measure(&self, machine: Machine) -> Result<Report, Failure> {
        let (began, date) = (Instant::now(), SystemTime::now());
        let mut pools = Vec::new();
        for cores in distinct(&self.cores) {
            pools.push((cores, threads(cores)?));
        }
        let mut plan = self.plan();
        let worst = self.search(&mut plan)?;
        let (mut rows, mut peer_rows, mut spread) = (Vec::new(), Vec::new(), 0f64);
        let mut peers = self.peers.clone().map(Peers::new);
        for (entries, families) in plan {
            let cells = self.size(entries, &families, &pools, peers.as_mut())?;
            let first = rows.len();
            let each = pools.len();
            rows.extend(cells.iter().flat_map(|cell| Row::of(cell, self.seed)));
            if let Some(peers) = &mut peers {
                let ours = |market: usize| {
                    let at = first.saturating_add(market.saturating_mul(each));
                    rows.get(at)
                };
                peer_rows.extend(peers.take_rows(ours));
            }
            let hashed = cells.iter().flat_map(|cell| &cell.turns);
            let hashed = hashed.map(|(_, parts)| &parts.sha256);
            let long = hashed.filter(|samples| samples.median() > NOTICEABLE);
            spread = long.map(Samples::spread).fold(spread, f64::max);
        }
        let (about_peers, mut warnings) = peers.map(Peers::said).unwrap_or_default();
        warnings.extend(machine.warning());
        if spread > NOISY {
            warnings.push(format!(
                "the machine was noisy: times of SHA-256 over the same bytes spread by up to {:.0} % of their median within the run (10th to 90th percentile); \
                 ratios hold better than times, both less than on a quiet machine",
                spread * 100.0
            ));
        }
        Ok(Report {
            run: Run {
                date: date.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()),
                seconds: began.elapsed().as_secs_f64(),
                command: std::env::args().collect::<Vec<_>>().join(" "),
                seed: self.seed,
                rounds: self.rounds,
                sha256_spread: spread,
                hashed: HASHED,
            },
            figures: wanted::figures(&rows, &peer_rows, worst.as_ref().map(|it| &*it.family)),
            machine,
            warnings,
            rows,
            peers: peer_rows,
            about_peers,
            worst,
        })
    }

    /// Searches for the worst family, if asked to, and adds it, and the natural one beside it, to the plan.
    fn search(&self, plan: &mut Vec<(usize, Vec<Family>)>) -> Result<Option<Found>, Failure> {
        let Some(seconds) = self.search else {
            return Ok(None);
        };
        let largest = self.entries.iter().max();
        let entries = largest.map_or(SEARCHED, |entries| *entries as usize);
        let search = search::Search {
            entries,
            seed: self.seed,
            budget: Duration::from_secs(seconds),
        };
        let (worst, found) = search.run(&self.family)?;
        if !plan.iter().any(|(size, _)| *size == entries) {
            plan.push((entries, Vec::new()));
        }
        for (_, families) in plan.iter_mut().filter(|(size, _)| *size == entries) {
            let natural = Family::named().into_iter().take(1);
            families.extend(natural.chain([worst]));
            *families = distinct(families);
        }
        Ok(Some(found))
    }

    /// Every round of the markets of one size.
    fn size(
        &self,
        entries: usize,
        families: &[Family],
        pools: &[(usize, ThreadPool)],
        mut peers: Option<&mut Peers>,
    ) -> Result<Vec<Cell>, Failure> {
        let cores: Vec<usize> = pools.iter().map(|(cores, _)| *cores).collect();
        let scratch = tempdir(self.peers.is_some() && self.dump.is_none())?;
        let directory = self.dump.as_ref().or(scratch.as_ref());
        let (mut cells, mut files) = (Vec::new(), Vec::new());
        for family in families {
            let subject = Subject::new(*family, entries, self.seed)?;
            if let Some(directory) = directory {
                files.push(dump::dump(&subject, directory, self.seed)?);
            }
            cells.push(Cell::new(subject, &cores));
        }
        let what = format!(
            "{} entries, {} families",
            amount(entries as u64),
            cells.len()
        );
        let rounds = usize::from(self.rounds);
        let progress = Progress::new(what, rounds.saturating_mul(cells.len()));
        for round in 0..rounds {
            for (market, cell) in cells.iter_mut().enumerate() {
                cell.round(pools, round)?;
                if let (Some(peers), Some(file)) = (peers.as_deref_mut(), files.get(market)) {
                    peers.round(market, cell, file)?;
                }
                progress.step();
            }
        }
        progress.finish();
        if let Some(scratch) = &scratch {
            let _ = std::fs::remove_dir_all(scratch); // at worst, files in the system's folder for such
        }
        Ok(cells)
    }
}

/// A new directory among the system's temporary files, if it is needed.
fn tempdir(is_needed: bool) -> Result<Option<PathBuf>, Failure> {
    if !is_needed {
        return Ok(None);
    }
    let name = format!("tender-bench-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&path).map_err(|e| {
        let what = format!("{}: {e}", path.display());
        Failure::new(what, "name a directory with --dump")
    })?;
    Ok(Some(path))
}

fn on_terminal(report: &Report) {
    let mut table = Table::new([
        "family",
        "cores",
        "agents",
        "tasks",
        "entries",
        "solve",
        "pay",
        "check",
        "sha256",
        "check/sha256",
        "solve/check",
        "surplus",
    ]);
    let over = |over: f64, under: f64| {
        let text = super::figures::times(over / under.max(f64::MIN_POSITIVE));
        format!("{text:>7}")
    };
    for row in &report.rows {
        let time = |median: f64, best: f64| {
            format!("{:>7} ({})", three_digits(median), three_digits(best))
        };
        table.row([
            row.family.clone(),
            amount(row.cores as u64),
            amount(row.agents as u64),
            amount(row.tasks as u64),
            amount(row.bids as u64),
            time(row.solve_ms, row.solve_best_ms),
            time(row.pay_ms, row.pay_best_ms),
            time(row.check_ms, row.check_best_ms),
            time(row.sha256_ms, row.sha256_best_ms),
            over(row.check_ms, row.sha256_ms),
            over(row.solve_ms, row.check_ms),
            row.surplus.to_string(),
        ]);
    }
    out::say(format_args!("\n{}", table.to_string().trim_end()));
    out::say(format_args!(
        "\nms: medians of {} rounds, and the best of them; seed {}; SHA-256 hashes {}",
        report.run.rounds, report.run.seed, report.run.hashed
    ));
    let mut table = Table::new(["family", "entries", "peer", "ms", "over ours", "surplus"]);
    for row in &report.peers {
        table.row([
            row.family.clone(),
            amount(row.bids as u64),
            row.peer.clone(),
            format!(
                "{:>7} ({})",
                three_digits(row.ms),
                three_digits(row.best_ms)
            ),
            format!("{:>7}", super::figures::times(row.ratio)),
            format!("{}, the same", row.surplus),
        ]);
    }
    if !table.is_empty() {
        out::say(format_args!("\n{}", table.to_string().trim_end()));
    }
    if let Some(worst) = &report.worst {
        out::say(format_args!(
            "\nworst of {} families tried in {:.0} s at {} entries, seed {}: {} the natural one's time to solve and pay\n  {}",
            worst.tried,
            worst.seconds,
            amount(worst.entries as u64),
            worst.seed,
            super::figures::times(worst.ratio),
            worst.family
        ));
    }
    if !report.figures.is_empty() {
        let mut table = Table::new(["figure", "wanted", "aim", "measured"]);
        for figure in &report.figures {
            let [wanted, aim, measured] = figure.texts();
            table.row([figure.figure.clone(), wanted, aim, measured]);
        }
        out::say(format_args!("\n{}", table.to_string().trim_end()));
    }
    for warning in &report.warnings {
        out::say(format_args!("warning: {warning}"));
    }
}
