//! Where transactions are judged: on threads of their own, never on the async threads nor on the consensus thread.
//!
//! ```text
//!  duties ──first────────────────┐
//!  API, client by client ──turns─┼──▶ judge ──▶ mempool ──▶ verdict, Work
//!  gossip, peer by peer ───turns─┘    │ ▲ │ not now
//!                ▲               proofs, together
//!                └──── next block ──────┴─▶ set aside, at most PATIENCE
//! ```
//!
//! There are [`JUDGES`], who take turns at the queue: one looks at what waits, in its order, while the other verifies the proofs of the batch before.
//!
//! Order of work: size and hash (by the caller), known already, codec, then
//! [`Market::predict_but_proofs`](tender_auction::market::Market::predict_but_proofs), which goes from cheap to dear: windows, signer, signature, ledger. Only what
//! passes, and would find room in the pool, has its proofs verified, together with those of whatever waits beside it. A proof that comes alone is verified at
//! once; where two wait there are likely more to come, and the batch stays open for them for [`WINDOW`] at most, if the engine gains by it. A bad proof in
//! a batch is found, and is its bid's alone. It costs the batch some smaller ones, so that no source may fill a batch: of the [`together`] proofs
//! that suit the engine it has a quarter ([`SHARE_OF_ONE`]).
//!
//! A gossiped transaction refused for the state this peer is in is set aside and judged again after the next block, for
//! honest peers are often a block apart; only when its time is up is it ignored. What no state admits is rejected at once: gossipsub drops a
//! peer that sends such things, and a client of the API is told to wait ([`super::patience`]).
//!
//! Bounds: [`MAX_DUTIES`], [`MAX_GOSSIP`], [`MAX_GOSSIP_PER_PEER`], [`MAX_SUBMITTED`], [`MAX_SUBMITTED_PER_CLIENT`], [`MAX_ASIDE`],
//! [`MAX_ASIDE_PER_PEER`], [`MAX_EXAMINED`]. Sources take turns, so one that floods delays itself; what this peer owes waits for nobody (THREATS T26, L1).

use super::{
    driver::{Jobs, Outgoing},
    patience::{Client, Patience},
    predict::Outlook,
    shared::Shared,
    turns::Turns,
};
use crate::{
    mempool::{PoolError, Refused, Source},
    network::{GossipId, Verdict},
};
use libp2p::PeerId;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tender_auction::market::verifier::together;
use tender_circuits::verify::Engine;
use tender_consensus::tx::TxBytes;
use tender_wire::TxHash;
use tokio::sync::{mpsc, oneshot};

/// Seal keys and reveals of this validator waiting to be judged: both for every live auction, twice.
pub(crate) const MAX_DUTIES: usize = 256;
/// Gossiped transactions waiting to be judged: a second of work even if proofs are verified one by one, some tens of milliseconds in lanes.
pub(crate) const MAX_GOSSIP: usize = 768;
/// Of those, from one peer.
pub(crate) const MAX_GOSSIP_PER_PEER: usize = 256;
/// Submitted transactions waiting to be judged.
pub(crate) const MAX_SUBMITTED: usize = 256;
/// Of those, from one client.
pub(crate) const MAX_SUBMITTED_PER_CLIENT: usize = 64;
/// Gossiped transactions set aside until the next block.
pub(crate) const MAX_ASIDE: usize = 512;
/// Of those, from one peer.
pub(crate) const MAX_ASIDE_PER_PEER: usize = 128;
/// One peer or client may have so small a part of the proofs verified together: one that sends bad ones spoils a quarter of a batch.
pub(crate) const SHARE_OF_ONE: usize = 4;
/// Transactions looked at for one batch, so that bids do not wait behind a flood of what is refused without proofs.
pub(crate) const MAX_EXAMINED: usize = 512;
/// Threads that judge: while one gathers a batch, another verifies the one before.
pub(crate) const JUDGES: usize = 2;
/// How long a batch of two or more proofs is open for others. What a batch costs beside its proofs is then small against the time between two of them.
pub(crate) const WINDOW: Duration = Duration::from_millis(10);
/// How long a gossiped transaction is kept without a verdict: gossip forgets it after ten seconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(8);

/// Where a transaction came from and who waits for the verdict.
pub(super) enum Origin {
    /// Gossip.
    Gossip { id: GossipId, peer: PeerId },
    /// Somebody waits for the answer; who does no more has withdrawn it.
    Submitted {
        client: Client,
        reply: oneshot::Sender<Result<TxHash, Refused>>,
    },
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
    /// Held by the judge that gathers: what a source sends is looked at in its order.
    gathering: Mutex<()>,
    shared: Arc<Shared>,
    jobs: Jobs,
    out: mpsc::Sender<Outgoing>,
    patience: Patience,
}

struct Queue {
    duties: VecDeque<Item>,
    submitted: Turns<Client, Item>,
    gossiped: Turns<PeerId, Item>,
    /// Whether what was submitted is next in turn, or what was gossiped.
    submitted_next: bool,
    aside: Turns<PeerId, Item>,
    stopped: bool,
}

/// Whose a transaction is, if not this validator's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Whose {
    Client(Client),
    Peer(PeerId),
}

/// What judging gave.
enum Finding {
    Admitted,
    /// Here or in a block.
    Known(Refused),
    Refused(Refused),
}

/// How far judging comes without verifying proofs.
enum Stage {
    Settled(Finding),
    Proofs(Outlook),
}

/// Transactions whose proofs are verified together.
struct Batch {
    items: Vec<(Item, Outlook)>,
    proofs: usize,
    /// Proofs it takes in, and a bid's beyond.
    most: usize,
    of_source: BTreeMap<Whose, usize>,
    /// When the first came in.
    since: Option<Instant>,
}

impl Admission {
    pub(super) fn new(shared: Arc<Shared>, jobs: Jobs, out: mpsc::Sender<Outgoing>) -> Self {
        Admission {
            queue: Mutex::new(Queue::new()),
            ready: Condvar::new(),
            gathering: Mutex::new(()),
            shared,
            jobs,
            out,
            patience: Patience::default(),
        }
    }

    /// Whether a client may submit, or has sent too much that no peer accepts.
    pub(super) fn bears(&self, client: &Client) -> bool {
        self.patience.is_left(client, Instant::now())
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
        while let Some(batch) = self.gather() {
            self.prove(batch);
        }
    }

    /// Waits for something to judge, and judges what waits, but for proofs: those come together. `None` once stopped.
    fn gather(&self) -> Option<Batch> {
        // It guards nothing but the turn.
        let _turn = self.gathering.lock();
        if !self.wait() {
            return None;
        }
        let engine = self.shared.engine;
        let mut batch = Batch::of(together(engine));
        for _ in 0..MAX_EXAMINED {
            let Some(item) = self.next(&batch) else { break };
            match self.examine(&item) {
                Stage::Settled(finding) => self.conclude(item, finding),
                Stage::Proofs(outlook) => batch.push(item, outlook),
            }
        }
        Some(batch)
    }

    /// Waits until there is something to judge; `false` once stopped.
    fn wait(&self) -> bool {
        let mut queue = self.lock();
        while !queue.stopped && queue.is_empty() {
            queue = self
                .ready
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
        !queue.stopped
    }

    /// What a batch may yet take in, if it waits already, or comes while the batch is open.
    fn next(&self, batch: &Batch) -> Option<Item> {
        let mut queue = self.lock();
        while !queue.stopped {
            let next = queue.pop(|source| batch.has_room_for(source));
            if next.is_some() {
                return next;
            }
            let open = batch.open_for(self.shared.engine)?;
            let woken = self.ready.wait_timeout(queue, open);
            queue = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        None
    }

    fn conclude(&self, item: Item, finding: Finding) {
        let verdict = match &finding {
            Finding::Admitted => "admitted",
            Finding::Known(refused) | Finding::Refused(refused) => refused.code,
        };
        let metrics = &self.shared.metrics;
        metrics.count_judged(verdict, item.since.elapsed());
        let hash = item.tx.hash();
        match finding {
            Finding::Admitted => {
                self.jobs.work();
                self.accepted(item);
            }
            Finding::Known(known) => {
                let waits = known.code == "already_waiting";
                match item.origin {
                    Origin::Submitted { reply, .. } if waits => answer(reply, Ok(hash)),
                    Origin::Submitted { reply, .. } => answer(reply, Err(known)),
                    // Said again by who sent it first, a minute later: there may be peers now that have not heard it.
                    origin if waits => self.report(origin, Verdict::Accept),
                    origin => self.report(origin, Verdict::Ignore),
                }
            }
            Finding::Refused(refused) => match self.set_aside(item, &refused) {
                Ok(()) => {}
                Err(item) => self.refused(*item, refused),
            },
        }
    }

    /// Judges without verifying proofs.
    fn examine(&self, item: &Item) -> Stage {
        let hash = item.tx.hash();
        if self.shared.mempool.contains(&hash) {
            return Stage::Settled(Finding::Known(PoolError::Duplicate(hash).into()));
        }
        match self.shared.archive.transaction(&hash) {
            Ok(None) => {}
            Ok(Some(height)) => {
                return Stage::Settled(Finding::Known(Refused {
                    code: "already_committed",
                    message: format!("transaction {hash} is in block {height} already"),
                    for_ever: false,
                }));
            }
            Err(error) => tracing::error!(%error, "cannot look for a transaction"),
        }
        let height = self.shared.chain().height;
        match self.look(item) {
            // A block came in between, and took what this one waits for.
            Stage::Settled(Finding::Refused(refused))
                if refused.code == "sequence" && self.shared.chain().height != height =>
            {
                self.look(item)
            }
            stage => stage,
        }
    }

    fn look(&self, item: &Item) -> Stage {
        match self.shared.predict_but_proofs(item.tx.bytes()) {
            Err(refused) => Stage::Settled(Finding::Refused(refused)),
            Ok(outlook) if outlook.proofs.is_empty() => Stage::Settled(self.enter(item, &outlook)),
            // What has no place costs no pairing.
            Ok(outlook) => {
                let pool = &self.shared.mempool;
                match pool.check_room(&item.tx, &outlook.lane, &item.source()) {
                    Ok(()) => Stage::Proofs(outlook),
                    Err(error) => Stage::Settled(Finding::Refused(error.into())),
                }
            }
        }
    }

    /// Verifies the proofs of a batch and concludes its transactions.
    fn prove(&self, batch: Batch) {
        let proofs: Vec<_> = (batch.items.iter())
            .flat_map(|(_, outlook)| &outlook.proofs)
            .collect();
        if proofs.is_empty() {
            return;
        }
        for (item, _) in &batch.items {
            let waited = item.since.elapsed().as_secs_f64();
            self.shared.metrics.proof_wait_seconds.observe(waited);
        }
        let verdicts = self.shared.verify_proofs(&proofs);

        let mut verdicts = verdicts.into_iter();
        for (item, outlook) in batch.items {
            let of_item: Vec<_> = verdicts.by_ref().take(outlook.proofs.len()).collect();
            let finding = match of_item.into_iter().collect::<Result<(), _>>() {
                Err(refused) => Finding::Refused(refused),
                Ok(()) if self.shared.chain().height == outlook.height => {
                    self.enter(&item, &outlook)
                }
                // A block came in between. Of the proofs, nothing has changed.
                Ok(()) => match self.examine(&item) {
                    Stage::Settled(finding) => finding,
                    Stage::Proofs(outlook) => self.enter(&item, &outlook),
                },
            };
            self.conclude(item, finding);
        }
    }

    /// Gives a transaction that applies to the pool.
    fn enter(&self, item: &Item, outlook: &Outlook) -> Finding {
        let (pool, source) = (&self.shared.mempool, item.source());
        match pool.insert(item.tx.clone(), outlook.lane, source, outlook.next) {
            Ok(()) => Finding::Admitted,
            Err(error @ PoolError::Duplicate(_)) => Finding::Known(error.into()),
            Err(error) => Finding::Refused(error.into()),
        }
    }

    /// Keeps what another block may change the verdict on, if nobody has been told it and there is room.
    fn set_aside(&self, item: Item, refused: &Refused) -> Result<(), Box<Item>> {
        match item.origin {
            Origin::Gossip { peer, .. } if !refused.for_ever && item.since.elapsed() < PATIENCE => {
                self.lock().aside.push(peer, item).map_err(Box::new)
            }
            _ => Err(Box::new(item)),
        }
    }

    fn accepted(&self, item: Item) {
        let hash = item.tx.hash();
        match item.origin {
            origin @ Origin::Gossip { .. } => self.report(origin, Verdict::Accept),
            Origin::Submitted { reply, .. } => {
                self.publish(&item.tx);
                answer(reply, Ok(hash));
            }
            Origin::Duty => self.publish(&item.tx),
        }
    }

    fn refused(&self, item: Item, refused: Refused) {
        let (hash, code, reason) = (item.tx.hash(), refused.code, &refused.message);
        match &item.origin {
            // Strangers must fill neither the log nor the ears of those who listen.
            Origin::Gossip { peer, .. } => {
                tracing::debug!(tx = %hash, code, %reason, %peer, "transaction refused");
                self.shared
                    .refused
                    .remember_of_others(hash, refused.clone());
            }
            Origin::Submitted { client, .. } => {
                tracing::debug!(tx = %hash, code, %reason, "transaction refused");
                if refused.for_ever {
                    self.patience.spend(*client, Instant::now());
                }
                self.shared.refuse(hash, refused.clone());
            }
            Origin::Duty => {
                tracing::info!(tx = %hash, code, %reason, "transaction refused");
                self.shared.refuse(hash, refused.clone());
            }
        }
        match item.origin {
            Origin::Submitted { reply, .. } => answer(reply, Err(refused)),
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
        if self.shared.network.peers().is_empty() {
            self.shared.mempool.unheard(&tx.hash());
        }
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

impl Item {
    /// Whose turn it takes; `None` is this validator's own.
    fn whose(&self) -> Option<Whose> {
        match &self.origin {
            Origin::Gossip { peer, .. } => Some(Whose::Peer(*peer)),
            Origin::Submitted { client, .. } => Some(Whose::Client(*client)),
            Origin::Duty => None,
        }
    }

    /// Where the pool would say it came from.
    fn source(&self) -> Source {
        let late = self.since.elapsed() > PATIENCE;
        match &self.origin {
            Origin::Gossip { peer, .. } if late => Source::Late(*peer),
            Origin::Gossip { peer, .. } => Source::Peer(*peer),
            Origin::Submitted { .. } | Origin::Duty => Source::Own,
        }
    }

    /// Whether its client has gone without waiting for the verdict.
    fn is_withdrawn(&self) -> bool {
        matches!(&self.origin, Origin::Submitted { reply, .. } if reply.is_closed())
    }
}

impl Batch {
    fn of(most: usize) -> Self {
        Batch {
            items: Vec::new(),
            proofs: 0,
            most,
            of_source: BTreeMap::new(),
            since: None,
        }
    }

    fn has_room_for(&self, source: &Whose) -> bool {
        let of_source = self.of_source.get(source).copied().unwrap_or(0);
        self.proofs < self.most && of_source < self.most.div_ceil(SHARE_OF_ONE)
    }

    /// For how much longer it waits for others; `None` if it does not.
    fn open_for(&self, engine: Engine) -> Option<Duration> {
        let fills = engine != Engine::Naive && (2..self.most).contains(&self.proofs);
        let left = WINDOW.checked_sub(self.since.filter(|_| fills)?.elapsed());
        left.filter(|left| !left.is_zero())
    }

    fn push(&mut self, item: Item, outlook: Outlook) {
        let proofs = outlook.proofs.len();
        if let Some(source) = item.whose() {
            let of_source = self.of_source.entry(source).or_default();
            *of_source = of_source.saturating_add(proofs);
        }
        self.proofs = self.proofs.saturating_add(proofs);
        self.since = self.since.or_else(|| Some(Instant::now()));
        self.items.push((item, outlook));
    }
}

impl Queue {
    fn new() -> Self {
        Queue {
            duties: VecDeque::new(),
            submitted: Turns::new(MAX_SUBMITTED, MAX_SUBMITTED_PER_CLIENT),
            gossiped: Turns::new(MAX_GOSSIP, MAX_GOSSIP_PER_PEER),
            submitted_next: false,
            aside: Turns::new(MAX_ASIDE, MAX_ASIDE_PER_PEER),
            stopped: false,
        }
    }

    fn is_empty(&self) -> bool {
        self.duties.is_empty() && self.submitted.len() == 0 && self.gossiped.len() == 0
    }

    /// What is judged next, among those that may be: a duty, or else in turn what was submitted and what was gossiped.
    fn pop(&mut self, may: impl Fn(&Whose) -> bool) -> Option<Item> {
        if let Some(duty) = self.duties.pop_front() {
            return Some(duty);
        }
        self.submitted_next = !self.submitted_next;
        let (submitted, gossiped) = (&mut self.submitted, &mut self.gossiped);
        let mut submitted = || loop {
            let item = submitted.pop(|client| may(&Whose::Client(*client)))?;
            if !item.is_withdrawn() {
                return Some(item);
            }
        };
        let mut gossiped = || gossiped.pop(|peer| may(&Whose::Peer(*peer)));
        if self.submitted_next {
            submitted().or_else(gossiped)
        } else {
            gossiped().or_else(submitted)
        }
    }

    /// Queues again what was set aside; gives back what finds no room.
    fn next_block(&mut self) -> Vec<Origin> {
        let mut left_out = Vec::new();
        while let Some(item) = self.aside.pop(|_| true) {
            left_out.extend(self.push(item).err().map(|item| item.origin));
        }
        left_out
    }

    fn push(&mut self, item: Item) -> Result<(), Box<Item>> {
        let queued = match item.whose() {
            _ if self.stopped => Err(item),
            Some(Whose::Peer(peer)) => self.gossiped.push(peer, item),
            Some(Whose::Client(client)) => match self.submitted.push(client, item) {
                Ok(()) => Ok(()),
                Err(item) => {
                    self.submitted.retain(|item| !item.is_withdrawn());
                    self.submitted.push(client, item)
                }
            },
            None if self.duties.len() >= MAX_DUTIES => Err(item),
            None => {
                self.duties.push_back(item);
                Ok(())
            }
        };
        queued.map_err(Box::new)
    }
}

fn answer(reply: oneshot::Sender<Result<TxHash, Refused>>, result: Result<TxHash, Refused>) {
    // Whoever asked may have hung up.
    let _ = reply.send(result);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mempool::Lane;
    use tender_auction::{
        bid::Bid,
        scenario::{Plan, Scenario, amounts, attributes, class, key, spec, task},
        transaction::Transaction,
    };
    use tender_circuits::{Evidence, ProofBytes};

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

    /// Whoever answers the receiver given waits for the verdict.
    fn submitted(i: usize, client: Client) -> (Item, oneshot::Receiver<Result<TxHash, Refused>>) {
        let (reply, answer) = oneshot::channel();
        (item(i, Origin::Submitted { client, reply }), answer)
    }

    fn client(port: usize) -> Client {
        Client::at(([127, 0, 0, 1], u16::try_from(port).unwrap()).into())
    }

    /// Nothing is reported under the lock: what finds no room is handed out, each item once.
    #[test]
    fn after_a_block_what_was_set_aside_is_queued_again_or_given_back() {
        let mut queue = Queue::new();
        let peers: Vec<_> = (0..MAX_ASIDE / MAX_ASIDE_PER_PEER)
            .map(|_| PeerId::random())
            .collect();
        for (i, peer) in peers.iter().cycle().enumerate().take(MAX_ASIDE) {
            assert!(queue.aside.push(*peer, gossiped(i, *peer)).is_ok());
        }
        // The first of them has filled its places meanwhile, but for one.
        for i in 1..MAX_GOSSIP_PER_PEER {
            assert!(queue.push(gossiped(i, peers[0])).is_ok());
        }
        assert_eq!(queue.next_block().len(), MAX_ASIDE_PER_PEER - 1);
        assert_eq!(queue.aside.len(), 0);
        let queued = std::iter::from_fn(|| queue.pop(|_| true)).count();
        assert_eq!(queued, MAX_GOSSIP_PER_PEER + MAX_ASIDE - MAX_ASIDE_PER_PEER);
    }

    /// L1, T26: one peer cannot take every place that waits for the next block.
    #[test]
    fn one_peer_sets_aside_so_much_and_leaves_room_for_others() {
        let mut queue = Queue::new();
        let (flood, honest) = (PeerId::random(), PeerId::random());
        let kept = (0..MAX_ASIDE)
            .filter(|i| queue.aside.push(flood, gossiped(*i, flood)).is_ok())
            .count();
        assert_eq!(kept, MAX_ASIDE_PER_PEER);
        assert!(queue.aside.push(honest, gossiped(0, honest)).is_ok());
    }

    /// L1, T26, T18: however many strangers and clients flood, what this peer owes has its place and is judged before all of it.
    #[test]
    fn duties_wait_for_nobody() {
        let mut queue = Queue::new();
        let strangers: Vec<_> = (0..8).map(|_| PeerId::random()).collect();
        for (i, peer) in strangers.iter().cycle().enumerate().take(2 * MAX_GOSSIP) {
            let _ = queue.push(gossiped(i, *peer));
        }
        let mut answers = Vec::new();
        for i in 0..2 * MAX_SUBMITTED {
            let (item, answer) = submitted(i, client(1 + i % 8));
            let _ = queue.push(item);
            answers.push(answer);
        }
        assert_eq!(queue.gossiped.len(), MAX_GOSSIP);
        assert_eq!(queue.submitted.len(), MAX_SUBMITTED);
        for i in 0..MAX_DUTIES {
            assert!(queue.push(item(i, Origin::Duty)).is_ok());
        }
        assert!(queue.push(item(0, Origin::Duty)).is_err());
        let none_else = |_: &Whose| -> bool { panic!("asked for others while a duty waits") };
        for _ in 0..MAX_DUTIES {
            assert!(matches!(queue.pop(none_else).unwrap().origin, Origin::Duty));
        }
        assert!(!matches!(queue.pop(|_| true).unwrap().origin, Origin::Duty));
    }

    /// T26, B22: clients take turns with each other, and all of them with gossip, however much one of them sends.
    #[test]
    fn a_client_that_floods_waits_behind_itself() {
        let mut queue = Queue::new();
        let mut answers = Vec::new();
        let mut submit = |queue: &mut Queue, i, client| {
            let (item, answer) = submitted(i, client);
            answers.push(answer);
            queue.push(item).is_ok()
        };
        let accepted = (0..MAX_SUBMITTED)
            .filter(|i| submit(&mut queue, *i, client(1)))
            .count();
        assert_eq!(accepted, MAX_SUBMITTED_PER_CLIENT);
        assert!(submit(&mut queue, 0, client(2)));
        let peer = PeerId::random();
        assert!(queue.push(gossiped(0, peer)).is_ok());
        let first: Vec<_> = (0..4)
            .map(|_| queue.pop(|_| true).unwrap().whose())
            .collect();
        for whose in [Whose::Client(client(2)), Whose::Peer(peer)] {
            assert!(
                first.contains(&Some(whose)),
                "{whose:?} not among {first:?}"
            );
        }
    }

    /// B22: whoever sends and hangs up leaves nothing behind, neither work nor a place taken.
    #[test]
    fn what_nobody_waits_for_is_not_judged_and_takes_no_place() {
        let mut queue = Queue::new();
        for i in 0..10 * MAX_SUBMITTED {
            let (item, answer) = submitted(i, client(1 + i % 100));
            drop(answer);
            assert!(queue.push(item).is_ok());
        }
        let (honest, _answer) = submitted(7, client(999));
        assert!(queue.push(honest).is_ok());
        assert_eq!(
            queue.pop(|_| true).unwrap().whose(),
            Some(Whose::Client(client(999)))
        );
        assert!(queue.pop(|_| true).is_none() && queue.is_empty());
    }

    const AGENTS: [&str; 4] = ["alice", "bob", "carol", "dave"];

    /// A bid of each agent, all with sound proofs.
    fn bids(agents: &[&str]) -> (Scenario, Vec<Bid>) {
        let mut scenario = Scenario::default();
        let machine = |agent: &str| format!("machine-{agent}");
        let attested = attributes(&[("cpu_milli", 4000)]);
        let issued = agents
            .iter()
            .map(|agent| scenario.issue(0, agent, &machine(agent), attested.clone()));
        let credentials: Vec<_> = issued.collect();
        let auction = scenario.open(spec(
            vec![class("small", &[("cpu_milli", 1000)])],
            vec![task("a", 0, 100, 1)],
        ));
        let bid = |(agent, credential): (&&str, _)| {
            let plan = Plan {
                auction,
                agent,
                machine: &machine(agent),
                sequence: 0,
                slots: &[(0, 1)],
                entries: &[(0, 10)],
                claim: amounts(&[("cpu_milli", 1000)]),
            };
            scenario.bid(&plan, credential)
        };
        let bids = agents.iter().zip(&credentials).map(bid).collect();
        (scenario, bids)
    }

    fn proof_of(bid: &mut Bid) -> &mut ProofBytes {
        match &mut bid.content.evidences[..] {
            [Evidence::Proof(evidence)] => &mut evidence.proof,
            _ => panic!("one proof"),
        }
    }

    /// T26: in one batch, a false proof and one that is no proof cost their own bids only; a bid whose signature is wrong is out before.
    #[test]
    fn a_bad_proof_in_a_batch_is_its_own_bids_fault() {
        let (scenario, mut bids) = bids(&AGENTS);
        let chain_id = scenario.state.chain();
        let other = *proof_of(&mut bids[0]);
        *proof_of(&mut bids[1]) = other;
        *proof_of(&mut bids[2]) = ProofBytes([0xff; 128]);
        let unsigned = Bid {
            signature: bids[0].signature,
            ..bids[3].clone()
        };
        let sign = |(agent, bid): (&&str, Bid)| bid.content.sign(&chain_id, &key(agent));
        let mut bids: Vec<Bid> = AGENTS.iter().zip(bids).map(sign).collect();
        bids.push(unsigned);

        let runtime = tokio::runtime::Runtime::new().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let (shared, _events) = runtime.block_on(Shared::alone(&scenario, dir.path()));
        let metrics = shared.metrics.clone();
        let (jobs, _job_queue) = Jobs::new();
        let (out, mut outgoing) = mpsc::channel(64);
        let admission = Admission::new(shared, jobs, out);

        // All wait before the judge comes. The second is gossiped too, by another peer.
        let bytes = |bid: &Bid| TxBytes::new(Transaction::Bid(Box::new(bid.clone())).to_bytes());
        let answers: Vec<_> = bids
            .iter()
            .map(|bid| {
                let (reply, answer) = oneshot::channel();
                let client = client(1);
                let origin = Origin::Submitted { client, reply };
                assert!(admission.offer(bytes(bid).unwrap(), origin));
                answer
            })
            .collect();
        let peer = PeerId::random();
        let id = GossipId::any(peer);
        assert!(admission.offer(bytes(&bids[1]).unwrap(), Origin::Gossip { id, peer }));

        let (verdicts, reported) = std::thread::scope(|scope| {
            scope.spawn(|| admission.run());
            let code =
                |answer: oneshot::Receiver<Result<TxHash, Refused>>| match answer.blocking_recv() {
                    Ok(judged) => judged.map(|_| ()).map_err(|refused| refused.code),
                    Err(_) => Err("unanswered"),
                };
            let verdicts: Vec<_> = answers.into_iter().map(code).collect();
            // Two bids to publish, one verdict on gossip.
            let out: Vec<_> = (0..3).map_while(|_| outgoing.blocking_recv()).collect();
            admission.stop();
            let reported = out.into_iter().find_map(|out| match out {
                Outgoing::Report(_, verdict) => Some(verdict),
                _ => None,
            });
            (verdicts, reported)
        });
        assert_eq!(reported, Some(Verdict::Reject));
        let bad = Err("invalid_proof");
        assert_eq!(verdicts, [Ok(()), bad, bad, Ok(()), Err("bad_signature")]);
        assert_eq!(admission.shared.mempool.len(), 2);
        let text = metrics.encode();
        for line in [
            "tender_proof_batch_count 1",
            "tender_proof_batch_sum 5.0",
            "tender_proofs_total{verdict=\"Ok\"} 2",
            "tender_proofs_total{verdict=\"Invalid\"} 2",
            "tender_proofs_total{verdict=\"Malformed\"} 1",
            "tender_proof_wait_seconds_count 5",
            "tender_proof_batch_seconds_count 1",
            "tender_judged_total{verdict=\"admitted\"} 2",
            "tender_judged_total{verdict=\"bad_signature\"} 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} not in:\n{text}");
        }
    }

    /// T26: a bid waits behind so many that are refused without proofs, and no more: one more waits for the next batch. And what was refused for
    /// now is set aside for so long and no longer; then it is entered as this peer's own, for gossip has forgotten it.
    #[test]
    fn a_flood_of_what_is_refused_keeps_no_bid_waiting_and_nothing_is_kept_too_long() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let (scenario, bids) = bids(&AGENTS[..1]);
        let (shared, _events) = runtime.block_on(Shared::alone(&scenario, dir.path()));
        let (jobs, _job_queue) = Jobs::new();
        let (out, mut outgoing) = mpsc::channel(2 * MAX_EXAMINED);
        let admission = Admission::new(shared, jobs, out);

        let bid = Transaction::Bid(Box::new(bids[0].clone())).to_bytes();
        let (id, peer) = (GossipId::any(PeerId::random()), PeerId::random());
        let tx = TxBytes::new(bid).unwrap();
        assert!(admission.offer(tx, Origin::Gossip { id, peer }));
        let flood = [PeerId::random(), PeerId::random()];
        for (i, peer) in flood.iter().cycle().enumerate().take(MAX_EXAMINED) {
            assert!(admission.lock().push(gossiped(i, *peer)).is_ok());
        }
        let batch = admission.gather().unwrap();
        assert_eq!((batch.items.len(), admission.lock().gossiped.len()), (1, 1));
        let verdicts = std::iter::from_fn(|| outgoing.try_recv().ok());
        assert_eq!(verdicts.count(), MAX_EXAMINED - 1);

        let refused = Refused {
            code: "sequence",
            message: String::new(),
            for_ever: false,
        };
        let aged = |age| {
            let mut item = gossiped(0, peer);
            item.since = Instant::now().checked_sub(age).unwrap();
            item
        };
        let moment = Duration::from_secs(4);
        let (young, old) = (aged(PATIENCE - moment), aged(PATIENCE));
        assert!(matches!(young.source(), Source::Peer(_)));
        assert!(matches!(old.source(), Source::Late(_)));
        assert!(admission.set_aside(young, &refused).is_ok());
        assert!(admission.set_aside(old, &refused).is_err());
    }

    /// T26: neither a peer nor a client can fill a batch, however much of theirs waits; the rest is taken from others.
    #[test]
    fn one_peer_or_client_cannot_fill_a_batch() {
        let (scenario, bids) = bids(&AGENTS[..1]);
        let tx = Transaction::Bid(Box::new(bids[0].clone()));
        let outlook = || Outlook {
            lane: Lane::Committee,
            next: 0,
            proofs: (scenario.market)
                .predict_but_proofs(&scenario.state, &tx)
                .unwrap(),
            height: scenario.state.height(),
        };
        for most in Engine::ALL.map(together) {
            let (mut queue, mut batch) = (Queue::new(), Batch::of(most));
            let (flood, honest) = (PeerId::random(), PeerId::random());
            let mut answers = Vec::new();
            let mut submit = |i, client| {
                let (item, answer) = submitted(i, client);
                answers.push(answer);
                item
            };
            // Whatever comes is queued, if there is room, and the batch takes what it may.
            let mut come = |batch: &mut Batch, item: Item| {
                let _ = queue.push(item);
                while let Some(item) = queue.pop(|source| batch.has_room_for(source)) {
                    batch.push(item, outlook());
                }
            };
            for i in 0..=most {
                come(&mut batch, gossiped(i, flood));
                come(&mut batch, submit(i, client(1)));
            }
            come(&mut batch, gossiped(most, honest));
            come(&mut batch, submit(most, client(2)));
            let of = |source| batch.of_source.get(&source).copied();
            for (who, proofs) in [
                (Whose::Peer(flood), most / SHARE_OF_ONE),
                (Whose::Peer(honest), 1),
                (Whose::Client(client(1)), most / SHARE_OF_ONE),
                (Whose::Client(client(2)), 1),
            ] {
                assert_eq!(of(who), Some(proofs), "{who:?}");
            }
            assert!(!batch.has_room_for(&Whose::Peer(flood)));
            assert!(batch.has_room_for(&Whose::Client(Client::Process)));
            for i in 0..=most {
                come(&mut batch, submit(i, client(3 + i % 8)));
            }
            assert_eq!(batch.proofs, most);
        }
    }

    /// A proof that comes alone waits for nobody, and two for the window at most; nothing waits where waiting gains nothing.
    #[test]
    fn a_batch_waits_for_others_only_if_it_has_two_proofs_and_only_so_long() {
        let scenario = Scenario::default();
        let mut batch = Batch::of(together(Engine::Ifma));
        let mut open = |proofs| {
            let outlook = Outlook {
                lane: Lane::Committee,
                next: 0,
                proofs: Vec::new(),
                height: scenario.state.height(),
            };
            batch.push(gossiped(0, PeerId::random()), outlook);
            batch.proofs = proofs;
            let fresh = [Engine::Ifma, Engine::Naive].map(|it| batch.open_for(it).is_some());
            batch.since = Instant::now().checked_sub(WINDOW);
            let later = batch.open_for(Engine::Ifma).is_some();
            batch.since = None;
            (fresh, later)
        };
        assert_eq!(open(1), ([false, false], false));
        assert_eq!(open(2), ([true, false], false));
        assert_eq!(open(together(Engine::Ifma)), ([false, false], false));
    }
}
