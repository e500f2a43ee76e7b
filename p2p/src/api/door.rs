//! The API's listening socket: lets in so many connections, and no more until one has ended; and shows out whoever keeps one without
//! being served. A connection on which nothing was answered for [`PATIENCE`] is closed, be it silent or dripping byte by byte, so
//! strangers cannot hold every place. Event streams are answered at least every 15 seconds.

use super::MAX_CONNECTIONS;
use axum::serve::Listener;
use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep},
};

/// Longest time a connection may stay open without an answer on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The socket.
pub(super) struct Door {
    listener: TcpListener,
    room: Arc<Semaphore>,
}

/// A connection let in; its place is free again when it ends.
pub(super) struct Guest<S = TcpStream> {
    stream: S,
    /// When patience ends: [`PATIENCE`] after the last answered byte.
    until: Pin<Box<Sleep>>,
    _place: Option<OwnedSemaphorePermit>,
}

impl<S> Guest<S> {
    fn new(stream: S, place: Option<OwnedSemaphorePermit>) -> Self {
        Guest {
            stream,
            until: Box::pin(sleep(PATIENCE)),
            _place: place,
        }
    }
}

impl Door {
    pub(super) fn new(listener: TcpListener) -> Self {
        Door {
            listener,
            room: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
        }
    }
}

impl Listener for Door {
    type Io = Guest;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Guest, SocketAddr) {
        // The semaphore is never closed.
        let place = Arc::clone(&self.room).acquire_owned().await.ok();
        let (stream, address) = Listener::accept(&mut self.listener).await;
        (Guest::new(stream, place), address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guest<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let guest = self.get_mut();
        if guest.until.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut guest.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guest<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let guest = self.get_mut();
        let written = Pin::new(&mut guest.stream).poll_write(cx, buf);
        if let Poll::Ready(Ok(1..)) = written {
            let until = Instant::now().checked_add(PATIENCE);
            guest
                .until
                .as_mut()
                .reset(until.unwrap_or_else(Instant::now));
        }
        written
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    /// THREATS D, L: neither silence nor one byte now and then keeps a place; answers do.
    #[tokio::test(start_paused = true)]
    async fn a_connection_lives_as_long_as_it_is_answered() {
        let (far, near) = duplex(64);
        let mut guest = Guest::new(near, None);
        let began = Instant::now();
        let dripping = tokio::spawn(async move {
            let mut far = far;
            while far.write_all(b"x").await.is_ok() {
                sleep(PATIENCE / 8).await;
            }
        });
        let mut buffer = [0; 1];
        for _ in 0..20 {
            guest.read_exact(&mut buffer).await.unwrap();
            if began.elapsed() < PATIENCE {
                guest.write_all(b"y").await.unwrap();
            } else {
                break;
            }
        }
        let error = loop {
            if let Err(error) = guest.read_exact(&mut buffer).await {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(
            began.elapsed() >= PATIENCE + PATIENCE / 2,
            "answers buy time"
        );
        drop(guest);
        dripping.await.unwrap();
    }
}
