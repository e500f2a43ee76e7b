//! Server-sent events: in order, without holes or repetitions, whenever a listener comes, goes or sleeps.

use crate::net::{Net, PATIENCE, config, holds, validator_keys};
use std::{
    io::{BufRead, BufReader, Read as _, Write as _},
    net::TcpStream,
};
use tender_p2p::{
    api::types::{Event, Phase},
    config::LISTENERS,
    node::{Node, NodeHandle},
};
use tender_wire::AuctionId;
use tokio::{net::TcpSocket, task::spawn_blocking};

/// An event and its id, as told.
type Told = (Option<String>, Event);

/// A listener on a plain socket.
struct Listener(BufReader<TcpStream>);

impl Listener {
    /// Listens from when this returns.
    fn new(url: &str, query: &str, last: Option<&str>) -> Listener {
        let stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
        Listener::over(stream, query, last)
    }

    fn over(mut stream: TcpStream, query: &str, last: Option<&str>) -> Listener {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let last = last.map_or_else(String::new, |id| format!("Last-Event-ID: {id}\r\n"));
        let request = format!("GET /v1/events{query} HTTP/1.1\r\nHost: localhost\r\n{last}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut lines = BufReader::new(stream);
        let mut status = String::new();
        lines.read_line(&mut status).unwrap();
        assert!(status.contains("200"), "{status}");
        Listener(lines)
    }

    /// The next event; `None` once the peer has ended the stream.
    fn hear(&mut self) -> Option<Told> {
        let mut id = None;
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            if let Some(text) = line.strip_prefix("id: ") {
                id = Some(text.trim().to_owned());
            } else if let Some(text) = line.strip_prefix("data: ") {
                return Some((id, serde_json::from_str(text).unwrap()));
            }
        }
    }
}

/// Begins to listen.
async fn listen(node: &NodeHandle, query: &'static str, last: Option<&str>) -> Listener {
    let (url, last) = (node.api_url().unwrap(), last.map(str::to_owned));
    spawn_blocking(move || Listener::new(&url, query, last.as_deref()))
        .await
        .unwrap()
}

/// The next events.
async fn take(mut listener: Listener, count: usize) -> Vec<Told> {
    spawn_blocking(move || (0..count).map(|_| listener.hear().unwrap()).collect())
        .await
        .unwrap()
}

/// The first phases that an auction entered, with their events' ids.
pub async fn phases(node: &NodeHandle, of: &AuctionId, count: usize) -> Vec<(String, Phase)> {
    let (mut listener, of) = (listen(node, "?from=1", None).await, *of);
    let heard = spawn_blocking(move || {
        let events = std::iter::from_fn(|| listener.hear());
        let phases = events.filter_map(|(id, event)| match event {
            Event::Auction { auction, phase, .. } if auction == of => Some((id.unwrap(), phase)),
            _ => None,
        });
        phases.take(count).collect()
    });
    heard.await.unwrap()
}

fn ids(told: &[Told]) -> Vec<&str> {
    told.iter().filter_map(|(id, _)| id.as_deref()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_that_comes_back_misses_nothing_and_hears_nothing_twice() {
    let mut net = Net::start("events", 1).await;
    for sequence in 0..4 {
        net.submit(0, sequence).await;
        holds(&net.nodes[0], sequence as u32 + 1).await;
    }
    let node = &net.nodes[0];
    // All of the past, and parts of it.
    let all = take(listen(node, "?from=1", None).await, 4).await;
    assert_eq!(ids(&all), ["1.0", "2.0", "3.0", "4.0"]);
    for (_, event) in &all {
        assert!(matches!(event, Event::Block { summary, .. } if summary == "1 credential"));
    }
    for (query, last) in [
        ("?from=3", None),
        ("?from=1", Some("2.0")),
        ("", Some("2.7")),
    ] {
        let rest = take(listen(node, query, last).await, 2).await;
        assert_eq!(rest, all[2..], "{query} {last:?}");
    }
    // Who names no place hears what comes; so does one who has heard more than this peer knows.
    let now = listen(node, "", None).await;
    let ahead = listen(node, "", Some("5.0")).await;
    for sequence in 4..6 {
        net.submit(0, sequence).await;
        holds(&net.nodes[0], sequence as u32 + 1).await;
    }
    assert_eq!(ids(&take(now, 2).await), ["5.0", "6.0"]);
    assert_eq!(ids(&take(ahead, 1).await), ["6.0"]);

    // A stream ends with its peer; the ids outlive it.
    let mut listener = listen(&net.nodes[0], "?from=1", None).await;
    take(listen(&net.nodes[0], "?from=6", None).await, 1).await;
    net.nodes.pop().unwrap().shutdown().await;
    let until_the_end = spawn_blocking(move || std::iter::from_fn(|| listener.hear()).collect());
    let before: Vec<Told> = until_the_end.await.unwrap();
    assert!(before.len() <= 6);
    let config = config(&net.genesis, net.dirs[0].path(), Vec::new());
    net.nodes
        .push(Node::start(config, validator_keys(0)).await.unwrap());
    let again = take(listen(&net.nodes[0], "", Some("0.9")).await, 6).await;
    assert_eq!(ids(&again), ["1.0", "2.0", "3.0", "4.0", "5.0", "6.0"]);
    assert_eq!(again[..4], all);
    assert_eq!(again[..before.len()], before);
    net.submit(0, 6).await;
    let rest = take(listen(&net.nodes[0], "", Some("5.0")).await, 2).await;
    assert_eq!(ids(&rest), ["6.0", "7.0"]);
}

/// THREATS L: listeners cannot take every connection, and one that sleeps is told that it missed something, and then everything else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_listeners_leave_room_and_a_sleeper_is_told() {
    let net = Net::start("listeners", 1).await;
    let node = &net.nodes[0];
    // One that has little room of its own.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let address = node.api_url().unwrap().replace("http://", "");
    let stream = socket.connect(address.parse().unwrap()).await.unwrap();
    let stream = stream.into_std().unwrap();
    stream.set_nonblocking(false).unwrap();
    let mut sleeper = spawn_blocking(|| Listener::over(stream, "", None))
        .await
        .unwrap();
    let url = node.api_url().unwrap();
    let listeners = spawn_blocking(move || {
        let listeners: Vec<_> = (1..usize::from(LISTENERS))
            .map(|_| Listener::new(&url, "", None))
            .collect();
        for _ in 0..1000 - usize::from(LISTENERS) {
            let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
            stream
                .write_all(
                    b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
                )
                .unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(
                answer.starts_with("HTTP/1.1 503") && answer.contains("too_many_listeners"),
                "{answer}"
            );
        }
        listeners
    });
    let listeners = listeners.await.unwrap();
    let (status, _) = crate::api::send(node, "GET", "/v1/status", &[], vec![]).await;
    assert_eq!(status, 200);
    drop(listeners);
    // Refusals by the thousand, until neither the sleeper's queue nor its connection has room; then blocks.
    for n in 1..=20_000u32 {
        let mut forged = crate::net::credential(&net.genesis, 0);
        let at = forged.len() - 16;
        let signature = forged[at..].iter_mut().zip(n.to_le_bytes());
        signature.for_each(|(byte, other)| *byte ^= other);
        let _ = node.submit(forged).await;
    }
    for sequence in 0..3 {
        net.submit(0, sequence).await;
        holds(node, sequence as u32 + 1).await;
    }
    let heard = spawn_blocking(move || {
        let mut heard = Vec::new();
        while heard
            .iter()
            .filter(|(_, event): &&Told| matches!(event, Event::Block { .. }))
            .count()
            < 3
        {
            heard.push(sleeper.hear().unwrap());
        }
        heard
    });
    let heard = heard.await.unwrap();
    assert_eq!(ids(&heard), ["1.0", "2.0", "3.0"]);
    assert!(
        heard
            .iter()
            .any(|(_, event)| matches!(event, Event::Gap { missed: 1.., .. })),
        "the sleeper was told"
    );
    assert!(
        heard
            .iter()
            .any(|(_, event)| matches!(event, Event::Refused { .. }))
    );
}
