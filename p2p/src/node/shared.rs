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
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};
use tender_auction::market::{Market, MarketState};
use tender_circuits::verify::Engine;
use tender_consensus::chain::ChainState;
use tender_wire::{Height, PublicKey, Round};
use tokio::sync::{broadcast, watch};

/// Events kept for a slow listener before it misses some.
pub(crate) const EVENT_QUEUE: usize = 1024;

/// Refusals told at once. Each is written to every listener, so whoever is refused by the thousand must not decide how many there are.
pub(crate) const REFUSALS_TOLD: u32 = 64;
/// How long until one more is told.
pub(crate) const TOLD_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// How many refusals were told lately.
#[derive(Default)]
struct Told {
    /// Those that count, when `last` was told.
    lately: u32,
    last: Option<Instant>,
    /// Not told since.
    missed: u64,
}

impl Told {
    fn may(&mut self, now: Instant) -> bool {
        let since = self.last.map(|last| now.saturating_duration_since(last));
        let since = since.map_or(u128::MAX, |since| since.as_millis());
        let over = since.checked_div(TOLD_AGAIN_AFTER.as_millis()).unwrap_or(0);
        let lately = self
            .lately
            .saturating_sub(u32::try_from(over).unwrap_or(u32::MAX));
        let may = lately < REFUSALS_TOLD;
        if may {
            (self.lately, self.last) = (lately.saturating_add(1), Some(now));
        }
        may
    }
}

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
    /// What verifies proofs.
    pub engine: Engine,
    pub(super) peers: Peers,
    chain: watch::Sender<Arc<Chain>>,
    events: broadcast::Sender<Event>,
    told: Mutex<Told>,
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
        engine: Engine,
    ) -> Self {
        Shared {
            market,
            archive,
            mempool: Arc::new(Mempool::new(metrics.clone())),
            refused: RefusedMemory::default(),
            metrics,
            network,
            validator,
            engine,
            peers: Peers::default(),
            chain: watch::Sender::new(Arc::new(chain)),
            events: broadcast::Sender::new(EVENT_QUEUE),
            told: Mutex::default(),
            halted: watch::Sender::new(None),
            round: AtomicU32::new(0),
        }
    }

    /// Of a peer that runs no threads and listens nowhere, where a scenario stands.
    #[cfg(test)]
    pub(super) async fn alone(
        scenario: &tender_auction::scenario::Scenario,
        dir: &std::path::Path,
    ) -> (
        Arc<Self>,
        tokio::sync::mpsc::Receiver<crate::network::NetworkEvent>,
    ) {
        let (market, metrics) = (Arc::clone(&scenario.market), Metrics::new());
        let chain_id = scenario.state.chain();
        let config = crate::network::NetworkConfig {
            chain: chain_id,
            listen: Vec::new(),
            bootstrap: Vec::new(),
            metrics: metrics.clone(),
        };
        let keypair = libp2p::identity::Keypair::generate_ed25519();
        let network = crate::network::Network::start(config, &keypair).await;
        let (network, events) = network.unwrap();
        let store = crate::store::Store::open(dir, chain_id).unwrap();
        let mut chain = ChainState::genesis(&*market);
        (chain.app, chain.height) = (scenario.state.clone(), scenario.state.height());
        let archive = Archive::new(store);
        let shared = Shared::new(
            market,
            archive,
            metrics,
            network,
            None,
            chain,
            Engine::fastest(),
        );
        (Arc::new(shared), events)
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
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        self.tell_gap(&mut told);
        self.tell(event);
    }

    /// Tells a refusal, or counts it among those that are missed.
    pub(super) fn tell_refused(&self, event: Event) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.may(Instant::now()) {
            self.tell_gap(&mut told);
            self.tell(event);
        } else {
            told.missed = told.missed.saturating_add(1);
        }
    }

    /// Tells how many refusals were not.
    fn tell_gap(&self, told: &mut Told) {
        let missed = std::mem::take(&mut told.missed);
        if missed > 0 {
            let height = self.chain().height.next();
            self.tell(Event::Gap { height, missed });
        }
    }

    fn tell(&self, event: Event) {
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

    /// Greatest height that more than a third of the connected peers announced and stand by; a hint, for anyone can say anything.
    pub fn best_known_height(&self) -> Height {
        let connected = self.network.peers().into_iter().map(|peer| peer.id);
        self.peers.best(connected).max(self.chain().height)
    }
}
