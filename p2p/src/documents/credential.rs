//! What an issuer hands to a holder: a credential to prove from, or a signed attestation to show.
//!
//! Both are written 0600: a credential is secret (its attributes and salt are what proofs hide); an attestation is only the
//! holder's business until it bids.

use super::{FileError, names::Names, read_json};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use tender_circuits::{Attestation, Credential, EvidenceKind, IssuerIndex, IssuerMask};
use tender_wire::{ChainId, FieldBytes, PublicKey, SecretKey, TypeId, UnixTime};

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
        /// Where its leaf stands: what `issuer revoke` names.
        leaf_index: u32,
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
        let plain = |text: &str| -> String {
            text.chars()
                .map(|c| {
                    if c.is_ascii_alphanumeric() || c == '-' {
                        c
                    } else {
                        '_'
                    }
                })
                .take(64)
                .collect()
        };
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

/// The usable credentials of a directory, in name order: of this chain and of the holder whose agent key this is.
///
/// # Errors
/// [`FileError`] for a file that is not a credential, is of another chain or of another holder.
pub fn read_all(
    directory: &Path,
    chain: &ChainId,
    key: &SecretKey,
) -> Result<Vec<CredentialFile>, FileError> {
    let holder = key.public();
    let mut paths: Vec<PathBuf> = match std::fs::read_dir(directory) {
        Ok(entries) => entries.filter_map(|e| e.ok().map(|e| e.path())).collect(),
        Err(_) => Vec::new(), // no directory: no credentials yet
    };
    paths.retain(|path| path.extension().is_some_and(|e| e == "json"));
    paths.sort();
    paths.truncate(MAX_CREDENTIALS);
    let mut files = Vec::new();
    for path in paths {
        let file: CredentialFile = read_json(&path)?;
        if file.chain != *chain {
            let problem = format!(
                "is for chain {}, this home is on chain {}",
                file.chain.short(),
                chain.short()
            );
            return Err(FileError::whole(
                &path,
                problem,
                "move the file away; ask the issuer to attest on this chain",
            ));
        }
        if file.holder() != holder {
            let problem = format!(
                "was given to {}, this home's agent key is {holder}",
                file.holder()
            );
            return Err(FileError::whole(
                &path,
                problem,
                "move the file to its holder's home",
            ));
        }
        files.push(file);
    }
    Ok(files)
}

/// Says what a credential is, for people.
pub fn describe(file: &CredentialFile, names: &Names) -> String {
    let attested = match &file.content {
        Content::Credential { credential, .. } => &credential.attributes,
        Content::Attestation(attestation) => &attestation.claim,
    };
    let Some(record) = names.type_of(&file.type_id) else {
        return format!(
            "{} of an unknown type {}",
            file.serial,
            file.type_id.short()
        );
    };
    let schema = names.attribute_schema(record);
    format!(
        "{}, attested by {}: {}",
        file.serial,
        file.issuer,
        schema.line(attested)
    )
}
