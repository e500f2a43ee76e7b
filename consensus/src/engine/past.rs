//! The last heights decided: what late messages are held against.
//!
//! The tip's precommits grow until its child is built. A message that contradicts one kept here convicts its author although its height is over, and a
//! second certificate for a height kept here is a fork. Bound: [`MAX_PAST_HEIGHTS`] heights of one signature per validator, and of the tip every message.

use super::log::MessageLog;
use crate::{
    certificate::CommitCertificate,
    validators::{ValidatorIndex, ValidatorSet},
    vote::{Proposal, Vote, VoteKind},
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};
use tender_wire::{BlockId, Height, Round, Signature};

/// Heights below the current one whose certificates are kept: an answer to a question asked some blocks ago still finds its height here.
pub const MAX_PAST_HEIGHTS: usize = 64;

/// The last heights decided, the tip last.
#[derive(Default)]
pub(super) struct Past {
    heights: VecDeque<Decided>,
    /// Everything heard of the tip's height before it was decided.
    log: MessageLog,
}

/// A height decided.
pub(super) struct Decided {
    pub(super) height: Height,
    pub(super) block: BlockId,
    pub(super) validators: Arc<ValidatorSet>,
    round: Round,
    precommits: BTreeMap<ValidatorIndex, Signature>,
}

/// What a message of a height decided is good for.
pub(super) enum Late<T> {
    /// Nothing.
    Nothing,
    /// Seen before.
    Duplicate,
    /// A precommit for the tip that its certificate lacks.
    Missing(ValidatorIndex),
    /// It contradicts this one.
    Contradicts(T),
}

impl Past {
    pub(super) fn push(&mut self, decided: Decided, log: MessageLog) {
        self.log = log;
        self.heights.push_back(decided);
        while self.heights.len() > MAX_PAST_HEIGHTS {
            self.heights.pop_front();
        }
    }

    pub(super) fn at(&self, height: Height) -> Option<&Decided> {
        self.heights.iter().rev().find(|d| d.height == height)
    }

    /// The tip's certificate with every precommit seen.
    pub(super) fn last_certificate(&self) -> Option<CommitCertificate> {
        self.heights.back().map(Decided::certificate)
    }

    /// Adds a verified precommit found [missing](Late::Missing).
    pub(super) fn complete(&mut self, index: ValidatorIndex, signature: Signature) {
        if let Some(tip) = self.heights.back_mut() {
            tip.precommits.insert(index, signature);
        }
    }

    pub(super) fn place_vote(&self, vote: &Vote) -> Late<Vote> {
        let tip = self.heights.back().map(|tip| tip.height);
        let Some((decided, index)) = self.at(vote.height).and_then(|decided| {
            let index = decided.validators.index_of(&vote.validator)?;
            Some((decided, index))
        }) else {
            return Late::Nothing;
        };
        let is_tip = tip == Some(vote.height);
        let heard = self.log.first_vote(vote.round, vote.kind, index);
        let kept = decided.precommit_in(vote.round, vote.kind, index, vote);
        match heard.filter(|_| is_tip).cloned().or(kept) {
            Some(first) if first.block == vote.block => Late::Duplicate,
            Some(first) => Late::Contradicts(first),
            None if is_tip && decided.takes(vote) => Late::Missing(index),
            None => Late::Nothing,
        }
    }

    pub(super) fn place_proposal(&self, proposal: &Proposal) -> Late<Proposal> {
        let tip = self.heights.back().filter(|d| d.height == proposal.height);
        let said = tip.and_then(|_| self.log.proposal(proposal.round));
        match said.filter(|first| first.validator == proposal.validator) {
            None => Late::Nothing,
            Some(first)
                if (first.block, first.pol_round) == (proposal.block, proposal.pol_round) =>
            {
                Late::Duplicate
            }
            Some(first) => Late::Contradicts(first.clone()),
        }
    }

    /// Votes heard of a height, as far as they are kept.
    pub(super) fn votes(&self, height: Height) -> Vec<Vote> {
        let tip = self.heights.back().filter(|tip| tip.height == height);
        tip.map(|_| self.log.votes().cloned().collect())
            .unwrap_or_default()
    }
}

impl Decided {
    pub(super) fn new(certificate: &CommitCertificate, validators: &Arc<ValidatorSet>) -> Self {
        let CommitCertificate::V1(commit) = certificate;
        Decided {
            height: commit.height,
            block: commit.block,
            validators: Arc::clone(validators),
            round: commit.round,
            precommits: certificate
                .precommits(validators)
                .unwrap_or_default()
                .into_iter()
                .collect(),
        }
    }

    pub(super) fn certificate(&self) -> CommitCertificate {
        CommitCertificate::assemble(
            &self.validators,
            (self.height, self.round, self.block),
            &self.precommits,
        )
    }

    fn takes(&self, vote: &Vote) -> bool {
        (vote.round, vote.kind, vote.block) == (self.round, VoteKind::Precommit, Some(self.block))
    }

    /// The precommit in the certificate that stands in the slot of `vote`.
    fn precommit_in(
        &self,
        round: Round,
        kind: VoteKind,
        index: ValidatorIndex,
        vote: &Vote,
    ) -> Option<Vote> {
        let same = (round, kind) == (self.round, VoteKind::Precommit);
        let signature = self.precommits.get(&index).filter(|_| same)?;
        Some(Vote {
            block: Some(self.block),
            signature: *signature,
            ..vote.clone()
        })
    }
}
