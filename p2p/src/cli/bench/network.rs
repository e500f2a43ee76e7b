//! A network for a benchmark: validators as processes of this program on loopback, in a directory that is removed afterwards.

use super::Failure;
use crate::{
    agent::client::Client,
    cli::{
        place::Place,
        start::engine,
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
use tender_circuits::verify::{ENGINE_VARIABLE, Engine};

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
    engine: Engine,
}

impl Drop for Network {
    fn drop(&mut self) {
        self.halt();
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
        let engine = engine()?;
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
            engine,
        };
        for home in &network.net.validators {
            set_listeners(home, listeners)?;
        }
        network.run()?;
        Ok(network)
    }

    /// What verifies proofs at every validator.
    pub(super) fn engine(&self) -> Engine {
        self.engine
    }

    /// Ends every validator, as a power cut would, and keeps aside what is on their disks.
    ///
    /// # Errors
    /// [`Failure`] if it cannot be copied.
    pub(super) fn keep(&mut self) -> Result<(), Failure> {
        self.halt();
        for (data, kept) in self.stores() {
            copy(&data, &kept).map_err(|e| cannot_start(&e))?;
        }
        Ok(())
    }

    /// Starts every validator where [`Network::keep`] ended it, on this engine.
    ///
    /// # Errors
    /// [`Failure`] if one does not start or the others do not find it.
    pub(super) fn resume(&mut self, engine: Engine) -> Result<(), Failure> {
        self.halt();
        for (data, kept) in self.stores() {
            let again = std::fs::remove_dir_all(&data).and_then(|()| copy(&kept, &data));
            again.map_err(|e| cannot_start(&e))?;
        }
        self.engine = engine;
        self.run()?;
        let began = self.client(0)?.status()?.height;
        for client in &self.clients {
            let goes_on = || (client.status().ok()?.height > began).then_some(());
            self.until("the chain goes on", CONNECT_WITHIN, goes_on)?;
        }
        Ok(())
    }

    /// Where each validator's blocks and votes are, and where they are kept aside.
    fn stores(&self) -> Vec<(PathBuf, PathBuf)> {
        let store = |home: &PathBuf| {
            let data = Home::at(home).data();
            let kept = data.with_extension("kept");
            (data, kept)
        };
        self.net.validators.iter().map(store).collect()
    }

    fn halt(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
        }
        for mut process in self.processes.drain(..) {
            let _ = process.wait();
        }
        self.clients.clear();
        for home in &self.net.validators {
            // The system may give an address that is named here to another.
            let _ = std::fs::remove_file(Home::at(home).addresses());
        }
    }

    /// Starts the processes and waits until all are connected.
    fn run(&mut self) -> Result<(), Failure> {
        let program = std::env::current_exe().map_err(|e| cannot_start(&e))?;
        for home in self.net.validators.clone() {
            let process = spawn(&program, &home, self.engine)?;
            self.processes.push(process);
        }
        let others = self.net.validators.len().saturating_sub(1);
        let wanted = u32::try_from(others).unwrap_or(u32::MAX);
        for home in self.net.validators.clone() {
            let client = self.until(
                "a validator is connected to all others",
                CONNECT_WITHIN,
                || {
                    let client = Place::at(&home).client().ok()?;
                    let status = client.status().ok()?;
                    (status.peers >= wanted).then_some(client)
                },
            )?;
            self.clients.push(client);
        }
        Ok(())
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

/// Copies a directory of files.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        std::fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

fn spawn(program: &Path, home: &Path, engine: Engine) -> Result<Child, Failure> {
    let command = Command::new(program)
        .env(ENGINE_VARIABLE, engine.name())
        .args(["start", "--home"])
        .arg(home)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    command.map_err(|e| cannot_start(&e))
}
