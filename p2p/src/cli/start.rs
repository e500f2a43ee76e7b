//! `tender start`: one peer, until it is interrupted or halts.

use super::{error::Failure, out};
use crate::{
    api::ServeError,
    config::{Config, Home, Role},
    documents::read_json,
    keystore::{KeyFile, KeyKind},
    logging,
    network::NetworkError,
    node::{Node, NodeConfig, NodeError, NodeHandle, NodeKeys, ValidatorKeys},
    store::{LockError, StoreError},
};
use clap::Args;
use libp2p::{Multiaddr, multiaddr::Protocol};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::path::{Path, PathBuf};
use tender_auction::{genesis::Genesis, seal::SealSeed};
use tender_circuits::verify::{ENGINE_VARIABLE, Engine};
use tokio::signal::unix::{SignalKind, signal};

/// Open files of a busy peer: every connection the network and the API allow, its own files, and room.
const OPEN_FILES: u64 = 512;

#[derive(Debug, Args)]
#[command(
    after_help = "The addresses the peer is bound to are in HOME/addresses.json as soon as it runs. \
    With --port 0 the system chooses the port; the peer then finds the others by the bootstrap addresses of its \
    configuration, and they learn its address from it.\n\n\
    Proofs are verified by the fastest engine this processor can run; TENDER_ENGINE=naive|arkworks|portable|ifma in the environment forces another, \
    with the same verdicts."
)]
pub(super) struct StartArgs {
    /// Home directory, as `tender testnet` or `tender keys new` made it
    #[arg(long, value_name = "DIR", env = "TENDER_HOME")]
    home: PathBuf,
    /// Listen for peers on this port (TCP and UDP) instead of the configured one; 0 takes any free port
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// Serve the API on this port instead of the configured one; 0 takes any free port
    #[arg(long, value_name = "PORT")]
    api_port: Option<u16>,
    /// Another peer to stay connected to, as in its addresses.json; repeat for more
    #[arg(long, value_name = "ADDRESS")]
    bootstrap: Vec<Multiaddr>,
}

/// A peer as its home describes it, ready to start.
///
/// # Errors
/// [`Failure`] naming the file that is missing or wrong; nothing is changed.
pub fn prepare(home: &Path) -> Result<(Config, NodeConfig, NodeKeys), Failure> {
    let (home, config) = Home::open(home).map_err(told)?;
    let path = home.genesis();
    let genesis = genesis_of(&home)?;
    genesis.check().map_err(|e| {
        let next =
            "get the chain's genesis file from somebody you trust; every peer must have the same";
        Failure::new(format!("{}: {e}", path.display()), next)
    })?;
    let load = |kind| KeyFile::load(&home.key(kind), kind).map_err(told);
    let missing = |kind: KeyKind| {
        Failure::new(
            format!("{} holds no {kind} key", home.key(kind).display()),
            "restore it from a backup",
        )
    };
    let network = load(KeyKind::Network)?
        .identity()
        .ok_or_else(|| missing(KeyKind::Network))?;
    let validator = match config.role {
        Role::Follower => None,
        Role::Validator => {
            let mut seed = load(KeyKind::Seal)?
                .seal_seed()
                .ok_or_else(|| missing(KeyKind::Seal))?;
            Some(ValidatorKeys {
                consensus: load(KeyKind::Consensus)?
                    .signing_key()
                    .ok_or_else(|| missing(KeyKind::Consensus))?,
                seal: SealSeed::from_bytes(&mut seed),
            })
        }
    };
    let node = NodeConfig {
        engine: engine()?,
        genesis,
        data: home.data(),
        listen: config.network.listen.clone(),
        bootstrap: config.network.bootstrap.clone(),
        api: Some(config.api.clone()),
        home: Some(home.root().to_path_buf()),
        addresses: Some(home.addresses()),
    };
    Ok((config, node, NodeKeys { network, validator }))
}

/// The engine that verifies proofs: the one [`ENGINE_VARIABLE`] names, else the fastest this processor can run.
///
/// # Errors
/// [`Failure`] if the variable names none, or one this processor cannot run: never another in its place.
pub fn engine() -> Result<Engine, Failure> {
    Engine::chosen().map_err(|error| {
        let value = std::env::var_os(ENGINE_VARIABLE).unwrap_or_default();
        let here = Engine::ALL.into_iter().filter(|it| it.is_available());
        let names: Vec<_> = here.map(Engine::name).collect();
        Failure::usage(
            format!("{ENGINE_VARIABLE}={}: {error}", value.to_string_lossy()),
            format!(
                "unset it, and {} verifies; or set it to one of those this machine can run: {}",
                Engine::fastest().name(),
                names.join(", ")
            ),
        )
    })
}

/// The genesis document of a home.
///
/// # Errors
/// [`Failure`] if it is missing or is none.
pub(super) fn genesis_of(home: &Home) -> Result<Genesis, Failure> {
    let path = home.genesis();
    if path.exists() {
        return Ok(read_json(&path)?);
    }
    Err(Failure::new(
        format!(
            "{} is missing: nothing says which chain this home is of",
            path.display()
        ),
        "copy the chain's genesis file there, from somebody you trust; then `tender start` runs this home's peer",
    ))
}

/// An error of this crate that says what to do by itself.
pub(super) fn told(error: impl std::error::Error) -> Failure {
    Failure::new(error.to_string(), "")
}

/// Starts the peer of a home.
///
/// # Errors
/// [`Failure`] if the home is not acceptable or the peer does not start.
pub async fn start_home(home: &Path) -> Result<NodeHandle, Failure> {
    let (_, node, keys) = prepare(home)?;
    Node::start(node, keys).await.map_err(|e| starting(home, e))
}

fn starting(home: &Path, error: NodeError) -> Failure {
    let shown = home.display();
    let next = match &error {
        NodeError::Store(StoreError::Lock(LockError::InUse { .. })) => format!(
            "`tender status --home {shown}` shows the peer that runs there; stop that process to start another, or name another home"
        ),
        NodeError::Store(StoreError::OtherChain { .. }) => {
            format!(
                "`tender start --home DIR` with a home of its own for each chain; {shown} holds the other chain's blocks"
            )
        }
        NodeError::Network(NetworkError::Listen { .. }) => {
            format!("take any free port: `tender start --home {shown} --port 0`")
        }
        NodeError::Api(ServeError::Bind { .. }) => {
            format!("take any free port: `tender start --home {shown} --api-port 0`")
        }
        _ => "correct what the message names, then `tender start` again".into(),
    };
    Failure::new(format!("{shown}: {error}"), next)
}

/// Raises the limit of open files as far as it goes, and refuses one a peer cannot work with: it would stop in the middle of a height.
fn room_for_files() -> Result<(), Failure> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let most = maximum.unwrap_or(u64::MAX);
    if current.is_none_or(|now| now >= OPEN_FILES) {
        return Ok(());
    }
    let raised = Rlimit {
        current: Some(most.min(OPEN_FILES)),
        maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) if most >= OPEN_FILES => Ok(()),
        _ => Err(Failure::new(
            format!("only {most} files may be open at once, a peer needs {OPEN_FILES}"),
            "raise the limit where it is set (`ulimit -n 1024`, or LimitNOFILE of the service), then start again",
        )),
    }
}

impl StartArgs {
    pub(super) fn run(self) -> Result<(), Failure> {
        room_for_files()?;
        let (config, mut node, keys) = prepare(&self.home)?;
        if let Some(port) = self.port {
            node.listen
                .iter_mut()
                .for_each(|address| *address = with_port(address, port));
        }
        if let (Some(port), Some(api)) = (self.api_port, &mut node.api) {
            api.listen.set_port(port);
        }
        node.bootstrap.extend(self.bootstrap);
        logging::init(&config.log.filter, config.log.format).map_err(told)?;
        let runtime = tokio::runtime::Runtime::new().map_err(|e| {
            Failure::new(
                format!("cannot start threads: {e}"),
                "see the system's limits: `ulimit -a`",
            )
        })?;
        runtime.block_on(async {
            let handle = Node::start(node, keys)
                .await
                .map_err(|e| starting(&self.home, e))?;
            out::say(format_args!(
                "peer {} of chain \"{}\"",
                handle.peer_id(),
                handle.shared().market.genesis().name
            ));
            for address in handle.listen_addresses() {
                out::say(format_args!("  listens on {address}"));
            }
            if let Some(url) = handle.api_url() {
                out::say(format_args!("  API         {url}"));
            }
            let halted = until_stopped(&handle).await?;
            handle.shutdown().await;
            match halted {
                None => Ok(()),
                Some(reason) => Err(Failure::new(
                    format!("the peer halted: {reason}"),
                    "keep the home as it is and see SECURITY.md, \"Halting\"",
                )),
            }
        })
    }
}

/// Waits for SIGINT, SIGTERM or a halt; gives the halt's reason.
async fn until_stopped(handle: &NodeHandle) -> Result<Option<String>, Failure> {
    let fail =
        |e: std::io::Error| Failure::new(format!("cannot wait for signals: {e}"), "try again");
    let mut terminate = signal(SignalKind::terminate()).map_err(fail)?;
    let mut halted = handle.halted();
    tokio::select! {
        _ = tokio::signal::ctrl_c() => Ok(None),
        _ = terminate.recv() => Ok(None),
        reason = halted.wait_for(Option::is_some) => Ok(reason.ok().and_then(|reason| reason.clone())),
    }
}

fn with_port(address: &Multiaddr, port: u16) -> Multiaddr {
    let part = |part| match part {
        Protocol::Tcp(_) => Protocol::Tcp(port),
        Protocol::Udp(_) => Protocol::Udp(port),
        other => other,
    };
    address.iter().map(part).collect()
}
