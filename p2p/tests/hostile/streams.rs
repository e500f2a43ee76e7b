//! As much on one connection as a limit allows, and one more. The network stands alone here: no chain runs above it.

use crate::{
    net::PATIENCE,
    wire::{self, Manners, Stranger, field, flag, varint},
};
use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use libp2p::identity::Keypair;
use std::pin::pin;
use tender_p2p::{
    limits,
    metrics::Metrics,
    network::{Network, NetworkConfig, NetworkEvent, NetworkHandle, Topic},
};
use tender_wire::ChainId;
use tokio::{
    sync::mpsc,
    time::{Duration, timeout},
};

/// The value of a limit of the network.
fn limit(name: &str) -> usize {
    let name = format!("crate::network::{name}");
    let table = limits::table();
    let limit = table.iter().find(|limit| limit.name == name);
    usize::try_from(limit.unwrap().value).unwrap()
}

/// A network, what it tells, and a stranger to it.
async fn network() -> (NetworkHandle, mpsc::Receiver<NetworkEvent>, Stranger) {
    let chain = ChainId([1; 32]);
    let config = NetworkConfig {
        chain,
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
        bootstrap: vec![],
        metrics: Metrics::new(),
    };
    let started = Network::start(config, &Keypair::generate_ed25519()).await;
    let (handle, events) = started.unwrap();
    let address = &handle.listen_addresses()[0];
    let it = Stranger::dial(address, Manners::of(chain)).await.unwrap();
    (handle, events, it)
}

/// The next gossip message.
async fn heard(events: &mut mpsc::Receiver<NetworkEvent>) -> Vec<u8> {
    let heard = async {
        loop {
            if let Some(NetworkEvent::Gossip { data, .. }) = events.recv().await {
                return data;
            }
        }
    };
    timeout(PATIENCE, heard).await.unwrap()
}

/// B19.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b19_a_packet_of_more_messages_than_one_carries_is_dropped_whole() {
    let (_network, mut events, it) = network().await;
    let most = limit("gossip::MAX_MESSAGES_PER_RPC") as u64;
    let topic = it.topic(Topic::Vote);
    let packet = |from: u64, count: u64| {
        let numbers = from..from + count;
        let messages = numbers.map(|i| wire::message(&topic, &i.to_le_bytes()));
        wire::publish(&messages.collect::<Vec<_>>())
    };
    let mut gossip = it.gossip().await.unwrap();
    gossip.rpc(&packet(0, most)).await.unwrap();
    for i in 0..most {
        assert_eq!(heard(&mut events).await, i.to_le_bytes());
    }
    gossip.rpc(&packet(most, most + 1)).await.unwrap();
    gossip.ended().await;
    let mut again = it.gossip().await.unwrap();
    again.rpc(&packet(1000, 1)).await.unwrap();
    assert_eq!(heard(&mut events).await, 1000u64.to_le_bytes());
}

/// THREATS D.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_beyond_those_a_connection_may_have_at_once_are_dropped() {
    let (_network, mut events, it) = network().await;
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            if let NetworkEvent::Request { data, reply, .. } = event {
                reply.send(data).unwrap();
            }
        }
    });
    // Of two bytes each, the second of which is still to come.
    let mut begun = Vec::new();
    for i in 0..limit("transport::REQUEST_STREAMS") {
        begun.push(it.question(2, &[i as u8]).await.unwrap());
    }
    let mut answer = Vec::new();
    if let Ok(mut one_more) = it.question(2, &[7]).await {
        let _ = one_more.write_all(&[7]).await;
        let _ = one_more.close().await;
        let ended = timeout(PATIENCE, one_more.read_to_end(&mut answer)).await;
        assert!(ended.is_ok() && answer.is_empty(), "{answer:?}");
    }
    for (i, mut stream) in begun.into_iter().enumerate() {
        stream.write_all(&[7]).await.unwrap();
        stream.close().await.unwrap();
        let mut answer = Vec::new();
        let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
        read.unwrap().unwrap();
        assert_eq!(answer, [2, 0, 0, 0, i as u8, 7]);
    }
}

/// B16: streams that never say what they are for keep others waiting, of their own connection alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b16_a_stream_beyond_those_without_a_protocol_waits_for_its_turn() {
    let (network, _events, it) = network().await;
    let mut begun = Vec::new();
    for _ in 0..limit("transport::NEGOTIATING_STREAMS") {
        let mut stream = it.stream().await.unwrap();
        // The length of a line.
        stream.write_all(&[19]).await.unwrap();
        stream.flush().await.unwrap();
        begun.push(stream);
    }
    let mut one_more = pin!(it.gossip());
    let early = timeout(Duration::from_secs(1), &mut one_more).await;
    assert!(early.is_err(), "none waits");
    let address = &network.listen_addresses()[0];
    let manners = Manners::of(ChainId([1; 32]));
    let other = Stranger::dial(address, manners).await.unwrap();
    other.gossip().await.unwrap();
    // The line, and then another with a protocol.
    let first = begun.first_mut().unwrap();
    let rest = b"/multistream/1.0.0\n\x11/ipfs/ping/1.0.0\n";
    first.write_all(rest).await.unwrap();
    first.flush().await.unwrap();
    one_more.await.unwrap();
}

/// THREATS D.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kad_message_is_so_long_and_no_longer() {
    let (_network, _events, it) = network().await;
    let most = limit("transport::KAD_PACKET_BYTES");
    for (bytes, is_answered) in [(most, true), (most + 1, false)] {
        // FIND_NODE, and a key as long as is left.
        let message = [flag(1, 4), field(2, &vec![7; bytes - 5])].concat();
        assert_eq!(message.len(), bytes);
        let mut stream = it.kad().await.unwrap();
        let framed = [varint(bytes), message].concat();
        // The stream may be gone before all of a message that is too long is out.
        let sent = stream.write_all(&framed).await;
        let sent = sent.and(stream.flush().await);
        let mut answer = [0; 1];
        let read = timeout(PATIENCE, stream.read(&mut answer)).await.unwrap();
        let read = sent.and(read);
        assert_eq!(read.is_ok_and(|n| n > 0), is_answered, "{bytes} bytes");
    }
}
