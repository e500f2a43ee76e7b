//! The running network of `tender dev`: every peer with its own swarm, store and API, in one process.

use super::{
    cast::{Agent, Cast},
    timeline::{Timeline, Topic},
};
use crate::{
    cli::{
        actor::Actor,
        bidding::random,
        client::Client,
        error::Failure,
        issuing::{self, Request},
        place::{CREDENTIALS, Place},
        prover::Prover,
        start::start_home,
        testnet::Testnet,
    },
    documents::{
        credential::{CredentialFile, hand_over},
        names::Names,
    },
    node::NodeHandle,
};
use std::{
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};
use tender_circuits::EvidenceKind;
use tender_wire::{Height, PublicKey, UnixTime};
use tokio::runtime::Handle;

/// How long peers may take to find each other.
const CONNECT_WITHIN: Duration = Duration::from_secs(30);
/// How long the credentials of the night hold.
const VALID_SECONDS: u64 = 30 * 86_400;

/// Somebody on stage: a signer with its own peer.
pub struct Player {
    /// Its name.
    pub name: String,
    /// Its home.
    pub home: PathBuf,
    /// Its key and peer.
    pub actor: Actor,
    /// Its proving keys.
    pub prover: Prover,
}

/// Everybody on stage.
pub struct Stage {
    /// The running peers, validators first.
    pub peers: Vec<NodeHandle>,
    /// Clients of the validators.
    pub validators: Vec<Client>,
    /// Opens the auction.
    pub opener: Player,
    /// Issuers.
    pub issuers: Vec<Player>,
    /// Agents.
    pub agents: Vec<Player>,
    /// Names of the chain.
    pub names: Names,
}

impl Stage {
    /// Starts every peer of a network and waits until all are connected.
    ///
    /// # Errors
    /// [`Failure`] if a peer does not start or find the others.
    pub fn set(runtime: &Handle, net: &Testnet, timeline: &Timeline) -> Result<Self, Failure> {
        let mut peers = Vec::new();
        for home in net.homes() {
            peers.push(runtime.block_on(start_home(home))?);
        }
        let player = |name: &str, home: &Path| -> Result<Player, Failure> {
            Ok(Player {
                name: name.to_owned(),
                home: home.to_path_buf(),
                actor: Place::at(home).actor()?,
                prover: net.prover(home),
            })
        };
        let players = |homes: &[(String, PathBuf)]| -> Result<Vec<Player>, Failure> {
            homes
                .iter()
                .map(|(name, home)| player(name, home))
                .collect()
        };
        let opener = player("opener", &net.opener)?;
        let (issuers, agents) = (players(&net.issuers)?, players(&net.agents)?);
        let validators = net
            .validators
            .iter()
            .map(|home| Place::at(home).client())
            .collect::<Result<Vec<_>, _>>()?;
        let names = Place::default().names(&opener.actor.client)?;
        let stage = Stage {
            peers,
            validators,
            opener,
            issuers,
            agents,
            names,
        };
        stage.wait_connected()?;
        timeline.say(
            Topic::Network,
            format_args!(
                "{} validators, {} issuers, {} agents and an opener run, each its own peer",
                stage.validators.len(),
                stage.issuers.len(),
                stage.agents.len(),
            ),
        );
        Ok(stage)
    }

    /// Every client.
    pub fn clients(&self) -> impl Iterator<Item = &Client> {
        let players = self
            .issuers
            .iter()
            .chain(&self.agents)
            .chain([&self.opener]);
        self.validators
            .iter()
            .chain(players.map(|p| &p.actor.client))
    }

    /// The agent of that name.
    ///
    /// # Errors
    /// [`Failure`] if there is none.
    pub fn agent(&self, name: &str) -> Result<&Player, Failure> {
        let found = self.agents.iter().find(|p| p.name == name);
        found.ok_or_else(|| {
            Failure::new(
                format!("nobody is called {name}"),
                "see fixtures/machines.json",
            )
        })
    }

    /// What to call a key: a player's name, or the start of the key.
    pub fn name_of(&self, key: &PublicKey) -> String {
        let players = self
            .issuers
            .iter()
            .chain(&self.agents)
            .chain([&self.opener]);
        let mut found = players.filter(|p| p.actor.key.public() == *key);
        found.next().map_or_else(|| key.short(), |p| p.name.clone())
    }

    fn wait_connected(&self) -> Result<(), Failure> {
        let started = Instant::now();
        let wanted = u32::try_from(self.validators.len().saturating_sub(1)).unwrap_or(u32::MAX);
        for client in self.clients() {
            while client.status()?.peers < wanted {
                if started.elapsed() > CONNECT_WITHIN {
                    let what = format!(
                        "{} found fewer than {wanted} peers in {} s",
                        client.url(),
                        CONNECT_WITHIN.as_secs()
                    );
                    return Err(Failure::new(
                        what,
                        "check that loopback connections are allowed here",
                    ));
                }
                sleep(Duration::from_millis(50));
            }
        }
        Ok(())
    }

    /// Waits until every peer has the block of a height.
    ///
    /// # Errors
    /// [`Failure`] if one stays behind.
    pub fn wait_height(&self, height: Height) -> Result<(), Failure> {
        let started = Instant::now();
        for client in self.clients() {
            while client.status()?.height < height {
                if started.elapsed() > CONNECT_WITHIN {
                    return Err(Failure::new(
                        format!("{} is behind height {height}", client.url()),
                        "is this machine overloaded?",
                    ));
                }
                sleep(Duration::from_millis(20));
            }
        }
        Ok(())
    }

    /// Has every machine attested; the files go to the holders' homes.
    ///
    /// # Errors
    /// [`Failure`] from an issuer or its peer.
    pub fn attest(&self, cast: &Cast, now: UnixTime, timeline: &Timeline) -> Result<(), Failure> {
        std::thread::scope(|scope| {
            let work: Vec<_> = self
                .issuers
                .iter()
                .map(|issuer| scope.spawn(move || self.attest_all(issuer, cast, now, timeline)))
                .collect();
            work.into_iter()
                .try_for_each(|handle| handle.join().unwrap_or_else(|_| Err(panicked())))
        })
    }

    fn attest_all<'a>(
        &self,
        issuer: &Player,
        cast: &'a Cast,
        now: UnixTime,
        timeline: &Timeline,
    ) -> Result<(), Failure> {
        let mut asked: Vec<(&'a Agent, EvidenceKind)> = Vec::new();
        for agent in &cast.agents {
            let kinds = [
                (EvidenceKind::Proof, &agent.credentials),
                (EvidenceKind::Attestation, &agent.attestations),
            ];
            let named = kinds
                .iter()
                .filter(|(_, issuers)| issuers.contains(&issuer.name));
            asked.extend(named.map(|(kind, _)| (agent, *kind)));
        }
        let until = UnixTime(now.0.saturating_add(VALID_SECONDS));
        let request = |(agent, kind): &(&'a Agent, EvidenceKind)| {
            let holder = self.agent(&agent.name)?.actor.key.public();
            Ok(Request {
                holder,
                machine: &agent.machine,
                from: now,
                until,
                kind: *kind,
            })
        };
        let requests = asked
            .iter()
            .map(request)
            .collect::<Result<Vec<_>, Failure>>()?;
        let attested = issuing::attest(&issuer.actor, &self.names, &requests)?;
        for ((agent, _), (file, height)) in asked.iter().zip(&attested) {
            let directory = self.agent(&agent.name)?.home.join(CREDENTIALS);
            std::fs::create_dir_all(&directory).map_err(|e| {
                Failure::new(
                    format!("{}: {e}", directory.display()),
                    "check that it is yours",
                )
            })?;
            hand_over(&directory.join(file.file_name()), file, &random()?)?;
            let how = match height {
                Some(height) => format!("credential in block {height}"),
                None => "signed attestation, in plain".into(),
            };
            let about = agent.machine.about.as_deref().unwrap_or("a machine");
            timeline.say(
                Topic::Attest,
                format_args!("{} to {}: {about} ({how})", issuer.name, agent.name),
            );
        }
        Ok(())
    }

    /// What an agent is attested for.
    ///
    /// # Errors
    /// [`Failure`] naming the file that cannot be used.
    pub fn credentials(&self, player: &Player) -> Result<Vec<CredentialFile>, Failure> {
        Place::at(&player.home).credentials(&player.actor)
    }
}

/// A thread ended without its result.
pub fn panicked() -> Failure {
    Failure::new(
        "a thread panicked",
        "please report this with what stands above",
    )
}
