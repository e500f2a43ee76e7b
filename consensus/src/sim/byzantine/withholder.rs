//! Shows its proposals to one peer only (THREATS B4).

use super::{Behaviour, Hand};
use crate::message::Message;

/// A proposer that reveals its block to a single peer.
pub struct Withholder {
    /// The peer that may see it.
    pub only: usize,
}

impl Behaviour for Withholder {
    fn distort(&mut self, to: usize, message: Message, _: &mut Hand) -> Vec<Message> {
        match message {
            Message::Proposal(_) if to != self.only => Vec::new(),
            message => vec![message],
        }
    }
}
