//! Continuing a height from its vote log.
//!
//! The logged inputs are fed to a fresh kernel in their order. What it signs is looked up among the logged signatures: the same message is
//! published again as it was, another one halts. Only behind the very last input may a signature be missing: the append
//! that held it did not finish, so it was never published and is made now.
//!
//! A validator above genesis that has no log at all may have voted at this height and forgotten it: it follows this one height without a voice. (An
//! operator who knows better passes a log that holds only its `Start`, and a shell that knows that nothing was ever signed one of a height that is over.)

use super::{Engine, HaltReason, Live, admission::Verified};
use crate::{
    application::Application,
    block::Block,
    kernel,
    message::{Message, Proposed},
    vote::VoteKind,
    wal::WalRecord,
};
use std::collections::{BTreeMap, BTreeSet};
use tender_wire::{BlockId, Height, Round};

/// Progress of a replay.
pub(super) struct Replay {
    inputs_left: usize,
    /// Signatures in the log that the kernel has not asked for again yet.
    underived: BTreeSet<(Round, Option<VoteKind>)>,
}

impl<A: Application> Engine<A> {
    pub(super) fn recover(&mut self, log: Vec<WalRecord>) -> Result<(), HaltReason> {
        if self.key.is_none() {
            return Ok(());
        }
        self.recover_evidence(&log);
        let start = |r: &WalRecord| matches!(r, WalRecord::Start { .. });
        let mut records = match log.iter().rposition(start) {
            Some(at) => log.into_iter().skip(at),
            None if log.is_empty() => {
                if self.chain.height > Height(0) {
                    tracing::warn!(height = %self.height(), "no vote log: sitting this height out");
                    self.live = Live::new(&self.chain, None);
                }
                self.log_start();
                return Ok(());
            }
            None => {
                return Err(HaltReason::ReplayDivergence(
                    "it begins in the middle of a height",
                ));
            }
        };
        let Some(WalRecord::Start {
            chain,
            height,
            parent,
        }) = records.next()
        else {
            return Ok(());
        };
        let (ours, store) = (self.height(), self.chain.height);
        if chain != self.chain.chain || (height == ours && parent != self.chain.tip) {
            return Err(HaltReason::ForeignLog(height));
        }
        if height > ours {
            return Err(HaltReason::StoreBehindLog { log: height, store });
        }
        if height < ours || self.live.me.is_none() {
            self.log_start();
            return Ok(());
        }
        self.replay_height(records.collect())
    }

    /// Offences that waited to be counted when the log was written, and still do.
    fn recover_evidence(&mut self, log: &[WalRecord]) {
        for record in log {
            if let WalRecord::Evidence(evidence) = record
                && self.chain.admits_offence(&evidence.offence()).is_ok()
                && evidence.verify(&self.chain.chain).is_ok()
            {
                self.evidence.add(evidence.clone());
            }
        }
    }

    /// A signature that is not in the log: fine unless the log goes on without it.
    pub(super) fn may_sign_anew(&self) -> Result<(), HaltReason> {
        match &self.replay {
            Some(replay) if replay.inputs_left > 0 => Err(HaltReason::ReplayDivergence(
                "it goes on where this version would have signed something",
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn rederived(&mut self, slot: (Round, Option<VoteKind>)) {
        if let Some(replay) = &mut self.replay {
            replay.underived.remove(&slot);
        }
    }

    fn replay_height(&mut self, records: Vec<WalRecord>) -> Result<(), HaltReason> {
        for record in &records {
            let (slot, message) = match record.clone() {
                WalRecord::SignedVote(vote) => {
                    ((vote.round, Some(vote.kind)), Message::Vote(Box::new(vote)))
                }
                WalRecord::SignedProposal(proposal) => {
                    let block = None;
                    let slot = (proposal.round, None);
                    (
                        slot,
                        Message::Proposal(Box::new(Proposed { proposal, block })),
                    )
                }
                _ => continue,
            };
            self.live.signed.insert(slot, message);
        }
        self.replay = Some(Replay {
            inputs_left: records.iter().filter(|r| is_input(r)).count(),
            underived: self.live.signed.keys().copied().collect(),
        });
        let mut blocks = BTreeMap::new();
        for record in records {
            if is_input(&record)
                && let Some(replay) = &mut self.replay
            {
                replay.inputs_left = replay.inputs_left.saturating_sub(1);
            }
            self.replay_record(record, &mut blocks)?;
            if self.replay.is_none() {
                return Ok(()); // decided: the rest of the log is about a height that is over
            }
        }
        match self.replay.take() {
            Some(replay) if !replay.underived.is_empty() => Err(HaltReason::ReplayDivergence(
                "it holds a signature this version would not have made",
            )),
            _ => Ok(()),
        }
    }

    fn replay_record(
        &mut self,
        record: WalRecord,
        blocks: &mut BTreeMap<BlockId, Block>,
    ) -> Result<(), HaltReason> {
        let input = match record.clone() {
            WalRecord::Begin => {
                self.live.begun = true;
                kernel::Input::Start
            }
            WalRecord::Timeout(timeout) => kernel::Input::Timeout(timeout),
            WalRecord::Proposal { proposal, timely } => {
                self.live.log.add_proposal(&Verified::own(proposal.clone()));
                kernel::Input::Proposal(kernel::ProposalInput {
                    round: proposal.round,
                    block: proposal.block,
                    pol_round: proposal.pol_round,
                    timely,
                })
            }
            WalRecord::Vote(vote) => {
                let Some(validator) = self.chain.validators.index_of(&vote.validator) else {
                    return Err(HaltReason::ReplayDivergence("it holds a stranger's vote"));
                };
                let counts = self.live.kernel.wants(vote.round, vote.kind, vote.block);
                let verified = Verified::own(vote.clone());
                self.live.log.add_vote(validator, &verified, counts);
                kernel::Input::Vote(kernel::VoteInput {
                    kind: vote.kind,
                    round: vote.round,
                    validator,
                    block: vote.block,
                })
            }
            WalRecord::Judged { block, valid } => {
                if valid {
                    self.replay_block(&block, blocks)?;
                }
                kernel::Input::Judged { block, valid }
            }
            WalRecord::Built { round, block } => {
                self.replay_block(&block, blocks)?;
                kernel::Input::Built { round, block }
            }
            WalRecord::Block(block) => {
                blocks.insert(block.id(), *block);
                return Ok(());
            }
            WalRecord::Forgotten(block) => kernel::Input::Forgotten { block },
            WalRecord::SignedProposal(_)
            | WalRecord::SignedVote(_)
            | WalRecord::Evidence(_)
            | WalRecord::Start { .. } => return Ok(()),
        };
        self.feed(input, record)
    }

    /// Executes a logged block again; it was valid when it was logged.
    fn replay_block(
        &mut self,
        id: &BlockId,
        blocks: &BTreeMap<BlockId, Block>,
    ) -> Result<(), HaltReason> {
        let missing = HaltReason::ReplayDivergence("it lacks the body of a block it judged");
        let block = blocks.get(id).ok_or(missing)?;
        let applied = self
            .chain
            .apply(&*self.app, block)
            .map_err(|_| HaltReason::ReplayDivergence("a block that was valid no longer is"))?;
        let needed = self.live.needed();
        self.live.bodies.add_applied(block, applied, &needed);
        Ok(())
    }
}

fn is_input(record: &WalRecord) -> bool {
    match record {
        WalRecord::Begin
        | WalRecord::Proposal { .. }
        | WalRecord::Vote(_)
        | WalRecord::Judged { .. }
        | WalRecord::Built { .. }
        | WalRecord::Timeout(_)
        | WalRecord::Forgotten(_) => true,
        WalRecord::Start { .. }
        | WalRecord::Block(_)
        | WalRecord::Evidence(_)
        | WalRecord::SignedProposal(_)
        | WalRecord::SignedVote(_) => false,
    }
}
