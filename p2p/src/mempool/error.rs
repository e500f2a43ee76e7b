//! Why the pool has no place for a transaction that is good in itself.

use super::{MAX_PER_PEER, MAX_PER_SIGNER, refused::Refused};
use libp2p::PeerId;
use tender_wire::{PublicKey, TxHash};

/// Why the pool does not take a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// It is here.
    #[error("transaction {0} is waiting already")]
    Duplicate(TxHash),
    /// No room at all.
    #[error("the pool is full: {txs} transactions, {bytes} bytes")]
    Full {
        /// Transactions held.
        txs: usize,
        /// Bytes held.
        bytes: usize,
    },
    /// No more room for this signer.
    #[error("{signer} has {MAX_PER_SIGNER} transactions waiting, the most one signer may have")]
    SignerFull {
        /// The signer.
        signer: PublicKey,
    },
    /// No more room for what this peer brings.
    #[error(
        "peer {peer} has brought {MAX_PER_PEER} transactions that still wait, the most one peer may"
    )]
    PeerFull {
        /// The peer.
        peer: PeerId,
    },
    /// Its sequence number is used up.
    #[error("{signer}: the next sequence number is {expected}, not {found}")]
    Past {
        /// The signer.
        signer: PublicKey,
        /// The least number free.
        expected: u64,
        /// The transaction's.
        found: u64,
    },
    /// A transaction with a lower sequence number is missing.
    #[error("{signer}: number {found} must wait for number {expected}, which is not here")]
    Gap {
        /// The signer.
        signer: PublicKey,
        /// The first number missing.
        expected: u64,
        /// The transaction's.
        found: u64,
    },
    /// Another transaction of the signer waits with that number.
    #[error("{signer}: another transaction with sequence number {sequence} is waiting")]
    Taken {
        /// The signer.
        signer: PublicKey,
        /// The number.
        sequence: u64,
    },
}

impl PoolError {
    /// The rule, as a stable snake_case word.
    pub fn code(&self) -> &'static str {
        match self {
            PoolError::Duplicate(_) => "already_waiting",
            PoolError::Full { .. } => "mempool_full",
            PoolError::SignerFull { .. } => "signer_limit",
            PoolError::PeerFull { .. } => "peer_limit",
            PoolError::Past { .. } | PoolError::Gap { .. } | PoolError::Taken { .. } => "sequence",
        }
    }
}

impl From<PoolError> for Refused {
    fn from(error: PoolError) -> Self {
        Refused {
            code: error.code(),
            message: error.to_string(),
            for_ever: false,
        }
    }
}
