//! Who proposes: smooth weighted round robin (the one of nginx and CometBFT).
//!
//! One turn: every validator's priority grows by its power, the highest (ties: the lowest key) proposes and pays the total power. Over `total`
//! turns with a fixed set every validator proposes exactly `power` times, evenly spread. A height uses up one
//! turn whatever the round it is decided in (headers do not name rounds); round `r` looks `r` turns ahead,
//! modulo [`MAX_SCHEDULE`].
//!
//! Invariant: priorities stay within ±2·total; they are consensus state, committed through the header's `state_root`.
//! Skipping validators absent from recent certificates will change [`Rotation::turn`] alone.
//!
//! Layout: `Vec<i128>`, one priority per validator in key order.

use crate::validators::{Validator, ValidatorIndex, ValidatorSet};
use serde::{Deserialize, Serialize};

/// Priorities of a validator set, in key order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rotation {
    priorities: Vec<i128>,
}

impl Rotation {
    /// The rotation a chain starts with: nobody has proposed yet.
    pub fn new(validators: &ValidatorSet) -> Self {
        Rotation {
            priorities: vec![0; validators.len()],
        }
    }

    /// Takes one turn and names its proposer.
    pub fn turn(&mut self, validators: &ValidatorSet) -> ValidatorIndex {
        let mut best: Option<(i128, usize)> = None;
        for (rank, (priority, validator)) in self
            .priorities
            .iter_mut()
            .zip(validators.as_slice())
            .enumerate()
        {
            *priority = priority.saturating_add(i128::from(validator.power.0));
            if best.is_none_or(|(top, _)| *priority > top) {
                best = Some((*priority, rank));
            }
        }
        let rank = best.map_or(0, |(_, rank)| rank);
        if let Some(priority) = self.priorities.get_mut(rank) {
            *priority = priority.saturating_sub(signed(validators.total()));
        }
        ValidatorIndex(u16::try_from(rank).unwrap_or(u16::MAX))
    }

    /// The rotation for `next` after this one for `current`. Newcomers start at −total, behind everyone, so leaving and
    /// coming back gains no turn; then priorities are centred again so that they stay bounded.
    #[must_use]
    pub fn carry_over(&self, current: &ValidatorSet, next: &ValidatorSet) -> Self {
        if current == next {
            return self.clone();
        }
        let newcomer = signed(next.total()).saturating_neg();
        let bound = signed(next.total());
        let kept = |v: &Validator| {
            let rank = usize::from(current.index_of(&v.key)?.0);
            self.priorities
                .get(rank)
                .map(|p| (*p).clamp(newcomer, bound))
        };
        let mut priorities: Vec<i128> = next
            .as_slice()
            .iter()
            .map(|v| kept(v).unwrap_or(newcomer))
            .collect();
        let sum: i128 = priorities.iter().sum();
        let mean = sum.div_euclid(i128::try_from(priorities.len()).unwrap_or(1).max(1));
        for priority in &mut priorities {
            *priority = priority.saturating_sub(mean);
        }
        Rotation { priorities }
    }
}

fn signed(total: u128) -> i128 {
    i128::try_from(total).unwrap_or(i128::MAX)
}

/// Rounds after which a height's schedule begins anew: 45 days of the longest timeouts. It bounds what a vote for a far round costs: more than a third
/// of the power can name any round, and would else keep everyone busy counting to it (THREATS B8, B23).
pub const MAX_SCHEDULE: u32 = 1 << 16;

/// The proposers of one height, round by round, computed as far as they are asked for: at most [`MAX_SCHEDULE`] rounds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Proposers {
    validators: ValidatorSet,
    rotation: Rotation,
    known: Vec<ValidatorIndex>,
}

impl Proposers {
    /// The schedule of a height that starts with `rotation`.
    pub fn new(validators: ValidatorSet, rotation: Rotation) -> Self {
        Proposers {
            validators,
            rotation,
            known: Vec::new(),
        }
    }

    /// Proposer of a round.
    pub fn of(&mut self, round: tender_wire::Round) -> ValidatorIndex {
        let round = round.0.checked_rem(MAX_SCHEDULE).unwrap_or(0);
        let at = usize::try_from(round).unwrap_or(usize::MAX);
        loop {
            if let Some(index) = self.known.get(at) {
                return *index;
            }
            let next = self.rotation.turn(&self.validators);
            self.known.push(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::keys::test_validators;
    use tender_wire::{Power, Round};

    #[test]
    fn every_validator_proposes_exactly_in_proportion_to_its_power() {
        let set = test_validators(&[1, 5, 3, 7]);
        let mut rotation = Rotation::new(&set);
        let mut turns = vec![0u64; set.len()];
        for _ in 0..16 * 3 {
            turns[usize::from(rotation.turn(&set).0)] += 1;
        }
        for (n, v) in turns.iter().zip(set.as_slice()) {
            assert_eq!(Power(*n), Power(v.power.0 * 3));
        }
        assert_eq!(
            rotation,
            Rotation::new(&set),
            "a full cycle ends where it began"
        );
    }

    #[test]
    fn equal_powers_take_turns_in_key_order() {
        let set = test_validators(&[1; 4]);
        let mut proposers = Proposers::new(set.clone(), Rotation::new(&set));
        let order: Vec<u16> = (0..8).map(|r| proposers.of(Round(r)).0).collect();
        assert_eq!(order, [0, 1, 2, 3, 0, 1, 2, 3]);
    }

    #[test]
    fn leaving_and_coming_back_gains_no_turn() {
        let all = test_validators(&[1; 4]);
        let fewer = ValidatorSet::new(all.as_slice()[1..].to_vec()).unwrap();
        let mut rotation = Rotation::new(&all);
        rotation.turn(&all); // validator 0 has just proposed
        let back = rotation.carry_over(&all, &fewer).carry_over(&fewer, &all);
        let mut proposers = Proposers::new(all, back);
        let order: Vec<u16> = (0..4).map(|r| proposers.of(Round(r)).0).collect();
        assert_eq!(order.last(), Some(&0), "{order:?}");
    }

    /// B8, B23: a round that a third made up costs no more than the schedule, in time and memory.
    #[test]
    fn the_furthest_round_has_a_proposer_at_once() {
        let set = test_validators(&[1, 5, 3, 7]);
        let mut proposers = Proposers::new(set.clone(), Rotation::new(&set));
        let last = proposers.of(Round(u32::MAX));
        assert_eq!(proposers.known.len(), MAX_SCHEDULE as usize);
        assert_eq!(last, proposers.of(Round(MAX_SCHEDULE - 1)));
        let first: Vec<_> = (0..32).map(|r| proposers.of(Round(r))).collect();
        let again: Vec<_> = (MAX_SCHEDULE..MAX_SCHEDULE + 32)
            .map(|r| proposers.of(Round(r)))
            .collect();
        assert_eq!(first, again);
    }

    #[test]
    fn extreme_powers_do_not_overflow() {
        let set = test_validators(&[u64::MAX; 5]);
        let mut rotation = Rotation::new(&set);
        for _ in 0..100 {
            rotation.turn(&set);
        }
        assert!(
            rotation
                .priorities
                .iter()
                .all(|p| p.unsigned_abs() <= 2 * set.total())
        );
    }
}
