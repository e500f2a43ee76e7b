//! Changes its messages a little, for each recipient anew (THREATS B21; ByzzFuzz, OOPSLA 2023: small changes find what large ones do not).

use super::{Behaviour, Hand};
use crate::{
    message::Message,
    sim::rng::Rng,
    vote::{Proposal, Vote, VoteKind},
};
use tender_wire::{BlockId, Round};

/// Blocks remembered, to be named in the wrong place.
const MAX_KNOWN: usize = 8;

/// A validator whose every message may name a neighbouring round, another block, the other kind of vote, another polka, or not come at all.
pub struct Mutator {
    rng: Rng,
    known: Vec<BlockId>,
}

impl Mutator {
    /// A mutator of a seed.
    pub fn new(seed: u64) -> Self {
        Mutator {
            rng: Rng::new(seed),
            known: Vec::new(),
        }
    }

    fn near(&mut self, round: Round) -> Round {
        match self.rng.below(4) {
            0 => round.next(),
            1 => Round(round.0.saturating_sub(1)),
            _ => round,
        }
    }

    fn block(&mut self, block: Option<BlockId>) -> Option<BlockId> {
        match self.rng.below(4) {
            0 => None,
            1 | 2 if !self.known.is_empty() => {
                Some(self.known[self.rng.below(self.known.len() as u64) as usize])
            }
            _ => block,
        }
    }

    fn vote(&mut self, vote: &Vote, hand: &mut Hand) -> Message {
        let kind = match (vote.kind, self.rng.chance(20)) {
            (VoteKind::Prevote, true) => VoteKind::Precommit,
            (VoteKind::Precommit, true) => VoteKind::Prevote,
            (kind, false) => kind,
        };
        let slot = (vote.height, self.near(vote.round), kind);
        let block = self.block(vote.block);
        let vote = Vote::sign(&mut hand.key, &hand.chain, slot, block);
        Message::Vote(Box::new(vote.expect("a key in memory signs")))
    }

    fn proposal(&mut self, message: &crate::message::Proposed, hand: &mut Hand) -> Message {
        let mut proposed = message.clone();
        let p = &message.proposal;
        let round = self.near(p.round);
        let pol = match self.rng.below(3) {
            0 => round.0.checked_sub(1).map(Round),
            1 => None,
            _ => p.pol_round.filter(|pol| *pol < round),
        };
        let block = self.block(Some(p.block)).unwrap_or(p.block);
        if block != p.block {
            proposed.block = None;
        }
        let slot = (p.height, round, pol);
        let proposal = Proposal::sign(&mut hand.key, &hand.chain, slot, block);
        proposed.proposal = proposal.expect("a key in memory signs");
        Message::Proposal(Box::new(proposed))
    }
}

impl Behaviour for Mutator {
    fn distort(&mut self, _: usize, message: Message, hand: &mut Hand) -> Vec<Message> {
        if let Message::Proposal(p) = &message {
            self.known.push(p.proposal.block);
            let over = self.known.len().saturating_sub(MAX_KNOWN);
            self.known.drain(..over);
        }
        let changed = match &message {
            Message::Vote(vote) => self.vote(vote, hand),
            Message::Proposal(proposed) => self.proposal(proposed, hand),
            Message::Evidence(_) => return vec![message],
        };
        match self.rng.below(4) {
            0 => Vec::new(),
            1 => vec![message],
            2 => vec![changed],
            _ => vec![message, changed],
        }
    }
}
