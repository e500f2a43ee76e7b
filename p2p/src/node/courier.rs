//! Between the network and the threads that think: decodes what comes, carries what goes. Async, and never blocks.
//!
//! | comes | goes to | verdict |
//! |---|---|---|
//! | transaction | admission | when judged |
//! | proposal, vote, evidence | consensus thread | of the engine's step |
//! | status | [`Peers`](super::peers) | ignored: heard, not forwarded |
//! | question about committed blocks | the store | |
//! | other question | consensus thread | |
//!
//! What does not decode within its cap is rejected here. What finds a full queue is ignored, and nobody is blamed; each sender has its own places
//! there ([`Place`]). Bounds:
//! [`MAX_ASKED`] questions of ours under way, [`MAX_READS`] of others that read the store at once.

use super::{
    admission::{Admission, Origin},
    driver::{Job, Jobs, Outgoing},
    keeper::status,
    shared::Shared,
    status::StatusMessage,
};
use crate::{
    blocking::Blocking,
    network::{GossipId, NetworkEvent, Place, Topic, Verdict},
};
use libp2p::PeerId;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tender_consensus::{
    engine::Peer,
    message::{MAX_RESPONSE_BYTES, Message, Request, Response},
    tx::TxBytes,
};
use tender_wire::{Height, Wire, decode, encode};
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    task::spawn_blocking,
    time::{MissedTickBehavior, interval, timeout},
};

/// Questions of ours under way; more are dropped, the engine asks again.
pub(crate) const MAX_ASKED: usize = 16;
/// Peers one question is put to before the engine must ask again.
pub(crate) const ATTEMPTS: usize = 2;
/// Questions of others that read the store at once.
pub(crate) const MAX_READS: usize = 4;
/// Longest wait for the consensus thread to answer another peer.
pub(crate) const ANSWER_PATIENCE: Duration = Duration::from_secs(5);
/// Announcements of the tip on a quiet chain.
const STATUS_EVERY: u32 = 2;
/// Upkeep.
const UPKEEP: Duration = Duration::from_secs(1);
/// How long a peer whose answers were lies is kept out.
pub(crate) const SHUT_OUT: Duration = Duration::from_secs(600);
/// Room of an answer that encoding adds to its items.
const FRAME_BYTES: usize = 4096;

/// Carries for one peer. Cheap to clone.
#[derive(Clone)]
pub(super) struct Courier {
    pub(super) shared: Arc<Shared>,
    pub(super) admission: Arc<Admission>,
    pub(super) jobs: Jobs,
    asked: Arc<Semaphore>,
    reads: Blocking,
}

impl Courier {
    pub(super) fn new(shared: Arc<Shared>, admission: Arc<Admission>, jobs: Jobs) -> Self {
        Courier {
            shared,
            admission,
            jobs,
            asked: Arc::new(Semaphore::new(MAX_ASKED)),
            reads: Blocking::new(MAX_READS),
        }
    }

    /// Takes in what the network tells, until it stops.
    pub(super) async fn incoming(self, mut events: mpsc::Receiver<NetworkEvent>) {
        while let Some(event) = events.recv().await {
            match event {
                NetworkEvent::Gossip {
                    id,
                    source,
                    topic,
                    data,
                    place,
                } => {
                    if let Err(verdict) = self.gossip(&id, source, (topic, data), place) {
                        self.shared.network.report(id, verdict).await;
                    }
                }
                NetworkEvent::Request { peer, data, reply } => self.request(peer, &data, reply),
                NetworkEvent::PeerConnected(peer) => {
                    self.shared.peers.number(peer);
                }
                NetworkEvent::PeerDisconnected(peer) => self.shared.peers.gone(&peer),
            }
        }
    }

    /// Carries out what the threads want, until all of them are gone.
    pub(super) async fn outgoing(self, mut out: mpsc::Receiver<Outgoing>) {
        while let Some(out) = out.recv().await {
            let network = &self.shared.network;
            let said = match out {
                Outgoing::Say(message) => network.send_durable(message).await,
                Outgoing::Tx(data) => network.publish_tx(data).await,
                Outgoing::Status(data) => network.publish_status(data).await,
                Outgoing::Report(id, verdict) => {
                    network.report(id, verdict).await;
                    Ok(())
                }
                Outgoing::Ask { request, prefer } => {
                    self.ask(request, prefer);
                    Ok(())
                }
                Outgoing::Fault(peer) => {
                    self.fault(peer).await;
                    Ok(())
                }
            };
            if let Err(error) = said {
                tracing::warn!(%error, "cannot gossip");
            }
        }
    }

    /// Says again what must not be forgotten.
    pub(super) async fn upkeep(self, out: mpsc::Sender<Outgoing>) {
        let mut ticks = interval(UPKEEP);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut beat = 0u32;
        loop {
            ticks.tick().await;
            beat = beat.wrapping_add(1);
            let mut say = Vec::new();
            if beat.is_multiple_of(STATUS_EVERY) {
                say.push(status(&self.shared));
            }
            if !self.shared.network.peers().is_empty() {
                let again = self.shared.mempool.due_again(Instant::now());
                say.extend(again.iter().map(|tx| Outgoing::Tx(tx.bytes().to_vec())));
            }
            for message in say {
                if out.send(message).await.is_err() {
                    return;
                }
            }
        }
    }

    /// Hands a gossip message on, or gives the verdict that is clear already.
    fn gossip(
        &self,
        id: &GossipId,
        source: PeerId,
        (topic, data): (Topic, Vec<u8>),
        place: Place,
    ) -> Result<(), Verdict> {
        match topic {
            Topic::Tx => {
                let tx = TxBytes::new(data).map_err(|_| Verdict::Reject)?;
                let origin = Origin::Gossip {
                    id: id.clone(),
                    peer: source,
                };
                if self.admission.offer(tx, origin) {
                    Ok(())
                } else {
                    Err(Verdict::Ignore)
                }
            }
            Topic::Vote | Topic::Evidence => {
                let message = decode_or_reject::<Message>(&data, source)?;
                if matches!(message, Message::Evidence(_)) != (topic == Topic::Evidence) {
                    return Err(Verdict::Reject);
                }
                let from = self.shared.peers.number(source);
                let job = Job::Gossip {
                    id: id.clone(),
                    from,
                    message,
                    place,
                };
                if self.jobs.offer(job) {
                    Ok(())
                } else {
                    Err(Verdict::Ignore)
                }
            }
            Topic::Status => {
                let status = decode_or_reject::<StatusMessage>(&data, source)?;
                self.shared.peers.number(source);
                self.shared.peers.announced(&source, status.height);
                Err(Verdict::Ignore)
            }
        }
    }

    fn request(&self, peer: PeerId, data: &[u8], reply: oneshot::Sender<Vec<u8>>) {
        let request = match decode::<Request>(data) {
            Ok(request) => request,
            Err(error) => {
                tracing::debug!(%peer, %error, "unreadable question");
                return;
            }
        };
        let courier = self.clone();
        tokio::spawn(async move {
            let answer = match request {
                Request::Blocks(from) => courier.committed(from).await,
                request => courier.in_progress(request).await,
            };
            if let Some(answer) = answer.filter(|answer| answer.len() <= MAX_RESPONSE_BYTES) {
                // The asker may be gone.
                let _ = reply.send(answer);
            }
        });
    }

    /// Committed blocks, from the store.
    async fn committed(&self, from: Height) -> Option<Vec<u8>> {
        let archive = self.shared.archive.clone();
        let range = move || archive.range(from).map(|range| encode(&range));
        match self.reads.run(range).await? {
            Ok(answer) => Some(answer),
            Err(error) => {
                tracing::error!(%error, "cannot read blocks for a peer");
                None
            }
        }
    }

    /// About the height in progress, from the engine.
    async fn in_progress(&self, request: Request) -> Option<Vec<u8>> {
        let (reply, answer) = oneshot::channel();
        if !self.jobs.offer(Job::Answer { request, reply }) {
            return None;
        }
        let mut response = timeout(ANSWER_PATIENCE, answer).await.ok()?.ok()?;
        if let Response::Transactions(txs) = &mut response {
            // Those that do not fit are asked for again.
            let mut room = MAX_RESPONSE_BYTES.saturating_sub(FRAME_BYTES);
            txs.retain(|tx| {
                let left = room.checked_sub(tx.bytes().len().saturating_add(8));
                room = left.unwrap_or(room);
                left.is_some()
            });
        }
        Some(encode(&response))
    }

    /// Puts a question to a peer that should know, and to another if that fails.
    fn ask(&self, request: Request, prefer: Vec<Peer>) {
        let Ok(permit) = Arc::clone(&self.asked).try_acquire_owned() else {
            return;
        };
        let courier = self.clone();
        tokio::spawn(async move {
            let _permit = permit;
            let height = match &request {
                Request::Blocks(from) => *from,
                Request::Votes(height) => height.prev(),
                Request::Block(_) | Request::Transactions(_) => Height(0),
            };
            let data = encode(&request);
            let mut tried = Vec::new();
            while tried.len() < ATTEMPTS {
                // Strangers who never answer may be among the preferred: they get one attempt, not all.
                let wanted: &[Peer] = if tried.is_empty() { &prefer } else { &[] };
                let Some(peer) = courier.shared.peers.choose(wanted, height, &tried) else {
                    return;
                };
                tried.push(peer);
                let answer = courier.shared.network.request(peer, data.clone()).await;
                courier.shared.peers.answered(&peer, answer.is_ok());
                match answer {
                    Ok(answer) => {
                        courier.answered(peer, request, answer).await;
                        return;
                    }
                    Err(error) => tracing::debug!(%peer, %error, "question unanswered"),
                }
            }
        });
    }

    async fn answered(&self, peer: PeerId, request: Request, answer: Vec<u8>) {
        let from = self.shared.peers.number(peer);
        let response = spawn_blocking(move || decode::<Response>(&answer)).await;
        match response {
            Ok(Ok(response)) => {
                self.shared.peers.showed(&peer, &request, &response);
                // If the thread is too busy, the engine asks again.
                let _ = self.jobs.offer(Job::Response {
                    from,
                    request,
                    response,
                });
            }
            Ok(Err(error)) => {
                tracing::warn!(%peer, %error, "unreadable answer");
                self.fault(from).await;
            }
            Err(_) => {}
        }
    }

    async fn fault(&self, peer: Peer) {
        if let Some(id) = self.shared.peers.fault(peer) {
            tracing::warn!(peer = %id, "shut out for a while: its answers did not hold");
            self.shared.network.shut_out(id, SHUT_OUT).await;
        }
    }
}

fn decode_or_reject<T: Wire>(data: &[u8], source: PeerId) -> Result<T, Verdict> {
    decode(data).map_err(|error| {
        tracing::debug!(peer = %source, %error, "unreadable gossip");
        Verdict::Reject
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::driver::JOB_QUEUE;
    use std::{collections::BTreeSet, sync::mpsc::Receiver};
    use tender_auction::scenario::Scenario;
    use tender_consensus::vote::{Vote, VoteKind};
    use tender_wire::{PublicKey, Round, Signature};
    use tokio::{
        runtime::Handle,
        time::{pause, sleep},
    };

    /// A courier, and what keeps it from finding its queues closed.
    struct Post {
        courier: Courier,
        jobs: Receiver<Job>,
        _kept: (tempfile::TempDir, mpsc::Receiver<NetworkEvent>),
    }

    async fn post() -> Post {
        let dir = tempfile::tempdir().unwrap();
        let (shared, events) = Shared::alone(&Scenario::default(), dir.path()).await;
        let (jobs, queue) = Jobs::new();
        let (out, _) = mpsc::channel(1);
        let admission = Admission::new(Arc::clone(&shared), jobs.clone(), out);
        Post {
            courier: Courier::new(shared, Arc::new(admission), jobs),
            jobs: queue,
            _kept: (dir, events),
        }
    }

    #[tokio::test]
    async fn so_many_own_questions_are_under_way_and_one_more_is_dropped() {
        let Post { courier, .. } = &post().await;
        let tasks = || Handle::current().metrics().num_alive_tasks();
        let before = tasks();
        for _ in 0..=MAX_ASKED {
            courier.ask(Request::Blocks(Height(1)), Vec::new());
        }
        assert_eq!(tasks() - before, MAX_ASKED);
    }

    #[tokio::test]
    async fn a_question_is_put_to_so_many_peers_and_no_more() {
        let Post { courier, .. } = &post().await;
        let peers = &courier.shared.peers;
        // Known, and not to be reached.
        for _ in 0..10 {
            peers.number(PeerId::random());
        }
        courier.ask(Request::Blocks(Height(1)), Vec::new());
        let asked = Arc::clone(&courier.asked);
        let all = u32::try_from(MAX_ASKED).unwrap();
        let ended = timeout(Duration::from_secs(60), asked.acquire_many(all)).await;
        drop(ended.unwrap().unwrap());
        // Those whom nothing was asked go first.
        let rest = (0..100).map(|_| peers.choose(&[], Height(0), &[]).unwrap());
        assert_eq!(rest.collect::<BTreeSet<_>>().len(), 10 - ATTEMPTS);
    }

    /// B16: whoever asks does not wait for ever, and holds its place so long and no longer.
    #[tokio::test]
    async fn the_consensus_thread_answers_a_peer_in_time_or_not_at_all() {
        let Post { courier, jobs, .. } = &post().await;
        pause();
        let moment = Duration::from_millis(1);
        for after in [ANSWER_PATIENCE - moment, ANSWER_PATIENCE + moment] {
            let thread = async {
                let Ok(Job::Answer { reply, .. }) = jobs.try_recv() else {
                    panic!("a question");
                };
                sleep(after).await;
                reply.send(Response::Blocks(Vec::new()))
            };
            let asked = courier.in_progress(Request::Votes(Height(1)));
            let (answer, heard) = tokio::join!(asked, thread);
            let in_time = after < ANSWER_PATIENCE;
            assert_eq!((answer.is_some(), heard.is_ok()), (in_time, in_time));
        }
    }

    /// B18: what finds the consensus thread's queue full is not waited for, and nobody is blamed.
    #[tokio::test]
    async fn a_full_queue_of_the_consensus_thread_ignores_gossip_and_leaves_questions_unanswered() {
        let Post { courier, jobs, .. } = &post().await;
        let vote = Vote {
            height: Height(1),
            round: Round(0),
            kind: VoteKind::Prevote,
            block: None,
            validator: PublicKey([0; 32]),
            signature: Signature([0; 64]),
        };
        let data = encode(&Message::Vote(Box::new(vote)));
        let source = PeerId::random();
        let say = || {
            let (id, place) = (GossipId::any(source), Place::any());
            courier.gossip(&id, source, (Topic::Vote, data.clone()), place)
        };
        for _ in 0..JOB_QUEUE {
            assert!(say().is_ok());
        }
        assert_eq!(say(), Err(Verdict::Ignore));
        let asked = || courier.in_progress(Request::Votes(Height(1)));
        assert!(asked().await.is_none());
        drop(jobs.try_recv());
        assert!(say().is_ok(), "there is room again");
    }
}
