//! What is measured: situations, the proofs in them, and the rounds in which engines take turns.

use super::{
    Failure,
    engine::{Engine, Verdict, name, time},
    progress::Progress,
    report::{Row, Sweep},
    stats::Samples,
    subject::{Sample, Subject, derive},
};
use crate::cli::bidding::random;
use rayon::{
    ThreadPool,
    iter::{IntoParallelIterator as _, ParallelIterator as _},
};
use std::{collections::BTreeSet, ops::Range};
use tender_circuits::{
    attacks::rerandomise_under,
    verify::{Item, VerifyError},
};

/// Small batches are timed several times a round, until this many proofs are seen, at most [`MOST_REPEATS`] times.
const PROOFS_PER_ROUND: usize = 32;
const MOST_REPEATS: usize = 8;
/// Proofs of a larger batch on which the naive loop is timed, others in each round: a loop's cost per proof does not depend on how many come after.
pub(super) const NAIVE_SAMPLE: usize = 32;
/// Proofs of each type on which every engine is warmed up.
const WARM_UP: usize = 32;
/// An engine that takes longer than this many seconds for a situation is timed in every [`SPARSE`]th round only.
const SLOW: f64 = 0.25;
pub(super) const SPARSE: u64 = 5;

/// A type with proofs of its statements, all distinct.
pub(super) struct Stock {
    pub(super) subject: Subject,
    /// The first of them were proven; the others are proofs of the same statements, re-randomised.
    pub(super) samples: Vec<Sample>,
    /// How many were proven.
    pub(super) proven: usize,
}

impl Stock {
    /// Proves as many statements as asked for, two at least, and re-randomises the proofs until there are `total`.
    ///
    /// # Errors
    /// [`Failure`] with the prover's reason.
    pub(super) fn make(
        subject: Subject,
        proofs: usize,
        total: usize,
        seed: &[u8; 32],
        progress: &Progress,
    ) -> Result<Self, Failure> {
        let mut samples = subject.prove_many(proofs.max(2), progress)?;
        let proven = samples.len();
        let another = |number: usize| {
            let of = number.checked_rem(proven).and_then(|of| samples.get(of));
            let of = of.ok_or_else(|| Failure::new("no proof was made", "please report this"))?;
            let seed = derive(seed, "rerandomise", number as u64);
            let proof = rerandomise_under(subject.key.verifying_key(), &of.proof, seed)
                .map_err(|e| Failure::new(e.to_string(), "please report this"))?;
            let inputs = of.inputs.clone();
            Ok(Sample { inputs, proof })
        };
        let others: Result<Vec<Sample>, Failure> =
            (proven..total).into_par_iter().map(another).collect();
        samples.extend(others?);
        Ok(Stock {
            subject,
            samples,
            proven,
        })
    }

    /// A proof with its own statement, or with another one.
    pub(super) fn item(&self, sample: usize, is_bad: bool) -> Option<Item<'_>> {
        let honest = self.samples.get(sample)?;
        let statement = sample.checked_rem(self.proven)?;
        let other = statement.saturating_add(1).checked_rem(self.proven)?;
        let inputs = if is_bad {
            &self.samples.get(other)?.inputs
        } else {
            &honest.inputs
        };
        Some(Item {
            key: self.subject.key.verifying_key(),
            inputs,
            proof: &honest.proof,
        })
    }
}

/// What a cell is about.
#[derive(Clone, Debug)]
pub(super) struct Situation {
    pub(super) sweep: Sweep,
    /// Types mixed in it, by place in the list of stocks.
    pub(super) stocks: Vec<usize>,
    pub(super) cores: usize,
    pub(super) n: usize,
    /// Percentage of bad proofs, and how many these are.
    pub(super) bad: f64,
    pub(super) bad_proofs: usize,
}

/// How many of `n` this percentage is, rounded up to whole proofs.
pub(super) fn share(n: usize, percent: f64) -> usize {
    let exact = n as f64 * percent / 100.0;
    ((exact - 1e-6).ceil().max(0.0) as usize).min(n)
}

/// One situation, measured with every engine.
pub(super) struct Cell {
    pub(super) situation: Situation,
    turns: Vec<Turn>,
}

/// An engine's part in a cell.
struct Turn {
    engine: Engine,
    /// Proofs it is timed on: all of the batch, but for a naive loop over many.
    timed: usize,
    /// Seconds it is expected to take in a round.
    expected: f64,
    /// It is timed in every so many rounds.
    every: u64,
    samples: Samples,
}

impl Cell {
    /// A cell for engines of which it is known how long they take for a proof.
    pub(super) fn new(situation: Situation, speeds: &[(Engine, f64)], rounds: u16) -> Self {
        let Situation {
            n,
            cores,
            bad_proofs,
            ..
        } = situation;
        let turn = |(engine, seconds): &(Engine, f64)| {
            let is_loop = *engine == Engine::Naive;
            let timed = if is_loop { n.min(NAIVE_SAMPLE) } else { n };
            // A batch that fails is looked at again.
            let passes = if bad_proofs > 0 && !is_loop { 2.0 } else { 1.0 };
            let cores = cores.min(timed).max(1) as f64;
            let once = seconds * timed as f64 * passes / cores;
            let is_slow = once > SLOW;
            Turn {
                engine: *engine,
                timed,
                expected: once * repeats(n) as f64,
                every: if is_slow {
                    SPARSE.min(rounds.into())
                } else {
                    1
                },
                samples: Samples::default(),
            }
        };
        let turns = speeds.iter().map(turn).collect();
        Cell { situation, turns }
    }

    /// Milliseconds that this cell, of this number among all, is expected to take in a round.
    pub(super) fn expected_ms(&self, round: u64, number: u64) -> u64 {
        let due = self.turns.iter().filter(|turn| turn.is_due(round, number));
        let seconds: f64 = due.map(|turn| turn.expected).sum();
        (seconds * 1e3).ceil() as u64
    }

    /// One round: every engine whose turn it is, in another order each round.
    ///
    /// # Errors
    /// [`Failure`] if a verdict is not the expected one.
    pub(super) fn round(
        &mut self,
        pool: &ThreadPool,
        stocks: &[Stock],
        seed: &[u8; 32],
        round: u64,
        number: u64,
    ) -> Result<(), Failure> {
        let draw = Draw::of(&self.situation, stocks, seed, round);
        let items = draw.items(stocks);
        let engines = self.turns.len();
        for repeat in 0..repeats(self.situation.n) {
            for turn in 0..engines {
                let which = turn
                    .saturating_add(round as usize)
                    .saturating_add(repeat)
                    .checked_rem(engines);
                let turn = which.and_then(|which| self.turns.get_mut(which));
                let Some(turn) = turn.filter(|turn| turn.is_due(round, number)) else {
                    continue;
                };
                let window = turn.window(items.len(), round);
                let part = items.get(window.clone()).unwrap_or_default();
                let (verdicts, took) = time(turn.engine, pool, part, &random()?);
                draw.check(turn.engine, window, &verdicts)?;
                let proofs = part.len().max(1) as f64;
                turn.samples.push(took.as_secs_f64() * 1e6 / proofs);
            }
        }
        Ok(())
    }

    /// The engines' times.
    pub(super) fn samples(&self) -> impl Iterator<Item = (Engine, &Samples)> {
        self.turns.iter().map(|turn| (turn.engine, &turn.samples))
    }

    /// A row for each engine.
    pub(super) fn rows(&self, stocks: &[Stock]) -> Vec<Row> {
        let Situation {
            sweep,
            stocks: mixed,
            cores,
            n,
            bad,
            bad_proofs,
        } = &self.situation;
        let naive = self.turns.iter().find(|it| it.engine == Engine::Naive);
        let naive = naive.map_or(0.0, |turn| turn.samples.median());
        let mixed: Vec<&Stock> = mixed.iter().filter_map(|i| stocks.get(*i)).collect();
        let inputs: usize = mixed.iter().map(|stock| stock.subject.inputs()).sum();
        let labels: Vec<String> = mixed.iter().map(|stock| stock.subject.label()).collect();
        let row = |turn: &Turn| {
            let median = turn.samples.median();
            Row {
                sweep: *sweep,
                engine: name(turn.engine).to_owned(),
                cores: *cores,
                n: *n,
                inputs: inputs.checked_div(mixed.len()).unwrap_or(0),
                bad: *bad,
                us_per_proof: median,
                ratio: if median > 0.0 { naive / median } else { 0.0 },
                p50: median,
                p95: turn.samples.p95(),
                samples: turn.samples.len(),
                timed: turn.timed,
                bad_proofs: *bad_proofs,
                keys: mixed.len().min(*n),
                type_name: labels.join(" "),
            }
        };
        self.turns.iter().map(row).collect()
    }
}

fn repeats(n: usize) -> usize {
    let fit = PROOFS_PER_ROUND.checked_div(n).unwrap_or(0);
    fit.clamp(1, MOST_REPEATS)
}

impl Turn {
    /// Slow ones are spread over the rounds by their cells' numbers.
    fn is_due(&self, round: u64, number: u64) -> bool {
        round.saturating_add(number).is_multiple_of(self.every)
    }

    /// The part of a batch that it is timed on in a round.
    fn window(&self, n: usize, round: u64) -> Range<usize> {
        let places = n.saturating_sub(self.timed).saturating_add(1);
        let start = (round as usize)
            .saturating_mul(self.timed)
            .checked_rem(places)
            .unwrap_or(0);
        start..start.saturating_add(self.timed).min(n)
    }
}

/// Lets every engine make what it keeps of every key, on every pool, and says how many seconds each takes for a proof of the first type on one core.
///
/// # Errors
/// [`Failure`] if an engine refuses a good proof.
pub(super) fn warm_up(
    engines: &[Engine],
    pools: &[(usize, ThreadPool)],
    stocks: &[Stock],
) -> Result<Vec<(Engine, f64)>, Failure> {
    let mut speeds: Vec<_> = engines.iter().map(|engine| (*engine, 0.0)).collect();
    for (number, stock) in stocks.iter().enumerate() {
        let some = 0..stock.proven.min(WARM_UP);
        let draw = Draw {
            picks: some.map(|sample| (number, sample, false)).collect(),
        };
        let items = draw.items(stocks);
        for (cores, pool) in pools {
            for (engine, speed) in &mut speeds {
                let (verdicts, took) = time(*engine, pool, &items, &random()?);
                draw.check(*engine, 0..items.len(), &verdicts)?;
                if number == 0 {
                    let all = took.as_secs_f64() * *cores as f64;
                    *speed = all / items.len().max(1) as f64;
                }
            }
        }
    }
    Ok(speeds)
}

/// What is verified in a cell: the items' stocks and samples, and whether the inputs are another statement's.
pub(super) struct Draw {
    picks: Vec<(usize, usize, bool)>,
}

impl Draw {
    /// The batch of a situation in a round, the same for every engine. Bad proofs stand at places drawn from the seed.
    pub(super) fn of(situation: &Situation, stocks: &[Stock], seed: &[u8; 32], round: u64) -> Self {
        let mixed = &situation.stocks;
        let bad = places(situation.n, situation.bad_proofs, seed, round);
        let pick = |place: usize| {
            let turn = place.checked_rem(mixed.len()).unwrap_or(0);
            let stock = mixed.get(turn).copied().unwrap_or(0);
            let known = stocks.get(stock).map_or(1, |stock| stock.samples.len());
            let number = place
                .checked_div(mixed.len())
                .unwrap_or(0)
                .saturating_add(round as usize);
            let sample = number.checked_rem(known).unwrap_or(0);
            (stock, sample, bad.contains(&place))
        };
        Draw {
            picks: (0..situation.n).map(pick).collect(),
        }
    }

    pub(super) fn items<'a>(&self, stocks: &'a [Stock]) -> Vec<Item<'a>> {
        let item =
            |(stock, sample, bad): &(usize, usize, bool)| stocks.get(*stock)?.item(*sample, *bad);
        self.picks.iter().filter_map(item).collect()
    }

    /// Refuses any verdict on a part of the batch other than the expected one.
    pub(super) fn check(
        &self,
        engine: Engine,
        part: Range<usize>,
        verdicts: &[Verdict],
    ) -> Result<(), Failure> {
        let wrong = |what: String| {
            Failure::refused(
                format!("{} is wrong: {what}", name(engine)),
                "this is a fault of the engine: please report it with the seed",
            )
        };
        let picks = self.picks.get(part).unwrap_or_default();
        if verdicts.len() != picks.len() {
            return Err(wrong(format!(
                "{} verdicts for {} proofs",
                verdicts.len(),
                picks.len()
            )));
        }
        for (place, ((_, _, bad), verdict)) in picks.iter().zip(verdicts).enumerate() {
            let expected = if *bad {
                Err(VerifyError::Invalid)
            } else {
                Ok(())
            };
            if *verdict != expected {
                return Err(wrong(format!(
                    "proof {place} of {}: {verdict:?} instead of {expected:?}",
                    verdicts.len()
                )));
            }
        }
        Ok(())
    }
}

/// So many of `n` places, drawn from the seed.
pub(super) fn places(n: usize, count: usize, seed: &[u8; 32], round: u64) -> BTreeSet<usize> {
    if count == 0 {
        return BTreeSet::new();
    }
    let mut places: Vec<_> = (0..n)
        .map(|place| (derive(seed, "place", round ^ ((place as u64) << 32)), place))
        .collect();
    places.sort_unstable();
    places.iter().take(count).map(|(_, place)| *place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn situation(n: usize, bad_proofs: usize) -> Situation {
        Situation {
            sweep: Sweep::Bad,
            stocks: vec![0],
            cores: 1,
            n,
            bad: 0.0,
            bad_proofs,
        }
    }

    #[test]
    fn percentages_are_rounded_up_to_whole_proofs_and_counts_survive() {
        assert_eq!([share(7, 30.0), share(2, 30.0), share(7, 100.0)], [3, 1, 7]);
        assert_eq!(
            [share(1024, 0.0), share(0, 50.0), share(3, 400.0)],
            [0, 0, 3]
        );
        for n in 1..300 {
            for count in 0..=n {
                assert_eq!(share(n, count as f64 * 100.0 / n as f64), count);
            }
        }
    }

    #[test]
    fn every_engine_has_a_turn_in_every_cell_however_slow_and_few_the_rounds() {
        let speeds = Engine::ALL.map(|engine| (engine, 1.0));
        for rounds in 1..8 {
            for number in 0..8 {
                let cell = Cell::new(situation(1000, 1), &speeds, rounds);
                for turn in &cell.turns {
                    let due = |round: &u64| turn.is_due(*round, number);
                    let turns = (1..=u64::from(rounds)).filter(due).count();
                    assert!(turns > 0, "{:?} of {rounds}", turn.engine);
                }
            }
        }
    }

    #[test]
    fn a_naive_loop_sees_a_part_of_a_large_batch_and_others_all_of_it() {
        let speeds = Engine::ALL.map(|engine| (engine, 1e-6));
        for n in [1, NAIVE_SAMPLE, NAIVE_SAMPLE + 1, 1000] {
            let cell = Cell::new(situation(n, 0), &speeds, 3);
            for turn in &cell.turns {
                for round in 0..100 {
                    let window = turn.window(n, round);
                    let is_loop = turn.engine == Engine::Naive;
                    let expected = if is_loop { n.min(NAIVE_SAMPLE) } else { n };
                    assert_eq!(window.len(), expected);
                    assert!(window.end <= n);
                }
            }
        }
    }

    #[test]
    fn as_many_places_are_drawn_as_asked_for_and_others_in_another_round() {
        let drawn = |count, round| places(50, count, &[7; 32], round);
        for count in [0, 1, 17, 50] {
            assert_eq!(drawn(count, 1).len(), count);
        }
        assert!(drawn(50, 1).iter().all(|place| *place < 50));
        assert_eq!(drawn(9, 1), drawn(9, 1));
        assert_ne!(drawn(9, 1), drawn(9, 2));
    }
}
