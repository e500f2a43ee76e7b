//! `tender bench verify`: what verifying a proof costs, one by one and in batches, from bytes to verdict.
//!
//! A **cell** is one situation: how many proofs, on how many cores, with how many bad ones, of which types. In every round every engine runs on
//! every cell, in turns and on the same proofs; so an hour's drift of the machine is in all figures alike. A row's ratio is the naive
//! loop's median in the same cell over the row's own.

use super::{
    Failure, check_parent, cores, distinct,
    engine::{Engine, Verdict},
    machine::Machine,
    microseconds, out,
    progress::Progress,
    report::{Report, Row, Run, Sweep},
    stats::Samples,
    subject::{Amounts, Sample, Subject, derive},
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
use std::{
    path::PathBuf,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};
use tender_circuits::{
    Capability, resources,
    schema::MAX_FIELDS,
    statement::PREFIX_INPUTS,
    types,
    verify::{Item, VerifyError},
};

/// Verifying keys of the main sweep: setups of `resources/v1`, mixed in every batch.
const KEYS: usize = 3;
/// The batch in which other things than size are varied, as near as `--n` comes to it.
const MIDDLE: usize = 64;
/// Percentages of bad proofs in the middle batch, unless `--bad` says otherwise.
const BAD: [u32; 5] = [0, 1, 5, 25, 50];
/// Distinct proofs of each type in the sweep over public inputs.
const PROOFS_PER_TYPE: usize = 16;
/// Small batches are timed several times a round, until this many proofs are seen, at most [`MOST_REPEATS`] times.
const PROOFS_PER_ROUND: usize = 32;
const MOST_REPEATS: usize = 8;
/// Spread of the naive loop's times above which the machine is called noisy.
const NOISY: f64 = 0.10;

#[derive(Debug, Args)]
#[command(
    after_help = "Engines: `naive` verifies one proof after the other with arkworks, `arkworks-batch` a whole batch by one randomised equation. Both \
    keep the same strict policy (canonical bytes, points in their subgroups, every input checked), and every verdict is compared with the one \
    expected.\n\n\
    Without --bad, all proofs are good but for one sweep of bad ones at the batch size nearest to 64; with it, every size is measured at every \
    percentage. A bad proof is a well-formed proof of another statement: the dearest kind to find.\n\n\
    A row's ratio is the naive loop's median time per proof over the row's, for the same batch on the same cores in the same run."
)]
pub(in crate::cli) struct VerifyArgs {
    /// Batch sizes
    #[arg(long, value_name = "SIZES", value_delimiter = ',', default_values_t = [1, 4, 16, 64, 256, 1024], value_parser = clap::value_parser!(u16).range(1..=16384))]
    n: Vec<u16>,
    /// Cores to run on; `all` is every core this program may use
    #[arg(long, value_name = "CORES", value_delimiter = ',', default_value = "1,all", value_parser = cores)]
    cores: Vec<usize>,
    /// Percentages of bad proofs, for every size; rounded up to whole proofs
    #[arg(long, value_name = "PERCENT", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(0..=100))]
    bad: Vec<u32>,
    /// Circuits with as many public inputs, measured beside the built-in types
    #[arg(long, value_name = "INPUTS", value_delimiter = ',', default_values_t = [7, 22], value_parser = inputs)]
    inputs: Vec<usize>,
    /// Rounds: how often everything is measured
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    rounds: u16,
    /// Distinct proofs for the main sweep; larger batches repeat them
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u16).range(6..=4096))]
    proofs: u16,
    /// Seed of keys, proofs and the bad ones' places, 32 bytes in hex; fresh unless given
    #[arg(long, value_name = "HEX", value_parser = seed)]
    seed: Option<Seed>,
    /// Write results.json, results.csv and report.html into this directory
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write the results as JSON to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// 32 bytes; as a type of its own, one value on the command line.
#[derive(Clone, Copy, Debug)]
struct Seed([u8; 32]);

fn seed(text: &str) -> Result<Seed, String> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).map_err(|e| format!("give 64 hex digits ({e})"))?;
    Ok(Seed(bytes))
}

fn inputs(text: &str) -> Result<usize, String> {
    let (least, most) = (
        PREFIX_INPUTS.saturating_add(1),
        PREFIX_INPUTS.saturating_add(MAX_FIELDS),
    );
    match text.parse() {
        Ok(inputs) if (least..=most).contains(&inputs) => Ok(inputs),
        _ => Err(format!(
            "a type has {least} to {most} public inputs: {PREFIX_INPUTS} of every statement, and its claim"
        )),
    }
}

/// A type with proofs of its statements.
struct Stock {
    subject: Subject,
    samples: Vec<Sample>,
}

/// One situation to measure.
struct Cell {
    sweep: Sweep,
    /// Types mixed in it, by place in the list of stocks.
    stocks: Vec<usize>,
    cores: usize,
    n: usize,
    bad: u32,
    times: Vec<(Engine, Samples)>,
}

impl Cell {
    fn bad_proofs(&self) -> usize {
        let share = self.n.saturating_mul(self.bad as usize);
        share.div_ceil(100).min(self.n)
    }

    fn repeats(&self) -> usize {
        PROOFS_PER_ROUND
            .checked_div(self.n)
            .unwrap_or(0)
            .clamp(1, MOST_REPEATS)
    }
}

/// What is verified in a cell: the items' stocks and samples, and whether the inputs are another statement's.
struct Draw {
    picks: Vec<(usize, usize, bool)>,
}

impl Draw {
    /// The batch of a cell in a round, the same for every engine. Bad proofs stand at places drawn from the seed.
    fn of(cell: &Cell, stocks: &[Stock], seed: &[u8; 32], round: u64) -> Self {
        let mut places: Vec<_> = (0..cell.n)
            .map(|place| (derive(seed, "place", round ^ ((place as u64) << 32)), place))
            .collect();
        places.sort_unstable();
        let bad: std::collections::BTreeSet<_> = places
            .iter()
            .take(cell.bad_proofs())
            .map(|(_, place)| *place)
            .collect();
        let pick = |place: usize| {
            let turn = place.checked_rem(cell.stocks.len()).unwrap_or(0);
            let stock = cell.stocks.get(turn).copied().unwrap_or(0);
            let known = stocks.get(stock).map_or(1, |stock| stock.samples.len());
            let number = place
                .checked_div(cell.stocks.len())
                .unwrap_or(0)
                .saturating_add(round as usize);
            let sample = number.checked_rem(known).unwrap_or(0);
            (stock, sample, bad.contains(&place))
        };
        Draw {
            picks: (0..cell.n).map(pick).collect(),
        }
    }

    fn items<'a>(&self, stocks: &'a [Stock]) -> Vec<Item<'a>> {
        let item = |(stock, sample, bad): &(usize, usize, bool)| {
            let Stock { subject, samples } = stocks.get(*stock)?;
            let honest = samples.get(*sample)?;
            let other = sample.saturating_add(1).checked_rem(samples.len())?;
            let inputs = if *bad {
                &samples.get(other)?.inputs
            } else {
                &honest.inputs
            };
            Some(Item {
                key: subject.key.verifying_key(),
                inputs,
                proof: &honest.proof,
            })
        };
        self.picks.iter().filter_map(item).collect()
    }

    /// Refuses any verdict other than the expected one.
    fn check(&self, engine: Engine, verdicts: &[Verdict]) -> Result<(), Failure> {
        let wrong = |what: String| {
            let what = format!("{} is wrong: {what}", engine.name());
            Failure::refused(
                what,
                "this is a fault of the engine: please report it with the seed",
            )
        };
        if verdicts.len() != self.picks.len() {
            return Err(wrong(format!(
                "{} verdicts for {} proofs",
                verdicts.len(),
                self.picks.len()
            )));
        }
        for (place, ((_, _, bad), verdict)) in self.picks.iter().zip(verdicts).enumerate() {
            let expected = if *bad {
                Err(VerifyError::Invalid)
            } else {
                Ok(())
            };
            if *verdict != expected {
                return Err(wrong(format!(
                    "proof {place} of {}: {verdict:?} instead of {expected:?}",
                    verdicts.len()
                )));
            }
        }
        Ok(())
    }
}

impl VerifyArgs {
    pub(super) fn run(self) -> Result<(), Failure> {
        check_parent("--json", self.json.as_deref())?;
        if let Some(directory) = &self.out {
            std::fs::create_dir_all(directory).map_err(|e| {
                let what = format!("--out: {}: {e}", directory.display());
                Failure::usage(what, "name a directory you may write to")
            })?;
        }
        let machine = Machine::here();
        out::say(format_args!("{}", machine.line()));
        let seed = self.seed.map_or_else(random, |seed| Ok(seed.0))?;
        let report = self.measure(machine, &seed)?;
        report_on_terminal(&report);
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

    fn measure(&self, machine: Machine, seed: &[u8; 32]) -> Result<Report, Failure> {
        let stocks = self.stocks(seed)?;
        let mut cells = self.cells(&stocks);
        let mut pools: Vec<(usize, ThreadPool)> = Vec::new();
        for cores in distinct(&self.cores) {
            pools.push((cores, threads(cores)?));
        }
        let began = SystemTime::now();
        let steps = cells.len().saturating_mul(usize::from(self.rounds));
        let progress = Progress::new(
            format!(
                "{} rounds of {} batches, every engine",
                self.rounds,
                cells.len()
            ),
            steps,
        );
        for round in 0..=u64::from(self.rounds) {
            for cell in &mut cells {
                let is_warm_up = round == 0;
                let pool = pools.iter().find(|(cores, _)| *cores == cell.cores);
                let Some((_, pool)) = pool else { continue };
                if is_warm_up && cell.n > MIDDLE {
                    continue; // the small ones are warm-up enough
                }
                round_of(cell, pool, &stocks, seed, round, is_warm_up)?;
                if !is_warm_up {
                    progress.step();
                }
            }
        }
        let took = progress.finish();
        let rows: Vec<Row> = cells
            .iter()
            .flat_map(|cell| rows_of(cell, &stocks))
            .collect();
        let (spread, mut warnings) = (anchor_spread(&cells), Vec::new());
        warnings.extend(machine.warning());
        if spread > NOISY {
            warnings.push(format!(
                "the machine was noisy: the naive loop's own times spread by {:.0} % of their median within the run \
                 (10th to 90th percentile); ratios hold better than times, both less than on a quiet machine",
                spread * 100.0
            ));
        }
        let main = stocks.iter().take(KEYS);
        Ok(Report {
            machine,
            run: Run {
                date: began.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()),
                seconds: took.as_secs_f64(),
                seed: hex::encode(seed),
                rounds: self.rounds,
                keys: KEYS,
                distinct_proofs: main.map(|stock| stock.samples.len()).sum(),
                naive_spread: spread,
            },
            warnings,
            rows,
        })
    }

    /// Sets up types and makes proofs: the main sweep's keys first, then one of each type for the sweep over inputs.
    fn stocks(&self, seed: &[u8; 32]) -> Result<Vec<Stock>, Failure> {
        let most = self.n.iter().copied().max().unwrap_or(1);
        let wanted = usize::from(self.proofs.min(most.max(6)));
        let per_key = wanted.div_ceil(KEYS).max(2);
        let per_type = PROOFS_PER_TYPE.min(self.middle()).max(2);
        let mut plan: Vec<(Arc<dyn Capability>, usize)> = Vec::new();
        for _ in 0..KEYS {
            plan.push((Arc::new(resources::Resources), per_key));
        }
        let others = types::all()
            .into_iter()
            .filter(|it| it.name() != "resources");
        plan.extend(others.map(|it| (it, per_type)));
        for inputs in distinct(&self.inputs) {
            let fields = inputs.saturating_sub(PREFIX_INPUTS);
            plan.push((Arc::new(Amounts::new(fields)), per_type));
        }
        let total = plan.iter().map(|(_, proofs)| proofs).sum();
        let progress = Progress::new(
            format!("{} setups, {total} distinct proofs", plan.len()),
            total,
        );
        let mut stocks = Vec::new();
        for (number, (capability, proofs)) in (0u64..).zip(plan) {
            let subject = Subject::set_up(capability, derive(seed, "setup", number))?;
            let samples = subject.prove_many(proofs, &progress)?;
            stocks.push(Stock { subject, samples });
        }
        progress.finish();
        Ok(stocks)
    }

    /// The batch size nearest to [`MIDDLE`].
    fn middle(&self) -> usize {
        let sizes = self.n.iter().map(|n| usize::from(*n));
        sizes.min_by_key(|n| n.abs_diff(MIDDLE)).unwrap_or(MIDDLE)
    }

    fn cells(&self, stocks: &[Stock]) -> Vec<Cell> {
        let (sizes, all_cores) = (distinct(&self.n), distinct(&self.cores));
        let mixed: Vec<usize> = (0..KEYS).collect();
        let few = all_cores.iter().copied().min().unwrap_or(1);
        let middle = self.middle();
        let cell = |sweep, stocks: &[usize], cores, n, bad| Cell {
            sweep,
            stocks: stocks.to_vec(),
            cores,
            n,
            bad,
            times: Engine::ALL
                .iter()
                .map(|engine| (*engine, Samples::default()))
                .collect(),
        };
        let everywhere = if self.bad.is_empty() {
            vec![0]
        } else {
            distinct(&self.bad)
        };
        let mut cells = Vec::new();
        for cores in all_cores {
            for n in &sizes {
                for bad in &everywhere {
                    let sweep = if *bad == 0 { Sweep::Size } else { Sweep::Bad };
                    cells.push(cell(sweep, &mixed, cores, usize::from(*n), *bad));
                }
            }
        }
        if self.bad.is_empty() {
            for bad in BAD.into_iter().filter(|bad| *bad > 0) {
                cells.push(cell(Sweep::Bad, &mixed, few, middle, bad));
            }
        }
        for single in std::iter::once(0).chain(KEYS..stocks.len()) {
            cells.push(cell(Sweep::Inputs, &[single], few, middle, 0));
        }
        cells
    }
}

/// One round of one cell: every engine, in another order each round.
fn round_of(
    cell: &mut Cell,
    pool: &ThreadPool,
    stocks: &[Stock],
    seed: &[u8; 32],
    round: u64,
    is_warm_up: bool,
) -> Result<(), Failure> {
    let draw = Draw::of(cell, stocks, seed, round);
    let items = draw.items(stocks);
    let repeats = cell.repeats();
    let proofs = cell.n as f64;
    let engines = cell.times.len();
    for repeat in 0..repeats {
        for turn in 0..engines {
            let which = turn
                .saturating_add(round as usize)
                .saturating_add(repeat)
                .checked_rem(engines)
                .unwrap_or(0);
            let Some((engine, samples)) = cell.times.get_mut(which) else {
                continue;
            };
            let (verdicts, took) = engine.time(pool, &items, &random()?);
            draw.check(*engine, &verdicts)?;
            if !is_warm_up {
                samples.push(took.as_secs_f64() * 1e6 / proofs);
            }
        }
    }
    Ok(())
}

fn rows_of(cell: &Cell, stocks: &[Stock]) -> Vec<Row> {
    let naive = cell
        .times
        .iter()
        .find(|(engine, _)| *engine == Engine::Naive)
        .map_or(0.0, |(_, samples)| samples.median());
    let first = cell.stocks.first().and_then(|stock| stocks.get(*stock));
    let row = |(engine, samples): &(Engine, Samples)| {
        let median = samples.median();
        Row {
            sweep: cell.sweep,
            engine: engine.name(),
            cores: cell.cores,
            n: cell.n,
            inputs: first.map_or(0, |stock| stock.subject.inputs()),
            bad: cell.bad,
            us_per_proof: median,
            ratio: if median > 0.0 { naive / median } else { 0.0 },
            p50: median,
            p95: samples.p95(),
            samples: samples.len(),
            bad_proofs: cell.bad_proofs(),
            keys: cell.stocks.len().min(cell.n),
            type_name: first.map_or_else(String::new, |stock| stock.subject.label()),
        }
    };
    cell.times.iter().map(row).collect()
}

/// Spread of the naive loop's times on the fewest cores, in the cell whose size is nearest to the middle.
fn anchor_spread(cells: &[Cell]) -> f64 {
    let plain = cells.iter().filter(|cell| cell.sweep == Sweep::Size);
    let anchor = plain.min_by_key(|cell| (cell.cores, cell.n.abs_diff(MIDDLE)));
    let times = anchor.and_then(|cell| cell.times.first());
    times.map_or(0.0, |(_, samples)| samples.spread())
}

fn report_on_terminal(report: &Report) {
    let Run {
        keys,
        distinct_proofs,
        rounds,
        seed,
        ..
    } = &report.run;
    for (sweep, title) in [
        (Sweep::Size, "Batch size"),
        (Sweep::Bad, "Bad proofs"),
        (Sweep::Inputs, "Public inputs"),
    ] {
        let mut table = Table::new([
            "engine",
            "cores",
            "n",
            "inputs",
            "bad %",
            "µs/proof",
            "p95",
            "naive/this",
        ]);
        for row in report.rows.iter().filter(|row| row.sweep == sweep) {
            table.row([
                row.engine.to_owned(),
                amount(row.cores as u64),
                amount(row.n as u64),
                amount(row.inputs as u64),
                amount(u64::from(row.bad)),
                microseconds(row.us_per_proof),
                microseconds(row.p95),
                format!("{:.2}x", row.ratio),
            ]);
        }
        if !table.is_empty() {
            out::say(format_args!("\n{title}\n{}", table.to_string().trim_end()));
        }
    }
    out::say(format_args!(
        "\n{rounds} rounds, {distinct_proofs} distinct proofs under {keys} verifying keys (larger batches repeat them), bytes to verdict, medians; seed {seed}"
    ));
    for warning in &report.warnings {
        out::say(format_args!("warning: {warning}"));
    }
}
