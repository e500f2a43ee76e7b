//! The API's listening socket: who is let in, for how long, and with how much.
//!
//! ```text
//!            ┌─ head within HEAD_WITHIN, MAX_HEAD_BYTES ─┐          ┌─ taken within a time that grows with its length ─┐
//!  accepted ─┴──────── waiting ──────────────────────────┴─ served ─┴─ answered ── waiting, for IDLE at most ─▶ …
//! ```
//!
//! A connection on which nothing comes, or byte by byte, or whose answers are not read, is closed in time. There are
//! [`MAX_CONNECTIONS`] places, and one more for each listener of events; when all are taken, the connection that has kept its place longest without
//! a whole request, or without taking its answer, makes way for the newcomer: thousands of silent, slow or deaf ones keep nobody out who asks at
//! once. Each has [`GRACE`] before that, so that a burst of clients who mean to speak is not turned away.
//!
//! A listener of events gives its place back and holds one of theirs. It is closed when nothing could be written to it for [`IDLE`]; streams are
//! written to at least every 15 seconds.

use super::MAX_CONNECTIONS;
use axum::{
    body::{Body, HttpBody as _},
    extract::connect_info::Connected,
    http::{HeaderValue, header},
    response::Response,
    serve::{IncomingStream, Listener},
};
use futures::StreamExt as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep_until, timeout},
};

/// Longest time from the connection to the end of its first request's head.
pub(crate) const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// Longest request head, in bytes.
pub(crate) const MAX_HEAD_BYTES: usize = 16 << 10;
/// Longest time a connection is kept between an answer and the end of the next request's head, or a stream that cannot be written to.
pub(crate) const IDLE: Duration = Duration::from_secs(30);
/// Time given to take any answer, to which comes what its length takes at [`LEAST_RATE`].
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// Bytes a second at which an answer must be taken at least: 2 Mbit/s.
pub(crate) const LEAST_RATE: u64 = 256 << 10;
/// Least time a connection has for its request, or for taking more of its answer, however many others come.
pub(crate) const GRACE: Duration = Duration::from_millis(250);
/// How often somebody who makes way is looked for while all places are taken.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Files and sockets of this process beside the API's.
pub(crate) const OTHER_FILES: u64 = 512;

/// Lets this process have as many sockets as its listeners need, if the system lets it: a usual limit is 1024.
pub(super) fn allow_sockets(listeners: u16) {
    let wanted = u64::from(listeners)
        .saturating_add(MAX_CONNECTIONS as u64)
        .saturating_add(OTHER_FILES);
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|now| now >= wanted) {
        return;
    }
    let raised = limit.maximum.map_or(wanted, |most| most.min(wanted));
    let limit = Rlimit {
        current: Some(raised),
        ..limit
    };
    if setrlimit(Resource::Nofile, limit).is_err() || raised < wanted {
        tracing::warn!(
            wanted,
            "too few open files are allowed for api.listeners: raise `ulimit -n`"
        );
    }
}

/// The socket.
pub(super) struct Door {
    listener: TcpListener,
    room: Arc<Semaphore>,
    lines: Arc<Lines>,
}

/// Every connection, in order of arrival.
#[derive(Default)]
pub(super) struct Lines(Mutex<(u64, BTreeMap<u64, Arc<Line>>)>);

/// A connection, as its socket and whoever serves it see it.
pub(super) struct Line {
    peer: SocketAddr,
    state: Mutex<State>,
}

struct State {
    at: At,
    /// Since when.
    since: Instant,
    /// The connection is closed then, if nothing comes in between.
    until: Instant,
    /// Bytes of a request's head that may yet come.
    head: usize,
    /// It makes way, or has no place any more.
    is_over: bool,
    /// Since when nothing of an answer could be written.
    deaf_since: Option<Instant>,
    place: Option<OwnedSemaphorePermit>,
    socket: Option<Waker>,
}

/// What a connection is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Waiting for a request.
    Waiting,
    /// The body of a request is on its way.
    Receiving,
    /// A request is worked on or answered.
    Served,
    /// Events are told as they come.
    Streaming,
}

/// The client of a request.
#[derive(Clone)]
pub(super) struct Caller(Arc<Line>);

/// A connection let in; its place is free again when it ends.
pub(super) struct Guest<S = TcpStream> {
    stream: S,
    line: Arc<Line>,
    timer: Pin<Box<Sleep>>,
    /// Where it stands in the list.
    listed: Option<(u64, Arc<Lines>)>,
}

impl Door {
    pub(super) fn new(listener: TcpListener) -> Self {
        Door {
            listener,
            room: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            lines: Arc::default(),
        }
    }

    /// Those let in, now and later.
    pub(super) fn lines(&self) -> Arc<Lines> {
        Arc::clone(&self.lines)
    }

    /// A place, as soon as there is one.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        loop {
            let place = Arc::clone(&self.room).acquire_owned();
            match timeout(LOOK_AGAIN, place).await {
                Ok(place) => return place.ok(), // the semaphore is never closed
                Err(_) => self.lines.make_way(),
            }
        }
    }
}

impl Listener for Door {
    type Io = Guest;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Guest, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        if self.room.available_permits() == 0 {
            self.lines.make_way();
        }
        let line = Arc::new(Line::new(address, self.place().await));
        let listed = Some((self.lines.enter(&line), Arc::clone(&self.lines)));
        (Guest::new(stream, line, listed), address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Connected<IncomingStream<'_, Door>> for Caller {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        Caller(Arc::clone(&stream.io().line))
    }
}

impl Lines {
    fn enter(&self, line: &Arc<Line>) -> u64 {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (number, rows) = &mut *lines;
        *number = number.saturating_add(1);
        rows.insert(*number, Arc::clone(line));
        *number
    }

    fn leave(&self, number: u64) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.1.remove(&number);
    }

    /// Ends every connection.
    pub(super) fn end_all(&self) {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.1.values().for_each(|line| line.end());
    }

    /// Ends the connection that has kept its place idle longest, if any has had its grace.
    fn make_way(&self) {
        let now = Instant::now();
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = lines.1.values().filter_map(|line| {
            let since = line.lock().idle_since()?;
            (now.saturating_duration_since(since) >= GRACE).then_some((since, line))
        });
        if let Some((_, longest)) = idle.min_by_key(|(since, _)| *since) {
            longest.end();
        }
    }
}

impl State {
    /// Since when it has kept its place without need, if it does.
    fn idle_since(&self) -> Option<Instant> {
        match self.at {
            _ if self.is_over => None,
            At::Waiting | At::Receiving => Some(self.since),
            At::Served => self.deaf_since,
            At::Streaming => None,
        }
    }
}

impl Line {
    fn new(peer: SocketAddr, place: Option<OwnedSemaphorePermit>) -> Self {
        let now = Instant::now();
        let state = State {
            at: At::Waiting,
            since: now,
            until: after(now, HEAD_WITHIN),
            head: MAX_HEAD_BYTES,
            is_over: false,
            deaf_since: None,
            place,
            socket: None,
        };
        Line {
            peer,
            state: Mutex::new(state),
        }
    }

    fn turn_to(&self, at: At, within: Duration) {
        let now = Instant::now();
        let mut state = self.lock();
        state.at = at;
        state.since = now;
        state.until = after(now, within);
        state.head = MAX_HEAD_BYTES;
        state.deaf_since = None;
        // A listener's place among connections went to another.
        state.is_over |= at == At::Waiting && state.place.is_none();
    }

    fn end(&self) {
        let mut state = self.lock();
        state.is_over = true;
        if let Some(socket) = state.socket.take() {
            socket.wake();
        }
    }

    // Every change is complete before it can panic, so a poisoned lock is as good as another.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Caller {
    /// Where the connection comes from.
    pub(super) fn address(&self) -> SocketAddr {
        self.0.peer
    }

    /// Its request has come; the answer begins in this time.
    pub(super) fn serves(&self, within: Duration) {
        self.0.turn_to(At::Served, within);
    }

    /// [`Caller::serves`], but for a body that is yet to come.
    pub(super) fn receives(&self, body: Body, within: Duration) -> Body {
        self.0.turn_to(At::Receiving, within);
        let whole = Received(Arc::clone(&self.0), within);
        let parts = body.into_data_stream().map(move |part| {
            let _until_the_last = &whole;
            part
        });
        Body::from_stream(parts)
    }

    /// It listens to events from now on, and does not count among connections.
    pub(super) fn listens(&self) {
        let place = self.0.lock().place.take();
        drop(place);
    }

    /// Watches over the answer until it is written.
    pub(super) fn answers(self, mut response: Response) -> Response {
        let length = response.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|text| text.to_str().ok()?.parse().ok());
        let length = length.or_else(|| response.body().size_hint().exact());
        let done = Answered(Arc::clone(&self.0));
        match length {
            Some(0) => return response,
            Some(length) => {
                let takes = Duration::from_secs(length.checked_div(LEAST_RATE).unwrap_or(0));
                let within = ANSWER_WITHIN.saturating_add(takes);
                self.0.turn_to(At::Served, within);
                // The body below has no length of its own.
                let headers = response.headers_mut();
                headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
            }
            None => self.0.turn_to(At::Streaming, IDLE),
        }
        response.map(|body| {
            let parts = body.into_data_stream().map(move |part| {
                let _until_the_last = &done;
                part
            });
            Body::from_stream(parts)
        })
    }
}

/// A body under way; the request is served when it is dropped.
struct Received(Arc<Line>, Duration);

impl Drop for Received {
    fn drop(&mut self) {
        self.0.turn_to(At::Served, self.1);
    }
}

/// An answer under way; the connection waits again when it is dropped.
struct Answered(Arc<Line>);

impl Drop for Answered {
    fn drop(&mut self) {
        self.0.turn_to(At::Waiting, IDLE);
    }
}

impl<S> Guest<S> {
    fn new(stream: S, line: Arc<Line>, listed: Option<(u64, Arc<Lines>)>) -> Self {
        let until = line.lock().until;
        Guest {
            stream,
            line,
            timer: Box::pin(sleep_until(until)),
            listed,
        }
    }

    /// Whether the connection may go on. Asked on reading and on writing: an answer that nobody reads leaves only the latter.
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let mut state = self.line.lock();
        if state.is_over {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        state.socket = Some(cx.waker().clone());
        if self.timer.deadline() != state.until {
            self.timer.as_mut().reset(state.until);
        }
        match self.timer.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl<S> Drop for Guest<S> {
    fn drop(&mut self) {
        if let Some((number, lines)) = &self.listed {
            lines.leave(*number);
        }
        let place = self.line.lock().place.take();
        drop(place);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guest<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let guest = self.get_mut();
        guest.check(cx)?;
        let waits = |state: &State| state.at == At::Waiting;
        let is_too_long = {
            let state = guest.line.lock();
            waits(&state) && state.head == 0
        };
        if is_too_long {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut guest.stream).poll_read(cx, buf);
        let mut state = guest.line.lock();
        if waits(&state) {
            let came = buf.filled().len().saturating_sub(before);
            state.head = state.head.saturating_sub(came);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guest<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let guest = self.get_mut();
        guest.check(cx)?;
        let written = Pin::new(&mut guest.stream).poll_write(cx, buf);
        let mut state = guest.line.lock();
        match written {
            Poll::Pending => state.deaf_since = state.deaf_since.or_else(|| Some(Instant::now())),
            Poll::Ready(_) => state.deaf_since = None,
        }
        if let Poll::Ready(Ok(1..)) = written
            && state.at == At::Streaming
        {
            state.until = after(Instant::now(), IDLE);
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

fn after(now: Instant, within: Duration) -> Instant {
    now.checked_add(within).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
        time::sleep,
    };

    fn guest(bytes: usize) -> (DuplexStream, Guest<DuplexStream>) {
        let (far, near) = duplex(bytes);
        let line = Arc::new(Line::new(([127, 0, 0, 1], 1).into(), None));
        line.lock().place = Arc::new(Semaphore::new(1)).try_acquire_owned().ok();
        (far, Guest::new(near, line, None))
    }

    async fn ends(guest: &mut Guest<DuplexStream>) -> io::ErrorKind {
        let mut buffer = [0; 512];
        loop {
            if let Err(error) = guest.read(&mut buffer).await {
                return error.kind();
            }
        }
    }

    fn answer(guest: &Guest<DuplexStream>, bytes: usize) -> Response {
        let caller = Caller(Arc::clone(&guest.line));
        caller.answers(Response::new(Body::from(vec![0; bytes])))
    }

    /// THREATS D, L: neither silence nor a head that drips in keeps a place; requests do.
    #[tokio::test(start_paused = true)]
    async fn a_connection_lives_as_long_as_it_is_answered() {
        let (far, mut guest) = guest(64);
        let began = Instant::now();
        let dripping = tokio::spawn(async move {
            let mut far = far;
            while far.write_all(b"x").await.is_ok() {
                sleep(HEAD_WITHIN / 8).await;
            }
        });
        let mut buffer = [0; 1];
        guest.read_exact(&mut buffer).await.unwrap();
        // A request comes just in time, is worked on for longer than a head may take, and answered.
        sleep(HEAD_WITHIN / 2).await;
        let caller = Caller(Arc::clone(&guest.line));
        caller.serves(HEAD_WITHIN * 2);
        sleep(HEAD_WITHIN).await;
        guest.read_exact(&mut buffer).await.unwrap();
        drop(answer(&guest, 0));
        // Then nothing that would be a request.
        assert_eq!(ends(&mut guest).await, io::ErrorKind::TimedOut);
        let lived = began.elapsed();
        assert!(
            lived >= HEAD_WITHIN + IDLE && lived < HEAD_WITHIN * 2 + IDLE,
            "{lived:?}"
        );
        drop(guest);
        dripping.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_first_head_that_does_not_come_ends_soon() {
        let (_far, mut guest) = guest(64);
        let began = Instant::now();
        assert_eq!(ends(&mut guest).await, io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed(), HEAD_WITHIN);
    }

    /// B15: a head has its bound; a body, which has another, begins anew.
    #[tokio::test(start_paused = true)]
    async fn a_head_without_end_is_cut_off() {
        let (mut far, mut guest) = guest(2 * MAX_HEAD_BYTES);
        let caller = Caller(Arc::clone(&guest.line));
        caller.serves(IDLE);
        far.write_all(&vec![0; 2 * MAX_HEAD_BYTES]).await.unwrap();
        let mut body = vec![0; 2 * MAX_HEAD_BYTES];
        guest.read_exact(&mut body).await.unwrap();
        drop(answer(&guest, 0));
        far.write_all(&vec![0; 2 * MAX_HEAD_BYTES]).await.unwrap();
        assert_eq!(ends(&mut guest).await, io::ErrorKind::InvalidData);
    }

    /// L: an answer that nobody takes ends its connection, also if nothing is read from it meanwhile; one that is taken slowly has its time.
    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_not_read_is_not_kept() {
        let (_far, mut guest) = guest(1024);
        let length = 1 << 20;
        let answer = answer(&guest, length);
        let began = Instant::now();
        let failed = guest.write_all(&vec![0; length]).await.unwrap_err();
        assert_eq!(failed.kind(), io::ErrorKind::TimedOut);
        let least = Duration::from_secs(length as u64 / LEAST_RATE);
        assert_eq!(began.elapsed(), ANSWER_WITHIN + least);
        drop(answer);
    }

    /// A stream has no end, and lives as long as it can be written to.
    #[tokio::test(start_paused = true)]
    async fn a_listener_that_reads_stays_and_one_that_sleeps_goes() {
        let (mut far, mut guest) = guest(64);
        let caller = Caller(Arc::clone(&guest.line));
        caller.listens();
        let endless = futures::stream::pending::<Result<Vec<u8>, io::Error>>();
        let stream = caller.answers(Response::new(Body::from_stream(endless)));
        let mut buffer = [0; 64];
        for _ in 0..8 {
            sleep(IDLE / 2).await;
            guest.write_all(&[7; 64]).await.unwrap();
            far.read_exact(&mut buffer).await.unwrap();
        }
        guest.write_all(&[7; 64]).await.unwrap();
        let asleep = guest.write_all(&[7; 64]).await.unwrap_err();
        assert_eq!(asleep.kind(), io::ErrorKind::TimedOut);
        // Its place is another's: it does not become a connection like others.
        drop(stream);
        assert_eq!(ends(&mut guest).await, io::ErrorKind::ConnectionAborted);
    }

    /// L, B22: who has kept a place longest without need makes way, and nobody who is served, nor anybody at once.
    #[tokio::test(start_paused = true)]
    async fn the_longest_silence_makes_way() {
        let lines = Lines::default();
        let mut guests = Vec::new();
        for _ in 0..3 {
            let (far, guest) = guest(64);
            lines.enter(&guest.line);
            guests.push((far, guest));
            sleep(GRACE / 8).await;
        }
        Caller(Arc::clone(&guests[0].1.line)).serves(IDLE);
        lines.make_way();
        assert!(
            guests.iter().all(|(_, it)| !it.line.lock().is_over),
            "all have grace"
        );
        sleep(GRACE).await;
        let is_over = |guests: &[(DuplexStream, Guest<DuplexStream>)]| -> Vec<bool> {
            guests
                .iter()
                .map(|(_, it)| it.line.lock().is_over)
                .collect()
        };
        lines.make_way();
        assert_eq!(is_over(&guests), [false, true, false]);
        lines.make_way();
        assert_eq!(is_over(&guests), [false, true, true]);
        lines.make_way();
        assert_eq!(is_over(&guests), [false, true, true]);
        let gone = ends(&mut guests[1].1).await;
        assert_eq!(gone, io::ErrorKind::ConnectionAborted);
    }

    /// L, B22: a body that does not come, and an answer that is not taken, keep a place no better than silence.
    #[tokio::test(start_paused = true)]
    async fn slow_bodies_and_deaf_clients_make_way_too() {
        let lines = Lines::default();
        let (_far, mut slow) = guest(64);
        let (_deaf, mut deaf) = guest(64);
        for guest in [&slow, &deaf] {
            lines.enter(&guest.line);
        }
        let endless = futures::stream::pending::<Result<Vec<u8>, io::Error>>();
        let caller = Caller(Arc::clone(&slow.line));
        let body = caller.receives(Body::from_stream(endless), IDLE);
        let answer = answer(&deaf, 1024);
        assert!(
            timeout(GRACE / 2, deaf.write_all(&[0; 1024]))
                .await
                .is_err()
        );
        sleep(GRACE).await;
        lines.make_way();
        assert_eq!(ends(&mut slow).await, io::ErrorKind::ConnectionAborted);
        assert!(!deaf.line.lock().is_over);
        lines.make_way();
        assert_eq!(ends(&mut deaf).await, io::ErrorKind::ConnectionAborted);
        // A body that has come is another matter.
        drop(body);
        assert_eq!(slow.line.lock().at, At::Served);
        drop(answer);
    }
}
