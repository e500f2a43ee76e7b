//! The loop that owns the swarm. It waits for the swarm, commands, answers and the clock, and never for the node.

use super::{
    GossipId, NetworkConfig, NetworkError, NetworkEvent, PeerInfo, RequestError, Topic, Verdict,
    address,
    bootstrap::{Bootstrap, later},
    codec::MAX_RESPONSE_BYTES,
    gossip::GRAYLIST,
    limits::ip_of,
    meter::{Meter, Rate},
    outbox::Outbox,
    places::{Place, Share},
    times::Times,
    topic::Names,
    transport::{Protocols, ProtocolsEvent},
};
use crate::metrics::{Direction, GossipOutcome, Metrics, RequestOutcome};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use libp2p::{
    Multiaddr, PeerId, Swarm,
    core::ConnectedPoint,
    gossipsub::{self, MessageAcceptance, PublishError},
    identify,
    multiaddr::Protocol,
    ping,
    request_response::{
        self, InboundRequestId, Message, OutboundFailure, OutboundRequestId, ResponseChannel,
    },
    swarm::{ConnectionId, DialError, NetworkBehaviour, SwarmEvent, dial_opts::DialOpts},
};
use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, oneshot, watch};

/// Upkeep: dialling, retries, deadlines.
const TICK: Duration = Duration::from_millis(200);
/// A connection that does not say in time what it is, is closed.
pub(crate) const IDENTIFY_DEADLINE: Duration = Duration::from_secs(10);
/// Peers we look for beyond the bootstrap list; enough for a gossip mesh with room to choose.
pub(crate) const WANTED_PEERS: usize = 24;
/// Of those, dialled by us: strangers who dial us cannot make up all we know (THREATS B20).
pub(crate) const WANTED_DIALLED: usize = 8;
/// Known peers dialled per upkeep while too few are connected.
pub(crate) const DIALS_PER_TICK: usize = 2;
/// Pause before a known peer is dialled again.
const REDIAL_PAUSE: Duration = Duration::from_secs(10);
/// Requests of one peer under way at once; a stranger has one while strangers hold half of [`INBOUND`].
pub(crate) const INBOUND_PER_PEER: usize = 4;
/// Requests of strangers under way at once; each may hold an answer of [`MAX_RESPONSE_BYTES`] until it is sent. Reserved peers have places beside.
pub(crate) const INBOUND: usize = 16;
/// Requests of one stranger one after another. Catching up takes some ten a second.
pub(crate) const REQUESTS_AT_ONCE: u64 = 200;
/// And in each second, for ever.
pub(crate) const REQUESTS_PER_SECOND: u64 = 50;
/// Messages of one stranger that were of no use or found no place. A peer that catches up with a fast chain ignores a thousand votes a second; one
/// that floods sends tens of thousands, and is shut out.
pub(crate) const WASTE_AT_ONCE: u64 = 20_000;
/// And in each second, for ever.
pub(crate) const WASTE_PER_SECOND: u64 = 1_000;
/// For how long.
pub(crate) const SHUT_OUT: Duration = Duration::from_secs(60);
/// A stranger that has not taken its messages for so long is disconnected: those that wait for it hold memory.
pub(crate) const SLOW_DEADLINE: Duration = Duration::from_secs(10);
/// Reports of a slow peer come with each heartbeat; with none for so long it has caught up.
pub(crate) const SLOW_PAUSE: Duration = Duration::from_secs(2);
/// Our requests to one peer under way at once.
pub(crate) const OUTBOUND_PER_PEER: usize = 4;
/// Our requests under way at once; each may bring an answer of [`MAX_RESPONSE_BYTES`].
pub(crate) const OUTBOUND: usize = 16;
/// Peers that can be banned at once: a list for people, not a defence.
pub(crate) const MAX_BANNED: usize = 4096;
/// Failed pings in a row that end a connection, beside a first that libp2p keeps to itself.
pub(crate) const PING_FAILURES: u32 = 2;
/// Characters kept of what a peer says it runs.
pub(crate) const AGENT_CHARS: usize = 64;

const REQUESTS: Rate = Rate {
    at_once: REQUESTS_AT_ONCE,
    per_second: REQUESTS_PER_SECOND,
};
const WASTE: Rate = Rate {
    at_once: WASTE_AT_ONCE,
    per_second: WASTE_PER_SECOND,
};

/// Where an answer to our request goes.
type Reply = oneshot::Sender<Result<Vec<u8>, RequestError>>;

/// What the handle asks of the task.
#[derive(Debug)]
pub(super) enum Command {
    Publish(Topic, Vec<u8>),
    Report(GossipId, Verdict),
    Request {
        peer: PeerId,
        data: Vec<u8>,
        reply: Reply,
    },
    /// Answers whether the peer is banned now.
    Ban(PeerId, oneshot::Sender<bool>),
    Unban(PeerId),
    ShutOut(PeerId, Duration),
    Dial(Multiaddr),
    /// Held until the task is gone.
    Shutdown(oneshot::Sender<()>),
}

/// Binds every address and waits until the system has named the ports.
pub(super) async fn listen<B: NetworkBehaviour>(
    swarm: &mut Swarm<B>,
    addresses: &[Multiaddr],
    timeout: Duration,
) -> Result<Vec<Multiaddr>, NetworkError> {
    let failed = |address: &Multiaddr, reason: String| NetworkError::Listen {
        address: address.clone(),
        reason,
    };
    let mut bound = Vec::new();
    for address in addresses {
        probe(address).map_err(|e| failed(address, e.to_string()))?;
        let listener = swarm
            .listen_on(address.clone())
            .map_err(|e| failed(address, e.to_string()))?;
        let named = async {
            loop {
                match swarm.select_next_some().await {
                    SwarmEvent::NewListenAddr {
                        listener_id,
                        address,
                    } => {
                        bound.push(address);
                        if listener_id == listener {
                            return Ok(());
                        }
                    }
                    SwarmEvent::ListenerClosed { reason: Err(e), .. }
                    | SwarmEvent::ListenerError { error: e, .. } => return Err(e.to_string()),
                    _ => {}
                }
            }
        };
        match tokio::time::timeout(timeout, named).await {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => return Err(failed(address, reason)),
            Err(_) => return Err(failed(address, "not bound in time".into())),
        }
    }
    Ok(bound)
}

/// Binds the address for a moment. libp2p shares TCP ports between the processes of one user, so without this a
/// second peer on a port would start, and the two would take each other's connections.
fn probe(address: &Multiaddr) -> std::io::Result<()> {
    let (Some(ip), Some(port)) = (ip_of(address), address.iter().nth(1)) else {
        return Ok(());
    };
    match port {
        Protocol::Tcp(port) => std::net::TcpListener::bind((ip, port)).map(drop),
        Protocol::Udp(port) => std::net::UdpSocket::bind((ip, port)).map(drop),
        _ => Ok(()),
    }
}

/// One connected peer.
struct Peer {
    connections: BTreeMap<ConnectionId, Connection>,
    since: Instant,
    /// Set once it has said that it is of our chain; until then the node does not hear of it.
    agent: Option<String>,
    /// Its addresses in kad's table.
    addresses: Vec<Multiaddr>,
    /// Its places in the node's queue.
    share: Share,
    requests: Meter,
    waste: Meter,
    /// Since when and until when it was last reported slow.
    slow: Option<(Instant, Instant)>,
}

impl Peer {
    fn new(now: Instant) -> Self {
        Peer {
            connections: BTreeMap::new(),
            since: now,
            agent: None,
            addresses: Vec::new(),
            share: Share::default(),
            requests: Meter::new(now),
            waste: Meter::new(now),
            slow: None,
        }
    }
}

struct Connection {
    endpoint: ConnectedPoint,
    ping_failures: u32,
}

/// What the node made of a request, and where it goes.
type Answer = (ResponseChannel<Vec<u8>>, Option<Vec<u8>>);

pub(super) struct Task {
    swarm: Swarm<Protocols>,
    names: Names,
    times: Times,
    metrics: Metrics,
    events: mpsc::Sender<NetworkEvent>,
    /// Connects and disconnects that did not fit the event queue yet; at most two per peer, see `lifecycle`.
    backlog: VecDeque<NetworkEvent>,
    peers: BTreeMap<PeerId, Peer>,
    /// Places of all peers that are not reserved.
    strangers: Share,
    peers_tx: watch::Sender<Vec<PeerInfo>>,
    listen_tx: watch::Sender<Vec<Multiaddr>>,
    bootstrap: Bootstrap,
    outbox: Outbox,
    /// When known peers were last dialled; old entries are swept.
    dialled: BTreeMap<PeerId, Instant>,
    /// Their requests: answered, and the answer sent, or failed.
    serving: BTreeMap<InboundRequestId, PeerId>,
    answers: FuturesUnordered<BoxFuture<'static, Answer>>,
    /// Our requests.
    asked: BTreeMap<OutboundRequestId, (PeerId, Reply)>,
}

impl Task {
    pub(super) fn new(
        swarm: Swarm<Protocols>,
        names: Names,
        config: &NetworkConfig,
        times: Times,
        events: mpsc::Sender<NetworkEvent>,
        peers_tx: watch::Sender<Vec<PeerInfo>>,
        listen_tx: watch::Sender<Vec<Multiaddr>>,
    ) -> Self {
        Task {
            swarm,
            names,
            times,
            metrics: config.metrics.clone(),
            events,
            backlog: VecDeque::new(),
            peers: BTreeMap::new(),
            strangers: Share::default(),
            peers_tx,
            listen_tx,
            bootstrap: Bootstrap::new(&config.bootstrap, Instant::now()),
            outbox: Outbox::default(),
            dialled: BTreeMap::new(),
            serving: BTreeMap::new(),
            answers: FuturesUnordered::new(),
            asked: BTreeMap::new(),
        }
    }

    /// Runs until every handle is gone, the node stops listening, or it is told to stop.
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let events = self.events.clone();
        let _held_until_dropped = loop {
            tokio::select! {
                command = commands.recv() => match command {
                    None => break None,
                    Some(Command::Shutdown(done)) => break Some(done),
                    Some(command) => self.on_command(command),
                },
                event = self.swarm.select_next_some() => self.on_swarm(event),
                Some(answer) = self.answers.next() => self.on_answer(answer),
                permit = events.reserve(), if !self.backlog.is_empty() => match permit {
                    Ok(permit) => if let Some(event) = self.backlog.pop_front() {
                        permit.send(event);
                    },
                    Err(_) => break None,
                },
                _ = tick.tick() => self.on_tick(),
                () = events.closed() => break None,
            }
        };
        drop(self);
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Publish(topic, data) => {
                let now = Instant::now();
                self.publish(now, topic, data);
            }
            Command::Report(id, verdict) => self.report(&id, verdict),
            Command::Request { peer, data, reply } => self.ask(peer, data, reply),
            Command::Ban(peer, reply) => {
                let _ = reply.send(self.ban(peer));
            }
            Command::Unban(peer) => {
                let behaviour = self.swarm.behaviour_mut();
                behaviour.banned.unblock_peer(peer);
                behaviour.limits.let_in(&peer);
            }
            Command::ShutOut(peer, length) => self.shut_out(peer, length),
            Command::Dial(address) => {
                self.dial(DialOpts::unknown_peer_id().address(address).build())
            }
            // Ends the loop before it comes here.
            Command::Shutdown(_) => {}
        }
    }

    /// Whether there was room among the banned, or it is one of them.
    fn ban(&mut self, peer: PeerId) -> bool {
        let banned = &mut self.swarm.behaviour_mut().banned;
        let listed = banned.blocked_peers();
        if listed.len() >= MAX_BANNED {
            return listed.contains(&peer);
        }
        banned.block_peer(peer);
        self.forget_addresses(&peer);
        tracing::info!(%peer, "banned");
        true
    }

    fn on_tick(&mut self) {
        let now = Instant::now();
        let peers = &self.peers;
        for dial in self.bootstrap.due(now, |peer| peers.contains_key(peer)) {
            self.dial(dial);
        }
        self.dial_known(now);
        self.retry_outbox(now);
        let silent: Vec<PeerId> = self
            .peers
            .iter()
            .filter(|(_, p)| {
                p.agent.is_none() && now.saturating_duration_since(p.since) > self.times.identify
            })
            .map(|(id, _)| *id)
            .collect();
        for peer in silent {
            tracing::debug!(%peer, "said not what it is; closed");
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        let gossip = &self.swarm.behaviour().gossip;
        let unheard = |id: &&PeerId| gossip.peer_score(id).is_some_and(|score| score < GRAYLIST);
        let unheard: Vec<PeerId> = self.peers.keys().filter(unheard).copied().collect();
        for peer in unheard {
            if !self.is_reserved(&peer) {
                tracing::debug!(%peer, "what it gossips is not heard");
                self.shut_out(peer, SHUT_OUT);
            }
        }
    }
}

// Gossip.
impl Task {
    fn publish(&mut self, since: Instant, topic: Topic, data: Vec<u8>) {
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        match gossip.publish(self.names.topic(topic), data.clone()) {
            Ok(_) => self
                .metrics
                .count_gossip(topic.label(), GossipOutcome::Published),
            // Said before, by us or by another: it is on its way.
            Err(PublishError::Duplicate) => {}
            Err(PublishError::NoPeersSubscribedToTopic) => {
                for dropped in self.outbox.keep(since, topic, data) {
                    self.metrics
                        .count_gossip(dropped.label(), GossipOutcome::Unsent);
                }
            }
            // It stays in gossipsub's memory and is advertised.
            Err(PublishError::AllQueuesFull(peers)) => {
                tracing::warn!(?topic, peers, "every peer's queue is full");
                self.metrics
                    .count_gossip(topic.label(), GossipOutcome::Unsent);
            }
            Err(error) => {
                tracing::error!(?topic, %error, "could not publish");
                self.metrics
                    .count_gossip(topic.label(), GossipOutcome::Unsent);
            }
        }
    }

    fn retry_outbox(&mut self, now: Instant) {
        if self.outbox.is_empty() {
            return;
        }
        let (retry, dropped) = self.outbox.take(now);
        for (since, topic, data) in retry {
            self.publish(since, topic, data);
        }
        for topic in dropped {
            self.metrics
                .count_gossip(topic.label(), GossipOutcome::Unsent);
        }
    }

    fn report(&mut self, id: &GossipId, verdict: Verdict) {
        let (acceptance, outcome) = match verdict {
            Verdict::Accept => (MessageAcceptance::Accept, GossipOutcome::Accept),
            Verdict::Ignore => (MessageAcceptance::Ignore, GossipOutcome::Ignore),
            Verdict::Reject => (MessageAcceptance::Reject, GossipOutcome::Reject),
        };
        let known = self
            .swarm
            .behaviour_mut()
            .gossip
            .report_message_validation_result(&id.message, &id.source, acceptance);
        let outcome = match verdict {
            Verdict::Accept if !known => GossipOutcome::Late,
            _ => outcome,
        };
        self.metrics.count_gossip(id.topic.label(), outcome);
        if verdict == Verdict::Ignore {
            self.wasted(id.source);
        }
    }

    /// A message that finds no room is ignored, unread.
    fn overload(&mut self, id: &GossipId) {
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        let ignored = MessageAcceptance::Ignore;
        gossip.report_message_validation_result(&id.message, &id.source, ignored);
        self.metrics
            .count_gossip(id.topic.label(), GossipOutcome::Overload);
        self.wasted(id.source);
    }

    /// Counts a message that was of no use; a stranger with too many of them is shut out.
    fn wasted(&mut self, by: PeerId) {
        let peer = self.peers.get_mut(&by);
        let goes_on = peer.is_some_and(|peer| !peer.waste.admits(Instant::now(), WASTE));
        if goes_on && !self.is_reserved(&by) {
            tracing::debug!(peer = %by, "floods");
            self.shut_out(by, SHUT_OUT);
        }
    }

    /// A place in the node's queue, if its sender has one left.
    fn place(&self, source: &PeerId) -> Option<Place> {
        let strangers = (!self.is_reserved(source)).then_some(&self.strangers);
        self.peers.get(source)?.share.place(strangers)
    }

    fn slow(&mut self, id: PeerId) {
        tracing::debug!(peer = %id, "slow: messages to it were dropped");
        let (now, reserved) = (Instant::now(), self.is_reserved(&id));
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        let since = match peer.slow {
            Some((since, last)) if now.saturating_duration_since(last) < SLOW_PAUSE => since,
            _ => now,
        };
        peer.slow = Some((since, now));
        if !reserved && now.saturating_duration_since(since) > SLOW_DEADLINE {
            let _ = self.swarm.disconnect_peer_id(id);
        }
    }

    fn on_gossip(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message {
                propagation_source: source,
                message_id,
                message,
            } => {
                // The subscription filter lets no other topic in.
                let Some(topic) = self.names.parse_topic(&message.topic) else {
                    return;
                };
                let id = GossipId {
                    topic,
                    message: message_id,
                    source,
                };
                if message.data.len() > topic.max_bytes() {
                    return self.report(&id, Verdict::Reject);
                }
                let Some(place) = self.place(&source) else {
                    return self.overload(&id);
                };
                let event = NetworkEvent::Gossip {
                    id: id.clone(),
                    source,
                    topic,
                    data: message.data,
                    place,
                };
                if !self.offer(event) {
                    self.overload(&id);
                }
            }
            gossipsub::Event::Subscribed { .. } => self.retry_outbox(Instant::now()),
            gossipsub::Event::SlowPeer { peer_id, .. } => self.slow(peer_id),
            gossipsub::Event::Unsubscribed { .. }
            | gossipsub::Event::GossipsubNotSupported { .. } => {}
        }
    }
}

// Requests.
impl Task {
    fn ask(&mut self, to: PeerId, data: Vec<u8>, reply: Reply) {
        let to_it = self.asked.values().filter(|(peer, _)| *peer == to).count();
        let refusal = if self.peers.get(&to).is_none_or(|peer| peer.agent.is_none()) {
            RequestError::NotConnected
        } else if self.asked.len() >= OUTBOUND || to_it >= OUTBOUND_PER_PEER {
            RequestError::Busy
        } else {
            let id = self.swarm.behaviour_mut().requests.send_request(&to, data);
            self.asked.insert(id, (to, reply));
            return;
        };
        self.metrics
            .count_request(Direction::Out, RequestOutcome::Refused);
        let _ = reply.send(Err(refusal));
    }

    fn on_request(&mut self, event: request_response::Event<Vec<u8>, Vec<u8>>) {
        match event {
            request_response::Event::Message { peer, message, .. } => match message {
                Message::Request {
                    request_id,
                    request,
                    channel,
                } => self.on_question(request_id, peer, request, channel),
                Message::Response {
                    request_id,
                    response,
                } => self.on_reply(request_id, Ok(response)),
            },
            request_response::Event::OutboundFailure {
                request_id, error, ..
            } => {
                let error = match error {
                    OutboundFailure::Timeout => RequestError::Timeout,
                    OutboundFailure::DialFailure => RequestError::NotConnected,
                    OutboundFailure::ConnectionClosed
                    | OutboundFailure::UnsupportedProtocols
                    | OutboundFailure::Io(_) => RequestError::NoAnswer,
                };
                self.on_reply(request_id, Err(error));
            }
            request_response::Event::InboundFailure {
                request_id, error, ..
            } => {
                // One refused at the door ends here too, and was counted there.
                if self.serving.remove(&request_id).is_some() {
                    tracing::debug!(%error, "request not answered");
                    self.metrics
                        .count_request(Direction::In, RequestOutcome::Failed);
                }
            }
            request_response::Event::ResponseSent { request_id, .. } => {
                self.serving.remove(&request_id);
                self.metrics
                    .count_request(Direction::In, RequestOutcome::Answered);
            }
        }
    }

    fn on_question(
        &mut self,
        id: InboundRequestId,
        from: PeerId,
        data: Vec<u8>,
        channel: ResponseChannel<Vec<u8>>,
    ) {
        let room = self.has_room_for_request(from);
        let (reply, answer) = oneshot::channel();
        let event = NetworkEvent::Request {
            peer: from,
            data,
            reply,
        };
        if !room || !self.offer(event) {
            // Dropping the channel closes the stream: the peer sees that there is no answer.
            self.metrics
                .count_request(Direction::In, RequestOutcome::Refused);
            return;
        }
        self.serving.insert(id, from);
        let patience = self.times.request;
        let answered = async move {
            let answer = tokio::time::timeout(patience, answer).await;
            (channel, answer.ok().and_then(Result::ok))
        };
        self.answers.push(answered.boxed());
    }

    fn has_room_for_request(&mut self, from: PeerId) -> bool {
        let serving = self.serving.values();
        let of_it = serving.filter(|peer| **peer == from).count();
        if self.is_reserved(&from) {
            return of_it < INBOUND_PER_PEER;
        }
        let serving = self.serving.values();
        let strangers = serving.filter(|peer| !self.is_reserved(peer)).count();
        let max = if strangers < INBOUND / 2 {
            INBOUND_PER_PEER
        } else {
            1
        };
        let peer = self.peers.get_mut(&from);
        strangers < INBOUND
            && of_it < max
            && peer.is_some_and(|peer| peer.requests.admits(Instant::now(), REQUESTS))
    }

    fn on_answer(&mut self, (channel, answer): Answer) {
        match answer {
            Some(answer) if answer.len() <= MAX_RESPONSE_BYTES => {
                // Fails when the peer is gone, which the behaviour reports by itself.
                let _ = self
                    .swarm
                    .behaviour_mut()
                    .requests
                    .send_response(channel, answer);
            }
            Some(answer) => {
                tracing::error!(
                    bytes = answer.len(),
                    "answer over {MAX_RESPONSE_BYTES} bytes"
                );
            }
            None => {}
        }
    }

    fn on_reply(&mut self, id: OutboundRequestId, answer: Result<Vec<u8>, RequestError>) {
        let Some((_, reply)) = self.asked.remove(&id) else {
            return;
        };
        let outcome = match answer {
            Ok(_) => RequestOutcome::Answered,
            Err(_) => RequestOutcome::Failed,
        };
        self.metrics.count_request(Direction::Out, outcome);
        let _ = reply.send(answer);
    }
}

// Peers and connections.
impl Task {
    fn on_swarm(&mut self, event: SwarmEvent<ProtocolsEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => match event {
                ProtocolsEvent::Gossip(event) => self.on_gossip(event),
                ProtocolsEvent::Requests(event) => self.on_request(event),
                ProtocolsEvent::Identify(event) => self.on_identify(event),
                ProtocolsEvent::Ping(event) => self.on_ping(&event),
                // The table is read when peers are wanted.
                ProtocolsEvent::Kad(_) => {}
                ProtocolsEvent::Banned(never)
                | ProtocolsEvent::Limits(never)
                | ProtocolsEvent::Memory(never) => match never {},
            },
            SwarmEvent::ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint,
                ..
            } => self.on_connected(peer_id, connection_id, endpoint),
            SwarmEvent::ConnectionClosed {
                peer_id,
                connection_id,
                cause,
                ..
            } => {
                tracing::debug!(peer = %peer_id, ?cause, "connection closed");
                self.on_closed(&peer_id, &connection_id);
            }
            SwarmEvent::OutgoingConnectionError { error, .. } => {
                if let DialError::LocalPeerId { address } = &error {
                    self.bootstrap.remove(address);
                }
                tracing::debug!(%error, "dial failed");
            }
            SwarmEvent::IncomingConnectionError { error, .. } => {
                tracing::debug!(%error, "incoming connection failed");
            }
            SwarmEvent::NewListenAddr { .. }
            | SwarmEvent::ExpiredListenAddr { .. }
            | SwarmEvent::ListenerClosed { .. } => {
                let bound = self.swarm.listeners().cloned().collect();
                self.listen_tx.send_replace(bound);
            }
            SwarmEvent::ListenerError { error, .. } => {
                tracing::warn!(%error, "listening socket");
            }
            _ => {}
        }
    }

    fn on_connected(&mut self, id: PeerId, connection: ConnectionId, endpoint: ConnectedPoint) {
        if let ConnectedPoint::Dialer { address, .. } = &endpoint {
            self.bootstrap.reached(id, address);
        }
        let peer = self.peers.entry(id);
        let peer = peer.or_insert_with(|| Peer::new(Instant::now()));
        peer.connections.insert(
            connection,
            Connection {
                endpoint,
                ping_failures: 0,
            },
        );
    }

    fn on_closed(&mut self, id: &PeerId, connection: &ConnectionId) {
        let Some(peer) = self.peers.get_mut(id) else {
            return;
        };
        peer.connections.remove(connection);
        if peer.connections.is_empty() {
            let known = peer.agent.is_some();
            self.peers.remove(id);
            self.serving.retain(|_, peer| peer != id);
            if known {
                self.lifecycle(NetworkEvent::PeerDisconnected(*id));
            }
        }
        self.show_peers();
    }

    fn on_identify(&mut self, event: identify::Event) {
        let identify::Event::Received {
            connection_id,
            peer_id: id,
            info,
        } = event
        else {
            return;
        };
        if info.protocol_version != self.names.identify() {
            tracing::debug!(peer = %id, "of another chain or version; closed");
            self.bootstrap.foreign(&id, Instant::now());
            let _ = self.swarm.disconnect_peer_id(id);
            return;
        }
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        let Some(connection) = peer.connections.get(&connection_id) else {
            return;
        };
        let accepted = address::accept(
            &id,
            &info.listen_addrs,
            connection.endpoint.get_remote_address(),
        );
        // New ones first: kad forgets a peer with its last address.
        let kad = &mut self.swarm.behaviour_mut().kad;
        for address in &accepted {
            kad.add_address(&id, address.clone());
        }
        for old in peer.addresses.iter().filter(|a| !accepted.contains(a)) {
            kad.remove_address(&id, old);
        }
        peer.addresses = accepted;
        let first = peer.agent.is_none();
        peer.agent = Some(printable(&info.agent_version));
        if first {
            self.lifecycle(NetworkEvent::PeerConnected(id));
            self.show_peers();
        }
    }

    fn on_ping(&mut self, event: &ping::Event) {
        let connection = self
            .peers
            .get_mut(&event.peer)
            .and_then(|peer| peer.connections.get_mut(&event.connection));
        let Some(connection) = connection else {
            return;
        };
        connection.ping_failures = match event.result {
            Ok(_) => 0,
            Err(_) => connection.ping_failures.saturating_add(1),
        };
        if connection.ping_failures >= PING_FAILURES {
            tracing::debug!(peer = %event.peer, "does not answer pings; closed");
            self.swarm.close_connection(event.connection);
        }
    }

    fn dial(&mut self, opts: DialOpts) {
        if let Err(error) = self.swarm.dial(opts) {
            if let DialError::LocalPeerId { address } = &error {
                self.bootstrap.remove(address);
            }
            tracing::trace!(%error, "not dialled");
        }
    }

    /// Whether the owner named this peer.
    fn is_reserved(&self, peer: &PeerId) -> bool {
        self.swarm.behaviour().limits.is_reserved(peer)
    }

    fn shut_out(&mut self, peer: PeerId, length: Duration) {
        let limits = &mut self.swarm.behaviour_mut().limits;
        if limits.shut_out(peer, Instant::now(), length) {
            self.forget_addresses(&peer);
            self.metrics.shut_out.inc();
        }
        let _ = self.swarm.disconnect_peer_id(peer);
    }

    /// Dials peers of kad's table while fewer than [`WANTED_PEERS`] are connected, or fewer than [`WANTED_DIALLED`] by us.
    fn dial_known(&mut self, now: Instant) {
        self.dialled.retain(|_, at| now < later(*at, REDIAL_PAUSE));
        let by_us = |peer: &&Peer| {
            let mut connections = peer.connections.values();
            connections.any(|connection| connection.endpoint.is_dialer())
        };
        let dialled = self.peers.values().filter(by_us).count();
        if self.peers.len() >= WANTED_PEERS && dialled >= WANTED_DIALLED {
            return;
        }
        let known: Vec<(PeerId, Vec<Multiaddr>)> = self
            .swarm
            .behaviour_mut()
            .kad
            .kbuckets()
            .flat_map(|bucket| {
                bucket
                    .iter()
                    .map(|entry| {
                        let addresses = entry.node.value.iter().cloned().collect();
                        (*entry.node.key.preimage(), addresses)
                    })
                    .collect::<Vec<_>>()
            })
            .filter(|(id, _)| !self.peers.contains_key(id) && !self.dialled.contains_key(id))
            .take(DIALS_PER_TICK)
            .collect();
        for (id, addresses) in known {
            self.dialled.insert(id, now);
            self.dial(DialOpts::peer_id(id).addresses(addresses).build());
        }
    }

    fn forget_addresses(&mut self, peer: &PeerId) {
        self.swarm.behaviour_mut().kad.remove_peer(peer);
    }

    /// Puts an event into the node's queue if it fits. Nothing overtakes a waiting connect or disconnect.
    fn offer(&mut self, event: NetworkEvent) -> bool {
        self.backlog.is_empty() && self.events.try_send(event).is_ok()
    }

    /// Tells the node of a connect or disconnect, now or later. A connect still waiting when its disconnect comes
    /// cancels with it, so at most a disconnect and a connect wait for each peer.
    fn lifecycle(&mut self, event: NetworkEvent) {
        if let NetworkEvent::PeerDisconnected(id) = &event {
            let waiting = self
                .backlog
                .iter()
                .position(|e| matches!(e, NetworkEvent::PeerConnected(other) if other == id));
            if let Some(index) = waiting {
                self.backlog.remove(index);
                return;
            }
        }
        if !self.backlog.is_empty() {
            self.backlog.push_back(event);
        } else if let Err(mpsc::error::TrySendError::Full(event)) = self.events.try_send(event) {
            self.backlog.push_back(event);
        }
    }

    fn show_peers(&mut self) {
        let shown: Vec<PeerInfo> = self
            .peers
            .iter()
            .filter_map(|(id, peer)| {
                let connection = peer.connections.values().next()?;
                Some(PeerInfo {
                    id: *id,
                    address: connection.endpoint.get_remote_address().clone(),
                    outbound: connection.endpoint.is_dialer(),
                    agent: peer.agent.clone()?,
                })
            })
            .collect();
        self.metrics
            .peers
            .set(i64::try_from(shown.len()).unwrap_or(i64::MAX));
        self.peers_tx.send_replace(shown);
    }
}

/// A stranger's text made safe to print.
fn printable(text: &str) -> String {
    text.chars()
        .take(AGENT_CHARS)
        .map(|c| {
            if c.is_ascii_graphic() || c == ' ' {
                c
            } else {
                '?'
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{
        super::{LISTEN_TIMEOUT, limits::Reserved, transport},
        *,
    };
    use libp2p::{
        Transport,
        core::{
            Endpoint,
            muxing::StreamMuxerBox,
            transport::{self as transports, ListenerId, PortUse, TransportError, TransportEvent},
        },
        identity::Keypair,
        swarm::dummy,
    };
    use std::{
        future::Pending,
        io,
        pin::Pin,
        task::{Context, Poll},
    };
    use tender_wire::ChainId;

    /// A system that is asked for addresses and names none.
    struct Nameless;

    impl Transport for Nameless {
        type Output = (PeerId, StreamMuxerBox);
        type Error = io::Error;
        type ListenerUpgrade = Pending<io::Result<Self::Output>>;
        type Dial = Self::ListenerUpgrade;

        fn listen_on(
            &mut self,
            _: ListenerId,
            _: Multiaddr,
        ) -> Result<(), TransportError<io::Error>> {
            Ok(())
        }

        fn remove_listener(&mut self, _: ListenerId) -> bool {
            false
        }

        fn dial(
            &mut self,
            address: Multiaddr,
            _: transports::DialOpts,
        ) -> Result<Self::Dial, TransportError<io::Error>> {
            Err(TransportError::MultiaddrNotSupported(address))
        }

        fn poll(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<TransportEvent<Self::ListenerUpgrade, io::Error>> {
            Poll::Pending
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_is_not_bound_in_time_is_a_clear_error() {
        let config = libp2p::swarm::Config::with_tokio_executor();
        let mut swarm = Swarm::new(Nameless.boxed(), dummy::Behaviour, PeerId::random(), config);
        let everywhere = "/ip4/0.0.0.0/tcp/0".parse().unwrap();
        let start = tokio::time::Instant::now();
        let error = listen(&mut swarm, &[everywhere], LISTEN_TIMEOUT).await;
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("/ip4/0.0.0.0/tcp/0: not bound in time"),
            "{error}"
        );
        assert!(start.elapsed() >= LISTEN_TIMEOUT);
    }

    /// A task that is not run: what it does is what the test makes it do.
    fn task() -> Task {
        let config = NetworkConfig {
            chain: ChainId([1; 32]),
            listen: vec![],
            bootstrap: vec![],
            metrics: Metrics::new(),
        };
        let names = Names::new(&config.chain);
        let (identity, times) = (Keypair::generate_ed25519(), Times::default());
        let swarm = transport::swarm(&identity, &names, Reserved::default(), &times).unwrap();
        Task::new(
            swarm,
            names,
            &config,
            times,
            mpsc::channel(1).0,
            watch::channel(Vec::new()).0,
            watch::channel(Vec::new()).0,
        )
    }

    fn connect(task: &mut Task, number: usize, by_us: bool) {
        let address: Multiaddr = "/ip4/127.0.0.1/tcp/9".parse().unwrap();
        let endpoint = if by_us {
            ConnectedPoint::Dialer {
                address,
                role_override: Endpoint::Dialer,
                port_use: PortUse::New,
            }
        } else {
            ConnectedPoint::Listener {
                local_addr: address.clone(),
                send_back_addr: address,
            }
        };
        let id = ConnectionId::new_unchecked(number);
        task.on_connected(PeerId::random(), id, endpoint);
    }

    /// B20: peers are looked for until there are enough of them, and enough that this peer chose.
    #[tokio::test]
    async fn known_peers_are_dialled_some_at_a_look_until_enough_are_connected() {
        for (by_us, by_them, looks) in [
            (0, 0, true),
            (WANTED_DIALLED, WANTED_PEERS - WANTED_DIALLED - 1, true),
            (WANTED_DIALLED, WANTED_PEERS - WANTED_DIALLED, false),
            (WANTED_DIALLED - 1, WANTED_PEERS, true),
            (WANTED_DIALLED, WANTED_PEERS, false),
            (WANTED_PEERS - 1, 0, true),
            (WANTED_PEERS, 0, false),
        ] {
            let mut task = task();
            for _ in 0..50 {
                let address = "/ip4/127.0.0.1/tcp/9".parse().unwrap();
                let kad = &mut task.swarm.behaviour_mut().kad;
                kad.add_address(&PeerId::random(), address);
            }
            for number in 0..by_us + by_them {
                connect(&mut task, number, number < by_us);
            }
            let now = Instant::now();
            for look in 1..=3 {
                task.dial_known(now);
                let dialled = if looks { look * DIALS_PER_TICK } else { 0 };
                assert_eq!(task.dialled.len(), dialled, "{by_us} and {by_them}");
            }
        }
    }
}
