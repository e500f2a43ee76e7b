//! Beginning a height, building blocks, executing them, and signing.

use super::{Effect, Engine, HaltReason, Timeout, TimeoutKind, admission::Verified};
use crate::{
    application::Application,
    block::Annex,
    kernel,
    message::{MAX_PUSHED_BLOCK_BYTES, Message, Proposed},
    tx::TxBytes,
    vote::{Proposal, Vote, VoteKind},
    wal::WalRecord,
};
use tender_wire::{BlockId, Round, encode};

/// How long a peer that knows of nothing to decide lets a round wait, in milliseconds: one round in a minute costs nothing, and is what a
/// transaction that only a minority has may have to wait per turn.
pub const IDLE_ROUND_MS: u64 = 60_000;

/// A round that others may have begun for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// None.
    No,
    /// This one waits for something to decide, or for [`IDLE_ROUND_MS`].
    Until(Round),
    /// This one waited, and goes on.
    Over(Round),
}

impl<A: Application> Engine<A> {
    /// Whether to hold back a propose timeout because nothing is known that could be proposed, and everyone has had a turn to show something.
    pub(super) fn rests(&mut self, timeout: kernel::Timeout) -> bool {
        let kernel::Timeout { round, kind } = timeout;
        let turns = u32::try_from(self.chain.validators.len()).unwrap_or(u32::MAX);
        let waiting = kind == kernel::TimeoutKind::Propose
            && self.round() == (round, kernel::Step::Propose)
            && round.0 >= turns;
        let waited = [Rest::Until(round), Rest::Over(round)].contains(&self.live.rest);
        if !waiting || waited || self.has_reason() || self.has_work() {
            return false;
        }
        self.live.rest = Rest::Until(round);
        self.live.calm = round;
        self.expire_after(timeout, IDLE_ROUND_MS);
        true
    }

    /// Ends a rest as soon as there is something to decide: the round then gets its time.
    pub(super) fn wake(&mut self) -> bool {
        let Rest::Until(round) = self.live.rest else {
            return false;
        };
        let waiting = self.round() == (round, kernel::Step::Propose);
        let wakes = waiting && (self.has_reason() || (self.look && self.has_work()));
        if wakes {
            self.live.rest = Rest::Over(round);
            let kind = kernel::TimeoutKind::Propose;
            self.schedule(kernel::Timeout { round, kind });
        }
        wakes
    }

    /// A verdict lasts as long as the body: a block whose body had to go is to be fetched and judged again before it is voted for.
    pub(super) fn forgotten(&self) -> Option<(kernel::Input, WalRecord)> {
        let held = |block: &BlockId| self.live.bodies.is_applied(block);
        let block = self.live.kernel.unpinned().find(|block| !held(block))?;
        let input = kernel::Input::Forgotten { block };
        Some((input, WalRecord::Forgotten(block)))
    }

    /// Comes back when the block interval has passed.
    pub(super) fn wait_for_interval(&mut self) {
        let left = self.chain.earliest().0.saturating_sub(self.now.0);
        if left > 0 {
            let timeout = Timeout {
                height: self.height(),
                kind: TimeoutKind::Interval,
            };
            self.outbox.push(Effect::Schedule {
                timeout,
                after_ms: left,
            });
        }
    }

    /// Begins the height if it may and there is a reason to.
    pub(super) fn begin(&mut self) -> bool {
        let may = self.stored == self.chain.height && self.now >= self.chain.earliest();
        let called = self.live.log.len() > 0;
        if self.live.begun
            || !may
            || !(called || self.has_reason() || (self.look && self.has_work()))
        {
            return false;
        }
        self.live.begun = true;
        let start = (kernel::Input::Start, WalRecord::Begin);
        self.live.inputs.push_back(start);
        true
    }

    /// Builds the block the kernel waits for, once there is something to put into it.
    pub(super) fn build(&mut self) -> bool {
        let may = std::mem::take(&mut self.look) && self.now >= self.chain.earliest();
        let Some(round) = self.live.build.filter(|_| may) else {
            return false;
        };
        let waiting = (round, kernel::Step::Propose) == self.round();
        if !waiting || self.live.kernel.proposed(round).is_some() {
            self.live.build = None;
            return false;
        }
        let annex = Annex {
            last_certificate: self.past.last_certificate(),
            evidence: self.evidence.for_block(),
            witnesses: Vec::new(),
        };
        match self
            .chain
            .build(&*self.app, self.now, annex, &self.candidates())
        {
            Ok(None) => false, // tried again when there is something new
            Ok(Some((block, applied))) => {
                self.live.build = None;
                let id = block.id();
                let needed = self.live.needed();
                self.live.bodies.add_applied(&block, applied, &needed);
                self.log(WalRecord::Block(Box::new(block)));
                let input = kernel::Input::Built { round, block: id };
                let record = WalRecord::Built { round, block: id };
                self.live.inputs.push_back((input, record));
                true
            }
            Err(error) => {
                // Our own application contradicts itself: others will propose, this round times out.
                tracing::error!(%error, height = %self.height(), "the block built here does not apply");
                self.live.build = None;
                false
            }
        }
    }

    /// Executes a block some rule waits for, if one is complete.
    pub(super) fn judge(&mut self) -> bool {
        let wanted = self.live.kernel.wanted();
        let Some((id, block)) = wanted
            .into_iter()
            .find_map(|id| Some((id, self.live.bodies.complete(&id)?)))
        else {
            return false;
        };
        let valid = match self.chain.apply(&*self.app, &block) {
            Ok(applied) => {
                self.live.bodies.set_applied(&id, applied);
                self.log(WalRecord::Block(Box::new(block)));
                true
            }
            Err(error) => {
                tracing::warn!(%error, height = %self.height(), block = %id, "invalid block");
                false
            }
        };
        let input = kernel::Input::Judged { block: id, valid };
        let record = WalRecord::Judged { block: id, valid };
        self.live.inputs.push_back((input, record));
        true
    }

    /// Signs a vote, unless it was signed before; then it must be the same.
    pub(super) fn sign_vote(
        &mut self,
        kind: VoteKind,
        round: Round,
        block: Option<BlockId>,
    ) -> Result<(), HaltReason> {
        let height = self.height();
        let vote = match self.live.signed.get(&(round, Some(kind))) {
            Some(Message::Vote(vote)) if vote.block == block => (**vote).clone(),
            Some(_) => return Err(HaltReason::OwnEquivocation { height, round }),
            None => {
                self.may_sign_anew()?;
                let Some(signer) = self.signer.as_deref_mut() else {
                    return Ok(());
                };
                let vote = Vote::sign(signer, &self.chain.chain, (height, round, kind), block)?;
                self.outbox.log(WalRecord::SignedVote(vote.clone()));
                vote
            }
        };
        if let Some(me) = self.live.me {
            self.live
                .log
                .add_vote(me, &Verified::own(vote.clone()), false);
        }
        self.publish((round, Some(kind)), Message::Vote(Box::new(vote)));
        Ok(())
    }

    /// Signs a proposal, unless it was signed before; then it must be the same.
    pub(super) fn sign_proposal(
        &mut self,
        round: Round,
        block: BlockId,
        pol_round: Option<Round>,
    ) -> Result<(), HaltReason> {
        let height = self.height();
        let proposal = match self.live.signed.get(&(round, None)) {
            Some(Message::Proposal(p))
                if (p.proposal.block, p.proposal.pol_round) == (block, pol_round) =>
            {
                p.proposal.clone()
            }
            Some(_) => return Err(HaltReason::OwnEquivocation { height, round }),
            None => {
                self.may_sign_anew()?;
                let Some(signer) = self.signer.as_deref_mut() else {
                    return Ok(());
                };
                let slot = (height, round, pol_round);
                let proposal = Proposal::sign(signer, &self.chain.chain, slot, block)?;
                self.outbox.log(WalRecord::SignedProposal(proposal.clone()));
                proposal
            }
        };
        self.live.log.add_proposal(&Verified::own(proposal.clone()));
        let small = |compact: &&_| encode(*compact).len() <= MAX_PUSHED_BLOCK_BYTES;
        let block = self.live.bodies.compact(&block).filter(small).cloned();
        let proposed = Proposed { proposal, block };
        self.publish((round, None), Message::Proposal(Box::new(proposed)));
        Ok(())
    }

    fn publish(&mut self, slot: (Round, Option<VoteKind>), message: Message) {
        self.live.signed.insert(slot, message.clone());
        self.rederived(slot);
        self.outbox.send(message);
    }

    /// Whether there is something to decide, as far as can be told without asking the application.
    fn has_reason(&self) -> bool {
        self.chain.needs_block
            || self.chain.is_news(self.evidence.all())
            || self.live.kernel.is_worth_a_round()
    }

    /// Whether the application would put something pooled into the next block.
    fn has_work(&self) -> bool {
        let candidates = self.candidates();
        !candidates.is_empty()
            && self
                .chain
                .has_work(&*self.app, self.now, Vec::new(), &candidates)
    }

    fn candidates(&self) -> Vec<TxBytes> {
        let params = &self.chain.params;
        let max = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
        self.pool
            .candidates(max(params.max_block_txs), max(params.max_block_bytes))
    }
}
