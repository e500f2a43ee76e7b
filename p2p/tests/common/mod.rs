//! Running `tender` as people do: a process with arguments, an exit code and two streams.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

pub mod net;
pub mod page;
pub mod python;

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};
use tender_p2p::cli::place::Place;
use tender_wire::Height;

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Standard output of a command that must succeed.
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "stdout: {}\nstderr: {}", self.out, self.err);
        self.out
    }

    /// Standard output as JSON.
    pub fn json(self) -> serde_json::Value {
        serde_json::from_str(&self.ok()).unwrap()
    }

    /// Standard error of a command that must fail with this exit code and say all this.
    pub fn fails(self, code: i32, says: &[&str]) -> String {
        assert_eq!(
            self.code, code,
            "stdout: {}\nstderr: {}",
            self.out, self.err
        );
        for part in says {
            assert!(
                self.err.contains(part),
                "`{part}` is missing in: {}",
                self.err
            );
        }
        self.err
    }
}

/// Runs `tender`.
pub fn tender<I: IntoIterator<Item = S>, S: AsRef<std::ffi::OsStr>>(args: I) -> Ran {
    ran(Command::new(env!("CARGO_BIN_EXE_tender"))
        .args(args)
        .env_remove("TENDER_HOME"))
}

/// Runs a command to its end.
pub fn ran(command: &mut Command) -> Ran {
    let done = command.output().unwrap();
    Ran {
        code: done.status.code().unwrap_or(-1),
        out: String::from_utf8(done.stdout).unwrap(),
        err: String::from_utf8(done.stderr).unwrap(),
    }
}

/// Runs `tender` with words separated by spaces.
pub fn run(line: &str) -> Ran {
    tender(line.split_whitespace())
}

/// A peer process. Dropped while it runs, it is killed, and what it stored is audited.
pub struct Peer {
    pub home: PathBuf,
    child: Option<Child>,
}

impl Peer {
    pub fn start(home: &Path) -> Peer {
        Peer::start_with(home, &[])
    }

    pub fn start_with(home: &Path, flags: &[&str]) -> Peer {
        Peer::start_with_env(home, flags, &[])
    }

    pub fn start_with_env(home: &Path, flags: &[&str], env: &[(&str, &str)]) -> Peer {
        let tender = Command::new(env!("CARGO_BIN_EXE_tender"));
        Peer::spawn(home, tender, flags, env)
    }

    /// Starts a peer by a command to which `start --home …` is added.
    pub fn spawn(home: &Path, mut by: Command, flags: &[&str], env: &[(&str, &str)]) -> Peer {
        let _ = std::fs::remove_file(home.join("addresses.json"));
        let log = std::fs::File::create(home.join("log")).unwrap();
        let child = by
            .args(["start", "--home"])
            .arg(home)
            .args(flags)
            .envs(env.iter().copied())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Peer {
            home: home.to_path_buf(),
            child: Some(child),
        }
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Sends a signal, as `STOP` and `CONT`: a peer that is there and does nothing, and goes on.
    pub fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success());
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.as_mut()?.try_wait().unwrap()?;
        self.child = None;
        Some(status)
    }

    /// Waits until it ends by itself: its exit code (-1 for a signal) and what it said.
    pub fn wait(&mut self) -> Ran {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.ended() {
                break status;
            }
            if started.elapsed() > Duration::from_secs(120) {
                let log = self.log();
                let last: Vec<_> = log.lines().rev().take(9).collect();
                panic!("still running: {last:#?}");
            }
            sleep(Duration::from_millis(50));
        };
        Ran {
            code: status.code().unwrap_or(-1),
            out: String::new(),
            err: self.log(),
        }
    }

    /// What it said since it was started.
    pub fn log(&self) -> String {
        let log = std::fs::read(self.home.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let running = self.child.is_some();
        self.kill();
        if running && !std::thread::panicking() {
            audit(&self.home);
        }
    }
}

/// Executes a stopped peer's whole history again, by the program that was built for this test: every root must come out as it was committed.
pub fn audit(home: &Path) {
    let genesis = home.join("genesis.json");
    if !genesis.exists() || !home.join("data/blocks.redb").exists() {
        return;
    }
    // Another peer may have its ports by now.
    let _ = std::fs::remove_file(home.join("addresses.json"));
    let (genesis, home) = (genesis.as_os_str(), home.as_os_str());
    let args = ["audit".as_ref(), "--genesis".as_ref(), genesis];
    let audited = tender(args.into_iter().chain(["--home".as_ref(), home]));
    let none = audited.err.contains("there is no block to audit");
    assert!(audited.code == 0 || none, "{}", audited.err);
}

/// Validators who make blocks all the time: the homes of a new network, for `dir/net`, not started.
pub fn validators(dir: &Path, count: usize) -> Vec<PathBuf> {
    let net = dir.join("net");
    let count = count.to_string();
    let fixed = ["testnet", "--followers", "0", "--block-interval-ms", "50"];
    let rest = ["--json", "--validators", &count, "--output"];
    let args = fixed.into_iter().chain(rest).chain(net.to_str());
    let written = tender(args).json();
    serde_json::from_value(written["validators"].clone()).unwrap()
}

/// Opens an auction that takes bids for an hour: as long as it is open there is a block to make.
pub fn keep_busy(validator: &Path) {
    busy(validator).ok();
}

/// [`keep_busy`] at a peer that may not live to see it.
pub fn busy(validator: &Path) -> Ran {
    let opener = validator.with_file_name("opener");
    let file = opener.join("busy.json");
    let needs = serde_json::json!({ "cpu_milli": 1000 });
    let auction = serde_json::json!({
        "title": "busy", "bidding_seconds": 3600, "lease_seconds": 60,
        "classes": { "any": { "requires": [{ "type": "resources/v1", "needs": needs }] } },
        "tasks": [{ "name": "task", "class": "any", "reserve": 1 }],
    });
    std::fs::write(&file, auction.to_string()).unwrap();
    let api = Place::at(validator).client().unwrap();
    let args = ["auction", "open", file.to_str().unwrap(), "--home"];
    let rest = [opener.to_str().unwrap(), "--api", api.url()];
    tender(args.into_iter().chain(rest))
}

/// The height of a running peer, if it answers.
pub fn height(home: &Path) -> Option<Height> {
    let client = Place::at(home).client().ok()?;
    Some(client.status().ok()?.height)
}

/// Waits until something is so.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(
            started.elapsed() < Duration::from_secs(120),
            "timed out waiting until {what}"
        );
        sleep(Duration::from_millis(100));
    }
}
