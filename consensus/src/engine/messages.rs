//! Gossip: proposals, votes and evidence on their way to the kernel.

use super::{
    Engine, HaltReason, Peer,
    admission::{Refusal, Verified, check},
    log::Novelty,
};
use crate::{
    application::Application,
    block::CompactBlock,
    evidence::{Evidence, Offence},
    kernel,
    message::{Message, Proposed},
    validators::ValidatorIndex,
    vote::{Proposal, Vote, VoteKind},
    wal::WalRecord,
};
use std::collections::BTreeMap;
use tender_wire::{BlockId, Height, PublicKey, Round};

/// Messages of the next height kept per validator: two rounds of a proposal and two votes, and some.
pub const MAX_NEXT_MESSAGES: usize = 8;
/// Peers remembered per block as likely to have it.
pub const MAX_SOURCES: usize = 8;

/// Verified messages of the next height, kept until it begins.
#[derive(Default)]
pub(super) struct NextHeight(BTreeMap<PublicKey, Vec<NextMessage>>);

pub(super) enum NextMessage {
    Proposal(Box<(Verified<Proposal>, Option<CompactBlock>)>),
    Vote(Verified<Vote>),
}

type Admitted = Result<Result<(), Refusal>, HaltReason>;

impl<A: Application> Engine<A> {
    pub(super) fn gossip(&mut self, from: Peer, message: Message) -> Admitted {
        match message {
            Message::Proposal(proposed) => self.proposal(from, *proposed),
            Message::Vote(vote) => self.vote(from, *vote),
            Message::Evidence(evidence) => Ok(self.foreign_evidence(evidence)),
        }
    }

    pub(super) fn vote(&mut self, from: Peer, vote: Vote) -> Admitted {
        if vote.height < self.height() {
            return Ok(self.late_precommit(vote));
        }
        if vote.height > self.height() {
            self.hint(from, vote.height);
            let checked = check(vote, &self.chain.chain, |v| {
                self.next_rules(v.height, &v.validator)
            });
            return Ok(checked.map(|v| self.next.push(v.validator, NextMessage::Vote(v))));
        }
        match check(vote, &self.chain.chain, |v| self.vote_rules(v)) {
            Ok(vote) => {
                if let Some(block) = vote.block {
                    self.source(block, from);
                }
                self.take_vote(vote).map(Ok)
            }
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    pub(super) fn proposal(&mut self, from: Peer, proposed: Proposed) -> Admitted {
        let Proposed { proposal, block } = proposed;
        if proposal.height > self.height() {
            self.hint(from, proposal.height);
            let checked = check(proposal, &self.chain.chain, |p| {
                self.next_rules(p.height, &p.validator)?;
                check_pol_round(p)?;
                check_pushed(p, block.as_ref())
            });
            return Ok(checked.map(|p| {
                let validator = p.validator;
                let message = NextMessage::Proposal(Box::new((p, block)));
                self.next.push(validator, message);
            }));
        }
        let rules = self.proposal_rules(&proposal);
        let checked = check(proposal, &self.chain.chain, |p| {
            match (&rules, &block) {
                (Err(Refusal::Duplicate), Some(_)) | (Ok(()), _) => {
                    check_pushed(p, block.as_ref())?
                }
                _ => {}
            }
            rules
        });
        match checked {
            Ok(proposal) => {
                self.source(proposal.block, from);
                self.take_proposal(proposal, block).map(Ok)
            }
            Err(refusal) => {
                // The same proposal again may bring the block that an earlier copy lacked.
                if let (Refusal::Duplicate, Some(block)) = (&refusal, block) {
                    self.take_body(block);
                }
                Ok(Err(refusal))
            }
        }
    }

    /// Feeds what was kept for the height that has just begun.
    pub(super) fn take_next(&mut self) -> Result<(), HaltReason> {
        let height = self.height();
        for message in std::mem::take(&mut self.next).0.into_values().flatten() {
            match message {
                NextMessage::Vote(vote) => {
                    if vote.height == height && self.vote_rules(&vote).is_ok() {
                        self.take_vote(vote)?;
                    }
                }
                NextMessage::Proposal(pair) => {
                    let (proposal, block) = *pair;
                    if proposal.height == height && self.proposal_rules(&proposal).is_ok() {
                        self.take_proposal(proposal, block)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// A vote that passed the door.
    fn take_vote(&mut self, vote: Verified<Vote>) -> Result<(), HaltReason> {
        self.refuse_own(&vote.validator, vote.round)?;
        let Some(validator) = self.chain.validators.index_of(&vote.validator) else {
            return Ok(());
        };
        let counts = self.live.kernel.wants(vote.round, vote.kind, vote.block);
        if let Some(evidence) = self.live.log.add_vote(validator, &vote, counts) {
            self.own_evidence(evidence);
            if !counts {
                return Ok(());
            }
        }
        let input = kernel::VoteInput {
            kind: vote.kind,
            round: vote.round,
            validator,
            block: vote.block,
        };
        let record = WalRecord::Vote(vote.into_inner());
        self.live
            .inputs
            .push_back((kernel::Input::Vote(input), record));
        Ok(())
    }

    /// A proposal that passed the door.
    fn take_proposal(
        &mut self,
        proposal: Verified<Proposal>,
        block: Option<CompactBlock>,
    ) -> Result<(), HaltReason> {
        self.refuse_own(&proposal.validator, proposal.round)?;
        if let Some(evidence) = self.live.log.add_proposal(&proposal) {
            self.own_evidence(evidence);
            return Ok(());
        }
        let proposal = proposal.into_inner();
        if let Some(block) = block {
            let needed = self.live.needed();
            self.live.bodies.add_compact(block, &*self.pool, &needed);
        }
        if proposal.pol_round.is_none() {
            self.live.untimed.insert(proposal.round, proposal);
        } else {
            self.push_proposal(proposal, true);
        }
        Ok(())
    }

    /// Hands the kernel the fresh proposals whose header has arrived, judging their time by the clock of this moment.
    pub(super) fn time_proposals(&mut self) -> bool {
        let timed: Vec<(Round, bool)> = self
            .live
            .untimed
            .iter()
            .filter_map(|(round, p)| Some((*round, self.is_timely(*round, &p.block)?)))
            .collect();
        for (round, timely) in &timed {
            if let Some(proposal) = self.live.untimed.remove(round) {
                self.push_proposal(proposal, *timely);
            }
        }
        !timed.is_empty()
    }

    /// Takes a compact block that hashes to its id, if a rule needs it.
    pub(super) fn take_body(&mut self, block: CompactBlock) {
        let needed = self.live.needed();
        if needed.contains(&block.header.id()) {
            self.live.bodies.add_compact(block, &*self.pool, &needed);
        }
    }

    fn push_proposal(&mut self, proposal: Proposal, timely: bool) {
        let input = kernel::ProposalInput {
            round: proposal.round,
            block: proposal.block,
            pol_round: proposal.pol_round,
            timely,
        };
        let record = WalRecord::Proposal { proposal, timely };
        self.live
            .inputs
            .push_back((kernel::Input::Proposal(input), record));
    }

    /// Proposer-based timestamps: not ahead of our clock by more than its precision, not behind by more than a message may take. What a
    /// message may take is not known, so every round allows more.
    fn is_timely(&self, round: Round, block: &BlockId) -> Option<bool> {
        let time = self.live.bodies.compact(block)?.header.time.0;
        let params = &self.chain.params;
        let rounds = u64::from(round.0).saturating_add(1);
        let behind = params.max_clock_behind_ms.saturating_mul(rounds);
        let latest = self.now.0.saturating_add(params.max_clock_ahead_ms);
        Some(time <= latest && time >= self.now.0.saturating_sub(behind))
    }

    fn vote_rules(&self, vote: &Vote) -> Result<(), Refusal> {
        let index = self.member(&vote.validator)?;
        let novelty = self.live.log.vote_novelty(index, vote);
        let kernel = &self.live.kernel;
        if novelty == Novelty::Conflict && kernel.wants(vote.round, vote.kind, vote.block) {
            return Ok(());
        }
        self.slot_rules(novelty, vote.round, index, &vote.validator)
    }

    fn proposal_rules(&mut self, proposal: &Proposal) -> Result<(), Refusal> {
        if proposal.height < self.height() {
            return Err(Refusal::OldHeight {
                found: proposal.height,
                current: self.height(),
            });
        }
        let index = self.member(&proposal.validator)?;
        check_pol_round(proposal)?;
        if !self.live.kernel.is_near(proposal.round) {
            return Err(Refusal::FutureRound);
        }
        let novelty = self.live.log.proposal_novelty(proposal);
        self.slot_rules(novelty, proposal.round, index, &proposal.validator)?;
        if self.live.kernel.proposer(proposal.round) != index {
            return Err(Refusal::NotTheProposer);
        }
        Ok(())
    }

    /// What proposals and votes have in common.
    fn slot_rules(
        &self,
        novelty: Novelty,
        round: Round,
        index: ValidatorIndex,
        validator: &PublicKey,
    ) -> Result<(), Refusal> {
        let offence = Offence {
            height: self.height(),
            validator: *validator,
        };
        match novelty {
            Novelty::Duplicate => Err(Refusal::Duplicate),
            Novelty::Conflict if self.evidence.contains(&offence) => Err(Refusal::KnownOffender),
            Novelty::New if !self.live.kernel.has_room(round, index) => Err(Refusal::FutureRound),
            Novelty::New | Novelty::Conflict => Ok(()),
        }
    }

    /// The next height's set is not known yet; members of the present one are very likely in it.
    fn next_rules(&self, height: Height, validator: &PublicKey) -> Result<(), Refusal> {
        let current = self.height();
        if height != current.next() {
            return Err(Refusal::FutureHeight {
                found: height,
                current,
            });
        }
        self.member(validator)?;
        if !self.next.has_room(validator) {
            return Err(Refusal::FutureRound);
        }
        Ok(())
    }

    fn member(&self, validator: &PublicKey) -> Result<ValidatorIndex, Refusal> {
        let index = self.chain.validators.index_of(validator);
        index.ok_or(Refusal::NotAValidator)
    }

    /// Precommits for the tip that come after the decision still enter the next block's certificate.
    fn late_precommit(&mut self, vote: Vote) -> Result<(), Refusal> {
        let chain = &self.chain;
        let old = Refusal::OldHeight {
            found: vote.height,
            current: chain.height.next(),
        };
        let fits = vote.height == chain.height
            && vote.kind == VoteKind::Precommit
            && vote.block == Some(chain.tip);
        let (Some(commit), Some(index), true) = (
            self.last_commit.as_mut(),
            chain.last_validators.index_of(&vote.validator),
            fits,
        ) else {
            return Err(old);
        };
        let vote = check(vote, &chain.chain, |v| {
            if v.round != commit.round {
                Err(old)
            } else if commit.precommits.contains_key(&index) {
                Err(Refusal::Duplicate)
            } else {
                Ok(())
            }
        })?;
        commit.precommits.insert(index, vote.signature);
        Ok(())
    }

    fn foreign_evidence(&mut self, evidence: Evidence) -> Result<(), Refusal> {
        let evidence = check(evidence, &self.chain.chain, |e| {
            let offence = e.offence();
            if self.evidence.contains(&offence) {
                return Err(Refusal::Duplicate);
            }
            if self.evidence.is_full() {
                return Err(Refusal::PoolFull);
            }
            self.chain
                .admits_offence(&offence)
                .map_err(Refusal::StaleEvidence)
        })?;
        self.evidence.add(evidence.into_inner());
        Ok(())
    }

    /// Two verified messages that conflict: keep and tell.
    fn own_evidence(&mut self, evidence: Evidence) {
        let offence = evidence.offence();
        let new = !self.evidence.contains(&offence) && self.chain.admits_offence(&offence).is_ok();
        if new {
            tracing::warn!(validator = %offence.validator, height = %offence.height, "equivocation");
            self.evidence.add(evidence.clone());
            self.outbox.tell(Message::Evidence(evidence));
        }
    }

    /// What we sign is stored as we sign it, so nothing of ours passes the door as new unless another process signed it.
    fn refuse_own(&self, validator: &PublicKey, round: Round) -> Result<(), HaltReason> {
        if self.live.me.is_none() || Some(*validator) != self.key {
            return Ok(());
        }
        Err(HaltReason::KeyInUseElsewhere {
            key: *validator,
            height: self.height(),
            round,
        })
    }

    fn source(&mut self, block: BlockId, from: Peer) {
        let sources = self.live.sources.entry(block).or_default();
        if sources.len() < MAX_SOURCES && !sources.contains(&from) {
            sources.push(from);
        }
    }
}

/// Known from the proposal alone, so a proposal of the next height is held to it too: its next receiver may be there already.
fn check_pol_round(proposal: &Proposal) -> Result<(), Refusal> {
    match proposal.pol_round {
        Some(pol) if pol >= proposal.round => Err(Refusal::BadPolRound),
        _ => Ok(()),
    }
}

/// A block that came with a proposal must be the one proposed.
fn check_pushed(proposal: &Proposal, block: Option<&CompactBlock>) -> Result<(), Refusal> {
    let Some(block) = block else { return Ok(()) };
    if block.header.id() != proposal.block {
        return Err(Refusal::WrongBlock);
    }
    Ok(block.check_body()?)
}

impl NextHeight {
    fn has_room(&self, validator: &PublicKey) -> bool {
        self.0
            .get(validator)
            .is_none_or(|m| m.len() < MAX_NEXT_MESSAGES)
    }

    fn push(&mut self, validator: PublicKey, message: NextMessage) {
        self.0.entry(validator).or_default().push(message);
    }
}
