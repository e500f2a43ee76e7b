//! The outside of a running peer: what it shows, how to submit, how to stop it.

use super::{
    NodeError,
    admission::{Admission, Origin},
    driver::Jobs,
    io_error,
    patience::Client,
    shared::{Chain, Shared},
};
use crate::{
    api::{self, types::Event},
    config::{Addresses, ApiSection},
    files,
    mempool::Refused,
};
use libp2p::{Multiaddr, PeerId};
use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, thread::JoinHandle, time::Duration};
use tender_consensus::tx::TxBytes;
use tender_wire::TxHash;
use tokio::{
    sync::{broadcast, oneshot, watch},
    task::{self, JoinSet, spawn_blocking},
    time::timeout,
};

/// Time given to API answers under way when the peer stops.
pub(crate) const API_GRACE: Duration = Duration::from_secs(2);

/// A running peer. Dropping it stops it soon; [`NodeHandle::shutdown`] waits until its files are free.
pub struct NodeHandle {
    pub(super) shared: Arc<Shared>,
    pub(super) admission: Arc<Admission>,
    pub(super) jobs: Jobs,
    pub(super) threads: Vec<JoinHandle<()>>,
    pub(super) tasks: JoinSet<()>,
    pub(super) api: Option<(SocketAddr, task::JoinHandle<()>)>,
    pub(super) stop: watch::Sender<bool>,
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
    /// The API's listeners miss none: see `GET /v1/events`.
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
        .submit(transaction, Client::Process)
        .await
    }

    /// Stops the peer and waits until its threads have ended and its directory is free.
    pub async fn shutdown(mut self) {
        self.begin_stop();
        if let Some((_, server)) = self.api.take() {
            let abort = server.abort_handle();
            // It cuts off what is left after its grace; that takes a moment.
            if timeout(API_GRACE.saturating_mul(2), server).await.is_err() {
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

    /// Serves the API and writes the bound addresses.
    pub(super) async fn open_doors(
        &mut self,
        api: Option<ApiSection>,
        home: Option<PathBuf>,
        addresses: Option<PathBuf>,
    ) -> Result<(), NodeError> {
        if let Some(config) = api {
            let submitter = Submitter {
                admission: Arc::clone(&self.admission),
            };
            let stop = self.stop.subscribe();
            let shared = Arc::clone(&self.shared);
            self.api = Some(api::serve(config, home, shared, submitter, stop).await?);
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
    pub async fn submit(&self, transaction: Vec<u8>, client: Client) -> Result<TxHash, Refused> {
        let refused = |code, message: String, for_ever| Refused {
            code,
            message,
            for_ever,
        };
        let tx =
            TxBytes::new(transaction).map_err(|e| refused("too_large", e.to_string(), true))?;
        if !self.admission.bears(&client) {
            return Err(refused(
                "too_many_refused",
                "this client has sent too many transactions that no peer accepts".into(),
                false,
            ));
        }
        let (reply, answer) = oneshot::channel();
        let origin = Origin::Submitted { client, reply };
        if !self.admission.offer(tx, origin) {
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
