//! Clearing witnesses of a block: one per auction that clears in it, in clearing order.
//!
//! Layout: the canonical encoding of [`AuctionWitness`]; each class's witness is a versioned enum of [`crate::clearing`].

use super::cache::Cache;
use crate::{
    clearing::{self, CheckError, Clearing, ClearingError, PaymentRule, Witness},
    task::AuctionSpec,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tender_wire::{CodecError, Digest, Tag, Wire, decode, encode, hash_of};

/// Cleared auctions remembered: what one block can clear, twice over; half a megabyte each at most.
pub const MAX_CLEARINGS: usize = 8;

/// The witnesses of one auction, class by class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuctionWitness {
    /// In class order.
    pub classes: Vec<Witness>,
}

impl Wire for AuctionWitness {
    const NAME: &'static str = "auction witness";
    /// A list and an index per task, an index per unit, and a few bytes per class.
    const MAX_BYTES: usize = 8
        + crate::task::MAX_CLASSES * 32
        + crate::task::MAX_TASKS * 8
        + crate::task::MAX_UNITS as usize * 4;
}

/// Bytes the witness of an auction takes at most.
pub(crate) fn room(spec: &AuctionSpec) -> usize {
    let per_class = spec.classes.len().saturating_mul(32);
    let units = spec
        .tasks
        .iter()
        .map(|task| (task.quantity as usize).saturating_mul(4).saturating_add(8));
    units.fold(per_class.saturating_add(8), usize::saturating_add)
}

/// Why witnesses are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WitnessError {
    /// An auction clears in this block and has none.
    #[error("an auction clears in this block without a witness")]
    Missing,
    /// More than auctions that clear.
    #[error("{0} witnesses more than auctions that clear")]
    LeftOver(usize),
    /// Not the bytes of one.
    #[error("{0}")]
    Malformed(#[from] CodecError),
    /// Not one per class.
    #[error("{found} classes, the auction has {expected}")]
    Classes {
        /// Classes of the auction.
        expected: usize,
        /// Classes of the witness.
        found: usize,
    },
    /// Not the optimum.
    #[error("class {class}: {error}")]
    Refused {
        /// The class.
        class: usize,
        /// The checker's reason.
        error: CheckError,
    },
    /// The market itself cannot be cleared.
    #[error("class {class}: {error}")]
    Unclearable {
        /// The class.
        class: usize,
        /// The solver's reason.
        error: ClearingError,
    },
}

/// Where clearings come from.
pub(crate) enum Witnesses<'a> {
    /// A proposer solves, and keeps the witnesses.
    Solve(Vec<Vec<u8>>),
    /// Everybody else checks those of the block, in order.
    Check(std::slice::Iter<'a, Vec<u8>>),
}

/// An auction's classes, cleared.
pub(crate) struct Cleared {
    pub(crate) witness: AuctionWitness,
    /// In class order.
    pub(crate) clearings: Vec<Clearing>,
}

/// Cleared auctions, by everything their clearing depends on: whoever proposes, executes, or votes in a later round, and whoever
/// looks ahead, solves a market once among them.
pub(crate) struct Clearings(Cache<Digest, Arc<Cleared>>);

impl Default for Clearings {
    fn default() -> Self {
        Clearings(Cache::new(MAX_CLEARINGS))
    }
}

impl Clearings {
    /// The classes of one auction, cleared now or before.
    pub(crate) fn of(
        &self,
        markets: &[clearing::Market],
        seed: &Digest,
        rule: PaymentRule,
    ) -> Result<Arc<Cleared>, WitnessError> {
        let memory = content_of(markets, seed, rule);
        if let Some(cleared) = self.0.known(&memory) {
            return Ok(cleared);
        }
        let mut classes = Vec::new();
        let mut clearings = Vec::new();
        for (class, market) in markets.iter().enumerate() {
            let (witness, clearing) = clearing::clear(market, seed, rule)
                .map_err(|error| WitnessError::Unclearable { class, error })?;
            classes.push(witness);
            clearings.push(clearing);
        }
        let witness = AuctionWitness { classes };
        let cleared = Arc::new(Cleared { witness, clearings });
        self.0.remember(memory, Arc::clone(&cleared));
        Ok(cleared)
    }
}

/// Hash of all that a clearing follows from.
fn content_of(markets: &[clearing::Market], seed: &Digest, rule: PaymentRule) -> Digest {
    let content = markets.iter().map(|market| {
        let tasks = market.tasks().iter();
        let tasks: Vec<_> = tasks.map(|t| (t.id, t.reserve, t.quantity)).collect();
        let bids = (
            market.bid_ids(),
            market.bidders(),
            market.slots(),
            market.bonuses(),
        );
        let entries = (market.starts(), market.entry_tasks(), market.entry_prices());
        (tasks, bids, entries)
    });
    hash_of(Tag::Table, &(seed, rule, content.collect::<Vec<_>>()))
}

impl Witnesses<'_> {
    /// Clears the classes of one auction.
    pub(crate) fn clear(
        &mut self,
        memory: &Clearings,
        markets: &[clearing::Market],
        seed: &Digest,
        rule: PaymentRule,
    ) -> Result<Arc<Cleared>, WitnessError> {
        match self {
            Witnesses::Solve(solved) => {
                let cleared = memory.of(markets, seed, rule)?;
                solved.push(encode(&cleared.witness));
                Ok(cleared)
            }
            Witnesses::Check(given) => {
                let AuctionWitness { classes } =
                    decode(given.next().ok_or(WitnessError::Missing)?)?;
                if classes.len() != markets.len() {
                    return Err(WitnessError::Classes {
                        expected: markets.len(),
                        found: classes.len(),
                    });
                }
                let refused = |class, error| WitnessError::Refused { class, error };
                let given = || markets.iter().zip(&classes).enumerate();
                for (class, (market, witness)) in given() {
                    clearing::check_feasible(market, witness).map_err(|e| refused(class, e))?;
                }
                let cleared = memory.of(markets, seed, rule)?;
                for ((class, (market, witness)), right) in given().zip(&cleared.witness.classes) {
                    clearing::check_same(market, witness, right).map_err(|e| refused(class, e))?;
                }
                Ok(cleared)
            }
        }
    }

    /// The witnesses solved, or an error if some were given that nothing asked for.
    pub(crate) fn finish(self) -> Result<Vec<Vec<u8>>, WitnessError> {
        match self {
            Witnesses::Solve(solved) => Ok(solved),
            Witnesses::Check(rest) if rest.len() == 0 => Ok(Vec::new()),
            Witnesses::Check(rest) => Err(WitnessError::LeftOver(rest.len())),
        }
    }
}
