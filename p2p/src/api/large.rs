//! Answers that may be large: an auction with all its outcomes, a page of blocks.
//!
//! Bounds: so many are made at once ([`MAX_MADE`]), for each may hold tens of megabytes while it is; and so many bytes of them wait to be written
//! ([`MAX_SENT_KIB`]), whoever reads slowly or not at all. An answer that finds no room in time is refused, 503. Small ones are never.

use super::{Api, error::Failure};
use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::stream;
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
    time::timeout,
};

/// Large answers made at once.
pub(crate) const MAX_MADE: usize = 2;
/// Of their bytes, so many wait to be written, in KiB; an answer that is larger waits until it is alone.
pub(crate) const MAX_SENT_KIB: u32 = 64 << 10;
/// Answers of this size need no room: all connections together hold sixteen megabytes of them.
pub(crate) const SMALL_BYTES: usize = 64 << 10;
/// Longest wait for room.
pub(crate) const ROOM_WITHIN: Duration = Duration::from_secs(5);

/// What large answers share.
#[derive(Clone)]
pub(super) struct Large {
    made: Arc<Semaphore>,
    sent: Arc<Semaphore>,
}

impl Default for Large {
    fn default() -> Self {
        Large {
            made: Arc::new(Semaphore::new(MAX_MADE)),
            sent: Arc::new(Semaphore::new(MAX_SENT_KIB as usize)),
        }
    }
}

impl Api {
    /// Makes a large answer on a thread that may block, and sends it as there is room.
    pub(super) async fn answer_large(
        &self,
        content_type: &'static str,
        work: impl FnOnce(&crate::node::Shared) -> Result<Vec<u8>, Failure> + Send + 'static,
    ) -> Result<Response, Failure> {
        let shared = Arc::clone(&self.shared);
        let answer = self.large.answer(move || work(&shared)).await?;
        Ok(([(header::CONTENT_TYPE, content_type)], answer).into_response())
    }
}

impl Large {
    async fn answer(
        &self,
        work: impl FnOnce() -> Result<Vec<u8>, Failure> + Send + 'static,
    ) -> Result<Response, Failure> {
        // Never closed. Held by the work, which goes on when its client leaves, then until the answer has room.
        let made = Arc::clone(&self.made).acquire_owned().await;
        let done = spawn_blocking(move || (work(), made)).await;
        let (bytes, _made) = done.map_err(|_| Failure::internal())?;
        self.send(bytes?).await
    }

    async fn send(&self, bytes: Vec<u8>) -> Result<Response, Failure> {
        if bytes.len() <= SMALL_BYTES {
            return Ok(bytes.into_response());
        }
        let kib = u32::try_from(bytes.len().div_ceil(1024)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.sent).acquire_many_owned(kib.min(MAX_SENT_KIB));
        let Ok(Ok(room)) = timeout(ROOM_WITHIN, room).await else {
            return Err(Failure::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                format!("{MAX_SENT_KIB} KiB of large answers are on their way already"),
                "try again, or ask for a smaller page",
            ));
        };
        let length = HeaderValue::from(bytes.len());
        let mut answer = Body::from_stream(parts(bytes, room)).into_response();
        answer.headers_mut().insert(header::CONTENT_LENGTH, length);
        Ok(answer)
    }
}

/// An answer part by part. The parts are copies: the whole goes when the last has been taken, and its room with it.
fn parts(
    bytes: Vec<u8>,
    room: OwnedSemaphorePermit,
) -> impl stream::Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold((bytes, 0usize, room), |(bytes, from, room)| async move {
        let rest = bytes.get(from..).filter(|rest| !rest.is_empty())?;
        let part = rest.get(..SMALL_BYTES).unwrap_or(rest);
        let next = from.saturating_add(part.len());
        let part = Bytes::copy_from_slice(part);
        Some((Ok(part), (bytes, next, room)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;
    use futures::FutureExt as _;
    use std::sync::mpsc::sync_channel;

    /// P10, B22: who leaves does not free a place before its work has ended.
    #[tokio::test]
    async fn so_many_large_answers_are_made_at_once_and_one_more_waits_for_its_turn() {
        let large = Large::default();
        let mut held = Vec::new();
        for _ in 0..MAX_MADE {
            let (release, gate) = sync_channel::<()>(1);
            let work = move || {
                let _ = gate.recv();
                Ok(Vec::new())
            };
            assert!(large.answer(work).now_or_never().is_none());
            held.push(release);
        }
        assert_eq!(large.made.available_permits(), 0);
        let mut next = Box::pin(large.answer(|| Ok(Vec::new())));
        assert!((&mut next).now_or_never().is_none());
        held.pop();
        assert!(next.await.is_ok());
    }

    #[tokio::test]
    async fn an_answer_arrives_whole_and_gives_its_room_back() {
        let large = Large::default();
        for length in [
            0,
            1,
            SMALL_BYTES,
            SMALL_BYTES + 1,
            3 * SMALL_BYTES,
            1_000_003,
        ] {
            let bytes: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
            let answer = large.send(bytes.clone()).await.unwrap();
            assert_eq!(
                to_bytes(answer.into_body(), usize::MAX).await.unwrap(),
                bytes
            );
        }
        assert_eq!(large.sent.available_permits(), MAX_SENT_KIB as usize);
    }

    /// P10, B22: answers that nobody takes hold so much memory and no more; small ones go on.
    #[tokio::test(start_paused = true)]
    async fn answers_that_nobody_reads_leave_no_room_for_more_and_small_ones_go_on() {
        let large = Large::default();
        let kept: Vec<_> = [
            large.send(vec![0; 32 << 20]).await,
            large.send(vec![0; 31 << 20]).await,
        ]
        .into();
        assert!(kept.iter().all(Result::is_ok));
        let refused = large.send(vec![0; 2 << 20]).await.unwrap_err();
        assert_eq!(
            (refused.status, refused.error.code.as_str()),
            (StatusCode::SERVICE_UNAVAILABLE, "busy")
        );
        assert!(large.send(vec![0; SMALL_BYTES]).await.is_ok());
        drop(kept);
        assert!(
            large.send(vec![0; 1 << 30]).await.is_ok(),
            "alone, however large"
        );
    }
}
