//! Real input: the first 64 machines and 48 jobs of a production GPU cluster (`openb`, Alibaba 2023), or as many as asked for, as one
//! auction on four validator processes.
//!
//! Machines become credentials and proofs, jobs become tasks with their requirements as they stand; prices follow the rule in
//! `tender_examples::openb`. What the data does not say is left out of the requirements (disk, bandwidth, GPU memory, region) or the same for
//! all (region `us-east`, skill `cuda`).
//!
//! `cargo run --release -p tender-examples --example openb [-- MACHINES JOBS]`; the data is expected at `../shared/data/openb` beside the repository, or where
//! `OPENB_DATA` says.

#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing)] // its own small numbers, no stranger's

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};
use tender_auction::{
    genesis::Genesis,
    outcome::{EntryOutcome, OutcomeRecord, UnitOutcome},
};
use tender_circuits::EvidenceKind;
use tender_examples::openb::{
    JOBS, Job, MACHINES, Machine, Outcome, auction_file, inventory, jobs, machines, offer,
};
use tender_p2p::{
    agent::{
        actor::Actor,
        bidding::Bidder,
        client::Wanted,
        issuing::{self, Request},
    },
    api::types::{AuctionDetail, Phase},
    cli::{
        auction::{now, open},
        place::Place,
        testnet::{self, Layout, Testnet},
        verify::{Trusted, verify_file},
        words::{Reader, by_key},
    },
    documents::{Access, credential::CredentialFile, names::Names, write_bytes},
};
use tender_wire::{AuctionId, SecretKey, UnixTime};

const BLOCK_INTERVAL_MS: u64 = 500;

fn main() -> ExitCode {
    // The validator processes are this program again, as `tender`.
    if std::env::args().nth(1).is_some_and(|arg| arg == "start") {
        return tender_p2p::cli::main();
    }
    let mut counts = std::env::args().skip(1).map(|arg| arg.parse::<usize>());
    let (Ok(machines), Ok(jobs), None) = (
        counts.next().unwrap_or(Ok(MACHINES)),
        counts.next().unwrap_or(Ok(JOBS)),
        counts.next(),
    ) else {
        eprintln!("usage: openb [MACHINES JOBS]");
        return ExitCode::from(2);
    };
    let data = std::env::var_os("OPENB_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/openb"),
        PathBuf::from,
    );
    if !data.is_dir() {
        println!(
            "SKIPPED: there is no data at {}; set OPENB_DATA to its directory",
            data.display()
        );
        return ExitCode::SUCCESS;
    }
    let directory = std::env::temp_dir().join(format!("tender-openb-{}", std::process::id()));
    let result = run(&data, (machines, jobs), &directory);
    let _ = std::fs::remove_dir_all(&directory);
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(data: &Path, counts: (usize, usize), directory: &Path) -> Outcome<()> {
    let start = Instant::now();
    let (machines, jobs) = (machines(data, counts.0)?, jobs(data, counts.1)?);
    println!(
        "{} machines, {} jobs from {}",
        machines.len(),
        jobs.len(),
        data.display()
    );
    let (net, _validators) = start_network(directory)?;
    let started = start.elapsed();

    let mut issuer = Place {
        home: net.issuers.first().map(|(_, home)| home.clone()),
        api: Some(api(&net, 0)?),
    }
    .actor()?;
    issuer.client = Place::at(net.validators.first().ok_or("no validator")?).client()?;
    let names = Place::default().names(&issuer.client)?;

    let began = Instant::now();
    let agents = agents(&net, machines.len())?;
    let credentials = attest(&issuer, &names, &machines, &agents)?;
    println!(
        "attested   {} machines in {:.1?}",
        credentials.len(),
        began.elapsed()
    );

    let opener = Place {
        home: Some(net.opener.clone()),
        api: Some(api(&net, 0)?),
    }
    .actor()?;
    let file = auction_file(&jobs, bidding_seconds(machines.len()))?;
    let (auction, height) = open(&opener, &names, &file, Path::new("openb"))?;
    println!(
        "opened     {} tasks in {} classes, block {height}",
        file.tasks.len(),
        file.classes.len()
    );
    let detail = wait(&opener, &auction, |phase| phase == Phase::Bidding)?;

    let began = Instant::now();
    let bids = bid_all(
        &net,
        &names,
        &detail,
        &machines,
        &jobs,
        &agents,
        &credentials,
    )?;
    println!(
        "bid        {bids} sealed bids, each with a proof, in {:.1?}",
        began.elapsed()
    );
    wait(&opener, &auction, |phase| {
        !matches!(phase, Phase::Keys | Phase::Bidding)
    })?;
    let closed = Instant::now();
    let detail = wait(&opener, &auction, |phase| {
        matches!(phase, Phase::Cleared | Phase::Void | Phase::Finished)
    })?;
    let cleared = closed.elapsed();

    report(&detail, &names, bids, &agents)?;
    let certified = Instant::now();
    let checked = certificates(&net, &opener, &detail, directory)?;
    println!(
        "certified  {checked} certificates fetched and verified with the genesis file alone, in {:.1?}",
        certified.elapsed()
    );
    println!(
        "timings    network up {started:.1?}, close to clearing {cleared:.1?}, in all {:.1?}",
        start.elapsed()
    );
    Ok(())
}

/// Time for that many proofs on a small machine that runs the validators as well.
fn bidding_seconds(machines: usize) -> u64 {
    60.max(machines as u64 * 3 / 4)
}

/// Four validator processes, killed when dropped.
struct Validators(Vec<Child>);

impl Drop for Validators {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn start_network(directory: &Path) -> Outcome<(Testnet, Validators)> {
    let net = testnet::write(
        directory,
        &Layout {
            name: "openb".into(),
            validators: 4,
            followers: 0,
            issuers: vec!["cluster-operator".into()],
            agents: Vec::new(),
            block_interval_ms: BLOCK_INTERVAL_MS,
            log: "error".into(),
        },
    )?;
    let mut running = Validators(Vec::new());
    for home in &net.validators {
        let child = Command::new(std::env::current_exe()?)
            .args(["start", "--home"])
            .arg(home)
            .stdout(Stdio::null())
            .spawn()?;
        println!("validator  process {}", child.id());
        running.0.push(child);
    }
    for home in &net.validators {
        until("every validator is connected", || {
            Place::at(home)
                .client()
                .and_then(|c| c.status())
                .is_ok_and(|status| status.peers >= 3)
        })?;
    }
    Ok((net, running))
}

fn api(net: &Testnet, index: usize) -> Outcome<String> {
    let home = net
        .validators
        .get(index % net.validators.len().max(1))
        .ok_or("no validator")?;
    Ok(Place::at(home).client()?.url().to_owned())
}

/// One agent per machine, each with its own key, at one of the validators' APIs.
fn agents(net: &Testnet, count: usize) -> Outcome<Vec<Actor>> {
    let genesis: &Genesis = &net.genesis;
    let agent = |index: usize| -> Outcome<Actor> {
        let mut seed = tender_p2p::agent::bidding::random()?;
        let home = net.validators.get(index % 4).ok_or("no validator")?;
        Ok(Actor {
            client: Place::at(home).client()?,
            genesis: genesis.clone(),
            chain: genesis.chain_id(),
            key: SecretKey::from_seed(&mut seed),
        })
    };
    (0..count).map(agent).collect()
}

fn attest(
    issuer: &Actor,
    names: &Names,
    machines: &[Machine],
    agents: &[Actor],
) -> Outcome<Vec<CredentialFile>> {
    let inventories = machines
        .iter()
        .map(inventory)
        .collect::<Outcome<Vec<_>>>()?;
    let from = now();
    let until = UnixTime(from.0.saturating_add(90 * 86_400));
    let requests: Vec<_> = inventories
        .iter()
        .zip(agents)
        .map(|(machine, agent)| Request {
            holder: agent.key.public(),
            machine,
            from,
            until,
            kind: EvidenceKind::Proof,
        })
        .collect();
    let attested = issuing::attest(issuer, names, &requests)?;
    Ok(attested.into_iter().map(|(file, _)| file).collect())
}

#[allow(clippy::too_many_arguments)]
fn bid_all(
    net: &Testnet,
    names: &Names,
    detail: &AuctionDetail,
    machines: &[Machine],
    jobs: &[Job],
    agents: &[Actor],
    credentials: &[CredentialFile],
) -> Outcome<usize> {
    let prover = net.prover(&net.opener);
    let (next, placed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || -> Result<(), String> {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let (Some(machine), Some(actor), Some(credential)) = (
                machines.get(index),
                agents.get(index),
                credentials.get(index),
            ) else {
                return Ok(());
            };
            let file = offer(index, machine, jobs);
            if file.prices.is_empty() {
                continue;
            }
            let bidder = Bidder {
                actor,
                prover: &prover,
                credentials: std::slice::from_ref(credential),
                names,
            };
            bidder
                .bid(detail, &file)
                .map_err(|e| format!("{}: {e}", machine.name))?;
            placed.fetch_add(1, Ordering::Relaxed);
        }
    };
    let threads = std::thread::available_parallelism().map_or(2, usize::from) * 2;
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        handles
            .into_iter()
            .try_for_each(|handle| handle.join().map_err(|_| "a thread panicked".to_owned())?)
    })?;
    Ok(placed.into_inner())
}

fn report(detail: &AuctionDetail, names: &Names, bids: usize, agents: &[Actor]) -> Outcome<()> {
    let reader = Reader {
        names,
        auction: detail,
        call: &by_key,
    };
    let (mut filled, mut paid) = (0u64, 0u64);
    let mut unfilled = Vec::new();
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for record in &detail.outcomes {
        match record {
            OutcomeRecord::Unit(unit) => match &unit.outcome {
                UnitOutcome::Filled { payment, .. } => {
                    filled += 1;
                    paid += payment.0;
                }
                other => unfilled.push(format!(
                    "{}: {}",
                    reader.task(unit.task),
                    reader.unit(other)
                )),
            },
            OutcomeRecord::Entry(entry) => {
                let reason = match &entry.outcome {
                    EntryOutcome::Won { .. } => "won".into(),
                    EntryOutcome::Outbid { .. } => "outbid".into(),
                    EntryOutcome::AboveReserve => "above the reserve".into(),
                    _ => reader.entry(entry),
                };
                *reasons.entry(reason).or_default() += 1;
            }
            OutcomeRecord::Bid(bid) => *reasons.entry(reader.bid(bid)).or_default() += 1,
            OutcomeRecord::Auction(_) | OutcomeRecord::Award(_) => {}
        }
    }
    let jobs = detail.spec.tasks.len();
    println!(
        "filled     {filled} of {jobs} jobs ({:.0} %) from {bids} bids of {} agents, {paid} paid in all",
        100.0 * filled as f64 / jobs as f64,
        agents.len()
    );
    for line in &unfilled {
        println!("           {line}");
    }
    for (reason, count) in &reasons {
        println!("entries    {count:>5}  {reason}");
    }
    if filled == 0 {
        return Err("nothing was assigned".into());
    }
    Ok(())
}

/// Every winner's certificate and one loser's, verified as a stranger would.
fn certificates(
    net: &Testnet,
    opener: &Actor,
    detail: &AuctionDetail,
    directory: &Path,
) -> Outcome<usize> {
    let mut lost = false;
    let mut checked = 0;
    for record in &detail.outcomes {
        let OutcomeRecord::Entry(entry) = record else {
            continue;
        };
        let won = matches!(entry.outcome, EntryOutcome::Won { .. });
        if !won && lost {
            continue;
        }
        lost |= !won;
        let certificate = opener.client.certificate(
            &detail.summary.auction,
            &Wanted {
                task: Some(entry.task),
                bidder: None,
                bid: Some(entry.bid),
            },
        )?;
        let path = directory.join(format!("certificate-{checked}.json"));
        write_bytes(&path, certificate.to_json().as_bytes(), Access::Public)?;
        let verdict = verify_file(&path, &net.genesis_path, &Trusted::default())?;
        if !verdict.verified {
            return Err(verdict.sentence().into());
        }
        checked += 1;
    }
    Ok(checked)
}

fn wait(
    actor: &Actor,
    auction: &AuctionId,
    is_there: impl Fn(Phase) -> bool,
) -> Outcome<AuctionDetail> {
    until("the auction moves on", || {
        actor
            .client
            .auction(auction)
            .is_ok_and(|detail| is_there(detail.summary.phase))
    })?;
    Ok(actor.client.auction(auction)?)
}

fn until(what: &str, is_so: impl Fn() -> bool) -> Outcome<()> {
    let started = Instant::now();
    while !is_so() {
        if started.elapsed() > Duration::from_secs(300) {
            return Err(format!("timed out waiting until {what}").into());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}
