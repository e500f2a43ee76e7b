//! `tender bench auction`: a whole auction on networks of several sizes, every validator a process of its own.
//!
//! ```text
//!  attest ─ open ─┬─ keys ─┬─ seal and prove (not timed) ─┬─ submit … in a block ─┬─ (window) ─┬─ reveal ─┬─ clear ─┬─ certificate
//!                 └ sealing┘                              └──── bids per second ──┘       close└ sealing ─┴─ close to certificate
//! ```
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
    sync::Mutex,
    thread::sleep,
    time::{Duration, Instant},
};
use tender_auction::{
    outcome::{EntryOutcome, OutcomeRecord},
    transaction::Transaction,
};
use tender_circuits::{EvidenceKind, resources::Resources};
use tender_wire::{AuctionId, Height, SecretKey, TxHash, UnixTime};

/// What the machines are attested for.
const TYPE: &str = "resources/v1";
/// Tasks at most; with more bids, they compete.
const MOST_TASKS: usize = 64;
/// Tasks each bid prices.
const ENTRIES: usize = 4;
/// Submissions under way at once: an API lets in no more connections than this many times a few.
const SUBMITTERS: usize = 8;
/// How long any phase may take beyond its window.
const PHASE_WITHIN: Duration = Duration::from_secs(300);
/// Credentials of the run hold for so long.
const VALID_SECONDS: u64 = 30 * 86_400;

#[derive(Debug, Args)]
#[command(
    after_help = "Validators are processes of this program on loopback, with fsync on, sharing this machine's cores. Proofs are bound to sealed bids and those to \
    the auction's keys, so they are made after the keys are there and before the clock of submission starts.\n\n\
    Sealing has no off switch: a bid has no unsealed form in the protocol, and a benchmark does not get a weaker one. `on` is measured. `off` is computed \
    from the same run: the phases that exist for sealing alone (committee keys, reveals) are taken out; bids per second stay the same, because a sealed bid is \
    checked without being opened. The work of sealing and opening a bid is measured beside it."
)]
pub(in crate::cli) struct AuctionArgs {
    /// Sizes of the network
    #[arg(long, value_name = "COUNTS", value_delimiter = ',', default_values_t = [1, 4, 7], value_parser = clap::value_parser!(u16).range(1..=31))]
    validators: Vec<u16>,
    /// Bids, each of its own agent and machine, with a proof
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1024))]
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
        let warnings: Vec<_> = machine.warning().into_iter().collect();
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
        let network = Network::start(validators, self.block_interval_ms)?;
        let stage = Stage::set(&network, usize::from(self.bids))?;
        let file = auction_file(stage.agents.len(), self.bidding_window(&stage)?)?;
        let (auction, opened) = open(&stage.opener, &stage.names, &file, Path::new("bench"))?;
        let detail = stage.wait_for(&auction, |phase| phase == Phase::Bidding)?;
        let bidding_blocks = u64::from(detail.spec.windows.bidding);
        let close = detail.summary.phase_ends_at;
        let close = close.ok_or_else(|| lost("the bidding window has no end"))?;
        let frozen = Height(close.0.saturating_sub(bidding_blocks));

        let bids = stage.make_bids(&detail)?;
        let admitted = stage.submit(&bids, close)?;

        let closed = stage.wait_closed(close)?;
        let summary = stage.wait_ended(&auction)?;
        let ended = summary.ended_at;
        let ended = ended.ok_or_else(|| lost("a cleared auction has no height"))?;
        let won = stage.certify(&auction)?;
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
            bids_per_second: bids.len() as f64 / admitted.seconds.max(f64::MIN_POSITIVE),
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
    fn bidding_window(&self, stage: &Stage<'_>) -> Result<u32, Failure> {
        if let Some(seconds) = self.bidding_seconds {
            return Ok(seconds);
        }
        let began = Instant::now();
        stage.first_proof()?;
        let proving = began.elapsed().as_secs_f64() * f64::from(self.bids) * 1.5;
        let submitting = f64::from(self.bids) * 0.02 * stage.network.clients.len() as f64;
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

/// Bids in blocks.
struct Admitted {
    seconds: f64,
    latencies: Samples,
    blocks: usize,
}

/// Everybody who acts, each through a validator's API.
struct Stage<'a> {
    network: &'a Network,
    names: Names,
    opener: Actor,
    agents: Vec<(Actor, CredentialFile)>,
    prover: Prover,
}

impl<'a> Stage<'a> {
    /// Makes the agents and has each one's machine attested.
    fn set(network: &'a Network, agents: usize) -> Result<Self, Failure> {
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
            network,
            names,
            opener,
            agents: actors.into_iter().zip(files).collect(),
            prover: net.prover(&net.opener),
        })
    }

    fn summary(&self, auction: &AuctionId) -> Result<AuctionSummary, Failure> {
        let all = self.network.client(0)?.auctions()?;
        let found = all.into_iter().find(|it| it.auction == *auction);
        found.ok_or_else(|| lost("the auction is not listed"))
    }

    fn wait_for(
        &self,
        auction: &AuctionId,
        is_there: impl Fn(Phase) -> bool,
    ) -> Result<AuctionDetail, Failure> {
        for client in &self.network.clients {
            let there = || {
                let detail = client.auction(auction).ok()?;
                is_there(detail.summary.phase).then_some(())
            };
            self.network.until(
                "every validator sees the auction move on",
                PHASE_WITHIN,
                there,
            )?;
        }
        self.network.client(0)?.auction(auction)
    }

    /// A proof like those that will be made: to know how long one takes here.
    fn first_proof(&self) -> Result<(), Failure> {
        let mut keys = self.network.net.proving_keys.iter();
        let key = keys
            .find(|key| key.capability_type().label() == TYPE)
            .ok_or_else(|| lost("the network has no resources/v1"))?;
        let subject = Subject::of(key.clone(), &Resources)?;
        subject.prove(0).map(|_| ())
    }

    /// Seals, proves and signs every bid, on all cores.
    fn make_bids(&self, detail: &AuctionDetail) -> Result<Vec<(&Client, Transaction)>, Failure> {
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
            Ok((&actor.client, Transaction::Bid(Box::new(bid))))
        };
        let bids = (0..self.agents.len())
            .into_par_iter()
            .map(make)
            .collect::<Result<Vec<_>, Failure>>()?;
        progress.finish();
        Ok(bids)
    }

    /// Submits every bid and watches blocks until all are in one.
    fn submit(&self, bids: &[(&Client, Transaction)], close: Height) -> Result<Admitted, Failure> {
        let watcher = self.network.client(0)?;
        let mut height = watcher.status()?.height;
        if height >= close {
            return Err(too_late("no proof was ready"));
        }
        let sent: Mutex<BTreeMap<TxHash, Instant>> = Mutex::default();
        let began = Instant::now();
        std::thread::scope(|scope| {
            let share = bids.len().div_ceil(SUBMITTERS).max(1);
            let work: Vec<_> = bids
                .chunks(share)
                .map(|chunk| {
                    let sent = &sent;
                    scope.spawn(move || -> Result<(), Failure> {
                        for (client, bid) in chunk {
                            if let Ok(mut sent) = sent.lock() {
                                sent.insert(bid.hash(), Instant::now());
                            }
                            client.submit(bid)?;
                        }
                        Ok(())
                    })
                })
                .collect();
            let mut admitted = Admitted {
                seconds: 0.0,
                latencies: Samples::default(),
                blocks: 0,
            };
            while admitted.latencies.len() < bids.len() && height < close {
                let newest = watcher.status()?.height;
                if newest == height {
                    sleep(POLL);
                }
                while height < newest {
                    height = height.next();
                    let block = watcher.block(height)?;
                    let seen = Instant::now();
                    let known = sent.lock().map(|sent| sent.clone()).unwrap_or_default();
                    let before = admitted.latencies.len();
                    for at in block.transactions.iter().filter_map(|tx| known.get(tx)) {
                        let latency = seen.duration_since(*at);
                        admitted.latencies.push(latency.as_secs_f64() * 1e3);
                    }
                    if admitted.latencies.len() > before {
                        admitted.seconds = began.elapsed().as_secs_f64();
                        admitted.blocks = admitted.blocks.saturating_add(1);
                    }
                }
            }
            for handle in work {
                handle
                    .join()
                    .unwrap_or_else(|_| Err(lost("a thread panicked")))?;
            }
            if admitted.latencies.len() < bids.len() {
                let what = format!("{} of {} bids", admitted.latencies.len(), bids.len());
                return Err(too_late(&format!("{what} were in a block")));
            }
            Ok(admitted)
        })
    }

    /// When the closing block was seen.
    fn wait_closed(&self, close: Height) -> Result<Instant, Failure> {
        let client = self.network.client(0)?;
        let there = || (client.status().ok()?.height >= close).then(Instant::now);
        self.network
            .until("the bidding window is over", PHASE_WITHIN, there)
    }

    fn wait_ended(&self, auction: &AuctionId) -> Result<AuctionSummary, Failure> {
        let there = || {
            let summary = self.summary(auction).ok()?;
            summary.ended_at.is_some().then_some(summary)
        };
        let summary = self
            .network
            .until("the auction has cleared", PHASE_WITHIN, there)?;
        match summary.phase {
            Phase::Void => Err(lost("the auction is void")),
            _ => Ok(summary),
        }
    }

    /// Fetches a winner's certificate and verifies it with the genesis document alone; gives how many entries won.
    fn certify(&self, auction: &AuctionId) -> Result<usize, Failure> {
        let client = self.network.client(0)?;
        let of = Wanted {
            task: Some(0),
            ..Wanted::default()
        };
        let certificate = self
            .network
            .until("there is a certificate", PHASE_WITHIN, || {
                client.certificate(auction, &of).ok()
            })?;
        certificate.verify(&self.network.net.genesis).map_err(|e| {
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
        "\nblocks are at least {block_interval_ms} ms apart; every validator is a process on this machine, with fsync on. Sealing cannot be switched off: \
         `off` is computed from the same run, without the phases that exist for it alone (see --help)."
    ));
}
