//! What every part of a peer reads: the chain as last committed, the pool, the disk, the network.
//!
//! Invariant: [`Shared::chain`] is durable. It is replaced after the block is on disk, never before, so that what is derived from it (a seal
//! reveal above all, THREATS T20) rests on a final block.

use super::{archive::Archive, peers::Peers};
use crate::{
    api::types::Event,
    mempool::{Mempool, RefusedMemory},
    metrics::Metrics,
    network::NetworkHandle,
};
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};
use tender_auction::market::{Market, MarketState};
use tender_consensus::chain::ChainState;
use tender_wire::{Height, PublicKey, Round};
use tokio::sync::{broadcast, watch};

/// Events kept for a slow listener before it misses some.
pub(crate) const EVENT_QUEUE: usize = 1024;

/// The chain as last committed.
pub type Chain = ChainState<MarketState>;

/// The shared parts of one peer.
pub struct Shared {
    /// The rules.
    pub market: Arc<Market>,
    /// The past.
    pub archive: Archive,
    /// What waits.
    pub mempool: Arc<Mempool>,
    /// What was refused lately.
    pub refused: RefusedMemory,
    /// Counters.
    pub metrics: Metrics,
    /// The network.
    pub network: NetworkHandle,
    /// The validator key, if this peer has one.
    pub validator: Option<PublicKey>,
    pub(super) peers: Peers,
    chain: watch::Sender<Arc<Chain>>,
    events: broadcast::Sender<Event>,
    halted: watch::Sender<Option<String>>,
    round: AtomicU32,
}

impl Shared {
    pub(super) fn new(
        market: Arc<Market>,
        archive: Archive,
        metrics: Metrics,
        network: NetworkHandle,
        validator: Option<PublicKey>,
        chain: Chain,
    ) -> Self {
        Shared {
            market,
            archive,
            mempool: Arc::new(Mempool::new(metrics.clone())),
            refused: RefusedMemory::default(),
            metrics,
            network,
            validator,
            peers: Peers::default(),
            chain: watch::Sender::new(Arc::new(chain)),
            events: broadcast::Sender::new(EVENT_QUEUE),
            halted: watch::Sender::new(None),
            round: AtomicU32::new(0),
        }
    }

    /// The chain as last committed, durably.
    pub fn chain(&self) -> Arc<Chain> {
        Arc::clone(&self.chain.borrow())
    }

    /// Tells of every committed block by its chain state.
    pub fn watch_chain(&self) -> watch::Receiver<Arc<Chain>> {
        self.chain.subscribe()
    }

    pub(super) fn set_chain(&self, chain: Chain) {
        self.chain.send_replace(Arc::new(chain));
    }

    /// Events from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    pub(super) fn announce(&self, event: Event) {
        // Without listeners there is nobody to tell.
        let _ = self.events.send(event);
    }

    /// Why this peer stopped for good, once it has.
    pub fn halted(&self) -> watch::Receiver<Option<String>> {
        self.halted.subscribe()
    }

    /// Stops for good. The first reason stays.
    pub(super) fn halt(&self, reason: String) {
        self.halted.send_if_modified(|halted| {
            let first = halted.is_none();
            if first {
                tracing::error!(%reason, "halted: this peer does nothing any more; reads are still answered");
                *halted = Some(reason);
            }
            first
        });
    }

    /// Round of the height being decided.
    pub fn round(&self) -> Round {
        Round(self.round.load(Ordering::Relaxed))
    }

    pub(super) fn set_round(&self, round: Round) {
        self.round.store(round.0, Ordering::Relaxed);
    }

    /// Greatest height that more than a third of the connected peers announced; a hint, for anyone can say anything.
    pub fn best_known_height(&self) -> Height {
        let connected = self.network.peers().into_iter().map(|peer| peer.id);
        self.peers.best(connected).max(self.chain().height)
    }
}
