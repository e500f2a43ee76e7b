//! What an issuer hands to a holder: a credential to prove from, or a signed attestation to show.
//!
//! Both travel and rest [sealed](super::sealed) to the holder's agent key: a credential is secret (its attributes and salt are what
//! proofs hide); an attestation is only the holder's business until it bids. Invariant: none is ever written in plain; readers open
//! the files of a home in memory.

use super::{
    Access, FileError,
    names::Names,
    parse_json, read_text,
    sealed::{self, MAX_SEALED_FILE_BYTES, OpenError, SealError, SealedFile},
    write_json,
};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use tender_circuits::{Attestation, Claim, Credential, EvidenceKind, IssuerIndex, IssuerMask};
use tender_wire::{ChainId, FieldBytes, PublicKey, SecretKey, TypeId, UnixTime};
use zeroize::Zeroizing;

/// Most credential files read from one directory.
pub const MAX_CREDENTIALS: usize = 4096;

/// A credential or attestation, with what its holder needs to use it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialFile {
    /// The chain it is for.
    pub chain: ChainId,
    /// Capability type.
    pub type_id: TypeId,
    /// Who attests, for people.
    pub issuer: String,
    /// The machine's serial number.
    pub serial: String,
    /// What it is, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// The thing itself.
    pub content: Content,
}

/// What kind of evidence can be made of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Content {
    /// Proofs: its leaf is in the registry.
    Credential {
        /// The credential.
        credential: Credential,
    },
    /// Itself, in plain.
    Attestation(Attestation),
}

impl CredentialFile {
    /// The machine's handle on chain.
    pub fn asset(&self) -> FieldBytes {
        match &self.content {
            Content::Credential { credential, .. } => credential.asset,
            Content::Attestation(attestation) => attestation.asset,
        }
    }

    /// Whose it is.
    pub fn holder(&self) -> PublicKey {
        match &self.content {
            Content::Credential { credential, .. } => credential.holder,
            Content::Attestation(attestation) => attestation.holder,
        }
    }

    /// Who vouches.
    pub fn issuer_index(&self) -> IssuerIndex {
        match &self.content {
            Content::Credential { credential, .. } => credential.issuer,
            Content::Attestation(attestation) => attestation.issuer,
        }
    }

    /// The issuer as a mask of one.
    pub fn issuer_mask(&self) -> IssuerMask {
        IssuerMask(0).with(self.issuer_index())
    }

    /// The last moment it holds.
    pub fn expiry(&self) -> UnixTime {
        match &self.content {
            Content::Credential { credential, .. } => credential.expiry,
            Content::Attestation(attestation) => attestation.not_after,
        }
    }

    /// Which kind of evidence it makes.
    pub fn kind(&self) -> EvidenceKind {
        match &self.content {
            Content::Credential { .. } => EvidenceKind::Proof,
            Content::Attestation(_) => EvidenceKind::Attestation,
        }
    }

    /// `serial-issuer-type-kind.json`, of characters that are plain everywhere.
    pub fn file_name(&self) -> String {
        let kind = match self.kind() {
            EvidenceKind::Proof => "credential",
            EvidenceKind::Attestation => "attestation",
        };
        format!(
            "{}-{}-{}-{kind}.json",
            plain(&self.serial),
            plain(&self.issuer),
            self.type_id.short()
        )
    }
}

/// A text as part of a file name: of characters that are plain everywhere, at most 64.
pub fn plain(text: &str) -> String {
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' {
            c
        } else {
            '_'
        }
    };
    text.chars().map(safe).take(64).collect()
}

/// The usable credentials of a directory, in name order: of this chain and of the holder whose agent key this is.
///
/// # Errors
/// [`FileError`] for a file that is not a sealed credential, is of another chain or of another holder, or does not open; or for the directory
/// if it holds more than [`MAX_CREDENTIALS`].
pub fn read_all(
    directory: &Path,
    chain: &ChainId,
    key: &SecretKey,
) -> Result<Vec<CredentialFile>, FileError> {
    let files = read_each(directory, chain, key)?;
    Ok(files.into_iter().map(|(_, file)| file).collect())
}

/// [`read_all`] for whoever works on with the usable ones: what is wrong with the others comes beside them.
pub fn read_usable(
    directory: &Path,
    chain: &ChainId,
    key: &SecretKey,
) -> (Vec<CredentialFile>, Vec<FileError>) {
    let (mut usable, mut wrong) = (Vec::new(), Vec::new());
    let paths = paths_in(directory).unwrap_or_else(|error| {
        wrong.push(error);
        Vec::new()
    });
    for path in paths {
        match open(&path, chain, key) {
            Ok(file) => usable.push(file),
            Err(error) => wrong.push(error),
        }
    }
    (usable, wrong)
}

/// [`read_all`], each with its path.
///
/// # Errors
/// As for [`read_all`].
pub fn read_each(
    directory: &Path,
    chain: &ChainId,
    key: &SecretKey,
) -> Result<Vec<(PathBuf, CredentialFile)>, FileError> {
    let each = |path: PathBuf| open(&path, chain, key).map(|file| (path, file));
    paths_in(directory)?.into_iter().map(each).collect()
}

/// The files of a directory that could be credentials, in name order.
fn paths_in(directory: &Path) -> Result<Vec<PathBuf>, FileError> {
    // No directory: no credentials yet.
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .take(MAX_CREDENTIALS.saturating_add(1))
        .collect();
    if paths.len() > MAX_CREDENTIALS {
        let problem = format!("holds more than {MAX_CREDENTIALS} credentials");
        let next = "move those that have expired elsewhere";
        return Err(FileError::whole(directory, problem, next));
    }
    paths.sort();
    Ok(paths)
}

fn open(path: &Path, chain: &ChainId, key: &SecretKey) -> Result<CredentialFile, FileError> {
    let file = read_sealed(path)?;
    file.open(chain, key).map_err(|e| not_opened(path, &e))
}

/// A sealed file, unopened.
///
/// # Errors
/// [`FileError`] if it cannot be read or is something else. Nothing of the file is quoted: it may be a secret in plain.
pub fn read_sealed(path: &Path) -> Result<SealedFile, FileError> {
    const NEXT: &str = "ask the issuer for the file that `tender issuer attest` writes";
    let text = Zeroizing::new(read_text(path)?);
    if text.len() > MAX_SEALED_FILE_BYTES {
        let problem =
            format!("is larger than {MAX_SEALED_FILE_BYTES} bytes: no sealed credential is");
        return Err(FileError::whole(path, problem, NEXT));
    }
    parse_json(path, &text).map_err(|e| {
        let problem = format!("is no sealed credential (`{}`)", sealed::FORMAT);
        FileError {
            line: e.line,
            ..FileError::whole(path, problem, NEXT)
        }
    })
}

fn not_opened(path: &Path, error: &OpenError) -> FileError {
    let next = match error {
        OpenError::OtherHolder { .. } => "move the file to its holder's home",
        OpenError::OtherChain { .. } => {
            "move the file away; ask the issuer to attest on this chain"
        }
        OpenError::Content { .. } => "use the version of the issuer, or ask it to attest again",
        _ => "ask the issuer for the file again",
    };
    FileError::whole(path, error.to_string(), next)
}

/// Seals a credential and writes it for its holder; `seed` must be random and used once. Gives what was written.
///
/// # Errors
/// [`FileError`] if it cannot be sealed or written.
pub fn hand_over(
    path: &Path,
    file: &CredentialFile,
    seed: &[u8; 32],
) -> Result<SealedFile, FileError> {
    let sealed = SealedFile::seal(file, seed)
        .map_err(|e| FileError::whole(path, e.to_string(), not_sealed(&e)))?;
    write_json(path, &sealed, Access::Private)?;
    Ok(sealed)
}

/// What to do about a credential that cannot be sealed.
pub fn not_sealed(error: &SealError) -> &'static str {
    match error {
        SealError::BadHolder(_) => "ask the holder for the agent key of `tender keys show`",
        SealError::TooLarge { .. } => "shorten what the inventory says about the machine",
        SealError::Cipher => "please report this",
    }
}

/// The attested values.
pub fn attested(file: &CredentialFile) -> &Claim {
    match &file.content {
        Content::Credential { credential } => &credential.attributes,
        Content::Attestation(attestation) => &attestation.claim,
    }
}

/// Says what is attested, for people.
pub fn describe(file: &CredentialFile, names: &Names) -> String {
    match names.type_of(&file.type_id) {
        Some(record) => names.attribute_schema(record).line(attested(file)),
        None => format!("of an unknown type {}", file.type_id.short()),
    }
}
