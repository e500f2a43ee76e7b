//! libp2p behind two queues: commands in, events out. The layer carries bytes and judges none of them; of consensus it
//! knows the caps, and that nothing unsaid on disk is said to others ([`NetworkHandle::send_durable`]).
//!
//! ```text
//!  node ── NetworkHandle ──▶ commands ──▶ ┌──────┐ ◀── tcp/noise/yamux, quic ──▶ peers
//!  node ◀── NetworkEvent ◀── events  ◀──  │ task │      gossip · requests · identify · ping · kad
//!                                         └──────┘
//! ```
//!
//! The task never waits for the node: an event that does not fit the queue is dropped (gossip is ignored, a
//! request goes unanswered) and counted, except that connects and disconnects are kept until they fit. So the node may wait for
//! the task without deadlock. Every queue, table and message is bounded; each bound stands beside what it bounds.
//!
//! | file | idea |
//! |---|---|
//! | `topic` | topics, their caps, names on the wire |
//! | `codec` | request frames |
//! | `gossip` | gossipsub's settings and scores |
//! | `transport` | the swarm, its windows and timeouts |
//! | `muxer` | what one connection may buffer |
//! | `limits` | connections in all, per address, of those with reserved places; who is shut out |
//! | `places`, `meter` | what one peer may take of the node's time |
//! | `address` | which claimed addresses we would dial |
//! | `times` | how long things may take |
//! | `bootstrap`, `outbox` | dialling for ever; messages nobody could be sent yet |
//! | `task` | the loop |

pub(crate) mod address;
pub(crate) mod bootstrap;
pub(crate) mod codec;
pub(crate) mod gossip;
pub(crate) mod limits;
pub(crate) mod meter;
pub(crate) mod muxer;
pub(crate) mod outbox;
pub(crate) mod places;
pub(crate) mod task;
mod times;
pub(crate) mod topic;
pub(crate) mod transport;

#[cfg(test)]
mod tests;

pub use codec::{MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES};
pub use places::Place;
pub use topic::Topic;
pub use transport::REQUEST_TIMEOUT;

use crate::metrics::Metrics;
use bootstrap::MAX_BOOTSTRAP;
use libp2p::{Multiaddr, PeerId, gossipsub::MessageId, identity::Keypair};
use std::time::Duration;
use task::{Command, MAX_BANNED, Task};
use tender_consensus::{engine::Durable, message::Message};
use tender_wire::{ChainId, encode};
use times::Times;
use tokio::sync::{mpsc, oneshot, watch};

/// Commands that wait for the task.
pub(crate) const COMMAND_QUEUE: usize = 1024;
/// Events that wait for the node. Gossip beyond it is ignored, requests beyond it stay unanswered.
pub(crate) const EVENT_QUEUE: usize = 1024;
/// A listening socket that is not bound by then never will be.
pub(crate) const LISTEN_TIMEOUT: Duration = Duration::from_secs(5);

/// What a network needs to start.
#[derive(Clone, Debug)]
pub struct NetworkConfig {
    /// The chain: only peers of it are talked to.
    pub chain: ChainId,
    /// Where to listen; port 0 asks for any free port. May be empty: then this peer only dials.
    pub listen: Vec<Multiaddr>,
    /// Addresses dialled for ever until their peers are connected, with or without `/p2p/<id>`. Peers named by id have reserved places.
    pub bootstrap: Vec<Multiaddr>,
    /// Where peers, gossip and requests are counted.
    pub metrics: Metrics,
}

/// Names the gossip message a verdict is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GossipId {
    topic: Topic,
    message: MessageId,
    source: PeerId,
}

#[cfg(test)]
impl GossipId {
    /// The id of some transaction.
    pub(crate) fn any(source: PeerId) -> Self {
        let (topic, message) = (Topic::Tx, MessageId::new(&[]));
        GossipId {
            topic,
            message,
            source,
        }
    }
}

#[cfg(test)]
impl Place {
    /// The only place of some peer that is taken.
    pub(crate) fn any() -> Self {
        places::Share::default().place(None).unwrap()
    }
}

/// What the node found a gossip message to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Valid: forward it.
    Accept,
    /// Not wanted in our present state: neither forwarded nor held against anyone.
    Ignore,
    /// Invalid in any state: not forwarded, and held against whoever sent it.
    Reject,
}

/// A connected peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerInfo {
    /// Who it is.
    pub id: PeerId,
    /// Where the connection goes.
    pub address: Multiaddr,
    /// Whether we dialled it.
    pub outbound: bool,
    /// What it says it runs: escaped, at most 64 characters, and not to be believed.
    pub agent: String,
}

/// What the network tells the node.
#[derive(Debug)]
pub enum NetworkEvent {
    /// A gossip message, to be answered with [`NetworkHandle::report`] within ten seconds, after which it is
    /// forgotten unforwarded. The same bytes come once a minute at most.
    Gossip {
        /// For the verdict.
        id: GossipId,
        /// The peer that handed it to us and answers for it; not necessarily its author.
        source: PeerId,
        /// Its topic.
        topic: Topic,
        /// At most [`Topic::max_bytes`].
        data: Vec<u8>,
        /// Its sender's, to be kept until it is judged.
        place: Place,
    },
    /// A peer asks. Dropping `reply` leaves the request unanswered; an answer is at most [`MAX_RESPONSE_BYTES`] and counts for
    /// [`REQUEST_TIMEOUT`].
    Request {
        /// Who asks.
        peer: PeerId,
        /// At most [`MAX_REQUEST_BYTES`].
        data: Vec<u8>,
        /// For the answer.
        reply: oneshot::Sender<Vec<u8>>,
    },
    /// A peer of our chain is connected and identified; it can be asked.
    PeerConnected(PeerId),
    /// It is gone.
    PeerDisconnected(PeerId),
}

/// Why the network did not start.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// A listening address is unusable.
    #[error(
        "cannot listen on {address}: {reason}; is the port taken, or the address not of this machine?"
    )]
    Listen {
        /// The address.
        address: Multiaddr,
        /// The system's reason.
        reason: String,
    },
    /// Too many addresses to dial for ever.
    #[error("{0} bootstrap addresses, at most {MAX_BOOTSTRAP} are dialled")]
    Bootstrap(usize),
    /// A part of libp2p refused its settings.
    #[error("the network could not be set up: {0}")]
    Setup(String),
}

/// The network is stopped, or the message cannot be sent at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Longer than [`Topic::max_bytes`].
    #[error("{bytes} bytes on topic {topic:?}, at most {max} are carried")]
    TooLarge {
        /// The topic.
        topic: Topic,
        /// The message's length.
        bytes: usize,
        /// The topic's cap.
        max: usize,
    },
    /// The network task has ended.
    #[error("the network is stopped")]
    Stopped,
}

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Longer than [`MAX_REQUEST_BYTES`].
    #[error("a request of {0} bytes, at most {MAX_REQUEST_BYTES} are carried")]
    TooLarge(usize),
    /// The peer is not connected.
    #[error("the peer is not connected")]
    NotConnected,
    /// Too many requests are under way, to this peer or in all.
    #[error("too many requests are under way")]
    Busy,
    /// No answer came in time.
    #[error("no answer within {REQUEST_TIMEOUT:?}")]
    Timeout,
    /// The peer did not answer: it hung up, or what it sent is no answer.
    #[error("the peer gave no valid answer")]
    NoAnswer,
    /// The network task has ended.
    #[error("the network is stopped")]
    Stopped,
}

/// A peer could not be banned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not banned: {MAX_BANNED} peers are, and no more can be")]
pub struct TooManyBanned;

/// Starts networks.
#[derive(Debug)]
pub struct Network;

impl Network {
    /// Starts the network task, listening on every configured address when this returns. The task ends when every
    /// handle is dropped or [`NetworkHandle::shutdown`] is called.
    ///
    /// # Errors
    /// [`NetworkError`] if an address cannot be listened on, or more than 256 are to be dialled.
    pub async fn start(
        config: NetworkConfig,
        identity: &Keypair,
    ) -> Result<(NetworkHandle, mpsc::Receiver<NetworkEvent>), NetworkError> {
        Self::start_with(config, identity, Times::default()).await
    }

    async fn start_with(
        config: NetworkConfig,
        identity: &Keypair,
        times: Times,
    ) -> Result<(NetworkHandle, mpsc::Receiver<NetworkEvent>), NetworkError> {
        if config.bootstrap.len() > MAX_BOOTSTRAP {
            return Err(NetworkError::Bootstrap(config.bootstrap.len()));
        }
        let names = topic::Names::new(&config.chain);
        let reserved = limits::Reserved::of(&config.bootstrap);
        let mut swarm =
            transport::swarm(identity, &names, reserved, &times).map_err(NetworkError::Setup)?;
        let listen = task::listen(&mut swarm, &config.listen, LISTEN_TIMEOUT).await?;

        let (commands_tx, commands) = mpsc::channel(COMMAND_QUEUE);
        let (events, events_rx) = mpsc::channel(EVENT_QUEUE);
        let (peers_tx, peers) = watch::channel(Vec::new());
        let (listen_tx, listen) = watch::channel(listen);
        let local = *swarm.local_peer_id();
        let task = Task::new(swarm, names, &config, times, events, peers_tx, listen_tx);
        tokio::spawn(task.run(commands));
        let handle = NetworkHandle {
            local,
            commands: commands_tx,
            peers,
            listen,
        };
        Ok((handle, events_rx))
    }
}

/// Commands the network task. Cheap to clone.
#[derive(Clone, Debug)]
pub struct NetworkHandle {
    local: PeerId,
    commands: mpsc::Sender<Command>,
    peers: watch::Receiver<Vec<PeerInfo>>,
    listen: watch::Receiver<Vec<Multiaddr>>,
}

impl NetworkHandle {
    /// Our own id.
    pub fn local_peer(&self) -> PeerId {
        self.local
    }

    /// The addresses bound, with real ports and our `/p2p/<id>`.
    pub fn listen_addresses(&self) -> Vec<Multiaddr> {
        let own = libp2p::multiaddr::Protocol::P2p(self.local);
        let bound = self.listen.borrow();
        bound.iter().map(|a| a.clone().with(own.clone())).collect()
    }

    /// The connected peers of our chain, by id.
    pub fn peers(&self) -> Vec<PeerInfo> {
        self.peers.borrow().clone()
    }

    /// Gossips what consensus has to say: only what is durable may leave.
    ///
    /// # Errors
    /// [`PublishError`]; having no peers is none.
    pub async fn send_durable(&self, message: Durable<Message>) -> Result<(), PublishError> {
        let topic = match message.value() {
            Message::Proposal(_) | Message::Vote(_) => Topic::Vote,
            Message::Evidence(_) => Topic::Evidence,
        };
        self.publish_bytes(topic, encode(message.value())).await
    }

    /// Gossips a transaction.
    ///
    /// # Errors
    /// [`PublishError`]; having no peers is none.
    pub async fn publish_tx(&self, tx: Vec<u8>) -> Result<(), PublishError> {
        self.publish_bytes(Topic::Tx, tx).await
    }

    /// Gossips a status.
    ///
    /// # Errors
    /// [`PublishError`]; having no peers is none.
    pub async fn publish_status(&self, status: Vec<u8>) -> Result<(), PublishError> {
        self.publish_bytes(Topic::Status, status).await
    }

    /// With no peer to send it to, a message is kept and tried again for ten seconds. The same bytes are not sent twice
    /// within a minute: to say a thing again, answer a request with it or change the bytes.
    async fn publish_bytes(&self, topic: Topic, data: Vec<u8>) -> Result<(), PublishError> {
        if data.len() > topic.max_bytes() {
            return Err(PublishError::TooLarge {
                topic,
                bytes: data.len(),
                max: topic.max_bytes(),
            });
        }
        self.send(Command::Publish(topic, data))
            .await
            .ok_or(PublishError::Stopped)
    }

    /// Says what a gossip message was found to be. Once per message.
    pub async fn report(&self, id: GossipId, verdict: Verdict) {
        self.send(Command::Report(id, verdict)).await;
    }

    /// Asks a connected peer, and waits for the answer for at most [`REQUEST_TIMEOUT`].
    ///
    /// # Errors
    /// [`RequestError`] if there is no answer.
    pub async fn request(&self, peer: PeerId, data: Vec<u8>) -> Result<Vec<u8>, RequestError> {
        if data.len() > MAX_REQUEST_BYTES {
            return Err(RequestError::TooLarge(data.len()));
        }
        let (reply, answer) = oneshot::channel();
        self.send(Command::Request { peer, data, reply })
            .await
            .ok_or(RequestError::Stopped)?;
        answer.await.unwrap_or(Err(RequestError::Stopped))
    }

    /// Drops every connection to a peer and refuses new ones, until [`Self::unban`].
    ///
    /// # Errors
    /// [`TooManyBanned`] if as many are, and it is not one of them.
    pub async fn ban(&self, peer: PeerId) -> Result<(), TooManyBanned> {
        let (reply, banned) = oneshot::channel();
        self.send(Command::Ban(peer, reply)).await;
        // A network that is stopped connects to nobody.
        match banned.await {
            Ok(false) => Err(TooManyBanned),
            Ok(true) | Err(_) => Ok(()),
        }
    }

    /// Lets a banned peer connect again, and one that was shut out.
    pub async fn unban(&self, peer: PeerId) {
        self.send(Command::Unban(peer)).await;
    }

    /// Drops every connection to a peer and refuses new ones for a while.
    pub async fn shut_out(&self, peer: PeerId, length: Duration) {
        self.send(Command::ShutOut(peer, length)).await;
    }

    /// Dials an address once.
    pub async fn dial(&self, address: Multiaddr) {
        self.send(Command::Dial(address)).await;
    }

    /// Ends the task; its sockets are closed when this returns.
    pub async fn shutdown(&self) {
        let (done, stopped) = oneshot::channel::<()>();
        self.send(Command::Shutdown(done)).await;
        // The task drops the sender when it is gone.
        let _ = stopped.await;
    }

    async fn send(&self, command: Command) -> Option<()> {
        self.commands.send(command).await.ok()
    }
}
