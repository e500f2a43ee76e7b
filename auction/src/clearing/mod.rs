//! Clearing: which bid serves which unit of which task, and what it is paid.
//!
//! # Market
//!
//! One class of one auction is one independent [`Market`]. Agents *sell* capacity and tasks buy it: task `t` has a reserve
//! price `R_t` and a quantity `q_t`; bid `b` has `k_b` slots, a bonus `B_b` that the buyer grants it, and entries `(t, p)` with
//! `1 ≤ p ≤ R_t + B_b`, where `R_t, B_b ≤ 10^15`. An *assignment* is a set of entries with at most `k_b` entries of each bid
//! and at most `q_t` of each task; a bid has one entry per task, so it serves at most one unit of it. The *surplus* of an entry is `R_t + B_b − p ≥ 0`.
//!
//! # Result
//!
//! The result is defined by mathematics, not by an algorithm: the assignment with the greatest
//! `(Σ surplus, Σ h)`, compared lexicographically, where
//!
//! ```text
//! seed     = H(TieSeed, auction[32], (bid_id[32] ‖ salt[32])…)    every live bid that opened, by bid_id; one part each
//! key_n    = first 16 bytes of H(TieKey, seed[32], n as u32 LE[4])
//! h(b, t)  = 1 + (SipHash-2-4(key_n, bid_id[32] ‖ task id as u32 LE[4]) >> 8)       from 1 to 2^56
//! ```
//!
//! (`H` is [`tender_wire::hash()`]: tag, then length-prefixed parts; SipHash returns a `u64`.) `n`, the *nonce*, is the least
//! number from 0 for which exactly one assignment is greatest. Hence:
//!
//! - `h ≥ 1`: an entry with zero surplus still wins a unit nobody else wants; every optimum is maximal.
//! - Ties in money are broken by salts that bidders fix before they see one another, and that are opened by force: nobody
//!   can choose them late (THREATS T25).
//! - By the isolation lemma (Mulmuley, Vazirani, Vazirani 1987) a nonce fails with probability at most
//!   `entries / 2^56 ≤ 2^-36`. [`MAX_NONCES`] = 8 are tried; needing more has probability below `2^-288`, is out of reach of
//!   grinding, and is [`ClearingError::NoUniqueOptimum`] for every peer alike.
//!
//! # Payments
//!
//! [`PaymentRule::PayAsBid`] pays each winner its price. [`PaymentRule::Vcg`] (Vickrey 1961, Clarke 1971, Groves 1973; for
//! assignment markets Leonard 1983) works per *bidder*: all bids signed by one key are one agent. With `V` the greatest
//! total surplus and `V₋ᵢ` the same after all bids of bidder `i` are taken out, its profit is `P = V − V₋ᵢ`. Its own surplus is
//! `S = Σ sⱼ` over the units it won. Since the others' part of the optimum stays feasible without `i`, `V₋ᵢ ≥ V − S`, and
//! since its bids only add choices, `V₋ᵢ ≤ V`: so `0 ≤ P ≤ S`. The profit is spread over the units in proportion to surplus:
//!
//! ```text
//! shareⱼ = ⌊P·sⱼ / S⌋, plus 1 for the Σ-deficit units with the largest remainder (P·sⱼ mod S), ties by task, then bid
//! paymentⱼ = priceⱼ + shareⱼ
//! ```
//!
//! If `S = 0` then `P = 0` and each payment is the price. Otherwise `P·sⱼ/S ≤ sⱼ`, and a unit that gets an extra 1 has a
//! fraction (the deficit is a sum of fractions below 1, so it is smaller than the number of units that have one), hence
//! `⌊P·sⱼ/S⌋ + 1 ≤ sⱼ`. So **price ≤ payment ≤ reserve + bonus on every unit**, and the payments of a bidder exceed its prices by exactly `P`.
//!
//! # Runners-up and the lowest winner
//!
//! Runners-up of a task: bids with an entry for it that did not win it and still have a free slot, by `(surplus, h)` descending,
//! then by bid. The *lowest* winner of a task is its winner with the least `(surplus, h)`, ties to the later bid; it is who a loser is outbid by.
//!
//! # What is claimed, and what is not
//!
//! Under `Vcg`, quoting one's true cost for every task and one's true number of slots is a dominant strategy *within one
//! market* for a bidder whose cost is additive, and no truthful bidder loses money. Not claimed: anything about an owner
//! who bids on its own tasks (shilling), about winners and losers who collude, about one agent under
//! several keys, about strategies that span classes or auctions, or about budget balance (the buyer's reserves, and the bonuses it grants, bound what it
//! pays, nothing else does).
//!
//! # Bounds
//!
//! Integers only. [`Market::new`] checks before any arithmetic: at most [`MAX_TASKS`], [`MAX_BIDS`], [`MAX_ENTRIES`], prices
//! up to [`MAX_PRICE`]; a sum of surpluses stays below 2^70, a product of two sums' parts below 2^120, in 128-bit integers.

mod check;
mod error;
pub mod families;
mod market;
mod payment;
mod solve;
mod solver;
mod standings;
#[cfg(test)]
mod tests;
mod tie;
mod witness;

pub use check::{Checker, TaskPrice, check, one_slot_bids, task_prices};
pub use error::{CheckError, ClearingError};
pub use market::{Bounds, Market, MarketBid, MarketTask};
pub use solver::{Solved, Solver};
pub use standings::{Standings, standings};
pub use tie::tie_seed;
pub use witness::Witness;

use serde::{Deserialize, Serialize};
use solve::{Optimum, Workspace};
use tender_wire::{Digest, Price};

/// Largest price and reserve, in smallest units: sums and products of a whole market then fit 128 bits.
pub const MAX_PRICE: Price = Price(1_000_000_000_000_000);
/// Most tasks in one market: bounds the witness.
pub const MAX_TASKS: usize = 1 << 16;
/// Most bids in one market: the sealing budget admits no more (65,536 shares, at least one each).
pub const MAX_BIDS: usize = 1 << 16;
/// Most entries in one market: bounds memory, the witness and every sum.
pub const MAX_ENTRIES: usize = 1 << 20;
/// Nonces tried for a unique optimum; see the module's definition for why eight are more than enough.
pub const MAX_NONCES: u32 = 8;

/// How winners are paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentRule {
    /// Price plus the bidder's marginal contribution to total surplus.
    Vcg,
    /// The price.
    PayAsBid,
}

/// One unit of a task, served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Award {
    /// Task id.
    pub task: u32,
    /// Index of the bid in [`Market::bid_ids`].
    pub bid: usize,
    /// What the bid asked.
    pub price: Price,
    /// What it is paid: at least `price`, at most the reserve.
    pub payment: Price,
}

/// The cleared market.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clearing {
    /// Least nonce with a unique optimum.
    pub nonce: u32,
    /// Winners, by task id, then bid index.
    pub awards: Vec<Award>,
    /// Greatest possible sum of `reserve + bonus − price`.
    pub total_surplus: u128,
}

/// The proposer's half: the optimum of `market`, as a witness for [`check`].
///
/// A witness holds nothing about payments, so `_rule` does not change it.
///
/// # Errors
/// [`ClearingError::NoUniqueOptimum`].
pub fn solve(market: &Market, seed: &Digest, _rule: PaymentRule) -> Result<Witness, ClearingError> {
    let optimum = Workspace::default().solve(market, seed, tie::BITS)?;
    Ok(Witness::of(optimum))
}

/// Solves and prices at once, for callers without a proposer: equals [`check`] of [`solve`]'s witness, without the check.
///
/// # Errors
/// [`ClearingError::NoUniqueOptimum`].
pub fn clear(
    market: &Market,
    seed: &Digest,
    rule: PaymentRule,
) -> Result<(Witness, Clearing), ClearingError> {
    clear_with(market, seed, rule, tie::BITS)
}

/// [`clear`] with `bits` of tie-breaking hash: few bits make ties that [`tie::BITS`] never shows.
fn clear_with(
    market: &Market,
    seed: &Digest,
    rule: PaymentRule,
    bits: u32,
) -> Result<(Witness, Clearing), ClearingError> {
    let mut workspace = Workspace::default();
    let optimum = workspace.solve(market, seed, bits)?;
    let clearing = clearing(&mut workspace, market, &optimum, rule);
    Ok((Witness::of(optimum), clearing))
}

/// The clearing of what `workspace` solved last.
fn clearing(
    workspace: &mut Workspace,
    market: &Market,
    optimum: &Optimum,
    rule: PaymentRule,
) -> Clearing {
    let shares = match rule {
        PaymentRule::Vcg => payment::vcg_shares(workspace, market, optimum),
        PaymentRule::PayAsBid => vec![0; optimum.winners.len()],
    };
    let mut shares = shares.into_iter();
    let mut clearing = Clearing {
        nonce: optimum.nonce,
        awards: Vec::with_capacity(optimum.winners.len()),
        total_surplus: 0,
    };
    for (task, won) in market.tasks().iter().zip(optimum.by_task()) {
        for entry in won {
            let e = *entry as usize;
            let bids = market.starts().partition_point(|start| *start <= *entry);
            let price = market.entry_prices().get(e).copied().unwrap_or(0);
            let share = shares.next().unwrap_or(0);
            clearing.awards.push(Award {
                task: task.id,
                bid: bids.saturating_sub(1),
                price: Price(price),
                payment: Price(price.saturating_add(share)), // at most the reserve and the bonus
            });
            let surplus = u128::from(workspace.surplus(*entry));
            clearing.total_surplus = clearing.total_surplus.saturating_add(surplus);
        }
    }
    clearing
}
