//! Writing files so that a crash leaves the old content or the new, never half of one.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Creates a directory, and its parents, that only its owner may enter. One that exists is left as it is. The names of the new ones survive a crash.
///
/// # Errors
/// The system's.
pub fn create_private_dir(dir: &Path) -> io::Result<()> {
    let new: Vec<_> = dir.ancestors().take_while(|it| !it.exists()).collect();
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    // `a/b` ends with the empty path, which does not exist and needs no name.
    new.into_iter()
        .filter(|it| *it != Path::new(""))
        .try_for_each(sync_parent)
}

/// Makes the names in a directory as durable as the files under them.
///
/// # Errors
/// The system's.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// [`sync_dir`] of the directory a file is in.
///
/// # Errors
/// The system's.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(dir) if dir != Path::new("") => sync_dir(dir),
        _ => sync_dir(Path::new(".")),
    }
}

/// The bytes of a file that has at most so many; what is longer is not read beyond that.
///
/// # Errors
/// [`io::ErrorKind::FileTooLarge`] if it is longer; otherwise the system's.
pub fn read_within(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let too_large = || {
        let why = format!("is larger than {most} bytes");
        io::Error::new(io::ErrorKind::FileTooLarge, why)
    };
    let file = File::open(path)?;
    if file.metadata()?.len() > most {
        return Err(too_large());
    }
    // Devices and pipes do not say how much will come.
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(too_large());
    }
    Ok(bytes)
}

/// Writes a file that only its owner may read, replacing an older one.
///
/// # Errors
/// The system's; the older file is then still there.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = write_temporary(path, content)?;
    fs::rename(&temporary, path)?;
    sync_parent(path)
}

/// Writes a file that only its owner may read, and that must not exist yet.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] if it does; otherwise the system's.
pub fn create_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = write_temporary(path, content)?;
    // A link, unlike a rename, never replaces.
    let linked = fs::hard_link(&temporary, path);
    fs::remove_file(&temporary)?;
    linked?;
    sync_parent(path)
}

fn write_temporary(path: &Path, content: &[u8]) -> io::Result<PathBuf> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let temporary = path.with_file_name(name);
    // Left by an earlier process of the same id.
    let _ = fs::remove_file(&temporary);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written.map(|()| temporary)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn replaced_or_refused_and_nothing_left_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        create_new(&path, b"one").unwrap();
        let error = create_new(&path, b"two").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"one");
        replace(&path, b"three").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"three");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_is_read_so_far_and_no_further_whatever_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        fs::write(&path, b"four").unwrap();
        assert_eq!(read_within(&path, 4).unwrap(), b"four");
        for (path, most) in [(&*path, 3), (Path::new("/dev/zero"), 1 << 20)] {
            let error = read_within(path, most).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        }
        let missing = read_within(&dir.path().join("y"), 4).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn private_directories_are_private_all_the_way() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("a/b");
        create_private_dir(&inner).unwrap();
        create_private_dir(&inner).unwrap();
        for made in [dir.path().join("a"), inner] {
            let mode = fs::metadata(made).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700);
        }
    }
}
