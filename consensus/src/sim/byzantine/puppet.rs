//! Says what its engine says (THREATS B3, Twins): what is wrong with it is done from outside.

use super::{Behaviour, Hand};
use crate::message::Message;

/// A validator run twice ([`crate::sim::SimConfig::twins`]) or made to forget ([`crate::sim::Sim::forget`]): its engine is honest, the whole is not.
pub struct Puppet;

impl Behaviour for Puppet {
    fn distort(&mut self, _: usize, message: Message, _: &mut Hand) -> Vec<Message> {
        vec![message]
    }
}
