//! Evidence: what a bid shows for a claim. A proof hides the machine's capacity and which of the issuers attested it; a
//! signed attestation shows both and costs 36 µs instead of a pairing. Same schema, same ledger; tasks say which they accept.

use crate::{
    attestation::Attestation,
    issuer::IssuerMask,
    schema::Claim,
    statement::{Statement, context, holder_of},
};
use serde::{Deserialize, Serialize};
use tender_wire::{AuctionId, ChainId, Digest, FieldBytes, PublicKey, TypeId, UnixTime, Wire};

tender_wire::byte_newtype! {
    /// A Groth16 proof as it travels: the compressed points A (G1, 32 bytes), B (G2, 64), C (G1, 32).
    ProofBytes, 128
}

/// Evidence for one claim.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// A zero-knowledge proof over a registered credential.
    Proof(ProofEvidence),
    /// An issuer's signature, in plain.
    Attestation(Attestation),
}

/// A proof and what a verifier cannot compute for itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProofEvidence {
    /// The capability type.
    pub type_id: TypeId,
    /// Registry root the proof was made under.
    pub registry_root: FieldBytes,
    /// The machine.
    pub asset: FieldBytes,
    /// One of these issuers attested.
    pub issuers: IssuerMask,
    /// What is claimed.
    pub claim: Claim,
    /// The proof.
    pub proof: ProofBytes,
}

/// The kinds of evidence, as tasks accept them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceKind {
    /// [`Evidence::Proof`].
    Proof,
    /// [`Evidence::Attestation`].
    Attestation,
}

impl Wire for Evidence {
    const NAME: &'static str = "evidence";
    /// A claim, at most 236 bytes beside it, and the variant index.
    const MAX_BYTES: usize = Claim::MAX_BYTES + 256;
}

impl Evidence {
    /// The capability type.
    pub fn type_id(&self) -> &TypeId {
        match self {
            Evidence::Proof(e) => &e.type_id,
            Evidence::Attestation(e) => &e.type_id,
        }
    }

    /// The machine.
    pub fn asset(&self) -> &FieldBytes {
        match self {
            Evidence::Proof(e) => &e.asset,
            Evidence::Attestation(e) => &e.asset,
        }
    }

    /// What is claimed.
    pub fn claim(&self) -> &Claim {
        match self {
            Evidence::Proof(e) => &e.claim,
            Evidence::Attestation(e) => &e.claim,
        }
    }

    /// The issuers it may come from: a mask for a proof, exactly one for an attestation.
    pub fn issuers(&self) -> IssuerMask {
        match self {
            Evidence::Proof(e) => e.issuers,
            Evidence::Attestation(e) => IssuerMask(0).with(e.issuer),
        }
    }

    /// Which kind it is.
    pub fn kind(&self) -> EvidenceKind {
        match self {
            Evidence::Proof(_) => EvidenceKind::Proof,
            Evidence::Attestation(_) => EvidenceKind::Attestation,
        }
    }
}

impl ProofEvidence {
    /// The statement a verifier holds the proof to, all of it recomputed from the bid and the auction.
    pub fn statement(
        &self,
        chain: &ChainId,
        auction: &AuctionId,
        bidder: &PublicKey,
        sequence: u32,
        ciphertext: &Digest,
        valid_until: UnixTime,
    ) -> Statement {
        Statement {
            registry_root: self.registry_root,
            holder: holder_of(bidder),
            ctx: context(
                chain,
                &self.type_id,
                auction,
                bidder,
                &self.asset,
                sequence,
                ciphertext,
            ),
            asset: self.asset,
            valid_until,
            issuers: self.issuers,
            claim: self.claim.clone(),
        }
    }
}
