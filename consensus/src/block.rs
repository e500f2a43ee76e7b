//! Blocks: header, full body, and the compact form that names transactions by hash.
//!
//! Invariant: everything in a body is under the block id. `id = hash(Block, [encoding of the header])`; the header commits to
//! the transactions (`tx_root`, a Merkle root over `leaf(tx_hash)`), the last certificate, the evidence and the witnesses.
//! `witness_hash` stands beside the fields DESIGN lists so that a witness cannot be swapped under an id.
//!
//! Header layout, 338 bytes: version u16, chain\[32\], height u64, parent\[32\], time u64, then eight digests: tx_root,
//! last_certificate_hash, evidence_hash, witness_hash, validators_hash, next_validators_hash, state_root, outcome_root.
//! Body layout: transactions (`u64` count, each `u64` length and bytes; in the compact form each 32 bytes), last certificate (Option),
//! evidence (`u64` count, items), witnesses (`u64` count, each `u64` length and bytes).

use crate::{
    certificate::CommitCertificate,
    evidence::Evidence,
    params::{MAX_BLOCK_BYTES, MAX_BLOCK_EVIDENCE, MAX_BLOCK_TXS, MAX_WITNESSES},
    tx::TxBytes,
};
use serde::{Deserialize, Serialize};
use tender_wire::{
    BlockId, ChainId, Digest, Height, Tag, TimeMs, TxHash, Wire, codec::at_most, hash_of, merkle,
};

/// The header version this code writes and accepts.
pub const HEADER_VERSION: u16 = 1;

/// What a block id is the hash of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`HEADER_VERSION`].
    pub version: u16,
    /// The chain.
    pub chain: ChainId,
    /// From 1.
    pub height: Height,
    /// Id of the block before, zero for the first.
    pub parent: BlockId,
    /// Proposer's clock, at least `block_interval` after the parent's.
    pub time: TimeMs,
    /// Merkle root over the transactions' hashes.
    pub tx_root: Digest,
    /// Hash of the parent's certificate carried here; zero at height 1.
    pub last_certificate_hash: Digest,
    /// Hash of the evidence list.
    pub evidence_hash: Digest,
    /// Hash of the witness list.
    pub witness_hash: Digest,
    /// The set that decides this block.
    pub validators_hash: Digest,
    /// The set that decides the next.
    pub next_validators_hash: Digest,
    /// State after this block: application root, proposer priorities, counted offences.
    pub state_root: Digest,
    /// Outcomes of this block, as the application defines them.
    pub outcome_root: Digest,
}

/// Everything of a body but its transactions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Annex {
    /// Certificate of the parent; `None` at height 1.
    pub last_certificate: Option<CommitCertificate>,
    /// Offences not yet counted, ascending by offence.
    #[serde(deserialize_with = "at_most::<_, _, MAX_BLOCK_EVIDENCE>")]
    pub evidence: Vec<Evidence>,
    /// Whatever the application wants checked instead of searched for.
    #[serde(deserialize_with = "at_most::<_, _, MAX_WITNESSES>")]
    pub witnesses: Vec<Vec<u8>>,
}

/// A block with its transactions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// The header.
    pub header: Header,
    /// In execution order.
    #[serde(deserialize_with = "at_most::<_, _, MAX_BLOCK_TXS>")]
    pub transactions: Vec<TxBytes>,
    /// The rest of the body.
    pub annex: Annex,
}

/// A block that names its transactions by hash: what travels when it is proposed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompactBlock {
    /// The header.
    pub header: Header,
    /// In execution order.
    #[serde(deserialize_with = "at_most::<_, _, MAX_BLOCK_TXS>")]
    pub transactions: Vec<TxHash>,
    /// The rest of the body.
    pub annex: Annex,
}

/// A block with the proof that it is final.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommittedBlock {
    /// The block.
    pub block: Block,
    /// Precommits for it.
    pub certificate: CommitCertificate,
}

/// Room for a header and the annex without witnesses.
const OVERHEAD_BYTES: usize = (64 << 10) + MAX_BLOCK_TXS * 8;

impl Wire for Header {
    const NAME: &'static str = "header";
    const MAX_BYTES: usize = 1024;
}
impl Wire for Block {
    const NAME: &'static str = "block";
    const MAX_BYTES: usize = MAX_BLOCK_BYTES + OVERHEAD_BYTES;
}
impl Wire for CompactBlock {
    const NAME: &'static str = "compact block";
    const MAX_BYTES: usize = MAX_BLOCK_BYTES + OVERHEAD_BYTES + MAX_BLOCK_TXS * 32;
}
impl Wire for CommittedBlock {
    const NAME: &'static str = "committed block";
    const MAX_BYTES: usize = Block::MAX_BYTES + CommitCertificate::MAX_BYTES;
}

/// Why a body does not belong to its header, judged without any chain state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// More transactions, evidence or witnesses than any chain allows.
    #[error("too many {what}: {found}, at most {max}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        found: usize,
        /// The cap.
        max: usize,
    },
    /// The named part does not hash to what the header says.
    #[error("the {0} do not hash to what the header says")]
    Mismatch(&'static str),
}

impl Header {
    /// The block's id.
    pub fn id(&self) -> BlockId {
        hash_of(Tag::Block, self).into()
    }
}

impl Annex {
    /// `last_certificate_hash`.
    pub fn last_certificate_hash(&self) -> Digest {
        self.last_certificate
            .as_ref()
            .map_or(Digest::ZERO, CommitCertificate::hash)
    }

    /// `evidence_hash`.
    pub fn evidence_hash(&self) -> Digest {
        hash_of(Tag::Evidence, &self.evidence)
    }

    /// `witness_hash`.
    pub fn witness_hash(&self) -> Digest {
        hash_of(Tag::Witness, &self.witnesses)
    }
}

/// `tx_root` over hashes in order.
pub fn tx_root(hashes: impl IntoIterator<Item = TxHash>) -> Digest {
    let leaves: Vec<_> = hashes
        .into_iter()
        .map(|h| merkle::leaf(h.as_ref()))
        .collect();
    merkle::root(&leaves)
}

impl CompactBlock {
    /// Checks that the body is the one the header commits to, within the hard caps.
    ///
    /// # Errors
    /// [`BodyError`].
    pub fn check_body(&self) -> Result<(), BodyError> {
        check_counts(self.transactions.len(), &self.annex)?;
        check_hashes(&self.header, self.transactions.iter().copied(), &self.annex)
    }
}

impl Block {
    /// The block's id.
    pub fn id(&self) -> BlockId {
        self.header.id()
    }

    /// The form that names transactions by hash.
    pub fn to_compact(&self) -> CompactBlock {
        CompactBlock {
            header: self.header.clone(),
            transactions: self.transactions.iter().map(TxBytes::hash).collect(),
            annex: self.annex.clone(),
        }
    }

    /// Checks that the body is the one the header commits to, within the hard caps.
    ///
    /// # Errors
    /// [`BodyError`].
    pub fn check_body(&self) -> Result<(), BodyError> {
        check_counts(self.transactions.len(), &self.annex)?;
        check_hashes(
            &self.header,
            self.transactions.iter().map(TxBytes::hash),
            &self.annex,
        )
    }

    /// Bytes of transactions and witnesses, which the chain's parameters cap.
    pub fn payload_bytes(&self) -> usize {
        let transactions = self.transactions.iter().map(|t| t.bytes().len());
        let witnesses = self.annex.witnesses.iter().map(Vec::len);
        transactions.chain(witnesses).fold(0, usize::saturating_add)
    }
}

fn check_counts(transactions: usize, annex: &Annex) -> Result<(), BodyError> {
    [
        ("transactions", transactions, MAX_BLOCK_TXS),
        (
            "pieces of evidence",
            annex.evidence.len(),
            MAX_BLOCK_EVIDENCE,
        ),
        ("witnesses", annex.witnesses.len(), MAX_WITNESSES),
    ]
    .into_iter()
    .try_for_each(|(what, found, max)| {
        if found > max {
            return Err(BodyError::TooMany { what, found, max });
        }
        Ok(())
    })
}

fn check_hashes(
    header: &Header,
    transactions: impl Iterator<Item = TxHash>,
    annex: &Annex,
) -> Result<(), BodyError> {
    [
        ("transactions", tx_root(transactions), header.tx_root),
        (
            "last certificate's precommits",
            annex.last_certificate_hash(),
            header.last_certificate_hash,
        ),
        (
            "pieces of evidence",
            annex.evidence_hash(),
            header.evidence_hash,
        ),
        ("witnesses", annex.witness_hash(), header.witness_hash),
    ]
    .into_iter()
    .try_for_each(|(what, found, expected)| {
        if found != expected {
            return Err(BodyError::Mismatch(what));
        }
        Ok(())
    })
}
