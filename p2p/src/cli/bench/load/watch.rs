//! What is watched while a network is attacked: the pace of its blocks, the memory of its peers, and whether somebody else is still served.

use super::super::{Failure, network::Network, stats::Samples};
use crate::agent::client::Client;
use serde::Serialize;
use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::sleep,
    time::{Duration, Instant},
};
use tender_wire::Height;

/// Pause between two requests of somebody else.
const PAUSE: Duration = Duration::from_millis(100);

/// Blocks over a while.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Pace {
    pub(super) blocks: u64,
    pub(super) seconds: f64,
    pub(super) blocks_per_second: f64,
    /// Between the times of two blocks in a row.
    pub(super) longest_gap_ms: u64,
}

/// The pace of the chain while something happens, and for `least` at least.
pub(super) fn pace<T>(
    network: &Network,
    least: Duration,
    during: impl FnOnce() -> Result<T, Failure>,
) -> Result<(T, Pace), Failure> {
    let watcher = network
        .clients
        .last()
        .map_or_else(|| network.client(0), Ok)?;
    let height = || {
        network.until("the chain is seen", Duration::from_secs(120), || {
            Client::new(watcher.url())
                .status()
                .ok()
                .map(|status| status.height)
        })
    };
    let (from, began) = (height()?, Instant::now());
    let value = during()?;
    sleep(least.saturating_sub(began.elapsed()));
    let (to, seconds) = (height()?, began.elapsed().as_secs_f64());
    let blocks = to.0.saturating_sub(from.0);
    let mut longest_gap_ms = 0;
    let mut before: Option<u64> = None;
    for at in from.0.max(1)..=to.0 {
        let time = watcher.block(Height(at))?.time_ms.0;
        let gap = before.map_or(0, |before| time.saturating_sub(before));
        longest_gap_ms = gap.max(longest_gap_ms);
        before = Some(time);
    }
    Ok((
        value,
        Pace {
            blocks,
            seconds,
            blocks_per_second: blocks as f64 / seconds.max(f64::MIN_POSITIVE),
            longest_gap_ms,
        },
    ))
}

/// How somebody who means no harm fared meanwhile.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Served {
    pub(super) asked: usize,
    pub(super) refused: usize,
    pub(super) p50_ms: f64,
    pub(super) p95_ms: f64,
}

/// Has somebody ask again and again, each time over a connection of its own, while something else happens.
pub(super) fn beside<T>(
    ask: impl Fn() -> Option<Result<(), Failure>> + Sync,
    during: impl FnOnce() -> Result<T, Failure>,
) -> Result<(T, Served), Failure> {
    let over = AtomicBool::new(false);
    let times: Mutex<(Samples, usize)> = Mutex::default();
    let value = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Acquire) {
                let began = Instant::now();
                let Some(answer) = ask() else { break };
                let took = began.elapsed().as_secs_f64() * 1e3;
                let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
                match answer {
                    Ok(()) => times.0.push(took),
                    Err(_) => times.1 = times.1.saturating_add(1),
                }
                drop(times);
                sleep(PAUSE);
            }
        });
        let value = during();
        over.store(true, Ordering::Release);
        value
    })?;
    let (samples, refused) = times.into_inner().unwrap_or_else(PoisonError::into_inner);
    let served = Served {
        asked: samples.len().saturating_add(refused),
        refused,
        p50_ms: samples.median(),
        p95_ms: samples.p95(),
    };
    Ok((value, served))
}

/// The most memory each validator has held since it started, in MiB, where the system says.
pub(super) fn memory_peaks(network: &Network) -> Vec<u64> {
    let peak = |pid: u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib.div_ceil(1024))
    };
    network.pids().filter_map(peak).collect()
}

/// A counter of a peer's metrics, by the beginning of its line.
pub(super) fn counted(client: &Client, series: &str) -> Result<u64, Failure> {
    let text = client.metrics()?;
    let line = text.lines().find_map(|line| line.strip_prefix(series));
    Ok(line
        .and_then(|value| value.trim().parse().ok())
        .unwrap_or(0))
}
