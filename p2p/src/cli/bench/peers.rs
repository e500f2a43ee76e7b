//! Other programs' verifiers on some of the run's proofs, one at a time.
//!
//! A program of the caller's is run with one argument, the name of a JSON file:
//!
//! ```text
//! { "key": verification_key.json as snarkjs writes it, "key_bytes": hex,
//!   "proofs": [ { "proof": proof.json, "inputs": public.json, "proof_bytes": hex, "input_bytes": [hex, …] }, … ] }
//! ```
//!
//! For each verifier that it can have, it prints a line on standard output:
//!
//! ```text
//! { "peer": name and version, "about": what it starts from and checks, "verdicts": [true, false, …], "us": [microseconds, …] }
//! ```
//!
//! `verdicts` are those of all the proofs, in order; `us` is what single verifications of good ones took. Some of the proofs are false: which, the file
//! does not say. A peer whose verdicts are not the expected ones has no row. The naive loop is timed on the same proofs before and after.

use super::{
    Failure,
    cell::{Stock, places},
    engine::{Engine, name, time},
    out,
    report::{Row, Sweep},
    stats::Samples,
    subject::derive,
};
use crate::{
    cli::bidding::random,
    documents::{Access, write_json},
};
use rayon::ThreadPool;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    io::Read as _,
    path::Path,
    process::{Command, Stdio},
};
use tender_circuits::{
    snarkjs::{KeyJson, ProofJson, PublicJson},
    verify::{Item, VerifyingKey},
};

/// Proofs given to peers, and how many of them are false.
const PROOFS: usize = 18;
const FALSE: usize = 2;
/// How often the naive loop is timed on them before and after.
const ANCHORS: usize = 3;
/// Bytes read from the program, and times read from a peer: far more than either has to say.
const MAX_BYTES: u64 = 1 << 20;
const MAX_TIMES: usize = 10_000;
const MAX_NAME: usize = 60;
const MAX_ABOUT: usize = 400;

/// What peers are given.
#[derive(Serialize)]
struct Task {
    key: KeyJson,
    key_bytes: String,
    proofs: Vec<TaskProof>,
}

#[derive(Serialize)]
struct TaskProof {
    proof: ProofJson,
    inputs: PublicJson,
    proof_bytes: String,
    input_bytes: Vec<String>,
}

/// What a peer says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    peer: String,
    about: String,
    verdicts: Vec<bool>,
    us: Vec<f64>,
}

/// What came of it.
#[derive(Default)]
pub(super) struct Found {
    pub(super) rows: Vec<Row>,
    pub(super) about: BTreeMap<String, String>,
    pub(super) warnings: Vec<String>,
}

/// Has a program verify proofs of this stock, which are written into the directory, and the naive loop on a pool of one thread.
///
/// # Errors
/// [`Failure`] if the program cannot be run or fails. What a single peer does wrong is a warning.
pub(super) fn measure(
    program: &Path,
    directory: &Path,
    stock: &Stock,
    pool: &ThreadPool,
    seed: &[u8; 32],
) -> Result<Found, Failure> {
    let count = PROOFS.min(stock.samples.len());
    let bad = places(count, FALSE, &derive(seed, "peers", 0), 0);
    let items = (0..count).filter_map(|at| stock.item(at, bad.contains(&at)));
    let items: Vec<Item<'_>> = items.collect();
    let file = directory.join("proofs.json");
    let task = task(stock.subject.key.verifying_key(), &items)?;
    write_json(&file, &task, Access::Public)?;
    let good: Vec<Item<'_>> = (items.iter().enumerate())
        .filter(|(at, _)| !bad.contains(at))
        .map(|(_, item)| *item)
        .collect();

    let mut anchor = Samples::default();
    naive(&mut anchor, &good, pool)?;
    out::note(format_args!("{} …", program.display()));
    let help = "see circuits/benches/peers for a program that works";
    let said = said_by(program, &[file.as_os_str()], help)?;
    naive(&mut anchor, &good, pool)?;

    let mut found = Found::default();
    let row = |engine: &str, samples: &Samples| Row {
        sweep: Sweep::Peer,
        engine: engine.to_owned(),
        cores: 1,
        n: 1,
        inputs: stock.subject.inputs(),
        bad: 0.0,
        us_per_proof: samples.median(),
        ratio: anchor.median() / samples.median().max(f64::MIN_POSITIVE),
        p50: samples.median(),
        p95: samples.p95(),
        samples: samples.len(),
        timed: 1,
        bad_proofs: 0,
        keys: 1,
        type_name: stock.subject.label(),
    };
    found.rows.push(row(name(Engine::Naive), &anchor));
    for line in said.lines().filter(|line| !line.trim().is_empty()) {
        match read(line, count, &bad) {
            Ok((answer, samples)) => {
                found.rows.push(row(&answer.peer, &samples));
                found.about.insert(answer.peer, answer.about);
            }
            Err(what) => found.warnings.push(format!("a peer is left out: {what}")),
        }
    }
    Ok(found)
}

fn task(key: &VerifyingKey, items: &[Item<'_>]) -> Result<Task, Failure> {
    let unwritable = |e: tender_circuits::snarkjs::SnarkjsError| {
        Failure::new(format!("proofs for peers: {e}"), "please report this")
    };
    let one = |item: &Item<'_>| {
        Ok(TaskProof {
            proof: ProofJson::of(item.proof)?,
            inputs: PublicJson::of(item.inputs)?,
            proof_bytes: hex::encode(item.proof.0),
            input_bytes: item.inputs.iter().map(|it| hex::encode(it.0)).collect(),
        })
    };
    let key = KeyJson::of(key);
    Ok(Task {
        key_bytes: hex::encode(key.to_bytes().map_err(unwritable)?),
        key,
        proofs: items
            .iter()
            .map(one)
            .collect::<Result<_, _>>()
            .map_err(unwritable)?,
    })
}

/// Times the naive loop, proof by proof.
fn naive(samples: &mut Samples, items: &[Item<'_>], pool: &ThreadPool) -> Result<(), Failure> {
    for _ in 0..ANCHORS {
        for item in items {
            let (verdicts, took) = time(Engine::Naive, pool, &[*item], &random()?);
            if verdicts != [Ok(())] {
                let what = format!("the naive loop refuses a good proof: {verdicts:?}");
                return Err(Failure::refused(what, "please report this with the seed"));
            }
            samples.push(took.as_secs_f64() * 1e6);
        }
    }
    Ok(())
}

/// What a program prints. Its notices go where ours do.
///
/// # Errors
/// [`Failure`] if it cannot be run or fails; `help` says what to do about it.
pub(super) fn said_by(
    program: &Path,
    arguments: &[&OsStr],
    help: &'static str,
) -> Result<String, Failure> {
    let failed =
        |what: String| Failure::new(format!("--peers: {}: {what}", program.display()), help);
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| failed(e.to_string()))?;
    let mut said = String::new();
    let read = match child.stdout.take() {
        Some(pipe) => pipe.take(MAX_BYTES).read_to_string(&mut said),
        None => Ok(0),
    };
    let status = child.wait().map_err(|e| failed(e.to_string()))?;
    read.map_err(|e| failed(e.to_string()))?;
    if !status.success() {
        return Err(failed(status.to_string()));
    }
    Ok(said)
}

/// A peer's answer about so many proofs, of which those at these places are false.
fn read(line: &str, count: usize, bad: &BTreeSet<usize>) -> Result<(Answer, Samples), String> {
    let answer: Answer =
        serde_json::from_str(line).map_err(|e| format!("a line that is no answer: {e}"))?;
    let Answer {
        peer,
        about,
        verdicts,
        us,
    } = &answer;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || " .-_/@+()".contains(c);
    if peer.is_empty() || peer.len() > MAX_NAME || !peer.chars().all(is_plain) {
        return Err("its name is no plain short one".into());
    }
    if Engine::ALL.into_iter().any(|it| name(it) == peer) {
        return Err(format!("{peer} is an engine's name"));
    }
    if about.len() > MAX_ABOUT || us.is_empty() || us.len() > MAX_TIMES {
        return Err(format!("{peer} says too little or too much"));
    }
    if !us.iter().all(|us| us.is_finite() && *us > 0.0) {
        return Err(format!("{peer} gives times that are none"));
    }
    let expected: Vec<bool> = (0..count).map(|at| !bad.contains(&at)).collect();
    if *verdicts != expected {
        let differs = expected.iter().zip(verdicts).position(|(a, b)| a != b);
        return Err(match differs {
            Some(at) if bad.contains(&at) => format!("{peer} accepts a false proof"),
            Some(_) => format!("{peer} refuses a good proof"),
            None => format!(
                "{peer} gives {} verdicts for {count} proofs",
                verdicts.len()
            ),
        });
    }
    let mut samples = Samples::default();
    us.iter().for_each(|us| samples.push(*us));
    Ok((answer, samples))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_counts_if_every_verdict_is_right() {
        let bad = BTreeSet::from([1]);
        let line = |name: &str, verdicts: &str, us: &str| {
            format!(r#"{{"peer":"{name}","about":"x","verdicts":{verdicts},"us":{us}}}"#)
        };
        let (answer, samples) =
            read(&line("mcl 1.2", "[true,false,true]", "[4,2,3]"), 3, &bad).unwrap();
        assert_eq!((answer.peer.as_str(), samples.median()), ("mcl 1.2", 3.0));
        for (name, verdicts, us, says) in [
            ("x", "[true,true,true]", "[1]", "accepts a false proof"),
            ("x", "[true,false,false]", "[1]", "refuses a good proof"),
            ("x", "[true,false]", "[1]", "2 verdicts for 3"),
            ("x", "[true,false,true]", "[]", "too little"),
            ("x", "[true,false,true]", "[0]", "times that are none"),
            ("a,b", "[true,false,true]", "[1]", "no plain short one"),
            ("ifma", "[true,false,true]", "[1]", "an engine's name"),
        ] {
            let refused = read(&line(name, verdicts, us), 3, &bad);
            let why = refused.err().unwrap();
            assert!(why.contains(says), "{why}");
        }
        assert!(read("{}", 3, &bad).is_err() && read("no", 3, &bad).is_err());
    }
}
