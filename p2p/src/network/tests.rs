//! Several networks in one process, over real sockets on loopback.

use super::*;
use crate::metrics::{Direction, GossipLabels, GossipOutcome, RequestLabels, RequestOutcome};
use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, StreamExt as _};
use libp2p::{
    StreamProtocol, Swarm, SwarmBuilder, gossipsub, identify,
    multiaddr::Protocol::P2p,
    noise, ping, request_response,
    swarm::{NetworkBehaviour, SwarmEvent, behaviour::toggle::Toggle},
};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};
use tokio::time::{sleep, timeout};

const CHAIN: ChainId = ChainId([1; 32]);
const OTHER_CHAIN: ChainId = ChainId([2; 32]);
const TCP: &str = "/ip4/127.0.0.1/tcp/0";
const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";
/// No step here takes longer, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// Long enough for what must not happen to have happened.
const A_WHILE: Duration = Duration::from_millis(1500);

struct Node {
    handle: NetworkHandle,
    events: mpsc::Receiver<NetworkEvent>,
    metrics: Metrics,
}

fn config(chain: ChainId, listen: &[&str], bootstrap: Vec<Multiaddr>) -> NetworkConfig {
    NetworkConfig {
        chain,
        listen: listen.iter().map(|a| a.parse().unwrap()).collect(),
        bootstrap,
        metrics: Metrics::new(),
    }
}

async fn start_with(
    chain: ChainId,
    key: &Keypair,
    listen: &[&str],
    bootstrap: Vec<Multiaddr>,
) -> Node {
    let config = config(chain, listen, bootstrap);
    start_config(config, key, Times::default()).await
}

async fn start_config(config: NetworkConfig, key: &Keypair, times: Times) -> Node {
    let metrics = config.metrics.clone();
    let (handle, events) = Network::start_with(config, key, times).await.unwrap();
    Node {
        handle,
        events,
        metrics,
    }
}

/// One that listens, and whose times are shorter.
async fn start_hasty(times: Times, bootstrap: Vec<Multiaddr>) -> Node {
    let config = config(CHAIN, &[TCP], bootstrap);
    start_config(config, &Keypair::generate_ed25519(), times).await
}

async fn start(listen: &[&str], bootstrap: Vec<Multiaddr>) -> Node {
    start_with(CHAIN, &Keypair::generate_ed25519(), listen, bootstrap).await
}

impl Node {
    fn address(&self) -> Multiaddr {
        self.handle.listen_addresses()[0].clone()
    }

    fn id(&self) -> PeerId {
        self.handle.local_peer()
    }

    async fn next(&mut self) -> NetworkEvent {
        timeout(PATIENCE, self.events.recv())
            .await
            .expect("an event in time")
            .expect("a running task")
    }

    async fn connected(&mut self) -> PeerId {
        loop {
            if let NetworkEvent::PeerConnected(peer) = self.next().await {
                return peer;
            }
        }
    }

    async fn disconnected(&mut self) -> PeerId {
        loop {
            if let NetworkEvent::PeerDisconnected(peer) = self.next().await {
                return peer;
            }
        }
    }

    /// The next gossip message, judged.
    async fn gossip(&mut self, verdict: Verdict) -> Vec<u8> {
        loop {
            if let NetworkEvent::Gossip { id, data, .. } = self.next().await {
                self.handle.report(id, verdict).await;
                return data;
            }
        }
    }

    /// Whether anything but connects comes within a while.
    async fn hears_nothing(&mut self) -> bool {
        let heard = async {
            loop {
                match self.events.recv().await {
                    Some(NetworkEvent::Gossip { .. } | NetworkEvent::Request { .. }) => break,
                    Some(_) => {}
                    None => std::future::pending().await,
                }
            }
        };
        timeout(A_WHILE, heard).await.is_err()
    }

    async fn answer_one(&mut self, answer: Vec<u8>) {
        loop {
            if let NetworkEvent::Request { reply, .. } = self.next().await {
                reply.send(answer).unwrap();
                return;
            }
        }
    }

    fn gossip_count(&self, topic: Topic, outcome: GossipOutcome) -> u64 {
        let topic = topic.label();
        let labels = GossipLabels { topic, outcome };
        self.metrics.gossip.get_or_create(&labels).get()
    }
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "not in time: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Three in a chain that cannot shorten itself: the ends dial only the middle one, and do not listen.
async fn chain(transport: &str) -> (Node, Node, Node) {
    let middle = start(&[transport], vec![]).await;
    let a = start(&[], vec![middle.address()]).await;
    let c = start(&[], vec![middle.address()]).await;
    (a, middle, c)
}

#[tokio::test]
async fn gossip_crosses_a_chain_over_tcp_and_quic() {
    for transport in [TCP, QUIC] {
        let (mut a, mut b, mut c) = chain(transport).await;
        a.connected().await;
        c.connected().await;
        for (topic, data) in [(Topic::Vote, vec![1; 100]), (Topic::Tx, vec![2; 60_000])] {
            a.handle.publish_bytes(topic, data.clone()).await.unwrap();
            assert_eq!(b.gossip(Verdict::Accept).await, data, "{transport}");
            assert_eq!(c.gossip(Verdict::Accept).await, data, "{transport}");
        }
        // Gossip may be faster than what they say of themselves.
        until("one neighbour", || a.handle.peers().len() == 1).await;
        until("two neighbours", || b.handle.peers().len() == 2).await;
        assert_eq!(b.metrics.peers.get(), 2);
    }
}

#[tokio::test]
async fn refused_gossip_does_not_travel_and_liars_are_shut_out() {
    let (mut a, mut b, mut c) = chain(TCP).await;
    a.connected().await;
    c.connected().await;
    for verdict in [Verdict::Ignore, Verdict::Reject] {
        let data = vec![verdict as u8; 50];
        a.handle
            .publish_bytes(Topic::Tx, data.clone())
            .await
            .unwrap();
        assert_eq!(b.gossip(verdict).await, data);
    }
    assert!(c.hears_nothing().await);
    // B19: three invalid messages, and the fourth is not even looked at.
    for i in 10..12 {
        a.handle
            .publish_bytes(Topic::Tx, vec![i; 50])
            .await
            .unwrap();
        b.gossip(Verdict::Reject).await;
    }
    sleep(Duration::from_millis(200)).await;
    a.handle
        .publish_bytes(Topic::Tx, vec![99; 50])
        .await
        .unwrap();
    assert!(b.hears_nothing().await, "a graylisted peer is heard");
    assert_eq!(b.gossip_count(Topic::Tx, GossipOutcome::Reject), 3);
    // The innocent end is still heard.
    c.handle
        .publish_bytes(Topic::Tx, vec![50; 50])
        .await
        .unwrap();
    assert_eq!(b.gossip(Verdict::Accept).await, vec![50; 50]);
}

#[tokio::test]
async fn a_message_published_to_nobody_waits_for_the_first_peer() {
    let mut a = start(&[TCP], vec![]).await;
    a.handle
        .publish_bytes(Topic::Vote, b"early".to_vec())
        .await
        .unwrap();
    let mut b = start(&[], vec![a.address()]).await;
    assert_eq!(b.gossip(Verdict::Accept).await, b"early");
    assert_eq!(a.connected().await, b.id());
}

#[tokio::test]
async fn too_large_is_refused_before_it_leaves() {
    let a = start(&[], vec![]).await;
    for topic in Topic::ALL {
        let max = topic.max_bytes();
        assert_eq!(a.handle.publish_bytes(topic, vec![0; max]).await, Ok(()));
        let bytes = max + 1;
        assert_eq!(
            a.handle.publish_bytes(topic, vec![0; bytes]).await,
            Err(PublishError::TooLarge { topic, bytes, max })
        );
    }
    let nobody = PeerId::random();
    assert_eq!(
        a.handle
            .request(nobody, vec![0; MAX_REQUEST_BYTES + 1])
            .await,
        Err(RequestError::TooLarge(MAX_REQUEST_BYTES + 1))
    );
    assert_eq!(
        a.handle.request(nobody, vec![]).await,
        Err(RequestError::NotConnected)
    );
}

#[tokio::test]
async fn the_largest_messages_of_every_topic_arrive() {
    let (mut a, mut b, _c) = chain(TCP).await;
    a.connected().await;
    for topic in Topic::ALL {
        let data = vec![7; topic.max_bytes()];
        a.handle.publish_bytes(topic, data.clone()).await.unwrap();
        assert_eq!(b.gossip(Verdict::Accept).await, data);
    }
}

#[tokio::test]
async fn requests_are_answered_up_to_the_cap() {
    for transport in [TCP, QUIC] {
        let mut b = start(&[transport], vec![]).await;
        let mut a = start(&[], vec![b.address()]).await;
        a.connected().await;
        b.connected().await;
        for bytes in [0, 1, MAX_RESPONSE_BYTES] {
            let question = vec![3; bytes.min(MAX_REQUEST_BYTES)];
            let (answer, ()) = tokio::join!(
                a.handle.request(b.id(), question),
                b.answer_one(vec![4; bytes])
            );
            assert_eq!(answer.map(|a| a.len()), Ok(bytes), "{transport}");
        }
        let (answer, ()) = tokio::join!(
            a.handle.request(b.id(), vec![1]),
            b.answer_one(vec![4; MAX_RESPONSE_BYTES + 1])
        );
        assert_eq!(answer, Err(RequestError::NoAnswer), "B15: over the cap");
    }
}

#[tokio::test]
async fn one_peer_cannot_take_every_request_slot() {
    let mut b = start(&[TCP], vec![]).await;
    let mut a = start(&[], vec![b.address()]).await;
    a.connected().await;
    b.connected().await;
    let (handle, to) = (a.handle.clone(), b.id());
    let asking: Vec<_> = (0..6u8)
        .map(|i| {
            let handle = handle.clone();
            tokio::spawn(async move { handle.request(to, vec![i]).await })
        })
        .collect();
    let mut held = Vec::new();
    for _ in 0..4 {
        if let NetworkEvent::Request { reply, .. } = b.next().await {
            held.push(reply);
        }
    }
    assert!(b.hears_nothing().await, "a fifth request at once");
    // Dropped replies are answers that never come, and are noticed at once.
    drop(held);
    let mut ends = Vec::new();
    for ask in asking {
        ends.push(ask.await.unwrap().unwrap_err());
    }
    let busy = ends.iter().filter(|e| **e == RequestError::Busy).count();
    let unanswered = ends
        .iter()
        .filter(|e| **e == RequestError::NoAnswer)
        .count();
    assert_eq!((busy, unanswered), (2, 4));
    let labels = RequestLabels {
        direction: Direction::Out,
        outcome: RequestOutcome::Refused,
    };
    assert_eq!(a.metrics.requests.get_or_create(&labels).get(), 2);
}

#[tokio::test]
async fn a_bootstrap_peer_that_starts_late_or_comes_back_is_found() {
    // Learn a free port, and keep the identity, so that the address is known before the peer is.
    let key = Keypair::generate_ed25519();
    let first = start_with(CHAIN, &key, &[TCP], vec![]).await;
    let address = first.address();
    first.handle.shutdown().await;
    drop(first);

    let mut a = start(&[], vec![address.clone()]).await;
    sleep(Duration::from_millis(800)).await;
    assert!(a.handle.peers().is_empty());
    let listen = address.iter().take(2).collect::<Multiaddr>().to_string();
    for _ in 0..2 {
        let late = start_with(CHAIN, &key, &[&listen], vec![]).await;
        assert_eq!(a.connected().await, late.id());
        late.handle.shutdown().await;
        assert_eq!(a.disconnected().await, late.id());
    }
}

#[tokio::test]
async fn peers_find_each_other_through_one_they_know() {
    let hub = start(&[TCP], vec![]).await;
    let hub_address = hub.address();
    let mut nodes = vec![hub];
    for transport in [TCP, QUIC, TCP] {
        nodes.push(start(&[transport], vec![hub_address.clone()]).await);
    }
    until("everyone knows everyone", || {
        nodes.iter().all(|n| n.handle.peers().len() == 3)
    })
    .await;
}

#[tokio::test]
async fn a_banned_peer_is_dropped_and_stays_out_until_unbanned() {
    let mut b = start(&[TCP], vec![]).await;
    let mut a = start(&[], vec![b.address()]).await;
    assert_eq!(b.connected().await, a.id());
    a.connected().await;
    b.handle.ban(a.id()).await.unwrap();
    assert_eq!(b.disconnected().await, a.id());
    a.disconnected().await;
    // It keeps dialling, and is refused each time.
    sleep(A_WHILE).await;
    assert!(b.handle.peers().is_empty() && b.events.try_recv().is_err());
    b.handle.unban(a.id()).await;
    assert_eq!(b.connected().await, a.id());
}

#[tokio::test]
async fn a_peer_of_another_chain_is_not_talked_to() {
    let mut b = start(&[TCP], vec![]).await;
    let key = Keypair::generate_ed25519();
    let mut stranger = start_with(OTHER_CHAIN, &key, &[], vec![b.address()]).await;
    stranger
        .handle
        .publish_bytes(Topic::Tx, vec![1])
        .await
        .unwrap();
    assert!(b.hears_nothing().await);
    assert!(stranger.events.try_recv().is_err() && b.events.try_recv().is_err());
    assert!(b.handle.peers().is_empty() && stranger.handle.peers().is_empty());
    assert_eq!(
        stranger.handle.request(b.id(), vec![1]).await,
        Err(RequestError::NotConnected)
    );
}

#[tokio::test]
async fn a_node_that_does_not_read_its_events_stalls_nobody() {
    let (mut a, b, mut c) = chain(TCP).await;
    a.connected().await;
    c.connected().await;
    for i in 0..3000u32 {
        a.handle
            .publish_bytes(Topic::Vote, i.to_le_bytes().to_vec())
            .await
            .unwrap();
    }
    until("overload is counted", || {
        b.gossip_count(Topic::Vote, GossipOutcome::Overload) > 0
    })
    .await;
    // The task still serves the handle, and remembers who left.
    c.handle.shutdown().await;
    let gone = c.id();
    until("the disconnect is seen", || {
        b.handle.peers().iter().all(|p| p.id != gone)
    })
    .await;
    let mut b = b;
    assert_eq!(b.disconnected().await, gone);
}

/// B8, B19: a flood fills its sender's places, and not the queue.
#[tokio::test]
async fn one_peer_that_floods_does_not_drown_another() {
    let (mut a, mut b, mut c) = chain(TCP).await;
    a.connected().await;
    c.connected().await;
    for i in 0..3000u32 {
        a.handle
            .publish_bytes(Topic::Vote, i.to_le_bytes().to_vec())
            .await
            .unwrap();
    }
    until("overload is counted", || {
        b.gossip_count(Topic::Vote, GossipOutcome::Overload) > 1000
    })
    .await;
    c.handle
        .publish_bytes(Topic::Vote, b"honest".to_vec())
        .await
        .unwrap();
    sleep(A_WHILE).await;
    // Only now does the node read.
    while b.gossip(Verdict::Ignore).await != b"honest" {}
}

/// D: however many strangers ask, and wait, a reserved peer is answered.
#[tokio::test]
async fn strangers_do_not_take_the_requests_of_reserved_peers() {
    let key = Keypair::generate_ed25519();
    let nowhere = format!("/ip4/127.0.0.1/tcp/1/p2p/{}", key.public().to_peer_id());
    let mut b = start(&[TCP], vec![nowhere.parse().unwrap()]).await;
    let mut strangers = Vec::new();
    for _ in 0..12 {
        let mut it = start(&[], vec![b.address()]).await;
        it.connected().await;
        for i in 0..4u8 {
            let (handle, to) = (it.handle.clone(), b.id());
            tokio::spawn(async move { handle.request(to, vec![i]).await });
        }
        strangers.push(it);
    }
    let mut held = Vec::new();
    while let Ok(Some(event)) = timeout(A_WHILE, b.events.recv()).await {
        if let NetworkEvent::Request { reply, .. } = event {
            held.push(reply);
        }
    }
    assert_eq!(held.len(), 16);
    let mut friend = start_with(CHAIN, &key, &[], vec![b.address()]).await;
    friend.connected().await;
    let (answer, ()) = tokio::join!(
        friend.handle.request(b.id(), vec![1]),
        b.answer_one(vec![2])
    );
    assert_eq!(answer, Ok(vec![2]));
}

/// gossipsub puts more ids into an IHAVE than it reads of one, unless told otherwise; peers outside the mesh then break off for good.
#[tokio::test]
async fn a_busy_network_wider_than_a_mesh_does_not_fall_apart() {
    let hub = start(&[TCP], vec![]).await;
    let mut leaves = Vec::new();
    for _ in 0..16 {
        let mut leaf = start(&[], vec![hub.address()]).await;
        leaf.connected().await;
        leaves.push(tokio::spawn(async move {
            while leaf.gossip(Verdict::Accept).await != b"last" {}
        }));
    }
    for i in 0..3000u32 {
        let message = i.to_le_bytes().to_vec();
        hub.handle
            .publish_bytes(Topic::Vote, message)
            .await
            .unwrap();
        if i % 16 == 0 {
            sleep(Duration::from_millis(10)).await;
        }
    }
    sleep(A_WHILE).await;
    hub.handle
        .publish_bytes(Topic::Vote, b"last".to_vec())
        .await
        .unwrap();
    for leaf in leaves {
        leaf.await.unwrap();
    }
}

#[tokio::test]
async fn a_taken_port_is_a_clear_error() {
    let a = start(&[TCP], vec![]).await;
    let b = start(&[QUIC], vec![]).await;
    for taken in [a.address(), b.address()] {
        let taken: Multiaddr = taken.iter().filter(|p| !matches!(p, P2p(_))).collect();
        let config = config(CHAIN, &[&taken.to_string()], vec![]);
        let error = Network::start(config, &Keypair::generate_ed25519())
            .await
            .unwrap_err();
        assert!(error.to_string().contains(&taken.to_string()), "{error}");
    }
}

#[tokio::test]
async fn own_address_in_the_bootstrap_list_does_no_harm() {
    let key = Keypair::generate_ed25519();
    let first = start_with(CHAIN, &key, &[TCP], vec![]).await;
    let address = first.address();
    first.handle.shutdown().await;
    let listen = address.iter().take(2).collect::<Multiaddr>();
    let both = vec![address, listen.clone()];
    let node = start_with(CHAIN, &key, &[&listen.to_string()], both).await;
    sleep(Duration::from_millis(700)).await;
    assert!(node.handle.peers().is_empty());
}

#[tokio::test]
async fn more_bootstrap_addresses_than_are_dialled_are_refused() {
    let many = |count| vec!["/ip4/127.0.0.1/tcp/1".parse().unwrap(); count];
    start(&[], many(MAX_BOOTSTRAP)).await;
    let config = config(CHAIN, &[], many(MAX_BOOTSTRAP + 1));
    let error = Network::start(config, &Keypair::generate_ed25519()).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("257 bootstrap addresses"), "{error}");
}

#[tokio::test]
async fn so_many_peers_are_banned_and_one_more_is_refused_and_stays() {
    let mut b = start(&[TCP], vec![]).await;
    let mut a = start(&[], vec![b.address()]).await;
    a.connected().await;
    assert_eq!(b.connected().await, a.id());
    let banned: Vec<_> = (0..MAX_BANNED).map(|_| PeerId::random()).collect();
    for peer in &banned {
        b.handle.ban(*peer).await.unwrap();
    }
    assert_eq!(b.handle.ban(a.id()).await, Err(TooManyBanned));
    assert_eq!(b.handle.ban(banned[0]).await, Ok(()), "it is already");
    assert_eq!(b.handle.peers().len(), 1);
    b.handle.unban(banned[0]).await;
    assert_eq!(b.handle.ban(a.id()).await, Ok(()));
    assert_eq!(b.disconnected().await, a.id());
}

#[tokio::test]
async fn own_questions_are_so_many_at_once_and_one_more_is_not_asked() {
    let mut servers = Vec::new();
    for _ in 0..=task::OUTBOUND / task::OUTBOUND_PER_PEER {
        servers.push(start(&[TCP], vec![]).await);
    }
    let mut a = start(&[], servers.iter().map(Node::address).collect()).await;
    for _ in &servers {
        a.connected().await;
    }
    let (mut asking, mut held) = (Vec::new(), Vec::new());
    let mut last = servers.pop().unwrap();
    for server in &mut servers {
        for i in 0..task::OUTBOUND_PER_PEER {
            let (handle, to) = (a.handle.clone(), server.id());
            let question = vec![u8::try_from(i).unwrap()];
            asking.push(tokio::spawn(
                async move { handle.request(to, question).await },
            ));
        }
        while held.len() < asking.len() {
            if let NetworkEvent::Request { reply, .. } = server.next().await {
                held.push(reply);
            }
        }
    }
    assert_eq!(held.len(), task::OUTBOUND);
    let one_more = a.handle.request(last.id(), vec![1]).await;
    assert_eq!(one_more, Err(RequestError::Busy));
    for (reply, ask) in held.into_iter().zip(asking) {
        reply.send(vec![2]).unwrap();
        assert_eq!(ask.await.unwrap(), Ok(vec![2]));
    }
    let (answer, ()) = tokio::join!(
        a.handle.request(last.id(), vec![1]),
        last.answer_one(vec![3])
    );
    assert_eq!(answer, Ok(vec![3]));
}

/// At either end: who asked is told, and who was asked need not answer any more.
#[tokio::test]
async fn a_question_without_an_answer_is_over_in_its_time() {
    let hasty = Times {
        request: Duration::from_millis(300),
        ..Times::default()
    };
    for (asks, asked, end) in [
        (hasty, Times::default(), RequestError::Timeout),
        (Times::default(), hasty, RequestError::NoAnswer),
    ] {
        let mut b = start_hasty(asked, vec![]).await;
        let mut a = start_hasty(asks, vec![b.address()]).await;
        let (to, handle) = (a.connected().await, a.handle.clone());
        let asking = tokio::spawn(async move { handle.request(to, vec![1]).await });
        let mut reply = loop {
            if let NetworkEvent::Request { reply, .. } = b.next().await {
                break reply;
            }
        };
        assert_eq!(asking.await.unwrap(), Err(end));
        if end == RequestError::NoAnswer {
            timeout(PATIENCE, reply.closed()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_verdict_that_comes_too_late_forwards_nothing() {
    let times = Times {
        heartbeat: Duration::from_millis(10),
        ..Times::default()
    };
    let mut b = start_hasty(times, vec![]).await;
    let mut a = start(&[], vec![b.address()]).await;
    let mut c = start(&[], vec![b.address()]).await;
    a.connected().await;
    c.connected().await;
    for (i, late) in [(1, false), (2, true), (3, false)] {
        a.handle.publish_bytes(Topic::Tx, vec![i]).await.unwrap();
        let id = loop {
            if let NetworkEvent::Gossip { id, .. } = b.next().await {
                break id;
            }
        };
        // gossipsub looks at the clock when there is something to do.
        for _ in 0..if late {
            8 * gossip::MEMORY_HEARTBEATS
        } else {
            0
        } {
            b.handle.unban(PeerId::random()).await;
            sleep(times.heartbeat).await;
        }
        b.handle.report(id, Verdict::Accept).await;
        if !late {
            // What came too late would come before.
            assert_eq!(c.gossip(Verdict::Accept).await, vec![i]);
        }
    }
    assert_eq!(b.gossip_count(Topic::Tx, GossipOutcome::Late), 1);
    assert_eq!(b.gossip_count(Topic::Tx, GossipOutcome::Accept), 2);
}

#[tokio::test]
async fn the_same_bytes_travel_once_until_they_are_forgotten() {
    let times = Times {
        duplicates: Duration::from_secs(1),
        ..Times::default()
    };
    let mut b = start_hasty(times, vec![]).await;
    let mut a = start_hasty(times, vec![b.address()]).await;
    a.connected().await;
    let said = async |what: &[u8]| {
        let published = a.handle.publish_bytes(Topic::Tx, what.to_vec());
        published.await.unwrap();
    };
    // Again, and another that would come after it.
    for what in [b"one", b"one", b"two"] {
        said(what).await;
    }
    assert_eq!(b.gossip(Verdict::Accept).await, b"one");
    assert_eq!(b.gossip(Verdict::Accept).await, b"two");
    sleep(times.duplicates).await;
    // gossipsub forgets when the next message comes.
    for what in [b"new", b"one"] {
        said(what).await;
        assert_eq!(b.gossip(Verdict::Accept).await, what);
    }
}

/// No connection has a turn before this task waits, so nothing leaves the queue meanwhile.
#[tokio::test]
async fn a_slow_peer_misses_what_its_queue_does_not_hold() {
    let names = topic::Names::new(&CHAIN);
    let swarm = || {
        let (key, reserved) = (Keypair::generate_ed25519(), limits::Reserved::default());
        transport::swarm(&key, &names, reserved, &Times::default()).unwrap()
    };
    let (mut a, mut b) = (swarm(), swarm());
    let listen = [TCP.parse().unwrap()];
    let bound = task::listen(&mut b, &listen, PATIENCE).await.unwrap();
    a.dial(bound[0].clone()).unwrap();
    let vote = names.topic(Topic::Vote);
    let subscribed = async {
        loop {
            tokio::select! {
                event = a.select_next_some() => match event {
                    SwarmEvent::Behaviour(transport::ProtocolsEvent::Gossip(
                        gossipsub::Event::Subscribed { topic, .. },
                    )) if topic == vote.hash() => break,
                    _ => {}
                },
                _ = b.select_next_some() => {}
            }
        }
    };
    timeout(PATIENCE, subscribed).await.unwrap();
    let mut say = |i: usize| {
        let gossip = &mut a.behaviour_mut().gossip;
        gossip.publish(vote.clone(), i.to_le_bytes())
    };
    for i in 0..gossip::QUEUE_PER_PEER {
        say(i).unwrap();
    }
    let one_more = say(gossip::QUEUE_PER_PEER);
    assert!(
        matches!(one_more, Err(gossipsub::PublishError::AllQueuesFull(1))),
        "{one_more:?}"
    );
    let mut hears = async |i: usize| {
        let heard = async {
            loop {
                tokio::select! {
                    _ = a.select_next_some() => {}
                    event = b.select_next_some() => if let SwarmEvent::Behaviour(
                        transport::ProtocolsEvent::Gossip(gossipsub::Event::Message { message, .. }),
                    ) = event {
                        break message.data;
                    }
                }
            }
        };
        let heard = timeout(PATIENCE, heard).await.unwrap();
        assert_eq!(heard, i.to_le_bytes());
    };
    for i in 0..gossip::QUEUE_PER_PEER {
        hears(i).await;
    }
}

/// A peer that speaks little: what it is, if it says so, and pings, which it answers or leaves unanswered.
#[derive(NetworkBehaviour)]
struct Taciturn {
    identify: Toggle<identify::Behaviour>,
    ping: Toggle<ping::Behaviour>,
    silence: Toggle<request_response::Behaviour<Silence>>,
}

/// Reads and answers nothing; counts what it was to read.
#[derive(Clone, Default)]
struct Silence(Arc<AtomicU32>);

impl request_response::Codec for Silence {
    type Protocol = StreamProtocol;
    type Request = ();
    type Response = ();

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<()>
    where
        T: AsyncRead + Unpin + Send,
    {
        io.read_exact(&mut [0; 32]).await?;
        self.0.fetch_add(1, Ordering::SeqCst);
        std::future::pending().await
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, _: &mut T) -> io::Result<()>
    where
        T: AsyncRead + Unpin + Send,
    {
        Ok(())
    }

    async fn write_request<T>(&mut self, _: &StreamProtocol, _: &mut T, (): ()) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        Ok(())
    }

    async fn write_response<T>(&mut self, _: &StreamProtocol, _: &mut T, (): ()) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        Ok(())
    }
}

impl Taciturn {
    /// Connects; `agent` is what it says it runs.
    fn dial(to: &Multiaddr, agent: Option<&str>, silence: Option<Silence>) -> Swarm<Taciturn> {
        let key = Keypair::generate_ed25519();
        let chain = topic::Names::new(&CHAIN).identify();
        let identify = |agent: &str| {
            let config = identify::Config::new(chain, key.public());
            identify::Behaviour::new(config.with_agent_version(agent.to_owned()))
        };
        let pings = silence.is_none().then(ping::Behaviour::default);
        let silence = silence.map(|silence| {
            let protocol = StreamProtocol::new("/ipfs/ping/1.0.0");
            let only_asked = request_response::ProtocolSupport::Inbound;
            let config = request_response::Config::default().with_request_timeout(PATIENCE);
            request_response::Behaviour::with_codec(silence, [(protocol, only_asked)], config)
        });
        let behaviour = Taciturn {
            identify: agent.map(identify).into(),
            ping: pings.into(),
            silence: silence.into(),
        };
        let mut swarm = SwarmBuilder::with_existing_identity(key)
            .with_tokio()
            .with_tcp(
                libp2p::tcp::Config::default(),
                noise::Config::new,
                muxer::Upgrade::new,
            )
            .unwrap()
            .with_behaviour(|_| behaviour)
            .unwrap()
            .with_swarm_config(|config| config.with_idle_connection_timeout(PATIENCE * 2))
            .build();
        swarm.dial(to.clone()).unwrap();
        swarm
    }
}

/// Until the other end has closed the connection.
async fn cut_off(swarm: &mut Swarm<Taciturn>) {
    let closed = async {
        while !matches!(
            swarm.select_next_some().await,
            SwarmEvent::ConnectionClosed { .. }
        ) {}
    };
    timeout(PATIENCE, closed).await.expect("cut off in time");
}

#[tokio::test]
async fn who_does_not_say_of_which_chain_it_is_is_cut_off() {
    let times = Times {
        identify: Duration::from_millis(300),
        ..Times::default()
    };
    let a = start_hasty(times, vec![]).await;
    let b = start(&[], vec![a.address()]).await;
    cut_off(&mut Taciturn::dial(&a.address(), None, None)).await;
    until("who says it stays", || {
        let peers = a.handle.peers();
        peers.len() == 1 && peers[0].id == b.id()
    })
    .await;
}

/// Pings are no use: they are made of every connection.
#[tokio::test]
async fn a_connection_that_no_protocol_uses_is_closed() {
    let times = Times {
        idle: Duration::from_secs(1),
        ping_interval: Duration::from_millis(200),
        ..Times::default()
    };
    let mut a = start_hasty(times, vec![]).await;
    let mut b = start(&[], vec![a.address()]).await;
    assert_eq!(a.connected().await, b.id());
    b.connected().await;
    let mut it = Taciturn::dial(&a.address(), Some("idle"), None);
    let id = *it.local_peer_id();
    cut_off(&mut it).await;
    assert_eq!(a.connected().await, id);
    assert_eq!(a.disconnected().await, id);
    assert_eq!(a.handle.peers().len(), 1, "gossip keeps the other's open");
    assert!(b.events.try_recv().is_err());
}

#[tokio::test]
async fn a_peer_that_leaves_pings_unanswered_is_cut_off_and_one_that_answers_is_not() {
    let times = Times {
        ping: Duration::from_millis(500),
        ping_interval: Duration::from_millis(100),
        ..Times::default()
    };
    let a = start_hasty(times, vec![]).await;
    let mut b = start(&[], vec![a.address()]).await;
    b.connected().await;
    let silence = Silence::default();
    let mut it = Taciturn::dial(&a.address(), Some("silent"), Some(silence.clone()));
    cut_off(&mut it).await;
    // Beside the first.
    assert_eq!(silence.0.load(Ordering::SeqCst), 1 + task::PING_FAILURES);
    assert_eq!(a.handle.peers().len(), 1);
    assert!(b.events.try_recv().is_err());
}

#[tokio::test]
async fn what_a_peer_says_it_runs_is_cut_and_made_safe() {
    let a = start(&[TCP], vec![]).await;
    let whole = "x".repeat(task::AGENT_CHARS);
    let (long, odd) = (format!("{whole}y"), "\u{1b}[31m\u{202e}\u{e9}");
    for (said, shown) in [(&*whole, &*whole), (&long, &whole), (odd, "?[31m??")] {
        let mut it = Taciturn::dial(&a.address(), Some(said), None);
        let id = *it.local_peer_id();
        let talks = tokio::spawn(async move {
            loop {
                it.select_next_some().await;
            }
        });
        let agent = || {
            let peers = a.handle.peers().into_iter();
            peers.into_iter().find(|peer| peer.id == id)
        };
        until("it is identified", || agent().is_some()).await;
        assert_eq!(agent().unwrap().agent, shown);
        talks.abort();
    }
}
