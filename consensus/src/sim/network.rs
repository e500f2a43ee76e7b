//! The event loop: a queue ordered by virtual time, and the two promises watched on the way.

use super::{
    byzantine::{Behaviour, Hand, Puppet},
    keys::test_keys,
    node::{CrashPoint, Node, SimPool},
    rng::Rng,
    toy::{TOY_GENESIS_TIME, Toy},
};
use crate::{
    application::Application,
    block::CommittedBlock,
    chain::ChainState,
    engine::{Durable, Effect, Engine, HaltReason, Input, Peer, Timeout, Verdict},
    message::{MAX_RANGE_BLOCKS, Message, Request, Response},
    params::Params,
    signer::Signer,
    tx::TxBytes,
    vote::{Vote, VoteKind},
    wal::{self, WalRecord},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};
use tender_wire::{
    BlockId, Digest, Height, PublicKey, Round, Tag, TimeMs, Wire, decode, encode, hash,
};

/// What kind of network.
#[derive(Clone, Debug)]
pub struct SimConfig {
    /// Everything random follows from it.
    pub seed: u64,
    /// Powers of the validators; node `i` is validator `i`.
    pub powers: Vec<u64>,
    /// Nodes without a vote, after the validators.
    pub followers: usize,
    /// Validators run a second time, with the same key and a disk of their own, by nodes after the followers. Both copies count as Byzantine,
    /// though each by itself does nothing wrong (Twins, arXiv 2004.10617).
    pub twins: Vec<usize>,
    /// Delay of a message, from and up to, in milliseconds; differing delays reorder.
    pub delay_ms: (u64, u64),
    /// Messages lost, in percent. Questions and answers are lost too.
    pub loss_percent: u64,
    /// Messages delivered twice, in percent.
    pub duplicate_percent: u64,
    /// Messages with one bit flipped, in percent. What no longer decodes is lost; the rest comes from nobody.
    pub corrupt_percent: u64,
    /// Whether nodes pass on what they accept, as gossip does.
    pub relay: bool,
    /// Whether every block is due (see [`Toy::endless`]).
    pub endless: bool,
    /// How long a crashed node stays down, in milliseconds.
    pub downtime_ms: u64,
    /// Parameters of the chain.
    pub params: Params,
}

impl Default for SimConfig {
    fn default() -> Self {
        SimConfig {
            seed: 0,
            powers: vec![1; 4],
            followers: 0,
            twins: Vec::new(),
            delay_ms: (5, 50),
            loss_percent: 0,
            duplicate_percent: 0,
            corrupt_percent: 0,
            relay: false,
            endless: true,
            downtime_ms: 700,
            params: Params {
                block_interval_ms: 200,
                propose_timeout_ms: 600,
                vote_timeout_ms: 200,
                timeout_delta_ms: 200,
                ..Params::default()
            },
        }
    }
}

/// How often each node is told [`Input::Tick`].
const TICK_MS: u64 = 500;
/// The sender of what the wire has damaged.
const NOBODY: usize = usize::MAX;

enum Event {
    Deliver {
        from: usize,
        to: usize,
        message: Message,
    },
    Ask {
        from: usize,
        to: usize,
        request: Request,
    },
    Answer {
        from: usize,
        to: usize,
        request: Request,
        response: Response,
    },
    Timer {
        node: usize,
        life: u64,
        timeout: Timeout,
    },
    Tick {
        node: usize,
    },
    Transaction {
        node: usize,
        transaction: TxBytes,
    },
    Restart {
        node: usize,
    },
}

impl Event {
    /// Whom it happens to.
    fn node(&self) -> usize {
        match self {
            Event::Deliver { to, .. } | Event::Ask { to, .. } | Event::Answer { to, .. } => *to,
            Event::Timer { node, .. }
            | Event::Tick { node }
            | Event::Transaction { node, .. }
            | Event::Restart { node } => *node,
        }
    }
}

/// A message that came to a running node, or that an honest node said itself.
#[derive(Clone, Debug)]
pub struct Delivered {
    /// The node.
    pub to: usize,
    /// The message.
    pub message: Message,
    /// Whether the node took it in.
    pub accepted: bool,
}

/// One slot a validator may fill once.
type Slot = (PublicKey, Height, Round, Option<VoteKind>);

/// The network.
pub struct Sim<A: Application = Toy> {
    config: SimConfig,
    nodes: Vec<Node<A>>,
    queue: BTreeMap<(u64, u64), Event>,
    sequence: u64,
    now_ms: u64,
    start: TimeMs,
    rng: Rng,
    /// Group of each node; messages pass only within a group.
    groups: Vec<usize>,
    /// One-way links that are down.
    cuts: BTreeSet<(usize, usize)>,
    committed: BTreeMap<Height, BlockId>,
    /// Heights at which honest nodes decided differently, if that is allowed to happen.
    forks: Option<BTreeSet<Height>>,
    /// What nodes heard, and honest ones said, if that is recorded.
    delivered: Option<Vec<Delivered>>,
    signed: BTreeMap<Slot, Digest>,
    rejections: Vec<(usize, usize, Verdict)>,
    trace: Digest,
}

impl Sim<Toy> {
    /// A network over the toy application, started.
    pub fn new(config: SimConfig) -> Self {
        let validators = super::keys::test_validators(&config.powers);
        let app = Toy {
            validators,
            params: config.params.clone(),
            endless: config.endless,
        };
        Sim::with_application(Arc::new(app), config, TOY_GENESIS_TIME)
    }
}

impl<A: Application> Sim<A> {
    /// A network over any application whose genesis set is [`super::keys::test_validators`] of the configured powers, starting at `start`.
    pub fn with_application(app: Arc<A>, config: SimConfig, start: TimeMs) -> Self {
        let validators = config.powers.len();
        let originals = validators + config.followers;
        let count = originals + config.twins.len();
        let validator = |i: usize| match i.checked_sub(originals) {
            Some(twin) => config.twins.get(twin).copied(),
            None => (i < validators).then_some(i),
        };
        let node = |i: usize| Node {
            app: Arc::clone(&app),
            validator: validator(i),
            signer: validator(i).map(|i| {
                let make =
                    move || -> Box<dyn Signer> { Box::new(test_keys(validators).swap_remove(i)) };
                Box::new(make) as Box<dyn Fn() -> Box<dyn Signer>>
            }),
            engine: None,
            pool: Arc::new(SimPool::default()),
            log: Vec::new(),
            has_voted: false,
            store: Vec::new(),
            executed: None,
            crash: None,
            writes: 0,
            life: 0,
            byzantine: None,
            halted: None,
            skew: 0,
            paused_until: 0,
            deaf: false,
        };
        let mut sim = Sim {
            nodes: (0..count).map(node).collect(),
            queue: BTreeMap::new(),
            sequence: 0,
            now_ms: 0,
            start,
            rng: Rng::new(config.seed),
            groups: vec![0; count],
            cuts: BTreeSet::new(),
            committed: BTreeMap::new(),
            forks: None,
            delivered: None,
            signed: BTreeMap::new(),
            rejections: Vec::new(),
            trace: Digest::ZERO,
            config,
        };
        for node in 0..count {
            sim.schedule(0, Event::Restart { node });
            let first = sim.rng.below(TICK_MS);
            sim.schedule(first, Event::Tick { node });
        }
        for twin in originals..count {
            sim.corrupt(twin, Puppet);
            sim.corrupt(sim.config.twins[twin - originals], Puppet);
        }
        sim
    }

    /// Puts validator `node` into wrong hands.
    pub fn corrupt(&mut self, node: usize, behaviour: impl Behaviour + 'static) {
        let Some(validator) = self.nodes[node].validator else {
            panic!("node {node} is no validator");
        };
        let hand = Hand {
            key: test_keys(self.config.powers.len()).swap_remove(validator),
            chain: self.nodes[node].app.genesis().chain,
        };
        self.nodes[node].byzantine = Some((Box::new(behaviour), hand));
    }

    /// Sets a node's clock ahead (or behind) by milliseconds.
    pub fn skew(&mut self, node: usize, ms: i64) {
        self.nodes[node].skew = ms;
    }

    /// Splits the network: messages pass only within a group. Nodes in no group are alone.
    pub fn partition(&mut self, groups: &[&[usize]]) {
        self.groups = (0..self.nodes.len()).map(|n| groups.len() + n).collect();
        for (group, members) in groups.iter().enumerate() {
            for node in *members {
                self.groups[*node] = group;
            }
        }
    }

    /// Takes down the way from one node to another; the way back stays.
    pub fn cut(&mut self, from: usize, to: usize) {
        self.cuts.insert((from, to));
    }

    /// Takes down every way to and from a node.
    pub fn clog(&mut self, node: usize) {
        for other in 0..self.nodes.len() {
            self.cut(node, other);
            self.cut(other, node);
        }
    }

    /// Restores every way to and from a node that was [cut](Self::cut).
    pub fn unclog(&mut self, node: usize) {
        self.cuts.retain(|(from, to)| *from != node && *to != node);
    }

    /// Joins all groups again, and restores every way.
    pub fn heal(&mut self) {
        self.groups.fill(0);
        self.cuts.clear();
    }

    /// Lets a node stand still, as a stopped process does: what comes meanwhile, timers included, waits for it.
    pub fn pause(&mut self, node: usize, ms: u64) {
        self.nodes[node].paused_until = self.now_ms.saturating_add(ms);
    }

    /// Makes a node ignore transactions gossiped to it, and propose none of them.
    pub fn deafen(&mut self, node: usize) {
        self.nodes[node].deaf = true;
    }

    /// Makes a Byzantine node forget what it has done at its height, its lock included: it restarts from a log with nothing but a beginning.
    pub fn forget(&mut self, node: usize) {
        assert!(self.nodes[node].byzantine.is_some(), "honest nodes do not");
        let scan = wal::scan(&self.nodes[node].log);
        let records = scan.map(|scan| scan.records).unwrap_or_default();
        let start = |record: &&WalRecord| matches!(record, WalRecord::Start { .. });
        self.nodes[node].log = records
            .iter()
            .rev()
            .find(start)
            .map_or_else(Vec::new, wal::frame);
        self.crash(node);
        self.restart(node);
    }

    /// Lets honest nodes decide differently from here on, for tests of what happens then.
    pub fn allow_forks(&mut self) {
        self.forks = Some(BTreeSet::new());
    }

    /// Heights at which honest nodes decided differently.
    pub fn forks(&self) -> Vec<Height> {
        self.forks.iter().flatten().copied().collect()
    }

    /// Records every message heard from here on, and what honest nodes say.
    pub fn record(&mut self) {
        self.delivered = Some(Vec::new());
    }

    /// What was recorded, in order.
    pub fn delivered(&self) -> &[Delivered] {
        self.delivered.as_deref().unwrap_or_default()
    }

    /// Every vote an honest node heard or cast.
    pub fn votes_heard(&self) -> BTreeSet<Vote> {
        let heard = self.delivered().iter().filter(|d| self.is_honest(d.to));
        heard
            .filter_map(|delivered| match &delivered.message {
                Message::Vote(vote) => Some((**vote).clone()),
                _ => None,
            })
            .collect()
    }

    /// Stops a node at once; what it has written stays.
    pub fn crash(&mut self, node: usize) {
        self.nodes[node].engine = None;
        self.nodes[node].life += 1;
    }

    /// Stops a node at one of its next durable writes, and restarts it after the configured downtime.
    pub fn crash_at(&mut self, node: usize, point: CrashPoint) {
        self.nodes[node].crash = Some(point);
    }

    /// Starts a stopped node from its disk.
    pub fn restart(&mut self, node: usize) {
        self.schedule(0, Event::Restart { node });
    }

    /// Loses a node's vote log.
    pub fn lose_log(&mut self, node: usize) {
        self.nodes[node].log.clear();
    }

    /// Gives a transaction to one node, which gossips it to all others.
    pub fn submit(&mut self, node: usize, transaction: TxBytes) {
        for to in 0..self.nodes.len() {
            let delay = if to == node { 0 } else { self.delay() };
            if to == node || self.connected(node, to) {
                let transaction = transaction.clone();
                self.schedule(
                    delay,
                    Event::Transaction {
                        node: to,
                        transaction,
                    },
                );
            }
        }
    }

    /// Hands one node a gossip message out of nowhere, as a stranger would, and tells its verdict.
    pub fn inject(&mut self, node: usize, message: Message) -> Option<Verdict> {
        let from = Peer(u64::MAX);
        self.step(node, Input::Gossip { from, message })
    }

    /// Hands one node an answer out of nowhere, and tells its verdict.
    pub fn inject_response(
        &mut self,
        node: usize,
        request: Request,
        response: Response,
    ) -> Option<Verdict> {
        let from = Peer(u64::MAX);
        self.step(
            node,
            Input::Response {
                from,
                request,
                response,
            },
        )
    }

    /// Runs until `done` or until `limit_ms` more milliseconds have passed; whether it was done.
    pub fn run_until(&mut self, limit_ms: u64, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now_ms.saturating_add(limit_ms);
        while !done(self) {
            let Some(((at, _), _)) = self.queue.first_key_value() else {
                return false;
            };
            if *at > end {
                self.now_ms = end;
                return done(self);
            }
            let Some(((at, _), event)) = self.queue.pop_first() else {
                return false;
            };
            self.now_ms = at;
            self.handle(event);
        }
        true
    }

    /// Runs for so many milliseconds.
    pub fn run_for(&mut self, ms: u64) {
        self.run_until(ms, |_| false);
    }

    /// Whether every honest running node has committed `height`.
    pub fn all_at(&self, height: u64) -> bool {
        self.honest().all(|n| self.height(n) >= height)
    }

    /// Height of a node's stored tip.
    pub fn height(&self, node: usize) -> u64 {
        self.nodes[node].store.len() as u64
    }

    /// A node's stored blocks.
    pub fn blocks(&self, node: usize) -> &[CommittedBlock] {
        &self.nodes[node].store
    }

    /// A node's tip, while it runs.
    pub fn chain(&self, node: usize) -> Option<&ChainState<A::State>> {
        self.nodes[node].engine.as_ref().map(Engine::chain)
    }

    /// A node's engine, while it runs.
    pub fn engine(&self, node: usize) -> Option<&Engine<A>> {
        self.nodes[node].engine.as_ref()
    }

    /// Why a node halted, if it did.
    pub fn halted(&self, node: usize) -> Option<&HaltReason> {
        self.nodes[node].halted.as_ref()
    }

    /// Durable writes a node has made.
    pub fn writes(&self, node: usize) -> usize {
        self.nodes[node].writes
    }

    /// A node's vote log as it is on disk.
    pub fn vote_log(&self, node: usize) -> &[u8] {
        &self.nodes[node].log
    }

    /// Every rejection: (who rejected, whose message, verdict).
    pub fn rejections(&self) -> &[(usize, usize, Verdict)] {
        &self.rejections
    }

    /// Hash over every message sent and block committed: equal for equal seeds.
    pub fn trace(&self) -> Digest {
        self.trace
    }

    /// Virtual milliseconds since the start.
    pub fn elapsed_ms(&self) -> u64 {
        self.now_ms
    }

    /// Whether a node is an honest one.
    pub fn is_honest(&self, node: usize) -> bool {
        self.nodes[node].byzantine.is_none()
    }

    fn honest(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.nodes.len()).filter(|n| self.is_honest(*n))
    }

    fn now(&self) -> TimeMs {
        TimeMs(self.start.0.saturating_add(self.now_ms))
    }

    fn handle(&mut self, event: Event) {
        let until = self.nodes[event.node()].paused_until;
        if until > self.now_ms {
            return self.schedule(until - self.now_ms, event);
        }
        if let Event::Deliver { from, to, .. }
        | Event::Ask { from, to, .. }
        | Event::Answer { from, to, .. } = &event
            && *from != NOBODY
            && !self.connected(*from, *to)
        {
            return; // the link broke under way
        }
        match event {
            Event::Deliver { from, to, message } => {
                if self.is_own_echo(to, &message) {
                    return;
                }
                let input = Input::Gossip {
                    from: Peer(from as u64),
                    message: message.clone(),
                };
                let verdict = self.step(to, input);
                if self.config.relay && verdict == Some(Verdict::Accept) {
                    self.relay(to, from, &message);
                }
                if let Some(verdict) = &verdict {
                    self.note_delivery(to, message, *verdict == Verdict::Accept);
                }
                self.note_rejection(to, from, verdict);
            }
            Event::Ask { from, to, request } => {
                let Some(response) = self.answer(from, to, &request) else {
                    return;
                };
                if from == NOBODY {
                    return;
                }
                self.transmit(to, from, &response, |from, to, response| Event::Answer {
                    from,
                    to,
                    request: request.clone(),
                    response,
                });
            }
            Event::Answer {
                from,
                to,
                request,
                mut response,
            } => {
                if let (Some((_, hand)), Response::Votes(bundle)) =
                    (&self.nodes[to].byzantine, &mut response)
                {
                    let key = hand.key.public(); // it would meet its own lies
                    bundle.votes.retain(|vote| vote.validator != key);
                    bundle.proposals.retain(|p| p.validator != key);
                }
                if let Response::Votes(bundle) = &response {
                    let votes = bundle.votes.iter().cloned().map(Box::new);
                    for vote in votes.collect::<Vec<_>>() {
                        self.note_delivery(to, Message::Vote(vote), false);
                    }
                }
                let peer = Peer(from as u64);
                let verdict = self.step(
                    to,
                    Input::Response {
                        from: peer,
                        request,
                        response,
                    },
                );
                self.note_rejection(to, from, verdict);
            }
            Event::Timer {
                node,
                life,
                timeout,
            } => {
                if self.nodes[node].life == life {
                    self.step(node, Input::Timeout(timeout));
                }
            }
            Event::Tick { node } => {
                self.schedule(TICK_MS, Event::Tick { node });
                self.step(node, Input::Tick);
            }
            Event::Transaction { node, .. } if self.nodes[node].deaf => {}
            Event::Transaction { node, transaction } => {
                self.nodes[node].pool.add(transaction);
                self.step(node, Input::Work);
            }
            Event::Restart { node } => {
                if self.nodes[node].engine.is_none() && self.nodes[node].halted.is_none() {
                    let now = self.now();
                    let effects = self.nodes[node].start(now);
                    self.carry_out(node, effects);
                }
            }
        }
    }

    /// A Byzantine node must not be shown what it signed behind its engine's back.
    fn is_own_echo(&self, to: usize, message: &Message) -> bool {
        let Some((_, hand)) = &self.nodes[to].byzantine else {
            return false;
        };
        let key = hand.key.public();
        match message {
            Message::Proposal(p) => p.proposal.validator == key,
            Message::Vote(v) => v.validator == key,
            Message::Evidence(e) => e.offence().validator == key,
        }
    }

    fn answer(&mut self, asker: usize, node: usize, request: &Request) -> Option<Response> {
        let engine = self.nodes[node].engine.as_ref()?;
        let honest = engine.answer(request).or_else(|| match request {
            Request::Blocks(from) => {
                let skip = usize::try_from(from.0.saturating_sub(1)).unwrap_or(usize::MAX);
                let range = self.nodes[node].store.iter().skip(skip);
                Some(Response::Blocks(
                    range.take(MAX_RANGE_BLOCKS.min(8)).cloned().collect(),
                ))
            }
            _ => None,
        })?;
        match &mut self.nodes[node].byzantine {
            Some((behaviour, hand)) => behaviour.answer(asker, request, honest, hand),
            None => Some(honest),
        }
    }

    fn step(&mut self, node: usize, input: Input) -> Option<Verdict> {
        let now = self.nodes[node].clock(self.now());
        let engine = self.nodes[node].engine.as_mut()?;
        let output = engine.step(now, input);
        self.carry_out(node, output.effects);
        Some(output.verdict)
    }

    fn carry_out(&mut self, node: usize, effects: Vec<Effect<A>>) {
        let mut effects = VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            let ack = match effect {
                Effect::Persist(batch) => {
                    if !self.nodes[node].write_log(&batch) {
                        return self.fall(node);
                    }
                    Input::Persisted(batch)
                }
                Effect::Commit(committed) => {
                    let height = committed.chain.height;
                    self.watch_agreement(node, height, committed.chain.tip);
                    let transactions = committed.block.transactions.clone();
                    let stored = CommittedBlock {
                        block: committed.block,
                        certificate: committed.certificate,
                    };
                    if !self.nodes[node].write_block(stored) {
                        return self.fall(node);
                    }
                    self.nodes[node].pool.remove(&transactions);
                    Input::Stored(height)
                }
                Effect::Send(message) => {
                    self.broadcast(node, message);
                    continue;
                }
                Effect::Ask { request, prefer } => {
                    self.ask(node, request, &prefer);
                    continue;
                }
                Effect::Schedule { timeout, after_ms } => {
                    let life = self.nodes[node].life;
                    self.schedule(
                        after_ms,
                        Event::Timer {
                            node,
                            life,
                            timeout,
                        },
                    );
                    continue;
                }
                Effect::Halt(reason) => {
                    self.nodes[node].halted = Some(reason);
                    continue;
                }
            };
            let now = self.nodes[node].clock(self.now());
            if let Some(engine) = self.nodes[node].engine.as_mut() {
                effects.extend(engine.step(now, ack).effects);
            }
        }
    }

    fn fall(&mut self, node: usize) {
        self.crash(node);
        let downtime = self.config.downtime_ms;
        self.schedule(downtime, Event::Restart { node });
    }

    fn broadcast(&mut self, node: usize, message: Durable<Message>) {
        let message = message.into_inner();
        if self.nodes[node].byzantine.is_none() {
            self.watch_signature(&message);
            self.note_delivery(node, message.clone(), true);
        }
        self.trace = hash(
            Tag::Seed,
            &[
                self.trace.as_ref(),
                &self.now_ms.to_le_bytes(),
                &encode(&message),
            ],
        );
        for to in 0..self.nodes.len() {
            if to == node {
                continue;
            }
            let messages = match &mut self.nodes[node].byzantine {
                Some((behaviour, hand)) => behaviour.distort(to, message.clone(), hand),
                None => vec![message.clone()],
            };
            for message in messages {
                self.deliver(node, to, &message);
            }
        }
    }

    fn deliver(&mut self, from: usize, to: usize, message: &Message) {
        self.transmit(from, to, message, |from, to, message| Event::Deliver {
            from,
            to,
            message,
        });
    }

    fn relay(&mut self, node: usize, source: usize, message: &Message) {
        if self.nodes[node].byzantine.is_some() {
            return;
        }
        for to in (0..self.nodes.len()).filter(|to| *to != node && *to != source) {
            self.deliver(node, to, message);
        }
    }

    fn ask(&mut self, from: usize, request: Request, prefer: &[Peer]) {
        let preferred = prefer
            .iter()
            .filter_map(|peer| usize::try_from(peer.0).ok())
            .find(|n| *n < self.nodes.len() && *n != from && self.connected(from, *n));
        let to = preferred.unwrap_or_else(|| {
            let others = self.nodes.len() as u64 - 1;
            let n = self.rng.below(others) as usize;
            if n >= from { n + 1 } else { n }
        });
        if to < self.nodes.len() {
            self.transmit(from, to, &request, |from, to, request| Event::Ask {
                from,
                to,
                request,
            });
        }
    }

    /// Puts an event on the wire: lost, late, twice, damaged.
    fn transmit<T: Wire + Clone>(
        &mut self,
        from: usize,
        to: usize,
        content: &T,
        event: impl Fn(usize, usize, T) -> Event,
    ) {
        if !self.connected(from, to) || self.rng.chance(self.config.loss_percent) {
            return;
        }
        let delay = self.delay();
        if self.config.corrupt_percent > 0 && self.rng.chance(self.config.corrupt_percent) {
            if let Some(damaged) = self.flip_a_bit(content) {
                self.schedule(delay, event(NOBODY, to, damaged));
            }
        } else {
            self.schedule(delay, event(from, to, content.clone()));
        }
        if self.rng.chance(self.config.duplicate_percent) {
            let delay = self.delay();
            self.schedule(delay, event(from, to, content.clone()));
        }
    }

    fn flip_a_bit<T: Wire>(&mut self, content: &T) -> Option<T> {
        let mut bytes = encode(content);
        let at = self.rng.below(bytes.len() as u64 * 8) as usize;
        bytes[at / 8] ^= 1 << (at % 8);
        decode(&bytes).ok()
    }

    fn connected(&self, from: usize, to: usize) -> bool {
        self.groups[from] == self.groups[to] && !self.cuts.contains(&(from, to))
    }

    fn delay(&mut self) -> u64 {
        let (least, most) = self.config.delay_ms;
        least + self.rng.below(most.saturating_sub(least) + 1)
    }

    fn schedule(&mut self, after_ms: u64, event: Event) {
        self.sequence += 1;
        let at = self.now_ms.saturating_add(after_ms);
        self.queue.insert((at, self.sequence), event);
    }

    fn note_delivery(&mut self, to: usize, message: Message, accepted: bool) {
        if let Some(delivered) = &mut self.delivered {
            delivered.push(Delivered {
                to,
                message,
                accepted,
            });
        }
    }

    fn note_rejection(&mut self, by: usize, of: usize, verdict: Option<Verdict>) {
        if let Some(verdict @ Verdict::Reject(_)) = verdict
            && of != NOBODY
        {
            self.rejections.push((by, of, verdict));
        }
    }

    fn watch_agreement(&mut self, node: usize, height: Height, block: BlockId) {
        self.trace = hash(Tag::Seed, &[self.trace.as_ref(), block.as_ref()]);
        if self.nodes[node].byzantine.is_some() {
            return;
        }
        let first = *self.committed.entry(height).or_insert(block);
        match &mut self.forks {
            Some(forks) if first != block => {
                forks.insert(height);
            }
            _ => assert_eq!(
                first, block,
                "seed {}: fork at height {height}",
                self.config.seed
            ),
        }
    }

    fn watch_signature(&mut self, message: &Message) {
        let (slot, content): (Slot, Vec<u8>) = match message {
            Message::Proposal(p) => {
                let p = &p.proposal;
                (
                    (p.validator, p.height, p.round, None),
                    encode(&(p.block, p.pol_round)),
                )
            }
            Message::Vote(v) => (
                (v.validator, v.height, v.round, Some(v.kind)),
                encode(&v.block),
            ),
            Message::Evidence(_) => return,
        };
        let content = hash(Tag::Seed, &[&content]);
        let first = *self.signed.entry(slot).or_insert(content);
        assert_eq!(
            first, content,
            "seed {}: signed twice: {slot:?}",
            self.config.seed
        );
    }

    /// Keys whose holders signed something, for tests about who was heard.
    pub fn speakers(&self) -> BTreeSet<PublicKey> {
        self.signed.keys().map(|(key, ..)| *key).collect()
    }
}
