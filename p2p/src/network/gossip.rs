//! How gossipsub is set up. Its defaults forward before validation, score nobody and identify messages by their
//! sender's counter, which lets one message travel many times; all three are changed here.
//!
//! Messages are anonymous: without the author's name, counter and signature, which gossipsub would verify for every copy it is sent. Whatever
//! travels here is either signed by whom it binds (transactions, votes, evidence) or claims nothing that is believed (heights, which
//! only tell whom to ask); and who *passes on* a message answers for it, over a connection that noise or TLS has authenticated.
//!
//! Bound: memory is (messages remembered) × (topic cap). Unjudged messages are at most the event queue's length, for
//! what does not fit there is ignored at once; judged ones are forgotten after [`MEMORY_HEARTBEATS`].

use super::{
    limits::Reserved,
    times::Times,
    topic::{Names, Topic},
};
use libp2p::gossipsub::{
    Behaviour, ConfigBuilder, IdentityTransform, Message, MessageAuthenticity, MessageId,
    PeerScoreParams, PeerScoreThresholds, TopicScoreParams, ValidationMode,
    WhitelistSubscriptionFilter,
};
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};

/// Mesh upkeep and gossip about missed messages.
pub(super) const HEARTBEAT: Duration = Duration::from_millis(400);
/// How long, in heartbeats, a message can be judged; after it a verdict comes too late. Ten seconds: ample for a proof to
/// be verified behind a queue of others.
pub(crate) const MEMORY_HEARTBEATS: usize = 25;
/// Heartbeats during which a message is advertised to peers outside the mesh.
const ADVERTISED_HEARTBEATS: usize = 5;
/// How long the same bytes are not accepted or sent again. Longer than any message wanders. gossipsub forgets when the next message comes: on a
/// network where nobody says anything, it remembers for longer.
pub(crate) const DUPLICATE_MEMORY: Duration = Duration::from_secs(60);
/// Topic and framing of one message; gossipsub counts them on receipt, but not on sending.
const MESSAGE_OVERHEAD_BYTES: usize = 512;
/// Control messages beside the largest message in one RPC, and 8 KiB of the next one: gossipsub measures whatever it has read, and breaks the stream
/// off if that is too much.
const RPC_OVERHEAD_BYTES: usize = 16 << 10;
/// Messages waiting for one slow peer, after which it misses some.
pub(crate) const QUEUE_PER_PEER: usize = 512;
/// Messages in one RPC; honest peers send one. A longer one is not read, and its stream is closed.
pub(crate) const MAX_MESSAGES_PER_RPC: usize = 64;
/// Ids of messages in one IHAVE or IWANT. gossipsub would put 5000 into one, 170 KB, and take 16 KiB of control messages: past 480 messages in
/// two seconds, peers outside the mesh would break off their streams with each other. And so many promises broken at once by an honest peer
/// whose link is slow are no offence ([`BROKEN_PROMISES`]).
pub(crate) const IDS_PER_CONTROL: usize = 64;
/// Offences against the protocol that are forgiven: messages promised and not sent, peers grafted before their time.
pub(crate) const BROKEN_PROMISES: u8 = 100;
/// How long the standing of a peer that left is remembered. It keeps nobody from coming back under another name, and strangers who do so would
/// fill it.
pub(crate) const SCORE_MEMORY: Duration = Duration::from_secs(60);
/// Peers of one address that may be in good standing (loopback and the addresses of reserved peers are exempt).
pub(crate) const COLOCATED_PEERS: u8 = 8;
/// Below it nothing a peer says is heard.
pub(crate) const GRAYLIST: f64 = -60.0;
/// How long a peer that was dropped from the mesh stays out.
const PRUNE_BACKOFF: Duration = Duration::from_secs(10);
/// One time unit of standing in a mesh.
const MESH_QUANTUM: Duration = Duration::from_secs(1);

/// gossipsub, transforming nothing and knowing only our topics.
pub(super) type Gossip = Behaviour<IdentityTransform, WhitelistSubscriptionFilter>;

/// Builds gossipsub, subscribed to every topic of the chain.
pub(super) fn behaviour(
    names: &Names,
    reserved: &Reserved,
    times: &Times,
) -> Result<Gossip, String> {
    let mut config = ConfigBuilder::default();
    let largest = Topic::ALL
        .iter()
        .map(|topic| topic.max_bytes())
        .max()
        .unwrap_or_default();
    config
        .protocol_id_prefix(names.gossip_prefix())
        .validate_messages()
        .validation_mode(ValidationMode::Anonymous)
        .message_id_fn(message_id)
        .max_transmit_size(largest.saturating_add(RPC_OVERHEAD_BYTES))
        .heartbeat_initial_delay(times.heartbeat)
        .heartbeat_interval(times.heartbeat)
        .history_length(MEMORY_HEARTBEATS)
        .history_gossip(ADVERTISED_HEARTBEATS)
        .duplicate_cache_time(times.duplicates)
        .mesh_outbound_min(2)
        .mesh_n_low(5)
        .mesh_n(8)
        .mesh_n_high(12)
        .gossip_lazy(6)
        // Own messages go to every peer of the topic, so a mesh that has not formed yet loses none.
        .flood_publish(true)
        .prune_backoff(PRUNE_BACKOFF)
        .connection_handler_queue_len(QUEUE_PER_PEER)
        .max_control_messages_sent(IDS_PER_CONTROL)
        .max_publish_messages(MAX_MESSAGES_PER_RPC);
    for topic in Topic::ALL {
        config.max_transmit_size_for_topic(
            topic.max_bytes().saturating_add(MESSAGE_OVERHEAD_BYTES),
            names.topic(topic).hash(),
        );
    }
    let config = config.build().map_err(|e| e.to_string())?;

    let known = Topic::ALL.map(|topic| names.topic(topic).hash());
    let mut gossip = Behaviour::new_with_subscription_filter_and_transform(
        MessageAuthenticity::Anonymous,
        config,
        WhitelistSubscriptionFilter(known.into_iter().collect()),
        IdentityTransform,
    )?;
    gossip.with_peer_score(score_params(names, reserved), score_thresholds())?;
    for topic in Topic::ALL {
        gossip
            .subscribe(&names.topic(topic))
            .map_err(|e| format!("{e:?}"))?;
    }
    Ok(gossip)
}

/// SHA-256 of topic and data: the same message from whomever is the same message.
fn message_id(message: &Message) -> MessageId {
    let digest = Sha256::new()
        .chain_update(message.topic.as_str())
        .chain_update(&message.data)
        .finalize();
    MessageId::new(&digest)
}

/// A peer loses standing by invalid messages (P4), protocol abuse (P7) and crowding one address (P6), and gains a
/// little by being useful (P1, P2). A quiet peer is not punished (P3 off): on a quiet chain all are quiet. Nor is a slow one: it misses messages
/// and harms nobody, and one that was stopped for a while would come back to find itself unheard.
fn score_params(names: &Names, reserved: &Reserved) -> PeerScoreParams {
    let topic = TopicScoreParams {
        topic_weight: 1.0,
        time_in_mesh_weight: 0.01,
        time_in_mesh_quantum: MESH_QUANTUM,
        time_in_mesh_cap: 300.0,
        first_message_deliveries_weight: 0.1,
        first_message_deliveries_decay: 0.9,
        first_message_deliveries_cap: 50.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        // One invalid message -10, two -40, three -90: beyond what good deeds can pay for. Forgiven in some minutes.
        invalid_message_deliveries_weight: -10.0,
        invalid_message_deliveries_decay: 0.99,
        ..TopicScoreParams::default()
    };
    let topics: HashMap<_, _> = Topic::ALL
        .iter()
        .map(|name| (names.topic(*name).hash(), topic.clone()))
        .collect();
    let local = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()].into_iter();
    PeerScoreParams {
        topics,
        topic_score_cap: 20.0,
        app_specific_weight: 1.0,
        // As many as `limits` lets in from one address fall out of every mesh, and are heard still.
        ip_colocation_factor_weight: -0.5,
        ip_colocation_factor_threshold: COLOCATED_PEERS.into(),
        ip_colocation_factor_whitelist: local.chain(reserved.ips.iter().copied()).collect(),
        behaviour_penalty_weight: -1.0,
        behaviour_penalty_threshold: BROKEN_PROMISES.into(),
        behaviour_penalty_decay: 0.9,
        slow_peer_weight: 0.0,
        retain_score: SCORE_MEMORY,
        ..PeerScoreParams::default()
    }
}

fn score_thresholds() -> PeerScoreThresholds {
    PeerScoreThresholds {
        gossip_threshold: -20.0,
        publish_threshold: -40.0,
        graylist_threshold: GRAYLIST,
        accept_px_threshold: 1000.0,
        opportunistic_graft_threshold: 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::limits::MAX_PER_ADDRESS, *};
    use libp2p::{
        Multiaddr, PeerId,
        core::ConnectedPoint,
        swarm::{ConnectionId, FromSwarm, NetworkBehaviour as _, behaviour::ConnectionEstablished},
    };
    use tender_wire::ChainId;

    /// A peer that dialled in.
    fn enter(gossip: &mut Gossip, number: usize, from: &str) -> PeerId {
        let (peer, id) = (PeerId::random(), ConnectionId::new_unchecked(number));
        let (local, remote): (Multiaddr, Multiaddr) = (Multiaddr::empty(), from.parse().unwrap());
        let _ = gossip
            .handle_established_inbound_connection(id, peer, &local, &remote)
            .unwrap();
        let endpoint = ConnectedPoint::Listener {
            local_addr: local,
            send_back_addr: remote,
        };
        gossip.on_swarm_event(FromSwarm::ConnectionEstablished(ConnectionEstablished {
            peer_id: peer,
            connection_id: id,
            endpoint: &endpoint,
            failed_addresses: &[],
            other_established: 0,
        }));
        peer
    }

    /// B17: many peers of one address lose their standing, and are heard still as long as `limits` lets so many in.
    #[tokio::test]
    async fn so_many_peers_of_one_address_are_in_good_standing_and_no_more() {
        let home: Multiaddr = format!("/ip4/7.7.7.7/tcp/1/p2p/{}", PeerId::random())
            .parse()
            .unwrap();
        let mut gossip = behaviour(
            &Names::new(&ChainId([1; 32])),
            &Reserved::of(&[home]),
            &Times::default(),
        )
        .unwrap();
        let mut numbers = 0..;
        let mut crowd = |gossip: &mut Gossip, size: usize, from: &str| {
            let numbers = numbers.by_ref().take(size);
            let crowd = numbers.map(|number| enter(gossip, number, from));
            crowd.collect::<Vec<_>>()
        };
        let office = "/ip4/9.9.9.9/tcp/1";
        let mut peers = crowd(&mut gossip, COLOCATED_PEERS.into(), office);
        assert!(peers.iter().all(|p| gossip.peer_score(p) == Some(0.0)));
        peers.extend(crowd(&mut gossip, 1, office));
        assert!(peers.iter().all(|p| gossip.peer_score(p) < Some(0.0)));
        peers.extend(crowd(&mut gossip, MAX_PER_ADDRESS - peers.len(), office));
        assert!(peers.iter().all(|p| gossip.peer_score(p) > Some(GRAYLIST)));
        for exempt in ["/ip4/127.0.0.1/tcp/1", "/ip4/7.7.7.7/tcp/5555"] {
            let peers = crowd(&mut gossip, MAX_PER_ADDRESS, exempt);
            assert!(peers.iter().all(|p| gossip.peer_score(p) == Some(0.0)));
        }
    }
}
