//! The consensus thread: it owns the engine, feeds it one input at a time and carries out its effects in order.
//!
//! ```text
//!  courier, admission ──Job──▶ ┌────────┐ ──Persist──▶ vote log, fsync ─┐
//!  timers, ticks ────────────▶ │ engine │ ──Commit───▶ store, fsync ────┤ acknowledged before anything else
//!                              └────────┘ ◀─────────────────────────────┘
//!                                   └──Send, Ask, verdicts──▶ courier
//! ```
//!
//! Invariants: only this thread touches the engine, so its inputs are in one order; a signature leaves only through
//! [`Effect::Send`], after the log records it waits for are on disk; after a halt nothing is done any more. Time comes from the monotonic
//! clock for timers and from the system's for block times; neither can panic.
//!
//! Bounds: [`JOB_QUEUE`]; what does not fit is dropped by the sender (gossip is repeated by votes requests, answers are asked again).

use super::hearing::{Hearing, votes_of};
use crate::{
    network::{GossipId, Place, Verdict as GossipVerdict},
    store::points::{self, Point},
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tender_consensus::{
    application::Application,
    engine::{Committed, Durable, Effect, Engine, Input, Output, Peer, Timeout, Verdict, WalBatch},
    message::{Message, Request, Response},
};
use tender_wire::{Round, TimeMs};
use tokio::sync::{mpsc, oneshot};

/// Jobs waiting for the thread.
pub(crate) const JOB_QUEUE: usize = 1024;
/// How often the engine may ask for what seems lost.
const TICK: Duration = Duration::from_secs(1);

/// Furthest ahead a timer is set: more does not matter, and cannot overflow.
const A_DAY: Duration = Duration::from_secs(86_400);

/// Something for the consensus thread.
pub(super) enum Job {
    /// A gossip message; its verdict goes to the courier.
    Gossip {
        id: GossipId,
        from: Peer,
        message: Message,
        /// Its sender's in this queue.
        place: Place,
    },
    /// An answer to a question of ours.
    Response {
        from: Peer,
        request: Request,
        response: Response,
    },
    /// A peer's question about the height in progress.
    Answer {
        request: Request,
        reply: oneshot::Sender<Response>,
    },
    /// The pool has something new.
    Work,
    /// Look around: it may be time to stop.
    Wake,
}

/// Something for the courier to carry to the network.
pub(super) enum Outgoing {
    /// Gossip what consensus says.
    Say(Durable<Message>),
    /// Gossip a transaction.
    Tx(Vec<u8>),
    /// Gossip how far this peer is.
    Status(Vec<u8>),
    /// Say what a gossip message was found to be.
    Report(GossipId, GossipVerdict),
    /// Ask a peer and bring the answer back as [`Job::Response`].
    Ask { request: Request, prefer: Vec<Peer> },
    /// A peer's answer was a lie.
    Fault(Peer),
}

/// The end of the job queue that others hold.
#[derive(Clone)]
pub(super) struct Jobs {
    queue: SyncSender<Job>,
    flags: Arc<Flags>,
}

#[derive(Default)]
struct Flags {
    /// A [`Job::Work`] is in the queue: another would say nothing new.
    work_queued: AtomicBool,
    /// The thread is to end before its next job.
    stop: AtomicBool,
}

impl Jobs {
    pub(super) fn new() -> (Jobs, Receiver<Job>) {
        let (queue, jobs) = sync_channel(JOB_QUEUE);
        let flags = Arc::default();
        (Jobs { queue, flags }, jobs)
    }

    /// Queues a job, or drops it if the thread is too busy or gone.
    pub(super) fn offer(&self, job: Job) -> bool {
        self.queue.try_send(job).is_ok()
    }

    /// Tells the engine of new transactions. If the queue is full, the next tick does.
    pub(super) fn work(&self) {
        let queued = &self.flags.work_queued;
        if !queued.swap(true, Ordering::AcqRel) && !self.offer(Job::Work) {
            queued.store(false, Ordering::Release);
        }
    }

    /// Ends the thread after the job it is at.
    pub(super) fn stop(&self) {
        self.flags.stop.store(true, Ordering::Release);
        // Wakes it; a full queue keeps it awake as well.
        self.offer(Job::Wake);
    }
}

/// What the thread needs of the peer around it. Calls block until the disk has it.
pub(super) trait Shell<A: Application>: Send {
    /// Appends to the vote log and fsyncs.
    fn persist(&mut self, batch: &WalBatch) -> Result<(), String>;
    /// Stores a block durably, then lets everyone see it.
    fn commit(&mut self, committed: Committed<A>) -> Result<(), String>;
    /// The engine moved to a round.
    fn round(&mut self, round: Round);
    /// The peer must do nothing any more.
    fn halt(&mut self, reason: String);
}

/// An engine with its timers, running.
pub(super) struct Driver<A: Application, S> {
    engine: Engine<A>,
    shell: S,
    /// Until others were heard, what is signed waits here.
    hearing: Option<Hearing>,
    out: mpsc::Sender<Outgoing>,
    timers: BTreeMap<(Instant, u64), Timeout>,
    scheduled: u64,
    acknowledged: VecDeque<Input>,
    flags: Arc<Flags>,
}

/// Why the thread stopped on its own.
struct Halted;

impl<A: Application, S: Shell<A>> Driver<A, S> {
    pub(super) fn new(
        engine: Engine<A>,
        shell: S,
        hearing: Option<Hearing>,
        jobs: &Jobs,
        out: mpsc::Sender<Outgoing>,
    ) -> Self {
        Driver {
            engine,
            shell,
            hearing,
            out,
            timers: BTreeMap::new(),
            scheduled: 0,
            acknowledged: VecDeque::new(),
            flags: Arc::clone(&jobs.flags),
        }
    }

    /// Carries out what starting the engine asked for, then works until stopped or halted.
    pub(super) fn run(mut self, first: Vec<Effect<A>>, jobs: &Receiver<Job>) {
        let Err(Halted) = self.carry_out(first).and_then(|()| self.work(jobs)) else {
            return;
        };
        tracing::error!("consensus has stopped for good; the files are as they were");
    }

    fn work(&mut self, jobs: &Receiver<Job>) -> Result<(), Halted> {
        let mut tick = deadline(Duration::ZERO);
        while !self.flags.stop.load(Ordering::Acquire) {
            self.expire()?;
            let now = Instant::now();
            if now >= tick {
                tick = deadline(TICK);
                self.step(Input::Tick)?;
            }
            self.listen(now);
            let timer = self.timers.keys().next().map(|(at, _)| *at);
            let question = self.hearing.as_ref().map(Hearing::next);
            let next = timer.into_iter().chain(question).fold(tick, Instant::min);
            match jobs.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(job) => self.job(job)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        Ok(())
    }

    fn job(&mut self, job: Job) -> Result<(), Halted> {
        match job {
            Job::Gossip {
                id,
                from,
                message,
                place: _held,
            } => {
                let verdict = match self.step(Input::Gossip { from, message })? {
                    Verdict::Accept => GossipVerdict::Accept,
                    Verdict::Ignore(_) => GossipVerdict::Ignore,
                    Verdict::Reject(reason) => {
                        tracing::warn!(peer = from.0, %reason, "gossip rejected");
                        GossipVerdict::Reject
                    }
                };
                self.send(Outgoing::Report(id, verdict));
            }
            Job::Response {
                from,
                request,
                response,
            } => {
                let said = votes_of(&request, &response);
                let input = Input::Response {
                    from,
                    request,
                    response,
                };
                if let Verdict::Reject(reason) = self.step(input)? {
                    tracing::warn!(peer = from.0, %reason, "answer rejected");
                    self.send(Outgoing::Fault(from));
                } else if let (Some(said), Some(hearing)) = (said, &mut self.hearing) {
                    hearing.heard(from, said, self.engine.height());
                }
            }
            Job::Answer { request, reply } => {
                if let Some(mut response) = self.engine.answer(&request) {
                    if let Some(hearing) = &self.hearing {
                        hearing.keep_back(&mut response);
                    }
                    // The asker may have hung up.
                    let _ = reply.send(response);
                }
            }
            Job::Work => {
                self.flags.work_queued.store(false, Ordering::Release);
                self.step(Input::Work)?;
            }
            Job::Wake => {}
        }
        Ok(())
    }

    /// Asks others what they know, as long as this peer is to hear them; then says what waited for that.
    fn listen(&mut self, now: Instant) {
        let height = self.engine.height();
        if let Some(hearing) = self.hearing.take_if(|hearing| hearing.is_over(now)) {
            for message in hearing.into_held() {
                self.say(message);
            }
        }
        let question = self.hearing.as_mut().and_then(|it| it.ask(now, height));
        if let Some(question) = question {
            self.send(question);
        }
    }

    /// Fires the timers that are due, oldest first.
    fn expire(&mut self) -> Result<(), Halted> {
        let now = Instant::now();
        while let Some(entry) = self.timers.first_entry()
            && entry.key().0 <= now
        {
            let timeout = entry.remove();
            self.step(Input::Timeout(timeout))?;
        }
        Ok(())
    }

    /// One input, and the acknowledgements its effects lead to.
    fn step(&mut self, input: Input) -> Result<Verdict, Halted> {
        let Output { verdict, effects } = self.engine.step(wall_clock(), input);
        self.carry_out(effects)?;
        while let Some(input) = self.acknowledged.pop_front() {
            let Output { effects, .. } = self.engine.step(wall_clock(), input);
            self.carry_out(effects)?;
        }
        self.shell.round(self.engine.round().0);
        Ok(verdict)
    }

    fn carry_out(&mut self, effects: Vec<Effect<A>>) -> Result<(), Halted> {
        for effect in effects {
            match effect {
                Effect::Persist(batch) => {
                    self.shell.persist(&batch).map_err(|e| self.halted(e))?;
                    self.acknowledged.push_back(Input::Persisted(batch));
                }
                Effect::Send(message) => self.say(message),
                Effect::Ask { request, prefer } => self.send(Outgoing::Ask { request, prefer }),
                Effect::Schedule { timeout, after_ms } => {
                    self.scheduled = self.scheduled.saturating_add(1);
                    let at = deadline(Duration::from_millis(after_ms));
                    self.timers.insert((at, self.scheduled), timeout);
                }
                Effect::Commit(committed) => {
                    let height = committed.chain.height;
                    self.timers.retain(|_, timeout| timeout.height > height);
                    self.shell.commit(*committed).map_err(|e| self.halted(e))?;
                    if let Some(hearing) = &mut self.hearing {
                        hearing.committed(height);
                    }
                    self.acknowledged.push_back(Input::Stored(height));
                }
                Effect::Halt(reason) => return Err(self.halted(reason.to_string())),
            }
        }
        Ok(())
    }

    fn halted(&mut self, reason: String) -> Halted {
        self.shell.halt(reason);
        Halted
    }

    fn say(&mut self, message: Durable<Message>) {
        let now = match &mut self.hearing {
            Some(hearing) => hearing.hold(message),
            None => Some(message),
        };
        if let Some(message) = now {
            points::pass(Point::Send);
            self.send(Outgoing::Say(message));
        }
    }

    /// Waits for room: the courier waits only for the network, which waits for nobody.
    fn send(&self, out: Outgoing) {
        if self.out.blocking_send(out).is_err() {
            tracing::debug!("the network is gone");
        }
    }
}

/// Milliseconds since the epoch; 0 if the clock is before it.
pub(crate) fn wall_clock() -> TimeMs {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    TimeMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// A moment from now on.
fn deadline(after: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(after.min(A_DAY)).unwrap_or(now)
}
