//! Progress on standard error: a bar for people at a terminal, now and then a plain line for everybody else.

use super::out;
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    io::IsTerminal as _,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// Pause between two plain lines.
const EVERY: Duration = Duration::from_secs(10);

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// Things done.
    Steps,
    /// Milliseconds of expected work, of which people read the share that is done.
    Work,
}

/// The progress of one part of a run. May be told from several threads.
pub(super) struct Progress {
    what: String,
    unit: Unit,
    total: u64,
    done: AtomicU64,
    began: Instant,
    /// Milliseconds since `began` at which the next plain line is due.
    due: AtomicU64,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// So many steps.
    pub(super) fn new(what: impl Into<String>, total: usize) -> Self {
        Self::of(what.into(), Unit::Steps, total as u64)
    }

    /// Work that is expected to take so many milliseconds.
    pub(super) fn of_work(what: impl Into<String>, total: u64) -> Self {
        Self::of(what.into(), Unit::Work, total)
    }

    fn of(what: String, unit: Unit, total: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template(match unit {
                Unit::Steps => "{msg} {wide_bar} {pos}/{len} {eta} left",
                Unit::Work => "{msg} {wide_bar} {percent} % {eta} left",
            });
            let bar = ProgressBar::new(total).with_message(what.clone());
            if let Ok(style) = style {
                bar.set_style(style);
            }
            bar
        });
        if bar.is_none() {
            out::note(format_args!("{what} …"));
        }
        Progress {
            what,
            unit,
            total,
            done: AtomicU64::new(0),
            began: Instant::now(),
            due: AtomicU64::new(EVERY.as_millis() as u64),
            bar,
        }
    }

    /// One step more is done.
    pub(super) fn step(&self) {
        self.advance(1);
    }

    /// So much more is done.
    pub(super) fn advance(&self, by: u64) {
        let done = self
            .done
            .fetch_add(by, Ordering::Relaxed)
            .saturating_add(by);
        match &self.bar {
            Some(bar) => bar.set_position(done),
            None => self.line(done),
        }
    }

    fn line(&self, done: u64) {
        let elapsed = self.began.elapsed().as_millis() as u64;
        let due = self.due.load(Ordering::Relaxed);
        let next = elapsed.saturating_add(EVERY.as_millis() as u64);
        let is_due = elapsed >= due
            && self
                .due
                .compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if is_due {
            let left = left(elapsed, done, self.total);
            match self.unit {
                Unit::Steps => out::note(format_args!("  {done} of {}, {left} left", self.total)),
                Unit::Work => {
                    let percent = done.saturating_mul(100).checked_div(self.total);
                    out::note(format_args!("  {} %, {left} left", percent.unwrap_or(100)));
                }
            }
        }
    }

    /// All is done: says how long it took.
    pub(super) fn finish(self) -> Duration {
        let took = self.began.elapsed();
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        out::note(format_args!("{}: {:.1} s", self.what, took.as_secs_f64()));
        took
    }
}

/// What is left of a time of which `elapsed` milliseconds brought `done` of `total`: `3 min 20 s`.
fn left(elapsed: u64, done: u64, total: u64) -> String {
    let rest = total.saturating_sub(done);
    let seconds = elapsed
        .saturating_mul(rest)
        .checked_div(done.saturating_mul(1000))
        .unwrap_or(0);
    match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::left;

    #[test]
    fn what_is_left_follows_from_what_is_done() {
        assert_eq!(left(10_000, 1, 4), "30 s");
        assert_eq!(left(100_000, 1, 3), "3 min 20 s");
        assert_eq!(left(10_000, 5, 4), "0 s");
        assert_eq!(left(10_000, 0, 4), "0 s");
    }
}
