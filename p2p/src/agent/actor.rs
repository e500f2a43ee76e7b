//! Somebody who signs: a key, the chain it acts on, and the peer it speaks to.

use super::{client::Client, error::Failure};
use tender_auction::{
    genesis::Genesis,
    transaction::{Action, SignedTx, Transaction},
};
use tender_wire::{ChainId, Height, SecretKey};

/// How often an action is signed anew because another of the same signer took its sequence number.
pub(crate) const ATTEMPTS: usize = 5;
/// Most actions of one signer that wait for a block together: fewer than a mempool keeps of one signer.
pub(crate) const BATCH: usize = 16;

/// A signer and its peer.
pub struct Actor {
    /// Its own peer.
    pub client: Client,
    /// The genesis document.
    pub genesis: Genesis,
    /// Its chain id.
    pub chain: ChainId,
    /// The agent key.
    pub key: SecretKey,
}

impl Actor {
    /// Signs an action under the next sequence number, submits it and waits for its block. Returns the sequence number it took
    /// and the block's height.
    ///
    /// # Errors
    /// [`Failure`] with the peer's reason, or if the block does not come in time.
    pub fn act(&self, action: Action) -> Result<(u64, Height), Failure> {
        let mut attempt = 0usize;
        loop {
            attempt = attempt.saturating_add(1);
            let sequence = self.client.account(&self.key.public())?.next_sequence;
            let signed = SignedTx::new(&self.chain, &self.key, sequence, action.clone());
            let sent = self.client.submit(&Transaction::Signed(Box::new(signed)));
            match sent.and_then(|hash| self.client.wait_committed(&hash)) {
                Ok(height) => return Ok((sequence, height)),
                Err(failure) if failure.is_code("sequence") && attempt < ATTEMPTS => {}
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Signs several actions in a row, submits all, and waits until each is in a block: one block can hold them all. Gives their heights.
    ///
    /// # Errors
    /// [`Failure`] with the peer's reason for the first that it refuses.
    pub fn act_all(&self, actions: Vec<Action>) -> Result<Vec<Height>, Failure> {
        let mut heights = Vec::new();
        let mut rest = actions.as_slice();
        while !rest.is_empty() {
            let (batch, tail) = rest.split_at_checked(BATCH).unwrap_or((rest, &[]));
            let first = self.client.account(&self.key.public())?.next_sequence;
            let mut sent = Vec::new();
            for (action, sequence) in batch.iter().zip(first..) {
                let signed = SignedTx::new(&self.chain, &self.key, sequence, action.clone());
                sent.push(self.client.submit(&Transaction::Signed(Box::new(signed)))?);
            }
            for hash in &sent {
                heights.push(self.client.wait_committed(hash)?);
            }
            rest = tail;
        }
        Ok(heights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        agent::testing::{actor, fine, peer, refused},
        api::types::{Account, Submitted, TxStatus},
    };
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };
    use tender_wire::TxHash;

    fn revoke() -> Action {
        Action::Revoke { index: 0 }
    }

    fn account() -> Account {
        Account {
            key: tender_auction::scenario::key("ann").public(),
            next_sequence: 4,
            issuer: None,
        }
    }

    #[test]
    fn an_action_is_signed_so_often_and_then_the_peers_reason_is_told() {
        // Another of the same signer takes its number so often.
        for taken in 0..=ATTEMPTS {
            let signed = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&signed);
            let client = peer(move |what| match what {
                "post /v1/transactions" => match counted.fetch_add(1, Ordering::SeqCst) {
                    before if before < taken => refused("sequence"),
                    _ => fine(&Submitted {
                        tx_hash: TxHash([1; 32]),
                    }),
                },
                _ if what.contains("accounts") => fine(&account()),
                _ => fine(&TxStatus::Committed { height: Height(9) }),
            });
            let done = actor("ann", client).act(revoke());
            assert_eq!(signed.load(Ordering::SeqCst), ATTEMPTS.min(taken + 1));
            match done {
                Ok(done) => assert!(done == (4, Height(9)) && taken < ATTEMPTS),
                Err(failure) => assert!(failure.is_code("sequence") && taken == ATTEMPTS),
            }
        }
    }

    #[test]
    fn so_many_actions_wait_for_a_block_together_and_the_next_for_the_first() {
        let (mut sent, mut seen) = (0, 0);
        let client = peer(move |what| match what {
            "post /v1/transactions" => {
                assert!(sent < seen + BATCH, "{sent} sent, {seen} in a block");
                sent += 1;
                let mut hash = [0; 32];
                hash[0] = sent as u8;
                let tx_hash = TxHash(hash);
                fine(&Submitted { tx_hash })
            }
            _ if what.contains("accounts") => fine(&account()),
            _ => {
                assert!(sent % BATCH == 0 || sent == 2 * BATCH + 1, "all of a batch");
                seen += 1;
                let height = Height(seen as u64);
                fine(&TxStatus::Committed { height })
            }
        });
        let actions = vec![revoke(); 2 * BATCH + 1];
        let heights = actor("ann", client).act_all(actions).unwrap();
        assert!(heights.iter().map(|it| it.0).eq(1..=2 * BATCH as u64 + 1));
    }
}
