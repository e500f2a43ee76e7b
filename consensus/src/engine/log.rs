//! Signed messages of the height in progress: what certificates, evidence and catch-up are made of.
//!
//! Invariant: one proposal per round, and of a validator's conflicting votes the first that came and those the kernel counts besides. Bound: the
//! kernel's, which is asked for room first.

use super::admission::Verified;
use crate::{
    evidence::Evidence,
    message::{Bundle, MAX_BUNDLE_MESSAGES},
    validators::ValidatorIndex,
    vote::{Proposal, Vote, VoteKind},
};
use std::collections::BTreeMap;
use tender_wire::{BlockId, Height, PublicKey, Round, Signature};

/// How a message compares with what is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Novelty {
    /// Nothing in its slot yet.
    New,
    /// The same content is here.
    Duplicate,
    /// Other content is here: the pair is evidence.
    Conflict,
}

#[derive(Default)]
pub(super) struct MessageLog {
    proposals: BTreeMap<Round, Proposal>,
    votes: BTreeMap<(Round, VoteKind, ValidatorIndex), Vec<Vote>>,
}

impl MessageLog {
    pub(super) fn len(&self) -> usize {
        self.proposals.len().saturating_add(self.votes.len())
    }

    pub(super) fn proposal_novelty(&self, proposal: &Proposal) -> Novelty {
        match self.proposals.get(&proposal.round) {
            None => Novelty::New,
            Some(p) if (p.block, p.pol_round) == (proposal.block, proposal.pol_round) => {
                Novelty::Duplicate
            }
            Some(_) => Novelty::Conflict,
        }
    }

    pub(super) fn proposal(&self, round: Round) -> Option<&Proposal> {
        self.proposals.get(&round)
    }

    /// The first vote of a slot.
    pub(super) fn first_vote(
        &self,
        round: Round,
        kind: VoteKind,
        index: ValidatorIndex,
    ) -> Option<&Vote> {
        self.votes.get(&(round, kind, index))?.first()
    }

    /// Every vote, by round.
    pub(super) fn votes(&self) -> impl DoubleEndedIterator<Item = &Vote> {
        self.votes.values().flatten()
    }

    pub(super) fn vote_novelty(&self, index: ValidatorIndex, vote: &Vote) -> Novelty {
        match self.votes.get(&(vote.round, vote.kind, index)) {
            None => Novelty::New,
            Some(cast) if cast.iter().any(|v| v.block == vote.block) => Novelty::Duplicate,
            Some(_) => Novelty::Conflict,
        }
    }

    /// Stores a proposal, or gives the evidence it makes with the one here.
    pub(super) fn add_proposal(&mut self, proposal: &Verified<Proposal>) -> Option<Evidence> {
        let proposal = &**proposal;
        match (
            self.proposal_novelty(proposal),
            self.proposals.get(&proposal.round),
        ) {
            (Novelty::Conflict, Some(first)) => {
                Some(Evidence::proposals(first.clone(), proposal.clone()))
            }
            (Novelty::New, _) => {
                self.proposals.insert(proposal.round, proposal.clone());
                None
            }
            _ => None,
        }
    }

    /// Stores a vote if it is the first of its slot or `counts` besides; gives the evidence it makes with the first.
    pub(super) fn add_vote(
        &mut self,
        index: ValidatorIndex,
        vote: &Verified<Vote>,
        counts: bool,
    ) -> Option<Evidence> {
        let vote = &**vote;
        let cast = self
            .votes
            .entry((vote.round, vote.kind, index))
            .or_default();
        if cast.iter().any(|v| v.block == vote.block) {
            return None;
        }
        let evidence = cast
            .first()
            .map(|first| Evidence::votes(first.clone(), vote.clone()));
        if evidence.is_none() || counts {
            cast.push(vote.clone());
        }
        evidence
    }

    /// Signatures of the precommits for a block in a round.
    pub(super) fn precommits(
        &self,
        round: Round,
        block: BlockId,
    ) -> BTreeMap<ValidatorIndex, Signature> {
        self.votes
            .range((round, VoteKind::Precommit, ValidatorIndex(0))..)
            .take_while(|((r, kind, _), _)| (*r, *kind) == (round, VoteKind::Precommit))
            .filter_map(|((_, _, index), cast)| {
                let vote = cast.iter().find(|vote| vote.block == Some(block))?;
                Some((*index, vote.signature))
            })
            .collect()
    }

    /// Everything here but the messages of `without`, latest rounds first, up to the cap; `first` is a round to begin with (that of the polka
    /// the current proposal refers to).
    pub(super) fn bundle(
        &self,
        tip: Height,
        first: Option<Round>,
        without: Option<PublicKey>,
    ) -> Bundle {
        let wanted = |key: &PublicKey| Some(*key) != without;
        let is_first = |round: &Round| Some(*round) == first;
        // Two passes by reference: what is asked often must not copy a long height each time.
        let proposals: Vec<Proposal> = [true, false]
            .into_iter()
            .flat_map(|pass| {
                let rounds = self.proposals.values().rev();
                rounds.filter(move |p| is_first(&p.round) == pass)
            })
            .filter(|p| wanted(&p.validator))
            .take(MAX_BUNDLE_MESSAGES / 16)
            .cloned()
            .collect();
        let votes = [true, false]
            .into_iter()
            .flat_map(|pass| {
                self.votes()
                    .rev()
                    .filter(move |v| is_first(&v.round) == pass)
            })
            .filter(|v| wanted(&v.validator))
            .take(MAX_BUNDLE_MESSAGES.saturating_sub(proposals.len()))
            .cloned()
            .collect();
        Bundle {
            tip,
            proposals,
            votes,
        }
    }
}
