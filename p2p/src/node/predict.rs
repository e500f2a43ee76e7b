//! What the chain as last committed would say to a transaction, in the words of the pool and the API.

use super::shared::Shared;
use crate::{
    api::types::Event,
    mempool::{Lane, Refused},
    metrics::ProofVerdict,
};
use tender_auction::{
    market::Refusal,
    transaction::{SignedTx, Transaction},
};
use tender_circuits::EvidenceKind;
use tender_wire::TxHash;

/// Longest reason repeated to others.
const MAX_REASON_CHARS: usize = 400;
impl Shared {
    /// Where a transaction would stand in line, and its signer's next number on chain; or why it does not apply.
    pub(super) fn predict(&self, bytes: &[u8]) -> Result<(Lane, u64), Refused> {
        let tx = Transaction::from_bytes(bytes)
            .map_err(|error| refusal(&Refusal::Malformed { error }))?;
        let chain = self.chain();
        let verdict = self.market.predict(&chain.app, &tx);
        self.count_proofs(&tx, &verdict);
        let next = match &tx {
            Transaction::Signed(signed) => chain.app.next_sequence(&signed.signer),
            _ => 0,
        };
        match (verdict, &tx) {
            (Ok(()), _) => {}
            // Behind others of its signer that wait here: it is judged in full when its turn comes.
            (
                Err(Refusal::Sequence {
                    expected, found, ..
                }),
                Transaction::Signed(signed),
            ) if found > expected => {
                check_signature(&chain.chain, signed)?;
            }
            (Err(error), _) => return Err(refusal(&error)),
        }
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
        Ok((lane, next))
    }

    /// Remembers and announces a refusal.
    pub(super) fn refuse(&self, hash: TxHash, refused: Refused) {
        let error = crate::api::error::of_refused(&refused);
        self.refused.remember(hash, refused);
        self.announce(Event::Refused {
            tx_hash: hash,
            error,
        });
    }

    fn count_proofs(&self, tx: &Transaction, verdict: &Result<(), Refusal>) {
        let Transaction::Bid(bid) = tx else { return };
        let is_proof = |kind| kind == EvidenceKind::Proof;
        let proofs = bid
            .content
            .evidences
            .iter()
            .filter(|e| is_proof(e.kind()))
            .count();
        match verdict {
            Ok(()) => {
                let proofs = u64::try_from(proofs).unwrap_or(u64::MAX);
                self.metrics.count_proofs(ProofVerdict::Ok, proofs);
            }
            Err(Refusal::InvalidProof { .. }) => self.metrics.count_proofs(ProofVerdict::Bad, 1),
            Err(_) => {}
        }
    }
}

fn check_signature(chain: &tender_wire::ChainId, signed: &SignedTx) -> Result<(), Refused> {
    signed.verify_signature(chain).map_err(|_| {
        refusal(&Refusal::BadSignature {
            signer: signed.signer,
        })
    })
}

fn refusal(error: &Refusal) -> Refused {
    Refused {
        code: error.code(),
        message: shown(&error.to_string()),
        for_ever: error.is_state_independent(),
    }
}

/// What a stranger had a part in, fit for logs and answers: one line, of bounded length.
fn shown(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(MAX_REASON_CHARS).map(plain).collect()
}
