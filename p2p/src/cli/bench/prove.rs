//! `tender bench prove`: what a proof costs its maker, for every built-in type.

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
use serde::Serialize;
use std::{path::PathBuf, time::Instant};
use tender_circuits::types;

#[derive(Debug, Args)]
#[command(
    after_help = "A proof is timed as an agent makes it: the native check, every constraint evaluated, the proof, and its own verification. \
    Each proof is of another statement, and types and cores take turns."
)]
pub(in crate::cli) struct ProveArgs {
    /// Proofs per type and number of cores
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    rounds: u16,
    /// Cores to run on; `all` is every core this program may use
    #[arg(long, value_name = "CORES", value_delimiter = ',', default_value = "1,all", value_parser = cores)]
    cores: Vec<usize>,
    /// Write the results as JSON to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// One type on one number of cores.
#[derive(Clone, Debug, Serialize)]
struct Row {
    #[serde(rename = "type")]
    type_name: String,
    constraints: usize,
    inputs: usize,
    cores: usize,
    rounds: usize,
    /// Milliseconds per proof.
    p50_ms: f64,
    p95_ms: f64,
    /// One core's median over this one's, where one core was measured.
    speedup: Option<f64>,
    /// The setup on all cores, once.
    setup_ms: f64,
    proving_key_bytes: usize,
}

#[derive(Serialize)]
struct Report {
    machine: Machine,
    warnings: Vec<String>,
    rows: Vec<Row>,
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
            "inputs",
            "cores",
            "prove ms",
            "p95",
            "speed-up",
            "setup ms",
            "key bytes",
        ]);
        for row in &rows {
            table.row([
                row.type_name.clone(),
                amount(row.constraints as u64),
                amount(row.inputs as u64),
                amount(row.cores as u64),
                amount(row.p50_ms.round() as u64),
                amount(row.p95_ms.round() as u64),
                row.speedup
                    .map_or_else(|| "-".into(), |s| format!("{s:.2}x")),
                amount(row.setup_ms.round() as u64),
                amount(row.proving_key_bytes as u64),
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
        let seed = random()?;
        let mut subjects = Vec::new();
        for (number, capability) in (0u64..).zip(types::all()) {
            subjects.push(Subject::set_up(capability, derive(&seed, "setup", number))?);
        }
        let mut pools = Vec::new();
        for cores in distinct(&self.cores) {
            pools.push((cores, threads(cores)?));
        }
        let mut cells: Vec<_> = subjects
            .iter()
            .flat_map(|subject| {
                pools
                    .iter()
                    .map(move |pool| (subject, pool, Samples::default()))
            })
            .collect();
        let steps = cells.len().saturating_mul(usize::from(self.rounds));
        let progress = Progress::new(format!("{} rounds of proofs", self.rounds), steps);
        for round in 0..u64::from(self.rounds) {
            for (subject, (_, pool), samples) in &mut cells {
                let took = pool.install(|| {
                    let began = Instant::now();
                    subject.prove(round).map(|_| began.elapsed())
                })?;
                samples.push(took.as_secs_f64() * 1e3);
                progress.step();
            }
        }
        progress.finish();
        let median_on_one = |subject: &Subject| {
            let mut known = cells.iter();
            known
                .find(|(it, (cores, _), _)| *cores == 1 && it.label() == subject.label())
                .map(|(_, _, samples)| samples.median())
        };
        let row = |(subject, (cores, _), samples): &(&Subject, &(usize, _), Samples)| Row {
            type_name: subject.label(),
            constraints: subject.key.constraints(),
            inputs: subject.inputs(),
            cores: *cores,
            rounds: samples.len(),
            p50_ms: samples.median(),
            p95_ms: samples.p95(),
            speedup: median_on_one(subject)
                .map(|one| one / samples.median().max(f64::MIN_POSITIVE)),
            setup_ms: subject.setup_time.as_secs_f64() * 1e3,
            proving_key_bytes: subject.key.to_bytes().len(),
        };
        Ok(cells.iter().map(row).collect())
    }
}
