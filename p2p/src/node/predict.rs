//! What the chain as last committed would say to a transaction, in the words of the pool and the API.

use super::shared::{Chain, Shared};
use crate::{
    api::types::Event,
    mempool::{Lane, Refused},
};
use std::time::Instant;
use tender_auction::{
    market::{ProofClaim, Refusal},
    transaction::{SignedTx, Transaction},
};
use tender_wire::{ChainId, Height, TxHash};

/// Longest reason repeated to others.
pub(crate) const MAX_REASON_CHARS: usize = 400;

/// A transaction that applies if its proofs verify.
pub(super) struct Outlook {
    /// Where it would stand in line.
    pub(super) lane: Lane,
    /// Its signer's next number on chain.
    pub(super) next: u64,
    /// The proofs that must yet verify.
    pub(super) proofs: Vec<ProofClaim>,
    /// The height this was found at.
    pub(super) height: Height,
}

impl Shared {
    /// Where a transaction that applied before stands in line now, and its signer's next number on chain; or why it no longer applies.
    pub(super) fn predict_again(&self, bytes: &[u8]) -> Result<(Lane, u64), Refused> {
        let again = |chain: &Chain, tx: &Transaction| {
            let verdict = self.market.predict_again(&chain.app, tx);
            verdict.map(|()| Vec::new())
        };
        let Outlook { lane, next, .. } = self.outlook(bytes, again, |_, _| Ok(()))?;
        Ok((lane, next))
    }

    /// The verdict on each proof, in order; counted.
    pub(super) fn verify_proofs(&self, proofs: &[&ProofClaim]) -> Vec<Result<(), Refused>> {
        let started = Instant::now();
        let verdicts = self.market.verify_proofs(proofs);
        self.metrics.count_proofs(&verdicts, started.elapsed());
        let verdicts = verdicts.into_iter().zip(proofs);
        verdicts
            .map(|(verdict, proof)| verdict.map_err(|_| refusal(&proof.refused())))
            .collect()
    }

    /// Everything about a transaction but its proofs.
    pub(super) fn predict_but_proofs(&self, bytes: &[u8]) -> Result<Outlook, Refused> {
        let first =
            |chain: &Chain, tx: &Transaction| self.market.predict_but_proofs(&chain.app, tx);
        self.outlook(bytes, first, check_signature)
    }

    /// What `judge` makes of a transaction; for one that stands behind others of its signer, what `check` makes of its signature.
    fn outlook(
        &self,
        bytes: &[u8],
        judge: impl FnOnce(&Chain, &Transaction) -> Result<Vec<ProofClaim>, Refusal>,
        check: impl FnOnce(&ChainId, &SignedTx) -> Result<(), Refused>,
    ) -> Result<Outlook, Refused> {
        let tx = Transaction::from_bytes(bytes)
            .map_err(|error| refusal(&Refusal::Malformed { error }))?;
        let chain = self.chain();
        let verdict = judge(&chain, &tx);
        let next = match &tx {
            Transaction::Signed(signed) => chain.app.next_sequence(&signed.signer),
            _ => 0,
        };
        let proofs = match (verdict, &tx) {
            (Ok(proofs), _) => proofs,
            // Behind others of its signer that wait here: it is judged in full when its turn comes.
            (
                Err(Refusal::Sequence {
                    expected, found, ..
                }),
                Transaction::Signed(signed),
            ) if found > expected => {
                check(&chain.chain, signed)?;
                Vec::new()
            }
            (Err(error), _) => return Err(refusal(&error)),
        };
        let lane = match tx {
            Transaction::SealKey(_) | Transaction::SealReveal(_) => Lane::Committee,
            Transaction::Bid(bid) => Lane::Bid {
                bidder: bid.content.bidder,
            },
            Transaction::Signed(signed) => Lane::Numbered {
                signer: signed.signer,
                sequence: signed.sequence,
            },
        };
        Ok(Outlook {
            lane,
            next,
            proofs,
            height: chain.height,
        })
    }

    /// Remembers and tells the refusal of what was submitted here, owed or waiting.
    pub(super) fn refuse(&self, hash: TxHash, refused: Refused) {
        let error = crate::api::error::of_refused(&refused);
        self.refused.remember(hash, refused);
        self.tell_refused(Event::Refused {
            tx_hash: hash,
            error,
        });
    }
}

fn check_signature(chain: &ChainId, signed: &SignedTx) -> Result<(), Refused> {
    signed.verify_signature(chain).map_err(|_| {
        refusal(&Refusal::BadSignature {
            signer: signed.signer,
        })
    })
}

fn refusal(error: &Refusal) -> Refused {
    Refused {
        code: error.code(),
        // A stranger had a part in it.
        message: tender_wire::text::line(&error.to_string(), MAX_REASON_CHARS),
        for_ever: error.is_state_independent(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// D, B22: what a stranger wrote into a transaction comes back cut.
    #[test]
    fn a_reason_is_repeated_so_far_and_no_further() {
        let said = |why: String| refusal(&Refusal::Change { why }).message;
        let room = MAX_REASON_CHARS - said(String::new()).chars().count();
        let whole = said("x".repeat(room));
        assert!(whole.ends_with('x'));
        assert_eq!(whole.chars().count(), MAX_REASON_CHARS);
        assert_eq!(said("x".repeat(room + 1)), format!("{whole}…"));
    }
}
