//! Work of which nobody knows how much is left: a sign of life on standard error while it lasts.

use super::out;
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    io::IsTerminal as _,
    sync::mpsc::{RecvTimeoutError, sync_channel},
    thread,
    time::{Duration, Instant},
};

/// Pause between two plain lines: what takes less says nothing.
const EVERY: Duration = Duration::from_secs(10);
/// Pause between two pictures on a terminal.
const TICK: Duration = Duration::from_millis(120);

/// Does the work, and says how long it has taken so far: on a terminal all the time, elsewhere now and then.
pub(super) fn during<T>(what: &str, work: impl FnOnce() -> T) -> T {
    if std::io::stderr().is_terminal() {
        let spinner = ProgressBar::new_spinner().with_message(what.to_owned());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
            spinner.set_style(style);
        }
        spinner.enable_steady_tick(TICK);
        let done = work();
        spinner.finish_and_clear();
        return done;
    }
    said(what, EVERY, out::note, work)
}

fn said<T>(
    what: &str,
    every: Duration,
    mut say: impl FnMut(String) + Send,
    work: impl FnOnce() -> T,
) -> T {
    let began = Instant::now();
    let (done, waiting) = sync_channel::<()>(0);
    thread::scope(|scope| {
        scope.spawn(move || {
            while waiting.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                say(format!("{what}: {} s …", began.elapsed().as_secs()));
            }
        });
        let result = work();
        drop(done);
        result
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_work_is_heard_of_while_it_lasts_and_short_work_is_not() {
        let mut lines = Vec::new();
        let (heard, hears) = sync_channel(1);
        let say = |line| {
            lines.push(line);
            let _ = heard.try_send(());
        };
        assert_eq!(
            said("proving", Duration::from_millis(1), say, || hears.recv()),
            Ok(())
        );
        assert!(
            lines.iter().all(|line| line.starts_with("proving: ")),
            "{lines:?}"
        );
        let mut lines = Vec::new();
        said(
            "proving",
            Duration::from_secs(600),
            |line| lines.push(line),
            || (),
        );
        assert!(lines.is_empty());
    }
}
