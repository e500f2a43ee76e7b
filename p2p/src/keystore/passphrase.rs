//! Protection of a key file by a passphrase.
//!
//! ```text
//!  key        = Argon2id(passphrase, salt[16], memory, passes, lanes), 32 bytes
//!  ciphertext = ChaCha20-Poly1305(key, nonce 0, secret[32]; associated data = "tender/1/key-file" ‖ kind ‖ public[32])
//! ```
//!
//! The nonce may be zero because the salt, and so the key, serves one file. Invariants: a passphrase is read from a file that nobody but its
//! owner can read, never from an argument or the value of a variable; it and the key are wiped after use; the costs that a file names are
//! bounded before any work. Costs: the second choice of RFC 9106, 64 MiB and three passes, about a fifth of a second.

use super::{KeyError, KeyKind, check_private};
use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit as _,
    aead::{Aead as _, Payload},
};
use serde::{Deserialize, Serialize};
use std::{
    env, fmt,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};
use tender_wire::PublicKey;
use zeroize::Zeroizing;

/// The variable that names the file with the passphrase.
pub const VARIABLE: &str = "TENDER_PASSPHRASE_FILE";
/// How a protected file names its protection.
pub(super) const PROTECTION: &str = "argon2id-chacha20poly1305";
/// Longest passphrase, in bytes.
pub(crate) const MAX_BYTES: usize = 1024;
/// Most memory a file may ask for, in KiB: 256 MiB.
pub(crate) const MAX_MEMORY_KIB: u32 = 1 << 18;
/// Most passes a file may ask for.
pub(crate) const MAX_PASSES: u32 = 8;
/// Most lanes a file may ask for.
pub(crate) const MAX_LANES: u32 = 16;

/// A passphrase and the file it is from. Wiped when dropped.
pub struct Passphrase {
    file: PathBuf,
    text: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Passphrase(in {})", self.file.display())
    }
}

impl Passphrase {
    /// The passphrase in a file: all of it but line ends after it.
    ///
    /// # Errors
    /// [`KeyError`] if others can read it, or it is empty or too long.
    pub fn from_file(path: &Path) -> Result<Self, KeyError> {
        let io = |action, source| KeyError::Io {
            path: path.into(),
            action,
            source,
        };
        let file = File::open(path).map_err(|e| io("open", e))?;
        check_private(path, &file, 0o600)?;
        // Large enough never to be moved, which would leave a copy behind.
        let mut text = Zeroizing::new(Vec::with_capacity(2 * MAX_BYTES));
        file.take((MAX_BYTES as u64).saturating_add(1))
            .read_to_end(&mut text)
            .map_err(|e| io("read", e))?;
        let too_long = text.len() > MAX_BYTES;
        while text.pop_if(|byte| matches!(byte, b'\n' | b'\r')).is_some() {}
        if text.is_empty() || too_long {
            return Err(KeyError::BadPassphrase { path: path.into() });
        }
        Ok(Passphrase {
            file: path.into(),
            text,
        })
    }

    /// The passphrase in the file that [`VARIABLE`] names, if it names one.
    ///
    /// # Errors
    /// As for [`Self::from_file`].
    pub fn from_environment() -> Result<Option<Self>, KeyError> {
        let file = env::var_os(VARIABLE).filter(|file| !file.is_empty());
        file.map(|file| Self::from_file(Path::new(&file)))
            .transpose()
    }

    /// Where it is from.
    pub fn file(&self) -> &Path {
        &self.file
    }
}

/// Salt and costs, as a file names them.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kdf<'a> {
    #[serde(borrow)]
    pub(super) salt: &'a str,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl<'a> Kdf<'a> {
    /// Today's costs with this salt, 32 hex digits.
    pub(super) fn with(salt: &'a str) -> Self {
        Kdf {
            salt,
            memory_kib: 64 << 10,
            passes: 3,
            lanes: 4,
        }
    }

    /// The cipher of a passphrase; `None` for a salt or costs that no file of ours has.
    fn cipher(&self, passphrase: &Passphrase) -> Option<ChaCha20Poly1305> {
        let mut salt = [0; 16];
        hex::decode_to_slice(self.salt, &mut salt).ok()?;
        let bounded = self.memory_kib <= MAX_MEMORY_KIB
            && self.passes <= MAX_PASSES
            && self.lanes <= MAX_LANES;
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(32)).ok();
        let params = params.filter(|_| bounded)?;
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(&passphrase.text, &salt, key.as_mut())
            .ok()?;
        ChaCha20Poly1305::new_from_slice(key.as_ref()).ok()
    }

    /// The secret, encrypted.
    pub(super) fn seal(
        &self,
        passphrase: &Passphrase,
        (kind, public): (KeyKind, &str),
        secret: &[u8; 32],
    ) -> Option<Vec<u8>> {
        let aad = associated(kind, public)?;
        let payload = Payload {
            msg: secret,
            aad: &aad,
        };
        let cipher = self.cipher(passphrase)?;
        cipher.encrypt(&Default::default(), payload).ok()
    }

    /// The secret, decrypted; `None` if this is not the passphrase, or the file was changed.
    pub(super) fn open(
        &self,
        passphrase: &Passphrase,
        (kind, public): (KeyKind, &str),
        ciphertext: &[u8],
    ) -> Option<Zeroizing<[u8; 32]>> {
        let aad = associated(kind, public)?;
        let payload = Payload {
            msg: ciphertext,
            aad: &aad,
        };
        let cipher = self.cipher(passphrase)?;
        let plain = cipher.decrypt(&Default::default(), payload).ok();
        let plain = Zeroizing::new(plain?);
        let mut secret = Zeroizing::new([0; 32]);
        if plain.len() != secret.len() {
            return None;
        }
        secret.copy_from_slice(&plain);
        Some(secret)
    }
}

fn associated(kind: KeyKind, public: &str) -> Option<Vec<u8>> {
    let public: PublicKey = public.parse().ok()?;
    Some(
        [
            b"tender/1/key-file",
            kind.name().as_bytes(),
            public.as_ref(),
        ]
        .concat(),
    )
}

#[cfg(test)]
mod tests {
    use super::{super::KeyFile, *};
    use tender_wire::testing;

    /// A file must not exhaust the machine that opens it. (The costliest file allowed takes seconds and 256 MiB: it is not opened here.)
    #[test]
    fn a_key_file_may_ask_for_so_much_and_no_more() {
        let passphrase = Passphrase {
            file: PathBuf::new(),
            text: Zeroizing::new(b"word".to_vec()),
        };
        let cheap = Kdf {
            salt: "00000000000000000000000000000000",
            memory_kib: 1 << 10,
            passes: 1,
            lanes: 1,
        };
        let (lanes, passes) = (MAX_LANES, MAX_PASSES);
        assert!(Kdf { lanes, ..cheap }.cipher(&passphrase).is_some());
        assert!(Kdf { passes, ..cheap }.cipher(&passphrase).is_some());
        let (lanes, passes) = (MAX_LANES + 1, MAX_PASSES + 1);
        let memory_kib = MAX_MEMORY_KIB + 1;
        for dear in [
            Kdf { lanes, ..cheap },
            Kdf { passes, ..cheap },
            Kdf {
                memory_kib,
                ..cheap
            },
        ] {
            assert!(dear.cipher(&passphrase).is_none());
        }
    }

    /// B18, D: a damaged key file gives no key but the one that was written, with a passphrase as without.
    #[test]
    fn a_damaged_key_file_is_refused_or_gives_the_same_key() {
        let path = Path::new("agent.json");
        let passphrase = Passphrase {
            file: "passphrase".into(),
            text: Zeroizing::new(b"correct horse".to_vec()),
        };
        let secret = [0xab; 32];
        let public = tender_wire::SecretKey::from_seed(&mut secret.clone()).public();
        let (salt, public_hex) = ("0c".repeat(16), public.to_string());
        // Costs of no file of ours, so that thousands can be tried.
        let cheap = Kdf {
            salt: &salt,
            memory_kib: 8,
            passes: 1,
            lanes: 1,
        };
        let sealed = cheap.seal(&passphrase, (KeyKind::Agent, &public_hex), &secret);
        let mut plain = serde_json::json!({ "format": 1, "kind": "agent", "public": public_hex });
        let mut protected = plain.clone();
        plain["protection"] = "none".into();
        plain["secret"] = hex::encode(secret).into();
        protected["protection"] = PROTECTION.into();
        protected["kdf"] = serde_json::to_value(cheap).unwrap();
        protected["secret"] = hex::encode(sealed.unwrap()).into();
        for file in [plain, protected] {
            let text = file.to_string();
            let read =
                |bytes: &[u8]| KeyFile::parse(path, KeyKind::Agent, bytes, Some(&passphrase));
            assert_eq!(read(text.as_bytes()).unwrap().public(), public);
            let mut refused = 0;
            testing::each(text.as_bytes(), |damage, bytes| match read(bytes) {
                Ok(key) => assert_eq!(*key.signing_key().unwrap().to_seed(), secret, "{damage}"),
                Err(error) => {
                    refused += 1;
                    assert!(!format!("{error} {error:?}").contains("abab"), "{damage}");
                }
            });
            assert!(refused > 8 * text.len(), "{refused}");
        }
    }
}
