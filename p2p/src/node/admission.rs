//! Where transactions are judged: on threads of their own, never on the async threads nor on the consensus thread.
//!
//! ```text
//!  gossip, API, duties ──offer──▶ queue ──fair──▶ judge ──▶ mempool ──▶ verdict, Work
//!                                   ▲             │ ▲ │ not now
//!                                   │        proofs, together
//!                                   └── next block ───┴─▶ set aside, at most PATIENCE
//! ```
//!
//! Order of work: size and hash (by the caller), known already, codec, then
//! [`Market::predict_but_proofs`](tender_auction::market::Market::predict_but_proofs), which goes from cheap to dear: windows, signer, signature, ledger. Only what
//! passes has its proofs verified, together with those of whatever waits beside it; nobody waits for a batch to fill. A bad
//! proof in a batch is found, and is its bid's alone. It costs the batch some smaller ones, so that no source may fill a batch:
//! [`MAX_BATCH`], [`MAX_BATCH_OF_ONE`].
//!
//! A gossiped transaction refused for the state this peer is in is set aside and judged again after the next block, for
//! honest peers are often a block apart; only when its time is up is it ignored. What no state admits is rejected at once.
//!
//! Bounds: [`MAX_QUEUED`], [`MAX_QUEUED_PER_SOURCE`], [`MAX_ASIDE`]. Sources take turns, so one that floods delays itself (THREATS T26, L1).

use super::{
    driver::{Jobs, Outgoing},
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
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tender_consensus::tx::TxBytes;
use tender_wire::TxHash;
use tokio::sync::{mpsc, oneshot};

/// Transactions waiting to be judged. At some milliseconds a proof, a few seconds of work.
pub(crate) const MAX_QUEUED: usize = 1024;
/// Of those, from one peer, or submitted here; so many places are kept free of gossip, for what is submitted and owed here.
pub(crate) const MAX_QUEUED_PER_SOURCE: usize = 256;
/// Transactions set aside until the next block.
pub(crate) const MAX_ASIDE: usize = 512;
/// Proofs verified together, and a bid's beyond: some 60 ms of work if they are good; if half are bad, 1.7 times what they cost one by one, below
/// half a second (THREATS T26).
pub(crate) const MAX_BATCH: usize = 64;
/// Of those, from one peer: one that sends bad proofs spoils a quarter of a batch.
pub(crate) const MAX_BATCH_OF_ONE: usize = 16;
/// Transactions looked at for one batch, so that bids do not wait behind a flood of what is refused without proofs.
pub(crate) const MAX_EXAMINED: usize = 256;
/// How long a gossiped transaction is kept without a verdict: gossip forgets it after ten seconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(8);

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

/// How far judging comes without verifying proofs.
enum Stage {
    Settled(Finding),
    Proofs(Outlook),
}

/// Transactions whose proofs are verified together.
#[derive(Default)]
struct Batch {
    items: Vec<(Item, Outlook)>,
    proofs: usize,
    of_source: BTreeMap<Option<PeerId>, usize>,
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
        while self.wait() {
            let mut batch = Batch::default();
            for _ in 0..MAX_EXAMINED {
                let Some(item) = self.next(&batch) else { break };
                match self.examine(&item) {
                    Stage::Settled(finding) => self.conclude(item, finding),
                    Stage::Proofs(outlook) => batch.push(item, outlook),
                }
            }
            self.prove(batch);
        }
    }

    /// Waits until there is something to judge; `false` once stopped.
    fn wait(&self) -> bool {
        let mut queue = self.lock();
        while !queue.stopped && queue.waiting.len() == 0 {
            queue = self
                .ready
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
        !queue.stopped
    }

    /// What a batch may yet take in, if it waits already.
    fn next(&self, batch: &Batch) -> Option<Item> {
        let mut queue = self.lock();
        if queue.stopped {
            return None;
        }
        queue.waiting.pop(|source| batch.has_room_for(source))
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
            Ok(outlook) => Stage::Proofs(outlook),
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
        let started = Instant::now();
        let verdicts = self.shared.verify_proofs(&proofs);
        let bad = verdicts.iter().filter(|verdict| verdict.is_err()).count();
        let metrics = &self.shared.metrics;
        metrics.count_proofs(proofs.len(), bad, started.elapsed());

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
        let late = item.since.elapsed() > PATIENCE;
        let source = match &item.origin {
            Origin::Gossip { peer, .. } if late => Source::Late(*peer),
            Origin::Gossip { peer, .. } => Source::Peer(*peer),
            Origin::Submitted(_) | Origin::Duty => Source::Own,
        };
        let pool = &self.shared.mempool;
        match pool.insert(item.tx.clone(), outlook.lane, source, outlook.next) {
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

impl Item {
    /// Whose turn it takes: a peer's, or this peer's own.
    fn source(&self) -> Option<PeerId> {
        match &self.origin {
            Origin::Gossip { peer, .. } => Some(*peer),
            Origin::Submitted(_) | Origin::Duty => None,
        }
    }
}

impl Batch {
    fn has_room_for(&self, source: &Option<PeerId>) -> bool {
        let of_source = self.of_source.get(source).copied().unwrap_or(0);
        self.proofs < MAX_BATCH && (source.is_none() || of_source < MAX_BATCH_OF_ONE)
    }

    fn push(&mut self, item: Item, outlook: Outlook) {
        let proofs = outlook.proofs.len();
        let of_source = self.of_source.entry(item.source()).or_default();
        *of_source = of_source.saturating_add(proofs);
        self.proofs = self.proofs.saturating_add(proofs);
        self.items.push((item, outlook));
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
        let source = item.source();
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
    use crate::{
        mempool::Lane,
        metrics::Metrics,
        network::{Network, NetworkConfig},
        node::archive::Archive,
        store::Store,
    };
    use libp2p::identity::Keypair;
    use tender_auction::{
        bid::Bid,
        scenario::{Plan, Scenario, amounts, attributes, class, key, spec, task},
        transaction::Transaction,
    };
    use tender_circuits::{Evidence, ProofBytes};
    use tender_consensus::chain::ChainState;

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
        let queued = std::iter::from_fn(|| queue.waiting.pop(|_| true)).count();
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

    const AGENTS: [&str; 4] = ["alice", "bob", "carol", "dave"];

    /// A bid of each agent, all with sound proofs.
    fn bids() -> (Scenario, Vec<Bid>) {
        let mut scenario = Scenario::default();
        let machine = |agent: &str| format!("machine-{agent}");
        let attested = attributes(&[("cpu_milli", 4000)]);
        let credentials =
            AGENTS.map(|agent| scenario.issue(0, agent, &machine(agent), attested.clone()));
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
        let bids = AGENTS.iter().zip(&credentials).map(bid).collect();
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
        let (scenario, mut bids) = bids();
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
        let metrics = Metrics::new();
        let config = NetworkConfig {
            chain: chain_id,
            listen: Vec::new(),
            bootstrap: Vec::new(),
            metrics: metrics.clone(),
        };
        let keypair = Keypair::generate_ed25519();
        let network = Network::start(config, &keypair);
        let (network, _events) = runtime.block_on(network).unwrap();
        let archive = Archive::new(Store::open(dir.path(), chain_id).unwrap());
        let mut chain = ChainState::genesis(&*scenario.market);
        (chain.app, chain.height) = (scenario.state.clone(), scenario.state.height());
        let market = Arc::clone(&scenario.market);
        let shared = Shared::new(market, archive, metrics.clone(), network, None, chain);
        let (jobs, _job_queue) = Jobs::new();
        let (out, mut outgoing) = mpsc::channel(64);
        let admission = Admission::new(Arc::new(shared), jobs, out);

        // All wait before the judge comes. The second is gossiped too, by another peer.
        let bytes = |bid: &Bid| TxBytes::new(Transaction::Bid(Box::new(bid.clone())).to_bytes());
        let answers: Vec<_> = bids
            .iter()
            .map(|bid| {
                let (reply, answer) = oneshot::channel();
                assert!(admission.offer(bytes(bid).unwrap(), Origin::Submitted(reply)));
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
            "tender_proofs_total{verdict=\"Bad\"} 3",
            "tender_judged_total{verdict=\"admitted\"} 2",
            "tender_judged_total{verdict=\"bad_signature\"} 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} not in:\n{text}");
        }
    }

    /// T26: one peer cannot fill a batch, however much of its waits; the rest is taken from others.
    #[test]
    fn one_peer_cannot_fill_a_batch() {
        let (mut queue, mut batch) = (Queue::new(), Batch::default());
        let (flood, honest) = (PeerId::random(), PeerId::random());
        for i in 0..MAX_BATCH {
            assert!(queue.push(gossiped(i, flood)).is_ok());
        }
        assert!(queue.push(gossiped(MAX_BATCH, honest)).is_ok());
        let (scenario, bids) = bids();
        let tx = Transaction::Bid(Box::new(bids[0].clone()));
        let outlook = || Outlook {
            lane: Lane::Committee,
            next: 0,
            proofs: (scenario.market)
                .predict_but_proofs(&scenario.state, &tx)
                .unwrap(),
            height: scenario.state.height(),
        };
        while let Some(item) = queue.waiting.pop(|source| batch.has_room_for(source)) {
            batch.push(item, outlook());
        }
        let of = |peer| batch.of_source.get(&Some(peer)).copied();
        assert_eq!((of(flood), of(honest)), (Some(MAX_BATCH_OF_ONE), Some(1)));
        assert!(!batch.has_room_for(&Some(flood)) && batch.has_room_for(&None));
        for i in 0..MAX_BATCH {
            assert!(queue.push(item(i, Origin::Duty)).is_ok());
        }
        while let Some(item) = queue.waiting.pop(|source| batch.has_room_for(source)) {
            batch.push(item, outlook());
        }
        assert_eq!(batch.proofs, MAX_BATCH);
    }
}
