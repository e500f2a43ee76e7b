//! Other programs' solvers on the run's markets, in turns with ours.
//!
//! In every round a program of the caller's is run once for each market, after ours, with two arguments: the [file](super::dump) of the market, and its
//! family. For each solver that it can have and that fits the market, it prints a line on standard output:
//!
//! ```text
//! { "peer": name and version, "about": what it is given and does, "surplus": the greatest total surplus, "ms": milliseconds }
//! ```
//!
//! `ms` is the time to solve alone, without reading the file, and on one core. A peer with another surplus than ours has no row but a warning: one of us is wrong.

use super::{
    super::{Failure, out, peers::said_by, stats::Samples},
    cell::Cell,
    report::{PeerRow, Row},
};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

const MAX_NAME: usize = 60;
const MAX_ABOUT: usize = 400;

/// What a peer says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    peer: String,
    about: String,
    surplus: u128,
    ms: f64,
}

/// The peers' times so far.
pub(super) struct Peers {
    program: PathBuf,
    /// By market and peer, in the order in which they came.
    times: Vec<(usize, String, Samples)>,
    about: BTreeMap<String, String>,
    warnings: Vec<String>,
}

impl Peers {
    pub(super) fn new(program: PathBuf) -> Self {
        Peers {
            program,
            times: Vec::new(),
            about: BTreeMap::new(),
            warnings: Vec::new(),
        }
    }

    /// Lets every peer solve a market once, which ours has solved already. `market` is its number.
    ///
    /// # Errors
    /// [`Failure`] if the program cannot be run or fails. What a single peer does wrong is a warning.
    pub(super) fn round(&mut self, market: usize, cell: &Cell, file: &Path) -> Result<(), Failure> {
        let family = cell.subject.family.to_string();
        let arguments = [file.as_os_str(), family.as_ref()];
        let help = "see auction/benches/peers for a program that works";
        let said = said_by(&self.program, &arguments, help)?;
        for line in said.lines().filter(|line| !line.trim().is_empty()) {
            match read(line, cell.surplus()) {
                Ok(answer) => self.push(market, answer),
                Err(what) => {
                    let warning = format!("a peer is left out: {family}: {what}");
                    if !self.warnings.contains(&warning) {
                        out::note(format_args!("{warning}"));
                        self.warnings.push(warning);
                    }
                }
            }
        }
        Ok(())
    }

    fn push(&mut self, market: usize, answer: Answer) {
        let known = (self.times.iter_mut()).find(|(m, p, _)| *m == market && *p == answer.peer);
        match known {
            Some((_, _, samples)) => samples.push(answer.ms),
            None => {
                let mut samples = Samples::default();
                samples.push(answer.ms);
                self.times.push((market, answer.peer.clone(), samples));
            }
        }
        self.about.insert(answer.peer, answer.about);
    }

    /// A row for each peer and market so far; what comes next is about other markets. `rows` gives our row of a market.
    pub(super) fn take_rows<'a>(
        &mut self,
        rows: impl Fn(usize) -> Option<&'a Row>,
    ) -> Vec<PeerRow> {
        let row = |(market, peer, samples): &(usize, String, Samples)| {
            let ours = rows(*market)?;
            Some(PeerRow {
                family: ours.family.clone(),
                bids: ours.bids,
                peer: peer.clone(),
                ms: samples.median(),
                best_ms: samples.quantile(0.0),
                rounds: samples.len(),
                surplus: ours.surplus,
                ratio: samples.median() / ours.propose_ms.max(f64::MIN_POSITIVE),
            })
        };
        let taken = self.times.iter().filter_map(row).collect();
        self.times.clear();
        taken
    }

    /// What each peer says it does, and what was wrong with some.
    pub(super) fn said(self) -> (BTreeMap<String, String>, Vec<String>) {
        (self.about, self.warnings)
    }
}

/// A peer's answer about a market of which the greatest surplus is known.
fn read(line: &str, surplus: u128) -> Result<Answer, String> {
    let answer: Answer =
        serde_json::from_str(line).map_err(|e| format!("a line that is no answer: {e}"))?;
    let Answer {
        peer,
        about,
        surplus: found,
        ms,
    } = &answer;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || " .-_/@+()".contains(c);
    if peer.is_empty() || peer.len() > MAX_NAME || !peer.chars().all(is_plain) {
        return Err("its name is no plain short one".into());
    }
    if about.len() > MAX_ABOUT {
        return Err(format!("{peer} says too much"));
    }
    if !(ms.is_finite() && *ms > 0.0) {
        return Err(format!("{peer} gives a time that is none"));
    }
    if *found != surplus {
        return Err(format!(
            "{peer} finds a surplus of {found}, ours is {surplus}"
        ));
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_counts_if_it_finds_the_same_surplus() {
        let line = |peer: &str, surplus: &str, ms: &str| {
            format!(r#"{{"peer":"{peer}","about":"x","surplus":{surplus},"ms":{ms}}}"#)
        };
        let answer = read(&line("lapjv 0.3", "70", "4.5"), 70).unwrap();
        assert_eq!((answer.peer.as_str(), answer.ms), ("lapjv 0.3", 4.5));
        for (peer, surplus, ms, says) in [
            ("x", "69", "1", "a surplus of 69, ours is 70"),
            ("x", "70", "0", "a time that is none"),
            ("a,b", "70", "1", "no plain short one"),
            ("", "70", "1", "no plain short one"),
            ("x", "-70", "1", "no answer"),
        ] {
            let why = read(&line(peer, surplus, ms), 70).unwrap_err();
            assert!(why.contains(says), "{why}");
        }
        assert!(read("{}", 70).is_err() && read("no", 70).is_err());
    }
}
