//! The vote log as a file. Its frames are [`tender_consensus::wal`]'s; this is the part that touches the disk.
//!
//! Invariants: when [`WalFile::persist`] returns, the batch survives a power cut. A failed write or fsync is never tried
//! again, for the system may have dropped the data and report success the second time; the file then refuses everything and
//! the process must stop (THREATS P5). A batch that begins a height replaces the file: the old one stays whole
//! until the new one is on disk under its name (P1). What [`WalFile::open`] gives is on disk as well, though the process that wrote it may have been
//! killed before its fsync, or seen it fail: what a replay says again rests on it.

use super::points::{self, Point};
use crate::files::sync_parent;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};
use tender_consensus::{
    engine::WalBatch,
    wal::{self, WalError, WalRecord},
};

/// File name of the log in the data directory.
pub const WAL_FILE: &str = "votes.wal";

/// Why the log cannot be used. A validator must not sign.
#[derive(Debug, thiserror::Error)]
pub enum WalFileError {
    /// It is not there, though this validator may have voted.
    #[error("{path} is missing, so what this validator signed last is unknown: put this very file back, never an older copy, or have governance replace the key (SECURITY.md, \"Lost files\")", path = path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// It is there already.
    #[error("{path} exists: a vote log is never overwritten", path = path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// It holds nothing, though this validator has voted.
    #[error("{path} is empty, though this validator has voted: put this very file back, never an older copy, or have governance replace the key (SECURITY.md, \"Lost files\")", path = path.display())]
    Emptied {
        /// The file.
        path: PathBuf,
    },
    /// Its content is damaged before the tail.
    #[error("{path}: {source}. Do not delete it nor put an older copy in its place: have governance replace the key (SECURITY.md, \"Lost files\")", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where and what.
        source: WalError,
    },
    /// The system refused to read, write or sync. What reached the disk is unknown.
    #[error("{path}: cannot {action}: {source}; stopped before signing anything more", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// An earlier write failed.
    #[error("{path}: an earlier write failed, the process must stop", path = path.display())]
    Poisoned {
        /// The file.
        path: PathBuf,
    },
}

/// The open vote log of a validator. The directory's [`super::DirLock`] is held elsewhere, by the [`super::Store`].
#[derive(Debug)]
pub struct WalFile {
    path: PathBuf,
    file: File,
    poisoned: bool,
}

impl WalFile {
    /// Creates the empty log of a validator that has never voted.
    ///
    /// # Errors
    /// [`WalFileError::Exists`] if there is one.
    pub fn create(path: &Path) -> Result<WalFile, WalFileError> {
        let file = match new_file(path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                return Err(WalFileError::Exists { path: path.into() });
            }
            other => other.map_err(io_error(path, "create"))?,
        };
        points::at(Point::WalDirSync)
            .and_then(|()| sync_parent(path))
            .map_err(io_error(path, "sync the directory of"))?;
        Ok(WalFile {
            path: path.into(),
            file,
            poisoned: false,
        })
    }

    /// Opens the log and reads its records; an append that a crash interrupted is cut off.
    ///
    /// What was read is written anew, for it may be in the system's memory alone, and after a failed fsync the system takes that for written.
    ///
    /// # Errors
    /// [`WalFileError::Missing`] if there is none, [`WalFileError::Damaged`] if anything before the tail does not check.
    pub fn open(path: &Path) -> Result<(WalFile, Vec<WalRecord>), WalFileError> {
        points::at(Point::WalRead).map_err(io_error(path, "read"))?;
        let mut bytes = match fs::read(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(WalFileError::Missing { path: path.into() });
            }
            other => other.map_err(io_error(path, "read"))?,
        };
        let scan = wal::scan(&bytes).map_err(|source| WalFileError::Damaged {
            path: path.into(),
            source,
        })?;
        if scan.valid_len < bytes.len() {
            tracing::warn!(
                path = %path.display(),
                cut = bytes.len().saturating_sub(scan.valid_len),
                "cut an unfinished append off the vote log"
            );
            bytes.truncate(scan.valid_len);
        }
        // A crash while the log was being replaced left the replacement, which never counted.
        match fs::remove_file(replacement(path)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(io_error(path, "remove the replacement of")(e));
            }
            _ => {}
        }
        let mut wal = WalFile {
            path: path.into(),
            file: File::open(path).map_err(io_error(path, "open"))?,
            poisoned: false,
        };
        wal.replace(&bytes)?;
        Ok((wal, scan.records))
    }

    /// Puts a batch on disk; only then may what depends on it be sent. Blocks on the disk.
    ///
    /// # Errors
    /// [`WalFileError`]: stop the process.
    pub fn persist(&mut self, batch: &WalBatch) -> Result<(), WalFileError> {
        if batch.begins().is_some() {
            self.replace(&batch.bytes())
        } else {
            self.append(&batch.bytes())
        }
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), WalFileError> {
        self.once(|wal| {
            points::at(Point::WalWrite)
                .and_then(|()| wal.file.write_all(bytes))
                .map_err(io_error(&wal.path, "append to"))?;
            points::at(Point::WalSync)
                .and_then(|()| wal.file.sync_data())
                .map_err(io_error(&wal.path, "sync"))?;
            points::pass(Point::WalSynced);
            Ok(())
        })
    }

    fn replace(&mut self, bytes: &[u8]) -> Result<(), WalFileError> {
        self.once(|wal| {
            let new = replacement(&wal.path);
            let mut file = points::at(Point::WalCreate)
                .and_then(|()| new_file(&new))
                .map_err(io_error(&new, "create"))?;
            points::at(Point::WalFill)
                .and_then(|()| file.write_all(bytes))
                .map_err(io_error(&new, "write"))?;
            points::at(Point::WalFillSync)
                .and_then(|()| file.sync_all())
                .map_err(io_error(&new, "sync"))?;
            points::at(Point::WalRename)
                .and_then(|()| fs::rename(&new, &wal.path))
                .map_err(io_error(&wal.path, "replace"))?;
            points::at(Point::WalDirSync)
                .and_then(|()| sync_parent(&wal.path))
                .map_err(io_error(&wal.path, "sync the directory of"))?;
            wal.file = file;
            points::pass(Point::WalReplaced);
            Ok(())
        })
    }

    /// Does what may fail; after a failure, nothing any more.
    fn once(
        &mut self,
        write: impl FnOnce(&mut Self) -> Result<(), WalFileError>,
    ) -> Result<(), WalFileError> {
        if self.poisoned {
            return Err(WalFileError::Poisoned {
                path: self.path.clone(),
            });
        }
        self.poisoned = true;
        write(self)?;
        self.poisoned = false;
        Ok(())
    }
}

fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

fn replacement(path: &Path) -> PathBuf {
    path.with_extension("wal.new")
}

fn io_error(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> WalFileError {
    let path = path.to_owned();
    move |source| WalFileError::Io {
        path,
        action,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{ops::Range, os::unix::fs::MetadataExt};
    use tender_consensus::kernel::{Timeout, TimeoutKind};
    use tender_wire::{BlockId, ChainId, Height, Round};

    fn records(rounds: Range<u32>) -> Vec<WalRecord> {
        let start = WalRecord::Start {
            chain: ChainId([7; 32]),
            height: Height(3),
            parent: BlockId([9; 32]),
        };
        let timeouts = rounds.map(|round| {
            WalRecord::Timeout(Timeout {
                round: Round(round),
                kind: TimeoutKind::Propose,
            })
        });
        std::iter::once(start).chain(timeouts).collect()
    }

    fn bytes(records: &[WalRecord]) -> Vec<u8> {
        records.iter().flat_map(wal::frame).collect()
    }

    fn reopen(path: &Path) -> Result<Vec<WalRecord>, WalFileError> {
        WalFile::open(path).map(|(_, records)| records)
    }

    #[test]
    fn what_was_appended_is_read_back_and_a_replacement_forgets_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(WAL_FILE);
        let mut wal = WalFile::create(&path).unwrap();
        let all = records(0..5);
        for record in &all {
            wal.append(&wal::frame(record)).unwrap();
        }
        assert_eq!(reopen(&path).unwrap(), all);
        wal.replace(&bytes(&records(7..8))).unwrap();
        wal.append(&bytes(&records(8..9)[1..])).unwrap();
        assert_eq!(reopen(&path).unwrap(), records(7..9));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn p4_torn_at_every_byte_the_whole_frames_stay_and_appending_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(WAL_FILE);
        let all = records(0..3);
        let whole = bytes(&all);
        let ends: Vec<usize> = (0..=all.len()).map(|n| bytes(&all[..n]).len()).collect();
        for cut in 0..=whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let (mut wal, read) = WalFile::open(&path).unwrap();
            let kept = ends.iter().filter(|end| **end <= cut).count() - 1;
            assert_eq!(read, all[..kept], "cut at {cut}");
            wal.append(&bytes(&all[kept..])).unwrap();
            assert_eq!(fs::read(&path).unwrap(), whole, "cut at {cut}");
        }
    }

    #[test]
    fn p4_a_flipped_bit_anywhere_refuses_and_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(WAL_FILE);
        let whole = bytes(&records(0..3));
        for at in 0..whole.len() {
            let mut bad = whole.clone();
            bad[at] ^= 1 << (at % 8);
            fs::write(&path, &bad).unwrap();
            let error = reopen(&path).unwrap_err();
            assert!(matches!(error, WalFileError::Damaged { .. }), "byte {at}");
            assert_eq!(fs::read(&path).unwrap(), bad, "byte {at}");
        }
    }

    #[test]
    fn p1_a_crash_while_replacing_leaves_the_old_log() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(WAL_FILE);
        let old = records(0..3);
        let new = bytes(&records(9..12));
        for written in [0, 1, new.len() / 2, new.len()] {
            fs::write(&path, bytes(&old)).unwrap();
            fs::write(replacement(&path), &new[..written]).unwrap();
            let (mut wal, read) = WalFile::open(&path).unwrap();
            assert_eq!(read, old);
            assert!(!replacement(&path).exists());
            wal.replace(&new).unwrap();
            assert_eq!(reopen(&path).unwrap(), records(9..12));
        }
    }

    /// P5: what a killed process wrote may be in the system's memory alone, and what a failing fsync dropped looks written until the machine stops.
    #[test]
    fn p5_what_a_start_reads_is_written_anew_before_it_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(WAL_FILE);
        let whole = bytes(&records(0..3));
        fs::write(&path, &whole).unwrap();
        let file = File::open(&path).unwrap();
        let before = file.metadata().unwrap().ino();
        assert_eq!(reopen(&path).unwrap(), records(0..3));
        assert_ne!(fs::metadata(&path).unwrap().ino(), before);
        assert_eq!(fs::read(&path).unwrap(), whole);
        // Where that cannot be done, nothing is given.
        fs::create_dir(replacement(&path)).unwrap();
        let error = reopen(&path).unwrap_err();
        assert!(matches!(error, WalFileError::Io { .. }), "{error}");
        assert_eq!(fs::read(&path).unwrap(), whole);
    }

    #[test]
    fn p5_after_a_failed_write_nothing_is_tried_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(WAL_FILE);
        let mut wal = WalFile::create(&path).unwrap();
        // A file that cannot be written stands in for a disk that fails.
        let good = std::mem::replace(&mut wal.file, File::open(&path).unwrap());
        let frame = wal::frame(&WalRecord::Begin);
        assert!(matches!(
            wal.append(&frame).unwrap_err(),
            WalFileError::Io { .. }
        ));
        wal.file = good;
        for _ in 0..2 {
            assert!(matches!(
                wal.append(&frame).unwrap_err(),
                WalFileError::Poisoned { .. }
            ));
        }
        assert!(matches!(
            wal.replace(&frame).unwrap_err(),
            WalFileError::Poisoned { .. }
        ));
        assert_eq!(fs::read(&path).unwrap(), b"");
    }

    #[test]
    fn p7_a_missing_log_is_not_an_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(WAL_FILE);
        assert!(matches!(
            reopen(&path).unwrap_err(),
            WalFileError::Missing { .. }
        ));
        WalFile::create(&path).unwrap();
        assert!(matches!(
            WalFile::create(&path).unwrap_err(),
            WalFileError::Exists { .. }
        ));
        assert_eq!(reopen(&path).unwrap(), vec![]);
    }

    #[test]
    fn p6_a_full_disk_is_an_error_before_anything_is_sent() {
        // /dev/full fails every write as a full disk does.
        let Ok(full) = OpenOptions::new().write(true).open("/dev/full") else {
            return;
        };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(WAL_FILE);
        let mut wal = WalFile::create(&path).unwrap();
        wal.file = full;
        let error = wal.append(&wal::frame(&WalRecord::Begin)).unwrap_err();
        assert!(error.to_string().contains("cannot append"), "{error}");
    }
}
