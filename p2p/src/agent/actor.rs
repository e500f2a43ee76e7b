//! Somebody who signs: a key, the chain it acts on, and the peer it speaks to.

use super::{client::Client, error::Failure};
use std::time::Duration;
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
    pub fn act(&self, action: Action, within: Duration) -> Result<(u64, Height), Failure> {
        let mut attempt = 0usize;
        loop {
            attempt = attempt.saturating_add(1);
            let sequence = self.client.account(&self.key.public())?.next_sequence;
            let signed = SignedTx::new(&self.chain, &self.key, sequence, action.clone());
            let sent = self.client.submit(&Transaction::Signed(Box::new(signed)));
            match sent.and_then(|hash| self.client.wait_committed(&hash, within)) {
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
    pub fn act_all(&self, actions: Vec<Action>, within: Duration) -> Result<Vec<Height>, Failure> {
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
                heights.push(self.client.wait_committed(hash, within)?);
            }
            rest = tail;
        }
        Ok(heights)
    }
}
