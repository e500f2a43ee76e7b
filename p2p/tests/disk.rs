//! What a peer makes of its disk: full, failing, damaged, old, another's, read-only, in use; and of a system that gives it nothing to work with.
//!
//! Each time as an operator meets it: `tender start` ends with code 1 and a reason from the table in SECURITY.md, signs nothing, and leaves the vote log as it
//! was. THREATS P4 to P7, P9, P10. What can be tried at every byte is tried where the code is: `store`, `consensus::wal`.
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

use common::{Peer, Ran, audit, busy, height, keep_busy, until};
use observer::{Ledger, Observer};
use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};
use tender_auction::genesis::Genesis;
use tender_consensus::wal;
use tender_p2p::{
    config::Home,
    files::create_private_dir,
    keystore::{KeyFile, KeyKind},
};
use tender_wire::{ChainId, Height, PublicKey};

fn chain_of(home: &Path) -> ChainId {
    let genesis = fs::read(home.join("genesis.json")).unwrap();
    let genesis: Genesis = serde_json::from_slice(&genesis).unwrap();
    genesis.chain_id()
}

fn key_of(home: &Path) -> PublicKey {
    let place = Home::open(home).unwrap().0;
    let key = KeyFile::load(&place.key(KeyKind::Consensus), KeyKind::Consensus);
    key.unwrap().public()
}

fn log_of(home: &Path) -> PathBuf {
    home.join("data/votes.wal")
}

/// Copies the files of a directory into another, which is emptied.
fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// The home of the only validator of a network, on any free port. The network is made once (proving keys take a second) and copied.
fn one_validator(dir: &Path) -> PathBuf {
    static FILES: OnceLock<Vec<(PathBuf, Permissions, Vec<u8>)>> = OnceLock::new();
    let files = FILES.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        common::validators(dir.path(), 1);
        let (mut found, mut folders) = (Vec::new(), vec![dir.path().join("net")]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(dir.path()).unwrap().to_owned();
                    let mode = fs::metadata(&path).unwrap().permissions();
                    found.push((name, mode, fs::read(&path).unwrap()));
                }
            }
        }
        found
    });
    for (name, mode, bytes) in files {
        let path = dir.join(name);
        create_private_dir(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, mode.clone()).unwrap();
    }
    let home = dir.join("net/validator-0");
    let (place, mut config) = Home::open(&home).unwrap();
    config.network.listen = vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()];
    fs::remove_file(place.config()).unwrap();
    config.create(&place.config()).unwrap();
    home
}

fn runs_to(home: &Path, goal: u64) {
    until(&format!("height {goal}"), || {
        height(home).is_some_and(|found| found.0 >= goal)
    });
}

/// Starts a peer that must not come up: code 1, these words, and a vote log that stays as it was.
#[track_caller]
fn refused(home: &Path, says: &[&str]) -> String {
    let before = fs::read(log_of(home)).ok();
    let err = Peer::start(home).wait().fails(1, says);
    assert_eq!(fs::read(log_of(home)).ok(), before, "{says:?}");
    err
}

/// One validator with some blocks, killed; and its data as they were some blocks earlier.
struct Killed {
    _dir: tempfile::TempDir,
    home: PathBuf,
    data: PathBuf,
    old: PathBuf,
    good: PathBuf,
}

impl Killed {
    fn new(home: impl FnOnce(&Path) -> PathBuf) -> Killed {
        let dir = tempfile::tempdir().unwrap();
        let home = home(dir.path());
        let (data, old, good) = (
            home.join("data"),
            dir.path().join("old"),
            dir.path().join("good"),
        );
        let mut peer = Peer::start(&home);
        until("the peer is up", || height(&home).is_some());
        keep_busy(&home);
        runs_to(&home, 3);
        peer.kill();
        copy(&data, &old);
        let mut peer = Peer::start(&home);
        runs_to(&home, 9);
        peer.kill();
        copy(&data, &good);
        Killed {
            _dir: dir,
            home,
            data,
            old,
            good,
        }
    }

    /// With the good files, changed like this, the peer does not come up.
    #[track_caller]
    fn refuses(&self, change: impl FnOnce(&Path), says: &[&str]) {
        copy(&self.good, &self.data);
        change(&self.data);
        refused(&self.home, says);
    }
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

/// P4, P7: damaged, cut, emptied, zeroed, missing, older, of another chain, of another format.
#[test]
fn a_validator_whose_files_are_not_what_it_left_says_so_and_signs_nothing() {
    let it = Killed::new(one_validator);
    let wal = |data: &Path| data.join("votes.wal");
    let store = |data: &Path| data.join("blocks.redb");
    let lost = "Lost files";

    // The vote log.
    let missing = "votes.wal is missing, so what this validator signed last is unknown";
    it.refuses(|data| fs::remove_file(wal(data)).unwrap(), &[missing, lost]);
    let emptied = "votes.wal is empty, though this validator has voted";
    it.refuses(|data| fs::write(wal(data), "").unwrap(), &[emptied, lost]);
    let damaged = "the vote log is damaged at byte";
    it.refuses(
        |data| change(&wal(data), |bytes| bytes[100] ^= 1),
        &[damaged, "Do not delete it", lost],
    );
    it.refuses(
        |data| change(&wal(data), |bytes| bytes[64..128].fill(0)),
        &[damaged, lost],
    );
    it.refuses(
        |data| change(&wal(data), |bytes| drop(bytes.drain(..20))),
        &[damaged, lost],
    );
    let old = "the log is an older copy";
    let put = |from: PathBuf, to: PathBuf| assert!(fs::copy(from, to).unwrap() > 0);
    let older = |data: &Path| put(wal(&it.old), wal(data));
    it.refuses(
        older,
        &["votes.wal is at height", "has signed block", old, lost],
    );

    // The block store.
    let behind = [
        "consensus refuses to start",
        "the vote log is at height",
        "the block store at",
    ];
    it.refuses(|data| fs::remove_file(store(data)).unwrap(), &behind);
    it.refuses(|data| put(store(&it.old), store(data)), &behind);
    let damaged = ["blocks.redb is damaged", "check the disk", lost];
    it.refuses(|data| fs::write(store(data), "").unwrap(), &damaged);
    it.refuses(
        |data| change(&store(data), |bytes| bytes.truncate(bytes.len() / 2)),
        &damaged,
    );
    it.refuses(
        |data| change(&store(data), |bytes| bytes[4096..].fill(0)),
        &damaged,
    );

    // Another chain's.
    let other = Killed::new(|dir| common::validators(dir, 1).remove(0));
    it.refuses(
        |data| put(wal(&other.good), wal(data)),
        &["the vote log at height", "belongs to another chain or fork"],
    );
    it.refuses(
        |data| copy(&other.good, data),
        &["holds chain", "this genesis is chain"],
    );

    // The keys.
    copy(&it.good, &it.data);
    let keys = it.home.join("keys");
    fs::set_permissions(&keys, Permissions::from_mode(0o755)).unwrap();
    refused(&it.home, &["others could read the key", "chmod 0700"]);
    fs::set_permissions(&keys, Permissions::from_mode(0o700)).unwrap();

    // The same files unchanged, and with a torn tail: it goes on.
    for tear in [0, 1, 7] {
        copy(&it.good, &it.data);
        change(&wal(&it.data), |bytes| bytes.truncate(bytes.len() - tear));
        let peer = Peer::start(&it.home);
        runs_to(&it.home, 10);
        drop(peer);
    }
}

/// P7: the second process is told who the first is, with the lock file and without it; the first goes on.
#[test]
fn one_home_has_one_process() {
    let dir = tempfile::tempdir().unwrap();
    let home = one_validator(dir.path());
    let first = Peer::start(&home);
    until("the peer is up", || height(&home).is_some());
    keep_busy(&home);
    runs_to(&home, 2);
    let addresses = fs::read(home.join("addresses.json")).unwrap();
    let second = |says: &str| {
        // Its own log, and none of the first one's files.
        let said = common::tender([
            "start",
            "--port",
            "0",
            "--api-port",
            "0",
            "--home",
            home.to_str().unwrap(),
        ]);
        said.fails(1, &["is already in use by", says, "tender status --home"]);
    };
    second(&format!("process {}", first.pid()));
    fs::remove_file(home.join("data/LOCK")).unwrap();
    second("another process");
    assert_eq!(fs::read(home.join("addresses.json")).unwrap(), addresses);
    let now = height(&home).unwrap().0;
    runs_to(&home, now + 2);
}

/// L3: of four validators one has a disk that takes half a second for every fsync, ten times what a block may take. The others go on, it follows,
/// and it votes again once its disk is itself.
#[test]
fn l3_a_validator_with_a_slow_disk_follows_and_nobody_waits_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let homes = common::validators(dir.path(), 4);
    let home = &homes[3];
    let slow = [("TENDER_SLOW_AT", "wal.sync:500,store.sync:500")];
    let start = |home: &PathBuf| Peer::start(home);
    let mut peers: Vec<_> = homes[..3].iter().map(start).collect();
    peers.push(Peer::start_with_env(home, &[], &slow));
    for home in &homes {
        until("every validator is up", || height(home).is_some());
    }
    let observer = Observer::start(chain_of(home), &homes);
    keep_busy(&homes[0]);
    let key = key_of(home);
    let said = || observer.ledger().said_by(key, Height(0)).count();
    let from = height(&homes[0]).unwrap().0;
    runs_to(&homes[0], from + 8);
    runs_to(home, from + 2);
    peers[3].kill();
    peers[3] = Peer::start(home);
    let (now, before) = (height(&homes[0]).unwrap().0, said());
    runs_to(home, now + 2);
    until("it votes again", || said() > before);
    observer.ledger().check();
}

/// P4, P7: files that went to the wrong home, and a home put back from a backup, among four validators.
#[test]
fn a_validator_with_anothers_files_or_with_its_own_of_yesterday_never_signs() {
    let dir = tempfile::tempdir().unwrap();
    let homes = common::validators(dir.path(), 4);
    let mut peers: Vec<_> = homes.iter().map(|home| Peer::start(home)).collect();
    let (home, other) = (&homes[3], &homes[2]);
    let (data, backup, good) = (
        home.join("data"),
        dir.path().join("backup"),
        dir.path().join("good"),
    );
    for home in &homes {
        until("every validator is up", || height(home).is_some());
    }
    let observer = Observer::start(chain_of(home), &homes);
    keep_busy(&homes[0]);
    runs_to(home, 3);
    peers[3].kill();
    copy(&data, &backup);
    peers[3] = Peer::start(home);
    let goal = observer.ledger().height().0 + 6;
    runs_to(home, goal);
    peers[3].kill();
    copy(&data, &good);
    let key = key_of(home);
    let said = || observer.ledger().said_by(key, Height(0)).count();

    // Its files of yesterday, store and log alike: they agree with each other, and only the others know better.
    copy(&backup, &data);
    let before = said();
    peers[3] = Peer::start(home);
    let halted = [
        "the peer halted",
        "and not by this process",
        "is the key in use twice?",
    ];
    peers[3].wait().fails(1, &halted);
    // Again, from a block with its vote among those it has synced since, or from the others.
    let err = refused(home, &[]);
    assert!(
        err.contains("the log is an older copy") || err.contains(halted[2]),
        "{err}"
    );
    assert_eq!(said(), before, "it has said something");

    // The other's.
    copy(&good, &data);
    peers[2].kill();
    fs::copy(log_of(other), log_of(home)).unwrap();
    let others = format!(
        "votes.wal is of validator {}, this home's key is of {key}",
        key_of(other)
    );
    refused(home, &[&others, "put the files back where they belong"]);
    copy(&other.join("data"), &data);
    refused(home, &[&format!("data is of validator {}", key_of(other))]);

    // With what belongs to it, it votes again.
    copy(&good, &data);
    peers[2] = Peer::start(other);
    peers[3] = Peer::start(home);
    let now = observer.ledger().height().0;
    runs_to(home, now + 3);
    observer.ledger().check();
    for (peer, home) in peers.iter_mut().zip(&homes) {
        peer.kill();
        audit(home);
    }
}

/// P7: a log put back to the beginning of its height; with two of four dead nobody leaves it. The other shows the validator
/// what it said and it halts, or it sees the same block first and says the very same again. It never says anything else.
#[test]
fn with_a_log_put_back_within_its_height_a_validator_halts_or_repeats_itself() {
    let dir = tempfile::tempdir().unwrap();
    let homes = common::validators(dir.path(), 4);
    let mut peers: Vec<_> = homes.iter().map(|home| Peer::start(home)).collect();
    let home = &homes[3];
    for home in &homes {
        until("every validator is up", || height(home).is_some());
    }
    let observer = Observer::start(chain_of(home), &homes);
    keep_busy(&homes[0]);
    runs_to(home, 3);
    let key = key_of(home);
    peers[1].kill();
    peers[2].kill();
    // What its log has of this height, if others have heard some of it.
    let said = || {
        let records = wal::scan(&fs::read(log_of(home)).unwrap()).map_or(vec![], |log| log.records);
        let (height, signed) = Ledger::default().log(&chain_of(home), &records);
        let heard = observer.ledger().said_by(key, height).count();
        signed.len().min(heard)
    };
    until("it has said something at this height", || said() > 0);
    peers[3].kill();
    change(&log_of(home), |bytes| {
        let records = wal::scan(bytes).unwrap().records;
        *bytes = records[..2].iter().flat_map(wal::frame).collect();
    });
    assert_eq!(said(), 0);
    peers[3] = Peer::start(home);
    let mut ended = None;
    until("it halts or says something again", || {
        ended = peers[3].ended();
        ended.is_some() || said() > 0
    });
    // With the dead back, three of four go on, whatever became of it.
    let now = height(&homes[0]).unwrap().0;
    for i in [1, 2] {
        peers[i] = Peer::start(&homes[i]);
    }
    runs_to(&homes[0], now + 3);
    if let Some(status) = ended.or_else(|| peers[3].ended()) {
        let log = peers[3].log();
        assert_eq!(status.code(), Some(1), "{log}");
        assert!(
            log.contains("and not by this process: is the key in use twice?"),
            "{log}"
        );
    }
    observer.ledger().check();
}

/// A directory on a small disk of its own, which only processes inside see.
struct SmallDisk {
    holder: Child,
    at: PathBuf,
}

impl SmallDisk {
    /// Mounts it over a directory; `None` where that is not allowed.
    fn new(at: &Path, mebibytes: u32) -> Option<SmallDisk> {
        fs::create_dir_all(at).unwrap();
        let mount = format!(
            "mount -t tmpfs -o mode=0700,size={mebibytes}m tmpfs '{}' && echo mounted && exec sleep 3600",
            at.display()
        );
        let holder = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", &mount])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mounted = holder.ok().and_then(|mut holder| {
            let mut said = String::new();
            let out = std::io::BufReader::new(holder.stdout.take()?);
            let _ = std::io::BufRead::read_line(&mut { out }, &mut said);
            let disk = SmallDisk {
                holder,
                at: at.to_owned(),
            };
            (said == "mounted\n").then_some(disk)
        });
        if mounted.is_none() {
            let ci = std::env::var_os("TENDER_CI").is_some();
            assert!(
                !ci,
                "a tmpfs cannot be mounted here (unshare --user --mount)"
            );
            eprintln!("SKIPPED: a tmpfs cannot be mounted here (unshare --user --mount)");
        }
        mounted
    }

    /// A command that runs inside.
    fn inside(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        let holder = self.holder.id().to_string();
        command.args([
            "--user",
            "--mount",
            "--preserve-credentials",
            "--target",
            &holder,
        ]);
        command.arg(program);
        command
    }

    /// Its directory, seen from outside.
    fn path(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(self.at.strip_prefix("/").unwrap())
    }

    fn start(&self, home: &Path) -> Peer {
        let tender = self.inside(env!("CARGO_BIN_EXE_tender"));
        Peer::spawn(home, tender, &[], &[])
    }

    /// Leaves that much room.
    fn fill(&self, leave: u64) {
        let script = format!(
            "rm -f '{0}/ballast'; cat /dev/zero > '{0}/ballast' 2>/dev/null; truncate -s -{leave} '{0}/ballast'",
            self.at.display()
        );
        let filled = self.inside("sh").args(["-c", &script]).status().unwrap();
        assert!(filled.success());
    }

    fn make_room(&self) {
        fs::remove_file(self.path().join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// P6: the disk fills up at the next write, or some writes later. The peer stops before it signs or stores half of anything, says why, does not come up
/// while there is no room, and goes on from where it was when there is.
#[test]
fn p6_a_full_disk_stops_a_validator_and_room_lets_it_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let home = one_validator(dir.path());
    let chain = chain_of(&home);
    let Some(disk) = SmallDisk::new(&home.join("data"), 16) else {
        return;
    };
    let mut ledger = Ledger::default();
    let mut signed = |disk: &SmallDisk| {
        let bytes = fs::read(disk.path().join("votes.wal")).unwrap();
        ledger.log(&chain, &wal::scan(&bytes).unwrap().records);
        ledger.check();
    };
    let full = |ran: Ran| {
        ran.fails(1, &["No space left on device"]);
    };
    let mut peer = disk.start(&home);
    until("the peer is up", || height(&home).is_some());
    keep_busy(&home);
    for leave in [0, 4096, 40_000, 400_000] {
        let shown = height(&home).unwrap().0;
        runs_to(&home, shown + 2);
        disk.fill(leave);
        let ran = peer.wait();
        assert!(ran.err.contains("the peer halted"), "{}", ran.err);
        full(ran);
        signed(&disk);
        disk.fill(0);
        full(disk.start(&home).wait());
        signed(&disk);
        disk.make_room();
        peer = disk.start(&home);
        runs_to(&home, shown + 4);
    }
    peer.kill();
    signed(&disk);
    let kept = dir.path().join("kept");
    copy(&disk.path(), &kept);
    drop(disk);
    copy(&kept, &home.join("data"));
    audit(&home);
}

/// P6: no room at the very first start is no damage at the second.
#[test]
fn p6_a_first_start_on_a_full_disk_leaves_a_home_that_starts() {
    let dir = tempfile::tempdir().unwrap();
    let home = one_validator(dir.path());
    let Some(disk) = SmallDisk::new(&home.join("data"), 8) else {
        return;
    };
    for leave in [0, 4096, 8192, 20_000] {
        disk.fill(leave);
        disk.start(&home)
            .wait()
            .fails(1, &["No space left on device"]);
    }
    disk.make_room();
    let mut peer = disk.start(&home);
    until("the peer is up", || height(&home).is_some());
    peer.kill();
}

/// P4, P6: a disk that may only be read.
#[test]
fn a_read_only_disk_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let home = one_validator(dir.path());
    let Some(disk) = SmallDisk::new(&home.join("data"), 16) else {
        return;
    };
    let mut peer = disk.start(&home);
    until("the peer is up", || height(&home).is_some());
    peer.kill();
    let remount = |how: &str| {
        let mut mount = disk.inside("mount");
        assert!(
            mount
                .args(["-o", how])
                .arg(&disk.at)
                .status()
                .unwrap()
                .success()
        );
    };
    remount("remount,ro");
    let says = ["data", "Read-only file system"];
    disk.start(&home).wait().fails(1, &says);
    remount("remount,rw");
    let mut peer = disk.start(&home);
    until("the peer is up", || height(&home).is_some());
    peer.kill();
}

/// P5: an fsync that fails is never tried again: the peer stops by itself, with what was being written in its reason, and what waited for it is not said.
#[test]
#[cfg(debug_assertions)] // a release has no points to fail at
fn p5_a_failed_fsync_stops_a_validator_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let home = one_validator(dir.path());
    let mut peer = Peer::start(&home);
    until("the peer is up", || height(&home).is_some());
    keep_busy(&home);
    runs_to(&home, 2);
    peer.kill();
    let before = fs::read(log_of(&home)).unwrap();
    for (at, says) in [
        (
            "wal.sync:3",
            "votes.wal: cannot sync: made to fail at wal.sync; stopped before signing anything more",
        ),
        (
            "wal.fill-sync:3",
            "votes.wal.new: cannot sync: made to fail at wal.fill-sync",
        ),
        (
            "wal.dir-sync:3",
            "votes.wal: cannot sync the directory of: made to fail at wal.dir-sync",
        ),
        (
            "store.sync:9",
            "blocks.redb: I/O error: made to fail at store.sync: is the disk full",
        ),
    ] {
        let mut peer = Peer::start_with_env(&home, &[], &[("TENDER_FAIL_AT", at)]);
        peer.wait()
            .fails(1, &["the peer halted", says, "SECURITY.md"]);
    }
    // Already at a start, where it takes in what the last one left.
    let mut peer = Peer::start_with_env(&home, &[], &[("TENDER_FAIL_AT", "wal.fill-sync:1")]);
    peer.wait().fails(1, &["made to fail at wal.fill-sync"]);
    let shown = {
        let _peer = Peer::start(&home);
        until("the peer is up", || height(&home).is_some());
        height(&home).unwrap().0
    };
    assert!(shown >= 2 && fs::read(log_of(&home)).unwrap() != before);
}

/// P1, P7: a validator dies while it writes its very first vote. Whether that counts or not, the next start finds a log that may be voted with.
#[test]
#[cfg(debug_assertions)] // a release has no points to die at
fn p1_a_death_at_the_very_first_vote_leaves_a_home_that_votes() {
    let dir = tempfile::tempdir().unwrap();
    let home = one_validator(dir.path());
    for at in ["wal.rename:1", "wal.replaced:1", "send:1"] {
        let mut peer = Peer::start_with_env(&home, &[], &[("TENDER_CRASH_AT", at)]);
        until("the peer is up", || height(&home).is_some());
        busy(&home); // which nobody is left to confirm
        assert!(peer.wait().err.contains("made to crash at"));
        peer = Peer::start(&home);
        until("the peer is up", || height(&home).is_some());
        keep_busy(&home);
        runs_to(&home, 2);
        peer.kill();
        audit(&home);
        fs::remove_dir_all(home.join("data")).unwrap();
    }
}

/// P10: too few file handles for a peer are named at once, instead of stopping it in the middle of a height.
#[test]
fn p10_too_few_file_handles_are_named_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let home = one_validator(dir.path());
    let limited = |files: u32| {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit -n {files}; exec \"$0\" \"$@\"")]);
        shell.arg(env!("CARGO_BIN_EXE_tender"));
        Peer::spawn(&home, shell, &[], &[])
    };
    let says = ["only 64 files", "ulimit -n"];
    limited(64).wait().fails(1, &says);
    assert!(!home.join("data").exists(), "nothing was begun");
    let _peer = limited(1024);
    until("the peer is up", || height(&home).is_some());
}
