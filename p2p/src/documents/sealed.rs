//! Credentials sealed to their holder: files that only the holder's agent key opens.
//!
//! ```json
//! { "format": "tender-sealed-credential/1", "holder": "<64 hex>", "chain": "<64 hex>", "ephemeral": "<64 hex>", "ciphertext": "<hex>" }
//! ```
//!
//! The construction is HPKE (RFC 9180) in base mode with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and ChaCha20Poly1305, one message, empty
//! `aad`:
//!
//! ```text
//! pkR        = the holder's ed25519 public key in Montgomery form;   skR = SHA-512(seed)[0..32], clamped as in RFC 7748
//! info       = tag SealCredential[32] ‖ chain[32] ‖ holder's ed25519 key[32]
//! ephemeral  = enc[32] of RFC 9180;   ciphertext = ct, the tag[16] included
//! plaintext  = the credential file as JSON, spaces appended up to the next multiple of 1024 bytes
//! ```
//!
//! One key pair for ed25519 signatures and this encapsulation is analysed in <https://eprint.iacr.org/2021/509>.
//!
//! Invariants: holder, chain and ephemeral key are bound into the key schedule, so a file opens whole and unchanged for one key on one
//! chain or not at all; the plaintext is never written and its buffer is wiped. Bounds: [`MAX_PLAIN_BYTES`], [`MAX_SEALED_FILE_BYTES`].
//!
//! Not given: who sealed it. Base mode has no sender; what a credential is worth is decided by its leaf on chain or its issuer's
//! signature inside. Nor forward secrecy: whoever steals the agent key opens every file sealed to it.

use super::credential::CredentialFile;
use chacha20::{ChaCha20Rng, rand_core::SeedableRng as _};
use hpke::{Deserializable as _, OpModeR, OpModeS, Serializable as _};
use serde::{Deserialize, Serialize};
use tender_wire::{ChainId, PublicKey, SecretKey, Tag};
use zeroize::Zeroizing;

/// What `format` says.
pub const FORMAT: &str = "tender-sealed-credential/1";
/// Largest credential that is sealed, in bytes of JSON: a full claim is some 4 KiB, the rest is for what people write beside it.
pub const MAX_PLAIN_BYTES: usize = 64 << 10;
/// Largest sealed file read: the ciphertext in hex, and the other fields.
pub const MAX_SEALED_FILE_BYTES: usize = 2 * (MAX_PLAIN_BYTES + AEAD_TAG_BYTES) + 1024;

const AEAD_TAG_BYTES: usize = 16;
/// Lengths are rounded up to this, so that they do not tell the length of a name or a figure.
const PADDED_TO: usize = 1024;

type Aead = hpke::aead::ChaCha20Poly1305;
type Kdf = hpke::kdf::HkdfSha256;
type Kem = hpke::kem::X25519HkdfSha256;

tender_wire::byte_newtype! {
    /// The encapsulated key of one sealed file: fresh for every file, so it also names the file.
    Ephemeral, 32
}

/// A sealed credential. Public: it shows to whom and for which chain, nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedFile {
    /// [`FORMAT`].
    pub format: String,
    /// Whose agent key opens it.
    pub holder: PublicKey,
    /// The chain it is for.
    pub chain: ChainId,
    /// The encapsulated key.
    pub ephemeral: Ephemeral,
    /// The encrypted credential, in lower-case hex.
    pub ciphertext: String,
}

/// Why a credential is not sealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Nobody could open it, or anybody could.
    #[error("the holder's key {0} is malformed or weak")]
    BadHolder(PublicKey),
    /// Longer than what is read again.
    #[error("the credential has {found} bytes as JSON, at most {max} are sealed", max = MAX_PLAIN_BYTES)]
    TooLarge {
        /// Its length.
        found: usize,
    },
    /// The cipher or the JSON writer refused, which neither does for a credential of this size.
    #[error("the credential cannot be encrypted")]
    Cipher,
}

/// Why a sealed credential does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Another kind of file.
    #[error("its format is `{0}`, not `{FORMAT}`")]
    Format(String),
    /// Sealed for another chain.
    #[error("is sealed for chain {found}, this home is on chain {expected}", found = found.short(), expected = expected.short())]
    OtherChain {
        /// The file's.
        found: ChainId,
        /// The reader's.
        expected: ChainId,
    },
    /// Sealed to another key.
    #[error("is sealed to {found}, this home's agent key is {expected}")]
    OtherHolder {
        /// The file's.
        found: PublicKey,
        /// The reader's.
        expected: PublicKey,
    },
    /// Not lower-case hex of a length that is ever sealed.
    #[error("its ciphertext is not lower-case hex of at most {MAX_PLAIN_BYTES} bytes and a tag")]
    Ciphertext,
    /// Changed or cut since it was sealed, or never sealed to this key.
    #[error("does not open with this home's agent key: it was changed or cut on the way")]
    Refused,
    /// It opens, but what is inside is no credential. Says only where: the content is secret.
    #[error("opens, but holds no credential of this version (line {line}, column {column})")]
    Content {
        /// Line of the JSON inside.
        line: usize,
        /// Column of the JSON inside.
        column: usize,
    },
    /// It opens, but the credential inside is for somebody or something else than its envelope says.
    #[error("opens, but the credential inside is of another holder or chain")]
    Inside,
}

impl SealedFile {
    /// Seals a credential to its holder. `seed` must be random and used once.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn seal(file: &CredentialFile, seed: &[u8; 32]) -> Result<Self, SealError> {
        Self::encrypt(&plaintext(file)?, file.chain, file.holder(), seed)
    }

    fn encrypt(
        plain: &[u8],
        chain: ChainId,
        holder: PublicKey,
        seed: &[u8; 32],
    ) -> Result<Self, SealError> {
        let bad_holder = |_| SealError::BadHolder(holder);
        let agreement = holder
            .agreement_key()
            .map_err(|_| SealError::BadHolder(holder))?;
        let key = <Kem as hpke::Kem>::PublicKey::from_bytes(&agreement).map_err(bad_holder)?;
        let (ephemeral, ciphertext) = hpke::single_shot_seal_with_rng::<Aead, Kdf, Kem>(
            &OpModeS::Base,
            &key,
            &info(&chain, &holder),
            plain,
            &[],
            &mut ChaCha20Rng::from_seed(*seed),
        )
        .map_err(|_| SealError::Cipher)?;
        Ok(SealedFile {
            format: FORMAT.into(),
            holder,
            chain,
            ephemeral: Ephemeral(ephemeral.to_bytes().into()),
            ciphertext: hex::encode(ciphertext),
        })
    }

    /// The credential, for the holder on its chain.
    ///
    /// # Errors
    /// [`OpenError`]. None quotes what is inside.
    pub fn open(&self, chain: &ChainId, key: &SecretKey) -> Result<CredentialFile, OpenError> {
        let holder = key.public();
        if self.format != FORMAT {
            let found = self.format.escape_default().take(64).collect();
            return Err(OpenError::Format(found));
        }
        if self.chain != *chain {
            return Err(OpenError::OtherChain {
                found: self.chain,
                expected: *chain,
            });
        }
        if self.holder != holder {
            return Err(OpenError::OtherHolder {
                found: self.holder,
                expected: holder,
            });
        }
        let plain = self.decrypt(key)?;
        let file: CredentialFile =
            serde_json::from_slice(&plain).map_err(|e| OpenError::Content {
                line: e.line(),
                column: e.column(),
            })?;
        if file.chain != *chain || file.holder() != holder {
            return Err(OpenError::Inside);
        }
        Ok(file)
    }

    fn decrypt(&self, key: &SecretKey) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let most = MAX_PLAIN_BYTES.saturating_add(AEAD_TAG_BYTES);
        let lower = !self.ciphertext.bytes().any(|b| b.is_ascii_uppercase());
        if !lower || self.ciphertext.len() > most.saturating_mul(2) {
            return Err(OpenError::Ciphertext);
        }
        let ciphertext = hex::decode(&self.ciphertext).map_err(|_| OpenError::Ciphertext)?;
        let secret = <Kem as hpke::Kem>::PrivateKey::from_bytes(key.agreement_secret().as_ref())
            .map_err(|_| OpenError::Refused)?;
        let ephemeral = <Kem as hpke::Kem>::EncappedKey::from_bytes(&self.ephemeral.0)
            .map_err(|_| OpenError::Refused)?;
        let info = info(&self.chain, &self.holder);
        hpke::single_shot_open::<Aead, Kdf, Kem>(
            &OpModeR::Base,
            &secret,
            &ephemeral,
            &info,
            &ciphertext,
            &[],
        )
        .map(Zeroizing::new)
        .map_err(|_| OpenError::Refused)
    }
}

fn info(chain: &ChainId, holder: &PublicKey) -> Vec<u8> {
    [
        Tag::SealCredential.bytes().as_slice(),
        chain.as_ref(),
        holder.as_ref(),
    ]
    .concat()
}

/// The credential's JSON, padded; wiped when dropped.
fn plaintext(file: &CredentialFile) -> Result<Zeroizing<Vec<u8>>, SealError> {
    // As large as anything that is sealed, so that it never moves and leaves a copy behind.
    let mut plain = Zeroizing::new(Vec::with_capacity(MAX_PLAIN_BYTES));
    serde_json::to_writer(&mut *plain, file).map_err(|_| SealError::Cipher)?;
    if plain.len() > MAX_PLAIN_BYTES {
        return Err(SealError::TooLarge { found: plain.len() });
    }
    let padded = plain
        .len()
        .checked_next_multiple_of(PADDED_TO)
        .unwrap_or(MAX_PLAIN_BYTES);
    plain.resize(padded, b' ');
    Ok(plain)
}

#[cfg(test)]
mod tests;
