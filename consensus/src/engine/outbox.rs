//! Nothing signed leaves before it is durable.
//!
//! Effects that expose a signature (sending, committing) are held behind the log records written before them. [`Outbox`] hands out a
//! [`WalBatch`] and releases what waits for it only when that very batch comes back; a [`Durable`] cannot be made elsewhere.

use super::io::Effect;
use crate::{application::Application, message::Message, wal::WalRecord};
use std::collections::VecDeque;
use tender_wire::Height;

/// A value whose log records are on disk, or that needs none. Only such values may be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Durable<T>(T);

impl<T> Durable<T> {
    /// The value.
    pub fn into_inner(self) -> T {
        self.0
    }

    /// The value, borrowed.
    pub fn value(&self) -> &T {
        &self.0
    }
}

/// Records to append to the vote log as one fsynced write. Coming back in [`super::Input::Persisted`], it is the proof that this happened.
#[derive(Debug, PartialEq, Eq)]
pub struct WalBatch {
    sequence: u64,
    records: Vec<WalRecord>,
}

impl WalBatch {
    /// The records, in order.
    pub fn records(&self) -> &[WalRecord] {
        &self.records
    }

    /// The batch as bytes to append.
    pub fn bytes(&self) -> Vec<u8> {
        self.records.iter().flat_map(crate::wal::frame).collect()
    }

    /// If this batch begins a height: everything in the log before it is obsolete, and the file may be replaced by this batch.
    pub fn begins(&self) -> Option<Height> {
        match self.records.first() {
            Some(WalRecord::Start { height, .. }) => Some(*height),
            _ => None,
        }
    }
}

/// Effects on their way out, in order.
pub(super) struct Outbox<A: Application> {
    ready: Vec<Effect<A>>,
    records: Vec<WalRecord>,
    /// Batches handed out so far; each effect held waits for the batches before it.
    handed_out: u64,
    persisted: u64,
    held: VecDeque<(u64, Effect<A>)>,
}

impl<A: Application> Outbox<A> {
    pub(super) fn new() -> Self {
        Outbox {
            ready: Vec::new(),
            records: Vec::new(),
            handed_out: 0,
            persisted: 0,
            held: VecDeque::new(),
        }
    }

    /// A record to be written before the next exposing effect. By itself it costs no fsync.
    pub(super) fn log(&mut self, record: WalRecord) {
        self.records.push(record);
    }

    /// Drops records not handed out: their height is over, and nothing that was shown depends on them.
    pub(super) fn forget_unwritten(&mut self) {
        self.records.clear();
    }

    /// Whether everything signed so far is durable.
    pub(super) fn is_clear(&self) -> bool {
        self.persisted == self.handed_out && self.held.is_empty()
    }

    /// An effect that shows nothing signed.
    pub(super) fn push(&mut self, effect: Effect<A>) {
        self.ready.push(effect);
    }

    /// Publishes once everything logged so far is durable.
    pub(super) fn send(&mut self, message: Message) {
        self.expose(Effect::Send(Durable(message)));
    }

    /// Publishes what we did not sign: it waits for no record, and above all writes none. The log of a height must not reach the disk before
    /// the block below is stored.
    pub(super) fn tell(&mut self, message: Message) {
        self.push(Effect::Send(Durable(message)));
    }

    /// Has everything logged so far written.
    pub(super) fn flush(&mut self) {
        if !self.records.is_empty() {
            self.handed_out = self.handed_out.saturating_add(1);
            let records = std::mem::take(&mut self.records);
            let sequence = self.handed_out;
            self.ready
                .push(Effect::Persist(WalBatch { sequence, records }));
        }
    }

    /// An effect to hold until everything logged so far is durable.
    pub(super) fn expose(&mut self, effect: Effect<A>) {
        self.flush();
        if self.persisted == self.handed_out && self.held.is_empty() {
            self.ready.push(effect);
        } else {
            self.held.push_back((self.handed_out, effect));
        }
    }

    /// A batch came back from disk. Out of order it proves nothing about those before it.
    pub(super) fn persisted(&mut self, batch: &WalBatch) {
        if batch.sequence == self.persisted.saturating_add(1) {
            self.persisted = batch.sequence;
        }
        while let Some((sequence, _)) = self.held.front()
            && *sequence <= self.persisted
        {
            self.ready.extend(self.held.pop_front().map(|(_, e)| e));
        }
    }

    /// What may be done now.
    pub(super) fn drain(&mut self) -> Vec<Effect<A>> {
        std::mem::take(&mut self.ready)
    }
}
