//! One generated market, and how long each part of clearing it takes.

use super::super::{Failure, stats::Samples};
use rayon::ThreadPool;
use sha2::{Digest as _, Sha256};
use std::{
    hint::black_box,
    time::{Duration, Instant},
};
use tender_auction::clearing::{
    Clearing, Market, PaymentRule, Solver, Witness, check,
    families::{Family, Instance},
};
use tender_wire::{Digest, Tag, hash};

/// How winners are paid in every measurement: the rule that takes work.
const RULE: PaymentRule = PaymentRule::Vcg;

/// A market to clear, and the bytes of its bids.
pub(super) struct Subject {
    pub(super) family: Family,
    pub(super) instance: Instance,
    market: Market,
    tie_seed: Digest,
    bytes: Vec<u8>,
}

/// What the parts took once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) solve: Duration,
    pub(super) pay: Duration,
    pub(super) check: Duration,
    pub(super) sha256: Duration,
}

impl Subject {
    /// Draws a market.
    ///
    /// # Errors
    /// [`Failure`] if the family has none of this size.
    pub(super) fn new(family: Family, entries: usize, seed: u64) -> Result<Self, Failure> {
        let too_large =
            |e: String| Failure::usage(format!("{family}: {e}"), "ask for fewer entries");
        let instance = family.instance(entries, seed);
        let instance = instance.map_err(|e| too_large(e.to_string()))?;
        let market = instance.market().map_err(|e| too_large(e.to_string()))?;
        Ok(Subject {
            market,
            bytes: instance.bid_bytes(),
            tie_seed: hash(Tag::Seed, &[b"bench clear", &seed.to_le_bytes()]),
            family,
            instance,
        })
    }

    /// Entries there are.
    pub(super) fn entries(&self) -> usize {
        self.instance.prices.len()
    }

    /// The optimum's witness and payments, and how long each took.
    ///
    /// # Errors
    /// [`Failure`] if the engine refuses the market.
    pub(super) fn propose(
        &self,
        solver: &mut Solver,
    ) -> Result<(Witness, Clearing, [Duration; 2]), Failure> {
        let refused = |e| Failure::refused(format!("{}: {e}", self.family), "please report this");
        let began = Instant::now();
        let mut solved = solver
            .solve(&self.market, &self.tie_seed)
            .map_err(refused)?;
        let witness = solved.witness();
        let solve = began.elapsed();
        let clearing = solved.clearing(RULE);
        let pay = began.elapsed().saturating_sub(solve);
        Ok((witness, clearing, [solve, pay]))
    }

    /// Everything once: proposed, checked, and the bids hashed.
    ///
    /// # Errors
    /// [`Failure`] if the checker comes to anything but what was proposed.
    fn once(&self, solver: &mut Solver) -> Result<(Witness, Clearing, Times), Failure> {
        let (witness, clearing, [solve, pay]) = self.propose(solver)?;
        let began = Instant::now();
        let checked = check(&self.market, &self.tie_seed, RULE, &witness);
        let check = began.elapsed();
        let began = Instant::now();
        black_box(Sha256::digest(black_box(&self.bytes)));
        let sha256 = began.elapsed();
        if checked.as_ref() != Ok(&clearing) {
            let what = match checked {
                Ok(_) => "the checker derives another clearing".to_owned(),
                Err(e) => format!("the checker refuses it: {e}"),
            };
            let next = "please report this with the family and the seed";
            return Err(Failure::refused(format!("{}: {what}", self.family), next));
        }
        let times = Times {
            solve,
            pay,
            check,
            sha256,
        };
        Ok((witness, clearing, times))
    }
}

/// The parts' times of many rounds, in milliseconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Parts {
    pub(super) solve: Samples,
    pub(super) pay: Samples,
    pub(super) check: Samples,
    pub(super) sha256: Samples,
    /// Solving and paying together.
    pub(super) propose: Samples,
}

impl Parts {
    fn push(&mut self, times: Times) {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        self.solve.push(ms(times.solve));
        self.pay.push(ms(times.pay));
        self.check.push(ms(times.check));
        self.sha256.push(ms(times.sha256));
        self.propose.push(ms(times.solve.saturating_add(times.pay)));
    }
}

/// A market measured on each of some numbers of cores.
pub(super) struct Cell {
    pub(super) subject: Subject,
    pub(super) turns: Vec<(usize, Parts)>,
    /// Room that is kept over the rounds, as a proposer keeps it.
    solver: Solver,
    /// What every round came to so far.
    found: Option<(Witness, Clearing)>,
}

impl Cell {
    pub(super) fn new(subject: Subject, cores: &[usize]) -> Self {
        let turns = cores.iter().map(|cores| (*cores, Parts::default()));
        Cell {
            subject,
            turns: turns.collect(),
            solver: Solver::default(),
            found: None,
        }
    }

    /// One round: on each number of cores, in another order each round.
    ///
    /// # Errors
    /// [`Failure`] if the checker, an earlier round or another number of cores came to something else.
    pub(super) fn round(
        &mut self,
        pools: &[(usize, ThreadPool)],
        round: usize,
    ) -> Result<(), Failure> {
        let count = self.turns.len();
        for turn in 0..count {
            let which = turn.saturating_add(round).checked_rem(count);
            let Some((cores, parts)) = which.and_then(|at| self.turns.get_mut(at)) else {
                continue;
            };
            let Some((_, pool)) = pools.iter().find(|(there, _)| there == cores) else {
                continue;
            };
            let (witness, clearing, times) =
                pool.install(|| self.subject.once(&mut self.solver))?;
            parts.push(times);
            let found = (witness, clearing);
            if self.found.as_ref().is_some_and(|before| *before != found) {
                let what = format!("{}: another result than before", self.subject.family);
                let next = "please report this with the family and the seed";
                return Err(Failure::refused(what, next));
            }
            self.found = Some(found);
        }
        Ok(())
    }

    /// The greatest total surplus, once a round is over.
    pub(super) fn surplus(&self) -> u128 {
        let found = self.found.as_ref();
        found.map_or(0, |(_, clearing)| clearing.total_surplus)
    }

    /// Units assigned, once a round is over.
    pub(super) fn won(&self) -> usize {
        let found = self.found.as_ref();
        found.map_or(0, |(_, clearing)| clearing.awards.len())
    }
}
