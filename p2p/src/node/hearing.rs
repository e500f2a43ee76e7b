//! After a restart a validator hears others before it speaks.
//!
//! The vote log stands crashes, but not everything people do: a home put back from a backup, store and log alike, does not know what it signed since. Its
//! neighbours do. So a validator that has voted before asks them for the votes of its height, and what it signs meanwhile stays here. A vote of its own
//! that it does not remember halts the engine ([`tender_consensus::engine::HaltReason::KeyInUseElsewhere`]), and nothing has left (THREATS P7).
//!
//! One more neighbour than may lie is heard, each at this peer's own height: who is further answers with blocks, not with votes. Bounds: [`PATIENCE`], so
//! that nobody waits for ever where all start at once, or alone; [`MAX_HELD`].

use super::{driver::Outgoing, shared::Shared};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};
use tender_consensus::{
    engine::{Durable, Peer},
    message::{Message, Request, Response},
};
use tender_wire::{Height, PublicKey};

/// Longest wait for neighbours; they are connected and asked within a second or two where they run.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two questions.
const ASK_EVERY: Duration = Duration::from_millis(200);
/// Messages kept: far more than one height makes in that time. Others ask for what is dropped.
pub(crate) const MAX_HELD: usize = 256;

/// A validator that listens.
pub(super) struct Hearing {
    key: PublicKey,
    /// Neighbours to be heard.
    needed: usize,
    heard: BTreeSet<Peer>,
    held: Vec<Durable<Message>>,
    next: Instant,
    end: Instant,
}

impl Hearing {
    /// What a start begins with: nothing where the peer has never voted, or is the only validator.
    pub(super) fn after_restart(shared: &Shared, has_voted: bool) -> Option<Hearing> {
        let key = shared.validator.filter(|_| has_voted)?;
        let validators = shared.chain().validators.len();
        let liars = validators.saturating_sub(1).checked_div(3)?;
        let now = Instant::now();
        (validators > 1).then(|| Hearing {
            key,
            needed: liars.saturating_add(1),
            heard: BTreeSet::new(),
            held: Vec::new(),
            next: now,
            end: now.checked_add(PATIENCE).unwrap_or(now),
        })
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.heard.len() >= self.needed || now >= self.end
    }

    /// When to look again.
    pub(super) fn next(&self) -> Instant {
        self.next.min(self.end)
    }

    /// The question of this moment, if it is time for one.
    pub(super) fn ask(&mut self, now: Instant, height: Height) -> Option<Outgoing> {
        if now < self.next {
            return None;
        }
        self.next = now.checked_add(ASK_EVERY).unwrap_or(now);
        Some(Outgoing::Ask {
            request: Request::Votes(height),
            prefer: Vec::new(),
        })
    }

    /// A neighbour said what it holds of a height. It counts if it is at this very height, and the engine has taken it in.
    pub(super) fn heard(&mut self, from: Peer, said: (Height, Height), height: Height) {
        let (asked, tip) = said;
        if asked == height && tip.next() == height {
            self.heard.insert(from);
        }
    }

    /// Keeps a message until it is known to be no second one; gives back what need not wait.
    pub(super) fn hold(&mut self, message: Durable<Message>) -> Option<Durable<Message>> {
        if height_of(message.value()).is_none() {
            return Some(message);
        }
        if self.held.len() < MAX_HELD {
            self.held.push(message);
        }
        None
    }

    /// A height is over: nobody needs its votes, and at the next one nobody has been heard.
    pub(super) fn committed(&mut self, height: Height) {
        self.heard.clear();
        self.held.retain(|it| height_of(it.value()) > Some(height));
    }

    /// Takes this peer's own messages out of an answer.
    pub(super) fn keep_back(&self, response: &mut Response) {
        if let Response::Votes(bundle) = response {
            bundle.proposals.retain(|it| it.validator != self.key);
            bundle.votes.retain(|it| it.validator != self.key);
        }
    }

    /// What may be said now.
    pub(super) fn into_held(self) -> Vec<Durable<Message>> {
        self.held
    }
}

/// What an answer about votes says: the height asked about and the answering peer's tip.
pub(super) fn votes_of(request: &Request, response: &Response) -> Option<(Height, Height)> {
    match (request, response) {
        (Request::Votes(height), Response::Votes(bundle)) => Some((*height, bundle.tip)),
        _ => None,
    }
}

/// The height of a signed message of consensus.
fn height_of(message: &Message) -> Option<Height> {
    match message {
        Message::Proposal(proposed) => Some(proposed.proposal.height),
        Message::Vote(vote) => Some(vote.height),
        Message::Evidence(_) => None,
    }
}
