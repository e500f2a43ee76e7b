//! Crates that solve dense assignment problems, on a market of `tender bench clear`: what `auction/benches/peers` runs.
//!
//! `cargo bench -p tender-auction --bench peers -- PEER FILE`; the file is laid out as `p2p/src/cli/bench/clear/dump.rs` says.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing
)]

use std::time::Instant;

fn main() {
    // `cargo bench` adds an argument of its own.
    let arguments: Vec<String> = std::env::args().filter(|it| it != "--bench").collect();
    let [_, peer, file] = &arguments[..] else {
        eprintln!("give the peer, lapjv or pathfinding, and the file of a market");
        return;
    };
    let surplus = square(&std::fs::read(file).expect("the file can be read"));
    let (name, about, found, ms) = match peer.as_str() {
        "lapjv" => lapjv(&surplus),
        "pathfinding" => pathfinding(&surplus),
        _ => panic!("no peer is called {peer}"),
    };
    println!(
        "{{\"peer\": \"{name}\", \"about\": \"{about}\", \"surplus\": {found}, \"ms\": {ms}}}"
    );
}

/// The surplus of every agent and task of a dense market with as many of both.
fn square(bytes: &[u8]) -> Vec<Vec<i64>> {
    let u64_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
    assert_eq!(&bytes[..8], b"TENDERM1");
    let [agents, tasks, entries] = [8, 16, 24].map(|at| u64_at(at) as usize);
    assert!(agents == tasks && entries == agents * tasks, "not dense");
    let (reserves, prices) = (32, 32 + 8 * tasks);
    let surplus =
        |a: usize, t: usize| u64_at(reserves + 8 * t) - u64_at(prices + 8 * (a * tasks + t));
    let row = |agent| (0..tasks).map(|task| surplus(agent, task) as i64).collect();
    (0..agents).map(row).collect()
}

type Answer = (&'static str, &'static str, i64, f64);

fn lapjv(surplus: &[Vec<i64>]) -> Answer {
    let n = surplus.len();
    let costs = lapjv::Matrix::from_shape_fn((n, n), |(agent, task)| -surplus[agent][task] as f64);
    let began = Instant::now();
    let (tasks, _) = lapjv::lapjv(&costs).expect("an assignment");
    let ms = began.elapsed().as_secs_f64() * 1e3;
    let found = tasks
        .iter()
        .enumerate()
        .map(|(agent, task)| surplus[agent][*task]);
    (
        "lapjv 0.3",
        "Jonker-Volgenant, dense, doubles",
        found.sum(),
        ms,
    )
}

fn pathfinding(surplus: &[Vec<i64>]) -> Answer {
    let weights =
        pathfinding::matrix::Matrix::from_rows(surplus.iter().cloned()).expect("a square");
    let began = Instant::now();
    let (found, _) = pathfinding::kuhn_munkres::kuhn_munkres(&weights);
    let ms = began.elapsed().as_secs_f64() * 1e3;
    ("pathfinding 4", "Kuhn-Munkres, dense, integers", found, ms)
}
