//! Asking and answering: missing bodies, lost votes, committed ranges.
//!
//! Everything is asked for by what it must be (a hash, a height), so a wrong answer is its sender's fault and never the block's. A range is taken block by
//! block: consecutive heights, body under the id, certificate of our own set, then full execution. A certified block that does not execute is no peer's
//! lie but a broken chain or machine: halt (THREATS B13).

use super::{Effect, Engine, HaltReason, Peer, Refusal};
use crate::{
    accountability::culprits,
    application::Application,
    block::CommittedBlock,
    certificate::CommitCertificate,
    kernel::Step,
    message::{
        Bundle, MAX_BUNDLE_MESSAGES, MAX_RANGE_BLOCKS, MAX_RESPONSE_BYTES, Message, Proposed,
        Request, Response,
    },
    tx::TxBytes,
    vote::VoteKind,
};
use std::collections::{BTreeMap, BTreeSet};
use tender_wire::{BlockId, Height, Round, TxHash};

/// Peers whose claimed tip is remembered, to be held to it.
pub const MAX_CLAIMS: usize = 64;

#[derive(Default)]
pub(super) struct SyncState {
    /// Tips that peers claim to have themselves.
    claims: BTreeMap<Peer, Claim>,
    /// Where things stood at the last tick.
    mark: Option<(Height, Round, Step, usize)>,
}

struct Claim {
    tip: Height,
    /// Asked on the strength of it, and not heard since.
    asked: bool,
}

/// What was asked for since the last tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Asked {
    /// A compact block.
    Block(BlockId),
    /// The transactions a block lacks.
    Transactions(BlockId),
    /// Votes of the current height.
    Votes,
    /// Committed blocks from a height.
    Blocks(Height),
}

type Answered = Result<Result<(), Refusal>, HaltReason>;

impl<A: Application> Engine<A> {
    /// What this peer can say to another's question; `None` for committed blocks, which the shell reads from its store.
    pub fn answer(&self, request: &Request) -> Option<Response> {
        match request {
            Request::Block(id) => {
                let live = self.live.bodies.compact(id).cloned();
                let tip = self.tip_block.as_ref().filter(|b| b.id() == *id);
                let block = live.or_else(|| tip.map(|b| b.to_compact()));
                Some(Response::Block(block.map(Box::new)))
            }
            Request::Transactions(hashes) => {
                Some(Response::Transactions(self.transactions(hashes)))
            }
            Request::Votes(height) if *height == self.height() => {
                let log = &self.live.log;
                let pol = self.live.kernel.proposed(self.live.kernel.round());
                let hidden = self.key.filter(|_| !self.outbox.is_clear());
                let bundle = log.bundle(self.chain.height, pol.and_then(|p| p.pol_round), hidden);
                Some(Response::Votes(bundle))
            }
            Request::Votes(_) => Some(Response::Votes(Bundle {
                tip: self.chain.height,
                ..Bundle::default()
            })),
            Request::Blocks(_) => None,
        }
    }

    pub(super) fn response(
        &mut self,
        from: Peer,
        request: Request,
        response: Response,
    ) -> Answered {
        match (request, response) {
            (Request::Block(id), Response::Block(Some(block))) => {
                if block.header.id() != id {
                    return Ok(Err(Refusal::WrongAnswer));
                }
                if let Err(error) = block.check_body() {
                    return Ok(Err(error.into()));
                }
                self.take_body(*block);
                Ok(Ok(()))
            }
            (Request::Block(id), Response::Block(None)) => {
                self.unhelpful(from, id);
                Ok(Ok(()))
            }
            (Request::Transactions(asked), Response::Transactions(bodies)) => {
                Ok(self.take_transactions(from, &asked, &bodies))
            }
            (Request::Votes(height), Response::Votes(bundle)) => {
                self.take_bundle(from, height, bundle)
            }
            (Request::Blocks(start), Response::Blocks(blocks)) => {
                self.take_range(from, start, blocks)
            }
            _ => Ok(Err(Refusal::WrongAnswer)),
        }
    }

    /// About once a second: asks again, and if nothing moved, asks what was missed.
    pub(super) fn tick(&mut self) {
        self.live.asked.clear();
        self.live.bodies.fill_from(&*self.pool);
        for sources in self.live.sources.values_mut() {
            if !sources.is_empty() {
                sources.rotate_left(1); // another one than last time
            }
        }
        let (round, step) = self.round();
        let mark = Some((self.height(), round, step, self.live.log.len()));
        if self.sync.mark == mark {
            self.ask_votes();
            self.ask_blocks();
        }
        self.sync.mark = mark;
    }

    /// A message of a later height came through this peer: if we are not merely a moment behind, ask what it knows.
    pub(super) fn hint(&mut self, from: Peer, height: Height) {
        if height > self.height().next() {
            self.ask(Asked::Votes, Request::Votes(self.height()), vec![from]);
        }
    }

    /// Asks for whatever the rules wait for.
    pub(super) fn chase(&mut self) {
        let mut wanted = self.live.kernel.wanted();
        // Of other rounds a proposal alone is no reason: made-up ones cost their proposer nothing.
        let current = self.live.untimed.get(&self.live.kernel.round());
        wanted.extend(current.map(|p| p.block));
        for id in wanted {
            let prefer = self.live.sources.get(&id).cloned().unwrap_or_default();
            match self.live.bodies.missing(&id) {
                None => self.ask(Asked::Block(id), Request::Block(id), prefer),
                Some(missing) if !missing.is_empty() => {
                    let request = Request::Transactions(missing.iter().copied().collect());
                    self.ask(Asked::Transactions(id), request, prefer);
                }
                Some(_) => {}
            }
        }
        if let Some(block) = self.live.kernel.lacks_polka() {
            let prefer = self.live.sources.get(&block).cloned().unwrap_or_default();
            self.ask(Asked::Votes, Request::Votes(self.height()), prefer);
        }
    }

    fn ask(&mut self, what: Asked, request: Request, prefer: Vec<Peer>) {
        if self.live.asked.insert(what) {
            self.outbox.push(Effect::Ask { request, prefer });
        }
    }

    /// Asks somebody what it has heard of this height.
    pub(super) fn ask_votes(&mut self) {
        self.ask(Asked::Votes, Request::Votes(self.height()), Vec::new());
    }

    /// Asks those who claim to have it for the current height's block and what follows. A claim is good for one ask until its peer is heard
    /// again: whoever stays silent does not stand before the others for ever.
    fn ask_blocks(&mut self) {
        let height = self.height();
        let claims = self.sync.claims.iter_mut();
        let mut ahead: Vec<(Peer, &mut Claim)> = claims
            .filter(|(_, claim)| claim.tip >= height && !claim.asked)
            .map(|(peer, claim)| (*peer, claim))
            .collect();
        if let Some((_, first)) = ahead.first_mut() {
            first.asked = true;
            let prefer = ahead.iter().map(|(peer, _)| *peer).collect();
            self.ask(Asked::Blocks(height), Request::Blocks(height), prefer);
        }
    }

    /// A peer that did not have what it was asked for: if it was thought to, others that are thought to are asked at once. Each such answer
    /// uses up a source; who was asked on a guess changes nothing until the next tick.
    fn unhelpful(&mut self, from: Peer, id: BlockId) {
        let Some(sources) = self.live.sources.get_mut(&id) else {
            return;
        };
        let Some(at) = sources.iter().position(|peer| *peer == from) else {
            return;
        };
        sources.remove(at);
        if !sources.is_empty() {
            self.live.asked.remove(&Asked::Block(id));
            self.live.asked.remove(&Asked::Transactions(id));
        }
    }

    fn take_transactions(
        &mut self,
        from: Peer,
        asked: &[TxHash],
        bodies: &[TxBytes],
    ) -> Result<(), Refusal> {
        let wanted: BTreeSet<&TxHash> = asked.iter().collect();
        if bodies.iter().any(|body| !wanted.contains(&body.hash())) {
            return Err(Refusal::WrongTransaction);
        }
        bodies
            .iter()
            .for_each(|body| self.live.bodies.add_transaction(body));
        for id in self.lacking(asked) {
            self.unhelpful(from, id);
        }
        Ok(())
    }

    /// Blocks whose transactions were asked for and that still lack one of these.
    fn lacking(&self, hashes: &[TxHash]) -> Vec<BlockId> {
        let lacks = |id: &BlockId| {
            let missing = self.live.bodies.missing(id)?;
            hashes.iter().any(|h| missing.contains(h)).then_some(*id)
        };
        let asked = self.live.asked.iter();
        asked
            .filter_map(|asked| match asked {
                Asked::Transactions(id) => lacks(id),
                _ => None,
            })
            .collect()
    }

    fn take_bundle(&mut self, from: Peer, height: Height, bundle: Bundle) -> Answered {
        let count = bundle.votes.len().saturating_add(bundle.proposals.len());
        let foreign = bundle.votes.iter().any(|v| v.height != height)
            || bundle.proposals.iter().any(|p| p.height != height);
        if count > MAX_BUNDLE_MESSAGES || foreign {
            return Ok(Err(Refusal::WrongAnswer));
        }
        if bundle.tip >= self.height() {
            self.claim(from, bundle.tip);
            self.ask(
                Asked::Blocks(self.height()),
                Request::Blocks(self.height()),
                vec![from],
            );
        }
        let mut fault = None;
        for proposal in bundle.proposals {
            let block = None;
            let admitted = self.proposal(from, Proposed { proposal, block })?;
            fault = fault.or(admitted.err().filter(Refusal::is_fault));
        }
        for vote in bundle.votes {
            let admitted = self.vote(from, vote)?;
            fault = fault.or(admitted.err().filter(Refusal::is_fault));
        }
        Ok(fault.map_or(Ok(()), Err))
    }

    fn take_range(&mut self, from: Peer, start: Height, blocks: Vec<CommittedBlock>) -> Answered {
        let heights = (start.0..).map(Height);
        let consecutive = blocks
            .iter()
            .zip(heights)
            .all(|(b, h)| b.block.header.height == h);
        if blocks.len() > MAX_RANGE_BLOCKS || !consecutive {
            return Ok(Err(Refusal::BrokenRange));
        }
        if blocks.is_empty() {
            return Ok(match self.sync.claims.remove(&from) {
                Some(Claim { tip, .. }) if tip >= start => {
                    Err(Refusal::FalseHeight { claimed: tip })
                }
                _ => Err(Refusal::Unasked),
            });
        }
        self.foresee(&blocks);
        for committed in blocks {
            if let Err(refusal) = self.take_committed(committed)? {
                self.sync.claims.remove(&from);
                return Ok(Err(refusal));
            }
        }
        let height = self.height();
        match self.sync.claims.get_mut(&from) {
            Some(claim) if claim.tip >= height => {
                claim.asked = false;
                self.ask(Asked::Blocks(height), Request::Blocks(height), vec![from]);
            }
            _ => {
                self.sync.claims.remove(&from);
            }
        }
        Ok(Ok(()))
    }

    /// Shows the application what is left of a range, if its next block is certified: a lie is not worth the work.
    fn foresee(&self, range: &[CommittedBlock]) {
        let height = self.height();
        let mut left = range
            .iter()
            .skip_while(|it| it.block.header.height != height)
            .peekable();
        let is_certified = left.peek().is_some_and(|next| {
            let (chain, of) = (&self.chain, (height, next.block.id()));
            let certificate = &next.certificate;
            certificate
                .verify(&chain.chain, &chain.validators, of)
                .is_ok()
        });
        if is_certified {
            let blocks: Vec<_> = left.map(|it| &it.block.transactions[..]).collect();
            self.app.foresee(&self.chain.app, &blocks);
        }
    }

    /// One block of a range: skipped if it is not the next, applied if its certificate holds.
    fn take_committed(&mut self, committed: CommittedBlock) -> Answered {
        let CommittedBlock { block, certificate } = committed;
        let (id, height) = (block.id(), block.header.height);
        let chain = &self.chain;
        if let Some(ours) = self.past.at(height).filter(|ours| ours.block != id) {
            if let Err(error) = certificate.verify(&chain.chain, &ours.validators, (height, id)) {
                return Ok(Err(error.into()));
            }
            let culprits = culprits(
                &chain.chain,
                &ours.validators,
                [&ours.certificate(), &certificate],
                &self.past.votes(height),
            );
            return Err(HaltReason::Fork {
                height,
                ours: ours.block,
                theirs: id,
                culprits: culprits.unwrap_or_default(),
            });
        }
        if height != self.height() {
            return Ok(Ok(())); // decided meanwhile
        }
        if let Err(error) = block.check_body() {
            return Ok(Err(error.into()));
        }
        if let Err(error) = certificate.verify(&chain.chain, &chain.validators, (height, id)) {
            return Ok(Err(error.into()));
        }
        let elsewhere = self.signed_elsewhere(&certificate);
        match chain.apply(&*self.app, &block) {
            Ok(applied) => {
                // The block is final whoever signed it; it is what comes next that must not be signed.
                self.commit(block, certificate, applied)?;
                elsewhere.map_or(Ok(Ok(())), Err)
            }
            Err(error) => Err(HaltReason::DecidedInvalid {
                height,
                block: id,
                reason: error.to_string(),
            }),
        }
    }

    /// A certificate of this height that carries our precommit, though this process knows of none: the log was lost or is an older copy, or the
    /// key is in use elsewhere.
    fn signed_elsewhere(&self, certificate: &CommitCertificate) -> Option<HaltReason> {
        let (me, key) = self.live.me.zip(self.key)?;
        let round = certificate.round();
        let signers = certificate.precommits(&self.chain.validators).ok()?;
        let signed = signers.iter().any(|(index, _)| *index == me);
        let slot = (round, Some(VoteKind::Precommit));
        let known = match self.live.signed.get(&slot) {
            Some(Message::Vote(vote)) => vote.block == Some(certificate.block()),
            _ => false,
        };
        (signed && !known).then_some(HaltReason::KeyInUseElsewhere {
            key,
            height: certificate.height(),
            round,
        })
    }

    fn claim(&mut self, from: Peer, tip: Height) {
        let asked = false;
        self.sync.claims.insert(from, Claim { tip, asked });
        while self.sync.claims.len() > MAX_CLAIMS {
            self.sync.claims.pop_first();
        }
    }

    fn transactions(&self, hashes: &[TxHash]) -> Vec<TxBytes> {
        let asked: BTreeSet<&TxHash> = hashes.iter().collect();
        // One pass over the tip, whatever is asked: looking for each hash in it would be their product.
        let tip = self.tip_block.iter().flat_map(|b| &b.transactions);
        let of_tip: BTreeMap<TxHash, &TxBytes> = tip
            .map(|t| (t.hash(), t))
            .filter(|(hash, _)| asked.contains(hash))
            .collect();
        let mut room = MAX_RESPONSE_BYTES / 2; // the rest is for framing
        asked
            .into_iter()
            .filter_map(|hash| {
                let live = self.live.bodies.transaction(hash).cloned();
                live.or_else(|| self.pool.transaction(hash))
                    .or_else(|| of_tip.get(hash).copied().cloned())
            })
            .take_while(|transaction| {
                let left = room.checked_sub(transaction.bytes().len());
                room = left.unwrap_or(0);
                left.is_some()
            })
            .collect()
    }
}
