//! The search for the market that takes longest to clear: a walk that changes a number or three of a family at a time, and goes on from what took longer.

use super::{
    super::{Failure, figures::times, out},
    cell::Subject,
    report::Found,
};
use std::time::{Duration, Instant};
use tender_auction::clearing::{
    Solver,
    families::{Draw, Family, Parameter},
};

/// Changes without success after which the walk begins elsewhere.
const PATIENCE: usize = 30;
/// What counts as longer, beyond noise.
const LONGER: f64 = 1.05;

/// What to search, and for how long.
pub(super) struct Search {
    pub(super) entries: usize,
    pub(super) seed: u64,
    /// A family that is being solved when the time is over is solved to its end.
    pub(super) budget: Duration,
}

impl Search {
    /// The worst family found, beginning at these, or at all that have a name.
    ///
    /// # Errors
    /// [`Failure`] if the engine refuses a market.
    pub(super) fn run(&self, families: &[Family]) -> Result<(Family, Found), Failure> {
        let began = Instant::now();
        let named = Family::named();
        let starts = if families.is_empty() {
            &named
        } else {
            families
        };
        let [natural, ..] = named;
        out::note(format_args!("searching for {} s …", self.budget.as_secs()));
        let mut anchor = f64::MAX;
        for _ in 0..5 {
            anchor = anchor.min(self.time(natural)?);
        }
        let mut draw = Draw::new(self.seed);
        let (mut worst, mut tried) = ((natural, anchor), 0usize);
        let mut restart = 0usize;
        while began.elapsed() < self.budget {
            let start = restart.checked_rem(starts.len()).unwrap_or(0);
            let Some(start) = starts.get(start) else {
                break;
            };
            restart = restart.saturating_add(1);
            let mut here = (*start, self.time(*start)?);
            let mut failures = 0;
            tried = tried.saturating_add(1);
            loop {
                if here.1 > worst.1 * LONGER {
                    // Once more: the worst is not the one at which the machine was busy.
                    here.1 = here.1.min(self.time(here.0)?);
                }
                if here.1 > worst.1 * LONGER {
                    worst = here;
                    let over = times(here.1 / anchor);
                    let seconds = began.elapsed().as_secs();
                    out::note(format_args!("  {over} after {seconds} s: {}", here.0));
                }
                if began.elapsed() >= self.budget || failures >= PATIENCE {
                    break;
                }
                let next = neighbour(&here.0, &mut draw);
                let took = self.time(next)?;
                tried = tried.saturating_add(1);
                if took > here.1 * LONGER {
                    (here, failures) = ((next, took), 0);
                } else {
                    failures = failures.saturating_add(1);
                }
            }
        }
        let found = Found {
            family: worst.0.to_string(),
            entries: self.entries,
            seed: self.seed,
            seconds: began.elapsed().as_secs_f64(),
            tried,
            ratio: worst.1 / anchor,
        };
        Ok((worst.0, found))
    }

    /// Seconds to solve and pay.
    fn time(&self, family: Family) -> Result<f64, Failure> {
        let subject = Subject::new(family, self.entries, self.seed)?;
        let (_, _, [solve, pay]) = subject.propose(&mut Solver::default())?;
        Ok(solve.saturating_add(pay).as_secs_f64())
    }
}

/// A family that differs in up to three numbers.
fn neighbour(family: &Family, draw: &mut Draw) -> Family {
    let mut next = *family;
    for _ in 0..draw.below(3).saturating_add(1) {
        let which = draw.below(Parameter::ALL.len() as u64) as usize;
        let Some(parameter) = Parameter::ALL.get(which) else {
            continue;
        };
        let (least, most) = parameter.bounds();
        let value = next.value(*parameter);
        let value = match draw.below(6) {
            0 => value.saturating_mul(2),
            1 => value / 2,
            2 => value.saturating_add(draw.below(4)).saturating_add(1),
            3 => value.saturating_sub(1),
            4 => least,
            // Any order of magnitude.
            _ => 10u64
                .saturating_pow(draw.below(13) as u32)
                .saturating_mul(draw.below(9).saturating_add(1)),
        };
        next = next
            .with(*parameter, value.clamp(least, most))
            .unwrap_or(next);
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_walk_reaches_every_parameter_and_stays_within_bounds() {
        let [mut family, ..] = Family::named();
        let (mut draw, mut changed) = (Draw::new(1), BTreeSet::new());
        for _ in 0..500 {
            let next = neighbour(&family, &mut draw);
            for parameter in Parameter::ALL {
                let (least, most) = parameter.bounds();
                assert!((least..=most).contains(&next.value(parameter)));
                if next.value(parameter) != family.value(parameter) {
                    changed.insert(parameter.name());
                }
            }
            assert_eq!(next.to_string().parse(), Ok(next));
            family = next;
        }
        assert_eq!(changed.len(), Parameter::ALL.len());
    }

    #[test]
    fn a_search_ends_with_a_family_that_can_be_asked_for() {
        let search = Search {
            entries: 200,
            seed: 3,
            budget: Duration::from_millis(300),
        };
        let (family, found) = search.run(&[]).unwrap();
        assert_eq!(found.family.parse(), Ok(family));
        assert!(found.tried > 0 && found.ratio >= 1.0);
    }
}
