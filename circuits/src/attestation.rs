//! Signed attestations: an issuer's ed25519 signature over a claim, in plain.
//!
//! Signed under [`Tag::SignAttestation`] with the chain id: the canonical bytes of (issuer, holder, asset, type, claim, window,
//! serial). The serial lets the issuer revoke it; which serials and issuers are good is the market's to say (THREATS T31).

use crate::{
    issuer::IssuerIndex,
    schema::{Claim, ClaimSchema, SchemaError},
};
use serde::{Deserialize, Serialize};
use tender_wire::{
    ChainId, FieldBytes, PublicKey, SecretKey, Signature, SignatureError, Tag, TypeId, UnixTime,
    Wire, encode,
};

/// An issuer's statement that a holder's machine supports a claim.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attestation {
    /// Who attests.
    pub issuer: IssuerIndex,
    /// To whom.
    pub holder: PublicKey,
    /// The machine.
    pub asset: FieldBytes,
    /// The capability type.
    pub type_id: TypeId,
    /// What is attested.
    pub claim: Claim,
    /// First second at which it holds.
    pub not_before: UnixTime,
    /// Last second at which it holds.
    pub not_after: UnixTime,
    /// The issuer's number for it.
    pub serial: u64,
    /// Over all of the above.
    pub signature: Signature,
}

impl Wire for Attestation {
    const NAME: &'static str = "attestation";
    /// A claim and 185 bytes beside it.
    const MAX_BYTES: usize = Claim::MAX_BYTES + 224;
}

/// Why an attestation is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttestationError {
    /// It was given to somebody else.
    #[error("the attestation is held by {found}, the bid is signed by {expected}")]
    WrongHolder {
        /// The bid's signer.
        expected: PublicKey,
        /// The attestation's holder.
        found: PublicKey,
    },
    /// Its window does not contain the time it is needed for.
    #[error(
        "the attestation holds from {not_before} to {not_after}, it is needed from {from} to {until}"
    )]
    Window {
        /// Its first second.
        not_before: UnixTime,
        /// Its last second.
        not_after: UnixTime,
        /// First second needed.
        from: UnixTime,
        /// Last second needed.
        until: UnixTime,
    },
    /// Its claim is not a value of the type's schema.
    #[error("claim: {0}")]
    Claim(#[from] SchemaError),
    /// Its asset is not below the field modulus.
    #[error("the asset is not a canonical field element")]
    Asset,
    /// The issuer did not sign it.
    #[error("issuer {issuer}: {source}")]
    Signature {
        /// The issuer named.
        issuer: IssuerIndex,
        /// What is wrong with key or signature.
        source: SignatureError,
    },
}

impl Attestation {
    fn message(&self) -> Vec<u8> {
        encode(&(
            self.issuer,
            self.holder,
            self.asset,
            self.type_id,
            &self.claim,
            self.not_before,
            self.not_after,
            self.serial,
        ))
    }

    /// Signs the attestation, replacing whatever signature it carries.
    #[must_use]
    pub fn signed(mut self, chain: &ChainId, issuer: &SecretKey) -> Self {
        self.signature = issuer.sign(Tag::SignAttestation, chain, &self.message());
        self
    }

    /// Checks everything that can be checked without the market's state: holder, window, claim and signature, cheapest first.
    /// `issuer_key` is the key registered for [`Self::issuer`], `schema` that of [`Self::type_id`].
    ///
    /// # Errors
    /// [`AttestationError`].
    pub fn verify(
        &self,
        chain: &ChainId,
        issuer_key: &PublicKey,
        schema: &ClaimSchema,
        holder: &PublicKey,
        (from, until): (UnixTime, UnixTime),
    ) -> Result<(), AttestationError> {
        if self.holder != *holder {
            return Err(AttestationError::WrongHolder {
                expected: *holder,
                found: self.holder,
            });
        }
        if self.not_before > from || self.not_after < until {
            return Err(AttestationError::Window {
                not_before: self.not_before,
                not_after: self.not_after,
                from,
                until,
            });
        }
        if !crate::field::is_canonical(&self.asset) {
            return Err(AttestationError::Asset);
        }
        schema.check_value(&self.claim)?;
        issuer_key
            .verify(
                Tag::SignAttestation,
                chain,
                &self.message(),
                &self.signature,
            )
            .map_err(|source| AttestationError::Signature {
                issuer: self.issuer,
                source,
            })
    }
}
