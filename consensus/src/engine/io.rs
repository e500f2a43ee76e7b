//! The whole contract of the engine: what the shell tells it, what it asks of the shell.

use super::{
    admission::Refusal,
    outbox::{Durable, WalBatch},
};
use crate::{
    application::Application,
    block::Block,
    certificate::CommitCertificate,
    chain::ChainState,
    kernel,
    message::{Message, Request, Response},
    tx::TxBytes,
};
use std::collections::BTreeSet;
use tender_wire::{BlockId, Height, PublicKey, Round, TxHash};

/// A connected peer, numbered by the shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Peer(pub u64);

/// The peer's transactions not yet in a block. Read during [`super::Engine::step`]; must be quick.
pub trait TxPool: Send + Sync {
    /// Candidates for the next block in the order to try them, within these caps.
    fn candidates(&self, max_transactions: usize, max_bytes: usize) -> Vec<TxBytes>;
    /// A transaction that arrived by gossip or was submitted here.
    fn transaction(&self, hash: &TxHash) -> Option<TxBytes>;
}

/// Something the shell tells the engine.
#[derive(Debug)]
pub enum Input {
    /// A gossip message; the verdict of the step says whether to pass it on.
    Gossip {
        /// Who delivered it.
        from: Peer,
        /// The decoded message.
        message: Message,
    },
    /// An answer to an [`Effect::Ask`]; the verdict of the step says whether the peer lied.
    Response {
        /// Who answered.
        from: Peer,
        /// What it was asked.
        request: Request,
        /// What it said.
        response: Response,
    },
    /// A timeout scheduled earlier. Late or stale ones do no harm.
    Timeout(Timeout),
    /// The pool has new transactions.
    Work,
    /// To be sent about once a second: asks for what seems lost.
    Tick,
    /// The batch is on disk and fsynced: releases what waited for it.
    Persisted(WalBatch),
    /// The block of an [`Effect::Commit`] is durably stored; the next height may begin.
    Stored(Height),
}

/// Something the engine asks of the shell, to be done in order.
pub enum Effect<A: Application> {
    /// Append to the vote log and fsync, then answer [`Input::Persisted`] with the same batch. If that fails, stop the process.
    Persist(WalBatch),
    /// Publish. Nothing else may be published.
    Send(Durable<Message>),
    /// Ask one peer, preferably one of these, and bring its answer as [`Input::Response`]. May fail silently: it is asked again.
    Ask {
        /// The question.
        request: Request,
        /// Peers likely to know, best first; any other will do.
        prefer: Vec<Peer>,
    },
    /// Come back with [`Input::Timeout`] after this many milliseconds.
    Schedule {
        /// The timeout.
        timeout: Timeout,
        /// How long to wait.
        after_ms: u64,
    },
    /// A block is final: store it durably with its certificate, then answer [`Input::Stored`].
    Commit(Box<Committed<A>>),
    /// Nothing more will come; the process must stop, keeping everything it has.
    Halt(HaltReason),
}

/// A final block and what follows from it.
pub struct Committed<A: Application> {
    /// The block.
    pub block: Block,
    /// Proof that it is final.
    pub certificate: CommitCertificate,
    /// The chain after it.
    pub chain: ChainState<A::State>,
    /// The application's report.
    pub outcome: A::Outcome,
}

/// What one step leads to.
pub struct Output<A: Application> {
    /// What to make of the peer's message; [`Verdict::Accept`] for the shell's own inputs.
    pub verdict: Verdict,
    /// To be carried out in order.
    pub effects: Vec<Effect<A>>,
}

/// What to make of a peer's message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Good and new: pass it on.
    Accept,
    /// Not useful here and now: do not pass it on, hold nothing against the peer.
    Ignore(Refusal),
    /// No honest peer sends this: do not pass it on, and count it against the peer.
    Reject(Refusal),
}

/// Which wait is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timeout {
    /// The height it was scheduled in.
    pub height: Height,
    /// What was waited for.
    pub kind: TimeoutKind,
}

/// What a timeout waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TimeoutKind {
    /// For the block interval to pass.
    Interval,
    /// For a step of the kernel.
    Round(kernel::Timeout),
}

/// Why a peer stops for good. Each means that going on could break a promise.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HaltReason {
    /// The signer refused or failed.
    #[error("{0}")]
    Signer(#[from] crate::signer::SignerRefused),
    /// About to sign something else than what was signed before for the same height, round and kind.
    #[error("about to sign twice at height {height}, round {round}")]
    OwnEquivocation {
        /// The height.
        height: Height,
        /// The round.
        round: Round,
    },
    /// A message with our signature that this process never sent: the key is in use elsewhere, or the log was lost.
    #[error(
        "validator {key} has signed at height {height}, round {round}, and not by this process: is the key in use twice?"
    )]
    KeyInUseElsewhere {
        /// The key.
        key: PublicKey,
        /// The height.
        height: Height,
        /// The round.
        round: Round,
    },
    /// Replaying the vote log does not give what it says was signed.
    #[error("the vote log does not replay: {0}")]
    ReplayDivergence(&'static str),
    /// The vote log is ahead of the block store: the store was lost or restored from a copy.
    #[error("the vote log is at height {log}, the block store at {store}")]
    StoreBehindLog {
        /// Height the log is at.
        log: Height,
        /// Height of the stored tip.
        store: Height,
    },
    /// The vote log belongs to another chain or another parent.
    #[error("the vote log at height {0} belongs to another chain or fork")]
    ForeignLog(Height),
    /// Two blocks of one height with a certificate each: more than a third of the power is Byzantine.
    #[error(
        "two certified blocks at height {height}: {ours} and {theirs}; as far as it can be told from here, the fault is with {}",
        names(culprits)
    )]
    Fork {
        /// The height.
        height: Height,
        /// The block here.
        ours: BlockId,
        /// The other.
        theirs: BlockId,
        /// Who broke the rules, as [`crate::accountability::culprits`] finds from what this peer has heard.
        culprits: BTreeSet<PublicKey>,
    },
    /// More than two thirds decided a block that does not execute here.
    #[error("decided block {block} at height {height} does not execute: {reason}")]
    DecidedInvalid {
        /// The height.
        height: Height,
        /// The block.
        block: BlockId,
        /// Why not.
        reason: String,
    },
}

fn names(keys: &BTreeSet<PublicKey>) -> String {
    let names: Vec<String> = keys.iter().map(ToString::to_string).collect();
    names.join(", ")
}
