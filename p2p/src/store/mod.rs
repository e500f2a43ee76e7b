//! What a peer keeps on disk: committed blocks with their certificates, an index over them, one state snapshot; and, beside
//! it, the vote log ([`wal`]).
//!
//! ```text
//!  <dir>/LOCK          who has the directory open
//!  <dir>/blocks.redb   meta · blocks · certificates · heights · index · snapshot
//!  <dir>/votes.wal     frames of the height in progress
//! ```
//!
//! Invariants: heights are contiguous from 1; a block, its certificate and its index entries appear together or not at
//! all, and are on disk when [`Store::commit`] returns (two-phase commit). The whole file is checked when it is opened, and every
//! value carries a checksum, so damage is an error that names the file, never a wrong answer. Calls block on the disk: call them off the async threads.

mod disk;
pub(crate) mod lock;
pub mod points;
pub mod wal;

pub use lock::{DirLock, LockError};

use crate::files;
use disk::Disk;
use points::Point;
use redb::{
    Database, ReadTransaction, ReadableDatabase, ReadableTable, StorageBackend, StorageError,
    TableDefinition, WriteTransaction, backends::FileBackend,
};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, OpenOptions},
    io,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
};
use tender_wire::{BlockId, ChainId, Height, PublicKey};

/// File name of the database.
const FILE: &str = "blocks.redb";
/// Layout of the tables; raised when it changes.
const FORMAT: [u8; 4] = 1u32.to_le_bytes();
/// Pages redb keeps in memory.
pub(crate) const CACHE_BYTES: usize = 64 << 20;
/// Bytes of SHA-256 before each value: against disks, not against people.
const CHECK_BYTES: usize = 8;

type Bytes = &'static [u8];
const META: TableDefinition<&str, Bytes> = TableDefinition::new("meta");
const BLOCKS: TableDefinition<u64, Bytes> = TableDefinition::new("blocks");
const CERTIFICATES: TableDefinition<u64, Bytes> = TableDefinition::new("certificates");
const HEIGHTS: TableDefinition<Bytes, Bytes> = TableDefinition::new("heights");
const INDEX: TableDefinition<Bytes, Bytes> = TableDefinition::new("index");

/// What to do without the files. A validator's vote log is as old as its store: neither works, nor is safe, beside another.
pub(crate) const SYNC_AFRESH: &str = "sync into an empty --home, a validator with a new key: one that has voted must not vote from there (SECURITY.md, \"Lost files\")";

const CHAIN_KEY: &str = "chain";
const FORMAT_KEY: &str = "format";
const TIP_KEY: &str = "tip";
const SNAPSHOT_KEY: &str = "snapshot";
const VOTER_KEY: &str = "voter";

/// Why the store did not do what was asked. All but [`StoreError::NotNext`] mean: stop the process and keep its files.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory is locked by another process, or cannot be.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The directory holds another chain.
    #[error("{dir} holds chain {found}, this genesis is chain {expected}: use another --home, or the genesis of that chain", dir = dir.display())]
    OtherChain {
        /// The directory.
        dir: PathBuf,
        /// The chain in it.
        found: ChainId,
        /// The chain asked for.
        expected: ChainId,
    },
    /// Another version wrote the tables.
    #[error("{path} has format {found}, this program reads {expected}: use the version that wrote it, or {afresh}", afresh = SYNC_AFRESH, path = path.display())]
    OtherFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// Ours.
        expected: u32,
    },
    /// The file is not what was written.
    #[error("{path} is damaged ({what}): check the disk, then {afresh}", afresh = SYNC_AFRESH, path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not check.
        what: String,
    },
    /// The system refused to read or write.
    #[error("{path}: {what}: is the disk full, or are permissions missing?", path = path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        what: String,
    },
    /// The block does not follow the tip; nothing was changed.
    #[error("block at height {height} does not follow the tip at {tip}")]
    NotNext {
        /// The block's height.
        height: Height,
        /// The tip's; 0 when empty.
        tip: Height,
    },
}

/// A key and its value in the index. What keys mean is the node's to say.
pub type IndexEntry = (Vec<u8>, Vec<u8>);

/// A committed block as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBlock {
    /// Its height.
    pub height: Height,
    /// Its canonical bytes.
    pub block: Vec<u8>,
    /// Its commit certificate's canonical bytes.
    pub certificate: Vec<u8>,
}

/// The block store of one chain in one directory, locked while open.
#[derive(Debug)]
pub struct Store {
    /// Present until dropped.
    db: Option<Database>,
    path: PathBuf,
    /// `None` while the file is being made: then the maker holds it.
    _lock: Option<DirLock>,
}

impl Drop for Store {
    fn drop(&mut self) {
        // Closing writes, and may find damage like any other use; nothing depends on it.
        let db = self.db.take();
        if let Err(error) = guard(&self.path, || {
            drop(db);
            Ok(())
        }) {
            tracing::error!(%error, "closing the store");
        }
    }
}

impl Store {
    /// Opens the store of `chain` in `dir`, creating both if missing.
    ///
    /// # Errors
    /// [`StoreError`] if the directory is in use, belongs to another chain or format, or is damaged.
    pub fn open(dir: &Path, chain: ChainId) -> Result<Store, StoreError> {
        files::create_private_dir(dir).map_err(|e| fault(dir, redb::Error::from(e)))?;
        let lock = DirLock::acquire(dir)?;
        let path = dir.join(FILE);
        if !path.exists() {
            create(dir, &path, chain)?;
        }
        // The file's name must survive a crash as well as its content, also where the one who made it was killed before this.
        points::at(Point::StoreDirSync)
            .and_then(|()| files::sync_dir(dir))
            .map_err(|e| fault(&path, redb::Error::from(e)))?;
        let io = |e| fault(&path, redb::Error::from(e));
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).open(&path).map_err(io)?;
        // Made whole under another name, so nobody's crash left it empty; redb would take it for a new one.
        if file.metadata().map_err(io)?.len() == 0 {
            let what = "it is empty".into();
            return Err(StoreError::Damaged { path, what });
        }
        let store = Store::over(file, path, Some(lock))?;
        store.check_or_claim(dir, chain)?;
        Ok(store)
    }

    /// The store in a file.
    fn over(file: fs::File, path: PathBuf, lock: Option<DirLock>) -> Result<Store, StoreError> {
        let backend = FileBackend::new(file).map_err(|e| fault(&path, e))?;
        Store::on(backend, path, lock)
    }

    fn on(
        backend: impl StorageBackend,
        path: PathBuf,
        lock: Option<DirLock>,
    ) -> Result<Store, StoreError> {
        let db = guard(&path, || {
            let mut db = Database::builder()
                .set_cache_size(CACHE_BYTES)
                .create_with_backend(Disk(backend))
                .map_err(|e| fault(&path, e))?;
            // Reads the whole file against redb's page checksums: a damaged key would else look like an absent one.
            if !db.check_integrity().map_err(|e| fault(&path, e))? {
                tracing::warn!(path = %path.display(), "repaired the block store's free-space map");
            }
            Ok(db)
        })?;
        Ok(Store {
            db: Some(db),
            path,
            _lock: lock,
        })
    }

    /// Height and id of the last block.
    ///
    /// # Errors
    /// [`StoreError`] on damage.
    pub fn tip(&self) -> Result<Option<(Height, BlockId)>, StoreError> {
        self.read(|read| {
            let meta = read.open_table(META).map_err(|e| self.fault(e))?;
            self.tip_in(&meta)
        })
    }

    /// Appends the next block. It is on disk when this returns.
    ///
    /// # Errors
    /// [`StoreError::NotNext`] if its height is not the tip's plus one; otherwise the disk failed, and the process must stop.
    pub fn commit(
        &self,
        height: Height,
        id: BlockId,
        block: &[u8],
        certificate: &[u8],
        index: &[IndexEntry],
    ) -> Result<(), StoreError> {
        self.point(Point::StoreCommit)?;
        self.write(|txn| {
            let mut meta = txn.open_table(META).map_err(|e| self.fault(e))?;
            let tip = self.tip_in(&meta)?.map_or(Height(0), |(tip, _)| tip);
            if tip.checked_add(Height(1)) != Some(height) {
                return Err(StoreError::NotNext { height, tip });
            }
            let key = height.0.to_le_bytes();
            let put = |e: StorageError| self.fault(e);
            meta.insert(TIP_KEY, &*seal(TIP_KEY.as_bytes(), &tip_bytes(height, id)))
                .map_err(put)?;
            txn.open_table(BLOCKS)
                .map_err(|e| self.fault(e))?
                .insert(height.0, &*seal(&key, block))
                .map_err(put)?;
            txn.open_table(CERTIFICATES)
                .map_err(|e| self.fault(e))?
                .insert(height.0, &*seal(&key, certificate))
                .map_err(put)?;
            txn.open_table(HEIGHTS)
                .map_err(|e| self.fault(e))?
                .insert(id.as_ref(), &*seal(id.as_ref(), &key))
                .map_err(put)?;
            let mut table = txn.open_table(INDEX).map_err(|e| self.fault(e))?;
            for (key, value) in index {
                table
                    .insert(key.as_slice(), &*seal(key, value))
                    .map_err(put)?;
            }
            Ok(())
        })?;
        self.point(Point::StoreCommitted)
    }

    /// The block at a height.
    ///
    /// # Errors
    /// [`StoreError`] on damage.
    pub fn block(&self, height: Height) -> Result<Option<StoredBlock>, StoreError> {
        Ok(self.blocks(height, 1, usize::MAX)?.pop())
    }

    /// Consecutive blocks from `from` on: at most `max_count`, and as many as fit `max_bytes` of blocks and certificates.
    ///
    /// # Errors
    /// [`StoreError`] on damage.
    pub fn blocks(
        &self,
        from: Height,
        max_count: usize,
        max_bytes: usize,
    ) -> Result<Vec<StoredBlock>, StoreError> {
        let from = from.max(Height(1));
        self.read(|read| {
            let blocks = read.open_table(BLOCKS).map_err(|e| self.fault(e))?;
            let certificates = read.open_table(CERTIFICATES).map_err(|e| self.fault(e))?;
            let mut found = Vec::new();
            let mut bytes = 0usize;
            let range = blocks.range(from.0..).map_err(|e| self.fault(e))?;
            let mut expected = from;
            for entry in range.take(max_count) {
                let (height, block) = entry.map_err(|e| self.fault(e))?;
                let height = Height(height.value());
                if height != expected {
                    return Err(self.damaged(format!("no block at height {expected}")));
                }
                expected = expected.next();
                let certificate = certificates
                    .get(height.0)
                    .map_err(|e| self.fault(e))?
                    .ok_or_else(|| self.damaged(format!("no certificate at height {height}")))?;
                let key = height.0.to_le_bytes();
                let stored = StoredBlock {
                    height,
                    block: self.unseal(&key, block.value())?,
                    certificate: self.unseal(&key, certificate.value())?,
                };
                bytes = bytes
                    .saturating_add(stored.block.len())
                    .saturating_add(stored.certificate.len());
                if bytes > max_bytes {
                    break;
                }
                found.push(stored);
            }
            Ok(found)
        })
    }

    /// The height of a block.
    ///
    /// # Errors
    /// [`StoreError`] on damage.
    pub fn height_of(&self, id: &BlockId) -> Result<Option<Height>, StoreError> {
        self.read(|read| {
            let heights = read.open_table(HEIGHTS).map_err(|e| self.fault(e))?;
            let Some(value) = heights.get(id.as_ref()).map_err(|e| self.fault(e))? else {
                return Ok(None);
            };
            let bytes = self.unseal(id.as_ref(), value.value())?;
            let bytes = <[u8; 8]>::try_from(bytes).map_err(|_| self.damaged("a height"))?;
            Ok(Some(Height(u64::from_le_bytes(bytes))))
        })
    }

    /// The value of an index key.
    ///
    /// # Errors
    /// [`StoreError`] on damage.
    pub fn index_get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|read| {
            let index = read.open_table(INDEX).map_err(|e| self.fault(e))?;
            let value = index.get(key).map_err(|e| self.fault(e))?;
            value.map(|v| self.unseal(key, v.value())).transpose()
        })
    }

    /// Index entries whose key starts with `prefix`, in key order, at most `limit`; those after key `after` when paging.
    ///
    /// # Errors
    /// [`StoreError`] on damage.
    pub fn index_scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<IndexEntry>, StoreError> {
        self.read(|read| {
            let index = read.open_table(INDEX).map_err(|e| self.fault(e))?;
            let from = after.map_or(prefix, |after| after.max(prefix));
            let range = index.range(from..).map_err(|e| self.fault(e))?;
            let mut found = Vec::new();
            for entry in range {
                let (key, value) = entry.map_err(|e| self.fault(e))?;
                let key = key.value();
                if found.len() >= limit || !key.starts_with(prefix) {
                    break;
                }
                if after.is_none_or(|after| key > after) {
                    found.push((key.to_vec(), self.unseal(key, value.value())?));
                }
            }
            Ok(found)
        })
    }

    /// Replaces the state snapshot: the state after the block at `height`, so that a start need not execute every block.
    ///
    /// # Errors
    /// [`StoreError`] if the disk failed.
    pub fn put_snapshot(&self, height: Height, state: &[u8]) -> Result<(), StoreError> {
        let mut value = height.0.to_le_bytes().to_vec();
        value.extend_from_slice(state);
        self.write(|txn| {
            txn.open_table(META)
                .map_err(|e| self.fault(e))?
                .insert(
                    SNAPSHOT_KEY,
                    seal(SNAPSHOT_KEY.as_bytes(), &value).as_slice(),
                )
                .map(drop)
                .map_err(|e| self.fault(e))
        })
    }

    /// The state snapshot, if one was put.
    ///
    /// # Errors
    /// [`StoreError`] on damage.
    pub fn snapshot(&self) -> Result<Option<(Height, Vec<u8>)>, StoreError> {
        self.read(|read| {
            let meta = read.open_table(META).map_err(|e| self.fault(e))?;
            let Some(value) = self.meta(&meta, SNAPSHOT_KEY)? else {
                return Ok(None);
            };
            match value.split_first_chunk::<8>() {
                Some((height, state)) => {
                    Ok(Some((Height(u64::from_le_bytes(*height)), state.to_vec())))
                }
                None => Err(self.damaged("the snapshot")),
            }
        })
    }

    /// Remembers for ever that this validator votes with the log beside this store: from then on the log may be neither missing nor empty, nor
    /// another's. To be called once the first vote is on disk, before it leaves.
    ///
    /// # Errors
    /// [`StoreError`] if the disk failed.
    pub fn set_voter(&self, key: &PublicKey) -> Result<(), StoreError> {
        self.write(|txn| {
            txn.open_table(META)
                .map_err(|e| self.fault(e))?
                .insert(
                    VOTER_KEY,
                    seal(VOTER_KEY.as_bytes(), key.as_ref()).as_slice(),
                )
                .map(drop)
                .map_err(|e| self.fault(e))
        })
    }

    /// The validator that has voted from here, if one has.
    ///
    /// # Errors
    /// [`StoreError`] on damage.
    pub fn voter(&self) -> Result<Option<PublicKey>, StoreError> {
        self.read(|read| {
            let meta = read.open_table(META).map_err(|e| self.fault(e))?;
            let Some(value) = self.meta(&meta, VOTER_KEY)? else {
                return Ok(None);
            };
            let key = <[u8; 32]>::try_from(value).map_err(|_| self.damaged("the voter"))?;
            Ok(Some(PublicKey(key)))
        })
    }

    fn point(&self, point: Point) -> Result<(), StoreError> {
        points::at(point).map_err(|e| self.fault(redb::Error::from(e)))
    }

    /// A new file is claimed for the chain; an old one must be of it.
    fn check_or_claim(&self, dir: &Path, chain: ChainId) -> Result<(), StoreError> {
        self.write(|txn| {
            let mut meta = txn.open_table(META).map_err(|e| self.fault(e))?;
            match (self.meta(&meta, FORMAT_KEY)?, self.meta(&meta, CHAIN_KEY)?) {
                (None, None) => {
                    for (key, value) in [(FORMAT_KEY, &FORMAT[..]), (CHAIN_KEY, chain.as_ref())] {
                        meta.insert(key, &*seal(key.as_bytes(), value))
                            .map_err(|e| self.fault(e))?;
                    }
                }
                (Some(format), Some(found)) => {
                    let format = <[u8; 4]>::try_from(format);
                    let format = format.map_err(|_| self.damaged("the format number"))?;
                    if format != FORMAT {
                        return Err(StoreError::OtherFormat {
                            path: self.path.clone(),
                            found: u32::from_le_bytes(format),
                            expected: u32::from_le_bytes(FORMAT),
                        });
                    }
                    let found = <[u8; 32]>::try_from(found).map(ChainId);
                    let found = found.map_err(|_| self.damaged("the chain id"))?;
                    if found != chain {
                        return Err(StoreError::OtherChain {
                            dir: dir.to_owned(),
                            found,
                            expected: chain,
                        });
                    }
                }
                _ => return Err(self.damaged("half of its identity is missing")),
            }
            // Readers find every table, also before the first block.
            txn.open_table(BLOCKS).map_err(|e| self.fault(e))?;
            txn.open_table(CERTIFICATES).map_err(|e| self.fault(e))?;
            txn.open_table(HEIGHTS).map_err(|e| self.fault(e))?;
            txn.open_table(INDEX).map_err(|e| self.fault(e))?;
            Ok(())
        })
    }

    /// One transaction: all of `change` or nothing. Two-phase, so that a torn write of the commit itself cannot be taken for a
    /// commit; with quick repair, so that opening after a crash needs no repair of redb's own before the check of the whole file.
    fn write(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        guard(&self.path, || {
            let mut txn = self.db()?.begin_write().map_err(|e| self.fault(e))?;
            txn.set_two_phase_commit(true);
            txn.set_quick_repair(true);
            change(&txn)?;
            txn.commit().map_err(|e| self.fault(e))
        })
    }

    fn read<T>(
        &self,
        look: impl FnOnce(&ReadTransaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        guard(&self.path, || {
            look(&self.db()?.begin_read().map_err(|e| self.fault(e))?)
        })
    }

    fn db(&self) -> Result<&Database, StoreError> {
        self.db.as_ref().ok_or_else(|| self.damaged("it is closed"))
    }

    fn meta(
        &self,
        table: &impl ReadableTable<&'static str, Bytes>,
        key: &str,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let value = table.get(key).map_err(|e| self.fault(e))?;
        value
            .map(|v| self.unseal(key.as_bytes(), v.value()))
            .transpose()
    }

    fn tip_in(
        &self,
        meta: &impl ReadableTable<&'static str, Bytes>,
    ) -> Result<Option<(Height, BlockId)>, StoreError> {
        let Some(value) = self.meta(meta, TIP_KEY)? else {
            return Ok(None);
        };
        let (height, id) = value
            .split_first_chunk::<8>()
            .ok_or_else(|| self.damaged("the tip"))?;
        let id = <[u8; 32]>::try_from(id).map_err(|_| self.damaged("the tip"))?;
        Ok(Some((Height(u64::from_le_bytes(*height)), BlockId(id))))
    }

    fn unseal(&self, key: &[u8], sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        match sealed.split_first_chunk::<CHECK_BYTES>() {
            Some((check, value)) if *check == checksum(key, value) => Ok(value.to_vec()),
            _ => Err(self.damaged("a value's checksum")),
        }
    }

    fn damaged(&self, what: impl Into<String>) -> StoreError {
        StoreError::Damaged {
            path: self.path.clone(),
            what: what.into(),
        }
    }

    fn fault(&self, error: impl Into<redb::Error>) -> StoreError {
        fault(&self.path, error)
    }
}

/// Makes the store of a chain under another name, and gives it its own when it is whole: a crash, or a full disk, on the way leaves no half a store,
/// which would be taken for a damaged one.
fn create(dir: &Path, path: &Path, chain: ChainId) -> Result<(), StoreError> {
    let new = path.with_extension("redb.new");
    let failed = |e: io::Error| fault(&new, redb::Error::from(e));
    match fs::remove_file(&new) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(e)),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    let file = options.open(&new).map_err(failed)?;
    let store = Store::over(file, new.clone(), None)?;
    store.check_or_claim(dir, chain)?;
    drop(store);
    points::at(Point::StoreCreated)
        .and_then(|()| fs::File::open(&new)?.sync_all())
        .and_then(|()| fs::rename(&new, path))
        .map_err(failed)
}

/// redb panics on some damaged pages; that too is damage, and no reason to take the process down from here. What it
/// holds in memory is not used for anything else afterwards: the caller stops.
fn guard<T>(path: &Path, work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(StoreError::Damaged {
            path: path.to_owned(),
            what: "its pages contradict each other".into(),
        })
    })
}

/// redb's reasons in ours: what the disk refused, and what was damaged on it.
fn fault(path: &Path, error: impl Into<redb::Error>) -> StoreError {
    let error = error.into();
    let (path, what) = (path.to_owned(), error.to_string());
    match error {
        redb::Error::Io(e) if e.kind() != std::io::ErrorKind::InvalidData => {
            StoreError::Io { path, what }
        }
        redb::Error::PreviousIo => StoreError::Io { path, what },
        redb::Error::DatabaseAlreadyOpen => {
            let dir = path.parent().unwrap_or(&path).to_owned();
            StoreError::Lock(LockError::InUse {
                dir,
                owner: "another process".into(),
            })
        }
        _ => StoreError::Damaged { path, what },
    }
}

fn tip_bytes(height: Height, id: BlockId) -> Vec<u8> {
    let mut bytes = height.0.to_le_bytes().to_vec();
    bytes.extend_from_slice(id.as_ref());
    bytes
}

fn seal(key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut sealed = checksum(key, value).to_vec();
    sealed.extend_from_slice(value);
    sealed
}

/// Over the key too, so that a value found under another key is damage.
fn checksum(key: &[u8], value: &[u8]) -> [u8; CHECK_BYTES] {
    let digest: [u8; 32] = Sha256::new()
        .chain_update(key.len().to_le_bytes())
        .chain_update(key)
        .chain_update(value)
        .finalize()
        .into();
    let mut check = [0; CHECK_BYTES];
    for (to, from) in check.iter_mut().zip(digest) {
        *to = from;
    }
    check
}

#[cfg(test)]
mod tests;
