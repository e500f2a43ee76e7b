//! `tender bench auction`: a whole auction on networks of several sizes, every validator a process of its own.
//!
//! ```text
//!  attest ─ open ─┬─ keys ─┬─ seal and prove (not timed) ─┬─ submit … in a block ─┬─ (window) ─┬─ reveal ─┬─ clear ─┬─ certificate
//!                 └ sealing┘                              └──── bids per second ──┘       close└ sealing ─┴─ close to certificate
//! ```
//!
//! **Admission twice, by the same peers.** When the bids are proven, the validators are stopped and what is on their disks is kept aside. They go on from
//! there on the naive engine and take in all the bids; then from there again, on the engine that is measured. Both times the clock runs from the
//! first submission until every validator has judged every bid, so it holds whatever admission costs: connections, signatures, gossip, blocks and proofs.
//!
//! **Sealing has no off switch.** A bid has no unsealed form on the wire, and a network that took one would be another protocol. What sealing costs
//! is found inside the same run instead: the phases that exist for it alone (committee keys, reveals), from the times in the blocks; and the work
//! of sealing and opening, measured with a committee of the same size. The `off` row is the `on` row without them: computed, and marked so.

use super::{
    Failure, bidding, check_parent, distinct,
    machine::Machine,
    network::{Network, POLL},
    out,
    progress::Progress,
    sealing,
    stats::Samples,
    subject::Subject,
};
use crate::{
    agent::{
        actor::Actor,
        bidding::Bidder,
        client::{Client, Wanted},
        issuing::{self, Request},
        prover::Prover,
    },
    api::types::{AuctionDetail, AuctionSummary, Phase},
    cli::{
        auction::{now, open},
        place::Place,
        table::{Table, amount},
    },
    documents::{
        Access, auction::AuctionFile, bid::BidFile, credential::CredentialFile,
        inventory::InventoryFile, names::Names, write_json,
    },
};
use clap::{Args, ValueEnum};
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Barrier, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread::sleep,
    time::{Duration, Instant},
};
use tender_auction::{
    outcome::{EntryOutcome, OutcomeRecord},
    transaction::Transaction,
};
use tender_circuits::{EvidenceKind, resources::Resources, verify::Engine};
use tender_consensus::tx::TxBytes;
use tender_wire::{AuctionId, Height, SecretKey, TxHash, UnixTime};

/// What the machines are attested for.
const TYPE: &str = "resources/v1";
/// Tasks at most; with more bids, they compete.
const MOST_TASKS: usize = 64;
/// Tasks each bid prices.
const ENTRIES: usize = 4;
/// Submissions under way at once, each on a connection of its own: half of what one API lets in.
const SUBMITTERS: usize = 128;
/// Pause before a bid that a busy peer had no room for is submitted again, and between two looks at what is admitted.
const PAUSE: Duration = Duration::from_millis(5);
/// How long any phase may take beyond its window.
const PHASE_WITHIN: Duration = Duration::from_secs(300);
/// Credentials of the run hold for so long.
const VALID_SECONDS: u64 = 30 * 86_400;

#[derive(Debug, Args)]
#[command(
    after_help = "Validators are processes of this program on loopback, with fsync on, sharing this machine's cores. Proofs are bound to sealed bids and those to \
    the auction's keys, so they are made after the keys are there and before the clock of submission starts.\n\n\
    Bids admitted per second: from the first submission, over the API, until every validator has judged every bid. The same validators do it twice from the same \
    state with the same bids: forced to the naive engine, and on the fastest one, or that which TENDER_ENGINE names.\n\n\
    Sealing has no off switch: a bid has no unsealed form in the protocol, and a benchmark does not get a weaker one. `on` is measured. `off` is computed \
    from the same run: the phases that exist for sealing alone (committee keys, reveals) are taken out; bids per second stay the same, because a sealed bid is \
    checked without being opened. The work of sealing and opening a bid is measured beside it."
)]
pub(in crate::cli) struct AuctionArgs {
    /// Sizes of the network
    #[arg(long, value_name = "COUNTS", value_delimiter = ',', default_values_t = [1, 4, 7, 16], value_parser = clap::value_parser!(u16).range(1..=31))]
    validators: Vec<u16>,
    /// Bids, each of its own agent and machine, with a proof
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..=1024))]
    bids: u16,
    /// Rows to give: as it is, and with sealing's own phases computed away
    #[arg(
        long,
        value_name = "MODES",
        value_delimiter = ',',
        default_value = "on,off"
    )]
    sealing: Vec<Sealing>,
    /// Least distance of blocks, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 200, value_parser = clap::value_parser!(u64).range(20..=10_000))]
    block_interval_ms: u64,
    /// Length of the bidding window, which must hold proving and submitting; estimated from a first proof unless given
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u32).range(1..=3600))]
    bidding_seconds: Option<u32>,
    /// Write the results as JSON to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Whether a row counts sealing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
enum Sealing {
    /// As measured.
    On,
    /// Its own phases taken out.
    Off,
}

/// One network, with or without what sealing takes.
#[derive(Clone, Debug, Serialize)]
struct Row {
    validators: u16,
    bids: usize,
    sealing: Sealing,
    /// How the row came about.
    basis: &'static str,
    /// What verified proofs.
    engine: &'static str,
    /// From the first submission until every validator has judged every bid.
    admitted_per_second: f64,
    /// The same of the same validators forced to the naive engine.
    naive_admitted_per_second: f64,
    /// The former over the latter.
    over_naive: f64,
    /// Proofs verified together, on average.
    proofs_per_batch: f64,
    /// From the first submission until the last bid is in a block.
    bids_per_second: f64,
    /// One bid from submission to its block, in milliseconds.
    admission_p50_ms: f64,
    admission_p95_ms: f64,
    /// From the opening block to the block from which bids are taken: for committee keys.
    keys_s: f64,
    /// From the closing block to the block with enough reveals.
    reveal_s: f64,
    /// From there to the block that clears.
    clear_s: f64,
    /// From the closing block, as seen at a validator's API, until a certificate was fetched and verified with the genesis file.
    close_to_certificate_s: f64,
    /// What part of `close_to_certificate_s` of the measured run is sealing's own.
    sealing_share: f64,
    /// The bidder's work of sealing a bid, and a peer's of opening it, in microseconds.
    seal_us: f64,
    open_us: f64,
    /// Blocks that held the bids.
    blocks: usize,
    block_interval_ms: u64,
    /// Entries that won.
    won: usize,
}

#[derive(Serialize)]
struct Report {
    machine: Machine,
    warnings: Vec<String>,
    rows: Vec<Row>,
}

impl AuctionArgs {
    pub(super) fn run(self) -> Result<(), Failure> {
        check_parent("--json", self.json.as_deref())?;
        let machine = Machine::here();
        out::say(format_args!("{}", machine.line()));
        let mut rows = Vec::new();
        for validators in distinct(&self.validators) {
            let measured = self.measure(validators)?;
            for sealing in distinct(&self.sealing) {
                rows.push(match sealing {
                    Sealing::On => measured.clone(),
                    Sealing::Off => without_sealing(&measured),
                });
            }
        }
        let mut warnings: Vec<_> = machine.warning().into_iter().collect();
        let most = rows.iter().map(|row| usize::from(row.validators)).max();
        if most.is_some_and(|most| most > machine.cores) {
            warnings.push(format!(
                "up to {} validators and their clients shared {} cores: a bid costs the work of all of them, where each would have a machine of its own",
                most.unwrap_or(0),
                machine.cores
            ));
        }
        on_terminal(&rows, self.block_interval_ms);
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

    fn measure(&self, validators: u16) -> Result<Row, Failure> {
        out::note(format_args!("{validators} validators: starting"));
        let mut network = Network::start(validators, self.block_interval_ms)?;
        let engine = network.engine();
        let stage = Stage::set(&network, usize::from(self.bids))?;
        let window = self.bidding_window(&network, &stage)?;
        let file = auction_file(stage.agents.len(), window)?;
        let (auction, opened) = open(&stage.opener, &stage.names, &file, Path::new("bench"))?;
        let detail = wait_for(&network, &auction, |phase| phase == Phase::Bidding)?;
        let bidding_blocks = u64::from(detail.spec.windows.bidding);
        let close = detail.summary.phase_ends_at;
        let close = close.ok_or_else(|| lost("the bidding window has no end"))?;
        let frozen = Height(close.0.saturating_sub(bidding_blocks));

        let bids = stage.make_bids(&detail)?;
        network.keep()?;
        out::note(format_args!(
            "  bids are being submitted, on the naive engine"
        ));
        network.resume(Engine::Naive)?;
        let naive = submit(&network, &bids, close)?;
        out::note(format_args!("  and again, on the {} engine", engine.name()));
        network.resume(engine)?;
        let admitted = submit(&network, &bids, close)?;

        let closed = wait_closed(&network, close)?;
        let summary = wait_ended(&network, &auction)?;
        let ended = summary.ended_at;
        let ended = ended.ok_or_else(|| lost("a cleared auction has no height"))?;
        let won = certify(&network, &auction)?;
        let close_to_certificate = closed.elapsed().as_secs_f64();

        let time = |height: Height| -> Result<f64, Failure> {
            Ok(network.client(0)?.block(height)?.time_ms.0 as f64 / 1e3)
        };
        // an auction clears in the block after the one with the last reveal it needs
        let revealed = ended.prev().max(close);
        let reveal_s = time(revealed)? - time(close)?;
        let cost = sealing::measure(validators, usize::from(self.bids), ENTRIES as u32)?;
        Ok(Row {
            validators,
            bids: bids.len(),
            sealing: Sealing::On,
            basis: "measured",
            engine: engine.name(),
            admitted_per_second: rate(bids.len(), admitted.judged_s),
            naive_admitted_per_second: rate(bids.len(), naive.judged_s),
            over_naive: naive.judged_s / admitted.judged_s.max(f64::MIN_POSITIVE),
            proofs_per_batch: admitted.proofs_per_batch,
            bids_per_second: rate(bids.len(), admitted.in_blocks_s),
            admission_p50_ms: admitted.latencies.median(),
            admission_p95_ms: admitted.latencies.p95(),
            keys_s: time(frozen)? - time(opened)?,
            reveal_s,
            clear_s: time(ended)? - time(revealed)?,
            close_to_certificate_s: close_to_certificate,
            sealing_share: reveal_s / close_to_certificate.max(f64::MIN_POSITIVE),
            seal_us: cost.seal.median(),
            open_us: cost.open.median(),
            blocks: admitted.blocks,
            block_interval_ms: self.block_interval_ms,
            won,
        })
    }

    /// Long enough for making the proofs beside running validators, and for submitting.
    fn bidding_window(&self, network: &Network, stage: &Stage) -> Result<u32, Failure> {
        if let Some(seconds) = self.bidding_seconds {
            return Ok(seconds);
        }
        let began = Instant::now();
        stage.first_proof(network)?;
        let proving = began.elapsed().as_secs_f64() * f64::from(self.bids) * 1.5;
        let submitting = f64::from(self.bids) * 0.005 * network.clients.len() as f64;
        Ok((proving + submitting + 6.0).ceil() as u32)
    }
}

/// The row of the same run without the phases that exist for sealing alone.
fn without_sealing(on: &Row) -> Row {
    Row {
        sealing: Sealing::Off,
        basis: "computed from the measured run: key and reveal phases taken out",
        keys_s: 0.0,
        reveal_s: 0.0,
        close_to_certificate_s: (on.close_to_certificate_s - on.reveal_s).max(0.0),
        seal_us: 0.0,
        open_us: 0.0,
        ..on.clone()
    }
}

fn rate(count: usize, seconds: f64) -> f64 {
    count as f64 / seconds.max(f64::MIN_POSITIVE)
}

/// Bids admitted and in blocks.
struct Admitted {
    /// Until every validator had judged every bid.
    judged_s: f64,
    /// Until the last was in a block.
    in_blocks_s: f64,
    latencies: Samples,
    blocks: usize,
    proofs_per_batch: f64,
}

/// Everybody who acts.
struct Stage {
    names: Names,
    opener: Actor,
    agents: Vec<(Actor, CredentialFile)>,
    prover: Prover,
}

impl Stage {
    /// Makes the agents and has each one's machine attested.
    fn set(network: &Network, agents: usize) -> Result<Self, Failure> {
        let net = &network.net;
        let at = |home: &Path| -> Result<Actor, Failure> {
            let api = Some(network.client(0)?.url().to_owned());
            let home = Some(home.to_path_buf());
            Place { home, api }.actor()
        };
        let (_, issuer_home) = net.issuers.first().ok_or_else(|| lost("no issuer"))?;
        let (issuer, opener) = (at(issuer_home)?, at(&net.opener)?);
        let names = Place::default().names(&issuer.client)?;
        let mut actors = Vec::new();
        let mut machines = Vec::new();
        for number in 0..agents {
            let mut seed = bidding::random()?;
            actors.push(Actor {
                client: network.client(number)?.clone(),
                genesis: net.genesis.clone(),
                chain: net.genesis.chain_id(),
                key: SecretKey::from_seed(&mut seed),
            });
            machines.push(machine(number)?);
        }
        let from = now();
        let until = UnixTime(from.0.saturating_add(VALID_SECONDS));
        let requests: Vec<_> = actors
            .iter()
            .zip(&machines)
            .map(|(actor, machine)| Request {
                holder: actor.key.public(),
                machine,
                from,
                until,
                kind: EvidenceKind::Proof,
            })
            .collect();
        out::note(format_args!("  {agents} machines are being attested"));
        let attested = issuing::attest(&issuer, &names, &requests)?;
        let files = attested.into_iter().map(|(file, _)| file);
        Ok(Stage {
            names,
            opener,
            agents: actors.into_iter().zip(files).collect(),
            prover: net.prover(&net.opener),
        })
    }

    /// A proof like those that will be made: to know how long one takes here.
    fn first_proof(&self, network: &Network) -> Result<(), Failure> {
        let mut keys = network.net.proving_keys.iter();
        let key = keys
            .find(|key| key.capability_type().label() == TYPE)
            .ok_or_else(|| lost("the network has no resources/v1"))?;
        let subject = Subject::of(key.clone(), &Resources)?;
        subject.prove(0).map(|_| ())
    }

    /// Seals, proves and signs every bid, on all cores.
    fn make_bids(&self, detail: &AuctionDetail) -> Result<Vec<TxBytes>, Failure> {
        let progress = Progress::new("  bids are being sealed and proven", self.agents.len());
        let make = |number: usize| {
            let (actor, credential) = self
                .agents
                .get(number)
                .ok_or_else(|| lost("no such agent"))?;
            let bidder = Bidder {
                actor,
                prover: &self.prover,
                credentials: std::slice::from_ref(credential),
                names: &self.names,
            };
            let file = bid_file(number, detail.spec.tasks.len());
            let plan = bidder
                .plan(detail, &file)
                .map_err(|p| Failure::new(format!("{}: {}", p.field, p.problem), p.next))?;
            let mut content = bidder.seal(detail, &plan)?;
            let bid = bidder.prove(detail, &plan, &mut content)?;
            progress.step();
            let tx = Transaction::Bid(Box::new(bid));
            TxBytes::new(tx.to_bytes()).map_err(|e| lost(&e.to_string()))
        };
        let bids = (0..self.agents.len())
            .into_par_iter()
            .map(make)
            .collect::<Result<Vec<_>, Failure>>()?;
        progress.finish();
        Ok(bids)
    }
}

/// Submits every bid to one validator or another, watches blocks until all are in one, and validators until each has judged all.
fn submit(network: &Network, bids: &[TxBytes], close: Height) -> Result<Admitted, Failure> {
    let watcher = network.client(0)?;
    let mut height = watcher.status()?.height;
    if height >= close {
        return Err(too_late("no proof was ready"));
    }
    let before = network
        .clients
        .iter()
        .map(|client| Ok(Judged::by(client)?.bids()))
        .collect::<Result<Vec<u64>, Failure>>()?;
    let validators = network.clients.len().max(1);
    // Each keeps to one validator.
    let of_one = SUBMITTERS.checked_div(validators).unwrap_or(0).max(1);
    let submitters = of_one.saturating_mul(validators);
    let submitters = submitters.min(bids.len().next_multiple_of(validators));
    let (sent, taken) = (
        Mutex::<BTreeMap<TxHash, Instant>>::default(),
        AtomicUsize::new(0),
    );
    let start = Barrier::new(submitters.saturating_add(1));
    std::thread::scope(|scope| {
        let mut work = Vec::new();
        for number in 0..submitters {
            let url = network.client(number)?.url();
            let (sent, taken, start) = (&sent, &taken, &start);
            work.push(scope.spawn(move || -> Result<(), Failure> {
                let client = Client::new(url);
                start.wait();
                for bid in bids.iter().skip(number).step_by(submitters) {
                    if let Ok(mut sent) = sent.lock() {
                        sent.insert(bid.hash(), Instant::now());
                    }
                    submit_until_taken(&client, bid)?;
                    taken.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            }));
        }
        start.wait();
        let began = Instant::now();
        let taken = &taken;
        let judged = scope.spawn(move || -> Result<f64, Failure> {
            // Looking costs what is measured: not before somebody has answered for every bid.
            let answered = || (taken.load(Ordering::Relaxed) == bids.len()).then_some(());
            network.until("every bid is taken", PHASE_WITHIN, answered)?;
            for (client, before) in network.clients.iter().zip(before) {
                let wanted = before.saturating_add(bids.len() as u64);
                while Judged::by(client)?.bids() < wanted {
                    if began.elapsed() > PHASE_WITHIN {
                        return Err(lost("a validator has not judged every bid"));
                    }
                    sleep(PAUSE);
                }
            }
            Ok(began.elapsed().as_secs_f64())
        });
        let mut latencies = Samples::default();
        let (mut in_blocks_s, mut blocks) = (0.0, 0usize);
        while latencies.len() < bids.len() && height < close {
            let newest = watcher.status()?.height;
            if newest == height {
                sleep(POLL);
            }
            while height < newest {
                height = height.next();
                let block = watcher.block(height)?;
                let seen = Instant::now();
                let known = sent.lock().map(|sent| sent.clone()).unwrap_or_default();
                let before = latencies.len();
                for at in block.transactions.iter().filter_map(|tx| known.get(tx)) {
                    latencies.push(seen.duration_since(*at).as_secs_f64() * 1e3);
                }
                if latencies.len() > before {
                    in_blocks_s = began.elapsed().as_secs_f64();
                    blocks = blocks.saturating_add(1);
                }
            }
        }
        let panicked = || lost("a thread panicked");
        for handle in work {
            handle.join().unwrap_or_else(|_| Err(panicked()))?;
        }
        if latencies.len() < bids.len() {
            let what = format!("{} of {} bids", latencies.len(), bids.len());
            return Err(too_late(&format!("{what} were in a block")));
        }
        let judged_s = judged.join().unwrap_or_else(|_| Err(panicked()))?;
        let (mut proofs, mut batches) = (0u64, 0u64);
        for client in &network.clients {
            let judged = Judged::by(client)?;
            proofs = proofs.saturating_add(judged.of("tender_proof_batch_sum"));
            batches = batches.saturating_add(judged.of("tender_proof_batch_count"));
        }
        Ok(Admitted {
            judged_s,
            in_blocks_s,
            latencies,
            blocks,
            proofs_per_batch: proofs as f64 / batches.max(1) as f64,
        })
    })
}

/// As a client does that finds a peer busy: again, a moment later.
fn submit_until_taken(client: &Client, bid: &TxBytes) -> Result<(), Failure> {
    loop {
        match client.submit_bytes(bid.bytes().to_vec()) {
            Err(failure) if failure.is_code("busy") => sleep(PAUSE),
            answer => return answer.map(drop),
        }
    }
}

/// What a validator says it has judged.
struct Judged(String);

impl Judged {
    fn by(client: &Client) -> Result<Self, Failure> {
        Ok(Judged(client.metrics()?))
    }

    /// Bids it has admitted, or found in a block already; or else has executed: while bids are submitted there is nothing else.
    fn bids(&self) -> u64 {
        let verdict = |code| self.of(&format!("tender_judged_total{{verdict=\"{code}\"}}"));
        let judged = verdict("admitted").saturating_add(verdict("already_committed"));
        judged.max(self.of("tender_txs_total"))
    }

    fn of(&self, series: &str) -> u64 {
        let mut lines = self.0.lines();
        let value = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value
            .and_then(|value| value.parse::<f64>().ok())
            .unwrap_or(0.0) as u64
    }
}

fn summary(network: &Network, auction: &AuctionId) -> Result<AuctionSummary, Failure> {
    let all = network.client(0)?.auctions()?;
    let found = all.into_iter().find(|it| it.auction == *auction);
    found.ok_or_else(|| lost("the auction is not listed"))
}

fn wait_for(
    network: &Network,
    auction: &AuctionId,
    is_there: impl Fn(Phase) -> bool,
) -> Result<AuctionDetail, Failure> {
    for client in &network.clients {
        let there = || {
            let detail = client.auction(auction).ok()?;
            is_there(detail.summary.phase).then_some(())
        };
        network.until(
            "every validator sees the auction move on",
            PHASE_WITHIN,
            there,
        )?;
    }
    network.client(0)?.auction(auction)
}

/// When the closing block was seen.
fn wait_closed(network: &Network, close: Height) -> Result<Instant, Failure> {
    let client = network.client(0)?;
    let there = || (client.status().ok()?.height >= close).then(Instant::now);
    network.until("the bidding window is over", PHASE_WITHIN, there)
}

fn wait_ended(network: &Network, auction: &AuctionId) -> Result<AuctionSummary, Failure> {
    let there = || {
        let summary = summary(network, auction).ok()?;
        summary.ended_at.is_some().then_some(summary)
    };
    let summary = network.until("the auction has cleared", PHASE_WITHIN, there)?;
    match summary.phase {
        Phase::Void => Err(lost("the auction is void")),
        _ => Ok(summary),
    }
}

/// Fetches a winner's certificate and verifies it with the genesis document alone; gives how many entries won.
fn certify(network: &Network, auction: &AuctionId) -> Result<usize, Failure> {
    let client = network.client(0)?;
    let of = Wanted {
        task: Some(0),
        ..Wanted::default()
    };
    let certificate = network.until("there is a certificate", PHASE_WITHIN, || {
        client.certificate(auction, &of).ok()
    })?;
    certificate.verify(&network.net.genesis).map_err(|e| {
        Failure::refused(
            format!("the certificate does not hold: {e}"),
            "please report this",
        )
    })?;
    let outcomes = client.auction(auction)?.outcomes;
    let won = outcomes.iter().filter(|record| {
        matches!(record, OutcomeRecord::Entry(entry) if matches!(entry.outcome, EntryOutcome::Won { .. }))
    });
    match won.count() {
        0 => Err(lost("nothing was assigned")),
        won => Ok(won),
    }
}

fn lost(what: &str) -> Failure {
    Failure::new(what, "please report this")
}

fn too_late(what: &str) -> Failure {
    Failure::new(
        format!("the bidding window closed too early: {what}"),
        "give it longer with --bidding-seconds",
    )
}

fn json<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> Result<T, Failure> {
    serde_json::from_value(value).map_err(|e| lost(&e.to_string()))
}

fn machine(number: usize) -> Result<InventoryFile, Failure> {
    json(serde_json::json!({
        "serial": format!("bench-{number}"),
        "attributes": { "cpu_milli": 32_000, "memory_mib": 65_536, "gpu_milli": 1000, "gpu_model": "A100", "region": "eu-west" },
    }))
}

fn auction_file(bids: usize, bidding_seconds: u32) -> Result<AuctionFile, Failure> {
    let tasks: Vec<_> = (0..bids.clamp(1, MOST_TASKS))
        .map(|task| serde_json::json!({ "name": task_name(task), "class": "gpu", "reserve": 10_000 }))
        .collect();
    json(serde_json::json!({
        "title": "a benchmark", "bidding_seconds": bidding_seconds, "lease_seconds": 3600, "max_entries": ENTRIES,
        "classes": { "gpu": { "requires": [{ "type": TYPE, "needs": { "cpu_milli": 8000, "gpu_milli": 1000 } }] } },
        "tasks": tasks,
    }))
}

fn task_name(task: usize) -> String {
    format!("task-{task}")
}

/// Prices for a few neighbouring tasks, so that bids compete.
fn bid_file(number: usize, tasks: usize) -> BidFile {
    let task = |step: usize| number.saturating_add(step).checked_rem(tasks).unwrap_or(0);
    let price = |step: usize| {
        let spread = number.saturating_mul(37).saturating_add(step) % 1000;
        4000u64.saturating_add(spread as u64)
    };
    BidFile {
        machine: None,
        prices: (0..ENTRIES)
            .map(|step| (task_name(task(step)), price(step)))
            .collect(),
        slots: BTreeMap::from([("gpu".to_owned(), 1)]),
        claim: None,
        hide_issuer: false,
    }
}

fn on_terminal(rows: &[Row], block_interval_ms: u64) {
    let mut table = Table::new([
        "validators",
        "bids",
        "admitted/s",
        "naive",
        "ratio",
        "proofs/batch",
        "sealing",
        "bids/s",
        "bid p50 ms",
        "p95",
        "keys s",
        "reveal s",
        "clear s",
        "close to certificate s",
        "sealing's share",
        "seal µs",
        "open µs",
    ]);
    for row in rows {
        let (sealing, share) = match row.sealing {
            Sealing::On => ("on", format!("{:.0} %", row.sealing_share * 100.0)),
            Sealing::Off => ("off (computed)", "-".into()),
        };
        table.row([
            amount(u64::from(row.validators)),
            amount(row.bids as u64),
            amount(row.admitted_per_second.round() as u64),
            amount(row.naive_admitted_per_second.round() as u64),
            format!("{:.1}", row.over_naive),
            format!("{:.0}", row.proofs_per_batch),
            sealing.into(),
            format!("{:.1}", row.bids_per_second),
            amount(row.admission_p50_ms.round() as u64),
            amount(row.admission_p95_ms.round() as u64),
            format!("{:.2}", row.keys_s),
            format!("{:.2}", row.reveal_s),
            format!("{:.2}", row.clear_s),
            format!("{:.2}", row.close_to_certificate_s),
            share,
            amount(row.seal_us.round() as u64),
            amount(row.open_us.round() as u64),
        ]);
    }
    out::say(format_args!("\n{}", table.to_string().trim_end()));
    out::say(format_args!(
        "\nadmitted: from the first submission until every validator has judged every bid; naive: the same validators, from the same state with the same bids, forced to the \
         naive engine.\nblocks are at least {block_interval_ms} ms apart; every validator is a process on this machine, with fsync on. Sealing cannot be switched off: \
         `off` is computed from the same run, without the phases that exist for it alone (see --help)."
    ));
}
