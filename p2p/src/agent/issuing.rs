//! How a machine comes to be attested: the issuer's side.

use super::{actor::Actor, bidding::random, error::Failure};
use crate::documents::{
    credential::{Content, CredentialFile},
    inventory::InventoryFile,
    names::Names,
};
use std::time::Duration;
use tender_auction::transaction::Action;
use tender_circuits::{Attestation, Credential, EvidenceKind, IssuerIndex};
use tender_wire::{FieldBytes, Height, PublicKey, Signature, UnixTime};

/// How long to wait for a leaf's block.
const COMMIT_WITHIN: Duration = Duration::from_secs(60);

/// What an issuer is asked to attest.
pub struct Request<'a> {
    /// To whom.
    pub holder: PublicKey,
    /// What.
    pub machine: &'a InventoryFile,
    /// From when on.
    pub from: UnixTime,
    /// Until when.
    pub until: UnixTime,
    /// A credential for proofs, or an attestation in plain.
    pub kind: EvidenceKind,
}

/// Attests machines: posts the leaves of credentials and waits for their blocks; signs attestations (which need no block). Gives the
/// holders' files in the order asked for, with the block of the leaf.
///
/// # Errors
/// [`Failure`]: a problem of an inventory, or the chain's refusal.
pub fn attest(
    issuer: &Actor,
    names: &Names,
    requests: &[Request<'_>],
) -> Result<Vec<(CredentialFile, Option<Height>)>, Failure> {
    let drafts = requests.iter().map(|request| draft(issuer, names, request));
    let drafts = drafts.collect::<Result<Vec<_>, _>>()?;
    let issue = |file: &CredentialFile| match &file.content {
        Content::Credential { credential, .. } => Some(Action::Issue {
            commitment: credential.commitment(),
            asset: credential.asset,
        }),
        Content::Attestation(_) => None,
    };
    let actions = drafts.iter().filter_map(issue).collect();
    let mut heights = issuer.act_all(actions, COMMIT_WITHIN)?.into_iter();
    let posted = |mut file: CredentialFile| {
        let mut height = None;
        if let Content::Credential {
            credential,
            leaf_index,
        } = &mut file.content
        {
            height = heights.next();
            *leaf_index = issuer.client.leaf(&credential.leaf())?.index;
        }
        Ok((file, height))
    };
    drafts.into_iter().map(posted).collect()
}

/// The file, as yet without its place in the registry.
fn draft(issuer: &Actor, names: &Names, request: &Request<'_>) -> Result<CredentialFile, Failure> {
    let (index, name) = issuer_of(issuer, names)?;
    let (capability, attributes) = request
        .machine
        .resolve(names)
        .map_err(|p| Failure::new(format!("inventory: {}: {}", p.field, p.problem), p.next))?;
    let asset = request.machine.asset();
    let content = match request.kind {
        EvidenceKind::Attestation => {
            let attestation = Attestation {
                issuer: index,
                holder: request.holder,
                asset,
                type_id: capability.id(),
                claim: attributes,
                not_before: request.from,
                not_after: request.until,
                serial: serial_number()?,
                signature: Signature([0; 64]),
            };
            Content::Attestation(attestation.signed(&issuer.chain, &issuer.key))
        }
        EvidenceKind::Proof => {
            let credential = Credential {
                type_name: capability.name.clone(),
                version: capability.version,
                issuer: index,
                holder: request.holder,
                asset,
                attributes,
                expiry: request.until,
                salt: FieldBytes([0; 32]),
            };
            Content::Credential {
                credential: credential.salted(&random()?),
                leaf_index: 0,
            }
        }
    };
    Ok(CredentialFile {
        chain: issuer.chain,
        type_id: capability.id(),
        issuer: name,
        serial: request.machine.serial.clone(),
        about: request.machine.about.clone(),
        content,
    })
}

/// Revokes what a credential file holds, and waits for the block.
///
/// # Errors
/// [`Failure`] with the chain's reason.
pub fn revoke(issuer: &Actor, file: &CredentialFile) -> Result<Height, Failure> {
    let action = match &file.content {
        Content::Credential { leaf_index, .. } => Action::Revoke { index: *leaf_index },
        Content::Attestation(attestation) => Action::RevokeAttestation {
            asset: attestation.asset,
            serial: attestation.serial,
        },
    };
    issuer.act(action, COMMIT_WITHIN).map(|(_, height)| height)
}

/// The acting key's index and name among the chain's issuers.
fn issuer_of(issuer: &Actor, names: &Names) -> Result<(IssuerIndex, String), Failure> {
    let key = issuer.key.public();
    let found = names.issuers.iter().find(|(_, known)| known.key == key);
    let found = found.map(|(index, known)| (*index, known.name.clone()));
    found.ok_or_else(|| {
        let known: Vec<_> = names.issuers.iter().map(|(_, i)| i.name.as_str()).collect();
        let what = format!("this home's agent key {key} is not a listed issuer");
        Failure::new(
            what,
            format!("use the home of one of the issuers: {}", known.join(", ")),
        )
    })
}

fn serial_number() -> Result<u64, Failure> {
    let [a, b, c, d, e, f, g, ..] = random()?;
    Ok(u64::from_be_bytes([0, a, b, c, d, e, f, g])) // 56 bits: exact in every JSON reader's habits
}
