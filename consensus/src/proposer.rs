//! Who proposes: smooth weighted round robin (the one of nginx and CometBFT).
//!
//! One turn: every validator's priority grows by its power, the highest (ties: the lowest key) proposes and pays the total power. Over `total`
//! turns with a fixed set every validator proposes exactly `power` times, evenly spread. A height uses up one
//! turn whatever the round it is decided in (headers do not name rounds); round `r` looks `r` turns ahead,
//! modulo [`MAX_SCHEDULE`].
//!
//! Who is away has no turns, so that one dead validator does not slow the rest to its timeouts: a validator that the certificates of the last
//! [`ABSENT_AFTER`] blocks all lack is passed over, at most a third of the power at once, until a certificate names it again. Each block carries
//! its parent's certificate with every precommit its proposer holds; as certificates need two thirds, those away never are more than a third
//! unless the set changes. Meanwhile a priority stands still.
//!
//! Invariant: priorities stay within ±2·total; they are consensus state, committed through the header's `state_root`.
//!
//! Layout: `Vec<i128>`, one priority per validator in key order; `Vec<u8>`, how many blocks in a row lacked each, at most [`ABSENT_AFTER`].

use crate::{
    certificate::CommitCertificate,
    validators::{Validator, ValidatorIndex, ValidatorSet},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Blocks in a row whose certificates lack a validator before it is passed over: long enough that a certificate made in haste costs nobody a turn.
pub const ABSENT_AFTER: u8 = 8;

/// Turns of a validator set, in key order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rotation {
    priorities: Vec<i128>,
    missed: Vec<u8>,
}

impl Rotation {
    /// The rotation a chain starts with: nobody has proposed yet.
    pub fn new(validators: &ValidatorSet) -> Self {
        Rotation {
            priorities: vec![0; validators.len()],
            missed: vec![0; validators.len()],
        }
    }

    /// Notes whom the parent's certificate lacks. `voters` is the set it is of, `validators` the one whose turns these are.
    pub fn attend(
        &mut self,
        validators: &ValidatorSet,
        voters: &ValidatorSet,
        certificate: &CommitCertificate,
    ) {
        let precommits = certificate.precommits(voters).unwrap_or_default();
        let signed: BTreeSet<_> = precommits.into_iter().map(|(index, _)| index).collect();
        for (missed, validator) in self.missed.iter_mut().zip(validators.as_slice()) {
            let Some(index) = voters.index_of(&validator.key) else {
                continue;
            };
            *missed = match signed.contains(&index) {
                true => 0,
                false => missed.saturating_add(1).min(ABSENT_AFTER),
            };
        }
    }

    /// Takes one turn and names its proposer.
    pub fn turn(&mut self, validators: &ValidatorSet) -> ValidatorIndex {
        let mut best: Option<(i128, usize)> = None;
        let mut present = 0u128;
        let mut absent = 0u128;
        for (rank, ((priority, missed), validator)) in self
            .priorities
            .iter_mut()
            .zip(&self.missed)
            .zip(validators.as_slice())
            .enumerate()
        {
            let power = u128::from(validator.power.0);
            let passed_over = absent.saturating_add(power);
            if *missed >= ABSENT_AFTER && passed_over <= validators.total() / 3 {
                absent = passed_over;
                continue;
            }
            present = present.saturating_add(power);
            *priority = priority.saturating_add(signed(power));
            if best.is_none_or(|(top, _)| *priority > top) {
                best = Some((*priority, rank));
            }
        }
        let rank = best.map_or(0, |(_, rank)| rank);
        if let Some(priority) = self.priorities.get_mut(rank) {
            *priority = priority.saturating_sub(signed(present));
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
            let priority = self.priorities.get(rank)?;
            Some(((*priority).clamp(newcomer, bound), *self.missed.get(rank)?))
        };
        let (mut priorities, missed): (Vec<i128>, Vec<u8>) = next
            .as_slice()
            .iter()
            .map(|v| kept(v).unwrap_or((newcomer, 0)))
            .unzip();
        let sum: i128 = priorities.iter().sum();
        let mean = sum.div_euclid(i128::try_from(priorities.len()).unwrap_or(1).max(1));
        for priority in &mut priorities {
            *priority = priority.saturating_sub(mean);
        }
        Rotation { priorities, missed }
    }
}

fn signed(power: u128) -> i128 {
    i128::try_from(power).unwrap_or(i128::MAX)
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
    use crate::sim::{Rng, keys::test_validators};
    use tender_wire::{BlockId, Height, Power, Round, Signature};

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

    /// A certificate signed by the validators of these ranks; nobody looks at the signatures.
    fn signed_by(set: &ValidatorSet, ranks: impl IntoIterator<Item = u16>) -> CommitCertificate {
        let precommits = ranks
            .into_iter()
            .map(|rank| (ValidatorIndex(rank), Signature([0; 64])))
            .collect();
        CommitCertificate::assemble(set, (Height(1), Round(0), BlockId::ZERO), &precommits)
    }

    fn order(rotation: &Rotation, set: &ValidatorSet, turns: u32) -> Vec<u16> {
        let mut proposers = Proposers::new(set.clone(), rotation.clone());
        (0..turns).map(|r| proposers.of(Round(r)).0).collect()
    }

    /// L3: who is away has no turns, from the eighth certificate without it until the first with it.
    #[test]
    fn who_is_away_is_passed_over_until_it_is_back() {
        let set = test_validators(&[1; 4]);
        let mut rotation = Rotation::new(&set);
        for missed in 0..ABSENT_AFTER {
            assert!(order(&rotation, &set, 4).contains(&2), "{missed}");
            rotation.attend(&set, &set, &signed_by(&set, [0, 1, 3]));
            rotation.turn(&set);
        }
        assert_eq!(order(&rotation, &set, 6), [3, 0, 1, 3, 0, 1]);
        rotation.attend(&set, &set, &signed_by(&set, 0..4));
        assert!(order(&rotation, &set, 4).contains(&2));
    }

    #[test]
    fn no_more_than_a_third_is_passed_over() {
        let set = test_validators(&[1; 7]);
        let mut rotation = Rotation::new(&set);
        for _ in 0..ABSENT_AFTER {
            rotation.attend(&set, &set, &signed_by(&set, [6]));
        }
        assert_eq!(order(&rotation, &set, 5), [2, 3, 4, 5, 6]);
    }

    /// Of another set: a newcomer has missed nothing, who stays has missed what it missed.
    #[test]
    fn absences_are_carried_over_by_key() {
        let all = test_validators(&[1; 5]);
        let fewer = ValidatorSet::new(all.as_slice()[1..].to_vec()).unwrap();
        let mut rotation = Rotation::new(&fewer);
        for _ in 0..ABSENT_AFTER {
            rotation.attend(&fewer, &all, &signed_by(&all, [0, 1, 3, 4]));
        }
        assert_eq!(rotation.missed, [0, ABSENT_AFTER, 0, 0]);
        let more = rotation.carry_over(&fewer, &all);
        assert_eq!(more.missed, [0, 0, ABSENT_AFTER, 0, 0]);
        let mut more = more;
        more.attend(&all, &fewer, &signed_by(&fewer, [0, 2, 3]));
        assert_eq!(more.missed, [0, 0, ABSENT_AFTER, 0, 0]);
    }

    /// Whoever comes and goes, priorities stay bounded and nobody present waits long.
    #[test]
    fn coming_and_going_unbalances_nothing() {
        let set = test_validators(&[1, 5, 3, 7, 2, 2, 4]);
        let bound = 2 * i128::try_from(set.total()).unwrap();
        let mut rng = Rng::new(7);
        let mut rotation = Rotation::new(&set);
        for _ in 0..10_000 {
            let away = u16::try_from(rng.below(7)).unwrap();
            let certificate = signed_by(&set, (0..7).filter(|rank| *rank != away));
            for _ in 0..rng.below(20) {
                rotation.attend(&set, &set, &certificate);
                let proposer = rotation.turn(&set).0;
                assert!(rotation.missed[usize::from(proposer)] < ABSENT_AFTER);
                assert!(rotation.priorities.iter().all(|p| p.abs() <= bound));
            }
        }
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
