//! A network for a benchmark: validators as processes of this program on loopback, in a directory that is removed afterwards.

use super::Failure;
use crate::{
    agent::client::Client,
    cli::{
        place::Place,
        testnet::{self, Layout, Testnet},
    },
    config::{Home, LISTENERS},
};
use libp2p::Multiaddr;
use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

/// How long processes may take to start and find each other.
const CONNECT_WITHIN: Duration = Duration::from_secs(60);
/// Pause between two looks at a peer.
pub(super) const POLL: Duration = Duration::from_millis(10);

/// Running validators. Dropping it ends the processes and removes the directory.
pub(super) struct Network {
    pub(super) net: Testnet,
    pub(super) clients: Vec<Client>,
    processes: Vec<Child>,
    directory: PathBuf,
}

impl Drop for Network {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
        }
        for process in &mut self.processes {
            let _ = process.wait();
        }
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl Network {
    /// Writes the homes, starts a process for each validator, waits until all are connected.
    ///
    /// # Errors
    /// [`Failure`] if one does not start or the others do not find it.
    pub(super) fn start(validators: u16, block_interval_ms: u64) -> Result<Self, Failure> {
        Network::start_with(validators, block_interval_ms, LISTENERS)
    }

    /// [`Network::start`], with so many listeners of events at each validator.
    pub(super) fn start_with(
        validators: u16,
        block_interval_ms: u64,
        listeners: u16,
    ) -> Result<Self, Failure> {
        let name = format!("tender-bench-{}-{validators}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        let layout = Layout {
            name: "tender bench".into(),
            validators,
            followers: 0,
            issuers: vec!["bench-issuer".into()],
            agents: Vec::new(),
            block_interval_ms,
            log: "error".into(),
        };
        let mut network = Network {
            net: testnet::write(&directory, &layout)?,
            clients: Vec::new(),
            processes: Vec::new(),
            directory,
        };
        for home in &network.net.validators {
            set_listeners(home, listeners)?;
        }
        let program = std::env::current_exe().map_err(|e| cannot_start(&e))?;
        for home in network.net.validators.clone() {
            network.processes.push(spawn(&program, &home)?);
        }
        let wanted = u32::from(validators.saturating_sub(1));
        for home in network.net.validators.clone() {
            let client = network.until(
                "a validator is connected to all others",
                CONNECT_WITHIN,
                || {
                    let client = Place::at(&home).client().ok()?;
                    let status = client.status().ok()?;
                    (status.peers >= wanted).then_some(client)
                },
            )?;
            network.clients.push(client);
        }
        Ok(network)
    }

    /// The validators' processes, by their system's number.
    pub(super) fn pids(&self) -> impl Iterator<Item = u32> {
        self.processes.iter().map(Child::id)
    }

    /// Where the validators listen to peers.
    ///
    /// # Errors
    /// [`Failure`] if one has not said so.
    pub(super) fn addresses(&self) -> Result<Vec<Multiaddr>, Failure> {
        let mut all = Vec::new();
        for home in &self.net.validators {
            let addresses = Home::at(home).read_addresses();
            let addresses = addresses.map_err(|e| Failure::new(e.to_string(), ""))?;
            all.extend(addresses.listen.into_iter().next());
        }
        Ok(all)
    }

    /// The API of a validator, in turns.
    ///
    /// # Errors
    /// [`Failure`] if there is none, which `start` excludes.
    pub(super) fn client(&self, turn: usize) -> Result<&Client, Failure> {
        let mut turns = self.clients.iter().cycle();
        let found = turns.nth(turn.checked_rem(self.clients.len().max(1)).unwrap_or(0));
        found.ok_or_else(|| Failure::new("no validator runs", "please report this"))
    }

    /// Looks again and again until something is there.
    ///
    /// # Errors
    /// [`Failure`] if it does not come in time.
    pub(super) fn until<T>(
        &self,
        what: &str,
        within: Duration,
        mut look: impl FnMut() -> Option<T>,
    ) -> Result<T, Failure> {
        let began = Instant::now();
        loop {
            if let Some(found) = look() {
                return Ok(found);
            }
            if began.elapsed() > within {
                return Err(Failure::new(
                    format!("gave up after {} s waiting until {what}", within.as_secs()),
                    "try fewer --validators or --bids, or a less busy machine",
                ));
            }
            sleep(POLL);
        }
    }
}

fn set_listeners(home: &Path, listeners: u16) -> Result<(), Failure> {
    let told = |what: String| Failure::new(what, "please report this");
    let (home, mut config) = Home::open(home).map_err(|e| told(e.to_string()))?;
    config.api.listeners = listeners;
    std::fs::remove_file(home.config()).map_err(|e| told(e.to_string()))?;
    let written = config.create(&home.config());
    written.map_err(|e| told(e.to_string()))
}

fn cannot_start(error: &std::io::Error) -> Failure {
    Failure::new(
        format!("cannot start a validator: {error}"),
        "see the system's limits: `ulimit -a`",
    )
}

fn spawn(program: &Path, home: &Path) -> Result<Child, Failure> {
    let command = Command::new(program)
        .args(["start", "--home"])
        .arg(home)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    command.map_err(|e| cannot_start(&e))
}
