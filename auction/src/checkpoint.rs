//! Checkpoints: what a reader knows of a chain from elsewhere, and what that adds to a certificate.
//!
//! A certificate alone rests on every validator set from genesis to its block. Who gets hold of the keys of more than two thirds of an old
//! set, long after its members left, can write another history from there on, with certificates that verify. A **checkpoint** is a
//! (height, block id) that the reader trusts for another reason: an audit of its own, or several peers and people who agree.
//!
//! ```text
//!  genesis ──▶ set change ──▶ … ──▶ certificate's block ──▶ … ──▶ tip
//!                  ▲         ▲               ▲               ▲
//!            on the path   below            own            above
//! ```
//!
//! | the checkpoint lies | checked | no longer trusted |
//! |---|---|---|
//! | at the certificate's own block | the ids are equal | any validator: the id fixes the outcome root |
//! | at a set change on the path | the ids are equal | every set up to that height |
//! | below, elsewhere | a header with the trusted id, from the headers file, hands over to the set that the path has at the next height | every set up to that height |
//! | above | the headers from the certificate's block up to the trusted id link by parent ids | any validator |
//!
//! A checkpoint that differs, or that nothing connects to the certificate, is an error: it is never passed over. Where it adds "every
//! set up to that height", the sets after it are still trusted, as anywhere.
//!
//! Bound: [`MAX_HEADERS`] headers, [`MAX_FILE_BYTES`] bytes. The headers need no trust: they hash to trusted ids.

use crate::certificate::{Proven, VerifyError, in_one_form, one_form};
use serde::{Deserialize, Serialize};
use std::{cmp::Ordering, fmt, str::FromStr};
use tender_consensus::block::Header;
use tender_wire::{BlockId, ChainId, Height};

/// Most headers between a certificate and a checkpoint: three hours of a chain that makes a block a second.
pub const MAX_HEADERS: usize = 10_000;
/// Longest headers file, in bytes: a header is about 1.2 KiB of JSON.
pub const MAX_FILE_BYTES: usize = 16 << 20;

/// A block that a reader trusts: `HEIGHT:ID`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// Its height.
    pub height: Height,
    /// Its id.
    pub block: BlockId,
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.height, self.block)
    }
}

impl FromStr for Checkpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (height, block) = text
            .split_once(':')
            .ok_or("write HEIGHT:ID, as `tender audit` prints it")?;
        let height = height
            .parse()
            .map_err(|_| format!("`{height}` is no height; write HEIGHT:ID"))?;
        let block = block
            .parse()
            .map_err(|e| format!("`{block}` is no block id ({e}); write HEIGHT:ID"))?;
        Ok(Checkpoint {
            height: Height(height),
            block,
        })
    }
}

/// The form of a headers file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    /// Every header in full.
    #[serde(rename = "tender/headers/1")]
    V1,
}

/// Headers that connect certificates to checkpoints: a file in one form, as certificates are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Headers {
    /// Its form.
    pub format: Format,
    /// The chain.
    pub chain: ChainId,
    /// Strictly ascending by height.
    pub headers: Vec<Header>,
}

impl Headers {
    /// A file of these headers.
    pub fn new(chain: ChainId, headers: Vec<Header>) -> Self {
        Headers {
            format: Format::V1,
            chain,
            headers,
        }
    }

    /// The one form of the file: JSON, two spaces of indentation, a final newline.
    pub fn to_json(&self) -> String {
        one_form(self)
    }

    /// The headers in a file.
    ///
    /// # Errors
    /// [`VerifyError::TooLong`], [`VerifyError::Malformed`] or [`VerifyError::NotCanonical`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, VerifyError> {
        let file: Self = in_one_form(bytes, MAX_FILE_BYTES)?;
        let ascending = file
            .headers
            .windows(2)
            .all(|pair| !matches!(pair, [a, b] if a.height >= b.height));
        if !ascending || file.headers.len() > MAX_HEADERS {
            let what = format!("its headers do not ascend, or are more than {MAX_HEADERS}");
            return Err(VerifyError::Malformed(what));
        }
        Ok(file)
    }

    fn at(&self, height: Height) -> Option<&Header> {
        let found = self.headers.binary_search_by_key(&height, |h| h.height);
        found.ok().and_then(|index| self.headers.get(index))
    }
}

/// What a checkpoint adds to a certificate that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Adds {
    /// It is the certificate's own block: the outcome follows from the trusted id alone.
    OwnBlock,
    /// It is a later block, and descends from the certificate's: the outcome follows from the trusted id alone.
    Descendant,
    /// The set that decides after it is fixed by it: sets up to its height need not be trusted.
    LaterSetsOnly,
}

impl fmt::Display for Adds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Adds::OwnBlock => {
                "it is the certificate's own block, so no validator's key need be trusted"
            }
            Adds::Descendant => {
                "it descends from the certificate's block, so no validator's key need be trusted"
            }
            Adds::LaterSetsOnly => {
                "validator sets up to that height need not be trusted, only the later ones"
            }
        })
    }
}

/// Why a checkpoint speaks against a certificate, or says nothing of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Another block at that height.
    #[error(
        "at height {} it leads through block {found}, the checkpoint is {}: one of them is of another history", .checkpoint.height, .checkpoint.block
    )]
    Differs {
        /// The checkpoint.
        checkpoint: Checkpoint,
        /// The id of the certificate's or the file's header at its height.
        found: BlockId,
    },
    /// The trusted block hands over to another set.
    #[error(
        "the checkpoint's block {} hands over to another validator set than the certificate has at height {}: it is of another history", .checkpoint.block, .checkpoint.height.next()
    )]
    OtherSet {
        /// The checkpoint.
        checkpoint: Checkpoint,
    },
    /// A header does not follow from the one before.
    #[error(
        "the header of height {height} does not name the one before as its parent: the certificate's block is of another history than the checkpoint, or the headers are"
    )]
    Unlinked {
        /// The header's height.
        height: Height,
    },
    /// Nothing connects them.
    #[error(
        "the checkpoint at height {} is not on this certificate's path (heights {path}), and no header of height {missing} was given to connect them: the checkpoint cannot be applied", .checkpoint.height
    )]
    NotConnected {
        /// The checkpoint.
        checkpoint: Checkpoint,
        /// Heights on the certificate's path.
        path: String,
        /// The first header missing.
        missing: Height,
    },
}

impl Proven<'_> {
    /// What a checkpoint adds, with what headers the reader was given.
    ///
    /// # Errors
    /// [`CheckpointError`]: it speaks against the certificate, or cannot be applied.
    pub fn under(
        &self,
        checkpoint: &Checkpoint,
        headers: Option<&Headers>,
    ) -> Result<Adds, CheckpointError> {
        let same = |header: &Header| match header.id() {
            found if found == checkpoint.block => Ok(()),
            found => Err(CheckpointError::Differs {
                checkpoint: *checkpoint,
                found,
            }),
        };
        let given = |height| {
            headers.and_then(|h| h.at(height)).ok_or_else(|| {
                let heights = self.path().map(|h| h.height.to_string());
                CheckpointError::NotConnected {
                    checkpoint: *checkpoint,
                    path: heights.collect::<Vec<_>>().join(", "),
                    missing: height,
                }
            })
        };
        match checkpoint.height.cmp(&self.header.height) {
            Ordering::Equal => same(self.header).map(|()| Adds::OwnBlock),
            Ordering::Less => {
                let on_path = self.path().find(|h| h.height == checkpoint.height);
                let header = on_path.map_or_else(|| given(checkpoint.height), Ok)?;
                same(header)?;
                let after = self.path().find(|h| h.height > checkpoint.height);
                let after = after.map(|h| h.validators_hash);
                if after != Some(header.next_validators_hash) {
                    return Err(CheckpointError::OtherSet {
                        checkpoint: *checkpoint,
                    });
                }
                Ok(Adds::LaterSetsOnly)
            }
            Ordering::Greater => {
                // Each step takes a header of the file, so there are at most MAX_HEADERS.
                let mut last = self.header;
                while last.height < checkpoint.height {
                    let next = given(last.height.next())?;
                    if next.parent != last.id() {
                        return Err(CheckpointError::Unlinked {
                            height: next.height,
                        });
                    }
                    last = next;
                }
                same(last).map(|()| Adds::Descendant)
            }
        }
    }

    /// The headers it was verified through, its own last.
    fn path(&self) -> impl Iterator<Item = &Header> {
        let changes = self.set_changes.iter().map(|change| &change.header);
        changes.chain([self.header])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_written_as_it_is_read() {
        let text = format!("41:{}", "ab".repeat(32));
        let read: Checkpoint = text.parse().unwrap();
        assert_eq!((read.height, read.block), (Height(41), BlockId([0xab; 32])));
        assert_eq!(read.to_string(), text);
        for bad in ["41", "41:", ":ab", "x:ab", "-1:ab", "41:zz"] {
            let error = bad.parse::<Checkpoint>().unwrap_err();
            assert!(error.contains("HEIGHT:ID"), "{bad}: {error}");
        }
    }
}
