//! A sealed bid: the public part that is verified at admission, and the sealed part nobody reads before the close.
//!
//! Two identities: the transaction's hash covers everything; [`BidContent::id`] leaves out proofs and signatures, so
//! re-randomising a proof does not make a new bid (THREATS T3). The signature covers proofs too.

use crate::seal::{Associated, Sealed};
use crate::task::MAX_REQUIREMENTS;
use serde::{Deserialize, Serialize};
use tender_circuits::{Claim, Evidence, EvidenceKind, IssuerMask, ProofEvidence, Statement};
use tender_wire::{
    AuctionId, BidId, ChainId, Digest, FieldBytes, PublicKey, SecretKey, Signature, SignatureError,
    Tag, TypeId, UnixTime, encode, hash, hash_of,
};

/// Sequence numbers of one asset's bids in one auction are below this: at most 15 replacements.
pub const MAX_SEQUENCE: u32 = 16;

/// A sealed bid as it travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bid {
    /// Everything but the signature.
    pub content: BidContent,
    /// By the bidder, over the whole content, proofs included ([`Tag::SignBid`]).
    pub signature: Signature,
}

/// A bid without its signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BidContent {
    /// The auction bid into.
    pub auction: AuctionId,
    /// The agent: holder of every evidence.
    pub bidder: PublicKey,
    /// 0 for the first bid of this asset, larger for each replacement, below [`MAX_SEQUENCE`].
    pub sequence: u32,
    /// The machine whose capacity the ledger debits.
    pub asset: FieldBytes,
    /// 1..=[`MAX_REQUIREMENTS`] evidences of what the bidder is attested for.
    pub evidences: Vec<Evidence>,
    /// How many units of each class the machine can serve at once; sorted by class, no zero.
    pub slots: Vec<ClassSlots>,
    /// Salt and (task, price) entries, sealed to the committee.
    pub sealed: Sealed,
}

/// Slots offered in one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassSlots {
    /// The class.
    pub class: u16,
    /// Units it can serve at once, 1..=`MAX_SLOTS`.
    pub slots: u32,
}

/// What an outcome record and a certificate repeat of an evidence: the claim, not the proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceSummary {
    /// Its capability type.
    pub type_id: TypeId,
    /// Proof or attestation.
    pub kind: EvidenceKind,
    /// Registry root it was proven against; zero for an attestation.
    pub registry_root: FieldBytes,
    /// The machine it speaks of.
    pub asset: FieldBytes,
    /// Who vouches: one of these.
    pub issuers: IssuerMask,
    /// The issuer's serial number of an attestation; zero for a proof.
    pub serial: u64,
    /// What is claimed.
    pub claim: Claim,
}

impl EvidenceSummary {
    /// The public part of an evidence.
    pub fn of(evidence: &Evidence) -> Self {
        let (registry_root, serial) = match evidence {
            Evidence::Proof(proof) => (proof.registry_root, 0),
            Evidence::Attestation(attestation) => (FieldBytes([0; 32]), attestation.serial),
        };
        EvidenceSummary {
            type_id: *evidence.type_id(),
            kind: evidence.kind(),
            registry_root,
            asset: *evidence.asset(),
            issuers: evidence.issuers(),
            serial,
            claim: evidence.claim().clone(),
        }
    }
}

/// Why a bid's own shape is refused, whatever the state of the chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BidShapeError {
    /// No evidence, or too many.
    #[error("a bid carries 1..={MAX_REQUIREMENTS} evidences, this one {0}")]
    Evidences(usize),
    /// Sequence number too large.
    #[error("sequence {0} is not below {MAX_SEQUENCE}")]
    Sequence(u32),
    /// Slots empty, zero, too many, unsorted or repeated.
    #[error(
        "slots must be sorted by class, unique, non-empty, each 1..={}",
        crate::task::MAX_SLOTS
    )]
    Slots,
}

impl BidContent {
    /// Signs the bid.
    pub fn sign(self, chain: &ChainId, key: &SecretKey) -> Bid {
        let signature = key.sign(Tag::SignBid, chain, &encode(&self));
        Bid {
            content: self,
            signature,
        }
    }

    /// The market's identity of this bid: everything but proof bytes and signatures.
    pub fn id(&self) -> BidId {
        let evidences: Vec<_> = self.evidences.iter().map(EvidenceSummary::of).collect();
        hash_of(
            Tag::Bid,
            &(
                self.auction,
                self.bidder,
                self.sequence,
                self.asset,
                evidences,
                &self.slots,
                &self.sealed,
            ),
        )
        .into()
    }

    /// Hash of the sealed part, as bound into every proof.
    pub fn ciphertext_hash(&self) -> Digest {
        hash(Tag::Ciphertext, &[&encode(&self.sealed)])
    }

    /// What a proof among the evidences must prove for this bid, in an auction whose leases end then.
    pub fn statement_of(
        &self,
        chain: &ChainId,
        proof: &ProofEvidence,
        lease_end: UnixTime,
    ) -> Statement {
        let ciphertext = self.ciphertext_hash();
        proof.statement(
            chain,
            &self.auction,
            &self.bidder,
            self.sequence,
            &ciphertext,
            lease_end,
        )
    }

    /// What the sealed part is bound to.
    pub fn associated(&self, chain: &ChainId) -> Associated {
        Associated {
            chain: *chain,
            auction: self.auction,
            bidder: self.bidder,
            asset: self.asset,
            sequence: self.sequence,
        }
    }

    /// The rules that need no chain state.
    ///
    /// # Errors
    /// The first rule broken, as a [`BidShapeError`].
    pub fn check(&self) -> Result<(), BidShapeError> {
        if !(1..=MAX_REQUIREMENTS).contains(&self.evidences.len()) {
            return Err(BidShapeError::Evidences(self.evidences.len()));
        }
        if self.sequence >= MAX_SEQUENCE {
            return Err(BidShapeError::Sequence(self.sequence));
        }
        let sorted = self.slots.windows(2).all(|pair| match pair {
            [a, b] => a.class < b.class,
            _ => true,
        });
        let sized = self
            .slots
            .iter()
            .all(|s| (1..=crate::task::MAX_SLOTS).contains(&s.slots));
        if self.slots.is_empty() || self.slots.len() > crate::task::MAX_CLASSES || !sorted || !sized
        {
            return Err(BidShapeError::Slots);
        }
        Ok(())
    }
}

impl Bid {
    /// Checks the bidder's signature.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify_signature(&self, chain: &ChainId) -> Result<(), SignatureError> {
        self.content
            .bidder
            .verify(Tag::SignBid, chain, &encode(&self.content), &self.signature)
    }
}
