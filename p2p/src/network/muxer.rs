//! yamux with windows that do not grow.
//!
//! yamux doubles the window of a stream that is read within two round trips, until the windows of a connection add up to 1 GiB, and whoever
//! answers its pings late chooses the round trip (THREATS D). libp2p's own adapter offers no way to say less, so this one stands in its place.
//! Bound: a connection buffers at most [`STREAMS`] × 256 KiB, the window yamux gives every stream.

use futures::{AsyncRead, AsyncWrite, ready};
use libp2p::core::{
    muxing::{StreamMuxer, StreamMuxerEvent},
    upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo},
};
use std::{
    collections::VecDeque,
    convert::Infallible,
    future::{Ready, ready},
    iter,
    pin::Pin,
    task::{Context, Poll, Waker},
};
use yamux::{Connection, ConnectionError, DEFAULT_CREDIT, Mode, Stream};

/// Streams per connection: gossip and ping 2 each, kad and identify a few, requests `transport::REQUEST_STREAMS`.
pub(crate) const STREAMS: u32 = 32;
/// Unread bytes of one connection.
pub(crate) const CONNECTION_BYTES: u32 = STREAMS.saturating_mul(DEFAULT_CREDIT);

/// Agrees on yamux.
#[derive(Clone, Debug)]
pub(super) struct Upgrade(yamux::Config);

impl Upgrade {
    pub(super) fn new() -> Self {
        let bytes = |n| usize::try_from(n).unwrap_or(usize::MAX);
        let mut config = yamux::Config::default();
        config.set_max_num_streams(bytes(STREAMS));
        config.set_max_connection_receive_window(Some(bytes(CONNECTION_BYTES)));
        Upgrade(config)
    }
}

impl UpgradeInfo for Upgrade {
    type Info = &'static str;
    type InfoIter = iter::Once<&'static str>;

    fn protocol_info(&self) -> Self::InfoIter {
        iter::once("/yamux/1.0.0")
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> InboundConnectionUpgrade<C> for Upgrade {
    type Output = Muxer<C>;
    type Error = Infallible;
    type Future = Ready<Result<Muxer<C>, Infallible>>;

    fn upgrade_inbound(self, io: C, _: &'static str) -> Self::Future {
        ready(Ok(Muxer::new(Connection::new(io, self.0, Mode::Server))))
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> OutboundConnectionUpgrade<C> for Upgrade {
    type Output = Muxer<C>;
    type Error = Infallible;
    type Future = Ready<Result<Muxer<C>, Infallible>>;

    fn upgrade_outbound(self, io: C, _: &'static str) -> Self::Future {
        ready(Ok(Muxer::new(Connection::new(io, self.0, Mode::Client))))
    }
}

/// A connection.
pub(super) struct Muxer<C> {
    connection: Connection<C>,
    /// Streams the remote opened while nobody wanted one: at most [`STREAMS`], for yamux accepts no more.
    opened: VecDeque<Stream>,
    wants_inbound: Option<Waker>,
}

impl<C: AsyncRead + AsyncWrite + Unpin> Muxer<C> {
    fn new(connection: Connection<C>) -> Self {
        Muxer {
            connection,
            opened: VecDeque::new(),
            wants_inbound: None,
        }
    }

    /// The next stream the remote opens. yamux reads and writes nothing but here.
    fn next_inbound(&mut self, cx: &mut Context<'_>) -> Poll<Result<Stream, ConnectionError>> {
        let next = ready!(self.connection.poll_next_inbound(cx));
        Poll::Ready(next.unwrap_or(Err(ConnectionError::Closed)))
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> StreamMuxer for Muxer<C> {
    type Substream = Stream;
    type Error = ConnectionError;

    fn poll_inbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Stream, ConnectionError>> {
        if let Some(stream) = self.opened.pop_front() {
            return Poll::Ready(Ok(stream));
        }
        let next = self.next_inbound(cx);
        if next.is_pending() {
            self.wants_inbound = Some(cx.waker().clone());
        }
        next
    }

    fn poll_outbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Stream, ConnectionError>> {
        self.connection.poll_new_outbound(cx)
    }

    fn poll_close(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), ConnectionError>> {
        self.connection.poll_close(cx)
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<StreamMuxerEvent, ConnectionError>> {
        let stream = ready!(self.next_inbound(cx))?;
        self.opened.push_back(stream);
        if let Some(waker) = self.wants_inbound.take() {
            waker.wake();
        }
        // There may be more to read; others have their turn first.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
