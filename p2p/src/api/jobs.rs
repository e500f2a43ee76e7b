//! Work that takes longer than a request may: signing, proving, waiting for a block.
//!
//! Invariants: so much of it runs at once, so much waits, and more is refused; how it ended is kept for whoever asks later, the newest
//! [`MAX_KEPT`] of them, until the peer stops. Work that was begun goes on when its client leaves. A client that did not get its answer and asks
//! again under the same key gets the answer of the same job, as long as that is kept ([`Jobs::begin_once`]).

use super::{error::Failure, types::Done};
use crate::blocking::Blocking;
use axum::http::StatusCode;
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::{sync::watch, time::timeout};

/// Jobs that run at once: a proof keeps a core busy that consensus may need.
pub(crate) const MAX_AT_ONCE: usize = 2;
/// Jobs that wait for one of those places.
pub(crate) const MAX_WAITING: usize = 16;
/// Ended jobs that can still be asked after.
pub(crate) const MAX_KEPT: usize = 64;
/// Longest an answer waits for its job: below [`super::REQUEST_TIMEOUT`].
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(10);

type Ended = Result<Done, Failure>;

/// The jobs of one peer.
pub(super) struct Jobs {
    /// Tells the jobs of this start from those of an earlier one.
    start: u32,
    rows: Mutex<Rows>,
    room: Blocking,
}

/// A job, by number.
enum Entered {
    New(u64),
    Before(u64),
}

#[derive(Default)]
struct Rows {
    next: u64,
    /// By number, hence oldest first.
    jobs: BTreeMap<u64, watch::Receiver<Option<Ended>>>,
    /// What was asked for under a key, and by which job it is done.
    keys: BTreeMap<String, (Content, u64)>,
}

/// Hash of a request.
pub(super) type Content = [u8; 32];

impl Jobs {
    pub(super) fn new(start: u32) -> Self {
        Jobs {
            start,
            rows: Mutex::default(),
            room: Blocking::new(MAX_AT_ONCE),
        }
    }

    /// Begins a job, or queues it. Gives its name.
    pub(super) fn begin(
        &self,
        work: impl FnOnce() -> Ended + Send + 'static,
    ) -> Result<String, Failure> {
        self.begin_under(None, work)
    }

    /// Begins a job under its client's key, or names the one that was begun under it.
    pub(super) fn begin_once(
        &self,
        key: String,
        content: Content,
        work: impl FnOnce() -> Ended + Send + 'static,
    ) -> Result<String, Failure> {
        self.begin_under(Some((key, content)), work)
    }

    fn begin_under(
        &self,
        key: Option<(String, Content)>,
        work: impl FnOnce() -> Ended + Send + 'static,
    ) -> Result<String, Failure> {
        let (done, ended) = watch::channel(None);
        let number = match self.enter(ended, key)? {
            Entered::New(number) => number,
            Entered::Before(number) => return Ok(self.name(number)),
        };
        let room = self.room.clone();
        tokio::spawn(async move {
            let result = room.run(work).await;
            let result = result.unwrap_or_else(|| Err(Failure::internal()));
            done.send_replace(Some(result));
        });
        Ok(self.name(number))
    }

    fn name(&self, number: u64) -> String {
        format!("{:08x}-{number}", self.start)
    }

    fn enter(
        &self,
        ended: watch::Receiver<Option<Ended>>,
        key: Option<(String, Content)>,
    ) -> Result<Entered, Failure> {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((key, content)) = &key
            && let Some((known, number)) = rows.keys.get(key)
        {
            if known == content {
                return Ok(Entered::Before(*number));
            }
            return Err(Failure::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "key_reused",
                "something else was asked for under this Idempotency-Key",
                "use another key for another request",
            ));
        }
        let is_over = |job: &watch::Receiver<Option<Ended>>| job.borrow().is_some();
        let over: Vec<u64> = rows
            .jobs
            .iter()
            .filter(|(_, job)| is_over(job))
            .map(|(number, _)| *number)
            .collect();
        if rows.jobs.len().saturating_sub(over.len()) >= MAX_AT_ONCE.saturating_add(MAX_WAITING) {
            return Err(Failure::new(
                StatusCode::TOO_MANY_REQUESTS,
                "busy",
                format!("{MAX_AT_ONCE} jobs run and {MAX_WAITING} wait"),
                "wait until some have ended, then send it again",
            ));
        }
        for number in over.iter().take(over.len().saturating_sub(MAX_KEPT)) {
            rows.jobs.remove(number);
        }
        let number = rows.next;
        rows.next = number.saturating_add(1);
        rows.jobs.insert(number, ended);
        let Rows { jobs, keys, .. } = &mut *rows;
        keys.retain(|_, (_, number)| jobs.contains_key(number));
        keys.extend(key.map(|(key, content)| (key, (content, number))));
        Ok(Entered::New(number))
    }

    /// How a job ended, if it does soon.
    pub(super) async fn end_of(&self, name: &str) -> Result<Option<Done>, Failure> {
        let mut job = self.find(name).ok_or_else(|| {
            let shown: String = name.chars().take(40).collect();
            Failure::not_found(
                format!("there is no job {shown:?}"),
                "jobs are forgotten when the peer stops, and old ones after a while: see GET /v1/auctions/{id} for what became of it",
            )
        })?;
        match timeout(ANSWER_WITHIN, job.wait_for(Option::is_some)).await {
            Err(_) => Ok(None),
            Ok(Err(_)) => Err(Failure::internal()),
            Ok(Ok(ended)) => ended.clone().transpose(),
        }
    }

    fn find(&self, name: &str) -> Option<watch::Receiver<Option<Ended>>> {
        let (start, number) = name.split_once('-')?;
        if u32::from_str_radix(start, 16).ok()? != self.start {
            return None;
        }
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        rows.jobs.get(&number.parse().ok()?).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::types::TakenStep;
    use std::sync::{Arc, mpsc};
    use tender_wire::{AuctionId, BidId, Height};

    fn done(height: u64) -> Done {
        Done::Stepped(TakenStep {
            auction: AuctionId([0; 32]),
            task: 0,
            bid: BidId([0; 32]),
            height: Height(height),
        })
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn so_many_wait_and_no_more_and_ends_are_kept_for_a_while() {
        let jobs = Jobs::new(7);
        let (release, gate) = mpsc::sync_channel::<()>(1);
        let gate = Arc::new(Mutex::new(gate));
        let mut names = Vec::new();
        for n in 0..(MAX_AT_ONCE + MAX_WAITING) as u64 {
            let gate = Arc::clone(&gate);
            let work = move || {
                let _ = gate.lock().unwrap().recv();
                Ok(done(n))
            };
            names.push(jobs.begin(work).unwrap());
        }
        let refused = jobs.begin(|| Ok(done(99))).unwrap_err();
        assert_eq!(
            (refused.status.as_u16(), refused.error.code.as_str()),
            (429, "busy")
        );
        drop(release);
        for (name, n) in names.iter().zip(0..) {
            assert_eq!(jobs.end_of(name).await.unwrap(), Some(done(n)));
        }
        let failed = jobs.begin(|| Err(Failure::bad_request("no"))).unwrap();
        let said = jobs.end_of(&failed).await.unwrap_err();
        assert_eq!(said.error.code, "bad_request");
        for n in 0..=MAX_KEPT as u64 {
            let name = jobs.begin(move || Ok(done(n))).unwrap();
            assert_eq!(jobs.end_of(&name).await.unwrap(), Some(done(n)));
        }
        let gone = jobs.end_of(&names[0]).await.unwrap_err();
        assert_eq!(gone.error.code, "not_found");
        for name in ["", "7", "00000008-0", "00000007-x", "zz-0"] {
            assert_eq!(jobs.end_of(name).await.unwrap_err().error.code, "not_found");
        }
    }

    /// B22: whoever asks again after a lost answer gets it, and nothing is done twice.
    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_asked_again_under_its_key_is_done_once() {
        let jobs = Jobs::new(1);
        let begin = |key: &str, content: u8, n: u64| {
            jobs.begin_once(key.to_owned(), [content; 32], move || Ok(done(n)))
        };
        let first = begin("a", 1, 10).unwrap();
        let other = begin("b", 1, 11).unwrap();
        assert_ne!(first, other);
        for _ in 0..3 {
            assert_eq!(begin("a", 1, 99).unwrap(), first);
            assert_eq!(jobs.end_of(&first).await.unwrap(), Some(done(10)));
        }
        assert_eq!(jobs.end_of(&other).await.unwrap(), Some(done(11)));
        let reused = begin("a", 2, 99).unwrap_err();
        assert_eq!(
            (reused.status.as_u16(), reused.error.code.as_str()),
            (422, "key_reused")
        );
        // A failure is an answer, too: whoever means to try again names another key.
        let refused = || Err(Failure::bad_request("no"));
        let failed = jobs.begin_once("c".into(), [3; 32], refused).unwrap();
        assert!(jobs.end_of(&failed).await.is_err());
        assert_eq!(begin("c", 3, 99).unwrap(), failed);
        // Keys are forgotten with their jobs.
        for n in 0..=MAX_KEPT as u64 {
            let name = jobs.begin(move || Ok(done(n))).unwrap();
            jobs.end_of(&name).await.unwrap();
        }
        assert_ne!(begin("a", 1, 12).unwrap(), first);
        assert!(jobs.rows.lock().unwrap().keys.len() <= 3);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_waits_a_while_and_the_job_goes_on() {
        let jobs = Arc::new(Jobs::new(1));
        let (release, gate) = mpsc::sync_channel::<()>(1);
        let work = move || {
            let _ = gate.recv();
            Ok(done(3))
        };
        let name = jobs.begin(work).unwrap();
        let (asked, of) = (Arc::clone(&jobs), name.clone());
        let answer = tokio::spawn(async move { asked.end_of(&of).await });
        tokio::task::yield_now().await;
        tokio::time::advance(ANSWER_WITHIN).await;
        assert_eq!(answer.await.unwrap().unwrap(), None);
        drop(release);
        assert_eq!(jobs.end_of(&name).await.unwrap(), Some(done(3)));
    }
}
