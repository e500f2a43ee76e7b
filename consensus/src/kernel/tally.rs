//! Votes received, by round, and the weights that decide the rules.
//!
//! Invariant: one proposal per round; of a validator's votes of one kind in one round the first counts, and a conflicting prevote counts as well
//! only for the block a later proposal re-proposes with that round as its polka ([`Tally::wants`]). Without that, an equivocator could let some peers see
//! a polka, lock, and never convince the others, who heard its other vote first. Counting it for both is what the paper does, and safe: two
//! quorums still share an honest validator.
//! Bound: for rounds not yet reached, each sender fills at most [`MAX_FUTURE_ROUNDS`] rounds, with proposals none further than
//! [`MAX_ROUND_AHEAD`]; a sender that floods spoils only its own room (THREATS B8). Rounds already reached are paced by timeouts. Votes may be of any
//! round: those who stayed are far ahead of a latecomer, and only their votes bring it to their round.

use super::io::{ProposalInput, VoteInput};
use crate::{
    validators::{ValidatorIndex, ValidatorSet, exceeds_one_third, exceeds_two_thirds},
    vote::VoteKind,
};
use std::collections::{BTreeMap, BTreeSet};
use tender_wire::{BlockId, Round};

/// Rounds ahead of the own for which one sender's messages are kept. Honest senders move on, and f+1 of them make us follow.
pub const MAX_FUTURE_ROUNDS: usize = 8;
/// Furthest round ahead a proposal is kept for: bounds the work of finding its proposer before its signature is checked.
pub const MAX_ROUND_AHEAD: u32 = 1000;

type Votes = BTreeMap<ValidatorIndex, BTreeSet<Option<BlockId>>>;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Tally {
    powers: Vec<u64>,
    total: u128,
    proposals: BTreeMap<Round, (ValidatorIndex, ProposalInput)>,
    votes: BTreeMap<(Round, VoteKind), Votes>,
}

impl Tally {
    pub(super) fn new(validators: &ValidatorSet) -> Self {
        Tally {
            powers: validators.as_slice().iter().map(|v| v.power.0).collect(),
            total: validators.total(),
            proposals: BTreeMap::new(),
            votes: BTreeMap::new(),
        }
    }

    /// Whether a message of `sender` in `round` may still be stored, seen from round `now`.
    pub(super) fn has_room(&self, now: Round, round: Round, sender: ValidatorIndex) -> bool {
        if round <= now {
            return true;
        }
        let mut rounds = self.rounds_of(now, sender);
        rounds.insert(round);
        rounds.len() <= MAX_FUTURE_ROUNDS
    }

    pub(super) fn add_proposal(&mut self, from: ValidatorIndex, proposal: ProposalInput) {
        let ill = proposal.pol_round.is_some_and(|p| p >= proposal.round);
        if !ill {
            self.proposals
                .entry(proposal.round)
                .or_insert((from, proposal));
        }
    }

    pub(super) fn add_vote(&mut self, vote: VoteInput) {
        if usize::from(vote.validator.0) >= self.powers.len() {
            return;
        }
        let wanted = self.wants(vote.round, vote.kind, vote.block);
        let votes = self.votes.entry((vote.round, vote.kind)).or_default();
        let cast = votes.entry(vote.validator).or_default();
        if cast.is_empty() || wanted {
            cast.insert(vote.block);
        }
    }

    /// Whether a vote counts even beside another one of the same validator: a stored proposal refers to it as part of its polka.
    pub(super) fn wants(&self, round: Round, kind: VoteKind, block: Option<BlockId>) -> bool {
        let later = self.proposals.range(round.next()..);
        kind == VoteKind::Prevote
            && later
                .into_iter()
                .any(|(_, (_, p))| p.pol_round == Some(round) && Some(p.block) == block)
    }

    pub(super) fn proposal(&self, round: Round) -> Option<ProposalInput> {
        self.proposals.get(&round).map(|(_, p)| *p)
    }

    /// The block with more than two thirds of the votes of a kind, if any ("polka" for prevotes).
    pub(super) fn majority(&self, round: Round, kind: VoteKind) -> Option<BlockId> {
        let votes = self.votes.get(&(round, kind))?;
        let named: BTreeSet<BlockId> = votes.values().flatten().flatten().copied().collect();
        named
            .into_iter()
            .find(|block| self.quorum(votes, |cast| cast.contains(&Some(*block))))
    }

    /// More than two thirds voted nil.
    pub(super) fn nil_majority(&self, round: Round, kind: VoteKind) -> bool {
        let votes = self.votes.get(&(round, kind));
        votes.is_some_and(|votes| self.quorum(votes, |cast| cast.contains(&None)))
    }

    /// More than two thirds voted, whatever for.
    pub(super) fn any_majority(&self, round: Round, kind: VoteKind) -> bool {
        let votes = self.votes.get(&(round, kind));
        votes.is_some_and(|votes| self.quorum(votes, |_| true))
    }

    /// Every (round, block) with more than two thirds of the precommits.
    pub(super) fn commits(&self) -> impl Iterator<Item = (Round, BlockId)> + '_ {
        self.votes
            .keys()
            .filter(|(_, kind)| *kind == VoteKind::Precommit)
            .filter_map(|(round, kind)| Some((*round, self.majority(*round, *kind)?)))
    }

    /// The highest round that senders with more than a third of the power have reached, if it is not before `from`.
    pub(super) fn reached(&self, from: Round) -> Option<Round> {
        let mut last: BTreeMap<ValidatorIndex, Round> = BTreeMap::new();
        let mut saw = |sender, round: Round| {
            let entry = last.entry(sender).or_insert(round);
            *entry = round.max(*entry);
        };
        for ((round, _), votes) in self.votes.range((from, VoteKind::Prevote)..) {
            votes.keys().for_each(|sender| saw(*sender, *round));
        }
        for (round, (sender, _)) in self.proposals.range(from..) {
            saw(*sender, *round);
        }
        let mut senders: Vec<(Round, ValidatorIndex)> =
            last.into_iter().map(|(s, r)| (r, s)).collect();
        senders.sort_unstable_by(|a, b| b.cmp(a));
        let mut power = 0u128;
        senders.into_iter().find_map(|(round, sender)| {
            power = power.saturating_add(self.power(sender));
            exceeds_one_third(power, self.total).then_some(round)
        })
    }

    fn rounds_of(&self, now: Round, sender: ValidatorIndex) -> BTreeSet<Round> {
        let votes = self
            .votes
            .range((now.next(), VoteKind::Prevote)..)
            .filter(|(_, votes)| votes.contains_key(&sender))
            .map(|((round, _), _)| *round);
        let proposals = self
            .proposals
            .range(now.next()..)
            .filter(|(_, (from, _))| *from == sender)
            .map(|(round, _)| *round);
        votes.chain(proposals).collect()
    }

    fn power(&self, validator: ValidatorIndex) -> u128 {
        let power = self.powers.get(usize::from(validator.0));
        u128::from(power.copied().unwrap_or(0))
    }

    fn quorum(&self, votes: &Votes, counts: impl Fn(&BTreeSet<Option<BlockId>>) -> bool) -> bool {
        let power = votes
            .iter()
            .filter(|(_, cast)| counts(cast))
            .map(|(validator, _)| self.power(*validator))
            .fold(0u128, u128::saturating_add);
        exceeds_two_thirds(power, self.total)
    }
}
