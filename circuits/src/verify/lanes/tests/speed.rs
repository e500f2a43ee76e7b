//! What the engines cost, side by side. Ignored: run it in release, on one core:
//!
//! ```text
//! taskset -c 0 cargo test --release -p tender-circuits --lib engines_side_by_side -- --ignored --nocapture
//! ```

use super::super::super::stages::Stage;
use super::super::super::{
    batch::{
        Item,
        tests::{Trapdoor, items, moved},
    },
    engine::Engine,
    single::{parse_proof, proof_bytes},
};
use ark_bn254::Fr;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// Public inputs of `resources/v1`.
const INPUTS: usize = 16;

#[test]
#[ignore = "measures"]
fn engines_side_by_side() {
    let mut rng = crate::keys::rng(b"speed", &[]);
    let trapdoor = Trapdoor::new(INPUTS, &mut rng);
    let cases: Vec<_> = (0..1024).map(|_| trapdoor.case(&mut rng)).collect();
    let items = items(&cases);
    let engines: Vec<Engine> = Engine::ALL
        .into_iter()
        .filter(|engine| engine.is_available())
        .collect();
    println!(
        "{:>6} {:>10} {:>12} {:>8}",
        "n", "engine", "us/proof", "ratio"
    );
    for n in [1, 8, 64, 1024] {
        let mut best = vec![f64::INFINITY; engines.len()];
        for _ in 0..if n < 100 { 7 } else { 5 } {
            for (engine, best) in engines.iter().zip(&mut best) {
                let sample = if *engine == Engine::Naive {
                    n.min(16)
                } else {
                    n
                };
                let part = &items[..sample];
                let began = Instant::now();
                let verdicts = engine.verify(part, &[1; 32]);
                *best = best.min((began.elapsed().as_secs_f64()) * 1e6 / sample as f64);
                assert!(verdicts.iter().all(Result::is_ok));
            }
        }
        for (engine, time) in engines.iter().zip(&best) {
            println!(
                "{n:>6} {:>10} {time:>12.2} {:>8.2}",
                engine.name(),
                best[0] / time
            );
        }
    }
}

/// What bad proofs cost, over a clean batch of the same size: false ones, ones off the subgroup, all of them.
#[test]
#[ignore = "measures"]
fn bad_proofs_over_clean_batches() {
    let mut rng = crate::keys::rng(b"speed", &[]);
    let trapdoor = Trapdoor::new(INPUTS, &mut rng);
    let mut cases: Vec<_> = (0..1024).map(|_| trapdoor.case(&mut rng)).collect();
    let stray = super::layers::stray(&mut rng);
    for engine in [Engine::Portable, Engine::Ifma]
        .into_iter()
        .filter(|it| it.is_available())
    {
        let clean = time(&items(&cases), engine).0;
        println!(
            "{} clean: {:.2} us/proof",
            engine.name(),
            clean * 1e6 / 1024.0
        );
        for (bad, off) in [(1, 0), (0, 1), (32, 0), (0, 32), (512, 0), (1024, 0)] {
            let proofs: Vec<_> = cases.iter().map(|case| case.proof).collect();
            for at in (0..bad).map(|i| (i * 1024 / bad + 5) % 1024) {
                cases[at].proof = moved(&cases[at].proof, Fr::from(at as u64 + 1));
            }
            for at in (0..off).map(|i| (i * 1024 / off + 7) % 1024) {
                let mut proof = parse_proof(&cases[at].proof).unwrap();
                proof.b = stray;
                cases[at].proof = proof_bytes(&proof);
            }
            let (time, refused) = time(&items(&cases), engine);
            assert_eq!(refused, bad + off);
            println!(
                "{:>10} {bad:>5} false {off:>5} outside: {:.2} of clean",
                engine.name(),
                time / clean
            );
            for (case, proof) in cases.iter_mut().zip(proofs) {
                case.proof = proof;
            }
        }
    }
}

/// The best of a few runs, and how many proofs are refused.
fn time(items: &[Item<'_>], engine: Engine) -> (f64, usize) {
    let mut best = (f64::INFINITY, 0);
    for _ in 0..4 {
        let began = Instant::now();
        let verdicts = engine.verify(items, &[1; 32]);
        let time = began.elapsed().as_secs_f64();
        if time < best.0 {
            best = (time, verdicts.iter().filter(|it| it.is_err()).count());
        }
    }
    best
}

/// The Miller loops alone, of as many pairs as proofs, and what else a batch costs.
#[test]
#[ignore = "measures"]
fn bare_miller_loops_and_stages() {
    let mut rng = crate::keys::rng(b"speed", &[]);
    let trapdoor = Trapdoor::new(INPUTS, &mut rng);
    let cases: Vec<_> = (0..1024).map(|_| trapdoor.case(&mut rng)).collect();
    let items = items(&cases);
    for engine in [Engine::Portable, Engine::Ifma]
        .into_iter()
        .filter(|it| it.is_available())
    {
        for n in [1, 8, 64, 1024] {
            let part = &items[..n];
            let micros = |time: Duration| time.as_secs_f64() * 1e6 / n as f64;
            let (mut bare, mut whole) = (f64::INFINITY, f64::INFINITY);
            let mut least: BTreeMap<Stage, f64> = BTreeMap::new();
            for _ in 0..20 {
                bare = bare.min(micros(engine.miller_loops(n)));
                let began = Instant::now();
                let (_, stages) = engine.verify_staged(part, &[1; 32]);
                whole = whole.min(micros(began.elapsed()));
                for (stage, time) in stages {
                    let least = least.entry(stage).or_insert(f64::INFINITY);
                    *least = least.min(micros(time));
                }
            }
            println!(
                "{} {n}: {whole:.2} us, bare {bare:.2}, ratio {:.2}",
                engine.name(),
                whole / bare
            );
            for (stage, time) in least {
                println!("  {time:>8.3}  {}", stage.name());
            }
        }
    }
}

/// One engine for a profiler, named by the environment.
#[test]
#[ignore = "measures"]
fn one_engine_for_a_profiler() {
    let mut rng = crate::keys::rng(b"speed", &[]);
    let trapdoor = Trapdoor::new(INPUTS, &mut rng);
    let cases: Vec<_> = (0..64).map(|_| trapdoor.case(&mut rng)).collect();
    let items: Vec<_> = items(&cases).into_iter().cycle().take(1024).collect();
    let number =
        |name: &str, default: usize| std::env::var(name).map_or(default, |n| n.parse().unwrap());
    let n = number("N", 1024);
    let engine = Engine::chosen().unwrap();
    let mut best = f64::INFINITY;
    for _ in 0..number("ROUNDS", 20) {
        let began = Instant::now();
        engine.verify(&items[..n], &[1; 32]);
        best = best.min(began.elapsed().as_secs_f64() * 1e6 / n as f64);
    }
    println!("{} {n}: {best:.2} us/proof", engine.name());
}
