//! The `openb` cluster as an auction: what its machines and jobs are, what they offer and want, and at which (invented) prices.

#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing)] // small numbers and columns of a known file

use std::{collections::BTreeMap, error::Error, path::Path};
use tender_auction::seal::MAX_BID_ENTRIES;
use tender_p2p::documents::{auction::AuctionFile, bid::BidFile, inventory::InventoryFile};

/// What examples answer.
pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// Machines taken from the node list, unless told otherwise.
pub const MACHINES: usize = 64;
/// Jobs taken from the pod list, unless told otherwise.
pub const JOBS: usize = 48;

/// A machine of the cluster.
pub struct Machine {
    /// Its name in the data.
    pub name: String,
    /// Thousandths of a core.
    pub cpu_milli: u64,
    /// Memory, in MiB.
    pub memory_mib: u64,
    /// Thousandths of a GPU.
    pub gpu_milli: u64,
    /// GPU model.
    pub model: String,
}

/// A job of the cluster.
pub struct Job {
    /// Its name in the data.
    pub name: String,
    /// Thousandths of a core.
    pub cpu_milli: u64,
    /// Memory, in MiB.
    pub memory_mib: u64,
    /// Thousandths of a GPU.
    pub gpu_milli: u64,
    /// GPU models it runs on; any if empty.
    pub models: Vec<String>,
}

/// A machine as its issuer finds it.
///
/// # Errors
/// If a value has no place in an inventory file.
pub fn inventory(machine: &Machine) -> Outcome<InventoryFile> {
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

/// Jobs of one shape share a class; every job is its own task. Bidding is open for `seconds`.
///
/// # Errors
/// If a value has no place in an auction file.
pub fn auction_file(jobs: &[Job], seconds: u64) -> Outcome<AuctionFile> {
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
        "title": format!("openb: {} jobs of a production cluster", jobs.len()),
        "bidding_seconds": seconds, "lease_seconds": 86_400, "classes": classes, "tasks": tasks,
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

/// What a machine offers: it walks the classes it is large enough for round and round, from one of its own (every eighth machine from
/// the largest), taking a slot wherever the job still fits, at most one per job of the class. Capacity is shared out before anybody knows
/// who wins: that is what a bid can express.
pub fn offer(index: usize, machine: &Machine, jobs: &[Job]) -> BidFile {
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
    let priced: Vec<_> = offered.take(MAX_BID_ENTRIES).collect();
    // A bid has only so many prices: classes beyond them are not served.
    for (class, count) in &mut slots {
        let prices = priced.iter().filter(|job| class_of(job) == *class).count();
        *count = (*count).min(prices as u32);
    }
    slots.retain(|_, count| *count > 0);
    let prices = priced
        .into_iter()
        .map(|job| (job.name.clone(), price(index, machine, job)));
    BidFile {
        machine: Some(machine.name.clone()),
        prices: prices.collect(),
        slots,
        claim: None,
        hide_issuer: false,
    }
}

/// The first `count` machines of the node list.
///
/// # Errors
/// If the file is missing or not of this form.
pub fn machines(data: &Path, count: usize) -> Outcome<Vec<Machine>> {
    let rows = rows(&data.join("openb_node_list_gpu_node.csv"), count)?;
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

/// The first `count` jobs of the pod list.
///
/// # Errors
/// If the file is missing or not of this form.
pub fn jobs(data: &Path, count: usize) -> Outcome<Vec<Job>> {
    let rows = rows(&data.join("openb_pod_list_default.csv"), count)?;
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
