//! Clients of the API that mean harm: they are slow, many, deaf or greedy. Plain sockets, so that nothing here is polite by accident.

use super::super::Failure;
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, sleep, timeout_at},
};

/// What such a client does with its connection, again and again.
#[derive(Clone, Debug)]
pub(super) enum Harm {
    /// Sends nothing, or a head byte by byte.
    Slow,
    /// Promises a body and sends it byte by byte.
    SlowBody,
    /// Sends more of a head, or of a body, than anybody needs.
    Oversized,
    /// Asks for much, twice, and reads none of it.
    Deaf(Vec<String>),
    /// Asks for much and reads it all.
    Greedy(Vec<String>),
}

/// How long a pause is between two bytes.
const DRIP: Duration = Duration::from_millis(500);
/// Pause before a connection that was refused or closed is made again.
const AGAIN: Duration = Duration::from_millis(50);

/// Has `clients` connections do harm to these addresses for a while. Gives how many requests were answered in full.
pub(super) fn harm(
    addresses: &[String],
    clients: usize,
    harm: &Harm,
    lasting: Duration,
) -> Result<usize, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::new(format!("cannot start: {e}"), "see the system's limits"))?;
    let answered = std::sync::Arc::new(AtomicUsize::new(0));
    runtime.block_on(async {
        let until = Instant::now()
            .checked_add(lasting)
            .unwrap_or_else(Instant::now);
        let mut tasks = JoinSet::new();
        for (number, address) in addresses.iter().cycle().take(clients).enumerate() {
            let (address, harm) = (address.clone(), harm.clone());
            let answered = std::sync::Arc::clone(&answered);
            tasks.spawn(async move {
                while Instant::now() < until {
                    let once = do_harm(&address, &harm, number, &answered);
                    if timeout_at(until, once).await.is_ok() {
                        sleep(AGAIN).await;
                    }
                }
            });
        }
        while tasks.join_next().await.is_some() {}
    });
    Ok(answered.load(Ordering::Relaxed))
}

/// One connection's harm, until the peer ends it.
async fn do_harm(
    address: &str,
    harm: &Harm,
    number: usize,
    answered: &AtomicUsize,
) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let post = |length: usize| {
        format!(
            "POST /v1/transactions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    let mut buffer = vec![0; 64 << 10];
    match harm {
        Harm::Slow if number.is_multiple_of(2) => while stream.read(&mut buffer).await? > 0 {},
        Harm::Slow => {
            stream.write_all(b"GET /v1/status HTTP/1.1\r\nX: ").await?;
            loop {
                sleep(DRIP).await;
                stream.write_all(b"x").await?;
            }
        }
        Harm::SlowBody => {
            stream.write_all(post(200_000).as_bytes()).await?;
            loop {
                sleep(DRIP).await;
                stream.write_all(b"x").await?;
            }
        }
        Harm::Oversized if number.is_multiple_of(2) => {
            stream.write_all(b"GET /v1/status HTTP/1.1\r\nX: ").await?;
            loop {
                stream.write_all(&buffer).await?;
            }
        }
        Harm::Oversized => {
            stream.write_all(post(1 << 30).as_bytes()).await?;
            loop {
                stream.write_all(&buffer).await?;
            }
        }
        Harm::Deaf(paths) => {
            for path in paths.iter().cycle().skip(number).take(2) {
                stream.write_all(get(path).as_bytes()).await?;
            }
            // Closed by the peer: what was sent is in the socket's own buffer, so only writing notices.
            loop {
                sleep(DRIP).await;
                stream.write_all(b"\r\n").await?;
            }
        }
        Harm::Greedy(paths) => {
            for path in paths.iter().cycle().skip(number).take(paths.len()) {
                let asked = get(path).replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
                stream.write_all(asked.as_bytes()).await?;
                let mut first = None;
                loop {
                    let read = stream.read(&mut buffer).await?;
                    first = first.or(buffer.get(..12).map(<[u8]>::to_vec));
                    if read == 0 {
                        break;
                    }
                }
                if first.is_some_and(|line| line.ends_with(b"200")) {
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                stream = TcpStream::connect(address).await?;
            }
        }
    }
    Ok(())
}

/// Opens so many listeners of events and holds them for a while. Gives how many were let in, and how many were told why not.
pub(super) fn listen(
    addresses: &[String],
    clients: usize,
    lasting: Duration,
) -> Result<(usize, usize), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::new(format!("cannot start: {e}"), "see the system's limits"))?;
    let (heard, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (heard, refused) = (std::sync::Arc::new(heard), std::sync::Arc::new(refused));
    runtime.block_on(async {
        let until = Instant::now()
            .checked_add(lasting)
            .unwrap_or_else(Instant::now);
        let mut tasks = JoinSet::new();
        for address in addresses.iter().cycle().take(clients) {
            let address = address.clone();
            let (heard, refused) = (
                std::sync::Arc::clone(&heard),
                std::sync::Arc::clone(&refused),
            );
            tasks.spawn(timeout_at(until, async move {
                let mut stream = TcpStream::connect(address).await?;
                stream
                    .write_all(b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    .await?;
                let mut buffer = vec![0; 4096];
                let read = stream.read(&mut buffer).await?;
                let first = buffer.get(..read).unwrap_or_default();
                if first.starts_with(b"HTTP/1.1 200") {
                    heard.fetch_add(1, Ordering::Relaxed);
                } else if first.starts_with(b"HTTP/1.1 503") {
                    refused.fetch_add(1, Ordering::Relaxed);
                }
                while stream.read(&mut buffer).await? > 0 {}
                std::io::Result::Ok(())
            }));
        }
        while tasks.join_next().await.is_some() {}
    });
    Ok((
        heard.load(Ordering::Relaxed),
        refused.load(Ordering::Relaxed),
    ))
}
