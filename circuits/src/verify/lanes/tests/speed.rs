//! What the engines cost, side by side. Ignored: run it in release, on one core:
//!
//! ```text
//! taskset -c 0 cargo test --release -p tender-circuits --lib engines_side_by_side -- --ignored --nocapture
//! ```

use super::super::super::{
    batch::tests::{Trapdoor, items},
    engine::Engine,
};
use std::time::Instant;

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
