//! Clearing witnesses of a block: one per auction that clears in it, in clearing order.
//!
//! Layout: the canonical encoding of [`AuctionWitness`]; each class's witness is a versioned enum of [`crate::clearing`].

use super::cache::Cache;
use crate::{
    clearing::{self, CheckError, Checker, Clearing, ClearingError, PaymentRule, Witness},
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
    /// An entry per task and per unit, and a few bytes per class; with the larger ones of form 1, so that it is refused as what it is.
    const MAX_BYTES: usize = 8
        + crate::task::MAX_CLASSES * 32
        + crate::task::MAX_TASKS * 8
        + crate::task::MAX_UNITS as usize * 4;
}

/// Bytes the witness of an auction takes at most.
pub(crate) fn room(spec: &AuctionSpec) -> usize {
    let per_class = spec.classes.len().saturating_mul(24);
    let units = spec
        .tasks
        .iter()
        .map(|task| (task.quantity as usize).saturating_mul(4).saturating_add(4));
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

/// Cleared auctions, by everything their clearing depends on: whoever proposes, or looks ahead, solves a market once; whoever executes or votes checks it
/// once; and neither does what the other has done. Only what is right is remembered.
pub(crate) struct Clearings(Cache<Digest, Arc<Cleared>>);

impl Default for Clearings {
    fn default() -> Self {
        Clearings(Cache::new(MAX_CLEARINGS))
    }
}

impl Clearings {
    /// The classes of one auction, solved now or known from before.
    pub(crate) fn solved(
        &self,
        markets: &[clearing::Market],
        seed: &Digest,
        rule: PaymentRule,
    ) -> Result<Arc<Cleared>, WitnessError> {
        self.known_or(markets, seed, rule, || {
            let mut classes = Vec::new();
            let mut clearings = Vec::new();
            for (class, market) in markets.iter().enumerate() {
                let (witness, clearing) = clearing::clear(market, seed, rule)
                    .map_err(|error| WitnessError::Unclearable { class, error })?;
                classes.push(witness);
                clearings.push(clearing);
            }
            let witness = AuctionWitness { classes };
            Ok(Cleared { witness, clearings })
        })
    }

    /// The classes of one auction as a witness says, checked now or known from before. Nothing is solved.
    pub(crate) fn checked(
        &self,
        markets: &[clearing::Market],
        seed: &Digest,
        rule: PaymentRule,
        witness: AuctionWitness,
    ) -> Result<Arc<Cleared>, WitnessError> {
        let check = || {
            let classes = markets.iter().zip(&witness.classes).enumerate();
            let mut checker = Checker::default();
            let clearings = classes.map(|(class, (market, witness))| {
                let cleared = checker.check(market, seed, rule, witness);
                cleared.map_err(|error| WitnessError::Refused { class, error })
            });
            Ok(Cleared {
                clearings: clearings.collect::<Result<_, _>>()?,
                witness: witness.clone(),
            })
        };
        let cleared = self.known_or(markets, seed, rule, check)?;
        if cleared.witness == witness {
            return Ok(cleared);
        }
        // There is one right witness, and it is another: the checker says why.
        check().map(Arc::new)
    }

    fn known_or(
        &self,
        markets: &[clearing::Market],
        seed: &Digest,
        rule: PaymentRule,
        clear: impl FnOnce() -> Result<Cleared, WitnessError>,
    ) -> Result<Arc<Cleared>, WitnessError> {
        let memory = content_of(markets, seed, rule);
        if let Some(cleared) = self.0.known(&memory) {
            return Ok(cleared);
        }
        let cleared = Arc::new(clear()?);
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
                let cleared = memory.solved(markets, seed, rule)?;
                solved.push(encode(&cleared.witness));
                Ok(cleared)
            }
            Witnesses::Check(given) => {
                let witness: AuctionWitness = decode(given.next().ok_or(WitnessError::Missing)?)?;
                if witness.classes.len() != markets.len() {
                    return Err(WitnessError::Classes {
                        expected: markets.len(),
                        found: witness.classes.len(),
                    });
                }
                memory.checked(markets, seed, rule, witness)
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
