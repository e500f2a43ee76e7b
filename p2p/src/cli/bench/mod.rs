//! `tender bench`: what proofs and auctions cost on this machine.
//!
//! | command | measures | anchor in the same run |
//! |---|---|---|
//! | `verify` | proofs from bytes to verdict: every engine, and other programs' verifiers | the naive loop |
//! | `prove` | setup and proving, per built-in type | one core |
//! | `clear` | generated markets: solving, paying, checking; other programs' solvers | SHA-256 of the same bids |
//! | `auction` | a network of processes over loopback: bids admitted, close to certificate | one validator |
//! | `load` | the same network under attack: pace of blocks, memory, who is still served | the pace just before |
//!
//! Rules: everything that is compared runs in one process, in turns, so that drift hits all alike; medians and 95th percentiles, never a best
//! case; every verdict is compared with the one expected, and a wrong one ends the run. Times are floats: nothing here is agreed upon by peers.

mod auction;
mod cell;
mod chart;
mod clear;
mod document;
mod engine;
mod figures;
mod load;
mod machine;
mod network;
mod page;
mod peers;
mod progress;
mod prove;
mod report;
mod sealing;
mod stages;
mod stats;
mod subject;
mod verify;

use super::{bidding, error::Failure, out, table};
use clap::Subcommand;
use std::path::Path;

/// What to measure.
#[derive(Debug, Subcommand)]
pub(super) enum BenchCommand {
    /// Verifying proofs: every engine, one by one and in batches, with bad ones among them
    Verify(verify::VerifyArgs),
    /// Setting up and proving, for every built-in capability type
    Prove(prove::ProveArgs),
    /// Clearing markets: solving, paying, checking, beside SHA-256 of the same bids
    Clear(clear::ClearArgs),
    /// Whole auctions on networks of several sizes over loopback
    Auction(auction::AuctionArgs),
    /// A network over loopback under floods of every kind
    Load(load::LoadArgs),
}

impl BenchCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self {
            BenchCommand::Verify(args) => args.run(),
            BenchCommand::Prove(args) => args.run(),
            BenchCommand::Clear(args) => args.run(),
            BenchCommand::Auction(args) => args.run(),
            BenchCommand::Load(args) => args.run(),
        }
    }
}

/// A number of cores to run on: a number, or `all`.
fn cores(text: &str) -> Result<usize, String> {
    let all = std::thread::available_parallelism().map_or(1, usize::from);
    match text.parse::<usize>() {
        _ if text == "all" => Ok(all),
        Ok(cores @ 1..=1024) if cores <= all => Ok(cores),
        Ok(0) | Err(_) => Err("give a number of cores, or `all`".into()),
        Ok(_) => Err(format!("this machine lets the program use {all}")),
    }
}

/// The numbers without repetition, in the order given.
fn distinct<T: PartialEq + Copy>(values: &[T]) -> Vec<T> {
    let mut seen = Vec::new();
    for value in values {
        if !seen.contains(value) {
            seen.push(*value);
        }
    }
    seen
}

/// Threads to run on, no matter what arkworks does inside.
fn threads(cores: usize) -> Result<rayon::ThreadPool, Failure> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(cores).build();
    pool.map_err(|e| {
        Failure::new(
            format!("cannot start {cores} threads: {e}"),
            "see the system's limits: `ulimit -a`",
        )
    })
}

/// Refuses a file whose directory does not exist, before anything is measured.
fn check_parent(flag: &str, file: Option<&Path>) -> Result<(), Failure> {
    let parent = file
        .and_then(Path::parent)
        .filter(|p| !p.as_os_str().is_empty());
    match parent {
        Some(parent) if !parent.is_dir() => {
            let what = format!("{flag}: there is no directory {}", parent.display());
            Err(Failure::usage(what, "make it first; nothing was measured"))
        }
        _ => Ok(()),
    }
}

/// A positive number with three digits that count: `1,434`, `37.5`, `0.0123`.
fn three_digits(value: f64) -> String {
    if value >= 100.0 {
        return table::amount(value.round() as u64);
    }
    if value <= 0.0 {
        return "0".into();
    }
    let above = value.log10().floor() as i32;
    let decimals = usize::try_from(2i32.saturating_sub(above)).unwrap_or(0);
    format!("{value:.decimals$}")
}

/// A time in microseconds as people read it: `1,434` or `3.7`.
fn microseconds(value: f64) -> String {
    if value >= 100.0 {
        table::amount(value.round() as u64)
    } else {
        format!("{value:.1}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_a_number_this_machine_has_or_all() {
        let all = std::thread::available_parallelism().unwrap().get();
        assert_eq!(cores("all"), Ok(all));
        assert_eq!(cores("1"), Ok(1));
        assert!(cores("0").is_err() && cores("many").is_err() && cores("-1").is_err());
        assert!(cores(&(all + 1).to_string()).is_err());
        assert_eq!(distinct(&[1, 4, 1, 2, 4]), [1, 4, 2]);
    }

    #[test]
    fn numbers_have_three_digits_that_count() {
        let texts = [1434.4, 100.0, 37.53, 1.0, 0.012_34, 0.0].map(three_digits);
        assert_eq!(texts, ["1,434", "100", "37.5", "1.00", "0.0123", "0"]);
    }
}
