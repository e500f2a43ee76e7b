//! Gossip: proposals, votes and evidence on their way to the kernel.

use super::{
    Engine, HaltReason, Peer,
    admission::{Refusal, Verified, check},
    log::Novelty,
    past::Late,
};
use crate::{
    application::Application,
    block::CompactBlock,
    evidence::{Evidence, Offence},
    kernel,
    message::{Message, Proposed},
    validators::ValidatorIndex,
    vote::{Proposal, Vote},
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
            return self.late_vote(vote);
        }
        if vote.height > self.height() {
            self.hint(from, vote.height);
            let checked = check(vote, &self.chain.chain, |v| {
                self.next_rules(v.height, &v.validator, |kept| kept.is_vote(v))
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
                self.next_rules(p.height, &p.validator, |kept| kept.is_proposal(p))?;
                check_pol_round(p)?;
                check_pushed(p, block.as_ref())
            });
            return Ok(checked.map(|p| {
                let validator = p.validator;
                let message = NextMessage::Proposal(Box::new((p, block)));
                self.next.push(validator, message);
            }));
        }
        if proposal.height < self.height() {
            return self.late_proposal(proposal);
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
        self.refuse_own(&vote.validator, vote.height, vote.round)?;
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
        self.refuse_own(&proposal.validator, proposal.height, proposal.round)?;
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
        match novelty {
            Novelty::Duplicate => Err(Refusal::Duplicate),
            Novelty::Conflict if self.evidence.against(validator).is_some() => {
                Err(Refusal::KnownOffender)
            }
            Novelty::Conflict if self.evidence.is_full() => Err(Refusal::PoolFull),
            Novelty::New if !self.live.kernel.has_room(round, index) => Err(Refusal::FutureRound),
            Novelty::New | Novelty::Conflict => Ok(()),
        }
    }

    /// The next height's set is not known yet; members of the present one are very likely in it.
    fn next_rules(
        &self,
        height: Height,
        validator: &PublicKey,
        same: impl Fn(&NextMessage) -> bool,
    ) -> Result<(), Refusal> {
        let current = self.height();
        if height != current.next() {
            return Err(Refusal::FutureHeight {
                found: height,
                current,
            });
        }
        self.member(validator)?;
        let kept = self.next.of(validator);
        if kept.iter().any(same) {
            return Err(Refusal::Duplicate); // a copy must not take room
        }
        if kept.len() >= MAX_NEXT_MESSAGES {
            return Err(Refusal::FutureRound);
        }
        Ok(())
    }

    fn member(&self, validator: &PublicKey) -> Result<ValidatorIndex, Refusal> {
        let index = self.chain.validators.index_of(validator);
        index.ok_or(Refusal::NotAValidator)
    }

    /// A vote of a height decided: a precommit for the tip still enters the next block's certificate, and one that contradicts what is kept of
    /// that height convicts its author.
    fn late_vote(&mut self, vote: Vote) -> Admitted {
        let (height, validator, round) = (vote.height, vote.validator, vote.round);
        let place = self.past.place_vote(&vote);
        let checked = check(vote, &self.chain.chain, |_| {
            self.late_rules(&place, height, &validator)
        });
        let vote = match checked {
            Ok(vote) => vote,
            Err(refusal) => return Ok(Err(refusal)),
        };
        match place {
            Late::Missing(index) => self.past.complete(index, vote.signature),
            Late::Contradicts(first) => {
                self.refuse_own(&validator, height, round)?;
                self.own_evidence(Evidence::votes(first, vote.into_inner()));
            }
            Late::Nothing | Late::Duplicate => {}
        }
        Ok(Ok(()))
    }

    /// A proposal of a height decided is good for nothing, unless it contradicts the one kept.
    fn late_proposal(&mut self, proposal: Proposal) -> Admitted {
        let (height, validator, round) = (proposal.height, proposal.validator, proposal.round);
        let place = self.past.place_proposal(&proposal);
        let checked = check(proposal, &self.chain.chain, |_| {
            self.late_rules(&place, height, &validator)
        });
        match (checked, place) {
            (Err(refusal), _) => return Ok(Err(refusal)),
            (Ok(second), Late::Contradicts(first)) => {
                self.refuse_own(&validator, height, round)?;
                self.own_evidence(Evidence::proposals(first, second.into_inner()));
            }
            (Ok(_), _) => {}
        }
        Ok(Ok(()))
    }

    fn late_rules<T>(
        &self,
        place: &Late<T>,
        height: Height,
        validator: &PublicKey,
    ) -> Result<(), Refusal> {
        let (found, current) = (height, self.height());
        match place {
            Late::Nothing => Err(Refusal::OldHeight { found, current }),
            Late::Duplicate => Err(Refusal::Duplicate),
            Late::Missing(_) => Ok(()),
            Late::Contradicts(_) => self.offence_rules(&Offence {
                height,
                validator: *validator,
            }),
        }
    }

    /// Whether evidence of this offence would be kept.
    fn offence_rules(&self, offence: &Offence) -> Result<(), Refusal> {
        match self.evidence.against(&offence.validator) {
            Some(known) if known == *offence => Err(Refusal::Duplicate),
            Some(_) => Err(Refusal::KnownOffender),
            None if self.evidence.is_full() => Err(Refusal::PoolFull),
            None => self
                .chain
                .admits_offence(offence)
                .map_err(Refusal::StaleEvidence),
        }
    }

    fn foreign_evidence(&mut self, evidence: Evidence) -> Result<(), Refusal> {
        let rules = |e: &Evidence| self.offence_rules(&e.offence());
        let evidence = check(evidence, &self.chain.chain, rules)?;
        self.keep_evidence(evidence.into_inner());
        Ok(())
    }

    /// Two verified messages that conflict: keep and tell.
    fn own_evidence(&mut self, evidence: Evidence) {
        let offence = evidence.offence();
        if self.offence_rules(&offence).is_ok() {
            tracing::warn!(validator = %offence.validator, height = %offence.height, "equivocation");
            self.keep_evidence(evidence.clone());
            self.outbox.tell(Message::Evidence(evidence));
        }
    }

    fn keep_evidence(&mut self, evidence: Evidence) {
        self.log(WalRecord::Evidence(evidence.clone()));
        self.evidence.add(evidence);
        self.save_evidence();
    }

    /// Puts the offences waiting on disk without waiting for a signature, which may never come. Not before the block below is stored: the log of a
    /// height must not be ahead of the store.
    pub(super) fn save_evidence(&mut self) {
        if self.stored == self.chain.height && !self.evidence.is_empty() {
            self.outbox.flush();
        }
    }

    /// What we sign is stored as we sign it, so nothing of ours passes the door as new unless another process signed it.
    fn refuse_own(
        &self,
        validator: &PublicKey,
        height: Height,
        round: Round,
    ) -> Result<(), HaltReason> {
        if self.live.me.is_none() || Some(*validator) != self.key {
            return Ok(());
        }
        let key = *validator;
        Err(HaltReason::KeyInUseElsewhere { key, height, round })
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
    fn of(&self, validator: &PublicKey) -> &[NextMessage] {
        self.0.get(validator).map_or(&[], Vec::as_slice)
    }

    /// Keeps a message; of a sender's blocks only the first: of the next height a peer has one turn at most in its first rounds, and what is
    /// not kept is asked for.
    fn push(&mut self, validator: PublicKey, mut message: NextMessage) {
        let kept = self.0.entry(validator).or_default();
        let has_block = |m: &NextMessage| matches!(m, NextMessage::Proposal(p) if p.1.is_some());
        if let NextMessage::Proposal(pair) = &mut message
            && kept.iter().any(has_block)
        {
            pair.1 = None;
        }
        kept.push(message);
    }
}

impl NextMessage {
    fn is_vote(&self, vote: &Vote) -> bool {
        let slot = |v: &Vote| (v.round, v.kind, v.block);
        matches!(self, NextMessage::Vote(kept) if slot(kept) == slot(vote))
    }

    fn is_proposal(&self, proposal: &Proposal) -> bool {
        let slot = |p: &Proposal| (p.round, p.pol_round, p.block);
        matches!(self, NextMessage::Proposal(kept) if slot(&kept.0) == slot(proposal))
    }
}
