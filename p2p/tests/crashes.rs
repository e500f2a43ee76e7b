//! Crashes of real validators, at named points of vote log, block store and recovery, one after the other and in recovery from the one before.
//!
//! Four `tender start` processes on loopback; an observer on the same network keeps everything anybody signs and shows. Whatever the order of
//! deaths: nobody ever says two things for one height, round and kind, nothing leaves that is not in the log of the one who died, no height that was
//! shown is missing after the restart, the chain goes on, and in the end all have the same blocks and every store's audit agrees.
//!
//! `TENDER_CRASHES=200 TENDER_SEED=7 cargo test -p tender-p2p --test crashes` (or `.ci/crashes 200`) for more of them; the seed is printed.
#![cfg(debug_assertions)] // a release has no points to crash at
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod common;
#[path = "common/observer.rs"]
mod observer;

use common::{Peer, audit, keep_busy, until};
use libp2p::PeerId;
use observer::Observer;
use std::{
    collections::BTreeMap,
    fs,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::ExitStatus,
    thread::sleep,
    time::{Duration, Instant},
};
use tender_consensus::{sim::Rng, wal};
use tender_p2p::{
    agent::client::Client,
    cli::place::Place,
    config::Home,
    keystore::{KeyFile, KeyKind},
    store::points::Point,
};
use tender_wire::{ChainId, Height, PublicKey};

/// Deaths in `cargo test`.
const CRASHES: u64 = 6;
/// Validators that are about to die at once: with one more than may be lost, the chain also stands still at times.
const DOOMED: usize = 2;
/// A point that is not reached by then is not waited for.
const PATIENCE: Duration = Duration::from_secs(20);
/// The chain may stand still for as long as that, on a busy machine where peers die all the time.
const STANDSTILL: Duration = Duration::from_secs(180);
/// Where the very first start of each validator dies, half way through making its files.
const FIRST: [&str; 4] = [
    "store.grow:1",
    "store.write:2",
    "store.created:1",
    "wal.dir-sync:1",
];

/// How and where a validator is to end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// By `kill -9` at a point.
    Crash,
    /// By itself, when the disk fails at a point.
    Fail,
    /// By `kill -9` from outside, at whatever it is just doing.
    Outside,
}

struct Doom {
    way: Way,
    at: String,
    since: Instant,
}

impl Doom {
    fn new(way: Way, at: impl Into<String>) -> Doom {
        Doom {
            way,
            at: at.into(),
            since: Instant::now(),
        }
    }

    /// Mostly at work, sometimes already in recovery.
    fn draw(rng: &mut Rng, recovering: bool) -> Doom {
        let point = Point::ALL[rng.below(Point::ALL.len() as u64) as usize];
        let (in_recovery, at_work) = match point {
            Point::WalRead | Point::StoreDirSync | Point::Recovered | Point::StoreGrow => (1, 1),
            // Only at the first start of all.
            Point::StoreCreated => return Doom::draw(rng, recovering),
            Point::Recovering => (40, 40),
            Point::StoreWrite => (12, 200),
            Point::StoreSync => (3, 30),
            Point::WalWrite | Point::WalSync | Point::WalSynced | Point::Send => (2, 24),
            Point::WalCreate
            | Point::WalFill
            | Point::WalFillSync
            | Point::WalRename
            | Point::WalDirSync
            | Point::WalReplaced
            | Point::StoreCommit
            | Point::StoreCommitted
            | Point::HeightBegins => (1, 12),
        };
        let count = 1 + rng.below(if recovering { in_recovery } else { at_work });
        let fails = !matches!(
            point,
            Point::WalSynced
                | Point::WalReplaced
                | Point::HeightBegins
                | Point::Send
                | Point::Recovering
                | Point::Recovered
        );
        let way = if fails && rng.chance(25) {
            Way::Fail
        } else {
            Way::Crash
        };
        Doom::new(way, format!("{}:{count}", point.name()))
    }

    fn point(&self) -> &str {
        self.at.split(':').next().unwrap()
    }
}

/// A validator and the end that waits for it.
struct Validator {
    home: PathBuf,
    id: PeerId,
    key: PublicKey,
    peer: Peer,
    doom: Option<Doom>,
    /// The tip it had shown when it died, until it says what it found on its disk.
    owes: Option<Height>,
}

impl Validator {
    /// Starts for the first time of all, and is to die in that.
    fn first(home: &Path, at: &str) -> Validator {
        let place = Home::open(home).unwrap().0;
        let load = |kind| KeyFile::load(&place.key(kind), kind).unwrap();
        Validator {
            home: home.to_owned(),
            id: load(KeyKind::Network).peer_id().unwrap(),
            key: load(KeyKind::Consensus).public(),
            peer: Peer::start_with_env(home, &[], &[("TENDER_CRASH_AT", at)]),
            doom: Some(Doom::new(Way::Crash, at)),
            owes: None,
        }
    }

    fn start(&mut self, doom: Option<Doom>) {
        let variable = |doom: &Doom| match doom.way {
            Way::Crash => Some("TENDER_CRASH_AT"),
            Way::Fail => Some("TENDER_FAIL_AT"),
            Way::Outside => None,
        };
        let env = doom.as_ref().and_then(|it| Some((variable(it)?, &*it.at)));
        self.peer = Peer::start_with_env(&self.home, &[], env.as_slice());
        self.doom = doom;
    }

    fn client(&self) -> Option<Client> {
        Place::at(&self.home).client().ok()
    }

    /// Where it ended, if it has, or if it was waited for long enough.
    fn end(&mut self) -> Option<(Way, String)> {
        let ended = self.peer.ended();
        let late = |doom: &mut Doom| doom.since.elapsed() > PATIENCE;
        match (
            ended,
            self.doom.take_if(|doom| ended.is_some() || late(doom)),
        ) {
            (None, None) => None,
            (None, Some(_)) => {
                self.peer.kill();
                Some((Way::Outside, "any moment".into()))
            }
            (Some(status), doom) => {
                let log = self.peer.log();
                let doom = doom.unwrap_or_else(|| panic!("not to end: {log}"));
                let (expected, says) = match doom.way {
                    Way::Fail => (ExitStatus::from_raw(1 << 8), "made to fail at "),
                    _ => (ExitStatus::from_raw(9), "made to crash at "),
                };
                let as_wanted =
                    status == expected && log.contains(&(says.to_owned() + doom.point()));
                assert!(as_wanted, "{status} at {}: {log}", doom.at);
                Some((doom.way, doom.point().into()))
            }
        }
    }

    /// After its end: the log is read as the next start will read it, and held against what was heard.
    fn autopsy(&mut self, rng: &mut Rng, observer: &Observer, chain: &ChainId) {
        let mut ledger = observer.ledger();
        self.owes = ledger.shown.get(&self.id).copied();
        let path = self.home.join("data/votes.wal");
        let Ok(bytes) = fs::read(&path) else {
            return; // it died before it had one
        };
        let mut records = wal::scan(&bytes).unwrap().records;
        let unsynced = self.peer.log().contains("made to crash at wal.sync\n");
        if let (true, Some(last)) = (unsynced && rng.chance(50), records.last()) {
            // A power cut: of what was written after the last fsync any part may be lost. The last frame is surely part of that.
            let len = wal::frame(last).len() as u64;
            let cut = bytes.len() as u64 - len + rng.below(len);
            let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
            file.set_len(cut).unwrap();
            records.pop();
        }
        let (height, signed) = ledger.log(chain, &records);
        for (_, at, round, kind) in ledger.said_by(self.key, height) {
            assert!(
                *at == height && signed.contains(&(*round, *kind)),
                "{kind:?} of height {at}, round {round} was heard and is not in the log, which is at {height}"
            );
        }
    }

    /// Whoever is up again has at least what it had shown before.
    fn check_start(&mut self) {
        let log = self.peer.log();
        let said = log.lines().find(|line| line.contains(" recovered "));
        if let (Some(line), Some(shown)) = (said, self.owes) {
            let found = line.split("height=").nth(1).unwrap();
            let found: u64 = found.split_whitespace().next().unwrap().parse().unwrap();
            assert!(Height(found) >= shown, "{found} after it had shown {shown}");
            self.owes = None;
        }
    }
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

/// P1, P2, P3, P9, and of the records of comparable systems: crash between append, flush, send and commit; the directory's fsync after the rename;
/// the application behind consensus after a restart.
#[test]
fn no_validator_killed_anywhere_ever_signs_twice_and_no_decided_height_is_lost() {
    let crashes = number("TENDER_CRASHES", CRASHES);
    let seed = number("TENDER_SEED", 1);
    eprintln!("{crashes} crashes, TENDER_SEED={seed}");
    let mut rng = Rng::new(seed);
    let dir = tempfile::tempdir().unwrap();
    let (mut validators, chain) = network(dir.path());
    let homes: Vec<_> = validators.iter().map(|it| it.home.clone()).collect();
    let observer = Observer::start(chain, &homes);
    keep_busy(&homes[0]);

    let mut ends = BTreeMap::<(&str, String), u64>::new();
    let (mut named, mut in_a_row, mut height) = (0, 0, Height(0));
    let mut moved = Instant::now();
    while named < crashes {
        sleep(Duration::from_millis(20));
        let doomed = validators.iter().filter(|it| it.doom.is_some()).count();
        if doomed < DOOMED {
            let it = &mut validators[rng.below(4) as usize];
            it.doom.get_or_insert_with(|| Doom::new(Way::Outside, ""));
        }
        for it in &mut validators {
            it.check_start();
            if it
                .doom
                .as_ref()
                .is_some_and(|doom| doom.way == Way::Outside)
            {
                pause_or_kill(it, &mut rng);
            }
            let Some((way, at)) = it.end() else {
                continue;
            };
            let how = match way {
                Way::Crash | Way::Outside => "killed at",
                Way::Fail => "disk failed at",
            };
            *ends.entry((how, at)).or_default() += 1;
            named += u64::from(way == Way::Crash);
            it.autopsy(&mut rng, &observer, &chain);
            // Killed from outside it makes room for an end at a point; else it may have to recover from two.
            let (next, again) = (way == Way::Outside, rng.chance(40));
            in_a_row += u64::from(again && !next);
            it.start((again || next).then(|| Doom::draw(&mut rng, !next)));
        }
        let ledger = observer.ledger();
        ledger.check();
        if ledger.height() > height {
            (height, moved) = (ledger.height(), Instant::now());
        }
        assert!(
            moved.elapsed() < STANDSTILL,
            "no block since height {height}"
        );
    }
    for ((how, at), count) in &ends {
        eprintln!("{count:4}  {how} {at}");
    }
    eprintln!("{in_a_row} of them were to end again in recovery; height {height}");
    finish(validators, &observer, &chain, &mut rng);
    let ledger = observer.ledger();
    ledger.check();
    let heard = ledger.said.len() as u64;
    assert!(heard > 4 * height.0, "the observer saw too little: {heard}");
}

/// Four validators, who died at their first start and run now.
fn network(dir: &Path) -> (Vec<Validator>, ChainId) {
    let homes = common::validators(dir, 4);
    let mut validators: Vec<_> = homes
        .iter()
        .zip(FIRST)
        .map(|(home, at)| Validator::first(home, at))
        .collect();
    for it in &mut validators {
        let (way, _) = loop {
            match it.end() {
                Some(end) => break end,
                None => sleep(Duration::from_millis(20)),
            }
        };
        assert!(way == Way::Crash, "{}", it.peer.log());
        it.start(None);
    }
    let status = |it: &Validator| it.client()?.status().ok();
    for it in &validators {
        until("every validator is up", || {
            status(it).is_some_and(|status| status.peers >= 3)
        });
    }
    let chain = status(&validators[0]).unwrap().chain_id;
    (validators, chain)
}

/// P9: a pause does no harm either; then the kill.
fn pause_or_kill(it: &mut Validator, rng: &mut Rng) {
    if rng.chance(20) {
        it.peer.signal("STOP");
        sleep(Duration::from_millis(500 + rng.below(3000)));
        it.peer.signal("CONT");
        it.doom = None;
    } else {
        it.doom.as_mut().unwrap().since -= PATIENCE;
    }
}

/// Everybody lives; the chain goes on; all have one history, and each store's audit agrees.
fn finish(mut validators: Vec<Validator>, observer: &Observer, chain: &ChainId, rng: &mut Rng) {
    for it in validators.iter_mut().filter(|it| it.doom.is_some()) {
        it.peer.kill();
        it.autopsy(rng, observer, chain);
        it.start(None);
    }
    let goal = Height(observer.ledger().height().0 + 3);
    for it in &validators {
        until("everybody is further than anybody was", || {
            let status = it.client().and_then(|client| client.status().ok());
            status.is_some_and(|status| status.height >= goal && status.halted.is_none())
        });
    }
    let clients: Vec<_> = validators.iter().map(|it| it.client().unwrap()).collect();
    for height in (1..=goal.0).map(Height) {
        let first = clients[0].block(height).unwrap();
        for client in &clients[1..] {
            assert_eq!(client.block(height).unwrap(), first, "height {height}");
        }
    }
    for mut it in validators {
        it.peer.signal("TERM");
        it.peer.wait().ok();
        audit(&it.home);
    }
}
