//! Tendermint (arXiv 1807.04938, Algorithm 1) for one height, as a pure function.
//!
//! [`Kernel::step`] is total: any input in any order gives a new state and a list of effects. No clock, no signatures, no I/O, no
//! recursion. It is *level-triggered*: an input is stored, then every upon-rule is evaluated again over everything stored, until none
//! fires; so a rule enabled by messages in an odd order, or by one long past, is never missed.
//!
//! ```text
//!                 L22/L28 proposal, judged                L36 polka                       L49 quorum of
//!   Idle ─Start─▶ Propose ───────────────────▶ Prevote ────────────────────▶ Precommit ── precommits ──▶ Decided
//!                    │  L57 timeout: nil         │  L44 nil polka / L61 timeout: nil │         (any step, any round)
//!                    ▲                                                               │
//!                    └──────── L65 timeout, or L55: a third is already further ◀─────┘
//! ```
//!
//! # Where it differs from the paper, and why it may
//! * `valid(v)` is [`Input::Judged`], which comes when the body is present and executed. Until then rules that need it do not fire; timeouts do.
//!   It lasts as long as the body ([`Input::Forgotten`]): nobody votes for or locks on a block it could not show.
//! * L36 and L49 do not ask for the *proposal message*, only for the votes and a judged block. Agreement rests on votes alone (lemmas
//!   3 and 4 of the paper never use the message), and a proposer that shows different proposals to different peers cannot stall them.
//! * A fresh proposal is prevoted only if timely (proposer-based timestamps); re-proposals (L28) never judge time again.
//! * L21: the proposer arms the propose timeout too, since it may have nothing to propose.
//! * L55 takes the highest round that more than a third *has reached or passed*, so that messages lost in between do not hold it up.
//!
//! # Why it is safe
//! A precommit for v in round r needs a polka for v in r (L36), and locks. Two polkas in one round share an honest validator, which prevotes
//! once. If v is decided in r, more than a third of power is honest and locked on v at r; none of it prevotes another value in a
//! later round unless shown a polka of a round ≥ its lock (L28), and by induction there is none. The kernel keeps the two facts this needs:
//! `step` only grows within a round, so each kind is voted once; `locked` changes only in L36.

mod io;
mod tally;

pub use io::{Effect, Input, ProposalInput, Timeout, TimeoutKind, VoteInput};
pub use tally::{MAX_FUTURE_ROUNDS, MAX_ROUND_AHEAD};

use crate::{
    proposer::Proposers,
    validators::{ValidatorIndex, ValidatorSet},
    vote::VoteKind,
};
use std::collections::{BTreeMap, BTreeSet};
use tally::Tally;
use tender_wire::{BlockId, Round};

/// Where in a round the validator stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// The height has not begun.
    Idle,
    /// Waiting for a proposal.
    Propose,
    /// Has prevoted.
    Prevote,
    /// Has precommitted.
    Precommit,
    /// Done.
    Decided,
}

/// State of one height.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Kernel {
    me: Option<ValidatorIndex>,
    proposers: Proposers,
    round: Round,
    step: Step,
    locked: Option<(Round, BlockId)>,
    valid: Option<(Round, BlockId)>,
    tally: Tally,
    verdicts: BTreeMap<BlockId, bool>,
    scheduled: BTreeSet<Timeout>,
}

impl Kernel {
    /// A height not begun yet. Without `me` it follows: same rules, no messages.
    pub fn new(
        me: Option<ValidatorIndex>,
        validators: &ValidatorSet,
        proposers: Proposers,
    ) -> Self {
        Kernel {
            me,
            proposers,
            round: Round(0),
            step: Step::Idle,
            locked: None,
            valid: None,
            tally: Tally::new(validators),
            verdicts: BTreeMap::new(),
            scheduled: BTreeSet::new(),
        }
    }

    /// Takes one input and appends what it leads to.
    pub fn step(&mut self, input: Input, out: &mut Vec<Effect>) {
        match (input, self.step) {
            (_, Step::Decided) => return,
            (Input::Start, Step::Idle) => self.start_round(Round(0), out), // L10
            (Input::Proposal(proposal), _) if self.is_near(proposal.round) => {
                let from = self.proposers.of(proposal.round);
                if self.has_room(proposal.round, from) {
                    self.tally.add_proposal(from, proposal);
                }
            }
            (Input::Vote(vote), _) => {
                if self.has_room(vote.round, vote.validator) {
                    self.tally.add_vote(vote);
                }
            }
            (Input::Judged { block, valid }, _) => {
                self.verdicts.entry(block).or_insert(valid);
            }
            (Input::Forgotten { block }, _) => {
                if !self.is_pinned(&block) {
                    self.verdicts.remove(&block);
                }
            }
            (Input::Built { round, block }, Step::Propose) => self.built(round, block, out),
            (Input::Timeout(timeout), _) if timeout.round == self.round => {
                self.expired(timeout.kind, out);
            }
            _ => return, // a timeout or value of a round that is over, or a proposal too far ahead
        }
        while self.step != Step::Decided && self.fire(out) {}
    }

    /// The current round.
    pub fn round(&self) -> Round {
        self.round
    }

    /// The current step.
    pub fn current_step(&self) -> Step {
        self.step
    }

    /// The block this validator is locked on, and since which round.
    pub fn locked(&self) -> Option<(Round, BlockId)> {
        self.locked
    }

    /// The latest block known to have a polka, and its round.
    pub fn valid(&self) -> Option<(Round, BlockId)> {
        self.valid
    }

    /// Proposer of a round not further than [`MAX_ROUND_AHEAD`].
    pub fn proposer(&mut self, round: Round) -> ValidatorIndex {
        let furthest = self.round.0.saturating_add(MAX_ROUND_AHEAD);
        self.proposers.of(Round(round.0.min(furthest)))
    }

    /// Whether a round is near enough for a proposal.
    pub fn is_near(&self, round: Round) -> bool {
        round.0.saturating_sub(self.round.0) <= MAX_ROUND_AHEAD
    }

    /// Whether a message of this sender and round (for a proposal, one that [is near](Self::is_near)) would be stored; ask before checking
    /// its signature.
    pub fn has_room(&self, round: Round, sender: ValidatorIndex) -> bool {
        self.tally.has_room(self.round, round, sender)
    }

    /// Blocks some rule waits for: proposed in this round, or with a quorum behind them, and not judged.
    pub fn wanted(&self) -> BTreeSet<BlockId> {
        let proposed = self.tally.proposal(self.round).map(|p| p.block);
        let polka = self.tally.majority(self.round, VoteKind::Prevote);
        let commits = self.tally.commits().map(|(_, block)| block);
        commits
            .chain(proposed)
            .chain(polka)
            .filter(|block| !self.verdicts.contains_key(block))
            .collect()
    }

    /// Blocks judged valid whose bodies may go: all but the one locked on and the latest with a polka.
    pub fn unpinned(&self) -> impl Iterator<Item = BlockId> + '_ {
        let open = self.step != Step::Decided;
        self.verdicts
            .iter()
            .filter(move |(block, valid)| open && **valid && !self.is_pinned(block))
            .map(|(block, _)| *block)
    }

    /// Whether there is something to decide beyond doubt: a valid block is known, or more than a third of the power speaks in this round or a
    /// later one, hence somebody honest.
    pub fn is_worth_a_round(&self) -> bool {
        self.verdicts.values().any(|valid| *valid) || self.tally.reached(self.round).is_some()
    }

    /// Whether a vote counts even though its validator cast another one in that round.
    pub fn wants(&self, round: Round, kind: VoteKind, block: Option<BlockId>) -> bool {
        self.tally.wants(round, kind, block)
    }

    /// The re-proposed block of this round, while the polka it refers to is not known here (L28 waits).
    pub fn lacks_polka(&self) -> Option<BlockId> {
        let proposal = self.tally.proposal(self.round)?;
        let known = self.tally.majority(proposal.pol_round?, VoteKind::Prevote);
        (self.step == Step::Propose && known != Some(proposal.block)).then_some(proposal.block)
    }

    /// The block proposed in a round.
    pub fn proposed(&self, round: Round) -> Option<ProposalInput> {
        self.tally.proposal(round)
    }

    /// L11–L21.
    fn start_round(&mut self, round: Round, out: &mut Vec<Effect>) {
        self.round = round;
        self.step = Step::Propose;
        self.schedule(TimeoutKind::Propose, out); // L21
        if Some(self.proposers.of(round)) == self.me {
            match self.valid {
                Some((pol, block)) => self.propose(block, Some(pol), out), // L15–L16, L19
                None => out.push(Effect::Build { round }),                 // L18
            }
        }
    }

    /// L18–L19, when getValue() has answered.
    fn built(&mut self, round: Round, block: BlockId, out: &mut Vec<Effect>) {
        let mine = Some(self.proposers.of(round)) == self.me;
        if mine && round == self.round && self.tally.proposal(round).is_none() {
            self.verdicts.insert(block, true);
            self.propose(block, None, out);
        }
    }

    /// L57, L61, L65.
    fn expired(&mut self, kind: TimeoutKind, out: &mut Vec<Effect>) {
        match (kind, self.step) {
            (TimeoutKind::Propose, Step::Propose) => self.vote(VoteKind::Prevote, None, out), // L57–L60
            (TimeoutKind::Prevote, Step::Prevote) => self.vote(VoteKind::Precommit, None, out), // L61–L64
            // The last round there is never ends: begun again, it would be voted in again.
            (TimeoutKind::Precommit, Step::Propose | Step::Prevote | Step::Precommit)
                if self.round < self.round.next() =>
            {
                self.start_round(self.round.next(), out); // L65–L67
            }
            _ => {}
        }
    }

    /// Fires the first rule that is enabled; `false` at the fixpoint.
    fn fire(&mut self, out: &mut Vec<Effect>) -> bool {
        self.decide(out)
            || (self.step != Step::Idle
                && (self.skip(out)
                    || self.prevote(out)
                    || self.polka(out)
                    || self.nil_polka(out)
                    || self.quorum_timeouts(out)))
    }

    /// L49–L54: a quorum of precommits in any round, for an executed block.
    fn decide(&mut self, out: &mut Vec<Effect>) -> bool {
        let judged = |(round, block)| Some((round, block, *self.verdicts.get(&block)?));
        let Some((round, block, valid)) = self.tally.commits().find_map(judged) else {
            return false;
        };
        self.step = Step::Decided;
        out.push(if valid {
            Effect::Decide { round, block }
        } else {
            Effect::DecidedInvalid { block }
        });
        true
    }

    /// L55–L56: more than a third is in a later round.
    fn skip(&mut self, out: &mut Vec<Effect>) -> bool {
        // After the last round there is, `next` gives that round again.
        let later = self.tally.reached(self.round.next());
        let Some(round) = later.filter(|round| *round > self.round) else {
            return false;
        };
        self.start_round(round, out);
        true
    }

    /// L22–L27 and L28–L33.
    fn prevote(&mut self, out: &mut Vec<Effect>) -> bool {
        let (Step::Propose, Some(proposal)) = (self.step, self.tally.proposal(self.round)) else {
            return false;
        };
        let block = proposal.block;
        let Some(valid) = self.verdicts.get(&block).copied() else {
            return false;
        };
        let unlocked = |since: Option<Round>| {
            self.locked
                .is_none_or(|(round, locked)| locked == block || since.is_some_and(|s| round <= s))
        };
        let accept = match proposal.pol_round {
            None => valid && proposal.timely && unlocked(None), // L23
            Some(pol) if self.tally.majority(pol, VoteKind::Prevote) == Some(block) => {
                valid && unlocked(Some(pol)) // L29
            }
            Some(_) => return false, // its polka is not here yet
        };
        self.vote(VoteKind::Prevote, accept.then_some(block), out);
        true
    }

    /// L36–L43: a polka for an executed block in this round.
    fn polka(&mut self, out: &mut Vec<Effect>) -> bool {
        let (Step::Prevote | Step::Precommit, Some(block)) = (
            self.step,
            self.tally.majority(self.round, VoteKind::Prevote),
        ) else {
            return false;
        };
        let seen = Some((self.round, block));
        if self.valid == seen || self.verdicts.get(&block) != Some(&true) {
            return false;
        }
        if self.step == Step::Prevote {
            self.locked = seen; // L38–L39
            self.vote(VoteKind::Precommit, Some(block), out); // L40–L41
        }
        self.valid = seen; // L42–L43
        true
    }

    /// L44–L46: a polka for nil.
    fn nil_polka(&mut self, out: &mut Vec<Effect>) -> bool {
        let fires =
            self.step == Step::Prevote && self.tally.nil_majority(self.round, VoteKind::Prevote);
        if fires {
            self.vote(VoteKind::Precommit, None, out);
        }
        fires
    }

    /// L34–L35 and L47–L48: a quorum of any votes starts the wait for the rest.
    fn quorum_timeouts(&mut self, out: &mut Vec<Effect>) -> bool {
        let any = |kind| self.tally.any_majority(self.round, kind);
        let prevotes = self.step == Step::Prevote && any(VoteKind::Prevote);
        let precommits = any(VoteKind::Precommit);
        (prevotes && self.schedule(TimeoutKind::Prevote, out))
            || (precommits && self.schedule(TimeoutKind::Precommit, out))
    }

    fn is_pinned(&self, block: &BlockId) -> bool {
        [self.locked, self.valid]
            .into_iter()
            .flatten()
            .any(|(_, pinned)| pinned == *block)
    }

    fn propose(&mut self, block: BlockId, pol_round: Option<Round>, out: &mut Vec<Effect>) {
        let (Some(me), round) = (self.me, self.round) else {
            return;
        };
        let timely = true;
        let proposal = ProposalInput {
            round,
            block,
            pol_round,
            timely,
        };
        self.tally.add_proposal(me, proposal);
        out.push(Effect::Propose {
            round,
            block,
            pol_round,
        });
    }

    fn vote(&mut self, kind: VoteKind, block: Option<BlockId>, out: &mut Vec<Effect>) {
        self.step = match kind {
            VoteKind::Prevote => Step::Prevote,
            VoteKind::Precommit => Step::Precommit,
        };
        let Some(validator) = self.me else { return };
        let round = self.round;
        self.tally.add_vote(VoteInput {
            kind,
            round,
            validator,
            block,
        });
        out.push(Effect::Vote { kind, round, block });
    }

    /// Schedules a timeout of this round, once.
    fn schedule(&mut self, kind: TimeoutKind, out: &mut Vec<Effect>) -> bool {
        let round = self.round;
        let timeout = Timeout { round, kind };
        let fresh = self.scheduled.insert(timeout);
        if fresh {
            out.push(Effect::Schedule(timeout));
        }
        fresh
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod walks;
