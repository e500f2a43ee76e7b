//! The sans-io node around the kernel: decoded messages, timeouts and acknowledgements in, effects in order out.
//!
//! ```text
//!  peers ──Gossip/Response──▶ admission ──Verified──▶ message log ──▶ ┌────────┐ Propose/Vote ▶ sign ▶ vote log ▶ Durable ──▶ Send
//!                                   │                                 │ kernel │ Schedule ───────────────────────────────▶ Schedule
//!                                   ▼                                 │ (one   │ Build ──▶ Application::propose ──▶ Built ─┐
//!                              bodies ──complete──▶ chain.apply ────▶ │ height)│ ◀────────────────────────────────────────┘
//!                                 ▲                  Judged           └────────┘ Decide ──▶ certificate ─────────────▶ Commit
//!                          Ask for what is missing
//! ```
//!
//! # Life of a height
//! *Waiting* until the tip is stored and the block interval has passed; *idle* until there is something to decide; then the kernel runs, decides, and the
//! block goes to the shell ([`Effect::Commit`]), which answers [`Input::Stored`]. No message of a height is signed before the block below it is stored.
//!
//! **No empty blocks.** A height begins when a block is due (`needs_block`), news of an offence waits to be counted, a pooled transaction applies, or a
//! verified message of that height arrived: somebody else saw work. Since transactions and messages are gossiped, one peer's work starts
//! everyone. A minority's word is not believed for ever: once everyone has had a turn to propose what it saw, a peer that knows of nothing to
//! decide votes nil only once in [`IDLE_ROUND_MS`]. So a liar cannot keep an idle chain spinning, and an honest peer whose
//! transaction reached nobody else still gets its turns.
//!
//! **Catching up is pulled.** Gossip loses messages, and does not repeat identical bytes. On every [`Input::Tick`] without progress the engine asks
//! some peer for the votes of its height; a peer that is past it says so, and is asked for blocks. A range is verified block by block
//! before it is applied; the tip never regresses; a peer that lied is named by the step's verdict.
//!
//! **Restart.** [`Engine::start`] replays the vote log into a fresh kernel: same inputs, same state, same messages. A message
//! that differs from the logged one, or is missing from the log while later inputs are there, halts.
//!
//! Bounds: one message per (round, kind, validator), rounds ahead as in [`crate::kernel`], [`MAX_NEXT_MESSAGES`] verified messages per validator of the next
//! height, [`MAX_BODIES`] blocks, one offence per validator and [`MAX_POOLED_EVIDENCE`] in all, [`MAX_CLAIMS`] claimed heights, [`MAX_PAST_HEIGHTS`] certificates.

mod admission;
mod bodies;
mod commit;
mod io;
mod log;
mod messages;
mod outbox;
mod past;
mod pool;
mod recover;
mod sync;
mod work;

pub use admission::{Refusal, Signed, Verified};
pub use bodies::MAX_BODIES;
pub use io::*;
pub use messages::{MAX_NEXT_MESSAGES, MAX_SOURCES};
pub use outbox::{Durable, WalBatch};
pub use past::MAX_PAST_HEIGHTS;
pub use pool::MAX_POOLED_EVIDENCE;
pub use sync::MAX_CLAIMS;
pub use work::IDLE_ROUND_MS;

use crate::{
    application::Application,
    block::Block,
    certificate::CommitCertificate,
    chain::ChainState,
    kernel::{self, Kernel},
    message::Message,
    signer::Signer,
    validators::ValidatorIndex,
    vote::{Proposal, VoteKind},
    wal::WalRecord,
};
use bodies::Bodies;
use log::MessageLog;
use messages::NextHeight;
use outbox::Outbox;
use past::{Decided, Past};
use pool::EvidencePool;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};
use sync::{Asked, SyncState};
use tender_wire::{BlockId, Height, PublicKey, Round, TimeMs};
use work::Rest;

/// A consensus node without a network, a clock or a disk.
pub struct Engine<A: Application> {
    app: Arc<A>,
    pool: Arc<dyn TxPool>,
    signer: Option<Box<dyn Signer>>,
    key: Option<PublicKey>,
    now: TimeMs,
    chain: ChainState<A::State>,
    past: Past,
    tip_block: Option<Block>,
    stored: Height,
    live: Live<A>,
    next: NextHeight,
    evidence: EvidencePool,
    sync: SyncState,
    outbox: Outbox<A>,
    replay: Option<recover::Replay>,
    /// Something happened that may have given us something to propose.
    look: bool,
    halted: bool,
}

/// Everything about the height in progress; replaced as a whole at the next.
struct Live<A: Application> {
    me: Option<ValidatorIndex>,
    kernel: Kernel,
    log: MessageLog,
    bodies: Bodies<A>,
    /// What this validator has signed, by round and kind (`None`: a proposal). The guard against signing twice.
    signed: BTreeMap<(Round, Option<VoteKind>), Message>,
    /// Fresh proposals whose header is not here yet, so that their time cannot be judged.
    untimed: BTreeMap<Round, Proposal>,
    /// Inputs for the kernel, with their log records.
    inputs: VecDeque<(kernel::Input, WalRecord)>,
    /// A round in which the kernel waits for a block of ours.
    build: Option<Round>,
    begun: bool,
    /// Whether this peer waits for something to decide before it lets a round pass.
    rest: Rest,
    /// The round from which timeouts grow: that of the last rest.
    calm: Round,
    /// Asked since the last tick.
    asked: BTreeSet<Asked>,
    /// Who delivered messages naming a block, to be asked for it.
    sources: BTreeMap<BlockId, Vec<Peer>>,
}

impl<A: Application> Engine<A> {
    /// A node at the tip `chain` (with the tip's certificate, if it is above genesis), continuing the height its vote log is in. Without a signer it
    /// follows; the log is then ignored.
    ///
    /// # Errors
    /// [`HaltReason`] if log and store contradict each other.
    pub fn start(
        app: Arc<A>,
        chain: ChainState<A::State>,
        last_certificate: Option<CommitCertificate>,
        signer: Option<Box<dyn Signer>>,
        pool: Arc<dyn TxPool>,
        log: Vec<WalRecord>,
        now: TimeMs,
    ) -> Result<(Self, Vec<Effect<A>>), HaltReason> {
        let key = signer.as_ref().map(|s| s.public());
        let mut past = Past::default();
        if let Some(certificate) = last_certificate {
            let decided = Decided::new(&certificate, &chain.last_validators);
            past.push(decided, MessageLog::default());
        }
        let mut engine = Engine {
            app,
            pool,
            signer,
            key,
            now,
            past,
            tip_block: None,
            stored: chain.height,
            live: Live::new(&chain, key),
            chain,
            next: NextHeight::default(),
            evidence: EvidencePool::default(),
            sync: SyncState::default(),
            outbox: Outbox::new(),
            replay: None,
            look: true,
            halted: false,
        };
        engine.recover(log)?;
        engine.wait_for_interval();
        engine.settle()?;
        let effects = engine.outbox.drain();
        Ok((engine, effects))
    }

    /// Takes one input at wall-clock time `now`.
    pub fn step(&mut self, now: TimeMs, input: Input) -> Output<A> {
        if self.halted {
            return Output {
                verdict: Verdict::Ignore(Refusal::Halted),
                effects: Vec::new(),
            };
        }
        self.now = now;
        let (verdict, halt) = match self.take(input) {
            Ok(Ok(())) => (Verdict::Accept, self.settle().err()),
            Ok(Err(refusal)) if refusal.is_fault() => {
                (Verdict::Reject(refusal), self.settle().err())
            }
            Ok(Err(refusal)) => (Verdict::Ignore(refusal), self.settle().err()),
            Err(halt) => (Verdict::Accept, Some(halt)),
        };
        if let Some(reason) = halt {
            tracing::error!(%reason, "consensus halts");
            self.halted = true;
            self.outbox.push(Effect::Halt(reason));
        }
        Output {
            verdict,
            effects: self.outbox.drain(),
        }
    }

    /// The tip.
    pub fn chain(&self) -> &ChainState<A::State> {
        &self.chain
    }

    /// The height being decided.
    pub fn height(&self) -> Height {
        self.chain.height.next()
    }

    /// Round and step of the height being decided.
    pub fn round(&self) -> (Round, kernel::Step) {
        (self.live.kernel.round(), self.live.kernel.current_step())
    }

    /// The block this validator is locked on at the height being decided, and since which round.
    pub fn locked(&self) -> Option<(Round, BlockId)> {
        self.live.kernel.locked()
    }

    /// Whether this peer has stopped for good.
    pub fn is_halted(&self) -> bool {
        self.halted
    }

    /// The outer error halts; the inner one is about the message.
    fn take(&mut self, input: Input) -> Result<Result<(), Refusal>, HaltReason> {
        match input {
            Input::Gossip { from, message } => return self.gossip(from, message),
            Input::Response {
                from,
                request,
                response,
            } => return self.response(from, request, response),
            Input::Timeout(timeout) => self.timeout(timeout)?,
            Input::Work => {
                self.look = true;
                self.live.bodies.fill_from(&*self.pool);
            }
            Input::Tick => {
                self.look = true;
                self.tick();
            }
            Input::Persisted(batch) => self.outbox.persisted(&batch),
            Input::Stored(height) => {
                self.stored = self.stored.max(height.min(self.chain.height));
                self.look = true;
                self.save_evidence();
                self.wait_for_interval();
            }
        }
        Ok(Ok(()))
    }

    fn timeout(&mut self, timeout: Timeout) -> Result<(), HaltReason> {
        match timeout.kind {
            _ if timeout.height != self.height() => Ok(()),
            TimeoutKind::Interval => {
                self.look = true;
                self.wait_for_interval(); // the wall clock may have run behind the timer
                Ok(())
            }
            TimeoutKind::Round(t) if self.rests(t) => Ok(()),
            TimeoutKind::Round(t) => {
                if t.round == self.round().0 {
                    self.ask_votes(); // what was waited for may have been lost
                }
                self.feed(kernel::Input::Timeout(t), WalRecord::Timeout(t))
            }
        }
    }

    /// Lets everything happen that can: kernel inputs, judgements, beginning, building. Ends because each pass uses up something finite.
    fn settle(&mut self) -> Result<(), HaltReason> {
        loop {
            if let Some((input, record)) = self.forgotten() {
                self.feed(input, record)?;
            } else if let Some((input, record)) = self.live.inputs.pop_front() {
                self.feed(input, record)?;
            } else if !(self.time_proposals()
                || self.judge()
                || self.begin()
                || self.wake()
                || self.build())
            {
                break;
            }
        }
        self.look = false;
        self.chase();
        Ok(())
    }

    /// One input into the kernel, logged first, its effects carried out.
    fn feed(&mut self, input: kernel::Input, record: WalRecord) -> Result<(), HaltReason> {
        self.log(record);
        let mut effects = Vec::new();
        self.live.kernel.step(input, &mut effects);
        for effect in effects {
            match effect {
                kernel::Effect::Propose {
                    round,
                    block,
                    pol_round,
                } => self.sign_proposal(round, block, pol_round)?,
                kernel::Effect::Vote { kind, round, block } => {
                    self.sign_vote(kind, round, block)?
                }
                kernel::Effect::Build { round } => {
                    self.live.build = Some(round);
                    self.look = true;
                }
                kernel::Effect::Schedule(timeout) => self.schedule(timeout),
                kernel::Effect::Decide { round, block } => self.decide(round, block)?,
                kernel::Effect::DecidedInvalid { block } => {
                    return Err(HaltReason::DecidedInvalid {
                        height: self.height(),
                        block,
                        reason: "it was judged invalid before".into(),
                    });
                }
            }
        }
        Ok(())
    }

    /// Writes a record to the vote log, if this peer votes at this height and is not reading it from there.
    fn log(&mut self, record: WalRecord) {
        if self.live.me.is_some() && self.replay.is_none() {
            self.outbox.log(record);
        }
    }

    /// Linear in the rounds that had something to decide, capped. Adaptive timeouts belong here.
    fn schedule(&mut self, timeout: kernel::Timeout) {
        let params = &self.chain.params;
        let base = match timeout.kind {
            kernel::TimeoutKind::Propose => params.propose_timeout_ms,
            kernel::TimeoutKind::Prevote | kernel::TimeoutKind::Precommit => params.vote_timeout_ms,
        };
        let rounds = timeout.round.0.saturating_sub(self.live.calm.0);
        let grown = params
            .timeout_delta_ms
            .saturating_mul(u64::from(rounds))
            .saturating_add(base);
        self.expire_after(timeout, grown.min(crate::params::MAX_TIMEOUT_MS));
    }

    fn expire_after(&mut self, timeout: kernel::Timeout, after_ms: u64) {
        self.outbox.push(Effect::Schedule {
            timeout: Timeout {
                height: self.chain.height.next(),
                kind: TimeoutKind::Round(timeout),
            },
            after_ms,
        });
    }
}

impl<A: Application> Live<A> {
    fn new(chain: &ChainState<A::State>, key: Option<PublicKey>) -> Self {
        let me = key.and_then(|key| chain.validators.index_of(&key));
        Live {
            me,
            kernel: Kernel::new(me, &chain.validators, chain.proposers()),
            log: MessageLog::default(),
            bodies: Bodies::new(),
            signed: BTreeMap::new(),
            untimed: BTreeMap::new(),
            inputs: VecDeque::new(),
            build: None,
            begun: false,
            rest: Rest::No,
            calm: Round(0),
            asked: BTreeSet::new(),
            sources: BTreeMap::new(),
        }
    }

    /// Blocks some rule needs or waits for.
    fn needed(&self) -> BTreeSet<BlockId> {
        let mut needed = self.kernel.wanted();
        needed.extend(self.untimed.values().map(|p| p.block));
        needed.extend(self.kernel.locked().map(|(_, block)| block));
        needed.extend(self.kernel.valid().map(|(_, block)| block));
        needed.extend(self.kernel.proposed(self.kernel.round()).map(|p| p.block));
        needed
    }
}
