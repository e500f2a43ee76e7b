//! How a machine comes to be attested: the issuer's side.

use super::{actor::Actor, bidding::random, error::Failure};
use crate::documents::{
    credential::{Content, CredentialFile},
    inventory::InventoryFile,
    issued::{Handle, IssuedFile},
    names::Names,
};
use tender_auction::transaction::Action;
use tender_circuits::{Attestation, Credential, EvidenceKind, IssuerIndex};
use tender_wire::{FieldBytes, Height, PublicKey, Signature, UnixTime};

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

/// Attests machines: [`draft`] and [`post`] in one, for callers that hand over the credentials themselves. Gives them in the order asked
/// for, with the block of the leaf.
///
/// # Errors
/// [`Failure`]: a problem of an inventory, or the chain's refusal.
pub fn attest(
    issuer: &Actor,
    names: &Names,
    requests: &[Request<'_>],
) -> Result<Vec<(CredentialFile, Option<Height>)>, Failure> {
    let drafts = draft(issuer, names, requests)?;
    let posted = post(issuer, &drafts)?;
    let heights = posted.into_iter().map(|posted| posted.map(|it| it.height));
    Ok(drafts.into_iter().zip(heights).collect())
}

/// Makes credentials and signs attestations, in the order asked for. An attestation is complete; a credential is worth nothing until its
/// leaf is [posted](post).
///
/// # Errors
/// [`Failure`]: a problem of an inventory or a holder's key, or an issuer that is not listed.
pub fn draft(
    issuer: &Actor,
    names: &Names,
    requests: &[Request<'_>],
) -> Result<Vec<CredentialFile>, Failure> {
    let drafts = requests.iter();
    drafts.map(|it| draft_one(issuer, names, it)).collect()
}

/// Where a credential's leaf stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posted {
    /// Its block.
    pub height: Height,
    /// Its place in the registry.
    pub index: u32,
}

/// Posts the leaves of credentials and waits for their blocks; `None` for an attestation, which needs no block.
///
/// # Errors
/// [`Failure`]: the chain's refusal of the first it refuses.
pub fn post(issuer: &Actor, drafts: &[CredentialFile]) -> Result<Vec<Option<Posted>>, Failure> {
    let issue = |file: &CredentialFile| match &file.content {
        Content::Credential { credential } => Some(Action::Issue {
            commitment: credential.commitment(),
            asset: credential.asset,
        }),
        Content::Attestation(_) => None,
    };
    let actions = drafts.iter().filter_map(issue).collect();
    let mut heights = issuer.act_all(actions)?.into_iter();
    let posted = |file: &CredentialFile| match &file.content {
        Content::Credential { credential } => {
            let missing = || Failure::new("a leaf has no block", "please report this");
            let height = heights.next().ok_or_else(missing)?;
            let index = issuer.client.leaf(&credential.leaf())?.index;
            Ok(Some(Posted { height, index }))
        }
        Content::Attestation(_) => Ok(None),
    };
    drafts.iter().map(posted).collect()
}

fn draft_one(
    issuer: &Actor,
    names: &Names,
    request: &Request<'_>,
) -> Result<CredentialFile, Failure> {
    let (index, name) = issuer_of(issuer, names)?;
    request.holder.check().map_err(|_| {
        let what = format!("the holder's key {} is malformed or weak", request.holder);
        Failure::new(
            what,
            "ask the holder for the agent key of `tender keys show`",
        )
    })?;
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

/// Revokes what a record names, and waits for the block.
///
/// # Errors
/// [`Failure`] with the chain's reason.
pub fn revoke(issuer: &Actor, record: &IssuedFile) -> Result<Height, Failure> {
    if record.chain != issuer.chain {
        let (there, here) = (record.chain.short(), issuer.chain.short());
        return Err(Failure::new(
            format!("the record is of chain {there}, this home is on chain {here}"),
            "name the home and the peer of that chain",
        ));
    }
    let action = match &record.handle {
        Handle::Leaf {
            index: Some(index), ..
        } => Action::Revoke { index: *index },
        // Its issuer ended between posting and writing the place down.
        Handle::Leaf { leaf, index: None } => Action::Revoke {
            index: issuer.client.leaf(leaf)?.index,
        },
        Handle::Attestation { number } => Action::RevokeAttestation {
            asset: record.asset,
            serial: *number,
        },
    };
    issuer.act(action).map(|(_, height)| height)
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
