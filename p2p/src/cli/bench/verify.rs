//! `tender bench verify`: what verifying a proof costs, one by one and in batches, from bytes to verdict.
//!
//! A **cell** is one situation: how many proofs, on how many cores, with how many bad ones, of which types. In every round every engine runs on
//! every cell, in turns and on the same proofs; so an hour's drift of the machine is in all figures alike. A row's ratio is the naive
//! loop's median in the same cell over the row's own. Engines that take long for a cell have their turn in fewer rounds.

use super::{
    Failure,
    cell::{Cell, NAIVE_SAMPLE, Situation, Stock, share, warm_up},
    check_parent, cores, distinct,
    engine::{Engine, name, named},
    figures::figures,
    machine::Machine,
    microseconds, out, peers,
    progress::Progress,
    report::{Report, Run, Sweep},
    stages::Stages,
    subject::{Amounts, Subject, derive},
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
    collections::BTreeMap,
    path::PathBuf,
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};
use tender_circuits::{Capability, resources, schema::MAX_FIELDS, statement::PREFIX_INPUTS, types};

/// Batch sizes, rounds and proofs, unless arguments say otherwise.
const SIZES: [u16; 8] = [1, 4, 8, 16, 64, 256, 1024, 4096];
const ROUNDS: u16 = 15;
const PROOFS: u16 = 128;
/// The same with `--quick`.
const QUICK_SIZES: [u16; 4] = [1, 8, 64, 256];
const QUICK_ROUNDS: u16 = 3;
const QUICK_PROOFS: u16 = 16;
/// The batch in which inputs and keys are varied, as near as the sizes come to it.
const MIDDLE: usize = 64;
/// The batch in which bad proofs are varied, likewise.
const LARGE: usize = 1024;
/// Percentages of bad proofs in the large batch besides one bad proof, unless `--bad` says otherwise: 3.125 % are 32 of 1,024.
const BAD: [f64; 5] = [1.0, 3.125, 10.0, 50.0, 100.0];
/// Distinct proofs of each type in the sweeps over public inputs and keys.
const PROOFS_PER_TYPE: usize = 16;
/// Spread of the naive loop's times above which the machine is called noisy.
const NOISY: f64 = 0.10;

#[derive(Debug, Args)]
#[command(
    after_help = "Engines: `naive` verifies one proof after the other with arkworks, `arkworks-batch` a whole batch by one randomised equation, \
    `portable` and `ifma` the same with Tender's own arithmetic, on any machine and on processors with AVX-512 IFMA. All keep the same strict policy \
    (canonical bytes, points in their subgroups, every input checked), and every verdict is compared with the one expected.\n\n\
    Without --bad, all proofs are good but for one sweep of bad ones at the batch size nearest to 1,024; with it, every size is measured at every \
    percentage. A bad proof is a well-formed proof of another statement: the dearest kind to find.\n\n\
    No proof occurs twice in a batch: --proofs of them are proven, the others are re-randomised, each another valid proof of one of these statements.\n\n\
    A row's ratio is the naive loop's median time per proof over the row's, for the same batch on the same cores in the same run. The naive loop \
    is timed on 32 proofs of a larger batch, others in each round.\n\n\
    --peers runs a program that has other verifiers check some of the same proofs; circuits/benches/peers is one, and says what it must print."
)]
pub(in crate::cli) struct VerifyArgs {
    /// Batch sizes [default: 1,4,8,16,64,256,1024,4096]
    #[arg(long, value_name = "SIZES", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=16384))]
    n: Vec<u16>,
    /// Engines beside the naive loop: arkworks-batch, portable, ifma [default: all this processor can run]
    #[arg(long, value_name = "ENGINES", value_delimiter = ',', value_parser = named)]
    engines: Vec<Engine>,
    /// Cores to run on; `all` is every core this program may use
    #[arg(long, value_name = "CORES", value_delimiter = ',', default_value = "1,all", value_parser = cores)]
    cores: Vec<usize>,
    /// Percentages of bad proofs, for every size; rounded up to whole proofs
    #[arg(long, value_name = "PERCENT", value_delimiter = ',', value_parser = percent)]
    bad: Vec<f64>,
    /// Circuits with as many public inputs, measured beside the built-in types
    #[arg(long, value_name = "INPUTS", value_delimiter = ',', default_values_t = [7, 22], value_parser = inputs)]
    inputs: Vec<usize>,
    /// Rounds: how often everything is measured [default: 15]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    rounds: Option<u16>,
    /// Proofs proven for the main sweep; those of larger batches are re-randomised [default: 128]
    #[arg(long, value_parser = clap::value_parser!(u16).range(6..=4096))]
    proofs: Option<u16>,
    /// Small: sizes 1,8,64,256, 3 rounds, 16 proofs, unless given
    #[arg(long)]
    quick: bool,
    /// Seed of keys, proofs and the bad ones' places, 32 bytes in hex; fresh unless given
    #[arg(long, value_name = "HEX", value_parser = seed)]
    seed: Option<Seed>,
    /// Write results.json, results.csv and report.html into this directory
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write the results as JSON to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Have this program verify some of the proofs with other verifiers, and add their rows
    #[arg(long, value_name = "PROGRAM", requires = "out")]
    peers: Option<PathBuf>,
}

/// 32 bytes; as a type of its own, one value on the command line.
#[derive(Clone, Copy, Debug)]
struct Seed([u8; 32]);

fn seed(text: &str) -> Result<Seed, String> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).map_err(|e| format!("give 64 hex digits ({e})"))?;
    Ok(Seed(bytes))
}

fn percent(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
        _ => Err(format!("{text} is not in 0..=100")),
    }
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

impl VerifyArgs {
    pub(super) fn run(mut self) -> Result<(), Failure> {
        check_parent("--json", self.json.as_deref())?;
        if let Some(directory) = &self.out {
            std::fs::create_dir_all(directory).map_err(|e| {
                let what = format!("--out: {}: {e}", directory.display());
                Failure::usage(what, "name a directory you may write to")
            })?;
        }
        if self.n.is_empty() {
            self.n = if self.quick {
                QUICK_SIZES.into()
            } else {
                SIZES.into()
            };
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

    fn rounds(&self) -> u16 {
        let usual = if self.quick { QUICK_ROUNDS } else { ROUNDS };
        self.rounds.unwrap_or(usual)
    }

    /// The engines to measure, the anchor first.
    fn engines(&self) -> Vec<Engine> {
        let here = |engine: &Engine| {
            let is_wanted = self.engines.is_empty() || self.engines.contains(engine);
            *engine == Engine::Naive || (is_wanted && engine.is_available())
        };
        Engine::ALL.into_iter().filter(here).collect()
    }

    fn measure(&self, machine: Machine, seed: &[u8; 32]) -> Result<Report, Failure> {
        let (began, date) = (Instant::now(), SystemTime::now());
        let stocks = self.stocks(seed)?;
        let situations = self.situations(stocks.len(), machine.cores);
        let mut pools: Vec<(usize, ThreadPool)> = Vec::new();
        let all: Vec<usize> = situations.iter().map(|it| it.cores).collect();
        for cores in distinct(&all) {
            pools.push((cores, threads(cores)?));
        }
        let engines = self.engines();
        let speeds = warm_up(&engines, &pools, &stocks)?;
        let rounds = self.rounds();
        let cell = |situation| Cell::new(situation, &speeds, rounds);
        let mut cells: Vec<Cell> = situations.into_iter().map(cell).collect();
        let one = threads(1)?;
        let whole = |engine: &Engine| Stages::new(*engine, self.whole_batch());
        let staged = engines.iter().filter(|engine| Stages::has(**engine));
        let mut stages: Vec<Stages> = staged.map(whole).collect();
        Rounds {
            pools: &pools,
            one: &one,
            stocks: &stocks,
            seed,
            rounds,
        }
        .run(&mut cells, &mut stages)?;
        let stages: Vec<_> = stages.iter().map(Stages::breakdown).collect();

        let mut rows: Vec<_> = cells.iter().flat_map(|cell| cell.rows(&stocks)).collect();
        let (spread, mut warnings) = (anchor_spread(&cells), Vec::new());
        let mut about_peers = BTreeMap::new();
        if let (Some(program), Some(directory), Some(stock)) =
            (&self.peers, &self.out, stocks.first())
        {
            let found = peers::measure(program, directory, stock, &one, seed)?;
            rows.extend(found.rows);
            about_peers = found.about;
            warnings.extend(found.warnings);
        }
        warnings.extend(machine.warning());
        if spread > NOISY {
            warnings.push(format!(
                "the machine was noisy: the naive loop's own times spread by {:.0} % of their median within the run \
                 (10th to 90th percentile); ratios hold better than times, both less than on a quiet machine",
                spread * 100.0
            ));
        }
        let (proven, distinct) = stocks
            .first()
            .map_or((0, 0), |stock| (stock.proven, stock.samples.len()));
        Ok(Report {
            run: Run {
                date: date.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()),
                seconds: began.elapsed().as_secs_f64(),
                command: std::env::args().collect::<Vec<_>>().join(" "),
                seed: hex::encode(seed),
                rounds,
                engines: engines.iter().map(|engine| name(*engine)).collect(),
                proven,
                distinct_proofs: distinct,
                naive_sample: NAIVE_SAMPLE,
                naive_spread: spread,
            },
            figures: figures(&rows, &stages),
            machine,
            warnings,
            rows,
            stages,
            peers: about_peers,
        })
    }

    /// Sets up types and makes proofs: those of the main sweep first, then some of each type for the sweeps over inputs and keys.
    fn stocks(&self, seed: &[u8; 32]) -> Result<Vec<Stock>, Failure> {
        let most = usize::from(self.n.iter().copied().max().unwrap_or(1)).max(6);
        let usual = if self.quick { QUICK_PROOFS } else { PROOFS };
        let proven = usize::from(self.proofs.unwrap_or(usual)).min(most);
        let per_type = PROOFS_PER_TYPE.min(self.nearest(MIDDLE)).max(2);
        let main: Arc<dyn Capability> = Arc::new(resources::Resources);
        let mut plan = vec![(main, proven, most)];
        let others = types::all()
            .into_iter()
            .filter(|it| it.name() != "resources");
        plan.extend(others.map(|it| (it, per_type, self.nearest(MIDDLE))));
        for inputs in distinct(&self.inputs) {
            let fields = inputs.saturating_sub(PREFIX_INPUTS);
            let amounts = Arc::new(Amounts::new(fields));
            plan.push((amounts, per_type, self.nearest(MIDDLE)));
        }
        let total = plan.iter().map(|(_, proofs, _)| proofs).sum();
        let what = format!(
            "{} setups, {total} proofs of different statements",
            plan.len()
        );
        let progress = Progress::new(what, total);
        let mut stocks = Vec::new();
        for (number, (capability, proofs, total)) in (0u64..).zip(plan) {
            let seed = derive(seed, "setup", number);
            let subject = Subject::set_up(capability, seed)?;
            stocks.push(Stock::make(subject, proofs, total, &seed, &progress)?);
        }
        progress.finish();
        Ok(stocks)
    }

    /// The batch size nearest to this.
    fn nearest(&self, to: usize) -> usize {
        let sizes = self.n.iter().map(|n| usize::from(*n));
        sizes.min_by_key(|n| n.abs_diff(to)).unwrap_or(to)
    }

    /// The batch whose stages are timed.
    fn whole_batch(&self) -> Situation {
        Situation {
            sweep: Sweep::Size,
            stocks: vec![0],
            cores: 1,
            n: self.nearest(LARGE),
            bad: 0.0,
            bad_proofs: 0,
        }
    }

    /// What is measured. `types` counts the types there are proofs of.
    fn situations(&self, types: usize, all_cores: usize) -> Vec<Situation> {
        let (sizes, cores) = (distinct(&self.n), distinct(&self.cores));
        let few = cores.iter().copied().min().unwrap_or(1);
        let (middle, large) = (self.nearest(MIDDLE), self.nearest(LARGE));
        let situation = |sweep, stocks: Vec<usize>, cores, n, bad| Situation {
            sweep,
            stocks,
            cores,
            n,
            bad,
            bad_proofs: share(n, bad),
        };
        let everywhere = if self.bad.is_empty() {
            vec![0.0]
        } else {
            distinct(&self.bad)
        };
        let mut all = Vec::new();
        for cores in &cores {
            for n in &sizes {
                for bad in &everywhere {
                    let sweep = if *bad == 0.0 { Sweep::Size } else { Sweep::Bad };
                    all.push(situation(sweep, vec![0], *cores, usize::from(*n), *bad));
                }
            }
        }
        let mut between = 2usize;
        while between < all_cores {
            if !cores.contains(&between) && cores.contains(&all_cores) {
                all.push(situation(Sweep::Cores, vec![0], between, large, 0.0));
            }
            between = between.saturating_mul(2);
        }
        if self.bad.is_empty() {
            let one = 100.0 / large as f64;
            for bad in distinct(&[&[one][..], &BAD].concat()) {
                all.push(situation(Sweep::Bad, vec![0], few, large, bad));
            }
        }
        for stock in 0..types {
            all.push(situation(Sweep::Inputs, vec![stock], few, middle, 0.0));
        }
        for mixed in distinct(&[2, types]).into_iter().filter(|it| *it <= types) {
            all.push(situation(
                Sweep::Keys,
                (0..mixed).collect(),
                few,
                middle,
                0.0,
            ));
        }
        all
    }
}

/// What all rounds have in common.
struct Rounds<'a> {
    pools: &'a [(usize, ThreadPool)],
    /// One thread.
    one: &'a ThreadPool,
    stocks: &'a [Stock],
    seed: &'a [u8; 32],
    rounds: u16,
}

impl Rounds<'_> {
    /// # Errors
    /// [`Failure`] if a verdict is not the expected one.
    fn run(&self, cells: &mut [Cell], stages: &mut [Stages]) -> Result<(), Failure> {
        let rounds = 1..=u64::from(self.rounds);
        let work = rounds.clone().flat_map(|round| {
            let cells = (0u64..).zip(cells.iter());
            cells.map(move |(number, cell)| cell.expected_ms(round, number))
        });
        let what = format!(
            "{} rounds of {} situations, engines in turns",
            self.rounds,
            cells.len()
        );
        let progress = Progress::of_work(what, work.sum());
        for round in rounds {
            for (number, cell) in (0u64..).zip(cells.iter_mut()) {
                let cores = cell.situation.cores;
                let pool = self.pools.iter().find(|(there, _)| *there == cores);
                let Some((_, pool)) = pool else { continue };
                cell.round(pool, self.stocks, self.seed, round, number)?;
                progress.advance(cell.expected_ms(round, number));
            }
            for stages in stages.iter_mut() {
                stages.round(self.one, self.stocks, self.seed, round)?;
            }
        }
        progress.finish();
        Ok(())
    }
}

/// Spread of the naive loop's times on the fewest cores, in the cell whose size is nearest to the middle.
fn anchor_spread(cells: &[Cell]) -> f64 {
    let of = |cell: &Cell| {
        let Situation {
            sweep, cores, n, ..
        } = cell.situation;
        (sweep == Sweep::Size).then(|| (cores, n.abs_diff(MIDDLE)))
    };
    let plain = cells.iter().filter(|cell| of(cell).is_some());
    let anchor = plain.min_by_key(|cell| of(cell));
    let naive = anchor.and_then(|cell| cell.samples().find(|(it, _)| *it == Engine::Naive));
    naive.map_or(0.0, |(_, samples)| samples.spread())
}

fn report_on_terminal(report: &Report) {
    let [a, b, c, d] = Engine::ALL.map(name);
    for (sweep, title) in Sweep::TITLES {
        if sweep == Sweep::Peer {
            continue;
        }
        let mut table = Table::new(["cores", "n", "inputs", "keys", "bad", a, b, c, d]);
        for rows in report.situations(sweep) {
            let Some(first) = rows.first() else { continue };
            let cell = |engine: &str| {
                let row = rows.iter().find(|row| row.engine == engine);
                row.map_or_else(
                    || "–".to_owned(),
                    |row| format!("{:>7} {:>7}", microseconds(row.us_per_proof), row.times()),
                )
            };
            table.row([
                amount(first.cores as u64),
                amount(first.n as u64),
                amount(first.inputs as u64),
                amount(first.keys as u64),
                amount(first.bad_proofs as u64),
                cell(a),
                cell(b),
                cell(c),
                cell(d),
            ]);
        }
        if !table.is_empty() {
            out::say(format_args!("\n{title}\n{}", table.to_string().trim_end()));
        }
    }
    let mut table = Table::new([
        "peers, one proof at a time on one core",
        "µs/proof",
        "times naive",
    ]);
    for row in report.rows.iter().filter(|row| row.sweep == Sweep::Peer) {
        table.row([
            row.engine.clone(),
            microseconds(row.us_per_proof),
            row.times(),
        ]);
    }
    if !table.is_empty() {
        out::say(format_args!("\n{}", table.to_string().trim_end()));
    }
    for it in &report.stages {
        let mut table = Table::new(["stage", "µs/proof", "share"]);
        for part in &it.stages {
            let share = 100.0 * part.us_per_proof / it.us_per_proof.max(f64::MIN_POSITIVE);
            table.row([
                part.stage.to_owned(),
                format!("{:>8.2}", part.us_per_proof),
                format!("{share:>5.1} %"),
            ]);
        }
        out::say(format_args!(
            "\n{}, a batch of {} on one core: {} µs per proof in stages; its Miller loops alone {} µs\n{}",
            it.engine,
            amount(it.n as u64),
            microseconds(it.us_per_proof),
            microseconds(it.miller_loops),
            table.to_string().trim_end()
        ));
    }
    let Run {
        proven,
        distinct_proofs,
        rounds,
        seed,
        ..
    } = &report.run;
    out::say(format_args!(
        "\nµs per proof (medians) and how many times the naive loop's speed that is; bytes to verdicts, {rounds} rounds, {distinct_proofs} distinct \
         proofs, {proven} of them proven and the others re-randomised; seed {seed}"
    ));
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
