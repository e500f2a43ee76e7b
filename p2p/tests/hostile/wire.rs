//! A stranger: libp2p's transport, and everything above it by hand, so that it can be wrong on purpose.

use futures::{AsyncReadExt as _, AsyncWriteExt as _, future::poll_fn};
use libp2p::{
    Multiaddr, PeerId, Transport as _,
    core::{
        Endpoint,
        muxing::{StreamMuxerBox, StreamMuxerExt as _, SubstreamBox},
        transport::{DialOpts, PortUse},
        upgrade::Version,
    },
    identity::Keypair,
    multiaddr::Protocol,
    noise, tcp, yamux,
};
use std::{collections::VecDeque, io, sync::Arc, task::Poll, time::Duration};
use tender_consensus::message::{Request, Response};
use tender_p2p::network::Topic;
use tender_wire::{ChainId, Height, decode, encode};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{sleep, timeout},
};

/// Longest wait for a step of the wire.
const PATIENCE: Duration = Duration::from_secs(30);
const MULTISTREAM: &str = "/multistream/1.0.0";

/// What a stranger does with a question.
pub enum Answer {
    /// Answers it.
    Say(Response),
    /// Answers with these bytes after a length of our choice.
    Bytes(u32, Vec<u8>),
    /// A byte now and then.
    Drip(Vec<u8>),
    /// Keeps the stream open and says nothing.
    Silence,
}

/// How a stranger behaves towards what the peer opens.
#[derive(Clone)]
pub struct Manners {
    pub chain: ChainId,
    /// Whether it reads the gossip it is sent.
    pub reads: bool,
    /// Whether it says what it is.
    pub identifies: bool,
    pub answers: Arc<dyn Fn(Request) -> Answer + Send + Sync>,
}

impl Manners {
    pub fn of(chain: ChainId) -> Self {
        Manners {
            chain,
            reads: true,
            identifies: true,
            answers: Arc::new(|_| Answer::Silence),
        }
    }

    fn named(&self, what: &str) -> String {
        format!("/tender/{}/{what}", self.chain.short())
    }
}

/// One connection of one identity.
pub struct Stranger {
    pub key: Keypair,
    pub id: PeerId,
    manners: Manners,
    opens: mpsc::Sender<oneshot::Sender<SubstreamBox>>,
    driver: JoinHandle<()>,
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Stranger {
    /// Connects under a fresh identity.
    pub async fn dial(address: &Multiaddr, manners: Manners) -> io::Result<Stranger> {
        Self::dial_as(Keypair::generate_ed25519(), address, manners).await
    }

    pub async fn dial_as(
        key: Keypair,
        address: &Multiaddr,
        manners: Manners,
    ) -> io::Result<Stranger> {
        let noise = noise::Config::new(&key).unwrap();
        let mut transport = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
            .upgrade(Version::V1Lazy)
            .authenticate(noise)
            .multiplex(yamux::Config::default())
            .boxed();
        let plain = address.iter().filter(|p| !matches!(p, Protocol::P2p(_)));
        let opts = DialOpts {
            role: Endpoint::Dialer,
            port_use: PortUse::New,
        };
        let dial = transport
            .dial(plain.collect(), opts)
            .map_err(io::Error::other)?;
        let (_, muxer) = timeout(PATIENCE, dial).await.map_err(io::Error::other)??;
        let (opens, wanted) = mpsc::channel(64);
        let (id, served) = (key.public().to_peer_id(), manners.clone());
        let public = key.public().encode_protobuf();
        let driver = tokio::spawn(drive(muxer, wanted, move |stream| {
            tokio::spawn(serve(stream, served.clone(), public.clone()));
        }));
        Ok(Stranger {
            key,
            id,
            manners,
            opens,
            driver,
        })
    }

    /// Whether the peer has closed the connection.
    pub fn is_cut_off(&self) -> bool {
        self.driver.is_finished()
    }

    /// Waits until the peer has closed the connection.
    pub async fn cut_off(&self, why: &str) {
        let closed = async {
            while !self.is_cut_off() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE * 2, closed)
            .await
            .unwrap_or_else(|_| panic!("still let in: {why}"));
    }

    /// Opens a stream and says nothing on it.
    pub async fn stream(&self) -> io::Result<SubstreamBox> {
        let (reply, opened) = oneshot::channel();
        let broken = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.opens
            .send(reply)
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        timeout(PATIENCE, opened)
            .await
            .map_err(io::Error::other)?
            .map_err(broken)
    }

    /// Opens a stream for a protocol.
    pub async fn open(&self, protocol: &str) -> io::Result<SubstreamBox> {
        let mut stream = self.stream().await?;
        write_line(&mut stream, MULTISTREAM).await?;
        write_line(&mut stream, protocol).await?;
        stream.flush().await?;
        for expected in [MULTISTREAM, protocol] {
            if read_line(&mut stream).await? != expected {
                return Err(io::Error::other("not spoken there"));
            }
        }
        Ok(stream)
    }

    /// A stream to gossip on.
    pub async fn gossip(&self) -> io::Result<Gossip> {
        let stream = self.open(&self.manners.named("meshsub/1.1.0")).await?;
        Ok(Gossip { stream })
    }

    /// A stream to look for peers on.
    pub async fn kad(&self) -> io::Result<SubstreamBox> {
        self.open(&self.manners.named("kad/1")).await
    }

    /// A stream with a question on it, not ended yet.
    pub async fn question(&self, length: u32, bytes: &[u8]) -> io::Result<SubstreamBox> {
        let mut stream = self.open(&self.manners.named("request/1")).await?;
        stream.write_all(&length.to_le_bytes()).await?;
        stream.write_all(bytes).await?;
        stream.flush().await?;
        Ok(stream)
    }

    /// Asks, and reads the answer.
    pub async fn ask(&self, request: &Request) -> io::Result<Response> {
        let bytes = encode(request);
        let mut stream = self
            .question(u32::try_from(bytes.len()).unwrap(), &bytes)
            .await?;
        stream.close().await?;
        let mut answer = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut answer))
            .await
            .map_err(io::Error::other)??;
        let body = answer
            .get(4..)
            .ok_or(io::Error::from(io::ErrorKind::UnexpectedEof))?;
        decode(body).map_err(io::Error::other)
    }

    /// The name of a topic.
    pub fn topic(&self, topic: Topic) -> String {
        topic_of(&self.manners.chain, topic)
    }
}

pub fn topic_of(chain: &ChainId, topic: Topic) -> String {
    let name = match topic {
        Topic::Tx => "tx",
        Topic::Vote => "vote",
        Topic::Evidence => "evidence",
        Topic::Status => "status",
    };
    format!("/tender/{}/{name}/2", chain.short())
}

/// What a peer says of itself: `StatusMessage` of `p2p/src/node/status.rs`.
pub fn status(height: Height, beat: u64) -> Vec<u8> {
    encode(&(height, [7u8; 32], beat))
}

/// The peer's side of gossip.
pub struct Gossip {
    stream: SubstreamBox,
}

impl Gossip {
    /// Sends one RPC.
    pub async fn rpc(&mut self, rpc: &[u8]) -> io::Result<()> {
        let mut frame = varint(rpc.len());
        frame.extend(rpc);
        let sent = async {
            self.stream.write_all(&frame).await?;
            self.stream.flush().await
        };
        timeout(PATIENCE, sent).await.map_err(io::Error::other)?
    }

    /// Waits until the peer has closed the stream.
    pub async fn ended(&mut self) {
        let mut rest = Vec::new();
        let ended = timeout(PATIENCE, self.stream.read_to_end(&mut rest));
        let _ = ended.await.expect("the stream is still open");
    }

    /// Sends bytes that need not be an RPC.
    pub async fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }
}

// Protocol buffers, as much as is needed.

pub fn varint(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

pub fn field(number: usize, bytes: &[u8]) -> Vec<u8> {
    let mut out = varint(number << 3 | 2);
    out.extend(varint(bytes.len()));
    out.extend(bytes);
    out
}

pub fn flag(number: usize, value: usize) -> Vec<u8> {
    [varint(number << 3), varint(value)].concat()
}

/// A gossip message, ready to be put into an RPC.
pub fn message(topic: &str, data: &[u8]) -> Vec<u8> {
    [field(2, data), field(4, topic.as_bytes())].concat()
}

pub fn subscribe(topic: &str, on: bool) -> Vec<u8> {
    let subscription = [flag(1, usize::from(on)), field(2, topic.as_bytes())].concat();
    field(1, &subscription)
}

pub fn publish(messages: &[Vec<u8>]) -> Vec<u8> {
    messages.iter().flat_map(|m| field(2, m)).collect()
}

pub fn ihave(topic: &str, ids: &[[u8; 32]]) -> Vec<u8> {
    let mut body = field(1, topic.as_bytes());
    body.extend(ids.iter().flat_map(|id| field(2, id)));
    field(3, &field(1, &body))
}

pub fn iwant(ids: &[[u8; 32]]) -> Vec<u8> {
    let body: Vec<u8> = ids.iter().flat_map(|id| field(1, id)).collect();
    field(3, &field(2, &body))
}

pub fn graft(topics: &[&str]) -> Vec<u8> {
    let grafts = topics
        .iter()
        .flat_map(|t| field(3, &field(1, t.as_bytes())));
    field(3, &grafts.collect::<Vec<_>>())
}

pub fn prune(topic: &str, backoff: u64) -> Vec<u8> {
    let mut body = field(1, topic.as_bytes());
    body.extend(flag(3, usize::try_from(backoff).unwrap()));
    field(3, &field(4, &body))
}

pub fn idontwant(ids: &[Vec<u8>]) -> Vec<u8> {
    let body: Vec<u8> = ids.iter().flat_map(|id| field(1, id)).collect();
    field(3, &field(5, &body))
}

// The connection.

async fn drive(
    mut muxer: StreamMuxerBox,
    mut wanted: mpsc::Receiver<oneshot::Sender<SubstreamBox>>,
    serve: impl Fn(SubstreamBox),
) {
    let mut waiting = VecDeque::new();
    poll_fn(|cx| {
        while let Poll::Ready(open) = wanted.poll_recv(cx) {
            match open {
                Some(open) => waiting.push_back(open),
                None => return Poll::Ready(()),
            }
        }
        while !waiting.is_empty() {
            match muxer.poll_outbound_unpin(cx) {
                Poll::Ready(Ok(stream)) => {
                    let _ = waiting.pop_front().unwrap().send(stream);
                }
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        loop {
            match muxer.poll_inbound_unpin(cx) {
                Poll::Ready(Ok(stream)) => serve(stream),
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        match muxer.poll_unpin(cx) {
            Poll::Ready(Err(_)) => return Poll::Ready(()),
            Poll::Ready(Ok(_)) => cx.waker().wake_by_ref(),
            Poll::Pending => {}
        }
        Poll::Pending
    })
    .await;
}

async fn serve(mut stream: SubstreamBox, manners: Manners, public: Vec<u8>) {
    // An error means the peer has gone on without us.
    let _ = served(&mut stream, &manners, &public).await;
}

async fn served(stream: &mut SubstreamBox, manners: &Manners, public: &[u8]) -> io::Result<()> {
    let (gossip, request) = (manners.named("meshsub/1.1.0"), manners.named("request/1"));
    let known = ["/ipfs/id/1.0.0", "/ipfs/ping/1.0.0", &gossip, &request];
    let spoken = loop {
        let line = read_line(stream).await?;
        if line == MULTISTREAM {
            write_line(stream, MULTISTREAM).await?;
        } else if known.contains(&line.as_str()) {
            write_line(stream, &line).await?;
            break line;
        } else {
            write_line(stream, "na").await?;
        }
    };
    match spoken.as_str() {
        "/ipfs/id/1.0.0" => {
            if !manners.identifies {
                return std::future::pending().await;
            }
            let mut info = field(1, public);
            for protocol in known {
                info.extend(field(3, protocol.as_bytes()));
            }
            info.extend(field(5, manners.named("2").as_bytes()));
            info.extend(field(6, b"stranger"));
            stream.write_all(&varint(info.len())).await?;
            stream.write_all(&info).await?;
            stream.close().await
        }
        "/ipfs/ping/1.0.0" => {
            let mut ball = [0; 32];
            loop {
                stream.read_exact(&mut ball).await?;
                stream.write_all(&ball).await?;
                stream.flush().await?;
            }
        }
        gossiped if gossiped == gossip => {
            if !manners.reads {
                return std::future::pending().await;
            }
            let mut dropped = [0; 4096];
            while stream.read(&mut dropped).await? > 0 {}
            Ok(())
        }
        _ => {
            let mut question = Vec::new();
            stream.read_to_end(&mut question).await?;
            let question = question.get(4..).unwrap_or_default();
            let Ok(question) = decode::<Request>(question) else {
                return Ok(());
            };
            match (manners.answers)(question) {
                Answer::Say(response) => {
                    let bytes = encode(&response);
                    let length = u32::try_from(bytes.len()).unwrap();
                    stream.write_all(&length.to_le_bytes()).await?;
                    stream.write_all(&bytes).await?;
                }
                Answer::Bytes(length, bytes) => {
                    stream.write_all(&length.to_le_bytes()).await?;
                    stream.write_all(&bytes).await?;
                }
                Answer::Drip(bytes) => {
                    let length = u32::try_from(bytes.len()).unwrap();
                    stream.write_all(&length.to_le_bytes()).await?;
                    for byte in bytes {
                        stream.write_all(&[byte]).await?;
                        stream.flush().await?;
                        sleep(Duration::from_millis(500)).await;
                    }
                }
                Answer::Silence => return std::future::pending().await,
            }
            stream.close().await
        }
    }
}

async fn write_line(stream: &mut SubstreamBox, line: &str) -> io::Result<()> {
    let mut bytes = varint(line.len() + 1);
    bytes.extend(line.as_bytes());
    bytes.push(b'\n');
    stream.write_all(&bytes).await
}

async fn read_line(stream: &mut SubstreamBox) -> io::Result<String> {
    let mut length = 0usize;
    for shift in (0..14).step_by(7) {
        let mut byte = [0; 1];
        stream.read_exact(&mut byte).await?;
        length |= usize::from(byte[0] & 0x7f) << shift;
        if byte[0] & 0x80 == 0 {
            break;
        }
    }
    let mut line = vec![0; length];
    stream.read_exact(&mut line).await?;
    let line = String::from_utf8(line).map_err(io::Error::other)?;
    Ok(line.trim_end().to_owned())
}
