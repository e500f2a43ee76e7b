//! The chain on disk, typed: blocks with certificates, and what people ask of the past.
//!
//! Index keys, first byte first; heights and positions big-endian so that scans come in order:
//!
//! | key | value |
//! |---|---|
//! | `t` tx_hash | height `u64` of the block that holds it |
//! | `a` height `u64` ‖ auction | canonical [`Opened`]: what was opened there |
//! | `i` auction | height `u64` it was opened at |
//! | `e` auction | height `u64` it cleared or was voided at |
//! | `o` auction ‖ height `u64` ‖ position `u32` | canonical [`OutcomeRecord`] |
//! | `l` height `u64` | the leaves of its outcome tree, 32 bytes each |
//! | `v` height `u64` | canonical list of validators from the next height on, where the set changes |
//! | `p` height `u64` | canonical list of (auction, phase entered), in the order they are told, where any was |
//!
//! Invariant: written in one transaction with the block, from the block's own execution. What does not decode is damage. Calls
//! block on the disk.

use super::events;
use crate::{
    api::types::{Event, Phase},
    store::{SYNC_AFRESH, Store, StoreError, StoredBlock},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tender_auction::{
    certificate::{AssignmentCertificate, MAX_SET_CHANGES, SetChange},
    market::{MarketState, auction::MAX_AUCTION_ENTRIES, settle::MAX_RUNNERS_UP},
    outcome::{OutcomeKey, OutcomeRecord},
    task::{AuctionSpec, MAX_TASKS, MAX_UNITS},
    transaction::MAX_TX_BYTES,
};
use tender_consensus::{
    block::{Block, CommittedBlock},
    certificate::CommitCertificate,
    chain::ChainState,
    message::{MAX_RANGE_BLOCKS, MAX_RESPONSE_BYTES, Response},
    validators::{Validator, ValidatorSet},
};
use tender_wire::{AuctionId, CodecError, Digest, Height, PublicKey, TxHash, Wire, decode, encode};

/// Blocks and certificates of one answer, in bytes: below consensus' cap, with room for the frame around them.
pub(crate) const MAX_RANGE_BYTES: usize = MAX_RESPONSE_BYTES - 4096;
/// Records of one auction read at most: several times what an auction can leave.
pub(crate) const MAX_RECORDS: usize = 1 << 20;
/// Awards of an auction, each told of at most five times: a unit's first, and those of runners-up.
const MAX_AWARDS: usize = MAX_UNITS as usize + MAX_TASKS * MAX_RUNNERS_UP;
const _: () =
    assert!(1 + 2 * MAX_AUCTION_ENTRIES + MAX_UNITS as usize + 5 * MAX_AWARDS < MAX_RECORDS);
/// Of those, read from the disk at once, at about half a kilobyte each.
pub(crate) const RECORDS_AT_ONCE: usize = 1024;

/// Why the past cannot be read or extended. The process must stop; its files are as they were.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored value does not decode, though its checksum holds.
    #[error("the store holds an unreadable {what}: {source}; was it written by another version?")]
    Unreadable {
        /// What it should be.
        what: &'static str,
        /// The codec's reason.
        source: CodecError,
    },
    /// An index entry points at nothing.
    #[error("the store's index names {0}, which is not there; {afresh}", afresh = SYNC_AFRESH)]
    Dangling(String),
}

/// What is kept of an auction's opening for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// The auction.
    pub auction: AuctionId,
    /// Who opened it.
    pub opener: PublicKey,
    /// What was opened.
    pub spec: AuctionSpec,
}

impl Wire for Opened {
    const NAME: &'static str = "opened auction";
    const MAX_BYTES: usize = MAX_TX_BYTES;
}

/// An auction of the past or present, as the index knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// What was opened.
    pub opened: Opened,
    /// The block that opened it.
    pub opened_at: Height,
    /// The block that cleared or voided it.
    pub ended_at: Option<Height>,
}

/// A record and where it was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The block.
    pub height: Height,
    /// Position in the block's outcome tree.
    pub position: u32,
    /// The record.
    pub record: OutcomeRecord,
}

/// A list of validators as stored.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Validators(pub(super) Vec<Validator>);

impl Wire for Validators {
    const NAME: &'static str = "validators";
    const MAX_BYTES: usize = 8 + tender_consensus::validators::MAX_VALIDATORS * 40;
}

/// Phases that auctions entered in one block, as stored.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Phases(pub(super) Vec<(AuctionId, Phase)>);

impl Wire for Phases {
    const NAME: &'static str = "phases";
    /// Far more than the live auctions there may be, at 36 bytes each.
    const MAX_BYTES: usize = 64 << 10;
}

/// The typed store. Cheap to clone.
#[derive(Clone)]
pub struct Archive {
    store: Arc<Store>,
}

impl Archive {
    /// Over an open store.
    pub fn new(store: Store) -> Self {
        Archive {
            store: Arc::new(store),
        }
    }

    /// Height of the last block; 0 if there is none.
    ///
    /// # Errors
    /// [`ArchiveError`], as for every call below.
    pub fn height(&self) -> Result<Height, ArchiveError> {
        Ok(self.store.tip()?.map_or(Height(0), |(height, _)| height))
    }

    /// The validator that has voted from here, if one has.
    pub fn voter(&self) -> Result<Option<PublicKey>, ArchiveError> {
        Ok(self.store.voter()?)
    }

    /// Remembers who votes from here: once the first vote is on disk, before it leaves.
    pub fn set_voter(&self, key: &PublicKey) -> Result<(), ArchiveError> {
        Ok(self.store.set_voter(key)?)
    }

    /// Appends a block with everything the index holds of it. On disk when this returns.
    pub fn commit(
        &self,
        block: &Block,
        certificate: &CommitCertificate,
        chain: &ChainState<MarketState>,
        records: &[OutcomeRecord],
        events: &[Event],
    ) -> Result<(), ArchiveError> {
        let height = block.header.height;
        let mut index = index_of(block, chain, records);
        let phases = events.iter().filter_map(|event| match event {
            Event::Auction { auction, phase, .. } => Some((*auction, *phase)),
            _ => None,
        });
        let phases = Phases(phases.collect());
        if !phases.0.is_empty() {
            index.push((key(b'p', &[&height.0.to_be_bytes()]), encode(&phases)));
        }
        self.store.commit(
            height,
            block.id(),
            &encode(block),
            &encode(certificate),
            &index,
        )?;
        Ok(())
    }

    /// The block at a height.
    pub fn block(&self, height: Height) -> Result<Option<CommittedBlock>, ArchiveError> {
        self.store.block(height)?.map(committed).transpose()
    }

    /// Stored bytes of consecutive blocks from a height on, within these caps.
    pub fn raw_blocks(
        &self,
        from: Height,
        count: usize,
        max_bytes: usize,
    ) -> Result<Vec<StoredBlock>, ArchiveError> {
        Ok(self.store.blocks(from, count, max_bytes)?)
    }

    /// What was told of consecutive blocks from a height on, at most `count` of them and within `max_bytes` of blocks (at least one).
    pub fn events(
        &self,
        from: Height,
        count: usize,
        max_bytes: usize,
    ) -> Result<Vec<Event>, ArchiveError> {
        let mut told = Vec::new();
        for stored in self.store.blocks(from, count, max_bytes)? {
            let CommittedBlock { block, certificate } = committed(stored)?;
            let height = block.header.height;
            told.push(events::of_block(&block, &certificate));
            let phases = self
                .store
                .index_get(&key(b'p', &[&height.0.to_be_bytes()]))?;
            let phases = phases.map_or(Ok(Phases(Vec::new())), |bytes| read("phases", &bytes))?;
            let entered = phases.0.into_iter().zip(1u32..);
            told.extend(entered.map(|((auction, phase), index)| Event::Auction {
                auction,
                phase,
                height,
                index,
            }));
        }
        Ok(told)
    }

    /// Consecutive blocks from a height on, as many as one answer to a peer may carry.
    pub fn range(&self, from: Height) -> Result<Response, ArchiveError> {
        let stored = self
            .store
            .blocks(from.max(Height(1)), MAX_RANGE_BLOCKS, MAX_RANGE_BYTES)?;
        let blocks: Result<_, _> = stored.into_iter().map(committed).collect();
        Ok(Response::Blocks(blocks?))
    }

    /// The block that holds a transaction.
    pub fn transaction(&self, hash: &TxHash) -> Result<Option<Height>, ArchiveError> {
        self.height_at(&key(b't', &[hash.as_ref()]))
    }

    /// An auction, whenever it was opened.
    pub fn auction(&self, id: &AuctionId) -> Result<Option<Known>, ArchiveError> {
        let Some(opened_at) = self.height_at(&key(b'i', &[id.as_ref()]))? else {
            return Ok(None);
        };
        let row = key(b'a', &[&opened_at.0.to_be_bytes(), id.as_ref()]);
        let value = self.store.index_get(&row)?;
        let value = value.ok_or_else(|| ArchiveError::Dangling(format!("auction {id}")))?;
        self.known(opened_at, &value).map(Some)
    }

    /// Auctions in opening order, at most `limit`, after the one given.
    pub fn auctions(
        &self,
        after: Option<&AuctionId>,
        limit: usize,
    ) -> Result<Vec<Known>, ArchiveError> {
        let after = match after {
            None => None,
            Some(id) => match self.height_at(&key(b'i', &[id.as_ref()]))? {
                None => return Ok(Vec::new()),
                Some(height) => Some(key(b'a', &[&height.0.to_be_bytes(), id.as_ref()])),
            },
        };
        let rows = self.store.index_scan(b"a", after.as_deref(), limit)?;
        let rows = rows.into_iter().map(|(key, value)| {
            let height = key.get(1..9).and_then(be_u64);
            let height = height.ok_or_else(|| ArchiveError::Dangling("a short key".into()))?;
            self.known(Height(height), &value)
        });
        rows.collect()
    }

    /// Every outcome record of an auction, in the order they were committed.
    pub fn records(&self, auction: &AuctionId) -> Result<Vec<Placed>, ArchiveError> {
        self.records_where(auction, |_| true)
    }

    /// The outcome records of an auction that are wanted, in the order they were committed. Only those are held in memory.
    pub fn records_where(
        &self,
        auction: &AuctionId,
        mut is_wanted: impl FnMut(&OutcomeRecord) -> bool,
    ) -> Result<Vec<Placed>, ArchiveError> {
        let prefix = key(b'o', &[auction.as_ref()]);
        let (mut wanted, mut last, mut seen) = (Vec::new(), None, 0usize);
        while seen < MAX_RECORDS {
            let rows = self
                .store
                .index_scan(&prefix, last.as_deref(), RECORDS_AT_ONCE)?;
            let is_end = rows.len() < RECORDS_AT_ONCE;
            seen = seen.saturating_add(rows.len());
            for (key, value) in rows {
                let record = read("outcome record", &value)?;
                if is_wanted(&record) {
                    let (height, position) = place_in(&key, &prefix)?;
                    wanted.push(Placed {
                        height,
                        position,
                        record,
                    });
                }
                last = Some(key);
            }
            if is_end {
                break;
            }
        }
        Ok(wanted)
    }

    /// The first record of an auction in a block: the auction's own, where it ended there.
    pub fn first_record(
        &self,
        auction: &AuctionId,
        height: Height,
    ) -> Result<Option<OutcomeRecord>, ArchiveError> {
        let prefix = key(b'o', &[auction.as_ref(), &height.0.to_be_bytes()]);
        let first = self.store.index_scan(&prefix, None, 1)?.pop();
        first
            .map(|(_, value)| read("outcome record", &value))
            .transpose()
    }

    /// The certificate of a record, for whoever has the genesis file.
    pub fn certificate(&self, placed: Placed) -> Result<AssignmentCertificate, ArchiveError> {
        let Placed {
            height,
            position,
            record,
        } = placed;
        let dangling = |what: &str| ArchiveError::Dangling(format!("{what} of height {height}"));
        let committed = self.block(height)?.ok_or_else(|| dangling("the block"))?;
        let leaves = self
            .store
            .index_get(&key(b'l', &[&height.0.to_be_bytes()]))?;
        let leaves: Vec<Digest> = leaves
            .unwrap_or_default()
            .chunks_exact(Digest::LEN)
            .filter_map(|leaf| leaf.try_into().ok().map(Digest))
            .collect();
        AssignmentCertificate::assemble(
            self.set_changes(height)?,
            committed.block.header,
            committed.certificate,
            &leaves,
            usize::try_from(position).unwrap_or(usize::MAX),
            record,
        )
        .ok_or_else(|| dangling("an outcome leaf"))
    }

    /// Every change of the validator set below a height, oldest first.
    fn set_changes(&self, below: Height) -> Result<Vec<SetChange>, ArchiveError> {
        // One more than a certificate may hold, so that it says so, and not that some set is wrong.
        let most = MAX_SET_CHANGES.saturating_add(1);
        let rows = self.store.index_scan(b"v", None, most)?;
        let mut changes = Vec::new();
        for (key, value) in rows {
            let height = key.get(1..).and_then(be_u64).map(Height);
            let height = height.ok_or_else(|| ArchiveError::Dangling("a short key".into()))?;
            if height >= below {
                break;
            }
            let CommittedBlock { block, certificate } = self
                .block(height)?
                .ok_or_else(|| ArchiveError::Dangling(format!("block {height}")))?;
            let Validators(next) = read("validator list", &value)?;
            changes.push(SetChange {
                header: block.header,
                certificate,
                next,
            });
        }
        Ok(changes)
    }

    fn known(&self, opened_at: Height, value: &[u8]) -> Result<Known, ArchiveError> {
        let opened: Opened = read("opened auction", value)?;
        let ended_at = self.height_at(&key(b'e', &[opened.auction.as_ref()]))?;
        Ok(Known {
            opened,
            opened_at,
            ended_at,
        })
    }

    fn height_at(&self, key: &[u8]) -> Result<Option<Height>, ArchiveError> {
        let value = self.store.index_get(key)?;
        let parsed =
            value.map(|v| be_u64(&v).ok_or_else(|| ArchiveError::Dangling("a short value".into())));
        Ok(parsed.transpose()?.map(Height))
    }
}

fn index_of(
    block: &Block,
    chain: &ChainState<MarketState>,
    records: &[OutcomeRecord],
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let height = block.header.height;
    let at = height.0.to_be_bytes();
    let mut index: Vec<_> = block
        .transactions
        .iter()
        .map(|tx| (key(b't', &[tx.hash().as_ref()]), at.to_vec()))
        .collect();
    for auction in chain
        .app
        .auctions()
        .filter(|auction| auction.opened == height)
    {
        let opened = Opened {
            auction: auction.id,
            opener: auction.opener,
            spec: (*auction.spec).clone(),
        };
        index.push((key(b'a', &[&at, auction.id.as_ref()]), encode(&opened)));
        index.push((key(b'i', &[auction.id.as_ref()]), at.to_vec()));
    }
    let mut leaves = Vec::with_capacity(records.len().saturating_mul(Digest::LEN));
    for (record, position) in records.iter().zip(0u32..) {
        leaves.extend_from_slice(record.leaf().as_ref());
        let auction = auction_of(record);
        let place = key(b'o', &[auction.as_ref(), &at, &position.to_be_bytes()]);
        index.push((place, encode(record)));
        if let OutcomeRecord::Auction(_) = record {
            index.push((key(b'e', &[auction.as_ref()]), at.to_vec()));
        }
    }
    if !records.is_empty() {
        index.push((key(b'l', &[&at]), leaves));
    }
    if chain.validators.hash() != block.header.validators_hash {
        let next: &ValidatorSet = &chain.validators;
        index.push((
            key(b'v', &[&at]),
            encode(&Validators(next.as_slice().to_vec())),
        ));
    }
    index
}

fn auction_of(record: &OutcomeRecord) -> AuctionId {
    match record.key() {
        OutcomeKey::Auction(auction)
        | OutcomeKey::Bid(auction, _)
        | OutcomeKey::Entry(auction, ..)
        | OutcomeKey::Unit(auction, ..) => auction,
        OutcomeKey::Award(award) => award.auction,
    }
}

/// Height and position at the end of an outcome record's key.
fn place_in(key: &[u8], prefix: &[u8]) -> Result<(Height, u32), ArchiveError> {
    let rest = key
        .get(prefix.len()..)
        .and_then(|rest| rest.split_first_chunk::<8>());
    let place = rest.and_then(|(height, position)| {
        let position = u32::from_be_bytes(position.try_into().ok()?);
        Some((Height(u64::from_be_bytes(*height)), position))
    });
    place.ok_or_else(|| ArchiveError::Dangling("a short key".into()))
}

fn committed(stored: StoredBlock) -> Result<CommittedBlock, ArchiveError> {
    Ok(CommittedBlock {
        block: read("block", &stored.block)?,
        certificate: read("certificate", &stored.certificate)?,
    })
}

fn read<T: Wire>(what: &'static str, bytes: &[u8]) -> Result<T, ArchiveError> {
    decode(bytes).map_err(|source| ArchiveError::Unreadable { what, source })
}

fn key(table: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = vec![table];
    for part in parts {
        key.extend_from_slice(part);
    }
    key
}

fn be_u64(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tender_auction::outcome::{AuctionEnd, AuctionRecord};
    use tender_wire::{BlockId, ChainId};

    #[test]
    fn records_are_read_so_many_at_once_and_the_rest_next() {
        let dir = tempfile::tempdir().unwrap();
        let archive = Archive::new(Store::open(dir.path(), ChainId([0; 32])).unwrap());
        let (auction, other) = (AuctionId([1; 32]), AuctionId([2; 32]));
        let record = |auction, bids| {
            let end = AuctionEnd::Cleared {
                seed: Digest::ZERO,
                nonces: Vec::new(),
                bids,
                surplus: 0,
            };
            OutcomeRecord::Auction(AuctionRecord { auction, end })
        };
        let most = u32::try_from(RECORDS_AT_ONCE).unwrap();
        let row = |auction: AuctionId, position: u32| {
            let at = [
                auction.as_ref(),
                &1u64.to_be_bytes(),
                &position.to_be_bytes(),
            ];
            (key(b'o', &at), encode(&record(auction, position)))
        };
        // Of one auction as many as are read at once, of the other one more.
        let rows = (0..most).map(|n| row(auction, n));
        let rows: Vec<_> = rows.chain((0..=most).map(|n| row(other, n))).collect();
        let block = BlockId([1; 32]);
        archive
            .store
            .commit(Height(1), block, b"", b"", &rows)
            .unwrap();
        for (auction, last) in [(auction, most - 1), (other, most)] {
            let read = archive.records(&auction).unwrap();
            assert!(read.iter().map(|it| it.position).eq(0..=last));
            let is_last = |it: &OutcomeRecord| *it == record(auction, last);
            let [found] = &archive.records_where(&auction, is_last).unwrap()[..] else {
                panic!("one");
            };
            assert_eq!((found.position, found.height), (last, Height(1)));
        }
    }
}
