//! Byzantine validators, each a module: an honest engine whose outgoing messages pass through a [`Behaviour`].

mod equivocator;
mod forger;
mod mutator;
mod nuller;
mod puppet;
mod silent;
mod sync_liar;
mod withholder;
mod wrong_root;

pub use equivocator::{ProposalEquivocator, VoteEquivocator};
pub use forger::{Forged, Forger, refit};
pub use mutator::Mutator;
pub use nuller::Nuller;
pub use puppet::Puppet;
pub use silent::Silent;
pub use sync_liar::SyncLiar;
pub use withholder::Withholder;
pub use wrong_root::WrongRoot;

use crate::{
    block::{CompactBlock, Header},
    message::{Message, Proposed, Request, Response},
    vote::{Proposal, Vote},
};
use tender_wire::{ChainId, SecretKey};

/// What a Byzantine validator makes of a message of its own, per recipient.
pub trait Behaviour {
    /// The messages to send instead.
    fn distort(&mut self, to: usize, message: Message, hand: &mut Hand) -> Vec<Message>;

    /// The answer to give instead of the honest one, if any.
    fn answer(
        &mut self,
        _to: usize,
        _request: &Request,
        honest: Response,
        _hand: &mut Hand,
    ) -> Option<Response> {
        Some(honest)
    }
}

/// The key in the wrong hands.
pub struct Hand {
    /// It signs anything.
    pub key: SecretKey,
    /// The chain.
    pub chain: ChainId,
}

impl Hand {
    /// The same vote for another block, signed.
    pub fn vote(&mut self, vote: &Vote, block: Option<tender_wire::BlockId>) -> Message {
        let slot = (vote.height, vote.round, vote.kind);
        match Vote::sign(&mut self.key, &self.chain, slot, block) {
            Ok(vote) => Message::Vote(Box::new(vote)),
            Err(_) => Message::Vote(Box::new(vote.clone())),
        }
    }

    /// The same proposal with a changed header, signed.
    pub fn proposal(&mut self, proposed: &Proposed, change: impl FnOnce(&mut Header)) -> Message {
        self.block(proposed, |block| change(&mut block.header))
    }

    /// The same proposal with a changed block, signed.
    pub fn block(
        &mut self,
        proposed: &Proposed,
        change: impl FnOnce(&mut CompactBlock),
    ) -> Message {
        let mut forged = proposed.clone();
        if let Some(block) = &mut forged.block {
            change(block);
            let p = &proposed.proposal;
            let slot = (p.height, p.round, p.pol_round);
            if let Ok(proposal) =
                Proposal::sign(&mut self.key, &self.chain, slot, block.header.id())
            {
                forged.proposal = proposal;
            }
        }
        Message::Proposal(Box::new(forged))
    }
}
