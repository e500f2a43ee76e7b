//! `tender bench prove`: what a proof costs its maker, for every built-in type, beside arkworks' own prover.

use super::{
    Failure, check_parent, cores, distinct,
    machine::Machine,
    out,
    progress::Progress,
    stats::Samples,
    subject::{Subject, derive},
    threads,
};
use crate::{
    cli::{
        bidding::random,
        table::{Table, amount},
    },
    documents::{Access, write_json},
};
use clap::Args;
use rayon::ThreadPool;
use serde::Serialize;
use std::{path::PathBuf, time::Instant};
use tender_circuits::{types, verify::Engine};

#[derive(Debug, Args)]
#[command(
    after_help = "`proof` is from values to points, which is what arkworks' prover does; `all` is a proof as an agent makes it: the native check, \
    every constraint evaluated, the proof, and its own verification. Ratios are arkworks' median over the row's. Each proof is of another \
    statement, and types, cores and provers take turns. The prover beside arkworks' is the fastest here, or that which TENDER_ENGINE names; tables of a \
    key's points are made once, for who proves often, and timed by themselves."
)]
pub(in crate::cli) struct ProveArgs {
    /// Proofs per type, number of cores and prover
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    rounds: u16,
    /// Cores to run on; `all` is every core this program may use
    #[arg(long, value_name = "CORES", value_delimiter = ',', default_value = "1,all", value_parser = cores)]
    cores: Vec<usize>,
    /// Write the results as JSON to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// One type and prover on one number of cores. Times are milliseconds.
#[derive(Clone, Debug, Serialize)]
struct Row {
    #[serde(rename = "type")]
    type_name: String,
    constraints: usize,
    inputs: usize,
    engine: &'static str,
    /// Whether the key's tables were used.
    tables: bool,
    cores: usize,
    rounds: usize,
    /// From values to a proof.
    proof_p50_ms: f64,
    proof_p95_ms: f64,
    /// arkworks' `proof_p50_ms` over this one's.
    proof_ratio: f64,
    /// All of it.
    p50_ms: f64,
    p95_ms: f64,
    /// arkworks' `p50_ms` over this one's.
    ratio: f64,
    /// One core's `p50_ms` over this one's, where one core was measured.
    speedup: Option<f64>,
    /// The setup on all cores, once.
    setup_ms: f64,
    /// The tables on all cores, once.
    tables_ms: f64,
    tables_bytes: usize,
    proving_key_bytes: usize,
}

#[derive(Serialize)]
struct Report {
    machine: Machine,
    warnings: Vec<String>,
    rows: Vec<Row>,
}

/// A way to prove.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Prover {
    engine: Engine,
    tables: bool,
}

/// What all others are compared with.
const ARKWORKS: Prover = Prover {
    engine: Engine::Arkworks,
    tables: false,
};

/// Samples of one type and prover on one number of cores.
struct Cell<'a> {
    subject: &'a Subject,
    cores: usize,
    pool: &'a ThreadPool,
    prover: Prover,
    all: Samples,
    proof: Samples,
    /// What the tables took.
    tables: (f64, usize),
}

impl ProveArgs {
    pub(super) fn run(self) -> Result<(), Failure> {
        check_parent("--json", self.json.as_deref())?;
        let machine = Machine::here();
        out::say(format_args!("{}", machine.line()));
        let rows = self.measure()?;
        let warnings: Vec<_> = machine.warning().into_iter().collect();
        let mut table = Table::new([
            "type",
            "constraints",
            "prover",
            "cores",
            "proof ms",
            "p95",
            "ratio",
            "all ms",
            "p95",
            "ratio",
            "speed-up",
            "setup ms",
            "tables ms",
        ]);
        for row in &rows {
            table.row([
                row.type_name.clone(),
                amount(row.constraints as u64),
                if row.tables {
                    format!("{}, tables", row.engine)
                } else {
                    row.engine.to_owned()
                },
                amount(row.cores as u64),
                milliseconds(row.proof_p50_ms),
                milliseconds(row.proof_p95_ms),
                format!("{:.2}x", row.proof_ratio),
                milliseconds(row.p50_ms),
                milliseconds(row.p95_ms),
                format!("{:.2}x", row.ratio),
                row.speedup
                    .map_or_else(|| "-".into(), |s| format!("{s:.2}x")),
                amount(row.setup_ms.round() as u64),
                if row.tables {
                    amount(row.tables_ms.round() as u64)
                } else {
                    "-".into()
                },
            ]);
        }
        out::say(format_args!("\n{}", table.to_string().trim_end()));
        for warning in &warnings {
            out::say(format_args!("warning: {warning}"));
        }
        if let Some(path) = &self.json {
            let report = Report {
                machine,
                warnings,
                rows,
            };
            write_json(path, &report, Access::Public)?;
            out::say(format_args!("data: {}", path.display()));
        }
        Ok(())
    }

    fn measure(&self) -> Result<Vec<Row>, Failure> {
        let chosen = Engine::chosen()
            .map_err(|e| Failure::usage(e.to_string(), "unset it for the fastest"))?;
        let seed = random()?;
        let capabilities = types::all();
        let progress = Progress::new("setting up", capabilities.len().saturating_mul(2));
        let mut subjects = Vec::new();
        for (number, capability) in (0u64..).zip(capabilities) {
            let subject = Subject::set_up(capability, derive(&seed, "setup", number))?;
            progress.step();
            let began = Instant::now();
            let bytes = subject.key.prepare(chosen);
            let took = began.elapsed().as_secs_f64() * 1e3;
            progress.step();
            subjects.push((subject, (took, bytes)));
        }
        progress.finish();
        let mut pools = Vec::new();
        for cores in distinct(&self.cores) {
            pools.push((cores, threads(cores)?));
        }
        let mut cells = Vec::new();
        for (subject, tables) in &subjects {
            let of = |tables| Prover {
                engine: chosen,
                tables,
            };
            let provers = match tables {
                (_, 0) => vec![ARKWORKS, of(false)],
                _ => vec![ARKWORKS, of(false), of(true)],
            };
            for (cores, pool) in &pools {
                cells.extend(distinct(&provers).into_iter().map(|prover| Cell {
                    subject,
                    cores: *cores,
                    pool,
                    prover,
                    all: Samples::default(),
                    proof: Samples::default(),
                    tables: *tables,
                }));
            }
        }
        let steps = cells.len().saturating_mul(usize::from(self.rounds));
        let progress = Progress::new(format!("{} rounds of proofs", self.rounds), steps);
        for round in 0..u64::from(self.rounds) {
            for cell in &mut cells {
                let Prover { engine, tables } = cell.prover;
                let [all, proof] = cell
                    .pool
                    .install(|| cell.subject.time(round, engine, tables))?;
                cell.all.push(all.as_secs_f64() * 1e3);
                cell.proof.push(proof.as_secs_f64() * 1e3);
                progress.step();
            }
        }
        progress.finish();
        Ok(cells.iter().map(|cell| cell.row(&cells)).collect())
    }
}

impl Cell<'_> {
    fn row(&self, cells: &[Self]) -> Row {
        let median_of = |samples: fn(&Self) -> &Samples, cores: usize, prover: Prover| {
            let same = |cell: &&Self| {
                let known = (cell.subject.label(), cell.cores, cell.prover);
                known == (self.subject.label(), cores, prover)
            };
            let cell = cells.iter().find(same)?;
            Some(samples(cell).median() / samples(self).median().max(f64::MIN_POSITIVE))
        };
        let (tables_ms, tables_bytes) = self.tables;
        Row {
            type_name: self.subject.label(),
            constraints: self.subject.key.constraints(),
            inputs: self.subject.inputs(),
            engine: self.prover.engine.name(),
            tables: self.prover.tables,
            cores: self.cores,
            rounds: self.all.len(),
            proof_p50_ms: self.proof.median(),
            proof_p95_ms: self.proof.p95(),
            proof_ratio: median_of(|cell| &cell.proof, self.cores, ARKWORKS).unwrap_or(1.0),
            p50_ms: self.all.median(),
            p95_ms: self.all.p95(),
            ratio: median_of(|cell| &cell.all, self.cores, ARKWORKS).unwrap_or(1.0),
            speedup: median_of(|cell| &cell.all, 1, self.prover),
            setup_ms: self.subject.setup_time.as_secs_f64() * 1e3,
            tables_ms,
            tables_bytes,
            proving_key_bytes: self.subject.key.to_bytes().len(),
        }
    }
}

/// A time in milliseconds as people read it: `152` or `38.4`.
fn milliseconds(value: f64) -> String {
    if value >= 100.0 {
        amount(value.round() as u64)
    } else {
        format!("{value:.1}")
    }
}
