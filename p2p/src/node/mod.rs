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

mod admission;
pub mod archive;
mod courier;
mod driver;
mod events;
mod follow;
mod keeper;
mod peers;
mod recover;
mod shared;
mod status;
mod turns;

pub use archive::{Archive, ArchiveError, Known, Opened, Placed};
pub use events::{ended_as, phase_of};
pub use recover::RecoverError;
pub use shared::{Chain, Shared};

use crate::{
    api::{self, types::Event},
    config::{Addresses, ApiSection},
    files,
    mempool::Refused,
    metrics::Metrics,
    network::{Network, NetworkConfig, NetworkError},
    store::{Store, StoreError, wal::WAL_FILE},
};
use admission::{Admission, Origin};
use courier::Courier;
use driver::{Driver, Jobs, wall_clock};
use follow::Member;
use keeper::Keeper;
use libp2p::{Multiaddr, PeerId, identity::Keypair};
use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, thread::JoinHandle, time::Duration};
use tender_auction::{
    genesis::{Genesis, GenesisError},
    market::Market,
    seal::SealSeed,
};
use tender_consensus::{
    engine::{Engine, HaltReason},
    signer::Signer,
    tx::TxBytes,
};
use tender_wire::{SecretKey, TxHash};
use tokio::{
    sync::{broadcast, mpsc, oneshot, watch},
    task::{self, JoinSet, spawn_blocking},
    time::timeout,
};

/// Messages on their way to the network.
const OUTGOING_QUEUE: usize = 1024;
/// Time given to API answers under way when the peer stops.
const API_GRACE: Duration = Duration::from_secs(2);

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
    /// Where to write the bound addresses ([`Addresses`]), if anywhere.
    pub addresses: Option<PathBuf>,
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
            addresses,
        } = config;
        let chain_id = genesis.chain_id();
        let voting = keys.validator.is_some();
        let recovered = spawn_blocking(move || recover(genesis, data, voting)).await;
        let recovered = recovered.map_err(|e| io_error("read the data directory", e.into()))??;
        let Recovered {
            market,
            archive,
            chain,
            certificate,
            log,
        } = recovered;
        tracing::info!(chain = %chain_id, height = chain.height.0, "recovered");

        let metrics = Metrics::new();
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
        let shared = Shared::new(market, archive, metrics, network, public, chain);
        let (log_file, records) = log.unzip();
        let parts = Parts {
            shared: Arc::new(shared),
            log: log_file,
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
        if let Err(error) = handle.open_doors(api, addresses).await {
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
}

fn recover(genesis: Genesis, data: PathBuf, voting: bool) -> Result<Recovered, NodeError> {
    let chain_id = genesis.chain_id();
    let market = Arc::new(Market::new(genesis)?);
    let archive = Archive::new(Store::open(&data, chain_id)?);
    let (chain, certificate) = recover::chain(&market, &archive)?;
    let log = voting.then(|| recover::vote_log(&data.join(WAL_FILE), chain.height));
    let log = log.transpose()?;
    Ok(Recovered {
        market,
        archive,
        chain,
        certificate,
        log,
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
        let keeper = Keeper::new(Arc::clone(&shared), self.log, followers, out.clone());
        let driver = Driver::new(engine, keeper, &jobs, out.clone());

        let spawn_error = |source| NodeError::Io {
            action: "start a thread".into(),
            source,
        };
        let mut threads = Vec::new();
        let consensus = follow::spawn("tender-consensus", move || driver.run(effects, &job_queue));
        threads.push(consensus.map_err(spawn_error)?);
        let judge = Arc::clone(&admission);
        threads.push(follow::spawn("tender-admission", move || judge.run()).map_err(spawn_error)?);
        let wakes = (pool_wake, opening_wake);
        threads.extend(
            follow::start(&shared, &admission, &jobs, self.member, wakes).map_err(spawn_error)?,
        );

        let courier = Courier::new(Arc::clone(&shared), Arc::clone(&admission), jobs.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(courier.clone().incoming(network_events));
        tasks.spawn(courier.clone().outgoing(outgoing));
        tasks.spawn(courier.upkeep(out));
        let stop = watch::Sender::new(false);
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

/// A running peer. Dropping it stops it soon; [`NodeHandle::shutdown`] waits until its files are free.
pub struct NodeHandle {
    shared: Arc<Shared>,
    admission: Arc<Admission>,
    jobs: Jobs,
    threads: Vec<JoinHandle<()>>,
    tasks: JoinSet<()>,
    api: Option<(SocketAddr, task::JoinHandle<()>)>,
    stop: watch::Sender<bool>,
}

impl NodeHandle {
    /// What the peer knows.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The chain as last committed.
    pub fn chain(&self) -> Arc<Chain> {
        self.shared.chain()
    }

    /// Tells of every committed block.
    pub fn watch_chain(&self) -> watch::Receiver<Arc<Chain>> {
        self.shared.watch_chain()
    }

    /// Blocks, phases and refusals from now on; a listener more than a thousand events behind misses some.
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.shared.subscribe()
    }

    /// Why the peer stopped for good, once it has. A process of one peer exits with a failure then.
    pub fn halted(&self) -> watch::Receiver<Option<String>> {
        self.shared.halted()
    }

    /// Its libp2p id.
    pub fn peer_id(&self) -> PeerId {
        self.shared.network.local_peer()
    }

    /// Its peer-to-peer addresses with real ports and `/p2p/<id>`.
    pub fn listen_addresses(&self) -> Vec<Multiaddr> {
        self.shared.network.listen_addresses()
    }

    /// Base URL of its API.
    pub fn api_url(&self) -> Option<String> {
        self.api
            .as_ref()
            .map(|(address, _)| format!("http://{address}"))
    }

    /// Submits a transaction; answers when this peer has judged it.
    ///
    /// # Errors
    /// Why it does not apply here and now.
    pub async fn submit(&self, transaction: Vec<u8>) -> Result<TxHash, Refused> {
        Submitter {
            admission: Arc::clone(&self.admission),
        }
        .submit(transaction)
        .await
    }

    /// Stops the peer and waits until its threads have ended and its directory is free.
    pub async fn shutdown(mut self) {
        self.begin_stop();
        if let Some((_, server)) = self.api.take() {
            let abort = server.abort_handle();
            if timeout(API_GRACE, server).await.is_err() {
                abort.abort();
            }
        }
        self.shared.network.shutdown().await;
        self.tasks.shutdown().await;
        let threads = std::mem::take(&mut self.threads);
        let joined =
            spawn_blocking(move || threads.into_iter().map(JoinHandle::join).all(|r| r.is_ok()));
        if !joined.await.unwrap_or(false) {
            tracing::error!("a thread of this peer panicked");
        }
    }

    async fn open_doors(
        &mut self,
        api: Option<ApiSection>,
        addresses: Option<PathBuf>,
    ) -> Result<(), NodeError> {
        if let Some(config) = api {
            let submitter = Submitter {
                admission: Arc::clone(&self.admission),
            };
            let stop = self.stop.subscribe();
            self.api = Some(api::serve(config, Arc::clone(&self.shared), submitter, stop).await?);
        }
        if let Some(path) = addresses {
            let addresses = Addresses {
                peer_id: self.peer_id(),
                listen: self.listen_addresses(),
                api: self.api_url(),
            };
            let text = serde_json::to_vec_pretty(&addresses).map_err(io::Error::from);
            text.and_then(|text| files::replace(&path, &text))
                .map_err(|e| io_error(&format!("write {}", path.display()), e))?;
        }
        Ok(())
    }

    fn begin_stop(&self) {
        self.stop.send_replace(true);
        self.admission.stop();
        self.jobs.stop();
    }
}

impl Drop for NodeHandle {
    fn drop(&mut self) {
        // Tasks end with their set, threads at their next job; nothing is waited for here.
        self.begin_stop();
    }
}

/// Takes transactions in for the API.
#[derive(Clone)]
pub struct Submitter {
    admission: Arc<Admission>,
}

impl Submitter {
    /// See [`NodeHandle::submit`].
    ///
    /// # Errors
    /// Why it does not apply here and now.
    pub async fn submit(&self, transaction: Vec<u8>) -> Result<TxHash, Refused> {
        let refused = |code, message: String, for_ever| Refused {
            code,
            message,
            for_ever,
        };
        let tx =
            TxBytes::new(transaction).map_err(|e| refused("too_large", e.to_string(), true))?;
        let (reply, answer) = oneshot::channel();
        if !self.admission.offer(tx, Origin::Submitted(reply)) {
            return Err(refused(
                "busy",
                "too many transactions are being judged".into(),
                false,
            ));
        }
        answer
            .await
            .unwrap_or_else(|_| Err(refused("stopping", "this peer is stopping".into(), false)))
    }
}

fn io_error(action: &str, source: io::Error) -> NodeError {
    NodeError::Io {
        action: action.to_owned(),
        source,
    }
}
