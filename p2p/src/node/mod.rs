//! One peer: network, disk, mempool, consensus and API, wired together.
//!
//! ```text
//!            ┌──────────── courier (async) ────────────┐
//!  network ◀─┤ gossip, questions          verdicts, asks ├─▶ network
//!            └───┬──────────────┬───────────────▲──────┘
//!        transactions      votes, answers       │ Outgoing
//!                ▼              ▼               │
//!           admission ──Work─▶ consensus thread ┤        disk: vote log, blocks
//!            (threads)         (engine, keeper) ├──────▶ durable chain ──▶ API, events
//!                ▲                              ▼
//!                └──── pool thread: duties, judging the pool again · openings thread
//! ```
//!
//! Invariants: nothing blocks an async thread (proofs, execution and the disk have threads of their own); the consensus thread waits for
//! nobody but the disk and the courier, the courier for nobody but the network, the network for nobody: no cycle, no deadlock. Every queue
//! is bounded; what it does when full stands beside it.
//!
//! A [`NodeHandle`] is one running peer. Many can run in one process.

pub(crate) mod admission;
pub mod archive;
#[cfg(test)]
mod bytes;
pub(crate) mod courier;
pub(crate) mod driver;
mod events;
mod follow;
pub(crate) mod handle;
pub(crate) mod hearing;
mod keeper;
pub(crate) mod patience;
pub(crate) mod peers;
pub(crate) mod predict;
pub(crate) mod recover;
pub(crate) mod shared;
pub(crate) mod status;
mod turns;

pub use archive::{Archive, ArchiveError, Known, Opened, Placed};
pub use events::{ended_as, phase_of};
pub use handle::{NodeHandle, Submitter};
pub use patience::Client;
pub use recover::RecoverError;
pub use shared::{Chain, Shared};

use crate::{
    api,
    config::ApiSection,
    metrics::Metrics,
    network::{Network, NetworkConfig, NetworkError},
    store::{
        Store, StoreError,
        points::{self, Point},
        wal::WAL_FILE,
    },
};
use admission::Admission;
use courier::Courier;
pub(crate) use driver::wall_clock;
use driver::{Driver, Jobs};
use follow::{Alarm, Member};
use hearing::Hearing;
use keeper::Keeper;
use libp2p::{Multiaddr, identity::Keypair};
use std::{io, path::PathBuf, sync::Arc};
use tender_auction::{
    genesis::{Genesis, GenesisError},
    market::{Market, RememberingVerifier},
    seal::SealSeed,
};
use tender_circuits::verify;
use tender_consensus::{
    engine::{Engine, HaltReason},
    signer::Signer,
};
use tender_wire::{PublicKey, SecretKey};
use tokio::{
    sync::{mpsc, watch},
    task::{JoinSet, spawn_blocking},
};

/// Messages on their way to the network.
pub(crate) const OUTGOING_QUEUE: usize = 1024;

/// Where a peer keeps its things and whom it talks to.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// The chain.
    pub genesis: Genesis,
    /// Blocks and vote log; created if missing, locked while the peer runs.
    pub data: PathBuf,
    /// Where to listen for peers; port 0 takes any free port.
    pub listen: Vec<Multiaddr>,
    /// Peers to stay connected to.
    pub bootstrap: Vec<Multiaddr>,
    /// The HTTP API, if it is to be served.
    pub api: Option<ApiSection>,
    /// The home whose token the API obeys, and whose agent key it signs with, if there is one; `None` where it does neither.
    pub home: Option<PathBuf>,
    /// Where to write the bound addresses ([`crate::config::Addresses`]), if anywhere.
    pub addresses: Option<PathBuf>,
    /// What verifies proofs. Verdicts do not depend on it.
    pub engine: verify::Engine,
}

/// Who a peer is.
pub struct NodeKeys {
    /// Its libp2p identity.
    pub network: Keypair,
    /// What makes it a validator.
    pub validator: Option<ValidatorKeys>,
}

/// A validator's secrets.
pub struct ValidatorKeys {
    /// Signs proposals, votes and seal keys.
    pub consensus: SecretKey,
    /// What its one-time seal keys derive from.
    pub seal: SealSeed,
}

/// Why a peer does not start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The genesis document breaks a rule.
    #[error("genesis: {0}")]
    Genesis(#[from] GenesisError),
    /// The store does not open.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is on disk cannot be continued.
    #[error(transparent)]
    Recover(#[from] RecoverError),
    /// The network does not start.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// Store and vote log contradict each other.
    #[error("consensus refuses to start: {0}")]
    Halt(#[from] HaltReason),
    /// The API does not start.
    #[error(transparent)]
    Api(#[from] api::ServeError),
    /// The system refused.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was tried.
        action: String,
        /// The system's reason.
        source: io::Error,
    },
}

/// Starts peers.
#[derive(Debug)]
pub struct Node;

impl Node {
    /// Starts a peer: recovers what is on disk, listens, and takes part. When this returns, every address is bound and
    /// `addresses` is written.
    ///
    /// # Errors
    /// [`NodeError`]; nothing then keeps running.
    pub async fn start(config: NodeConfig, keys: NodeKeys) -> Result<NodeHandle, NodeError> {
        let NodeConfig {
            genesis,
            data,
            listen,
            bootstrap,
            api,
            home,
            addresses,
            engine,
        } = config;
        let chain_id = genesis.chain_id();
        let voting = keys.validator.as_ref().map(|keys| keys.consensus.public());
        let recovered = spawn_blocking(move || recover(genesis, data, voting, engine)).await;
        let recovered = recovered.map_err(|e| io_error("read the data directory", e.into()))??;
        let Recovered {
            market,
            archive,
            chain,
            certificate,
            log,
            has_voted,
        } = recovered;
        tracing::info!(chain = %chain_id, height = chain.height.0, engine = engine.name(), "recovered; this engine verifies proofs");
        points::pass(Point::Recovered);

        let metrics = Metrics::new();
        metrics.set_engine(engine);
        let network = NetworkConfig {
            chain: chain_id,
            listen,
            bootstrap,
            metrics: metrics.clone(),
        };
        let (network, network_events) = Network::start(network, &keys.network).await?;
        let stop_network = network.clone();

        let (signer, member) = keys.validator.map(split).unzip();
        let public = signer.as_deref().map(|signer: &dyn Signer| signer.public());
        let shared = Shared::new(market, archive, metrics, network, public, chain, engine);
        let (log_file, records) = log.unzip();
        let parts = Parts {
            shared: Arc::new(shared),
            log: log_file,
            has_voted,
            records: records.unwrap_or_default(),
            certificate,
            signer,
            member,
        };
        let started = parts.start(network_events);
        let mut handle = match started {
            Ok(handle) => handle,
            Err(error) => {
                stop_network.shutdown().await;
                return Err(error);
            }
        };
        if let Err(error) = handle.open_doors(api, home, addresses).await {
            handle.shutdown().await;
            return Err(error);
        }
        Ok(handle)
    }
}

struct Recovered {
    market: Arc<Market>,
    archive: Archive,
    chain: Chain,
    certificate: Option<tender_consensus::certificate::CommitCertificate>,
    log: Option<(
        crate::store::wal::WalFile,
        Vec<tender_consensus::wal::WalRecord>,
    )>,
    has_voted: bool,
}

fn recover(
    genesis: Genesis,
    data: PathBuf,
    voting: Option<PublicKey>,
    engine: verify::Engine,
) -> Result<Recovered, NodeError> {
    let chain_id = genesis.chain_id();
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)
        .map_err(|e| io_error("draw random bytes", io::Error::other(e.to_string())))?;
    let verifier = Arc::new(RememberingVerifier::new(engine, secret));
    let market = Arc::new(Market::with_verifier(genesis, verifier)?);
    let archive = Archive::new(Store::open(&data, chain_id)?);
    let stored = recover::chain(&market, &archive, voting)?;
    let path = data.join(WAL_FILE);
    let log = voting.map(|key| recover::vote_log(&path, &archive, &stored, key));
    let log = log.transpose()?;
    let has_voted = archive.voter().map_err(RecoverError::from)?.is_some();
    Ok(Recovered {
        market,
        archive,
        chain: stored.chain,
        certificate: stored.certificate,
        log,
        has_voted,
    })
}

/// One key for the engine to sign with, one for the seal duties: no key is shared between threads.
fn split(keys: ValidatorKeys) -> (Box<dyn Signer>, Member) {
    let ValidatorKeys { consensus, seal } = keys;
    let mut seed = *consensus.to_seed();
    let signer = SecretKey::from_seed(&mut seed);
    (
        Box::new(signer),
        Member {
            key: consensus,
            seed: seal,
        },
    )
}

/// Everything needed to start the threads.
struct Parts {
    shared: Arc<Shared>,
    log: Option<crate::store::wal::WalFile>,
    has_voted: bool,
    records: Vec<tender_consensus::wal::WalRecord>,
    certificate: Option<tender_consensus::certificate::CommitCertificate>,
    signer: Option<Box<dyn Signer>>,
    member: Option<Member>,
}

impl Parts {
    fn start(
        self,
        network_events: mpsc::Receiver<crate::network::NetworkEvent>,
    ) -> Result<NodeHandle, NodeError> {
        let shared = self.shared;
        let (engine, effects) = Engine::start(
            Arc::clone(&shared.market),
            (*shared.chain()).clone(),
            self.certificate,
            self.signer,
            Arc::clone(&shared.mempool) as Arc<dyn tender_consensus::engine::TxPool>,
            self.records,
            wall_clock(),
        )?;
        let (jobs, job_queue) = Jobs::new();
        let (out, outgoing) = mpsc::channel(OUTGOING_QUEUE);
        let admission = Arc::new(Admission::new(
            Arc::clone(&shared),
            jobs.clone(),
            out.clone(),
        ));
        let (wake_pool, pool_wake) = follow::wake_line();
        let (wake_opener, opening_wake) = follow::wake_line();
        // A restart may owe duties: look once without waiting for a block.
        let _ = wake_pool.try_send(());
        let followers = vec![wake_pool, wake_opener];
        let keeper = Keeper::new(
            Arc::clone(&shared),
            self.log,
            self.has_voted,
            followers,
            out.clone(),
        );
        let hearing = Hearing::after_restart(&shared, self.has_voted);
        let driver = Driver::new(engine, keeper, hearing, &jobs, out.clone());

        let spawn_error = |source| NodeError::Io {
            action: "start a thread".into(),
            source,
        };
        let stop = watch::Sender::new(false);
        let alarm = |part| Alarm {
            part,
            shared: Arc::clone(&shared),
            stop: stop.subscribe(),
        };
        let mut threads = Vec::new();
        let consensus = follow::spawn(alarm("tender-consensus"), move || {
            driver.run(effects, &job_queue)
        });
        threads.push(consensus.map_err(spawn_error)?);
        for _ in 0..admission::JUDGES {
            let judge = Arc::clone(&admission);
            let judge = follow::spawn(alarm("tender-admission"), move || judge.run());
            threads.push(judge.map_err(spawn_error)?);
        }
        let wakes = (pool_wake, opening_wake);
        threads.extend(
            follow::start(&shared, &admission, &jobs, self.member, wakes, alarm)
                .map_err(spawn_error)?,
        );

        let courier = Courier::new(Arc::clone(&shared), Arc::clone(&admission), jobs.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(watched(
            alarm("the network"),
            courier.clone().incoming(network_events),
        ));
        tasks.spawn(watched(
            alarm("the way to the network"),
            courier.clone().outgoing(outgoing),
        ));
        tasks.spawn(watched(alarm("upkeep"), courier.upkeep(out)));
        Ok(NodeHandle {
            shared,
            admission,
            jobs,
            threads,
            tasks,
            api: None,
            stop,
        })
    }
}

/// A task with its alarm.
async fn watched(alarm: Alarm, work: impl Future<Output = ()>) {
    let _alarm = alarm;
    work.await;
}

fn io_error(action: &str, source: io::Error) -> NodeError {
    NodeError::Io {
        action: action.to_owned(),
        source,
    }
}
