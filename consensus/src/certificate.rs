//! Commit certificates: the proof that a block is final.
//!
//! Invariant: a certificate that verifies holds a valid precommit for its block from distinct validators of the given set with more
//! than two thirds of its power, and has exactly one encoding for that choice of signers.
//!
//! Layout: variant `u32` (0 = V1), height `u64`, round `u32`, block\[32\], bitmap (`u64` length = ⌈n/8⌉, bit `i % 8` of byte `i / 8` = validator
//! `i` in key order, unused bits 0), signatures (`u64` count, 64 bytes each, in key order).
//! `last_certificate_hash = hash(Certificate, [encoding])`, or 32 zero bytes below height 2.

use crate::{
    validators::{MAX_VALIDATORS, ValidatorIndex, ValidatorSet},
    vote::{VoteKind, verify_vote},
};
use serde::{Deserialize, Serialize};
use tender_wire::{
    BlockId, ChainId, Digest, Height, PublicKey, Round, Signature, Tag, Wire, codec::at_most,
    hash_of,
};

/// Bitmap of the largest set.
const BITMAP_BYTES: usize = MAX_VALIDATORS.div_ceil(8);

/// A certificate, in one of its versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CommitCertificate {
    /// Every signature, ed25519.
    V1(Commit),
}

/// Version 1: every precommit in full.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Height of the block.
    pub height: Height,
    /// Round the precommits belong to.
    pub round: Round,
    /// The block.
    pub block: BlockId,
    /// Who signed, by rank in the set.
    #[serde(deserialize_with = "at_most::<_, _, BITMAP_BYTES>")]
    pub signers: Vec<u8>,
    /// Their precommits' signatures, in rank order.
    #[serde(deserialize_with = "at_most::<_, _, MAX_VALIDATORS>")]
    pub signatures: Vec<Signature>,
}

impl Wire for CommitCertificate {
    const NAME: &'static str = "commit certificate";
    const MAX_BYTES: usize = 256 + BITMAP_BYTES + MAX_VALIDATORS * 64;
}

/// Why a certificate proves nothing (THREATS B12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Of another height.
    #[error("certificate of height {found}, not {expected}")]
    WrongHeight {
        /// The height asked about.
        expected: Height,
        /// The certificate's.
        found: Height,
    },
    /// For another block.
    #[error("certificate of block {found}, not {expected}")]
    WrongBlock {
        /// The block asked about.
        expected: BlockId,
        /// The certificate's.
        found: BlockId,
    },
    /// The bitmap is not ⌈n/8⌉ bytes, or names validators beyond the set.
    #[error("the signer bitmap does not fit a set of {validators}")]
    BadBitmap {
        /// Size of the set.
        validators: usize,
    },
    /// Not one signature per signer.
    #[error("{signatures} signatures for {signers} signers")]
    SignatureCount {
        /// Bits set.
        signers: usize,
        /// Signatures present.
        signatures: usize,
    },
    /// Signers with too little power.
    #[error("signers hold {power} of {total}, which is not more than two thirds")]
    NoQuorum {
        /// Their power.
        power: u128,
        /// All power.
        total: u128,
    },
    /// A signature that does not verify.
    #[error("the precommit of validator {0} does not verify")]
    BadSignature(PublicKey),
}

impl CommitCertificate {
    /// Assembles a certificate from precommits for `block`, by rank. They are taken as verified.
    pub fn assemble(
        validators: &ValidatorSet,
        (height, round, block): (Height, Round, BlockId),
        precommits: &std::collections::BTreeMap<ValidatorIndex, Signature>,
    ) -> Self {
        let mut signers = vec![0u8; validators.len().div_ceil(8)];
        let mut signatures = Vec::with_capacity(precommits.len());
        for (index, signature) in precommits {
            if let Some(byte) = signers.get_mut(usize::from(index.0 >> 3)) {
                *byte |= 1u8 << (index.0 & 7);
                signatures.push(*signature);
            }
        }
        CommitCertificate::V1(Commit {
            height,
            round,
            block,
            signers,
            signatures,
        })
    }

    /// Height of the certified block.
    pub fn height(&self) -> Height {
        let CommitCertificate::V1(commit) = self;
        commit.height
    }

    /// The certified block.
    pub fn block(&self) -> BlockId {
        let CommitCertificate::V1(commit) = self;
        commit.block
    }

    /// Round of its precommits.
    pub fn round(&self) -> Round {
        let CommitCertificate::V1(commit) = self;
        commit.round
    }

    /// `last_certificate_hash` of the block that carries it.
    pub fn hash(&self) -> Digest {
        hash_of(Tag::Certificate, self)
    }

    /// The signers it names and their signatures, or why it is malformed for this set.
    ///
    /// # Errors
    /// [`CertificateError::BadBitmap`] or [`CertificateError::SignatureCount`].
    pub fn precommits(
        &self,
        validators: &ValidatorSet,
    ) -> Result<Vec<(ValidatorIndex, Signature)>, CertificateError> {
        let CommitCertificate::V1(commit) = self;
        let n = validators.len();
        let named: Vec<u16> = (0u16..)
            .zip(
                commit
                    .signers
                    .iter()
                    .flat_map(|b| (0..8).map(move |i| b >> i & 1 == 1)),
            )
            .filter_map(|(i, set)| set.then_some(i))
            .collect();
        let beyond = named.last().is_some_and(|i| usize::from(*i) >= n);
        if commit.signers.len() != n.div_ceil(8) || beyond {
            return Err(CertificateError::BadBitmap { validators: n });
        }
        if named.len() != commit.signatures.len() {
            return Err(CertificateError::SignatureCount {
                signers: named.len(),
                signatures: commit.signatures.len(),
            });
        }
        let indices = named.into_iter().map(ValidatorIndex);
        Ok(indices.zip(commit.signatures.iter().copied()).collect())
    }

    /// Checks that more than two thirds of `validators` precommitted `block` at `height` on `chain`. Cheap checks first;
    /// every signature is checked, also those beyond a quorum.
    ///
    /// # Errors
    /// [`CertificateError`], one variant per rule.
    pub fn verify(
        &self,
        chain: &ChainId,
        validators: &ValidatorSet,
        (height, block): (Height, BlockId),
    ) -> Result<(), CertificateError> {
        let CommitCertificate::V1(commit) = self;
        if commit.height != height {
            return Err(CertificateError::WrongHeight {
                expected: height,
                found: commit.height,
            });
        }
        if commit.block != block {
            return Err(CertificateError::WrongBlock {
                expected: block,
                found: commit.block,
            });
        }
        let precommits = self.precommits(validators)?;
        let signers = || {
            precommits
                .iter()
                .filter_map(|(index, signature)| Some((validators.at(*index)?, signature)))
        };
        let power = signers().map(|(v, _)| u128::from(v.power.0)).sum();
        if !validators.is_quorum(power) {
            return Err(CertificateError::NoQuorum {
                power,
                total: validators.total(),
            });
        }
        let slot = (commit.height, commit.round, VoteKind::Precommit);
        for (validator, signature) in signers() {
            verify_vote(chain, slot, Some(commit.block), &validator.key, signature)
                .map_err(|_| CertificateError::BadSignature(validator.key))?;
        }
        Ok(())
    }
}
