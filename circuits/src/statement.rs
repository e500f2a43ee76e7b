//! What a proof states, and how a verifier recomputes every public input.
//!
//! | # | public input | recomputed from |
//! |---|---|---|
//! | 0 | `registry_root` | the evidence's root, which must pass the root rule |
//! | 1 | `holder` | H31 of the bid's signer |
//! | 2 | `ctx` | H31(chain, type, auction, bidder, asset, sequence, SHA-256 of the ciphertext) |
//! | 3 | `asset` | the evidence's asset handle |
//! | 4 | `valid_until` | the auction's lease end, unix seconds |
//! | 5 | `issuers` | the evidence's issuer mask |
//! | 6… | the claim | the evidence's claim, in schema order |
//!
//! **Public:** the above. **Private:** the credential (issuer, attributes, expiry, salt) and its place in the registry.
//! **Circuit:** [`crate::circuit`]. **Proof bytes:** [`mod@crate::verify`].
//!
//! Invariant: one field element per input, nothing packed, nothing read from the proof. `holder` and `ctx` are 248-bit
//! hashes, canonical by construction.

use crate::{evidence::ProofBytes, issuer::IssuerMask, schema::Claim};
use tender_wire::{
    AuctionId, ChainId, Digest, FieldBytes, PublicKey, Tag, TypeId, UnixTime, h31, hash::Hasher,
};

/// Public inputs before the claim.
pub const PREFIX_INPUTS: usize = 6;

/// The statement of one proof.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Statement {
    /// Root of the registry the credential is in.
    pub registry_root: FieldBytes,
    /// [`holder_of`] the bid's signer.
    pub holder: FieldBytes,
    /// [`context`] of the bid.
    pub ctx: FieldBytes,
    /// The machine.
    pub asset: FieldBytes,
    /// The lease's end: the credential must not expire before.
    pub valid_until: UnixTime,
    /// The credential's issuer is one of these.
    pub issuers: IssuerMask,
    /// What is claimed, in schema order.
    pub claim: Claim,
}

impl Statement {
    /// The public inputs, in circuit order.
    pub fn public_inputs(&self) -> Vec<FieldBytes> {
        let prefix = [
            self.registry_root,
            self.holder,
            self.ctx,
            self.asset,
            FieldBytes::from_u64(self.valid_until.0),
            FieldBytes::from_u64(self.issuers.0),
        ];
        prefix
            .into_iter()
            .chain(self.claim.public_inputs())
            .collect()
    }

    /// Key under which the verdict on (type, statement, proof bytes) may be cached.
    pub fn verdict_key(&self, type_id: &TypeId, proof: &ProofBytes) -> Digest {
        let hasher = Hasher::new(Tag::Verdict)
            .part(type_id.as_ref())
            .part(proof.as_ref());
        self.public_inputs()
            .iter()
            .fold(hasher, |h, input| h.part(input.as_ref()))
            .finish()
    }
}

/// The `holder` input of an agent's key.
pub fn holder_of(key: &PublicKey) -> FieldBytes {
    h31(Tag::Holder, &[key.as_ref()])
}

/// The `ctx` input: binds a proof to one bid on one chain (THREATS T1, T2, T30). `ciphertext` is the SHA-256 of the sealed part.
pub fn context(
    chain: &ChainId,
    type_id: &TypeId,
    auction: &AuctionId,
    bidder: &PublicKey,
    asset: &FieldBytes,
    sequence: u32,
    ciphertext: &Digest,
) -> FieldBytes {
    h31(
        Tag::Context,
        &[
            chain.as_ref(),
            type_id.as_ref(),
            auction.as_ref(),
            bidder.as_ref(),
            asset.as_ref(),
            &sequence.to_le_bytes(),
            ciphertext.as_ref(),
        ],
    )
}

/// `type_tag` of a leaf: H31(name, version little-endian).
pub fn type_tag(name: &str, version: u16) -> FieldBytes {
    h31(Tag::TypeTag, &[name.as_bytes(), &version.to_le_bytes()])
}
