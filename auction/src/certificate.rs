//! Assignment certificates: proof, for a stranger with the genesis file, of how one outcome was committed.
//!
//! ```text
//!  genesis ──▶ validator set ──set changes──▶ set of height h ──commit certificate──▶ header ──Merkle path──▶ record
//! ```
//!
//! A certificate proves *this outcome was committed at height h*: who won what for which payment, or why an entry lost. It proves nothing about what
//! happened later. The verifier trusts that more than two thirds of each set on the way was honest, and that old keys have not leaked since;
//! a reader who fears the latter adds a block it trusts for another reason: see [`crate::checkpoint`].
//!
//! The file is JSON in exactly one form ([`AssignmentCertificate::to_json`]): a file that differs from it in any byte is refused,
//! so nothing can hide in it.

use crate::genesis::Genesis;
use crate::outcome::OutcomeRecord;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tender_consensus::{
    block::Header,
    certificate::{CertificateError, CommitCertificate},
    validators::{Validator, ValidatorSet, ValidatorSetError},
};
use tender_wire::{ChainId, Digest, Height, merkle::MerkleProof};

/// Longest certificate file, in bytes: 1,000 set changes of a hundred validators, about 30 KiB each.
pub const MAX_FILE_BYTES: usize = 64 << 20;
/// Most validator-set changes a certificate walks through.
pub const MAX_SET_CHANGES: usize = 1_000;

/// Longest reason repeated of a file that is none.
const MAX_REASON_CHARS: usize = 200;

/// The form of a certificate; a later form gets a later variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    /// Every header, precommit and key in full.
    #[serde(rename = "tender/assignment/1")]
    V1,
}

/// A certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssignmentCertificate {
    /// Its form.
    pub format: Format,
    /// The chain it speaks of.
    pub chain: ChainId,
    /// Every change of the validator set before the record's height, oldest first.
    pub set_changes: Vec<SetChange>,
    /// Header of the block that committed the record.
    pub header: Header,
    /// More than two thirds of the set of that height, for that block.
    pub certificate: CommitCertificate,
    /// The record's place under the header's outcome root.
    pub path: MerkleProof,
    /// The outcome.
    pub record: OutcomeRecord,
}

/// A block after which another validator set decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetChange {
    /// Header of that block.
    pub header: Header,
    /// Precommits of the set before.
    pub certificate: CommitCertificate,
    /// The set after, in key order.
    pub next: Vec<Validator>,
}

/// What a certificate proves, once verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven<'a> {
    /// Where the record was committed.
    pub header: &'a Header,
    /// The outcome.
    pub record: &'a OutcomeRecord,
    /// The way there from genesis.
    pub(crate) set_changes: &'a [SetChange],
}

/// Why a certificate proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// Too large to be one.
    #[error("the file has {len} bytes, at most {most} are read")]
    TooLong {
        /// Its length.
        len: usize,
        /// The cap.
        most: usize,
    },
    /// Not a file of its kind. The parser's reason may quote the file, so it is cut.
    #[error("malformed: {0}")]
    Malformed(String),
    /// Of its kind, but not in its one form.
    #[error("the file is not in canonical form: it was changed after it was written")]
    NotCanonical,
    /// Of another chain than the genesis file.
    #[error("it speaks of chain {found}, the genesis file is chain {expected}")]
    WrongChain {
        /// The genesis file's.
        expected: ChainId,
        /// The certificate's.
        found: ChainId,
    },
    /// Headers do not ascend, or there are too many.
    #[error("set changes are out of order or more than {MAX_SET_CHANGES}")]
    SetChangeOrder,
    /// A header names another set than the one that the changes before it lead to.
    #[error(
        "height {height} was decided by another validator set than genesis and the set changes lead to"
    )]
    WrongSet {
        /// The header's height.
        height: Height,
    },
    /// A listed set is no set.
    #[error("height {height}: {error}")]
    BadSet {
        /// The header's height.
        height: Height,
        /// What is wrong.
        error: ValidatorSetError,
    },
    /// Precommits do not make the header final.
    #[error("height {height}: {error}")]
    NotCommitted {
        /// The header's height.
        height: Height,
        /// What is wrong.
        error: CertificateError,
    },
    /// The record is not among the block's outcomes.
    #[error("the record is not under the outcome root of height {height}")]
    NotIncluded {
        /// The header's height.
        height: Height,
    },
}

impl AssignmentCertificate {
    /// The certificate of record `index` among `leaves`, the outcome leaves of the block of `header`.
    pub fn assemble(
        set_changes: Vec<SetChange>,
        header: Header,
        certificate: CommitCertificate,
        leaves: &[Digest],
        index: usize,
        record: OutcomeRecord,
    ) -> Option<Self> {
        let path = tender_wire::merkle::prove(leaves, index)?;
        Some(AssignmentCertificate {
            format: Format::V1,
            chain: header.chain,
            set_changes,
            header,
            certificate,
            path,
            record,
        })
    }

    /// The one form of the file: JSON, two spaces of indentation, a final newline.
    pub fn to_json(&self) -> String {
        one_form(self)
    }

    /// The certificate in a file.
    ///
    /// # Errors
    /// [`VerifyError::TooLong`], [`VerifyError::Malformed`] or [`VerifyError::NotCanonical`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, VerifyError> {
        in_one_form(bytes, MAX_FILE_BYTES)
    }

    /// Checks everything from genesis to the record.
    ///
    /// # Errors
    /// [`VerifyError`], one variant per rule.
    pub fn verify(&self, genesis: &Genesis) -> Result<Proven<'_>, VerifyError> {
        let chain = genesis.chain_id();
        let headers = || {
            self.set_changes
                .iter()
                .map(|c| &c.header)
                .chain([&self.header])
        };
        if let Some(found) = headers()
            .map(|h| h.chain)
            .chain([self.chain])
            .find(|found| *found != chain)
        {
            return Err(VerifyError::WrongChain {
                expected: chain,
                found,
            });
        }
        let heights: Vec<_> = headers().map(|h| h.height).collect();
        let ascending = heights.windows(2).all(|pair| match pair {
            [a, b] => a < b,
            _ => true,
        });
        if !ascending || self.set_changes.len() > MAX_SET_CHANGES {
            return Err(VerifyError::SetChangeOrder);
        }
        let mut set = genesis_set(genesis)?;
        for change in &self.set_changes {
            check_committed(&chain, &set, &change.header, &change.certificate)?;
            let height = change.header.height;
            let next = ValidatorSet::new(change.next.clone())
                .map_err(|error| VerifyError::BadSet { height, error })?;
            if next.as_slice() != change.next || next.hash() != change.header.next_validators_hash {
                return Err(VerifyError::WrongSet {
                    height: height.next(),
                });
            }
            set = next;
        }
        check_committed(&chain, &set, &self.header, &self.certificate)?;
        if !self
            .path
            .verifies(&self.record.leaf(), &self.header.outcome_root)
        {
            return Err(VerifyError::NotIncluded {
                height: self.header.height,
            });
        }
        Ok(Proven {
            header: &self.header,
            record: &self.record,
            set_changes: &self.set_changes,
        })
    }
}

fn genesis_set(genesis: &Genesis) -> Result<ValidatorSet, VerifyError> {
    let validators = genesis
        .validators
        .iter()
        .map(|v| Validator {
            key: v.key,
            power: v.power,
        })
        .collect();
    ValidatorSet::new(validators).map_err(|error| VerifyError::BadSet {
        height: Height(0),
        error,
    })
}

fn check_committed(
    chain: &ChainId,
    set: &ValidatorSet,
    header: &Header,
    certificate: &CommitCertificate,
) -> Result<(), VerifyError> {
    let height = header.height;
    if set.hash() != header.validators_hash {
        return Err(VerifyError::WrongSet { height });
    }
    certificate
        .verify(chain, set, (height, header.id()))
        .map_err(|error| VerifyError::NotCommitted { height, error })
}

/// A document's one form: JSON, two spaces of indentation, a final newline.
pub(crate) fn one_form<T: Serialize>(document: &T) -> String {
    let mut text = serde_json::to_string_pretty(document).unwrap_or_default();
    text.push('\n');
    text
}

/// The document in a file of at most so many bytes, refused in any other form than its one.
pub(crate) fn in_one_form<T: Serialize + DeserializeOwned>(
    bytes: &[u8],
    most: usize,
) -> Result<T, VerifyError> {
    let len = bytes.len();
    if len > most {
        return Err(VerifyError::TooLong { len, most });
    }
    let document: T =
        serde_json::from_slice(bytes).map_err(|e| VerifyError::Malformed(shown(&e)))?;
    if one_form(&document).as_bytes() != bytes {
        return Err(VerifyError::NotCanonical);
    }
    Ok(document)
}

/// A parser's reason, fit to show.
fn shown(error: &serde_json::Error) -> String {
    tender_wire::text::line(&error.to_string(), MAX_REASON_CHARS)
}
