//! What a start finds on disk: the chain by executing every stored block again, and the vote log.
//!
//! Re-execution needs no trust in a snapshot and finds damage that checksums cannot, at the price of a start that grows with the
//! chain (some milliseconds per proof, once). A block that was final and does not execute stops the start: the files belong to
//! another genesis or program.

use super::{
    archive::{Archive, ArchiveError},
    shared::Chain,
};
use crate::store::{
    SYNC_AFRESH,
    wal::{WalFile, WalFileError},
};
use std::path::Path;
use tender_auction::market::Market;
use tender_consensus::{
    block::Block,
    certificate::CommitCertificate,
    chain::{BlockError, ChainState},
    wal::WalRecord,
};
use tender_wire::{CodecError, Height, decode};

/// Bytes of blocks read at once.
pub(crate) const READ_BYTES: usize = 32 << 20;
/// Blocks read at once.
pub(crate) const READ_BLOCKS: usize = 256;

/// Why a peer cannot continue what is on its disk.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The store cannot be read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The vote log cannot be used.
    #[error(transparent)]
    Log(#[from] WalFileError),
    /// A stored block does not decode.
    #[error("stored block {height} is unreadable: {source}; was it written by another version?")]
    Unreadable {
        /// Its height.
        height: Height,
        /// The codec's reason.
        source: CodecError,
    },
    /// A stored block does not execute.
    #[error(
        "stored block {height} does not execute: {source}; use the program that wrote it, or {afresh}", afresh = SYNC_AFRESH
    )]
    DoesNotExecute {
        /// Its height.
        height: Height,
        /// Why not.
        source: BlockError,
    },
    /// The store ends before the height it claims.
    #[error(
        "the store names height {tip} as its last and ends at {found}; {afresh}", afresh = SYNC_AFRESH
    )]
    Short {
        /// The height claimed.
        tip: Height,
        /// The last height found.
        found: Height,
    },
}

/// The chain as stored, and the certificate of its tip.
///
/// # Errors
/// [`RecoverError`].
pub(super) fn chain(
    market: &Market,
    archive: &Archive,
) -> Result<(Chain, Option<CommitCertificate>), RecoverError> {
    let tip = archive.height()?;
    let mut chain = ChainState::genesis(market);
    let mut certificate = None;
    while chain.height < tip {
        let found = chain.height;
        let stored = archive.raw_blocks(found.next(), READ_BLOCKS, READ_BYTES)?;
        if stored.is_empty() {
            return Err(RecoverError::Short { tip, found });
        }
        for stored in stored {
            let height = stored.height;
            let unreadable = |source| RecoverError::Unreadable { height, source };
            let block: Block = decode(&stored.block).map_err(unreadable)?;
            let applied = chain
                .apply(market, &block)
                .map_err(|source| RecoverError::DoesNotExecute { height, source })?;
            chain = applied.chain;
            certificate = Some(decode(&stored.certificate).map_err(unreadable)?);
        }
    }
    Ok((chain, certificate))
}

/// The vote log. A validator whose store holds no block has never voted on a block it could remember, and may begin a new log;
/// with blocks but without a log it must not sign.
///
/// # Errors
/// [`RecoverError::Log`].
pub(super) fn vote_log(
    path: &Path,
    tip: Height,
) -> Result<(WalFile, Vec<WalRecord>), RecoverError> {
    if tip == Height(0) && !path.exists() {
        return Ok((WalFile::create(path)?, Vec::new()));
    }
    Ok(WalFile::open(path)?)
}
