//! Says nothing.

use super::{Behaviour, Hand};
use crate::message::{Message, Request, Response};

/// A validator that is connected and never speaks.
pub struct Silent;

impl Behaviour for Silent {
    fn distort(&mut self, _: usize, _: Message, _: &mut Hand) -> Vec<Message> {
        Vec::new()
    }

    fn answer(&mut self, _: usize, _: &Request, _: Response, _: &mut Hand) -> Option<Response> {
        None
    }
}
