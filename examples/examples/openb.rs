//! Real input: the first 64 machines and 48 jobs of a production GPU cluster (`openb`, Alibaba 2023) as one auction on four
//! validator processes.
//!
//! Machines become credentials and proofs, jobs become tasks with their requirements as they stand; prices follow the rule in
//! [`prices`]. What the data does not say is left out of the requirements (disk, bandwidth, GPU memory, region) or the same for
//! all (region `us-east`, skill `cuda`).
//!
//! `cargo run --release --example openb`; the data is expected at `../shared/data/openb` beside the repository, or where
//! `OPENB_DATA` says.

#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing)] // its own small numbers, no stranger's

use std::{
    collections::BTreeMap,
    error::Error,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};
use tender_auction::{
    genesis::Genesis,
    outcome::{EntryOutcome, OutcomeRecord, UnitOutcome},
    seal::MAX_BID_ENTRIES,
};
use tender_circuits::EvidenceKind;
use tender_p2p::{
    api::types::{AuctionDetail, Phase},
    cli::{
        actor::Actor,
        auction::{now, open},
        bidding::Bidder,
        client::Wanted,
        issuing::{self, Request},
        place::Place,
        prover::Prover,
        testnet::{self, Layout, Testnet},
        verify::verify_file,
        words::{Reader, by_key},
    },
    documents::{
        Access, auction::AuctionFile, bid::BidFile, credential::CredentialFile,
        inventory::InventoryFile, names::Names, write_bytes,
    },
};
use tender_wire::{AuctionId, SecretKey, UnixTime};

type Outcome<T> = Result<T, Box<dyn Error>>;

const MACHINES: usize = 64;
const JOBS: usize = 48;
const BLOCK_INTERVAL_MS: u64 = 500;

fn main() -> ExitCode {
    // The validator processes are this program again, as `tender`.
    if std::env::args().nth(1).is_some_and(|arg| arg == "start") {
        return tender_p2p::cli::main();
    }
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
    let result = run(&data, &directory);
    let _ = std::fs::remove_dir_all(&directory);
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A machine of the cluster.
struct Machine {
    name: String,
    cpu_milli: u64,
    memory_mib: u64,
    gpu_milli: u64,
    model: String,
}

/// A job of the cluster.
struct Job {
    name: String,
    cpu_milli: u64,
    memory_mib: u64,
    gpu_milli: u64,
    models: Vec<String>,
}

fn run(data: &Path, directory: &Path) -> Outcome<()> {
    let start = Instant::now();
    let (machines, jobs) = (machines(data)?, jobs(data)?);
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
    let file = auction_file(&jobs)?;
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
        &file,
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
        let mut seed = tender_p2p::cli::bidding::random()?;
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

fn inventory(machine: &Machine) -> Outcome<InventoryFile> {
    Ok(serde_json::from_value(serde_json::json!({
        "serial": machine.name,
        "attributes": {
            "cpu_milli": machine.cpu_milli,
            "memory_mib": machine.memory_mib,
            "gpu_milli": machine.gpu_milli,
            "gpu_model": if machine.model.is_empty() { "none" } else { &machine.model },
            "region": "us-east",
            "skills": if machine.gpu_milli > 0 { vec!["cuda"] } else { vec![] },
        },
    }))?)
}

/// Jobs of one shape share a class; every job is its own task.
fn auction_file(jobs: &[Job]) -> Outcome<AuctionFile> {
    let mut classes = BTreeMap::new();
    let mut tasks = Vec::new();
    for job in jobs {
        let class = class_of(job);
        let mut needs = serde_json::json!({
            "cpu_milli": job.cpu_milli, "memory_mib": job.memory_mib, "gpu_milli": job.gpu_milli,
        });
        if !job.models.is_empty() {
            needs["gpu_model"] = job.models.clone().into();
        }
        if job.gpu_milli > 0 {
            needs["skills"] = vec!["cuda"].into();
        }
        classes.insert(
            class.clone(),
            serde_json::json!({ "requires": [{ "type": "resources/v1", "needs": needs }] }),
        );
        tasks
            .push(serde_json::json!({ "name": job.name, "class": class, "reserve": reserve(job) }));
    }
    Ok(serde_json::from_value(serde_json::json!({
        "title": "openb: 48 jobs of a production cluster",
        "bidding_seconds": 60, "lease_seconds": 86_400, "classes": classes, "tasks": tasks,
    }))?)
}

fn class_of(job: &Job) -> String {
    let models = if job.models.is_empty() {
        String::new()
    } else {
        format!("-{}", job.models.join("+"))
    };
    format!(
        "cpu{}-mem{}-gpu{}{models}",
        job.cpu_milli, job.memory_mib, job.gpu_milli
    )
}

/// List price of a job's resources for a night: 4 a core, 1 a GiB, and per GPU by model. Invented, and the same for all.
fn list_price(cpu_milli: u64, memory_mib: u64, gpu_milli: u64, model: &str) -> u64 {
    let per_gpu = match model {
        "P100" => 60,
        "T4" => 45,
        "V100M16" => 110,
        "V100M32" => 140,
        "A10" => 90,
        "G2" => 100,
        "G3" => 180,
        _ => 0,
    };
    (cpu_milli * 4 + gpu_milli * per_gpu) / 1000 + memory_mib / 1024 + 1
}

/// What a job's owner pays at most: one and a half times the list price on a V100M16.
fn reserve(job: &Job) -> u64 {
    list_price(job.cpu_milli, job.memory_mib, job.gpu_milli, "V100M16") * 3 / 2
}

/// What machine `index` asks: the list price on its model, up to 21 % dearer in steps of 3 % by its number.
fn price(index: usize, machine: &Machine, job: &Job) -> u64 {
    let list = list_price(job.cpu_milli, job.memory_mib, job.gpu_milli, &machine.model);
    list * (100 + 3 * (index as u64 % 8)) / 100
}

/// What a machine offers: it walks the classes it is large enough for round and round, from one of its own (every eighth from the largest), taking a slot wherever the job still fits, at most one
/// per job of the class. Capacity is shared out before anybody knows who wins: that is what a bid can express.
fn offer(index: usize, machine: &Machine, jobs: &[Job]) -> BidFile {
    let mut classes: BTreeMap<String, Vec<&Job>> = BTreeMap::new();
    for job in jobs
        .iter()
        .filter(|job| job.models.is_empty() || job.models.contains(&machine.model))
    {
        classes.entry(class_of(job)).or_default().push(job);
    }
    let fits = |job: &Job, (cpu, memory, gpu): (u64, u64, u64)| {
        job.cpu_milli <= cpu && job.memory_mib <= memory && job.gpu_milli <= gpu
    };
    let whole = (machine.cpu_milli, machine.memory_mib, machine.gpu_milli);
    classes.retain(|_, members| fits(members[0], whole));
    let order: Vec<_> = classes.iter().collect();
    let mut left = whole;
    let mut slots: BTreeMap<String, u32> = BTreeMap::new();
    let mut idle = 0;
    let largest = order
        .iter()
        .enumerate()
        .max_by_key(|(_, (_, members))| (members[0].gpu_milli, members[0].cpu_milli));
    let mut at = match largest {
        Some((position, _)) if index.is_multiple_of(8) => position,
        _ => index * 5,
    };
    while idle < order.len() {
        let (class, members) = order[at % order.len()];
        let taken = slots.get(class).copied().unwrap_or(0);
        let job = members[0];
        if fits(job, left) && (taken as usize) < members.len() {
            left = (
                left.0 - job.cpu_milli,
                left.1 - job.memory_mib,
                left.2 - job.gpu_milli,
            );
            slots.insert(class.clone(), taken + 1);
            idle = 0;
        } else {
            idle += 1;
        }
        at += 1;
    }
    let offered = slots.keys().flat_map(|class| &classes[class]);
    let prices = offered
        .take(MAX_BID_ENTRIES)
        .map(|job| (job.name.clone(), price(index, machine, job)));
    BidFile {
        machine: Some(machine.name.clone()),
        prices: prices.collect(),
        slots,
        claim: None,
        hide_issuer: false,
    }
}

#[allow(clippy::too_many_arguments)]
fn bid_all(
    net: &Testnet,
    names: &Names,
    detail: &AuctionDetail,
    _file: &AuctionFile,
    machines: &[Machine],
    jobs: &[Job],
    agents: &[Actor],
    credentials: &[CredentialFile],
) -> Outcome<usize> {
    let prover = Prover::in_home(&net.opener).with(net.proving_key.clone());
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
        let verdict = verify_file(&path, &net.genesis_path, None)?;
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

fn machines(data: &Path) -> Outcome<Vec<Machine>> {
    let rows = rows(&data.join("openb_node_list_gpu_node.csv"), MACHINES)?;
    let machine = |row: &BTreeMap<String, String>| -> Outcome<Machine> {
        Ok(Machine {
            name: row["sn"].clone(),
            cpu_milli: row["cpu_milli"].parse()?,
            memory_mib: row["memory_mib"].parse()?,
            gpu_milli: row["gpu"].parse::<u64>()? * 1000,
            model: row["model"].clone(),
        })
    };
    rows.iter().map(machine).collect()
}

fn jobs(data: &Path) -> Outcome<Vec<Job>> {
    let rows = rows(&data.join("openb_pod_list_default.csv"), JOBS)?;
    let job = |row: &BTreeMap<String, String>| -> Outcome<Job> {
        Ok(Job {
            name: row["name"].clone(),
            cpu_milli: row["cpu_milli"].parse()?,
            memory_mib: row["memory_mib"].parse()?,
            gpu_milli: row["num_gpu"].parse::<u64>()? * row["gpu_milli"].parse::<u64>()?,
            models: row["gpu_spec"]
                .split('|')
                .filter(|m| !m.is_empty())
                .map(str::to_owned)
                .collect(),
        })
    };
    rows.iter().map(job).collect()
}

/// The first rows of a CSV file without quoting, by column name.
fn rows(path: &Path, count: usize) -> Outcome<Vec<BTreeMap<String, String>>> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut lines = text.lines();
    let columns: Vec<_> = lines.next().ok_or("an empty file")?.split(',').collect();
    Ok(lines
        .take(count)
        .map(|line| {
            columns
                .iter()
                .map(|c| (*c).to_owned())
                .zip(line.split(',').map(str::to_owned))
                .collect()
        })
        .collect())
}
