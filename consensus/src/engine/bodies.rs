//! Bodies of the blocks that may be decided at this height, and what executing them gave.
//!
//! A compact block enters only if a verified proposal or a quorum names it, and only if it hashes to its id; a transaction only if a block here
//! names it. So whatever is missing is known by hash, and a wrong body is its sender's fault. Bound: [`MAX_BODIES`] blocks.

use crate::{
    application::Application,
    block::{Block, CompactBlock},
    chain::Applied,
    engine::io::TxPool,
    tx::TxBytes,
};
use std::collections::{BTreeMap, BTreeSet};
use tender_wire::{BlockId, TxHash};

/// Blocks kept per height: those of the latest rounds, and those some rule still needs.
pub const MAX_BODIES: usize = 16;

pub(super) struct Bodies<A: Application> {
    bodies: BTreeMap<BlockId, Body<A>>,
    arrivals: u64,
}

struct Body<A: Application> {
    arrival: u64,
    compact: CompactBlock,
    transactions: BTreeMap<TxHash, TxBytes>,
    missing: BTreeSet<TxHash>,
    applied: Option<Applied<A::State, A::Outcome>>,
}

impl<A: Application> Bodies<A> {
    pub(super) fn new() -> Self {
        Bodies {
            bodies: BTreeMap::new(),
            arrivals: 0,
        }
    }

    pub(super) fn compact(&self, id: &BlockId) -> Option<&CompactBlock> {
        self.bodies.get(id).map(|body| &body.compact)
    }

    /// Takes a block whose body was checked. Above the bound the oldest that is not in `keep` goes.
    pub(super) fn add_compact(
        &mut self,
        compact: CompactBlock,
        pool: &dyn TxPool,
        keep: &BTreeSet<BlockId>,
    ) {
        let id = compact.header.id();
        if self.bodies.contains_key(&id) {
            return;
        }
        self.make_room(keep);
        self.arrivals = self.arrivals.saturating_add(1);
        let body = Body {
            arrival: self.arrivals,
            transactions: BTreeMap::new(),
            missing: compact.transactions.iter().copied().collect(),
            compact,
            applied: None,
        };
        self.bodies.insert(id, body);
        self.fill_from(pool);
    }

    /// Takes a whole block, with what executing it gave.
    pub(super) fn add_applied(
        &mut self,
        block: &Block,
        applied: Applied<A::State, A::Outcome>,
        keep: &BTreeSet<BlockId>,
    ) {
        self.make_room(keep);
        self.arrivals = self.arrivals.saturating_add(1);
        let body = Body {
            arrival: self.arrivals,
            compact: block.to_compact(),
            transactions: block
                .transactions
                .iter()
                .map(|t| (t.hash(), t.clone()))
                .collect(),
            missing: BTreeSet::new(),
            applied: Some(applied),
        };
        self.bodies.insert(block.id(), body);
    }

    /// Looks up missing transactions in the pool.
    pub(super) fn fill_from(&mut self, pool: &dyn TxPool) {
        for body in self.bodies.values_mut() {
            let found: Vec<TxBytes> = body
                .missing
                .iter()
                .filter_map(|hash| pool.transaction(hash))
                .collect();
            found.iter().for_each(|transaction| body.take(transaction));
        }
    }

    /// Takes a transaction if a block here names it.
    pub(super) fn add_transaction(&mut self, transaction: &TxBytes) {
        for body in self.bodies.values_mut() {
            body.take(transaction);
        }
    }

    pub(super) fn transaction(&self, hash: &TxHash) -> Option<&TxBytes> {
        self.bodies
            .values()
            .find_map(|body| body.transactions.get(hash))
    }

    /// Transactions a known block still lacks; `None` if the block itself is unknown.
    pub(super) fn missing(&self, id: &BlockId) -> Option<&BTreeSet<TxHash>> {
        self.bodies.get(id).map(|body| &body.missing)
    }

    /// The block, once every transaction is here.
    pub(super) fn complete(&self, id: &BlockId) -> Option<Block> {
        let body = self.bodies.get(id).filter(|body| body.missing.is_empty())?;
        let found = |hash| body.transactions.get(hash).cloned();
        Some(Block {
            header: body.compact.header.clone(),
            transactions: body
                .compact
                .transactions
                .iter()
                .map(found)
                .collect::<Option<_>>()?,
            annex: body.compact.annex.clone(),
        })
    }

    pub(super) fn set_applied(&mut self, id: &BlockId, applied: Applied<A::State, A::Outcome>) {
        if let Some(body) = self.bodies.get_mut(id) {
            body.applied = Some(applied);
        }
    }

    /// Whether the block is here with what executing it gave.
    pub(super) fn is_applied(&self, id: &BlockId) -> bool {
        self.bodies.get(id).is_some_and(|b| b.applied.is_some())
    }

    /// Takes out what executing the block gave.
    #[allow(clippy::type_complexity)] // a block and what it gives, maybe
    pub(super) fn take_applied(
        &mut self,
        id: &BlockId,
    ) -> Option<(Block, Applied<A::State, A::Outcome>)> {
        let block = self.complete(id)?;
        let applied = self.bodies.get_mut(id)?.applied.take()?;
        Some((block, applied))
    }

    fn make_room(&mut self, keep: &BTreeSet<BlockId>) {
        while self.bodies.len() >= MAX_BODIES {
            let free = self.bodies.iter().filter(|(id, _)| !keep.contains(*id));
            let Some(oldest) = free.min_by_key(|(_, body)| body.arrival).map(|(id, _)| *id) else {
                return; // everything here is needed; rules need only a handful
            };
            self.bodies.remove(&oldest);
        }
    }
}

impl<A: Application> Body<A> {
    /// Takes a transaction if this block lacks it.
    fn take(&mut self, transaction: &TxBytes) {
        if self.missing.remove(&transaction.hash()) {
            self.transactions
                .insert(transaction.hash(), transaction.clone());
        }
    }
}
