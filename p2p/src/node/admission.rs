//! Where transactions are judged: on threads of their own, never on the async threads nor on the consensus thread.
//!
//! ```text
//!  gossip, API, duties ──offer──▶ queue ──fair──▶ judge ──▶ mempool ──▶ verdict, Work
//!                                   ▲               │ not now
//!                                   └── next block ─┴─▶ set aside, at most PATIENCE
//! ```
//!
//! Order of work: size and hash (by the caller), known already, codec, then [`Market::predict`](tender_auction::market::Market::predict), which goes from cheap to dear: windows,
//! signer, signature, ledger, proof.
//!
//! A gossiped transaction refused for the state this peer is in is set aside and judged again after the next block, for
//! honest peers are often a block apart; only when its time is up is it ignored. What no state admits is rejected at once.
//!
//! Bounds: [`MAX_QUEUED`], [`MAX_QUEUED_PER_SOURCE`], [`MAX_ASIDE`]. Sources take turns, so one that floods delays itself (THREATS T26, L1).

use super::{
    driver::{Jobs, Outgoing},
    shared::Shared,
    turns::Turns,
};
use crate::{
    mempool::{PoolError, Refused, Source},
    network::{GossipId, Verdict},
};
use libp2p::PeerId;
use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tender_consensus::tx::TxBytes;
use tender_wire::TxHash;
use tokio::sync::{mpsc, oneshot};

/// Transactions waiting to be judged. At some milliseconds a proof, a few seconds of work.
const MAX_QUEUED: usize = 1024;
/// Of those, from one peer, or submitted here; so many places are kept free of gossip, for what is submitted and owed here.
const MAX_QUEUED_PER_SOURCE: usize = 256;
/// Transactions set aside until the next block.
const MAX_ASIDE: usize = 512;
/// How long a gossiped transaction is kept without a verdict: gossip forgets it after ten seconds.
const PATIENCE: Duration = Duration::from_secs(8);

/// Where a transaction came from and who waits for the verdict.
pub(super) enum Origin {
    /// Gossip.
    Gossip { id: GossipId, peer: PeerId },
    /// Somebody waits for the answer.
    Submitted(oneshot::Sender<Result<TxHash, Refused>>),
    /// This validator owes it.
    Duty,
}

struct Item {
    tx: TxBytes,
    origin: Origin,
    since: Instant,
}

/// The queue and its judges.
pub(super) struct Admission {
    queue: Mutex<Queue>,
    ready: Condvar,
    shared: Arc<Shared>,
    jobs: Jobs,
    out: mpsc::Sender<Outgoing>,
}

struct Queue {
    /// `None` is this peer itself.
    waiting: Turns<Option<PeerId>, Item>,
    aside: Vec<Item>,
    stopped: bool,
}

/// What judging gave.
enum Finding {
    Admitted,
    /// Here or in a block.
    Known(Refused),
    Refused(Refused),
}

impl Admission {
    pub(super) fn new(shared: Arc<Shared>, jobs: Jobs, out: mpsc::Sender<Outgoing>) -> Self {
        Admission {
            queue: Mutex::new(Queue::new()),
            ready: Condvar::new(),
            shared,
            jobs,
            out,
        }
    }

    /// Queues a transaction, or drops it if there is no room.
    #[must_use]
    pub(super) fn offer(&self, tx: TxBytes, origin: Origin) -> bool {
        let item = Item {
            tx,
            origin,
            since: Instant::now(),
        };
        let queued = self.lock().push(item).is_ok();
        self.ready.notify_one();
        queued
    }

    /// After a block: what was set aside is judged again.
    pub(super) fn next_block(&self) {
        // Reports may wait for the courier, and the courier for the queue: never with the lock held.
        let refused = self.lock().next_block();
        self.ready.notify_all();
        for origin in refused {
            self.report(origin, Verdict::Ignore);
        }
    }

    /// Ends every judge.
    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.ready.notify_all();
    }

    /// A judge: works until stopped.
    pub(super) fn run(&self) {
        while let Some(item) = self.next() {
            self.judge(item);
        }
    }

    fn next(&self) -> Option<Item> {
        let mut queue = self.lock();
        loop {
            if queue.stopped {
                return None;
            }
            if let Some(item) = queue.waiting.pop() {
                return Some(item);
            }
            queue = self
                .ready
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn judge(&self, item: Item) {
        let hash = item.tx.hash();
        match self.find(&item) {
            Finding::Admitted => {
                self.jobs.work();
                self.accepted(item);
            }
            Finding::Known(known) => match item.origin {
                Origin::Submitted(reply) if known.code != "already_waiting" => {
                    answer(reply, Err(known))
                }
                Origin::Submitted(reply) => answer(reply, Ok(hash)),
                origin => self.report(origin, Verdict::Ignore),
            },
            Finding::Refused(refused) if self.may_wait(&item, &refused) => {
                let mut queue = self.lock();
                if queue.aside.len() < MAX_ASIDE {
                    queue.aside.push(item);
                } else {
                    drop(queue);
                    self.refused(item, refused);
                }
            }
            Finding::Refused(refused) => self.refused(item, refused),
        }
    }

    fn find(&self, item: &Item) -> Finding {
        let (tx, hash) = (&item.tx, item.tx.hash());
        if self.shared.mempool.contains(&hash) {
            return Finding::Known(PoolError::Duplicate(hash).into());
        }
        match self.shared.archive.transaction(&hash) {
            Ok(None) => {}
            Ok(Some(height)) => {
                return Finding::Known(Refused {
                    code: "already_committed",
                    message: format!("transaction {hash} is in block {height} already"),
                    for_ever: false,
                });
            }
            Err(error) => tracing::error!(%error, "cannot look for a transaction"),
        }
        let late = item.since.elapsed() > PATIENCE;
        let source = match &item.origin {
            Origin::Gossip { peer, .. } if late => Source::Late(*peer),
            Origin::Gossip { peer, .. } => Source::Peer(*peer),
            Origin::Submitted(_) | Origin::Duty => Source::Own,
        };
        let height = self.shared.chain().height;
        match self.enter(tx, source) {
            // A block came in between, and took what this one waits for.
            Finding::Refused(refused)
                if refused.code == "sequence" && self.shared.chain().height != height =>
            {
                self.enter(tx, source)
            }
            finding => finding,
        }
    }

    fn enter(&self, tx: &TxBytes, source: Source) -> Finding {
        let (lane, next) = match self.shared.predict(tx.bytes()) {
            Ok(place) => place,
            Err(refused) => return Finding::Refused(refused),
        };
        match self.shared.mempool.insert(tx.clone(), lane, source, next) {
            Ok(()) => Finding::Admitted,
            Err(error @ PoolError::Duplicate(_)) => Finding::Known(error.into()),
            Err(error) => Finding::Refused(error.into()),
        }
    }

    /// Whether another block may change the verdict, and somebody else has not been told it.
    fn may_wait(&self, item: &Item, refused: &Refused) -> bool {
        let gossiped = matches!(item.origin, Origin::Gossip { .. });
        gossiped && !refused.for_ever && item.since.elapsed() < PATIENCE
    }

    fn accepted(&self, item: Item) {
        let hash = item.tx.hash();
        match item.origin {
            origin @ Origin::Gossip { .. } => self.report(origin, Verdict::Accept),
            Origin::Submitted(reply) => {
                self.publish(&item.tx);
                answer(reply, Ok(hash));
            }
            Origin::Duty => self.publish(&item.tx),
        }
    }

    fn refused(&self, item: Item, refused: Refused) {
        let (hash, code, reason) = (item.tx.hash(), refused.code, &refused.message);
        match &item.origin {
            // Strangers must not fill the log.
            Origin::Gossip { peer, .. } => {
                tracing::debug!(tx = %hash, code, %reason, %peer, "transaction refused")
            }
            Origin::Submitted(_) | Origin::Duty => {
                tracing::info!(tx = %hash, code, %reason, "transaction refused")
            }
        }
        self.shared.refuse(hash, refused.clone());
        match item.origin {
            Origin::Submitted(reply) => answer(reply, Err(refused)),
            origin if refused.for_ever => self.report(origin, Verdict::Reject),
            origin => self.report(origin, Verdict::Ignore),
        }
    }

    fn report(&self, origin: Origin, verdict: Verdict) {
        if let Origin::Gossip { id, .. } = origin {
            self.send(Outgoing::Report(id, verdict));
        }
    }

    fn publish(&self, tx: &TxBytes) {
        self.send(Outgoing::Tx(tx.bytes().to_vec()));
    }

    fn send(&self, out: Outgoing) {
        if self.out.blocking_send(out).is_err() {
            tracing::debug!("the network is gone");
        }
    }

    // Every change of the queue is complete before it can panic, so a poisoned lock is as good as another.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn new() -> Self {
        Queue {
            waiting: Turns::new(MAX_QUEUED, MAX_QUEUED_PER_SOURCE),
            aside: Vec::new(),
            stopped: false,
        }
    }

    /// Queues again what was set aside; gives back what finds no room.
    fn next_block(&mut self) -> Vec<Origin> {
        let aside = std::mem::take(&mut self.aside);
        let again = aside.into_iter().map(|item| self.push(item));
        again
            .filter_map(Result::err)
            .map(|item| item.origin)
            .collect()
    }

    fn push(&mut self, item: Item) -> Result<(), Box<Item>> {
        let source = match &item.origin {
            Origin::Gossip { peer, .. } => Some(*peer),
            Origin::Submitted(_) | Origin::Duty => None,
        };
        let gossip_full = self.waiting.len() >= MAX_QUEUED.saturating_sub(MAX_QUEUED_PER_SOURCE);
        if self.stopped || (source.is_some() && gossip_full) {
            return Err(Box::new(item));
        }
        self.waiting.push(source, item).map_err(Box::new)
    }
}

fn answer(reply: oneshot::Sender<Result<TxHash, Refused>>, result: Result<TxHash, Refused>) {
    // Whoever asked may have hung up.
    let _ = reply.send(result);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(i: usize, origin: Origin) -> Item {
        Item {
            tx: TxBytes::new(i.to_le_bytes().to_vec()).unwrap(),
            origin,
            since: Instant::now(),
        }
    }

    fn gossiped(i: usize, peer: PeerId) -> Item {
        let id = GossipId::any(peer);
        item(i, Origin::Gossip { id, peer })
    }

    /// Nothing is reported under the lock: what finds no room is handed out, each item once.
    #[test]
    fn after_a_block_what_was_set_aside_is_queued_again_or_given_back() {
        let (mut queue, peer) = (Queue::new(), PeerId::random());
        queue.aside = (0..MAX_ASIDE).map(|i| gossiped(i, peer)).collect();
        assert_eq!(queue.next_block().len(), MAX_ASIDE - MAX_QUEUED_PER_SOURCE);
        assert!(queue.aside.is_empty());
        let queued = std::iter::from_fn(|| queue.waiting.pop()).count();
        assert_eq!(queued, MAX_QUEUED_PER_SOURCE);
    }

    /// L1, T26: however many strangers flood, what this peer owes is judged.
    #[test]
    fn gossip_leaves_room_for_duties() {
        let mut queue = Queue::new();
        let strangers: Vec<_> = (0..8).map(|_| PeerId::random()).collect();
        for (i, peer) in strangers.iter().cycle().enumerate().take(2 * MAX_QUEUED) {
            let _ = queue.push(gossiped(i, *peer));
        }
        assert_eq!(queue.waiting.len(), MAX_QUEUED - MAX_QUEUED_PER_SOURCE);
        for i in 0..MAX_QUEUED_PER_SOURCE {
            assert!(queue.push(item(i, Origin::Duty)).is_ok());
        }
        assert!(queue.push(item(0, Origin::Duty)).is_err());
    }
}
