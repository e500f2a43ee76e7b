//! One process per directory.
//!
//! The lock is the system's (it ends with the process, also a killed one); the file's text only says who holds it.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    path::{Path, PathBuf},
};

const FILE: &str = "LOCK";
/// What is read of a lock file for an error message.
pub(crate) const OWNER_BYTES: u64 = 64;

/// Why a directory cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("{dir} is already in use by {owner}", dir = dir.display())]
    InUse {
        /// The directory.
        dir: PathBuf,
        /// The holder, as its lock file says.
        owner: String,
    },
    /// The lock file cannot be written.
    #[error("cannot lock {path}: {source}", path = path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

/// A held lock; dropping it frees the directory.
#[derive(Debug)]
pub struct DirLock {
    _file: File,
}

impl DirLock {
    /// Locks a directory, which must exist.
    ///
    /// # Errors
    /// [`LockError::InUse`] if another process, or another part of this one, holds it.
    pub fn acquire(dir: &Path) -> Result<DirLock, LockError> {
        let path = dir.join(FILE);
        let io = |source| LockError::Io {
            path: path.clone(),
            source,
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                let _ = file.take(OWNER_BYTES).read_to_string(&mut owner);
                let owner = match owner.trim() {
                    "" => "another process".to_owned(),
                    owner => owner.to_owned(),
                };
                return Err(LockError::InUse {
                    dir: dir.to_owned(),
                    owner,
                });
            }
            Err(TryLockError::Error(e)) => return Err(io(e)),
        }
        file.set_len(0).map_err(io)?;
        file.rewind().map_err(io)?;
        writeln!(file, "process {}", std::process::id()).map_err(io)?;
        Ok(DirLock { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p7_the_second_holder_is_told_who_the_first_is() {
        let dir = tempfile::tempdir().unwrap();
        let held = DirLock::acquire(dir.path()).unwrap();
        let error = DirLock::acquire(dir.path()).unwrap_err().to_string();
        let pid = format!("already in use by process {}", std::process::id());
        assert!(error.contains(&pid), "{error}");
        // Whatever stands in the file, little of it is shown.
        let most = usize::try_from(OWNER_BYTES).unwrap();
        for (written, shown) in [(most, most), (most + 1, most), (1 << 20, most)] {
            std::fs::write(dir.path().join(FILE), "x".repeat(written)).unwrap();
            let LockError::InUse { owner, .. } = DirLock::acquire(dir.path()).unwrap_err() else {
                panic!("it is held");
            };
            assert_eq!(owner, "x".repeat(shown));
        }
        drop(held);
        DirLock::acquire(dir.path()).unwrap();
    }
}
