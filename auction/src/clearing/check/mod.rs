//! The checker: whether a witness is *the* witness of a market, in one pass over the bids. The only function of clearing that consensus rests on.
//!
//! # What a witness says
//!
//! The assignment, and for each task whose unit is worth something to somebody who did not get it, the losing entry that is worth most: its
//! *setter*. From that the checker derives a dual for every task and bid, and needs no number from the proposer.
//!
//! ```text
//! [assignment]   read both lists: slots, units, order                       a feasible assignment, a graph of setters
//! [prices]       follow each chain of setters to its end                    v of every task, in money
//! [conditions]   one pass over the entries                                  complementary slackness in money
//! [ties]         hash the entries that money leaves open                    the same in h; setters and units are the first that would do
//! [unique]       only if tight entries are left over                        no other optimum
//! [payments]     of bidders of one slot read off; others searched for
//! ```
//!
//! # Duals
//!
//! Weights, duals and their sums are pairs `(surplus, h)` with componentwise addition and lexicographic order: an ordered group, in
//! which linear-programming duality needs no division. Bid `a` has `k` slots (at most its entries), task `t` has `q` units, entry `e = (a, t)`
//! weighs `w_e`. Entries of bids without slots and of tasks without units can never win, and are left out of all that follows.
//!
//! For a full bid its *marginal* unit is the won entry with the least `w_e − v_t`. Then
//!
//! ```text
//! u_a = 0 if a has a free slot, else w_m − v_(task of m), with m its marginal unit
//! v_t = 0 if t has no setter,   else w_s − u_(bid of s),  with s its setter
//! ```
//!
//! A setter's bid is full, and the chain goes on to the task of its marginal unit, or has a free slot, and the chain ends; it also ends at a task without setter. No
//! chain runs in a circle ([`CheckError::Circle`]), so all duals are defined. The checker holds `reserve_t − v_t` instead of `v_t`, which in money is the
//! *price* of the task: the one that a bid without bonus, that sells one slot, is paid for it.
//!
//! # Conditions
//!
//! 1. The assignment is feasible.
//! 2. `w_e ≤ u + v` for every losing entry, `w_e ≥ u + v` for every winning one.
//! 3. `v_t > 0` where there is a setter, and then no unit of `t` is spare; `u_a > 0` for a full bid that won anything.
//! 4. Where a bid has a free slot, `w_e > v_t` for what it won; where a task has a spare unit, `w_e < u_a` for what it lost.
//! 5. Tight entries (`w_e = u + v`), oriented from task to bid where they lost and from bid to task where they won, form no circle.
//! 6. Of a task's tight losing entries the first is its setter; of a full bid's least profitable units the first is marginal.
//! 7. No smaller nonce has a unique optimum.
//!
//! ## The assignment is optimal (1–3)
//!
//! `u` and `v` are not negative, `u_a = 0` where a slot is free and `v_t = 0` where a unit is spare. For any assignment `X`,
//! `Σ_X w ≤ Σ_X (u + v) + Σ_X max(0, w − u − v) ≤ Σ k·u + Σ q·v + Σ_all max(0, w − u − v)`, and by 2 and 3 the assignment at hand attains equality.
//!
//! ## It is the only one (3–5)
//!
//! Let `Y` be another optimum. Equality above holds for `Y` too, so an entry in which the two differ is tight: of those with `w > u + v` every optimum takes all, of
//! those with `w < u + v` none. Oriented as in 5, the entries that differ fall apart into circles and paths along which `Y` takes what lost and leaves what won. A path begins
//! where `Y` sells one unit more of a task, which has a spare unit here, so the first entry is a tight losing one of that task; or one slot fewer of a bid, which has a
//! free slot in `Y`, so that `u = 0`, and the first entry is a tight winning one of that bid. Condition 4 excludes the first; 4, or 3 where no slot is free here, the second. So there
//! are circles alone, and 5 excludes those.
//!
//! Conversely the checker refuses no unique optimum for a tight entry: if one of 3 and 4 fails by equality, there is a tight entry where a path may begin. Follow it, and then setters and
//! marginal units, all of them tight; unless they run in a circle they come to a free slot, or to a unit of a task worth nothing. Turning that path, or that circle, over changes no sum, and is another optimum.
//!
//! ## The duals are extreme
//!
//! Let `(u', v')` be any duals that prove the optimum. Along a chain, from its end: `v'_t ≥ w_s − u'_a`; if `a` has a free slot `u'_a = 0 = u_a`, else
//! `u'_a ≤ w_m − v'_(t_m) ≤ w_m − v_(t_m) = u_a`. So `v' ≥ v` and `u' ≤ u`: each task's dual is the least, each bid's the greatest. This is the end of the lattice of
//! duals (Shapley and Shubik 1971; Demange 1982) at which one-slot sellers are paid what Vickrey's rule pays them:
//!
//! ## Payments of one slot
//!
//! Let `a` have one bid and one slot, and win `m`. Without it `(u, v)` still bound every assignment, by `u_a` less: `V₋ₐ ≤ V − u_a`. And `V − u_a` is attained: leave `m` and turn
//! the chain from its task over (each setter takes the unit, its bid leaves its marginal unit, …, to the end); the sum telescopes to `v` of the task, so the
//! total falls by `w_m − v = u_a`. The chain does not come back to `a`, whose only unit is `m`, without a circle. The first component says `P = V − V₋ₐ = u_a` in money. This is
//! Leonard 1983 (Elicitation of honest preferences for the assignment of individuals to positions, J. Political Economy 91), and the same as
//! Demange 1982 (Strategyproofness in the assignment market game). With several slots or bids the duals only bound the profit (Bikhchandani, de Vries,
//! Schummer and Vohra 2001, Linear programming and Vickrey auctions), so those bidders are taken out whole.
//!
//! # One encoding
//!
//! The optimum is unique, so the units are; by 6 so are the marginal units, which decide their order, and the setters, where `v_t > 0`, which is no choice as the least
//! duals are unique. By 7 the nonce is the least. Every witness but one is refused.
//!
//! # A nonce above 0
//!
//! Two optima under every smaller nonce, by chance below 2^-36 for each, would take a proof as long as a witness for each, which itself would have to
//! be made unique. Instead the checker solves: under a smaller nonce it must find another optimum too. Only a witness that passes everything else gets so far, so
//! a liar can make nobody solve but by finding the unique optimum under its nonce; and then the first solution refuses it.
//!
//! # Bounds
//!
//! A surplus is at most reserve and bonus, below 2^51. Following prices, each is held to ±10^15 (a price below −10^15 is below every offer less its
//! bonus), so that all sums of money here stay within ±2^53. `h` is at most 2^56, and the second component of a dual sums one hash for
//! each setter and marginal unit on a chain, at most 2^21: within ±2^77, in 128 bits. Time and memory are linear in the market and the lists, which the
//! market bounds; nothing recurses, and nothing that a witness says sizes an allocation.

// Every index below is an entry that `assignment` compared with the market's, or a position that the checked market holds.
#![allow(clippy::indexing_slicing)]

mod assignment;
mod conditions;
mod explain;
mod payments;
mod prices;
mod ties;
mod unique;

pub use explain::{TaskPrice, one_slot_bids, task_prices};

use super::{
    CheckError, Clearing, MAX_NONCES, Market, PaymentRule, Witness, solve::Workspace, tie,
    tie::TieKey, witness::FORM,
};
use assignment::Assignment;
use conditions::Open;
use prices::Prices;
use tender_wire::Digest;
use ties::{Found, Ties};

/// The clearing of `market`, if `witness` is the one witness of it.
///
/// # Errors
/// [`CheckError`], the first condition that fails.
pub fn check(
    market: &Market,
    seed: &Digest,
    rule: PaymentRule,
    witness: &Witness,
) -> Result<Clearing, CheckError> {
    Checker::default().check(market, seed, rule, witness)
}

/// The checker, with memory that it keeps from one market to the next: about 100 bytes a bid and task of the largest.
#[derive(Default)]
pub struct Checker {
    assignment: Assignment,
    prices: Prices,
    open: Open,
    ties: Ties,
    /// For what takes a search: payments of larger bidders, smaller nonces.
    workspace: Workspace,
}

impl Checker {
    /// The same as [`check()`].
    ///
    /// # Errors
    /// [`CheckError`], the first condition that fails.
    pub fn check(
        &mut self,
        market: &Market,
        seed: &Digest,
        rule: PaymentRule,
        witness: &Witness,
    ) -> Result<Clearing, CheckError> {
        self.check_with(market, seed, rule, witness, tie::BITS)
    }

    /// [`Checker::check`] with `bits` of tie-breaking hash.
    pub(super) fn check_with(
        &mut self,
        market: &Market,
        seed: &Digest,
        rule: PaymentRule,
        witness: &Witness,
        bits: u32,
    ) -> Result<Clearing, CheckError> {
        let Witness::V2 {
            nonce,
            won,
            setters,
        } = witness
        else {
            let (found, expected) = (witness.form(), FORM);
            return Err(CheckError::Form { found, expected });
        };
        if *nonce >= MAX_NONCES {
            let found = *nonce;
            return Err(CheckError::NonceBound { found });
        }
        let Checker {
            assignment,
            prices,
            open,
            ties,
            workspace,
        } = self;
        assignment.read(market, won, setters)?;
        prices.follow(market, assignment)?;
        open.clear();
        open.check(market, assignment, prices, 0..market.bid_count())?;
        let found = Found {
            market,
            assignment,
            prices,
            open,
        };
        let key = TieKey::new(seed, *nonce, bits);
        ties.check(found, &key)?;
        for smaller in 0..*nonce {
            if workspace.is_unique(market, seed, smaller, bits) {
                return Err(CheckError::Nonce {
                    expected: smaller,
                    found: *nonce,
                });
            }
        }
        let mut clearing = payments::clearing(market, assignment, prices, (*nonce, won), rule);
        if rule == PaymentRule::Vcg && payments::has_larger_bidders(market, assignment) {
            payments::search(workspace, found, won, &mut clearing);
        }
        Ok(clearing)
    }
}
