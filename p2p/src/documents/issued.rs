//! What an issuer keeps of something it attested: enough to revoke it, and nothing that proofs hide.
//!
//! One file of mode 0600 for each, in `issued/` of the issuer's home, written before the leaf is posted: a crash between the two leaves a
//! record of something that may not be on chain, never something on chain without a record.

use super::{
    Access, FileError,
    credential::{Content, CredentialFile},
    parse_json, read_json, read_text,
    sealed::{self, Ephemeral, SealedFile},
    write_json,
};
use crate::files;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use tender_wire::{ChainId, FieldBytes, PublicKey, UnixTime};

/// What `format` says.
pub const FORMAT: &str = "tender-issued/1";
/// Directory of an issuer's home that holds its records.
pub const ISSUED: &str = "issued";
/// Most records looked through for the one of a handed-out file: a registry's leaves of one issuer are fewer.
pub(crate) const MAX_RECORDS: usize = 1 << 20;

/// An issuer's record of one credential or attestation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuedFile {
    /// [`FORMAT`].
    pub format: String,
    /// The chain.
    pub chain: ChainId,
    /// To whom.
    pub holder: PublicKey,
    /// The machine's serial number.
    pub serial: String,
    /// The machine's handle on chain.
    pub asset: FieldBytes,
    /// The last moment it holds.
    pub expiry: UnixTime,
    /// Names the sealed file that was handed out.
    pub ephemeral: Ephemeral,
    /// What a revocation names.
    pub handle: Handle,
}

/// What a revocation names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Handle {
    /// A leaf of the registry.
    Leaf {
        /// The leaf.
        leaf: FieldBytes,
        /// Its place, once it is in a block.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        index: Option<u32>,
    },
    /// The number of a signed attestation.
    Attestation {
        /// The number.
        number: u64,
    },
}

impl IssuedFile {
    /// The record of a credential and the file it was sealed into.
    pub fn of(file: &CredentialFile, sealed: &SealedFile) -> Self {
        let handle = match &file.content {
            Content::Credential { credential } => Handle::Leaf {
                leaf: credential.leaf(),
                index: None,
            },
            Content::Attestation(attestation) => Handle::Attestation {
                number: attestation.serial,
            },
        };
        IssuedFile {
            format: FORMAT.into(),
            chain: file.chain,
            holder: file.holder(),
            serial: file.serial.clone(),
            asset: file.asset(),
            expiry: file.expiry(),
            ephemeral: sealed.ephemeral,
            handle,
        }
    }

    /// Writes the record into an issuer's home; gives its path.
    ///
    /// # Errors
    /// [`FileError`] if the home cannot be written.
    pub fn keep(&self, home: &Path) -> Result<PathBuf, FileError> {
        let directory = home.join(ISSUED);
        files::create_private_dir(&directory).map_err(|e| {
            let problem = format!("cannot be made: {e}");
            FileError::whole(
                &directory,
                problem,
                "check that the home is yours; nothing was attested",
            )
        })?;
        let name = format!(
            "{}-{}.json",
            super::credential::plain(&self.serial),
            self.ephemeral.short()
        );
        let path = directory.join(name);
        write_json(&path, self, Access::Private)?;
        Ok(path)
    }

    /// The record that a file names: itself, or the one of the sealed file that was handed out from this home.
    ///
    /// # Errors
    /// [`FileError`] if it is neither, or the home has no such record.
    pub fn find(path: &Path, home: &Path) -> Result<Self, FileError> {
        /// Enough to tell the two apart.
        #[derive(Deserialize)]
        struct Kind {
            format: String,
        }
        let text = read_text(path)?;
        let kind = serde_json::from_str::<Kind>(&text).map(|kind| kind.format);
        match kind.as_deref() {
            Ok(FORMAT) => parse_json(path, &text),
            Ok(sealed::FORMAT) => {
                let sealed: SealedFile = parse_json(path, &text)?;
                Self::of_sealed(&home.join(ISSUED), &sealed)?.ok_or_else(|| {
                    let problem = format!(
                        "was not sealed from this home: {} has no record of it",
                        home.join(ISSUED).display()
                    );
                    FileError::whole(
                        path,
                        problem,
                        "name the home of the issuer that attested it, or the record itself",
                    )
                })
            }
            _ => Err(FileError::whole(
                path,
                "is neither an issuer's record nor a sealed credential",
                format!(
                    "name a file of the issuer's `{ISSUED}` directory, or the file that was handed out"
                ),
            )),
        }
    }

    fn of_sealed(directory: &Path, sealed: &SealedFile) -> Result<Option<Self>, FileError> {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        Self::among(entries.map(|entry| entry.path()), directory, sealed)
    }

    fn among(
        paths: impl Iterator<Item = PathBuf>,
        directory: &Path,
        sealed: &SealedFile,
    ) -> Result<Option<Self>, FileError> {
        let ending = format!("-{}.json", sealed.ephemeral.short());
        for (before, path) in paths.enumerate() {
            if before >= MAX_RECORDS {
                let problem = format!("holds more than {MAX_RECORDS} files");
                let next = "move those that are no longer needed elsewhere";
                return Err(FileError::whole(directory, problem, next));
            }
            if !path.to_string_lossy().ends_with(&ending) {
                continue;
            }
            let record: IssuedFile = read_json(&path)?;
            // A file that names another's key under one's own name revokes nothing.
            if record.ephemeral == sealed.ephemeral
                && record.holder == sealed.holder
                && record.chain == sealed.chain
            {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_records_are_looked_through_and_with_more_the_directory_is_refused() {
        let sealed = include_str!("../../../fixtures/sealed-credential.json");
        let sealed: SealedFile = parse_json(Path::new("sealed.json"), sealed).unwrap();
        let home = Path::new("issued");
        let among = |files: usize| {
            let others = (0..files).map(|_| PathBuf::from("issued/other.json"));
            IssuedFile::among(others, home, &sealed)
        };
        assert!(among(MAX_RECORDS).unwrap().is_none());
        let refused = among(MAX_RECORDS + 1).unwrap_err();
        assert_eq!(refused.path, home);
        assert!(refused.problem.contains("more than 1048576"), "{refused}");
    }
}
