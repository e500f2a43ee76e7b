//! What a start finds on disk: the chain by executing every stored block again, and the vote log.
//!
//! Re-execution needs no trust in a snapshot and finds damage that checksums cannot, at the price of a start that grows with the
//! chain (some hundred microseconds a bid: proofs are verified by the page, those of many blocks together). A block that was final and does not execute stops the start: the files belong to
//! another genesis or program.

use super::{
    archive::{Archive, ArchiveError},
    shared::Chain,
};
use crate::store::{
    SYNC_AFRESH,
    points::{self, Point},
    wal::{WalFile, WalFileError},
};
use std::path::{Path, PathBuf};
use tender_auction::market::Market;
use tender_consensus::{
    block::Block,
    certificate::CommitCertificate,
    chain::{BlockError, ChainState},
    wal::WalRecord,
};
use tender_wire::{CodecError, Height, PublicKey, decode};

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
    /// The files are another validator's.
    #[error(
        "{path} is of validator {found}, this home's key is of {expected}: put the files back where they belong; with a new key, begin in an empty home (SECURITY.md, \"Lost files\")", path = path.display()
    )]
    OtherValidator {
        /// The vote log or the store.
        path: PathBuf,
        /// Whose it is.
        found: PublicKey,
        /// Whose it should be.
        expected: PublicKey,
    },
    /// A block shows a vote that the log does not know of.
    #[error(
        "{path} is at height {log}, and this validator has signed block {signed}: the log is an older copy, or the key votes elsewhere too (SECURITY.md, \"Lost files\")", path = path.display()
    )]
    OldLog {
        /// The vote log.
        path: PathBuf,
        /// The height it is at; 0 if it has none.
        log: Height,
        /// The highest block that carries this validator's signature.
        signed: Height,
    },
}

/// The chain as stored.
pub(super) struct Stored {
    pub(super) chain: Chain,
    /// Of its tip.
    pub(super) certificate: Option<CommitCertificate>,
    /// The highest block whose certificate carries the signature of the validator asked about.
    pub(super) signed: Height,
}

/// The chain as stored, and how far `validator` has signed it.
///
/// # Errors
/// [`RecoverError`].
pub(super) fn chain(
    market: &Market,
    archive: &Archive,
    validator: Option<PublicKey>,
) -> Result<Stored, RecoverError> {
    let tip = archive.height()?;
    let mut found = Stored {
        chain: ChainState::genesis(market),
        certificate: None,
        signed: Height(0),
    };
    while found.chain.height < tip {
        let at = found.chain.height;
        let stored = archive.raw_blocks(at.next(), READ_BLOCKS, READ_BYTES)?;
        if stored.is_empty() {
            return Err(RecoverError::Short { tip, found: at });
        }
        let blocks: Vec<Result<Block, _>> = stored.iter().map(|it| decode(&it.block)).collect();
        let readable = blocks.iter().map_while(|block| block.as_ref().ok());
        let bodies: Vec<_> = readable.map(|block| &block.transactions[..]).collect();
        market.verify_range(&found.chain.app, &bodies);
        for (stored, block) in stored.into_iter().zip(blocks) {
            let height = stored.height;
            let unreadable = |source| RecoverError::Unreadable { height, source };
            let block = block.map_err(unreadable)?;
            let certificate: CommitCertificate = decode(&stored.certificate).map_err(unreadable)?;
            let rank = validator.and_then(|key| found.chain.validators.index_of(&key));
            let signers = certificate.precommits(&found.chain.validators);
            let mut signers = signers.into_iter().flatten().map(|(index, _)| index);
            if rank.is_some_and(|rank| signers.any(|index| index == rank)) {
                found.signed = height;
            }
            let applied = found
                .chain
                .apply(market, &block)
                .map_err(|source| RecoverError::DoesNotExecute { height, source })?;
            found.chain = applied.chain;
            found.certificate = Some(certificate);
            points::pass(Point::Recovering);
        }
    }
    Ok(found)
}

/// The vote log of a validator. One whose store holds no block and that has never voted may begin a new log; any other without its log, or with
/// a log that is not its own or older than what the stored blocks show, must not sign.
///
/// # Errors
/// [`RecoverError`].
pub(super) fn vote_log(
    path: &Path,
    archive: &Archive,
    stored: &Stored,
    validator: PublicKey,
) -> Result<(WalFile, Vec<WalRecord>), RecoverError> {
    let voter = archive.voter()?;
    let others = |path: &Path, found| RecoverError::OtherValidator {
        path: path.to_owned(),
        found,
        expected: validator,
    };
    if let Some(found) = voter.filter(|found| *found != validator) {
        return Err(others(path.parent().unwrap_or(path), found));
    }
    if stored.chain.height == Height(0) && voter.is_none() && !path.exists() {
        return Ok((WalFile::create(path)?, Vec::new()));
    }
    let (file, mut records) = WalFile::open(path)?;
    let start = records.iter().rev().find_map(|record| match record {
        WalRecord::Start { chain, height, .. } => Some((*chain, *height)),
        _ => None,
    });
    if voter.is_some() && records.is_empty() {
        return Err(WalFileError::Emptied { path: path.into() }.into());
    }
    let mut signers = records.iter().filter_map(|record| match record {
        WalRecord::SignedVote(vote) => Some(vote.validator),
        WalRecord::SignedProposal(proposal) => Some(proposal.validator),
        _ => None,
    });
    // A log of another chain is refused as that.
    let ours = start.is_none_or(|(chain, _)| chain == stored.chain.chain);
    if let Some(found) = signers.find(|found| *found != validator).filter(|_| ours) {
        return Err(others(path, found));
    }
    let log = start.map_or(Height(0), |(_, height)| height);
    if ours && stored.signed > log {
        return Err(RecoverError::OldLog {
            path: path.to_owned(),
            log,
            signed: stored.signed,
        });
    }
    if voter.is_none() && ours && !records.is_empty() {
        // The process ended between its first vote and this; what it wrote is about to be said.
        archive.set_voter(&validator)?;
    }
    if records.is_empty() {
        // Nothing was ever signed here: the blocks came from others. To the engine that is a log of a height that is over, and none of a lost one,
        // which it would have to sit a height out for.
        records.push(WalRecord::Start {
            chain: stored.chain.chain,
            height: stored.chain.height,
            parent: stored.chain.tip,
        });
    }
    Ok((file, records))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Store, wal::WAL_FILE};
    use tender_auction::scenario;
    use tender_wire::BlockId;

    /// P7: a validator that only caught up has an empty log and has lost nothing: to the engine its log is of a height that is over. One that has
    /// voted, or whose votes are in the blocks, is refused.
    #[test]
    fn p7_an_empty_log_of_a_validator_that_never_voted_is_no_lost_one() {
        let genesis = scenario::genesis();
        let key = genesis.validators[0].key;
        let market = Market::new(genesis.clone()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let archive = Archive::new(Store::open(dir.path(), genesis.chain_id()).unwrap());
        let mut chain = ChainState::genesis(&market);
        (chain.height, chain.tip) = (Height(2), BlockId([2; 32]));
        let mut stored = Stored {
            chain,
            certificate: None,
            signed: Height(0),
        };
        let path = dir.path().join(WAL_FILE);
        drop(WalFile::create(&path).unwrap());
        let opened = |stored: &Stored| vote_log(&path, &archive, stored, key).map(|(_, log)| log);
        let over = WalRecord::Start {
            chain: genesis.chain_id(),
            height: Height(2),
            parent: BlockId([2; 32]),
        };
        assert_eq!(opened(&stored).unwrap(), [over]);
        stored.signed = Height(1);
        let error = opened(&stored).unwrap_err();
        assert!(matches!(error, RecoverError::OldLog { .. }), "{error}");
        stored.signed = Height(0);
        archive.set_voter(&key).unwrap();
        let error = opened(&stored).unwrap_err();
        let RecoverError::Log(WalFileError::Emptied { .. }) = error else {
            panic!("{error}")
        };
    }
}
