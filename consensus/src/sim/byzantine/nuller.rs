//! Votes nil, always (THREATS B9).

use super::{Behaviour, Hand};
use crate::message::Message;

/// A validator that accepts nothing and proposes nothing.
pub struct Nuller;

impl Behaviour for Nuller {
    fn distort(&mut self, _: usize, message: Message, hand: &mut Hand) -> Vec<Message> {
        match message {
            Message::Vote(vote) => vec![hand.vote(&vote, None)],
            Message::Proposal(_) => Vec::new(),
            evidence @ Message::Evidence(_) => vec![evidence],
        }
    }
}
