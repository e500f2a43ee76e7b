//! How far an audit is: a bar where somebody watches, a line now and then where nobody does. Always on standard error.

use crate::cli::out;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    io::IsTerminal as _,
    time::{Duration, Instant},
};
use tender_auction::audit::AuditReport;

/// Between two lines where standard error is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);
const TEMPLATE: &str =
    "{bar:32} {pos}/{len} blocks  {msg}  {per_sec:>12}  {elapsed} gone, {eta} to go";

/// An audit's progress.
pub(super) struct Progress {
    started: Instant,
    said: Instant,
    bar: Option<ProgressBar>,
    total: u64,
}

impl Progress {
    pub(super) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
            match ProgressStyle::with_template(TEMPLATE) {
                Ok(style) => bar.with_style(style),
                Err(_) => bar, // the plain style shows the same
            }
        });
        let now = Instant::now();
        Progress {
            started: now,
            said: now,
            bar,
            total: 0,
        }
    }

    /// How many blocks there are, as far as is known before they are checked.
    pub(super) fn expect(&mut self, total: u64) {
        self.total = total;
        match &self.bar {
            Some(bar) => bar.set_length(total),
            None => out::note(format_args!("auditing {total} blocks")),
        }
    }

    /// A block was checked.
    pub(super) fn step(&mut self, report: &AuditReport) {
        let checked = report.height.0;
        if let Some(bar) = &self.bar {
            bar.set_length(self.total.max(checked));
            bar.set_position(checked);
            bar.set_message(format!("{} proofs", report.proofs));
        } else if self.said.elapsed() >= LINE_EVERY {
            self.said = Instant::now();
            out::note(format_args!(
                "audited {checked} of {} blocks, {} proofs, in {:.0} s",
                self.total.max(checked),
                report.proofs,
                self.started.elapsed().as_secs_f64()
            ));
        }
    }

    /// Clears the bar; gives the time since the beginning.
    pub(super) fn finish(&self) -> Duration {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.started.elapsed()
    }
}
