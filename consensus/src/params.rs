//! Chain parameters (fixed in genesis) and the hard caps that hold on every chain.
//!
//! Invariant: a parameter never exceeds its hard cap ([`Params::check`]), so a decoder can be bounded before the chain is known.

use serde::{Deserialize, Serialize};

/// Bytes of one transaction. A bid with four proofs and a padded ciphertext stays below 16 KiB.
pub const MAX_TX_BYTES: usize = 64 << 10;
/// Transactions of one block. Bounds a compact block's list of hashes to 128 KiB.
pub const MAX_BLOCK_TXS: usize = 4096;
/// Bytes of transactions and witnesses of one block: one second of a 32 Mbit/s link.
pub const MAX_BLOCK_BYTES: usize = 4 << 20;
/// Clearing witnesses of one block.
pub const MAX_WITNESSES: usize = 64;
/// Pieces of evidence in one block; each costs two signature checks.
pub const MAX_BLOCK_EVIDENCE: usize = 16;
/// Longest timeout of any round, in milliseconds: rounds beyond it repeat at this pace.
pub const MAX_TIMEOUT_MS: u64 = 60_000;
/// Longest block interval, in milliseconds: windows are counted in blocks.
pub const MAX_BLOCK_INTERVAL_MS: u64 = 3_600_000;
/// Most heights an offence is remembered for: bounds the offences in the state.
pub const MAX_EVIDENCE_AGE: u64 = 1_000_000;

/// What genesis fixes about time and sizes. Times are milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Least distance between the times of a block and its parent.
    pub block_interval_ms: u64,
    /// Time given to a proposal in round 0.
    pub propose_timeout_ms: u64,
    /// Time given to straggling votes in round 0, after a quorum of any kind.
    pub vote_timeout_ms: u64,
    /// What every later round adds to each timeout.
    pub timeout_delta_ms: u64,
    /// How far ahead of the local clock a fresh proposal's time may be.
    pub max_clock_ahead_ms: u64,
    /// How far behind the local clock a fresh proposal's time may be; every round adds as much again.
    pub max_clock_behind_ms: u64,
    /// Heights after which an offence can no longer be committed.
    pub evidence_age: u64,
    /// Transactions and witnesses of a block, in bytes.
    pub max_block_bytes: u32,
    /// Transactions of a block.
    pub max_block_txs: u32,
}

impl Default for Params {
    fn default() -> Self {
        Params {
            block_interval_ms: 1_000,
            propose_timeout_ms: 3_000,
            vote_timeout_ms: 1_000,
            timeout_delta_ms: 500,
            max_clock_ahead_ms: 500,
            max_clock_behind_ms: 4_000,
            evidence_age: 10_000,
            max_block_bytes: 1 << 20,
            max_block_txs: 2048,
        }
    }
}

/// Why parameters are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("parameter {name} is {value}, it must be between {min} and {max}")]
pub struct ParamsError {
    /// The parameter.
    pub name: &'static str,
    /// Its value.
    pub value: u64,
    /// The least accepted value.
    pub min: u64,
    /// The greatest accepted value.
    pub max: u64,
}

impl Params {
    /// Refuses parameters under which a chain could not run or could not be bounded.
    ///
    /// # Errors
    /// [`ParamsError`] naming the first parameter out of range.
    pub fn check(&self) -> Result<(), ParamsError> {
        let timeouts = 1..=MAX_TIMEOUT_MS;
        [
            (
                "block_interval_ms",
                self.block_interval_ms,
                1..=MAX_BLOCK_INTERVAL_MS,
            ),
            (
                "propose_timeout_ms",
                self.propose_timeout_ms,
                timeouts.clone(),
            ),
            ("vote_timeout_ms", self.vote_timeout_ms, timeouts.clone()),
            ("timeout_delta_ms", self.timeout_delta_ms, timeouts.clone()),
            (
                "max_clock_ahead_ms",
                self.max_clock_ahead_ms,
                timeouts.clone(),
            ),
            ("max_clock_behind_ms", self.max_clock_behind_ms, timeouts),
            ("evidence_age", self.evidence_age, 1..=MAX_EVIDENCE_AGE),
            (
                "max_block_bytes",
                u64::from(self.max_block_bytes),
                (MAX_TX_BYTES as u64)..=(MAX_BLOCK_BYTES as u64),
            ),
            (
                "max_block_txs",
                u64::from(self.max_block_txs),
                1..=(MAX_BLOCK_TXS as u64),
            ),
        ]
        .into_iter()
        .try_for_each(|(name, value, range)| {
            if range.contains(&value) {
                return Ok(());
            }
            let (min, max) = (*range.start(), *range.end());
            Err(ParamsError {
                name,
                value,
                min,
                max,
            })
        })
    }
}
