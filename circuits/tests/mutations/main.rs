//! Every engine says what the single verifier says, of proofs and inputs changed in every way a stranger might think of, in batches of every make-up.
//!
//! `TENDER_MUTATIONS` is how many changed proofs are tried at least, on all cores; `TENDER_SEED` seeds them; `TENDER_BATCH` names one batch of that seed to be
//! tried alone. `.ci/mutations` sets them, in release.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

#[path = "../common/mod.rs"]
mod common;
mod counts;
mod kinds;
mod plots;
mod stock;

use counts::Counts;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use std::{
    collections::HashMap,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};
use stock::{Stock, Truth, UNTOUCHED};
use tender_circuits::{
    ProofBytes,
    verify::{ENGINE_VARIABLE, Engine, Item, VerifyError, verify_inputs},
};
use tender_wire::FieldBytes;

type Verdict = Result<(), VerifyError>;

/// Of how many batches an engine takes one: bad proofs are dear to the slower ones. The fastest takes all, and so does one that is alone.
fn every(engine: Engine) -> u64 {
    match engine {
        _ if engines().len() == 1 => 1,
        Engine::Arkworks => 12,
        _ if engine == Engine::fastest() => 1,
        _ => 3,
    }
}

#[test]
fn mutated_proofs_get_the_verdict_they_would_get_alone() {
    let number = |name: &str| -> Option<u64> {
        let value = std::env::var(name).ok()?;
        Some(value.parse().unwrap())
    };
    let wanted = number("TENDER_MUTATIONS").unwrap_or(600);
    let seed = number("TENDER_SEED").unwrap_or(5);
    // The prover is slow where this is compiled for debugging.
    let stock = Stock::new(seed, if wanted < 10_000 { 1 } else { 4 });
    let counts = match number("TENDER_BATCH") {
        Some(batch) => search(&stock, seed, batch..batch + 1, wanted),
        None => search(&stock, seed, 0..u64::MAX, wanted),
    };
    println!("seed {seed}\n{counts}");
    if number("TENDER_BATCH").is_none() && wanted >= 10_000 {
        counts.nothing_is_missing();
    }
}

/// Batches in their order, on all cores, until there were enough mutated proofs in them.
fn search(stock: &Stock, seed: u64, batches: Range<u64>, wanted: u64) -> Counts {
    let (next, done) = (AtomicU64::new(batches.start), AtomicU64::new(0));
    let counts = Mutex::new(Counts::default());
    let (began, cores) = (Instant::now(), std::thread::available_parallelism());
    let all = batches.end - batches.start == 1;
    let worker = || {
        let mut own = Counts::default();
        while done.load(Ordering::Relaxed) < wanted {
            let batch = next.fetch_add(1, Ordering::Relaxed);
            if batch >= batches.end {
                break;
            }
            let again = format!("again: .ci/mutations {wanted} {seed} {batch}");
            let mutated = catch_unwind(AssertUnwindSafe(|| {
                try_batch(stock, seed, batch, all, &mut own)
            }))
            .unwrap_or_else(|_| {
                done.fetch_max(wanted, Ordering::Relaxed); // the other cores stop
                panic!("{again}")
            });
            let before = done.fetch_add(mutated, Ordering::Relaxed);
            let (part, seconds) = (wanted / 10, began.elapsed().as_secs());
            if wanted > 20_000 && before / part < (before + mutated) / part {
                println!("{} in {seconds} s", before + mutated);
            }
        }
        counts.lock().unwrap().add(own);
    };
    std::thread::scope(|scope| {
        for _ in 0..cores.map_or(1, usize::from) {
            scope.spawn(worker);
        }
    });
    let mut counts = counts.into_inner().unwrap();
    counts.seconds = began.elapsed().as_secs();
    counts
}

/// One batch through the engines whose turn it is, or through all; how many of its proofs were mutated.
fn try_batch(stock: &Stock, seed: u64, batch: u64, all: bool, counts: &mut Counts) -> u64 {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    rng.set_stream(batch + 1);
    let cases = stock.batch(batch as usize, &mut rng);
    let began = Instant::now();
    let mut known: HashMap<(usize, &[FieldBytes], &ProofBytes), Verdict> = HashMap::new();
    let expected: Vec<Verdict> = cases
        .iter()
        .map(|case| {
            if case.label == UNTOUCHED {
                return Ok(()); // it was asked when the stock was made
            }
            let single = || verify_inputs(&stock.keys[case.key].key, &case.inputs, &case.proof);
            let key = (case.key, case.inputs.as_slice(), &case.proof);
            known.entry(key).or_insert_with(single).clone()
        })
        .collect();
    counts.judged(Engine::Naive, &expected, began.elapsed());
    for (case, verdict) in cases.iter().zip(&expected) {
        let right = match case.truth {
            Truth::Holds => verdict.is_ok(),
            Truth::Fails => verdict.is_err(),
            Truth::Either => true,
        };
        assert!(
            right,
            "the single verifier says {verdict:?} of: {}",
            case.label
        );
    }
    let items: Vec<Item<'_>> = cases
        .iter()
        .map(|case| Item {
            key: &stock.keys[case.key].key,
            inputs: &case.inputs,
            proof: &case.proof,
        })
        .collect();
    let secret = rng.r#gen();
    for engine in engines() {
        if !all && !batch.is_multiple_of(every(engine)) {
            continue;
        }
        let began = Instant::now();
        let found = engine.verify(&items, &secret);
        counts.judged(engine, &found, began.elapsed());
        assert_eq!(found.len(), expected.len(), "{}", engine.name());
        for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
            assert!(
                found == expected,
                "{} says {found:?}, the single verifier {expected:?}, of {i} of {}: {}",
                engine.name(),
                cases.len(),
                cases[i].label,
            );
        }
    }
    counts.tried(&cases, &expected);
    let mutated = cases.iter().filter(|case| case.label != UNTOUCHED);
    mutated.count() as u64
}

/// The one that the environment names; else all that this processor runs, but for the single verifier.
fn engines() -> Vec<Engine> {
    match std::env::var_os(ENGINE_VARIABLE) {
        Some(name) if !name.is_empty() => vec![Engine::chosen().unwrap()],
        _ => {
            let others = Engine::ALL.into_iter().skip(1);
            others.filter(|engine| engine.is_available()).collect()
        }
    }
}
