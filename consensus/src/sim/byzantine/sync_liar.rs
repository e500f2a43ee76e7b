//! Lies to whoever catches up (THREATS B13; CVE-2025-24371: a height claimed, then lowered).

use super::{Behaviour, Hand};
use crate::{
    message::{Message, Request, Response},
    sim::rng::Rng,
};
use tender_wire::Height;

/// A validator that votes honestly and answers falsely: tips it does not have, then lower ones; ranges with holes, cut short, of other heights,
/// with certificates swapped or bodies changed; or nothing.
pub struct SyncLiar {
    rng: Rng,
}

impl SyncLiar {
    /// A liar of a seed.
    pub fn new(seed: u64) -> Self {
        SyncLiar {
            rng: Rng::new(seed),
        }
    }
}

impl Behaviour for SyncLiar {
    fn distort(&mut self, _: usize, message: Message, _: &mut Hand) -> Vec<Message> {
        vec![message]
    }

    fn answer(
        &mut self,
        _: usize,
        _: &Request,
        honest: Response,
        _: &mut Hand,
    ) -> Option<Response> {
        match honest {
            Response::Votes(mut bundle) => {
                let far = Height(bundle.tip.0.saturating_add(1_000));
                let claims = [far, Height(1), bundle.tip, Height(u64::MAX)];
                bundle.tip = claims[self.rng.below(4) as usize];
                Some(Response::Votes(bundle))
            }
            Response::Blocks(mut blocks) => {
                match self.rng.below(7) {
                    0 => return None,
                    1 => blocks.clear(),
                    2 => blocks.truncate(1),
                    3 if blocks.len() > 2 => {
                        blocks.remove(1);
                    }
                    4 if blocks.len() > 1 => {
                        blocks.remove(0);
                    }
                    5 if blocks.len() > 1 => {
                        let (first, rest) = blocks.split_at_mut(1);
                        std::mem::swap(&mut first[0].certificate, &mut rest[0].certificate);
                    }
                    _ => {
                        if let Some(last) = blocks.last_mut() {
                            last.block.annex.witnesses.push(vec![6]);
                        }
                    }
                }
                Some(Response::Blocks(blocks))
            }
            other => Some(other),
        }
    }
}
