//! The whole contract of the kernel: what goes in, what comes out.

use crate::{validators::ValidatorIndex, vote::VoteKind};
use serde::{Deserialize, Serialize};
use tender_wire::{BlockId, Round};

/// Something the kernel is told. Messages are verified, own messages are never told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// Begin round 0 (L10). Until then messages are only stored, and only L49 acts on them.
    Start,
    /// The proposer of `round` proposed.
    Proposal(ProposalInput),
    /// A validator voted.
    Vote(VoteInput),
    /// The body of `block` is present and was executed.
    Judged {
        /// The block.
        block: BlockId,
        /// Whether it is valid.
        valid: bool,
    },
    /// The body of a valid block is gone again, and its verdict with it. Ignored for the block locked on and the latest with a polka.
    Forgotten {
        /// The block.
        block: BlockId,
    },
    /// The answer to [`Effect::Build`]: getValue().
    Built {
        /// The round it was asked for.
        round: Round,
        /// A valid block.
        block: BlockId,
    },
    /// A scheduled timeout expired.
    Timeout(Timeout),
}

/// A proposal, as far as the rules care.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProposalInput {
    /// Its round.
    pub round: Round,
    /// The block.
    pub block: BlockId,
    /// Round of the polka it refers to (validRound; the paper's −1 is `None`).
    pub pol_round: Option<Round>,
    /// Whether the block's time suited the local clock when this arrived. Ignored for re-proposals.
    pub timely: bool,
}

/// A vote, as far as the rules care.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VoteInput {
    /// Prevote or precommit.
    pub kind: VoteKind,
    /// Its round.
    pub round: Round,
    /// Who voted.
    pub validator: ValidatorIndex,
    /// The block, or nil.
    pub block: Option<BlockId>,
}

/// Which wait is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Timeout {
    /// The round it was scheduled in.
    pub round: Round,
    /// What was waited for.
    pub kind: TimeoutKind,
}

/// The paper's three timeouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TimeoutKind {
    /// For a proposal.
    Propose,
    /// For more prevotes, after a quorum of any.
    Prevote,
    /// For more precommits, after a quorum of any.
    Precommit,
}

/// Something the kernel wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Sign and broadcast a proposal.
    Propose {
        /// In this round.
        round: Round,
        /// For this block.
        block: BlockId,
        /// With this polka.
        pol_round: Option<Round>,
    },
    /// Sign and broadcast a vote.
    Vote {
        /// Prevote or precommit.
        kind: VoteKind,
        /// In this round.
        round: Round,
        /// For this block, or nil.
        block: Option<BlockId>,
    },
    /// Answer with [`Input::Built`] when there is something to propose (getValue()).
    Build {
        /// For this round.
        round: Round,
    },
    /// Come back with [`Input::Timeout`] later.
    Schedule(Timeout),
    /// The height is decided.
    Decide {
        /// The round whose precommits decide.
        round: Round,
        /// The block.
        block: BlockId,
    },
    /// More than two thirds precommitted a block that does not execute here: more than a third is Byzantine, or this machine is broken.
    DecidedInvalid {
        /// The block.
        block: BlockId,
    },
}
