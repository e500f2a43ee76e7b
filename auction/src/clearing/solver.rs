//! Solving and paying apart, with room that is kept from one market to the next: for proposers that clear many, and for measuring.

use super::{
    Clearing, ClearingError, Market, PaymentRule, Witness, clearing,
    solve::{Optimum, Workspace},
    tie,
};
use tender_wire::Digest;

/// Room to solve markets in, one after the other.
#[derive(Debug, Default)]
pub struct Solver {
    workspace: Workspace,
}

/// A market's optimum, and the room it was found in.
#[derive(Debug)]
pub struct Solved<'a> {
    workspace: &'a mut Workspace,
    market: &'a Market,
    optimum: Optimum,
}

impl Solver {
    /// The canonical optimum of `market`: what [`super::solve`] finds.
    ///
    /// # Errors
    /// [`ClearingError::NoUniqueOptimum`].
    pub fn solve<'a>(
        &'a mut self,
        market: &'a Market,
        seed: &Digest,
    ) -> Result<Solved<'a>, ClearingError> {
        let workspace = &mut self.workspace;
        let optimum = workspace.solve(market, seed, tie::BITS)?;
        Ok(Solved {
            workspace,
            market,
            optimum,
        })
    }
}

impl Solved<'_> {
    /// What others check it by.
    pub fn witness(&self) -> Witness {
        Witness::of(self.optimum.clone())
    }

    /// What every winner is paid: with [`Self::witness`], what [`super::clear`] gives.
    pub fn clearing(&mut self, rule: PaymentRule) -> Clearing {
        clearing(self.workspace, self.market, &self.optimum, rule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clearing::{clear, families::Family};
    use tender_wire::{Tag, hash};

    #[test]
    fn a_solver_that_is_used_again_finds_what_a_new_one_finds() {
        let mut solver = Solver::default();
        for (number, family) in (0u64..).zip(Family::named()) {
            for entries in [300, 40, 200] {
                let market = family.instance(entries, number).unwrap().market().unwrap();
                let seed = hash(Tag::Seed, &[&number.to_le_bytes()]);
                for rule in [PaymentRule::Vcg, PaymentRule::PayAsBid] {
                    let mut solved = solver.solve(&market, &seed).unwrap();
                    let found = (solved.witness(), solved.clearing(rule));
                    assert_eq!(Ok(found), clear(&market, &seed, rule), "{family}");
                }
            }
        }
    }
}
