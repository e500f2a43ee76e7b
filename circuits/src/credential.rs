//! Credentials: what an issuer attests of one machine, and the registry leaf that commits to it.
//!
//! `commitment = Poseidon(H31(Commitment), type_tag, holder, attributes_hash, expiry, salt)` is what the issuer posts, with
//! `type_tag = H31(TypeTag, name, version)`, `holder = H31(Holder, key)`, `attributes_hash = Poseidon(packed attributes)`. The registry
//! places it: `leaf = Poseidon(H31(Leaf), issuer, asset, commitment)`, see [`placed`]. Both are public; the salt keeps them from
//! being guessed. The credential itself stays with its holder (and the issuer's records).
//!
//! Invariants: issuer and asset in a leaf are those the registry knows its posting by, so nobody posts in another issuer's name,
//! and what a revocation looks up is what a proof shows. [`Credential::check`] passes before a credential is used. `asset` does not
//! contain the issuer, so two issuers attesting one machine name one asset (THREATS T12).

use crate::{
    field::{from_fr, is_canonical, to_fr, to_fr_reduced},
    issuer::IssuerIndex,
    packing::pack,
    poseidon,
    schema::{Claim, ClaimSchema, SchemaError},
    statement::{holder_of, type_tag},
};
use ark_bn254::Fr;
use serde::{Deserialize, Serialize};
use tender_wire::{FieldBytes, PublicKey, Tag, UnixTime, Wire, h31};
use zeroize::Zeroize;

/// An attestation of attributes to a holder. Secret: attributes and salt are the witness of its proofs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// Capability type, by name.
    pub type_name: String,
    /// Version of the type.
    pub version: u16,
    /// Who attests.
    pub issuer: IssuerIndex,
    /// To whom.
    pub holder: PublicKey,
    /// The machine: see [`asset_of`].
    pub asset: FieldBytes,
    /// What is attested, in the order of the type's attribute schema.
    pub attributes: Claim,
    /// Last second at which a lease may end.
    pub expiry: UnixTime,
    /// Hides the commitment's preimage.
    pub salt: FieldBytes,
}

impl Wire for Credential {
    const NAME: &'static str = "credential";
    /// A claim, a name, and 130 bytes of fixed fields.
    const MAX_BYTES: usize = Claim::MAX_BYTES + 256;
}

/// Why a credential is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// It belongs to another type.
    #[error("the credential is for {found}, not for {expected}")]
    WrongType {
        /// The type at hand.
        expected: String,
        /// The credential's.
        found: String,
    },
    /// Its attributes do not fit the type.
    #[error("attributes: {0}")]
    Attributes(#[from] SchemaError),
    /// Asset or salt is not below the field modulus.
    #[error("{0} is not a canonical field element")]
    NotCanonical(&'static str),
}

/// The asset handle of a machine: H31 of its serial (any text that names the physical device and nothing else).
pub fn asset_of(serial: &str) -> FieldBytes {
    h31(Tag::Asset, &[serial.as_bytes()])
}

/// The leaf of a commitment an issuer posts about a machine; `None` unless both elements are canonical. Whoever keeps a registry appends
/// this and never a leaf it is given: `issuer` is then who posted, not who the poster says.
pub fn placed(
    issuer: IssuerIndex,
    asset: &FieldBytes,
    commitment: &FieldBytes,
) -> Option<FieldBytes> {
    Some(place(issuer, to_fr(asset)?, to_fr(commitment)?))
}

fn place(issuer: IssuerIndex, asset: Fr, commitment: Fr) -> FieldBytes {
    let domain = to_fr_reduced(&leaf_domain());
    let issuer = Fr::from(issuer.value());
    from_fr(&poseidon::hash([domain, issuer, asset, commitment]))
}

/// First element of every commitment's preimage.
pub(crate) fn commitment_domain() -> FieldBytes {
    h31(Tag::Commitment, &[])
}

/// First element of every leaf's preimage.
pub(crate) fn leaf_domain() -> FieldBytes {
    h31(Tag::Leaf, &[])
}

impl Credential {
    /// Fills in the salt: derived from `seed` (secret, the issuer's) and everything else in the credential, so one seed serves
    /// many credentials. Whatever `salt` held is replaced.
    #[must_use]
    pub fn salted(mut self, seed: &[u8; 32]) -> Self {
        self.salt = FieldBytes([0; 32]);
        let unsalted = tender_wire::encode(&self);
        self.salt = h31(Tag::Seed, &[b"credential salt", seed, &unsalted]);
        self
    }

    /// Checks the credential against its type's name and attribute schema.
    ///
    /// # Errors
    /// [`CredentialError`].
    pub fn check(
        &self,
        name: &str,
        version: u16,
        attributes: &ClaimSchema,
    ) -> Result<(), CredentialError> {
        if self.type_name != name || self.version != version {
            let found = self.type_name.escape_default().take(64).collect::<String>();
            return Err(CredentialError::WrongType {
                expected: format!("{name}/v{version}"),
                found: format!("{found}/v{}", self.version),
            });
        }
        attributes.check_value(&self.attributes)?;
        for (what, value) in [("asset", &self.asset), ("salt", &self.salt)] {
            if !is_canonical(value) {
                return Err(CredentialError::NotCanonical(what));
            }
        }
        Ok(())
    }

    /// What the issuer posts. The salt is taken modulo the field if it is not canonical, which [`Self::check`] excludes.
    pub fn commitment(&self) -> FieldBytes {
        from_fr(&self.committed())
    }

    /// The registry leaf, if the credential's issuer posts its commitment about its asset. Asset and salt are taken modulo the field
    /// if they are not canonical, which [`Self::check`] excludes.
    pub fn leaf(&self) -> FieldBytes {
        place(self.issuer, to_fr_reduced(&self.asset), self.committed())
    }

    fn committed(&self) -> Fr {
        poseidon::hash([
            to_fr_reduced(&commitment_domain()),
            to_fr_reduced(&type_tag(&self.type_name, self.version)),
            to_fr_reduced(&holder_of(&self.holder)),
            poseidon::hash_list(&pack(&self.attributes)),
            Fr::from(self.expiry.0),
            to_fr_reduced(&self.salt),
        ])
    }
}

/// Shows neither attributes nor salt.
impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential")
            .field("type_name", &self.type_name)
            .field("version", &self.version)
            .field("issuer", &self.issuer)
            .field("holder", &self.holder)
            .field("asset", &self.asset)
            .field("expiry", &self.expiry)
            .finish_non_exhaustive()
    }
}

impl Drop for Credential {
    fn drop(&mut self) {
        self.salt.0.zeroize();
    }
}
