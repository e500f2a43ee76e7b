//! From decision to the next height.

use super::{Committed, Effect, Engine, HaltReason, Live, past::Decided};
use crate::{
    application::Application, block::Block, certificate::CommitCertificate, chain::Applied,
    wal::WalRecord,
};
use tender_wire::{BlockId, Round};

impl<A: Application> Engine<A> {
    /// The kernel has decided (L49).
    pub(super) fn decide(&mut self, round: Round, block: BlockId) -> Result<(), HaltReason> {
        let Some((block, applied)) = self.live.bodies.take_applied(&block) else {
            // Judged rounds ago and evicted since: it comes back as a committed block, by sync.
            tracing::warn!(%block, "decided a block no longer held, asking for it");
            return Ok(());
        };
        let certificate = CommitCertificate::assemble(
            &self.chain.validators,
            (self.height(), round, block.id()),
            &self.live.log.precommits(round, block.id()),
        );
        self.commit(block, certificate, applied)
    }

    /// Makes a block with a verified certificate the tip, and opens the next height.
    pub(super) fn commit(
        &mut self,
        block: Block,
        certificate: CommitCertificate,
        applied: Applied<A::State, A::Outcome>,
    ) -> Result<(), HaltReason> {
        let decided = Decided::new(&certificate, &self.chain.validators);
        self.past.push(decided, std::mem::take(&mut self.live.log));
        self.chain = applied.chain;
        self.tip_block = Some(block.clone());
        self.outbox.forget_unwritten();
        self.outbox.expose(Effect::Commit(Box::new(Committed {
            block,
            certificate,
            chain: self.chain.clone(),
            outcome: applied.outcome,
        })));
        self.evidence.prune(&self.chain);
        self.replay = None;
        self.live = Live::new(&self.chain, self.key);
        self.log_start();
        self.take_next()
    }

    /// Begins the log of a height, with the offences it still has to count.
    pub(super) fn log_start(&mut self) {
        self.log(WalRecord::Start {
            chain: self.chain.chain,
            height: self.height(),
            parent: self.chain.tip,
        });
        let waiting: Vec<_> = self.evidence.all().cloned().collect();
        for evidence in waiting {
            self.log(WalRecord::Evidence(evidence));
        }
    }
}
