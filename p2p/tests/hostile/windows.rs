//! What one connection can make a peer buffer: yamux spoken frame by frame.

use crate::{
    net::{Net, PATIENCE},
    wire::{field, varint},
};
use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, future::poll_fn};
use libp2p::{
    Multiaddr, Transport as _,
    core::{
        Endpoint,
        muxing::{StreamMuxer, StreamMuxerEvent, StreamMuxerExt as _, SubstreamBox},
        transport::{DialOpts, PortUse},
        upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo, Version},
    },
    identity::Keypair,
    multiaddr::Protocol,
    noise, tcp,
};
use std::{
    convert::Infallible,
    future::{Ready, ready},
    io, iter,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::time::{Duration, sleep, timeout};

/// What yamux gives every stream to begin with.
const WINDOW: u32 = 256 << 10;
/// Streams a connection may have: `STREAMS` of `p2p/src/network/muxer.rs`.
const STREAMS: usize = 32;
const DATA: u8 = 0;
const UPDATE: u8 = 1;
const PING: u8 = 2;
const GO_AWAY: u8 = 3;
const SYN: u16 = 1;
const ACK: u16 = 2;

/// Agrees on yamux and speaks none.
#[derive(Clone)]
struct Bare;

/// The connection under it, as its only stream.
struct BareMuxer<C>(Option<C>);

impl UpgradeInfo for Bare {
    type Info = &'static str;
    type InfoIter = iter::Once<&'static str>;
    fn protocol_info(&self) -> Self::InfoIter {
        iter::once("/yamux/1.0.0")
    }
}

impl<C> InboundConnectionUpgrade<C> for Bare {
    type Output = BareMuxer<C>;
    type Error = Infallible;
    type Future = Ready<Result<BareMuxer<C>, Infallible>>;
    fn upgrade_inbound(self, io: C, _: &'static str) -> Self::Future {
        ready(Ok(BareMuxer(Some(io))))
    }
}

impl<C> OutboundConnectionUpgrade<C> for Bare {
    type Output = BareMuxer<C>;
    type Error = Infallible;
    type Future = Ready<Result<BareMuxer<C>, Infallible>>;
    fn upgrade_outbound(self, io: C, _: &'static str) -> Self::Future {
        ready(Ok(BareMuxer(Some(io))))
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> StreamMuxer for BareMuxer<C> {
    type Substream = C;
    type Error = io::Error;
    fn poll_inbound(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<C>> {
        Poll::Pending
    }
    fn poll_outbound(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<C>> {
        Poll::Ready(self.0.take().ok_or(io::ErrorKind::NotConnected.into()))
    }
    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
        Poll::Pending
    }
}

async fn dial(address: &Multiaddr) -> SubstreamBox {
    let key = Keypair::generate_ed25519();
    let mut transport = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(&key).unwrap())
        .multiplex(Bare)
        .boxed();
    let plain = address.iter().filter(|p| !matches!(p, Protocol::P2p(_)));
    let opts = DialOpts {
        role: Endpoint::Dialer,
        port_use: PortUse::New,
    };
    let dialled = transport.dial(plain.collect(), opts).unwrap();
    let (_, mut muxer) = timeout(PATIENCE, dialled).await.unwrap().unwrap();
    poll_fn(|cx| muxer.poll_outbound_unpin(cx)).await.unwrap()
}

fn frame(kind: u8, flags: u16, stream: u32, length: u32, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![0, kind];
    frame.extend(flags.to_be_bytes());
    frame.extend(stream.to_be_bytes());
    frame.extend(length.to_be_bytes());
    frame.extend(body);
    frame
}

fn data(flags: u16, stream: u32, body: &[u8]) -> Vec<u8> {
    frame(DATA, flags, stream, body.len() as u32, body)
}

/// A frame the peer sent: its kind, flags, stream and length, the body read and dropped.
async fn next(io: &mut (impl AsyncRead + Unpin)) -> io::Result<(u8, u16, u32, u32)> {
    let mut header = [0; 12];
    io.read_exact(&mut header).await?;
    let [_, kind, f0, f1, s0, s1, s2, s3, l0, l1, l2, l3] = header;
    let length = u32::from_be_bytes([l0, l1, l2, l3]);
    if kind == DATA {
        let mut body = vec![0; length as usize];
        io.read_exact(&mut body).await?;
    }
    let (flags, stream) = (
        u16::from_be_bytes([f0, f1]),
        u32::from_be_bytes([s0, s1, s2, s3]),
    );
    Ok((kind, flags, stream, length))
}

fn line(text: &str) -> Vec<u8> {
    [
        varint(text.len() + 1),
        text.as_bytes().to_vec(),
        b"\n".to_vec(),
    ]
    .concat()
}

/// THREATS D: yamux doubles the window of a stream that is read faster than twice the round trip, up to 1 GiB, and whoever answers its pings
/// late chooses the round trip. Then it stops reading, and what it sends fills the window.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b15_no_window_grows_for_a_peer_that_answers_pings_late() {
    let net = Net::start("windows", 1).await;
    let (mut read, mut write) = dial(&net.nodes[0].listen_addresses()[0]).await.split();
    let gossip = format!("/tender/{}/meshsub/1.1.0", net.genesis.chain_id().short());
    let hello = [line("/multistream/1.0.0"), line(&gossip)].concat();
    write.write_all(&data(SYN, 1, &hello)).await.unwrap();
    write.flush().await.unwrap();

    // RPCs of one unknown field each: read, understood, and nothing to do.
    let rpc = field(15, &[0; 60 << 10]);
    let rpc = [varint(rpc.len()), rpc].concat();
    let mut credit = i64::from(WINDOW) - hello.len() as i64;
    let (mut most, mut sent, mut answered) = (0, 0, false);
    let mut rest = Vec::new();
    while sent < 24 << 20 {
        if rest.is_empty() {
            rest = rpc.clone();
        }
        let chunk = rest.len().min(16 << 10);
        if answered && credit >= chunk as i64 {
            let body: Vec<u8> = rest.drain(..chunk).collect();
            write.write_all(&data(0, 1, &body)).await.unwrap();
            write.flush().await.unwrap();
            credit -= chunk as i64;
            sent += chunk;
            continue;
        }
        let got = timeout(PATIENCE, next(&mut read)).await.unwrap();
        match got.unwrap_or_else(|error| panic!("after {sent} bytes: {error}")) {
            (UPDATE, _, 1, more) => {
                credit += i64::from(more);
                most = most.max(credit);
            }
            // Answered late, and so the round trip is long.
            (PING, SYN, 0, id) => {
                sleep(Duration::from_secs(1)).await;
                write
                    .write_all(&frame(PING, ACK, 0, id, &[]))
                    .await
                    .unwrap();
                write.flush().await.unwrap();
                answered = true;
            }
            _ => {}
        }
    }
    assert!(most > 0, "the stream was not read");
    assert!(most <= i64::from(WINDOW), "a window of {most} bytes");
}

/// THREATS D, B16: streams that begin and do not go on. Past so many the connection is told to end, and no more are kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b16_streams_nobody_ends_are_few() {
    let net = Net::start("streams", 1).await;
    let (mut read, mut write) = dial(&net.nodes[0].listen_addresses()[0]).await.split();
    let ended = tokio::spawn(async move {
        while let Ok((kind, ..)) = next(&mut read).await {
            if kind == GO_AWAY {
                return;
            }
        }
    });
    let mut opened = 0;
    for stream in (1..).step_by(2).take(1000) {
        // The beginning of a line that never ends, and behind those that are read, whatever fits a window.
        let body = vec![0xff; if opened < 16 { 1 } else { 16 << 10 }];
        let sent = async {
            write.write_all(&data(SYN, stream, &body)).await?;
            write.flush().await
        };
        if ended.is_finished() || sent.await.is_err() {
            break;
        }
        opened += 1;
        sleep(Duration::from_millis(10)).await;
    }
    assert!(opened > 8, "only {opened} streams could be opened");
    assert!(opened <= 2 * STREAMS, "{opened} streams were opened");
    timeout(PATIENCE, ended).await.unwrap().unwrap();
    net.submit(0, 0).await;
    crate::net::holds(&net.nodes[0], 1).await;
}
