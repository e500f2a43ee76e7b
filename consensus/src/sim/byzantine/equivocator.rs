//! Says different things to different peers (THREATS B1, B2).

use super::{Behaviour, Hand};
use crate::message::Message;
use tender_wire::BlockId;

/// Proposes one block to even peers and another, equally valid, to odd ones; votes honestly.
pub struct ProposalEquivocator;

impl Behaviour for ProposalEquivocator {
    fn distort(&mut self, to: usize, message: Message, hand: &mut Hand) -> Vec<Message> {
        match &message {
            Message::Proposal(proposed) if to & 1 == 1 => {
                vec![hand.proposal(proposed, |h| h.time = h.time.next())]
            }
            _ => vec![message],
        }
    }
}

/// Sends every vote twice: as it is, and for nil (or, where it is nil, for a block nobody proposed).
pub struct VoteEquivocator;

impl Behaviour for VoteEquivocator {
    fn distort(&mut self, to: usize, message: Message, hand: &mut Hand) -> Vec<Message> {
        let Message::Vote(vote) = &message else {
            return vec![message];
        };
        let other = match vote.block {
            Some(_) => None,
            None => Some(BlockId([0xee; 32])),
        };
        let other = hand.vote(vote, other);
        if to & 1 == 1 {
            vec![other, message]
        } else {
            vec![message, other]
        }
    }
}
