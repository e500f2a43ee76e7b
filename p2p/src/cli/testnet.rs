//! `tender testnet`: the directories of a new development network, one per peer.
//!
//! ```text
//! DIR/genesis.json            the chain; the only file a stranger needs to verify certificates
//! DIR/validator-0 …           homes: config.toml, genesis.json, keys/
//! DIR/follower-0 …
//! DIR/opener                  opens auctions
//! DIR/issuer-acme-labs …      attest machines
//! DIR/agent-aurora …          bid
//! ```
//!
//! Validators listen on loopback ports that were free when the directories were written, and every home lists them as bootstrap
//! addresses. All other peers, and every API, take any free port; what they got is in their `addresses.json` while they run.

use super::{
    bidding::random,
    error::Failure,
    out,
    place::CREDENTIALS,
    prover::{Prover, dev_setup},
    start::told,
};
use crate::{
    config::{ApiSection, Config, Home, LogSection, NetworkSection, Role},
    documents::{Access, write_json},
    files::create_private_dir,
    keystore::{KeyFile, KeyKind, passphrase::Passphrase},
};
use clap::Args;
use libp2p::{Multiaddr, PeerId, multiaddr::Protocol};
use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    path::{Path, PathBuf},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};
use tender_auction::genesis::{
    Genesis, GenesisValidator, Issuer, MAX_OPEN_BUDGET, Openers, VERSION,
};
use tender_circuits::{CapabilityType, ProvingKey, types};
use tender_consensus::params::{MAX_BLOCK_INTERVAL_MS, Params};
use tender_wire::{Power, PublicKey, TimeMs};

/// Least distance of blocks of a network for people, in milliseconds.
const BLOCK_INTERVAL_MS: u64 = 1000;
/// Leaves an issuer may post in all.
const ISSUER_QUOTA: u32 = 4096;
/// Attempts to find a port free for TCP and UDP alike.
pub(crate) const PORT_ATTEMPTS: usize = 256;
/// Where validators' ports are looked for: below the range that systems give to outgoing connections (32768 and up), so that none of
/// ours takes the port of a peer that is yet to start.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

#[derive(Debug, Args)]
pub(super) struct TestnetArgs {
    /// Where to write the network; must not exist yet, or be empty
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    /// Validators; 4 tolerate one that is dead or lying
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=100))]
    validators: u16,
    /// Peers that follow the chain without voting
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(0..=100))]
    followers: u16,
    /// Names of the issuers
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_values_t = ["acme-labs".to_owned(), "gridtrust".to_owned(), "northbank-audit".to_owned()])]
    issuers: Vec<String>,
    /// Names of the agents
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_values_t = ["aurora".to_owned(), "borealis".to_owned()])]
    agents: Vec<String>,
    /// Least distance of blocks, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = BLOCK_INTERVAL_MS, value_parser = clap::value_parser!(u64).range(1..=MAX_BLOCK_INTERVAL_MS))]
    block_interval_ms: u64,
    /// Print what was written as JSON
    #[arg(long)]
    json: bool,
}

/// What a network consists of.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The chain's name.
    pub name: String,
    /// Number of validators.
    pub validators: u16,
    /// Number of followers.
    pub followers: u16,
    /// Issuers by name.
    pub issuers: Vec<String>,
    /// Agents by name.
    pub agents: Vec<String>,
    /// Least distance of blocks, in milliseconds.
    pub block_interval_ms: u64,
    /// Log filter of every peer.
    pub log: String,
}

/// A network that was written.
#[derive(Debug)]
pub struct Testnet {
    /// The genesis file.
    pub genesis_path: PathBuf,
    /// The chain.
    pub genesis: Genesis,
    /// The proving keys of its types.
    pub proving_keys: Vec<Arc<ProvingKey>>,
    /// Homes of the validators.
    pub validators: Vec<PathBuf>,
    /// Homes of the followers.
    pub followers: Vec<PathBuf>,
    /// Home of the opener.
    pub opener: PathBuf,
    /// Homes of the issuers, by name.
    pub issuers: Vec<(String, PathBuf)>,
    /// Homes of the agents, by name.
    pub agents: Vec<(String, PathBuf)>,
}

impl Testnet {
    /// A home's prover, with the keys of the network's types at hand.
    pub fn prover(&self, home: &Path) -> Prover {
        let keys = self.proving_keys.iter().cloned();
        keys.fold(Prover::in_home(home), Prover::with)
    }

    /// Every home.
    pub fn homes(&self) -> impl Iterator<Item = &PathBuf> {
        let named = self
            .issuers
            .iter()
            .chain(&self.agents)
            .map(|(_, home)| home);
        self.validators
            .iter()
            .chain(&self.followers)
            .chain([&self.opener])
            .chain(named)
    }
}

/// A home while the network is being written.
struct Draft {
    root: PathBuf,
    role: Role,
    port: u16,
    keys: Keys,
}

/// Public keys of a home.
struct Keys {
    peer: PeerId,
    agent: PublicKey,
    consensus: Option<PublicKey>,
}

/// Makes the keys of a home: network and agent, and for a validator consensus and seal.
///
/// # Errors
/// [`Failure`] if one exists already or cannot be written.
pub fn make_keys(home: &Home, role: Role, passphrase: Option<&Passphrase>) -> Result<(), Failure> {
    let kinds: &[KeyKind] = match role {
        Role::Follower => &[KeyKind::Network, KeyKind::Agent],
        Role::Validator => &[
            KeyKind::Network,
            KeyKind::Agent,
            KeyKind::Consensus,
            KeyKind::Seal,
        ],
    };
    if let Some(kind) = kinds.iter().find(|kind| home.key(**kind).exists()) {
        let what = format!(
            "{} exists, and a key is never overwritten",
            home.key(*kind).display()
        );
        return Err(Failure::new(
            what,
            "name another --home, or move the keys away if you mean to replace them",
        ));
    }
    for kind in kinds {
        KeyFile::create(&home.key(*kind), *kind, passphrase).map_err(told)?;
    }
    Ok(())
}

fn read_keys(home: &Home, role: Role) -> Result<Keys, Failure> {
    let load = |kind| KeyFile::load(&home.key(kind), kind).map_err(told);
    let consensus = match role {
        Role::Validator => Some(load(KeyKind::Consensus)?.public()),
        Role::Follower => None,
    };
    let peer = load(KeyKind::Network)?.peer_id();
    Ok(Keys {
        peer: peer
            .ok_or_else(|| Failure::new("the network key has no peer id", "please report this"))?,
        agent: load(KeyKind::Agent)?.public(),
        consensus,
    })
}

/// Writes a network.
///
/// # Errors
/// [`Failure`] if the directory is in use or cannot be written; what was begun is removed.
pub fn write(directory: &Path, layout: &Layout) -> Result<Testnet, Failure> {
    let occupied = std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some());
    if occupied {
        let what = format!("{} is not empty", directory.display());
        return Err(Failure::new(
            what,
            "name a new directory with --output; nothing was changed",
        ));
    }
    let existed = directory.exists();
    let written = write_all(directory, layout);
    if written.is_err() {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        entries.for_each(|entry| {
            let _ = std::fs::remove_dir_all(entry.path())
                .or_else(|_| std::fs::remove_file(entry.path()));
        });
        if !existed {
            let _ = std::fs::remove_dir(directory);
        }
    }
    written
}

fn write_all(directory: &Path, layout: &Layout) -> Result<Testnet, Failure> {
    let numbered = |kind: &str, count: u16| -> Vec<PathBuf> {
        (0..count)
            .map(|i| directory.join(format!("{kind}-{i}")))
            .collect()
    };
    let named = |kind: &str, names: &[String]| -> Vec<(String, PathBuf)> {
        names
            .iter()
            .map(|name| (name.clone(), directory.join(format!("{kind}-{name}"))))
            .collect()
    };
    for name in layout.issuers.iter().chain(&layout.agents) {
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return Err(Failure::usage(
                format!("`{name}` is no name"),
                "use letters, digits and `-`",
            ));
        }
    }
    let (validators, followers) = (
        numbered("validator", layout.validators),
        numbered("follower", layout.followers),
    );
    let opener = directory.join("opener");
    let (issuers, agents) = (
        named("issuer", &layout.issuers),
        named("agent", &layout.agents),
    );

    let (proving_keys, types) = dev_setups()?;
    let (mut drafts, mut ports) = (Vec::new(), BTreeSet::new());
    for root in &validators {
        drafts.push(draft(root, Role::Validator, free_port(&mut ports)?)?);
    }
    let bootstrap: Vec<_> = drafts
        .iter()
        .map(|d| address(d.port).with(Protocol::P2p(d.keys.peer)))
        .collect();
    let named_homes = issuers.iter().chain(&agents).map(|(_, home)| home);
    for root in followers.iter().chain([&opener]).chain(named_homes) {
        drafts.push(draft(root, Role::Follower, 0)?);
    }
    let genesis = genesis(layout, &drafts, &issuers, types)?;
    let genesis_path = directory.join("genesis.json");
    write_json(&genesis_path, &genesis, Access::Public)?;
    for it in &drafts {
        let own = it.keys.peer;
        let others = bootstrap
            .iter()
            .filter(|a| a.iter().last() != Some(Protocol::P2p(own)))
            .cloned();
        let config = config(it, others.collect(), &layout.log);
        let home = Home::at(&it.root);
        config.create(&home.config()).map_err(told)?;
        write_json(&home.genesis(), &genesis, Access::Public)?;
    }
    for (_, home) in &agents {
        // Where issuers' files go.
        let credentials = home.join(CREDENTIALS);
        create_private_dir(&credentials).map_err(|e| {
            let what = format!("{}: cannot be made: {e}", credentials.display());
            Failure::new(what, "check that there is room on the disk")
        })?;
    }
    Ok(Testnet {
        genesis_path,
        genesis,
        proving_keys,
        validators,
        followers,
        opener,
        issuers,
        agents,
    })
}

/// The development setups of every built-in circuit, one thread each; records in the order of genesis.
fn dev_setups() -> Result<(Vec<Arc<ProvingKey>>, Vec<CapabilityType>), Failure> {
    let made = std::thread::scope(|scope| {
        let work: Vec<_> = types::all()
            .into_iter()
            .map(|circuit| scope.spawn(|| dev_setup(circuit)))
            .collect();
        work.into_iter()
            .map(|thread| {
                let ended = || Failure::new("a setup's thread panicked", "please report this");
                thread.join().unwrap_or_else(|_| Err(ended()))
            })
            .collect::<Result<Vec<_>, _>>()
    })?;
    let (keys, mut records): (Vec<_>, Vec<_>) = made
        .into_iter()
        .map(|(key, record)| (Arc::new(key), record))
        .unzip();
    records.sort_by_key(|record| (record.name.clone(), record.version));
    Ok((keys, records))
}

fn draft(root: &Path, role: Role, port: u16) -> Result<Draft, Failure> {
    let home = Home::at(root);
    make_keys(&home, role, None)?;
    Ok(Draft {
        root: root.to_path_buf(),
        role,
        port,
        keys: read_keys(&home, role)?,
    })
}

fn config(draft: &Draft, bootstrap: Vec<Multiaddr>, log: &str) -> Config {
    let quic = Multiaddr::from(Ipv4Addr::LOCALHOST)
        .with(Protocol::Udp(draft.port))
        .with(Protocol::QuicV1);
    Config {
        role: draft.role,
        network: NetworkSection {
            listen: vec![address(draft.port), quic],
            bootstrap,
        },
        api: ApiSection {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            ..ApiSection::default()
        },
        log: LogSection {
            filter: log.to_owned(),
            ..LogSection::default()
        },
        ..Config::default()
    }
}

fn address(port: u16) -> Multiaddr {
    Multiaddr::from(Ipv4Addr::LOCALHOST).with(Protocol::Tcp(port))
}

/// A loopback port below the range the system gives to outgoing connections, free for TCP and UDP at this moment, and not yet taken
/// by this network.
fn free_port(taken: &mut BTreeSet<u16>) -> Result<u16, Failure> {
    let is_free = |port| {
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
            && UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
    };
    try_ports(|port| is_free(port) && taken.insert(port))
}

/// Some port that will do.
fn try_ports(mut will_do: impl FnMut(u16) -> bool) -> Result<u16, Failure> {
    for _ in 0..PORT_ATTEMPTS {
        let [a, b, ..] = random()?;
        let offset = u16::from_be_bytes([a, b]).checked_rem(PORTS.end.saturating_sub(PORTS.start));
        let port = PORTS.start.saturating_add(offset.unwrap_or(0));
        if will_do(port) {
            return Ok(port);
        }
    }
    Err(Failure::new(
        format!("found no free loopback port in {PORTS:?}"),
        "close some programs and try again",
    ))
}

fn genesis(
    layout: &Layout,
    drafts: &[Draft],
    issuers: &[(String, PathBuf)],
    types: Vec<CapabilityType>,
) -> Result<Genesis, Failure> {
    let mut validators: Vec<_> = drafts
        .iter()
        .filter_map(|it| {
            let name = it.root.file_name()?.to_string_lossy().into_owned();
            Some(GenesisValidator {
                name,
                key: it.keys.consensus?,
                power: Power(1),
            })
        })
        .collect();
    validators.sort_by_key(|v| v.key);
    let issuer = |(name, home): &(String, PathBuf)| {
        let draft = drafts.iter().find(|d| d.root == *home);
        draft.map(|d| Issuer {
            name: name.clone(),
            key: d.keys.agent,
            quota: ISSUER_QUOTA,
        })
    };
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_millis());
    let genesis = Genesis {
        version: VERSION,
        name: layout.name.clone(),
        time: TimeMs(u64::try_from(now).unwrap_or(0)),
        consensus: Params {
            block_interval_ms: layout.block_interval_ms,
            ..Params::default()
        },
        allow_insecure_setup: true,
        validators,
        issuers: issuers.iter().filter_map(issuer).collect(),
        openers: Openers::Any,
        types,
        open_budget: MAX_OPEN_BUDGET,
    };
    genesis.check().map_err(|e| {
        Failure::usage(
            format!("genesis: {e}"),
            "choose other numbers; nothing was kept",
        )
    })?;
    Ok(genesis)
}

impl TestnetArgs {
    pub(super) fn run(self) -> Result<(), Failure> {
        let layout = Layout {
            name: "testnet".into(),
            validators: self.validators,
            followers: self.followers,
            issuers: self.issuers,
            agents: self.agents,
            block_interval_ms: self.block_interval_ms,
            log: crate::logging::DEFAULT_FILTER.into(),
        };
        let net = write(&self.output, &layout)?;
        if self.json {
            return out::json(&serde_json::json!({
                "genesis": net.genesis_path,
                "chain": net.genesis.chain_id(),
                "validators": net.validators,
                "followers": net.followers,
                "opener": net.opener,
                "issuers": net.issuers,
                "agents": net.agents,
            }));
        }
        out::say(format_args!(
            "chain \"{}\" ({})",
            net.genesis.name,
            net.genesis.chain_id().short()
        ));
        out::say(
            "  for development: the proving keys come from a published seed, so proofs can be forged",
        );
        for home in net.homes() {
            out::say(format_args!("  {}", home.display()));
        }
        out::say(format_args!(
            "  next: run each peer in its own terminal, `tender start --home {}` and so on",
            net.validators
                .first()
                .map_or_else(String::new, |h| h.display().to_string())
        ));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_ports_are_tried_and_then_it_is_said_that_none_is_free() {
        for free in 1..=PORT_ATTEMPTS + 1 {
            let mut tried = 0;
            let found = try_ports(|port| {
                assert!(PORTS.contains(&port));
                tried += 1;
                tried == free
            });
            assert_eq!(found.is_ok(), free <= PORT_ATTEMPTS);
            assert_eq!(tried, free.min(PORT_ATTEMPTS));
        }
        let mut all: BTreeSet<u16> = PORTS.collect();
        let said = free_port(&mut all).unwrap_err().to_string();
        assert!(said.contains("no free loopback port"), "{said}");
    }
}
