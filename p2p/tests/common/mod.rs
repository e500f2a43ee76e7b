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
pub mod python;

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

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

/// A peer process; killed when dropped.
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
        let _ = std::fs::remove_file(home.join("addresses.json"));
        let log = std::fs::File::create(home.join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_tender"))
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
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Waits until something is so.
pub fn until(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(
            started.elapsed() < Duration::from_secs(120),
            "timed out waiting until {what}"
        );
        sleep(Duration::from_millis(100));
    }
}
