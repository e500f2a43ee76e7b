//! Secret keys in files: one key, one purpose, one file.
//!
//! ```json
//! { "format": 1, "kind": "consensus", "public": "<64 hex>", "protection": "none", "secret": "<64 hex>" }
//! { "format": 1, "kind": "agent", "public": "<64 hex>", "protection": "argon2id-chacha20poly1305",
//!   "kdf": { "salt": "<32 hex>", "memory_kib": 65536, "passes": 3, "lanes": 4 }, "secret": "<96 hex>" }
//! ```
//!
//! Invariants: a key file is created whole or not at all and never overwritten; it is read only if nobody but its owner
//! can read it or enter its directory; the secret is wiped from memory after use and appears in no `Debug`, log,
//! error or argument. `public` is derived again on reading, so a damaged file is noticed. A file protected by a [`passphrase`] is opened with
//! the one in the file that `TENDER_PASSPHRASE_FILE` names.

pub mod passphrase;

use crate::files;
use libp2p::{PeerId, identity::Keypair};
use passphrase::{Kdf, PROTECTION, Passphrase};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    fmt,
    fs::File,
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};
use tender_wire::{PublicKey, SecretKey};
use zeroize::{Zeroize, Zeroizing};

const FORMAT: u32 = 1;
const UNPROTECTED: &str = "none";
/// A key file is some 250 bytes.
pub(crate) const MAX_FILE_BYTES: u64 = 4096;
/// Permission bits that let others in.
const OTHERS: u32 = 0o077;

/// What a key is for. Each purpose has its own key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyKind {
    /// Signs proposals and votes.
    Consensus,
    /// The libp2p identity: signs handshakes.
    Network,
    /// The seed of the one-time committee keys that open sealed bids.
    Seal,
    /// Signs transactions: bids, auctions, credentials.
    Agent,
}

impl KeyKind {
    /// Every kind.
    pub const ALL: [KeyKind; 4] = [
        KeyKind::Consensus,
        KeyKind::Network,
        KeyKind::Seal,
        KeyKind::Agent,
    ];

    /// The kind as written in files and file names.
    pub const fn name(self) -> &'static str {
        match self {
            KeyKind::Consensus => "consensus",
            KeyKind::Network => "network",
            KeyKind::Seal => "seal",
            KeyKind::Agent => "agent",
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Nothing at the path.
    #[error("no {kind} key at {path}: create one with `tender keys new`, or point --home elsewhere", path = path.display())]
    Missing {
        /// The path.
        path: PathBuf,
        /// The kind looked for.
        kind: KeyKind,
    },
    /// Something is at the path already.
    #[error("{path} exists, and a key is never overwritten: move it away first if you mean to replace it", path = path.display())]
    Exists {
        /// The path.
        path: PathBuf,
    },
    /// Others may read the file or enter the directory.
    #[error("{path} has mode {mode:04o}, others could read the key\n  next: `chmod {wanted:04o} {path}`, and replace the key if anyone may have read it", path = path.display())]
    TooOpen {
        /// The file or directory.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// What it should be.
        wanted: u32,
    },
    /// Not a key file, or a damaged one. The reason never quotes the file.
    #[error("{path} is no valid key file ({reason}): restore it from a backup", path = path.display())]
    Malformed {
        /// The path.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A key for something else.
    #[error("{path} holds a {found} key where a {expected} key belongs: keys are not interchangeable", path = path.display())]
    OtherKind {
        /// The path.
        path: PathBuf,
        /// Its kind.
        found: KeyKind,
        /// The kind needed.
        expected: KeyKind,
    },
    /// A protection this version does not know.
    #[error("{path} is protected by something this version cannot open: use the version that wrote it", path = path.display())]
    Protected {
        /// The path.
        path: PathBuf,
    },
    /// Protected, and no passphrase was given.
    #[error(
        "{path} is protected by a passphrase, and none was given\n  next: put it into a file of mode 0600, and name that file: `tender keys show --passphrase-file FILE` tries it, every other command takes TENDER_PASSPHRASE_FILE=FILE from the environment", path = path.display()
    )]
    Locked {
        /// The path.
        path: PathBuf,
    },
    /// Protected by another passphrase.
    #[error(
        "the passphrase in {file} does not open {path}\n  next: name the file with the right one: `tender keys show --passphrase-file FILE` tries it, every other command takes TENDER_PASSPHRASE_FILE=FILE from the environment", path = path.display(), file = file.display()
    )]
    WrongPassphrase {
        /// The path.
        path: PathBuf,
        /// Where the passphrase is from.
        file: PathBuf,
    },
    /// Empty, or longer than anyone's.
    #[error("{path} holds no passphrase: it is empty, or longer than 1024 bytes", path = path.display())]
    BadPassphrase {
        /// The file.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot {action} {path}: {source}", path = path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The system's reason.
        source: io::Error,
    },
}

/// A secret key read from its file. Wiped when dropped.
pub struct KeyFile {
    kind: KeyKind,
    public: PublicKey,
    secret: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyFile({} {})", self.kind, self.public)
    }
}

/// The file's content; borrowed, so that the secret exists in one buffer, which is wiped.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content<'a> {
    format: u32,
    kind: KeyKind,
    #[serde(borrow)]
    public: &'a str,
    #[serde(borrow)]
    protection: &'a str,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    kdf: Option<Kdf<'a>>,
    #[serde(borrow)]
    secret: &'a str,
}

impl KeyFile {
    /// Creates a key from the system's randomness, and its directory if missing.
    ///
    /// # Errors
    /// [`KeyError::Exists`] if the file exists; [`KeyError::TooOpen`] if others may enter the directory.
    pub fn create(
        path: &Path,
        kind: KeyKind,
        passphrase: Option<&Passphrase>,
    ) -> Result<KeyFile, KeyError> {
        let mut secret = Zeroizing::new([0; 32]);
        fill(path, secret.as_mut())?;
        Self::create_from(path, kind, secret, passphrase)
    }

    /// Creates a key file from a given secret: for tests and for chains that are to be the same every time.
    ///
    /// # Errors
    /// As [`KeyFile::create`].
    pub fn create_from(
        path: &Path,
        kind: KeyKind,
        secret: Zeroizing<[u8; 32]>,
        passphrase: Option<&Passphrase>,
    ) -> Result<KeyFile, KeyError> {
        let io = |path: &Path, action, source| KeyError::Io {
            path: path.into(),
            action,
            source,
        };
        let dir = directory(path);
        files::create_private_dir(dir).map_err(|e| io(dir, "create", e))?;
        check_private(
            dir,
            &File::open(dir).map_err(|e| io(dir, "open", e))?,
            0o700,
        )?;

        let public = public_part(kind, &secret);
        let made = KeyFile {
            kind,
            public,
            secret,
        };
        let text = made.text(path, passphrase)?;
        match files::create_new(path, &text) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                return Err(KeyError::Exists { path: path.into() });
            }
            other => other.map_err(|e| io(path, "write", e))?,
        }
        Ok(made)
    }

    /// The content of its file.
    fn text(
        &self,
        path: &Path,
        passphrase: Option<&Passphrase>,
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let failed = |reason: &str| KeyError::Io {
            path: path.into(),
            action: "protect",
            source: io::Error::other(reason.to_owned()),
        };
        let public = self.public.to_string();
        let mut salt = [0; 16];
        fill(path, &mut salt)?;
        let salt = hex::encode(salt);
        let kdf = passphrase.map(|_| Kdf::with(&salt));
        let secret = match (passphrase, &kdf) {
            (Some(passphrase), Some(kdf)) => {
                let sealed = kdf.seal(passphrase, (self.kind, &public), &self.secret);
                hex::encode(sealed.ok_or_else(|| failed("is there enough memory?"))?)
            }
            _ => hex::encode(self.secret.as_ref()),
        };
        let secret = Zeroizing::new(secret);
        let content = Content {
            format: FORMAT,
            kind: self.kind,
            public: &public,
            protection: if kdf.is_some() {
                PROTECTION
            } else {
                UNPROTECTED
            },
            kdf,
            secret: &secret,
        };
        // Large enough never to be moved, which would leave a copy behind.
        let mut text = Zeroizing::new(Vec::with_capacity(1024));
        serde_json::to_writer_pretty(&mut *text, &content).map_err(|e| failed(&e.to_string()))?;
        text.push(b'\n');
        Ok(text)
    }

    /// Writes its file again, protected by this passphrase. The old content stays if that fails; on a disk that keeps old blocks it may stay anyway.
    ///
    /// # Errors
    /// [`KeyError::Io`].
    pub fn protect(&self, path: &Path, passphrase: &Passphrase) -> Result<(), KeyError> {
        let text = self.text(path, Some(passphrase))?;
        files::replace(path, &text).map_err(|source| KeyError::Io {
            path: path.into(),
            action: "write",
            source,
        })
    }

    /// Reads a key of the kind expected; a protected one with the passphrase that the environment names.
    ///
    /// # Errors
    /// [`KeyError`], saying what is wrong and what to do.
    pub fn load(path: &Path, expected: KeyKind) -> Result<KeyFile, KeyError> {
        Self::load_with(path, expected, None)
    }

    /// Reads a key of the kind expected, with this passphrase before any that the environment names.
    ///
    /// # Errors
    /// As for [`Self::load`].
    pub fn load_with(
        path: &Path,
        expected: KeyKind,
        passphrase: Option<&Passphrase>,
    ) -> Result<KeyFile, KeyError> {
        let io = |path: &Path, action, source| KeyError::Io {
            path: path.into(),
            action,
            source,
        };
        let mut file = match File::open(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(KeyError::Missing {
                    path: path.into(),
                    kind: expected,
                });
            }
            other => other.map_err(|e| io(path, "open", e))?,
        };
        let dir = directory(path);
        check_private(
            dir,
            &File::open(dir).map_err(|e| io(dir, "open", e))?,
            0o700,
        )?;
        check_private(path, &file, 0o600)?;

        let mut text = Zeroizing::new(Vec::with_capacity(8192));
        file.by_ref()
            .take(MAX_FILE_BYTES.saturating_add(1))
            .read_to_end(&mut text)
            .map_err(|e| io(path, "read", e))?;
        if text.len() as u64 > MAX_FILE_BYTES {
            return Err(KeyError::Malformed {
                path: path.into(),
                reason: format!("it has more than {MAX_FILE_BYTES} bytes"),
            });
        }
        Self::parse(path, expected, &text, passphrase)
    }

    fn parse(
        path: &Path,
        expected: KeyKind,
        text: &[u8],
        passphrase: Option<&Passphrase>,
    ) -> Result<KeyFile, KeyError> {
        let malformed = |reason: String| KeyError::Malformed {
            path: path.into(),
            reason,
        };
        // serde's own message could quote the secret; the position cannot.
        let content: Content<'_> = serde_json::from_slice(text)
            .map_err(|e| malformed(format!("line {}, column {}", e.line(), e.column())))?;
        if content.format != FORMAT {
            return Err(malformed(format!(
                "format {}, not {FORMAT}",
                content.format
            )));
        }
        if content.kind != expected {
            return Err(KeyError::OtherKind {
                path: path.into(),
                found: content.kind,
                expected,
            });
        }
        let secret = match (content.protection, &content.kdf) {
            (UNPROTECTED, None) => {
                let mut secret = Zeroizing::new([0; 32]);
                hex::decode_to_slice(content.secret, secret.as_mut())
                    .map_err(|_| malformed("the secret is not 64 hex digits".into()))?;
                secret
            }
            (PROTECTION, Some(kdf)) => {
                let named = match passphrase {
                    Some(_) => None,
                    None => Passphrase::from_environment()?,
                };
                let passphrase = passphrase
                    .or(named.as_ref())
                    .ok_or_else(|| KeyError::Locked { path: path.into() })?;
                let sealed = hex::decode(content.secret)
                    .map_err(|_| malformed("the secret is not hex".into()))?;
                kdf.open(passphrase, (expected, content.public), &sealed)
                    .ok_or_else(|| KeyError::WrongPassphrase {
                        path: path.into(),
                        file: passphrase.file().into(),
                    })?
            }
            _ => return Err(KeyError::Protected { path: path.into() }),
        };
        let public = public_part(expected, &secret);
        if public.to_string() != content.public {
            return Err(malformed(
                "public and secret part do not belong together".into(),
            ));
        }
        Ok(KeyFile {
            kind: expected,
            public,
            secret,
        })
    }

    /// What it is for.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The public part: the ed25519 public key, or for a seal seed a fingerprint that no one else needs.
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// The signing key, of a consensus or agent key.
    pub fn signing_key(&self) -> Option<SecretKey> {
        match self.kind {
            KeyKind::Consensus | KeyKind::Agent => {
                Some(SecretKey::from_seed(&mut self.secret.clone()))
            }
            KeyKind::Network | KeyKind::Seal => None,
        }
    }

    /// The libp2p identity, of a network key.
    pub fn identity(&self) -> Option<Keypair> {
        match self.kind {
            KeyKind::Network => Keypair::ed25519_from_bytes(*self.secret.clone()).ok(),
            KeyKind::Consensus | KeyKind::Seal | KeyKind::Agent => None,
        }
    }

    /// The peer id, of a network key.
    pub fn peer_id(&self) -> Option<PeerId> {
        self.identity().map(|keypair| keypair.public().to_peer_id())
    }

    /// The seed, of a seal key.
    pub fn seal_seed(&self) -> Option<Zeroizing<[u8; 32]>> {
        (self.kind == KeyKind::Seal).then(|| self.secret.clone())
    }
}

fn public_part(kind: KeyKind, secret: &Zeroizing<[u8; 32]>) -> PublicKey {
    match kind {
        KeyKind::Consensus | KeyKind::Network | KeyKind::Agent => {
            SecretKey::from_seed(&mut secret.clone()).public()
        }
        KeyKind::Seal => {
            let mut digest = Sha256::new()
                .chain_update(b"tender/1/seal-seed-fingerprint")
                .chain_update(secret.as_ref())
                .finalize();
            let fingerprint = PublicKey(digest.into());
            digest.zeroize();
            fingerprint
        }
    }
}

/// Refuses what others may read or enter. The open file is asked, not the name, so it cannot be swapped in between.
fn check_private(path: &Path, file: &File, wanted: u32) -> Result<(), KeyError> {
    let meta = file.metadata().map_err(|source| KeyError::Io {
        path: path.into(),
        action: "inspect",
        source,
    })?;
    let mode = meta.permissions().mode() & 0o7777;
    if mode & OTHERS != 0 {
        return Err(KeyError::TooOpen {
            path: path.into(),
            mode,
            wanted,
        });
    }
    Ok(())
}

fn fill(path: &Path, bytes: &mut [u8]) -> Result<(), KeyError> {
    getrandom::fill(bytes).map_err(|e| KeyError::Io {
        path: path.into(),
        action: "find randomness for",
        source: io::Error::other(e.to_string()),
    })
}

fn directory(path: &Path) -> &Path {
    path.parent()
        .filter(|dir| *dir != Path::new(""))
        .unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};

    fn home() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys/test.json");
        (dir, path)
    }

    #[test]
    fn created_keys_load_and_serve_their_purpose_only() {
        for kind in KeyKind::ALL {
            let (_dir, path) = home();
            let made = KeyFile::create(&path, kind, None).unwrap();
            let read = KeyFile::load(&path, kind).unwrap();
            assert_eq!((made.public, &made.secret), (read.public, &read.secret));
            assert_eq!(
                fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                0o600
            );
            let signs = matches!(kind, KeyKind::Consensus | KeyKind::Agent);
            assert_eq!(read.signing_key().is_some(), signs);
            assert_eq!(read.identity().is_some(), kind == KeyKind::Network);
            assert_eq!(read.seal_seed().is_some(), kind == KeyKind::Seal);
            for other in KeyKind::ALL.into_iter().filter(|other| *other != kind) {
                let error = KeyFile::load(&path, other).unwrap_err();
                assert!(matches!(error, KeyError::OtherKind { .. }));
            }
            let mut public = read.public();
            if let Some(key) = read.signing_key() {
                public = key.public();
            }
            if let Some(identity) = read.identity() {
                public = PublicKey(identity.public().try_into_ed25519().unwrap().to_bytes());
            }
            assert_eq!(public, made.public);
        }
    }

    /// Also of blanks after the key: what is not read is not passed over.
    #[test]
    fn a_key_file_is_so_long_and_no_longer() {
        let (_dir, path) = home();
        KeyFile::create(&path, KeyKind::Agent, None).unwrap();
        let text = fs::read(&path).unwrap();
        let padded = |len: u64| {
            let mut text = text.clone();
            text.resize(usize::try_from(len).unwrap(), b' ');
            fs::write(&path, text).unwrap();
            KeyFile::load(&path, KeyKind::Agent).map(|key| key.public)
        };
        assert!(padded(MAX_FILE_BYTES).is_ok());
        let refused = padded(MAX_FILE_BYTES + 1).unwrap_err().to_string();
        assert!(refused.contains("more than 4096 bytes"), "{refused}");
    }

    #[test]
    fn two_keys_differ_and_none_is_overwritten() {
        let (dir, path) = home();
        let one = KeyFile::create(&path, KeyKind::Agent, None).unwrap();
        let before = fs::read(&path).unwrap();
        let error = KeyFile::create(&path, KeyKind::Agent, None).unwrap_err();
        assert!(matches!(error, KeyError::Exists { .. }), "{error}");
        assert_eq!(fs::read(&path).unwrap(), before);
        let two = KeyFile::create(&dir.path().join("keys/two.json"), KeyKind::Agent, None).unwrap();
        assert_ne!(one.public, two.public);
    }

    #[test]
    fn a_key_others_could_read_is_refused() {
        let (_dir, path) = home();
        KeyFile::create(&path, KeyKind::Consensus, None).unwrap();
        let keys = path.parent().unwrap();
        for (what, tight, wide) in [(path.as_path(), 0o600, 0o640), (keys, 0o700, 0o701)] {
            fs::set_permissions(what, Permissions::from_mode(wide)).unwrap();
            let error = KeyFile::load(&path, KeyKind::Consensus).unwrap_err();
            let fix = format!("chmod {tight:04o} {}", what.display());
            assert!(error.to_string().contains(&fix), "{error}");
            fs::set_permissions(what, Permissions::from_mode(tight)).unwrap();
        }
        KeyFile::load(&path, KeyKind::Consensus).unwrap();
    }

    #[test]
    fn a_damaged_file_is_refused_without_quoting_it() {
        let (_dir, path) = home();
        KeyFile::create_from(&path, KeyKind::Seal, Zeroizing::new([0xab; 32]), None).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let secret = "ab".repeat(32);
        assert!(text.contains(&secret));
        let cases = [
            text.replace(&secret, &"ac".repeat(32)),
            text.replace(&secret, &"ab".repeat(31)),
            text.replace(&secret, &format!("{secret}00")),
            text.replace("\"format\": 1", "\"format\": 2"),
            text.replace("\"none\"", "\"age\""),
            text.replace("\"secret\"", "\"sekret\""),
            text.replace("\"secret\": \"", "\"secret\": \"\\u0061"),
            text.replace('{', "{ \"extra\": 1,"),
            text[..text.len() / 2].to_owned(),
            String::new(),
            "x".repeat(10_000),
        ];
        for case in cases {
            fs::write(&path, &case).unwrap();
            let error = KeyFile::load(&path, KeyKind::Seal).unwrap_err();
            let said = format!("{error} {error:?}");
            assert!(!said.contains("abab"), "{said}");
            assert!(said.contains("test.json"), "{said}");
        }
    }

    #[test]
    fn secrets_are_not_in_debug() {
        let (_dir, path) = home();
        let key =
            KeyFile::create_from(&path, KeyKind::Agent, Zeroizing::new([0xab; 32]), None).unwrap();
        assert!(!format!("{key:?}").contains("abab"));
    }

    fn passphrase(dir: &Path, text: &str) -> Passphrase {
        let path = dir.join("passphrase");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        Passphrase::from_file(&path).unwrap()
    }

    #[test]
    fn a_protected_key_opens_with_its_passphrase_alone_and_unchanged() {
        let (dir, path) = home();
        let secret = Zeroizing::new([0xab; 32]);
        let right = passphrase(dir.path(), "correct horse\n");
        let made = KeyFile::create_from(&path, KeyKind::Agent, secret, Some(&right)).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains("abab"), "{text}");
        let load = |with| KeyFile::load_with(&path, KeyKind::Agent, with);
        let read = load(Some(&right)).unwrap();
        assert_eq!((read.public, &read.secret), (made.public, &made.secret));
        assert!(matches!(load(None), Err(KeyError::Locked { .. })));
        let wrong = passphrase(dir.path(), "correct horse battery\n");
        let error = load(Some(&wrong)).unwrap_err();
        assert!(matches!(error, KeyError::WrongPassphrase { .. }));
        assert!(!format!("{error} {error:?} {wrong:?}").contains("horse"));
        let salt = text.split("\"salt\": \"").nth(1).unwrap()[..32].to_owned();
        for changed in [
            text.replace(&salt, &"0".repeat(32)),
            text.replace("\"lanes\": 4", "\"lanes\": 2"),
            text.replace("\"memory_kib\": 65536", "\"memory_kib\": 4294967295"),
            text.replace("\"passes\": 3", "\"passes\": 4294967295"),
        ] {
            assert_ne!(changed, text);
            fs::write(&path, changed).unwrap();
            let error = load(Some(&right)).unwrap_err();
            assert!(matches!(error, KeyError::WrongPassphrase { .. }), "{error}");
        }
    }

    #[test]
    fn an_unprotected_key_can_be_protected_and_stays_the_same_key() {
        let (dir, path) = home();
        let made = KeyFile::create(&path, KeyKind::Seal, None).unwrap();
        let right = passphrase(dir.path(), "x");
        made.protect(&path, &right).unwrap();
        let read = KeyFile::load_with(&path, KeyKind::Seal, Some(&right)).unwrap();
        assert_eq!((read.public, &read.secret), (made.public, &made.secret));
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_passphrase_is_not_empty_not_endless_and_not_for_others_to_read() {
        let (dir, _) = home();
        let path = dir.path().join("passphrase");
        for bad in [String::new(), "\n\n".into(), "x".repeat(1025)] {
            fs::write(&path, bad).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            let error = Passphrase::from_file(&path).unwrap_err();
            assert!(matches!(error, KeyError::BadPassphrase { .. }), "{error}");
        }
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let error = Passphrase::from_file(&path).unwrap_err();
        assert!(matches!(error, KeyError::TooOpen { .. }), "{error}");
    }
}
