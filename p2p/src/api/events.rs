//! `GET /v1/events`: what happens, as it happens, and from where a listener left off.
//!
//! Blocks and phases of auctions are functions of the chain: they have ids, the same on every peer and after a restart, and what a
//! listener missed is read from the disk before it goes live. This is gapless because a block is on disk before the chain shows it, and
//! the chain shows it before it is told: whoever subscribes, then looks at the chain, then reads the disk up to there, gets every
//! later block by subscription. Refusals are this peer's own: told once, without an id.
//!
//! A listener too slow for the queue is told so (`gap`) and goes on from the disk; so is everybody when more is refused than is worth telling.
//! Bounds: so many listeners ([`ApiSection::listeners`](crate::config::ApiSection::listeners)), and pages of so many blocks and bytes; a listener that reads
//! nothing loses its connection (see `door`).

use super::{
    Api,
    door::Caller,
    error::Failure,
    extract::Ask,
    types::{Event, EventId},
};
use axum::{
    extract::{ConnectInfo, State},
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse, Sse,
        sse::{Event as Line, KeepAlive},
    },
};
use futures::stream;
use serde::Deserialize;
use std::{collections::VecDeque, convert::Infallible, sync::Arc};
use tender_wire::Height;
use tokio::sync::{
    OwnedSemaphorePermit,
    broadcast::{Receiver, error::RecvError},
};

/// Blocks read from the disk at once.
pub(crate) const PAGE_BLOCKS: usize = 64;
/// Bytes of blocks read from the disk at once.
pub(crate) const PAGE_BYTES: usize = 4 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Since {
    from: Option<u64>,
}

/// Follow what happens
///
/// Server-sent events. Each `data:` is an `Event` as JSON; blocks and phases carry an `id:`, which a reconnecting client sends back as
/// `Last-Event-ID` to go on right after it, on this peer or another, without a hole or a repetition.
#[utoipa::path(get, path = "/v1/events", tag = "chain",
    params(
        ("from" = Option<u64>, Query, description = "Begin with the events of this block; from now on if neither this nor the header is given"),
        ("Last-Event-ID" = Option<String>, Header, description = "Go on after this event: `height.index`"),
    ),
    responses((status = 200, body = Event, content_type = "text/event-stream", description = "Until the client or the peer ends it")))]
pub(super) async fn events(
    State(api): State<Api>,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Ask(Since { from }): Ask<Since>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Failure> {
    let place = Arc::clone(&api.listeners)
        .try_acquire_owned()
        .map_err(|_| {
            Failure::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too_many_listeners",
                format!("{} listeners follow the events already", api.max_listeners),
                "end one of them, ask GET /v1/auctions/{id} now and then, or raise api.listeners in config.toml",
            )
        })?;
    // The subscription first: see above.
    let events = api.shared.subscribe();
    let last = headers
        .get("last-event-id")
        .map(|value| value.to_str().unwrap_or("?").parse::<EventId>())
        .transpose()
        .map_err(Failure::bad_request)?;
    let next = match (last, from) {
        (Some(last), _) => last.next(),
        (None, Some(height)) => EventId::of_block(Height(height)),
        (None, None) => EventId::of_block(api.shared.chain().height.next()),
    };
    let next = next.max(EventId::of_block(Height(1)));
    caller.listens();
    let listener = Listener {
        api,
        events,
        next,
        is_behind: true,
        ready: VecDeque::new(),
        _place: place,
    };
    let lines = stream::unfold(listener, |mut listener| async move {
        let event = listener.next_event().await?;
        let line = match event.id() {
            Some(id) => Line::default().id(id.to_string()),
            None => Line::default(),
        };
        let line = line.json_data(&event).unwrap_or_default();
        Some((Ok::<_, Infallible>(line), listener))
    });
    Ok(Sse::new(lines).keep_alive(KeepAlive::default()))
}

/// One who listens.
struct Listener {
    api: Api,
    events: Receiver<Event>,
    /// The least id not told yet.
    next: EventId,
    /// Whether the disk may hold events that the subscription does not.
    is_behind: bool,
    /// Read from the disk, to be told.
    ready: VecDeque<Event>,
    _place: OwnedSemaphorePermit,
}

impl Listener {
    /// The next event to tell; `None` when the peer stops.
    async fn next_event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.is_behind {
                self.is_behind = self.read_on().await?;
                continue;
            }
            let stop = &mut self.api.stop;
            let told = tokio::select! {
                told = self.events.recv() => told,
                _ = stop.wait_for(|stop| *stop) => return None,
            };
            match told {
                Ok(event) => match event.id() {
                    Some(id) if id < self.next => {}
                    Some(id) => {
                        self.next = id.next();
                        return Some(event);
                    }
                    None => return Some(event),
                },
                Err(RecvError::Lagged(missed)) => {
                    self.is_behind = true;
                    let height = self.next.height;
                    return Some(Event::Gap { height, missed });
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// Reads a page of what was missed. Whether there may be more; `None` if the disk fails, which ends the stream.
    async fn read_on(&mut self) -> Option<bool> {
        let (next, tip) = (self.next, self.api.shared.chain().height);
        if next.height > tip || *self.api.stop.borrow() {
            return Some(false);
        }
        // Not beyond what the chain shows, so that what follows from an event can be read at once.
        let left = tip.0.saturating_sub(next.height.0).saturating_add(1);
        let count = usize::try_from(left).map_or(PAGE_BLOCKS, |left| left.min(PAGE_BLOCKS));
        let page = self
            .api
            .read(move |shared| Ok(shared.archive.events(next.height, count, PAGE_BYTES)?));
        let page = page.await.ok()?;
        let last = page.last().and_then(Event::id)?;
        self.ready
            .extend(page.into_iter().filter(|it| it.id() >= Some(next)));
        self.next = EventId::of_block(last.height.next());
        Some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_read_and_follow_each_other() {
        let id: EventId = "12.3".parse().unwrap();
        assert_eq!(
            (id.to_string(), id.next().to_string()),
            ("12.3".into(), "12.4".into())
        );
        let last = EventId {
            index: u32::MAX,
            ..id
        };
        assert_eq!(last.next(), EventId::of_block(Height(13)));
        for wrong in ["", "12", "12.", ".1", "-1.0", "1.2.3", "x.y"] {
            assert!(wrong.parse::<EventId>().is_err(), "{wrong}");
        }
    }
}
