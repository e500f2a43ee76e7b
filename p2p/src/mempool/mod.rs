//! Transactions waiting for a block.
//!
//! The pool stores what was judged elsewhere and decides only what there is room for and in which order it is offered. Everything is
//! known by `tx_hash` alone, and nothing enters before its signature verified, so nobody can block another's bid by sending
//! something that resembles it (THREATS T3).
//!
//! **Order.** Seal keys and reveals first: auctions stall without them. Then turn by turn: everybody's first transaction before
//! anybody's second, by arrival; a signer's numbered transactions in their sequence.
//!
//! Bounds (THREATS L1): [`MAX_TXS`], [`MAX_BYTES`], [`MAX_PER_SIGNER`], [`MAX_PER_PEER`]; [`COMMITTEE_ROOM`] transactions and [`COMMITTEE_BYTES`] of
//! the room are kept free for committee duties. A full pool refuses newcomers; nothing is evicted.

mod error;
pub(crate) mod refused;

pub use error::PoolError;
pub use refused::{Refused, RefusedMemory};

use crate::metrics::Metrics;
use libp2p::PeerId;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tender_consensus::{engine::TxPool, tx::TxBytes};
use tender_wire::{PublicKey, TxHash};

/// Transactions held: several full blocks.
pub const MAX_TXS: usize = 8192;
/// Bytes held.
pub const MAX_BYTES: usize = 64 << 20;
/// Transactions of one signer: an issuer that posts a rack of credentials at once.
pub const MAX_PER_SIGNER: usize = 256;
/// Transactions that one peer brought: three such peers do not fill the pool.
pub const MAX_PER_PEER: usize = 2048;
/// Room only seal keys and reveals may use: 64 live auctions with a committee of sixteen.
pub const COMMITTEE_ROOM: usize = 1024;
/// Bytes only they may use: four KiB each.
pub const COMMITTEE_BYTES: usize = 4 << 20;
/// How long until a transaction submitted here is gossiped again; gossipsub carries the same bytes once a minute.
pub(crate) const RESEND_AFTER: Duration = Duration::from_secs(65);
/// Transactions gossiped again at once, each second.
pub(crate) const MAX_RESENT: usize = 256;

/// What decides a transaction's place in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// A seal key or reveal.
    Committee,
    /// Numbered by its signer.
    Numbered {
        /// The signer.
        signer: PublicKey,
        /// Its number.
        sequence: u64,
    },
    /// A bid.
    Bid {
        /// The bidder.
        bidder: PublicKey,
    },
}

/// Where a transaction came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Submitted to this peer, or made by it; gossiped again until it is in a block.
    Own,
    /// Gossip.
    Peer(PeerId),
    /// Gossip judged too late to be forwarded; so this peer gossips it as its own.
    Late(PeerId),
}

/// The waiting transactions of one peer.
pub struct Mempool {
    pool: Mutex<Pool>,
    metrics: Metrics,
}

/// Place within a lane: numbered transactions by number, before bids by arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Number(u64),
    Arrival(u64),
}

struct Entry {
    tx: TxBytes,
    lane: Lane,
    arrival: u64,
    source: Source,
    /// When it was last gossiped; `None` if nobody was there to hear it.
    sent: Option<Instant>,
}

#[derive(Default)]
struct Pool {
    entries: BTreeMap<TxHash, Entry>,
    /// By signer; the committee's lane is `None`.
    lanes: BTreeMap<Option<PublicKey>, BTreeMap<Place, TxHash>>,
    by_peer: BTreeMap<PeerId, usize>,
    bytes: usize,
    arrivals: u64,
}

impl Mempool {
    /// An empty pool.
    pub fn new(metrics: Metrics) -> Self {
        Mempool {
            pool: Mutex::default(),
            metrics,
        }
    }

    /// Takes in a judged transaction. `next` is its signer's next sequence number on chain (any for other lanes).
    ///
    /// # Errors
    /// [`PoolError`].
    pub fn insert(
        &self,
        tx: TxBytes,
        lane: Lane,
        source: Source,
        next: u64,
    ) -> Result<(), PoolError> {
        let mut pool = self.lock();
        pool.insert(tx, lane, source, next, Instant::now())?;
        self.count(&pool);
        Ok(())
    }

    /// Whether it is here.
    pub fn contains(&self, hash: &TxHash) -> bool {
        self.lock().entries.contains_key(hash)
    }

    /// Number of transactions waiting.
    pub fn len(&self) -> usize {
        self.lock().entries.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The signer's next free sequence number, given the one on chain.
    pub fn next_sequence(&self, signer: &PublicKey, on_chain: u64) -> u64 {
        self.lock().first_gap(signer, on_chain)
    }

    /// Whether a waiting transaction's turn can come: none with a lower number is missing.
    ///
    /// # Errors
    /// [`PoolError::Gap`], as a refusal.
    pub fn check_place(&self, lane: &Lane, next: u64) -> Result<(), Refused> {
        let Lane::Numbered { signer, sequence } = *lane else {
            return Ok(());
        };
        let expected = self.next_sequence(&signer, next);
        if sequence < expected {
            return Ok(());
        }
        let found = sequence;
        Err(PoolError::Gap {
            signer,
            expected,
            found,
        }
        .into())
    }

    /// Removes transactions that are in a block, or no longer apply.
    pub fn remove(&self, hashes: impl IntoIterator<Item = TxHash>) {
        let mut pool = self.lock();
        for hash in hashes {
            pool.remove(&hash);
        }
        self.count(&pool);
    }

    /// Everything waiting, in the order a block would take it.
    pub fn snapshot(&self) -> Vec<TxBytes> {
        let pool = self.lock();
        pool.in_order()
            .into_iter()
            .map(|entry| entry.tx.clone())
            .collect()
    }

    /// Nobody was there to hear a transaction: it is due again as soon as somebody is.
    pub fn unheard(&self, hash: &TxHash) {
        if let Some(entry) = self.lock().entries.get_mut(hash) {
            entry.sent = None;
        }
    }

    /// Own transactions that nobody heard, or that have waited long enough to be gossiped again; counted as sent now. To be asked when there
    /// is somebody to hear them; gives so many at a time.
    pub fn due_again(&self, now: Instant) -> Vec<TxBytes> {
        let mut pool = self.lock();
        let waited = |sent: Instant| now.saturating_duration_since(sent) >= RESEND_AFTER;
        let due = |entry: &&mut Entry| {
            !matches!(entry.source, Source::Peer(_)) && entry.sent.is_none_or(waited)
        };
        let due = pool.entries.values_mut().filter(due).take(MAX_RESENT);
        due.map(|entry| {
            entry.sent = Some(now);
            entry.tx.clone()
        })
        .collect()
    }

    /// Whether there is room for a transaction: worth asking before anything dear is done for it.
    ///
    /// # Errors
    /// [`PoolError`], as [`Mempool::insert`] would answer.
    pub fn check_room(&self, tx: &TxBytes, lane: &Lane, source: &Source) -> Result<(), PoolError> {
        self.lock().check_room(tx, lane, source)
    }

    fn count(&self, pool: &Pool) {
        let gauge = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.metrics.mempool_txs.set(gauge(pool.entries.len()));
        self.metrics.mempool_bytes.set(gauge(pool.bytes));
    }

    // Every change below is complete before it can panic, so a poisoned lock is as good as another.
    fn lock(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TxPool for Mempool {
    fn candidates(&self, max_transactions: usize, max_bytes: usize) -> Vec<TxBytes> {
        let pool = self.lock();
        let mut room = max_bytes;
        let mut skipped = BTreeSet::new();
        let mut chosen = Vec::new();
        for entry in pool.in_order() {
            if chosen.len() >= max_transactions {
                break;
            }
            let signer = entry.lane.signer();
            match room.checked_sub(entry.tx.bytes().len()) {
                Some(left) if signer.is_none() || !skipped.contains(&signer) => {
                    room = left;
                    chosen.push(entry.tx.clone());
                }
                // What follows in this lane may depend on what did not fit.
                _ => {
                    skipped.insert(signer);
                }
            }
        }
        chosen
    }

    fn transaction(&self, hash: &TxHash) -> Option<TxBytes> {
        self.lock().entries.get(hash).map(|entry| entry.tx.clone())
    }
}

impl Source {
    fn peer(&self) -> Option<PeerId> {
        match self {
            Source::Own => None,
            Source::Peer(peer) | Source::Late(peer) => Some(*peer),
        }
    }
}

impl Lane {
    fn signer(&self) -> Option<PublicKey> {
        match self {
            Lane::Committee => None,
            Lane::Numbered { signer, .. } => Some(*signer),
            Lane::Bid { bidder } => Some(*bidder),
        }
    }
}

impl Entry {
    fn place(&self) -> Place {
        match self.lane {
            Lane::Numbered { sequence, .. } => Place::Number(sequence),
            Lane::Committee | Lane::Bid { .. } => Place::Arrival(self.arrival),
        }
    }
}

impl Pool {
    fn insert(
        &mut self,
        tx: TxBytes,
        lane: Lane,
        source: Source,
        next: u64,
        now: Instant,
    ) -> Result<(), PoolError> {
        let hash = tx.hash();
        if self.entries.contains_key(&hash) {
            return Err(PoolError::Duplicate(hash));
        }
        self.check_room(&tx, &lane, &source)?;
        if let Lane::Numbered { signer, sequence } = lane {
            self.check_number(&signer, sequence, next)?;
        }
        if let Some(peer) = source.peer() {
            let brought = self.by_peer.entry(peer).or_default();
            *brought = brought.saturating_add(1);
        }
        self.bytes = self.bytes.saturating_add(tx.bytes().len());
        self.arrivals = self.arrivals.saturating_add(1);
        let arrival = self.arrivals;
        let entry = Entry {
            tx,
            lane,
            arrival,
            source,
            sent: Some(now),
        };
        self.lanes
            .entry(lane.signer())
            .or_default()
            .insert(entry.place(), hash);
        self.entries.insert(hash, entry);
        Ok(())
    }

    fn check_room(&self, tx: &TxBytes, lane: &Lane, source: &Source) -> Result<(), PoolError> {
        let (txs, bytes) = (self.entries.len(), self.bytes);
        let (reserved_txs, reserved_bytes) = match lane {
            Lane::Committee => (0, 0),
            _ => (COMMITTEE_ROOM, COMMITTEE_BYTES),
        };
        if txs >= MAX_TXS.saturating_sub(reserved_txs)
            || bytes.saturating_add(tx.bytes().len()) > MAX_BYTES.saturating_sub(reserved_bytes)
        {
            return Err(PoolError::Full { txs, bytes });
        }
        if let Some(signer) = lane.signer()
            && self
                .lanes
                .get(&Some(signer))
                .is_some_and(|l| l.len() >= MAX_PER_SIGNER)
        {
            return Err(PoolError::SignerFull { signer });
        }
        match source.peer() {
            Some(peer) if self.by_peer.get(&peer).is_some_and(|n| *n >= MAX_PER_PEER) => {
                Err(PoolError::PeerFull { peer })
            }
            _ => Ok(()),
        }
    }

    fn check_number(&self, signer: &PublicKey, found: u64, next: u64) -> Result<(), PoolError> {
        let (signer, expected) = (*signer, self.first_gap(signer, next));
        if found < next {
            Err(PoolError::Past {
                signer,
                expected,
                found,
            })
        } else if found < expected {
            Err(PoolError::Taken {
                signer,
                sequence: found,
            })
        } else if found > expected {
            Err(PoolError::Gap {
                signer,
                expected,
                found,
            })
        } else {
            Ok(())
        }
    }

    fn first_gap(&self, signer: &PublicKey, next: u64) -> u64 {
        let Some(lane) = self.lanes.get(&Some(*signer)) else {
            return next;
        };
        let mut free = next;
        while lane.contains_key(&Place::Number(free)) {
            free = free.saturating_add(1);
        }
        free
    }

    fn remove(&mut self, hash: &TxHash) {
        let Some(entry) = self.entries.remove(hash) else {
            return;
        };
        self.bytes = self.bytes.saturating_sub(entry.tx.bytes().len());
        let signer = entry.lane.signer();
        if let Some(lane) = self.lanes.get_mut(&signer) {
            lane.remove(&entry.place());
            if lane.is_empty() {
                self.lanes.remove(&signer);
            }
        }
        if let Some(peer) = entry.source.peer()
            && let Some(brought) = self.by_peer.get_mut(&peer)
        {
            *brought = brought.saturating_sub(1);
            if *brought == 0 {
                self.by_peer.remove(&peer);
            }
        }
    }

    fn in_order(&self) -> Vec<&Entry> {
        let mut ordered = Vec::with_capacity(self.entries.len());
        for (signer, lane) in &self.lanes {
            for (turn, hash) in lane.values().enumerate() {
                let turn = signer.map(|_| turn); // `None`: the committee, before all
                ordered.extend(
                    self.entries
                        .get(hash)
                        .map(|entry| (turn, entry.arrival, entry)),
                );
            }
        }
        ordered.sort_by_key(|(turn, arrival, _)| (*turn, *arrival));
        ordered.into_iter().map(|(.., entry)| entry).collect()
    }
}

#[cfg(test)]
mod tests;
