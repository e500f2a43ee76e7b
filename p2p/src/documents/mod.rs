//! The documents people write and keep: auctions, inventories, bids, price files, sealed credentials and attestations, as JSON.
//!
//! Everything goes by name (tasks, skills, regions, issuers); [`names`] turns names into what the chain stores. Invariants:
//! unknown fields and names given twice are refused; an error says which file, where in it, the value found and what to do next; a file is
//! either written whole or not at all. Bound: [`MAX_FILE_BYTES`].

pub mod auction;
pub mod bid;
pub mod credential;
pub mod error;
pub mod inventory;
pub mod issued;
pub mod names;
pub mod prices;
pub mod sealed;
pub mod unique;

#[cfg(test)]
mod tests;

pub use error::{FileError, Located, Problem};

use crate::files;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// Largest file read, in bytes: an auction of 1024 tasks is about 300 KiB.
pub const MAX_FILE_BYTES: u64 = 8 << 20;

/// Who may read a file that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The owner alone (0600): keys and credentials.
    Private,
    /// Anyone the umask allows.
    Public,
}

/// The text of a file.
///
/// # Errors
/// [`FileError`] if it is missing, too large or not UTF-8.
pub fn read_text(path: &Path) -> Result<String, FileError> {
    read_text_within(path, MAX_FILE_BYTES)
}

/// [`read_text`] of a file of at most so many bytes.
pub(crate) fn read_text_within(path: &Path, most: u64) -> Result<String, FileError> {
    const WRONG: &str = "check that this is the right file";
    let fail = |problem: String, next: &str| FileError::whole(path, problem, next);
    let bytes = files::read_within(path, most).map_err(|e| match e.kind() {
        ErrorKind::FileTooLarge => fail(e.to_string(), WRONG),
        ErrorKind::NotFound => fail(format!("cannot be opened: {e}"), "check the path"),
        _ => fail(
            format!("cannot be read: {e}"),
            "check that it is a file you may read",
        ),
    })?;
    String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        fail(format!("is not UTF-8 text (byte {at})"), WRONG)
    })
}

/// Reads a JSON file into `T`.
///
/// # Errors
/// [`FileError`] with line, column and field.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, FileError> {
    parse_json(path, &read_text(path)?)
}

/// Reads JSON text that came from (or is embedded as) `path`.
///
/// # Errors
/// [`FileError`] with line, column and field.
pub fn parse_json<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, FileError> {
    let mut json = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|e| {
        let field = e.path().to_string();
        FileError::json(path, text, &field, e.inner())
    })?;
    json.end()
        .and_then(|()| unique::check(text.as_bytes()))
        .map_err(|e| FileError::json(path, text, ".", &e))?;
    Ok(value)
}

/// Writes a value as indented JSON, whole or not at all.
///
/// # Errors
/// [`FileError`] if the directory or the file cannot be written; whatever stood there before still does.
pub fn write_json<T: Serialize + ?Sized>(
    path: &Path,
    value: &T,
    access: Access,
) -> Result<(), FileError> {
    let mut text = serde_json::to_string_pretty(value).map_err(|e| {
        FileError::whole(
            path,
            format!("cannot be expressed as JSON: {e}"),
            "please report this",
        )
    })?;
    text.push('\n');
    write_bytes(path, text.as_bytes(), access)
}

/// Writes a file, whole or not at all: to a sibling first, fsynced, then renamed over `path`.
///
/// # Errors
/// [`FileError`] as for [`write_json`].
pub fn write_bytes(path: &Path, bytes: &[u8], access: Access) -> Result<(), FileError> {
    let sibling = sibling_of(path);
    let written = write_then_rename(&sibling, path, bytes, access);
    written.map_err(|e| {
        let _ = fs::remove_file(&sibling); // it may not exist; the error below is the one to show
        FileError::whole(
            path,
            format!("cannot be written: {e}"),
            "check that the directory exists and is yours",
        )
    })
}

fn sibling_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    path.with_file_name(name)
}

fn write_then_rename(
    sibling: &Path,
    path: &Path,
    bytes: &[u8],
    access: Access,
) -> std::io::Result<()> {
    let mode = match access {
        Access::Private => 0o600,
        Access::Public => 0o644,
    };
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(sibling)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(sibling, path)?;
    let parent = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}
