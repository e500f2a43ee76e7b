//! Byzantine validators, each a module: an honest engine whose outgoing messages pass through a [`Behaviour`].

mod equivocator;
mod nuller;
mod silent;
mod withholder;
mod wrong_root;

pub use equivocator::{ProposalEquivocator, VoteEquivocator};
pub use nuller::Nuller;
pub use silent::Silent;
pub use withholder::Withholder;
pub use wrong_root::WrongRoot;

use crate::{
    message::{Message, Proposed},
    vote::{Proposal, Vote},
};
use tender_wire::{ChainId, SecretKey};

/// What a Byzantine validator makes of a message of its own, per recipient.
pub trait Behaviour {
    /// The messages to send instead.
    fn distort(&mut self, to: usize, message: Message, hand: &mut Hand) -> Vec<Message>;
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
    pub fn proposal(
        &mut self,
        proposed: &Proposed,
        change: impl FnOnce(&mut crate::block::Header),
    ) -> Message {
        let mut forged = proposed.clone();
        if let Some(block) = &mut forged.block {
            change(&mut block.header);
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
