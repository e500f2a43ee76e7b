//! Proposes blocks changed at will, and stands by them (THREATS B5, B6, B7).

use super::{Behaviour, Hand};
use crate::{
    block::{CompactBlock, tx_root},
    message::{Message, Request, Response},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};
use tender_wire::BlockId;

/// What a [`Forger`] has proposed, by the id of the forgery, shared with the test.
#[derive(Clone, Default)]
pub struct Forged(Arc<Mutex<BTreeMap<BlockId, CompactBlock>>>);

impl Forged {
    /// The forgeries so far.
    pub fn all(&self) -> Vec<CompactBlock> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<BlockId, CompactBlock>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A proposer that changes every fresh block of its own before it shows it, votes for the change, and serves it.
pub struct Forger<F> {
    change: F,
    forged: Forged,
    /// Forgery by the honest block it replaces.
    instead: BTreeMap<BlockId, BlockId>,
}

impl<F: FnMut(&mut CompactBlock)> Forger<F> {
    /// A forger of this change. What it leaves as it is is proposed honestly.
    pub fn new(change: F) -> (Self, Forged) {
        let forged = Forged::default();
        let forger = Forger {
            change,
            forged: forged.clone(),
            instead: BTreeMap::new(),
        };
        (forger, forged)
    }
}

impl<F: FnMut(&mut CompactBlock)> Behaviour for Forger<F> {
    fn distort(&mut self, _: usize, message: Message, hand: &mut Hand) -> Vec<Message> {
        match &message {
            Message::Proposal(proposed) => {
                let Some(honest) = &proposed.block else {
                    return vec![message];
                };
                let id = honest.header.id();
                let known = self.instead.get(&id).copied();
                let forged = match known.and_then(|id| self.forged.lock().get(&id).cloned()) {
                    Some(forged) => forged,
                    None if proposed.proposal.pol_round.is_none() => {
                        let mut forged = honest.clone();
                        (self.change)(&mut forged);
                        if forged == *honest {
                            return vec![message];
                        }
                        self.instead.insert(id, forged.header.id());
                        self.forged
                            .lock()
                            .insert(forged.header.id(), forged.clone());
                        forged
                    }
                    None => return vec![message],
                };
                vec![hand.block(proposed, |block| *block = forged)]
            }
            Message::Vote(vote) => {
                let instead = vote.block.and_then(|id| self.instead.get(&id));
                match instead {
                    Some(forged) => vec![hand.vote(vote, Some(*forged))],
                    None => vec![message],
                }
            }
            Message::Evidence(_) => vec![message],
        }
    }

    fn answer(
        &mut self,
        _: usize,
        request: &Request,
        honest: Response,
        _: &mut Hand,
    ) -> Option<Response> {
        let Request::Block(id) = request else {
            return Some(honest);
        };
        let forged = self.forged.lock().get(id).cloned();
        Some(forged.map_or(honest, |block| Response::Block(Some(Box::new(block)))))
    }
}

/// Fits the header's hashes to the body, so that a change of the body is not noticed at the door already.
pub fn refit(block: &mut CompactBlock) {
    block.header.tx_root = tx_root(block.transactions.iter().copied());
    block.header.last_certificate_hash = block.annex.last_certificate_hash();
    block.header.evidence_hash = block.annex.evidence_hash();
    block.header.witness_hash = block.annex.witness_hash();
}
