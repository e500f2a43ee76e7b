//! A claim tried without a chain: a credential nobody issued, alone in a registry of its own, and the statement it would prove.
//!
//! For circuit authors, and for whoever wants to see a proof. The statement's `ctx` is that of chain 0…0, which no chain has, so a trial's
//! proof serves in no auction. [`PublicFile`] and [`ProofFile`] are what such a trial is kept in, names instead of positions.

use crate::{
    capability::CapabilityType,
    credential::{Credential, asset_of},
    evidence::ProofBytes,
    issuer::{IssuerIndex, IssuerMask},
    names::{NameError, NamedValue},
    registry::{MerklePath, Registry, RegistryError},
    schema::Claim,
    statement::{Statement, context, holder_of},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tender_wire::{AuctionId, ChainId, Digest, FieldBytes, PublicKey, TypeId, UnixTime};

/// The holder of every trial's credential. Signs nothing.
const HOLDER: PublicKey = PublicKey([0x11; 32]);

/// What is tried.
#[derive(Clone, Debug)]
pub struct Trial {
    /// What would be attested.
    pub attributes: Claim,
    /// What is claimed of it.
    pub claim: Claim,
    /// The machine's serial number.
    pub serial: String,
    /// Who would attest.
    pub issuer: IssuerIndex,
    /// Whom the statement names.
    pub issuers: IssuerMask,
    /// The credential's last second.
    pub expiry: UnixTime,
    /// The lease's end.
    pub valid_until: UnixTime,
}

/// All that the prover takes.
pub struct Staged {
    /// The credential.
    pub credential: Credential,
    /// Its path in a registry of one leaf.
    pub path: MerklePath,
    /// The statement.
    pub statement: Statement,
}

impl Trial {
    /// The trial's credential, registry and statement under a type. `seed` is the credential's secret.
    ///
    /// # Errors
    /// [`RegistryError`], if the leaf is none (which no seed yields in practice).
    pub fn stage(&self, record: &CapabilityType, seed: &[u8; 32]) -> Result<Staged, RegistryError> {
        let credential = Credential {
            type_name: record.name.clone(),
            version: record.version,
            issuer: self.issuer,
            holder: HOLDER,
            asset: asset_of(&self.serial),
            attributes: self.attributes.clone(),
            expiry: self.expiry,
            salt: FieldBytes([0; 32]),
        }
        .salted(seed);
        let mut registry = Registry::default();
        let index = registry.append(&credential.leaf())?;
        let path = registry.path(index).ok_or(RegistryError::NoSuchLeaf {
            index,
            len: registry.len(),
        })?;
        let ctx = context(
            &ChainId([0; 32]),
            &record.id(),
            &AuctionId([0; 32]),
            &HOLDER,
            &credential.asset,
            0,
            &Digest([0; 32]),
        );
        let statement = Statement {
            registry_root: registry.root(),
            holder: holder_of(&HOLDER),
            ctx,
            asset: credential.asset,
            valid_until: self.valid_until,
            issuers: self.issuers,
            claim: self.claim.clone(),
        };
        Ok(Staged {
            credential,
            path,
            statement,
        })
    }
}

/// What a proof states, in a file: everything its public inputs are computed from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicFile {
    /// The type, `name/vN`.
    #[serde(rename = "type")]
    pub label: String,
    /// The type.
    pub type_id: TypeId,
    /// See [`Statement`].
    pub registry_root: FieldBytes,
    /// See [`Statement`].
    pub holder: FieldBytes,
    /// See [`Statement`].
    pub ctx: FieldBytes,
    /// See [`Statement`].
    pub asset: FieldBytes,
    /// See [`Statement`].
    pub valid_until: UnixTime,
    /// Issuers by index, one of which attested.
    pub issuers: Vec<IssuerIndex>,
    /// What is claimed, by names.
    pub claim: BTreeMap<String, NamedValue>,
}

/// A proof, in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProofFile {
    /// The type, `name/vN`.
    #[serde(rename = "type")]
    pub label: String,
    /// The type.
    pub type_id: TypeId,
    /// The proof.
    pub proof: ProofBytes,
}

impl PublicFile {
    /// A statement under its type.
    pub fn of(record: &CapabilityType, statement: &Statement) -> Self {
        PublicFile {
            label: record.label(),
            type_id: record.id(),
            registry_root: statement.registry_root,
            holder: statement.holder,
            ctx: statement.ctx,
            asset: statement.asset,
            valid_until: statement.valid_until,
            issuers: statement.issuers.iter().collect(),
            claim: record.schema.describe(&statement.claim),
        }
    }

    /// The statement.
    ///
    /// # Errors
    /// [`NameError`] if the claim is none of the type.
    pub fn statement(&self, record: &CapabilityType) -> Result<Statement, NameError> {
        Ok(Statement {
            registry_root: self.registry_root,
            holder: self.holder,
            ctx: self.ctx,
            asset: self.asset,
            valid_until: self.valid_until,
            issuers: self.issuers.iter().copied().collect(),
            claim: record.schema.claim_from_named(&self.claim)?,
        })
    }
}
