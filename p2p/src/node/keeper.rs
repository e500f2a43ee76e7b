//! The disk side of the consensus thread: vote log and block store, and what follows a durable block.

use super::{
    driver::{Outgoing, Shell, wall_clock},
    events,
    shared::Shared,
    status::StatusMessage,
};
use crate::store::{
    points::{self, Point},
    wal::WalFile,
};
use std::{
    sync::{Arc, mpsc::SyncSender},
    time::{Duration, Instant},
};
use tender_auction::market::Market;
use tender_consensus::{
    engine::{Committed, WalBatch},
    tx::TxBytes,
};
use tender_wire::{Round, encode};
use tokio::sync::mpsc;

/// Least time between two announcements of the tip: while catching up, blocks come by the hundred.
const STATUS_PAUSE: Duration = Duration::from_millis(300);

/// The shell of one peer.
pub(super) struct Keeper {
    shared: Arc<Shared>,
    log: Option<WalFile>,
    /// The store knows that this validator has voted.
    has_voted: bool,
    /// Wakes those who follow the chain; one wake-up waiting is enough.
    followers: Vec<SyncSender<()>>,
    out: mpsc::Sender<Outgoing>,
    announced: Option<Instant>,
}

impl Keeper {
    pub(super) fn new(
        shared: Arc<Shared>,
        log: Option<WalFile>,
        has_voted: bool,
        followers: Vec<SyncSender<()>>,
        out: mpsc::Sender<Outgoing>,
    ) -> Self {
        Keeper {
            shared,
            log,
            has_voted,
            followers,
            out,
            announced: None,
        }
    }

    fn announce_tip(&mut self) {
        if self.announced.is_some_and(|at| at.elapsed() < STATUS_PAUSE) {
            return;
        }
        self.announced = Some(Instant::now());
        // Said again every other second, so it may be dropped.
        let _ = self.out.try_send(status(&self.shared));
    }
}

/// How far this peer is, for its neighbours.
pub(super) fn status(shared: &Shared) -> Outgoing {
    let chain = shared.chain();
    let message = StatusMessage {
        height: chain.height,
        tip: chain.tip,
        beat: wall_clock().0,
    };
    Outgoing::Status(encode(&message))
}

impl Shell<Market> for Keeper {
    fn persist(&mut self, batch: &WalBatch) -> Result<(), String> {
        let log = self
            .log
            .as_mut()
            .ok_or("a peer without a vote log was asked to write one")?;
        log.persist(batch).map_err(|e| e.to_string())?;
        // After the log, for that must not be empty once this is known; and before the first signature leaves.
        if let (false, Some(key)) = (self.has_voted, &self.shared.validator) {
            let known = self.shared.archive.set_voter(key);
            known.map_err(|e| e.to_string())?;
            self.has_voted = true;
        }
        Ok(())
    }

    fn commit(&mut self, committed: Committed<Market>) -> Result<(), String> {
        let Committed {
            block,
            certificate,
            chain,
            outcome,
        } = committed;
        let before = self.shared.chain();
        let (height, txs) = (chain.height, block.transactions.len());
        let events = events::of(&before, &chain, &block, &certificate, &outcome);
        self.shared
            .archive
            .commit(&block, &certificate, &chain, &outcome.records, &events)
            .map_err(|e| e.to_string())?;
        // In this order: a pool ahead of the chain would show gaps between sequence numbers.
        self.shared.set_chain(chain);
        self.shared
            .mempool
            .remove(block.transactions.iter().map(TxBytes::hash));
        let chain = self.shared.chain();
        tracing::info!(height = height.0, block = %chain.tip, round = certificate.round().0, txs, "committed");

        let metrics = &self.shared.metrics;
        metrics
            .height
            .set(i64::try_from(height.0).unwrap_or(i64::MAX));
        metrics.blocks.inc();
        metrics.txs.inc_by(u64::try_from(txs).unwrap_or(u64::MAX));
        for event in events {
            self.shared.announce(event);
        }
        for follower in &self.followers {
            // Full: it will look at the newest chain anyway.
            let _ = follower.try_send(());
        }
        self.announce_tip();
        points::pass(Point::HeightBegins);
        Ok(())
    }

    fn round(&mut self, round: Round) {
        self.shared.set_round(round);
        self.shared.metrics.round.set(i64::from(round.0));
    }

    fn halt(&mut self, reason: String) {
        self.shared.halt(reason);
    }
}
