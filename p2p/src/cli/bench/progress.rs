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

/// The progress of one part of a run. May be told from several threads.
pub(super) struct Progress {
    what: String,
    total: u64,
    done: AtomicU64,
    began: Instant,
    /// Milliseconds since `began` at which the next plain line is due.
    due: AtomicU64,
    bar: Option<ProgressBar>,
}

impl Progress {
    pub(super) fn new(what: impl Into<String>, total: usize) -> Self {
        let (what, total) = (what.into(), total as u64);
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta_precise}");
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
            total,
            done: AtomicU64::new(0),
            began: Instant::now(),
            due: AtomicU64::new(EVERY.as_millis() as u64),
            bar,
        }
    }

    /// One step more is done.
    pub(super) fn step(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed).saturating_add(1);
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
            out::note(format_args!("  {done} of {}", self.total));
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
