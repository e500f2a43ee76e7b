//! Proposes blocks that claim a state execution does not give (THREATS B6).

use super::{Behaviour, Hand};
use crate::message::Message;
use tender_wire::Digest;

/// A proposer that lies about the state root.
pub struct WrongRoot;

impl Behaviour for WrongRoot {
    fn distort(&mut self, _: usize, message: Message, hand: &mut Hand) -> Vec<Message> {
        match &message {
            Message::Proposal(proposed) if proposed.proposal.pol_round.is_none() => {
                vec![hand.proposal(proposed, |h| h.state_root = Digest([0x66; 32]))]
            }
            // Standing by its lie: the honest engine inside voted for the honest block.
            _ => vec![message],
        }
    }
}
