//! One simulated peer: an engine, its disk, its pool.

use super::byzantine::{Behaviour, Hand};
use crate::{
    application::Application,
    block::CommittedBlock,
    chain::ChainState,
    engine::{Effect, Engine, HaltReason, TxPool, WalBatch},
    signer::Signer,
    tx::TxBytes,
    wal::{self, WalRecord},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};
use tender_wire::{TimeMs, TxHash};

/// The pool of a simulated peer: everything it heard of and has not seen committed.
#[derive(Default)]
pub struct SimPool(Mutex<BTreeMap<TxHash, TxBytes>>);

impl SimPool {
    pub(super) fn add(&self, transaction: TxBytes) {
        self.lock().insert(transaction.hash(), transaction);
    }

    pub(super) fn remove(&self, transactions: &[TxBytes]) {
        let mut pool = self.lock();
        for transaction in transactions {
            pool.remove(&transaction.hash());
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<TxHash, TxBytes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TxPool for SimPool {
    fn candidates(&self, max_transactions: usize, max_bytes: usize) -> Vec<TxBytes> {
        let mut room = max_bytes;
        self.lock()
            .values()
            .take(max_transactions)
            .take_while(|tx| {
                let left = room.checked_sub(tx.bytes().len());
                room = left.unwrap_or(0);
                left.is_some()
            })
            .cloned()
            .collect()
    }

    fn transaction(&self, hash: &TxHash) -> Option<TxBytes> {
        self.lock().get(hash).cloned()
    }
}

/// How much of a write survives a crash in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Nothing.
    Nothing,
    /// The first half of its bytes (for a stored block: nothing).
    Half,
    /// The first so many 256ths of its bytes (for a stored block: nothing).
    Part(u8),
    /// All of it; the crash comes right after.
    All,
}

/// A crash at the `after`-th durable write (vote log or block store) from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrashPoint {
    /// Writes that succeed before.
    pub after: usize,
    /// What is left of the one that does not.
    pub kept: Kept,
}

/// One peer.
pub(super) struct Node<A: Application> {
    pub(super) app: Arc<A>,
    /// The validator it runs as; `None`: a follower.
    pub(super) validator: Option<usize>,
    /// Makes a fresh signer for each start; `None`: a follower.
    pub(super) signer: Option<Box<dyn Fn() -> Box<dyn Signer>>>,
    pub(super) engine: Option<Engine<A>>,
    pub(super) pool: Arc<SimPool>,
    /// The vote log's durable bytes.
    pub(super) log: Vec<u8>,
    /// Whether it ever wrote to its log, as the shell knows it beside the log.
    pub(super) has_voted: bool,
    /// The block store's durable content.
    pub(super) store: Vec<CommittedBlock>,
    /// How much of the store was executed when it last started, and the state then: only what came since is executed again.
    pub(super) executed: Option<(usize, ChainState<A::State>)>,
    pub(super) crash: Option<CrashPoint>,
    /// Durable writes so far.
    pub(super) writes: usize,
    /// Counts starts, so that timers of an earlier life are ignored.
    pub(super) life: u64,
    pub(super) byzantine: Option<(Box<dyn Behaviour>, Hand)>,
    pub(super) halted: Option<HaltReason>,
    /// Milliseconds this peer's clock is ahead.
    pub(super) skew: i64,
    /// Stands still until then.
    pub(super) paused_until: u64,
    /// Transactions do not reach it by gossip.
    pub(super) deaf: bool,
}

impl<A: Application> Node<A> {
    /// Starts from what the disk holds: executes the store, replays the log.
    pub(super) fn start(&mut self, now: TimeMs) -> Vec<Effect<A>> {
        let genesis = || (0, ChainState::genesis(&*self.app));
        let (executed, mut chain) = self.executed.clone().unwrap_or_else(genesis);
        for committed in &self.store[executed..] {
            match chain.apply(&*self.app, &committed.block) {
                Ok(applied) => chain = applied.chain,
                Err(error) => panic!("a stored block does not execute: {error}"),
            }
        }
        self.executed = Some((self.store.len(), chain.clone()));
        let scan = match wal::scan(&self.log) {
            Ok(scan) => scan,
            Err(error) => panic!("a crash must not look like damage: {error}"),
        };
        self.log.truncate(scan.valid_len);
        let mut records = scan.records;
        if records.is_empty() && !self.has_voted && !self.store.is_empty() {
            records.push(WalRecord::Start {
                chain: chain.chain,
                height: chain.height,
                parent: chain.tip,
            });
        }
        let certificate = self.store.last().map(|c| c.certificate.clone());
        let signer = self.signer.as_ref().map(|make| make());
        let pool = Arc::<SimPool>::clone(&self.pool);
        let now = self.clock(now);
        let app = Arc::clone(&self.app);
        match Engine::start(app, chain, certificate, signer, pool, records, now) {
            Ok((engine, effects)) => {
                self.engine = Some(engine);
                effects
            }
            Err(reason) => {
                self.halted = Some(reason);
                Vec::new()
            }
        }
    }

    /// This peer's clock.
    pub(super) fn clock(&self, now: TimeMs) -> TimeMs {
        TimeMs(now.0.saturating_add_signed(self.skew))
    }

    /// Appends a batch, or crashes in it: `false`.
    pub(super) fn write_log(&mut self, batch: &WalBatch) -> bool {
        let bytes = batch.bytes();
        let (len, survives) = match self.next_write() {
            None => (bytes.len(), true),
            Some(Kept::All) => (bytes.len(), false),
            Some(Kept::Half) => (bytes.len() / 2, false),
            Some(Kept::Part(n)) => (bytes.len() * usize::from(n) / 256, false),
            Some(Kept::Nothing) => (0, false),
        };
        // Replacing an obsolete log is atomic (a new file, renamed): only whole.
        if batch.begins().is_some() && len == bytes.len() {
            self.log.clear();
        }
        self.log.extend_from_slice(&bytes[..len]);
        self.has_voted |= survives;
        survives
    }

    /// Stores a block, or crashes in it: `false`.
    pub(super) fn write_block(&mut self, committed: CommittedBlock) -> bool {
        let kept = self.next_write();
        if matches!(kept, None | Some(Kept::All)) {
            self.store.push(committed);
        }
        kept.is_none()
    }

    fn next_write(&mut self) -> Option<Kept> {
        self.writes += 1;
        match &mut self.crash {
            Some(CrashPoint { after: 0, kept }) => {
                let kept = *kept;
                self.crash = None;
                Some(kept)
            }
            Some(point) => {
                point.after -= 1;
                None
            }
            None => None,
        }
    }
}
