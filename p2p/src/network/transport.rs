//! The swarm: transports, their windows, and the protocols that run over them.
//!
//! Bound: a connection buffers at most what [`super::muxer`] says under yamux, or [`QUIC_CONNECTION_BYTES`] under QUIC;
//! [`super::limits`] bounds the connections. Should the process hold [`MAX_MEMORY`] nevertheless, none is added.

use super::{
    codec::FrameCodec,
    gossip::{self, Gossip},
    limits::{Limits, Reserved},
    muxer,
    times::Times,
    topic::Names,
};
use libp2p::{
    StreamProtocol, Swarm, SwarmBuilder, allow_block_list, identify,
    identity::Keypair,
    kad::{self, store::MemoryStore},
    memory_connection_limits, noise, ping, quic, request_response,
    swarm::NetworkBehaviour,
    tcp,
};
use std::{num::NonZeroUsize, time::Duration};

/// A handshake that takes longer is dropped (THREATS B16).
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// A request without an answer is over.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection that no protocol uses is closed.
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Requests under way on one connection, both directions.
pub(crate) const REQUEST_STREAMS: usize = 16;
/// Share of the machine's memory above which no connection is added.
pub(crate) const MAX_MEMORY: f64 = 0.9;
/// Unread bytes of one QUIC stream.
pub(crate) const QUIC_STREAM_BYTES: u32 = 256 << 10;
/// Unread bytes of one QUIC connection.
pub(crate) const QUIC_CONNECTION_BYTES: u32 = 2 << 20;
/// Streams whose protocol is still being agreed on, per connection; others wait for their turn.
pub(crate) const NEGOTIATING_STREAMS: usize = 16;
/// Events of one connection that wait for the swarm.
pub(crate) const EVENTS_PER_CONNECTION: usize = 16;
/// Ping period.
pub(super) const PING_INTERVAL: Duration = Duration::from_secs(10);
/// Ping answer deadline: generous, for a machine busy with proofs.
pub(crate) const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Kademlia message: 20 peers with some addresses each.
pub(crate) const KAD_PACKET_BYTES: usize = 16 << 10;
/// How often kad looks around by itself.
const KAD_REFRESH: Duration = Duration::from_secs(30);

/// Everything a peer speaks. The refusing behaviours come first.
#[derive(NetworkBehaviour)]
pub(super) struct Protocols {
    pub(super) banned: allow_block_list::Behaviour<allow_block_list::BlockedPeers>,
    pub(super) limits: Limits,
    pub(super) memory: memory_connection_limits::Behaviour,
    pub(super) gossip: Gossip,
    pub(super) requests: request_response::Behaviour<FrameCodec>,
    pub(super) identify: identify::Behaviour,
    pub(super) ping: ping::Behaviour,
    pub(super) kad: kad::Behaviour<MemoryStore>,
}

/// Builds the swarm; it listens nowhere yet.
pub(super) fn swarm(
    identity: &Keypair,
    names: &Names,
    reserved: Reserved,
    times: &Times,
) -> Result<Swarm<Protocols>, String> {
    let protocols = Protocols {
        banned: allow_block_list::Behaviour::default(),
        gossip: gossip::behaviour(names, &reserved, times)?,
        limits: Limits::new(reserved),
        memory: memory_connection_limits::Behaviour::with_max_percentage(MAX_MEMORY),
        requests: requests(names.request().map_err(|e| e.to_string())?, times),
        identify: identify::Behaviour::new(
            identify::Config::new(names.identify(), identity.public())
                .with_agent_version(concat!("tender/", env!("CARGO_PKG_VERSION")).to_owned())
                .with_push_listen_addr_updates(true)
                // Addresses are kept by kad, after `address::accept`.
                .with_cache_size(0),
        ),
        ping: ping::Behaviour::new(
            ping::Config::new()
                .with_interval(times.ping_interval)
                .with_timeout(times.ping),
        ),
        kad: kademlia(identity, names.kad().map_err(|e| e.to_string())?),
    };
    let swarm = SwarmBuilder::with_existing_identity(identity.clone())
        .with_tokio()
        .with_tcp(
            tcp::Config::default().nodelay(true),
            noise::Config::new,
            muxer::Upgrade::new,
        )
        .map_err(|e| e.to_string())?
        .with_quic_config(bounded)
        .with_behaviour(|_| protocols)
        .map_err(|e| e.to_string())?
        .with_swarm_config(|config| {
            config
                .with_idle_connection_timeout(times.idle)
                .with_max_negotiating_inbound_streams(NEGOTIATING_STREAMS)
                .with_per_connection_event_buffer_size(EVENTS_PER_CONNECTION)
        })
        .with_connection_timeout(HANDSHAKE_TIMEOUT)
        .build();
    Ok(swarm)
}

fn bounded(mut quic: quic::Config) -> quic::Config {
    quic.handshake_timeout = HANDSHAKE_TIMEOUT;
    quic.max_concurrent_stream_limit = muxer::STREAMS;
    quic.max_stream_data = QUIC_STREAM_BYTES;
    quic.max_connection_data = QUIC_CONNECTION_BYTES;
    quic
}

fn requests(protocol: StreamProtocol, times: &Times) -> request_response::Behaviour<FrameCodec> {
    request_response::Behaviour::new(
        [(protocol, request_response::ProtocolSupport::Full)],
        request_response::Config::default()
            .with_request_timeout(times.request)
            .with_max_concurrent_streams(REQUEST_STREAMS),
    )
}

/// Kademlia for finding peers alone: it keeps no records, and no address enters its table but through
/// `address::accept`.
fn kademlia(identity: &Keypair, protocol: StreamProtocol) -> kad::Behaviour<MemoryStore> {
    let local = identity.public().to_peer_id();
    let mut config = kad::Config::new(protocol);
    config
        .set_record_filtering(kad::StoreInserts::FilterBoth)
        .set_kbucket_inserts(kad::BucketInserts::Manual)
        .set_caching(kad::Caching::Disabled)
        .set_replication_interval(None)
        .set_publication_interval(None)
        .set_provider_publication_interval(None)
        .set_max_packet_size(KAD_PACKET_BYTES)
        .set_query_timeout(REQUEST_TIMEOUT)
        .set_parallelism(NonZeroUsize::MIN.saturating_add(2))
        .set_periodic_bootstrap_interval(Some(KAD_REFRESH));
    let store = MemoryStore::with_config(
        local,
        kad::store::MemoryStoreConfig {
            max_records: 0,
            max_value_bytes: 0,
            max_provided_keys: 0,
            max_providers_per_key: 0,
        },
    );
    let mut kad = kad::Behaviour::with_config(local, store, config);
    kad.set_mode(Some(kad::Mode::Server));
    kad
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{AsyncReadExt as _, AsyncWriteExt as _, FutureExt as _, future::poll_fn};
    use libp2p::{
        PeerId, Transport as _,
        core::{
            Endpoint,
            muxing::{StreamMuxerBox, StreamMuxerExt as _, SubstreamBox},
            transport::{Boxed, DialOpts, ListenerId, PortUse, TransportEvent},
        },
    };

    type Quic = Boxed<(PeerId, StreamMuxerBox)>;

    fn quic(config: impl Fn(quic::Config) -> quic::Config) -> Quic {
        let config = config(quic::Config::new(&Keypair::generate_ed25519()));
        let transport = quic::tokio::Transport::new(config);
        let boxed = |(peer, muxer), _| (peer, StreamMuxerBox::new(muxer));
        transport.map(boxed).boxed()
    }

    async fn event(
        transport: &mut Quic,
    ) -> TransportEvent<<Quic as libp2p::Transport>::ListenerUpgrade, std::io::Error> {
        poll_fn(|cx| std::pin::Pin::new(&mut *transport).poll(cx)).await
    }

    /// Whatever the stream takes at once: QUIC takes what the other side has said it would hold.
    fn fill(stream: &mut SubstreamBox) -> u32 {
        let mut taken = 0;
        while let Some(written) = stream.write(&[0; 10_000]).now_or_never() {
            taken += u32::try_from(written.unwrap()).unwrap();
        }
        taken
    }

    /// B15: a peer says how much it holds unread of a stream, and of all of them; whoever sends more waits until some is read.
    #[tokio::test]
    async fn unread_quic_makes_its_sender_wait() {
        let (mut victim, mut stranger) = (quic(bounded), quic(|config| config));
        let listen = "/ip4/127.0.0.1/udp/0/quic-v1".parse().unwrap();
        victim.listen_on(ListenerId::next(), listen).unwrap();
        let address = match event(&mut victim).await {
            TransportEvent::NewAddress { listen_addr, .. } => listen_addr,
            other => panic!("{other:?}"),
        };
        let opts = DialOpts {
            role: Endpoint::Dialer,
            port_use: PortUse::New,
        };
        let dial = stranger.dial(address, opts).unwrap();
        let accept = async {
            let TransportEvent::Incoming { upgrade, .. } = event(&mut victim).await else {
                panic!("nobody comes");
            };
            upgrade.await
        };
        let (dialled, accepted) = tokio::join!(dial, accept);
        let ((_, mut theirs), (_, mut ours)) = (dialled.unwrap(), accepted.unwrap());

        let (mut streams, mut unread, mut sent) = (Vec::new(), Vec::new(), 0);
        while sent < QUIC_CONNECTION_BYTES {
            let mut stream = poll_fn(|cx| theirs.poll_outbound_unpin(cx)).await.unwrap();
            assert_eq!(fill(&mut stream), QUIC_STREAM_BYTES);
            sent += QUIC_STREAM_BYTES;
            streams.push(stream);
            unread.push(poll_fn(|cx| ours.poll_inbound_unpin(cx)).await.unwrap());
        }
        let mut one_more = poll_fn(|cx| theirs.poll_outbound_unpin(cx)).await.unwrap();
        assert_eq!(fill(&mut one_more), 0, "beyond what the connection holds");
        // Once that is read there is room again, for this stream and for the others.
        let mut read = vec![0; usize::try_from(QUIC_STREAM_BYTES).unwrap()];
        unread[0].read_exact(&mut read).await.unwrap();
        one_more.write_all(&[0; 10_000]).await.unwrap();
    }
}
