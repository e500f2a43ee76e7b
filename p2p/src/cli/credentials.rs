//! `tender credentials`: what this home's agent is attested for.

use super::{
    auction::now,
    error::Failure,
    out,
    place::{CREDENTIALS, Place},
    table::Table,
};
use crate::documents::{
    credential::{CredentialFile, attested, describe, read_each},
    names::Names,
};
use crate::keystore::KeyKind;
use clap::Args;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use tender_auction::genesis::Genesis;
use tender_circuits::{Circuits, EvidenceKind, IssuerIndex, NamedValue};
use tender_wire::{FieldBytes, UnixTime};

#[derive(Debug, Args)]
#[command(
    after_help = "The files are sealed to this home's agent key; they are opened here, in memory. \
    Whether a credential has been revoked is on chain: `tender bid` says so."
)]
pub(super) struct CredentialsArgs {
    /// Print them as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

/// One credential, as shown.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    file: &'a Path,
    serial: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    about: Option<&'a str>,
    #[serde(rename = "type")]
    type_label: String,
    issuer: &'a str,
    kind: &'static str,
    expiry: UnixTime,
    expired: bool,
    asset: FieldBytes,
    /// By name; `None` for a type this chain does not have.
    attributes: Option<BTreeMap<String, NamedValue>>,
}

impl CredentialsArgs {
    pub(super) fn run(self) -> Result<(), Failure> {
        let directory = self.place.home()?.join(CREDENTIALS);
        let (genesis, key) = self.place.identity(KeyKind::Agent)?;
        let files = read_each(&directory, &genesis.chain_id(), &key)?;
        let names = self.names(genesis);
        let now = now();
        if self.json {
            let shown: Vec<_> = files.iter().map(|it| show(it, &names, now)).collect();
            return out::json(&shown);
        }
        if files.is_empty() {
            out::say(format_args!("no credentials in {}", directory.display()));
            out::say(format_args!(
                "  next: `tender inventory --output FILE` on the machine, and ask an issuer to attest it to {}",
                key.public()
            ));
            return Ok(());
        }
        let mut table = Table::new(["machine", "type", "issuer", "shown as", "holds"]);
        for it in &files {
            let shown = show(it, &names, now);
            let machine = shown.serial.to_owned();
            table.row([
                machine,
                shown.type_label,
                shown.issuer.to_owned(),
                shown.kind.to_owned(),
                holds(shown.expiry, now),
            ]);
        }
        out::say(table.to_string().trim_end());
        for (path, file) in &files {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            out::say(format_args!("  {name}: {}", describe(file, &names)));
        }
        Ok(())
    }

    /// From the peer where one runs, else as of genesis.
    fn names(&self, genesis: Genesis) -> Names {
        let asked = self
            .place
            .client()
            .and_then(|client| self.place.names(&client));
        asked.unwrap_or_else(|_| {
            let indices = (0u8..).map_while(|index| IssuerIndex::new(index).ok());
            Names {
                types: genesis.types,
                circuits: Circuits::default(),
                issuers: indices.zip(genesis.issuers).collect(),
            }
        })
    }
}

fn show<'a>(
    (path, file): &'a (PathBuf, CredentialFile),
    names: &Names,
    now: UnixTime,
) -> Shown<'a> {
    let record = names.type_of(&file.type_id);
    Shown {
        file: path,
        serial: &file.serial,
        about: file.about.as_deref(),
        type_label: names.type_label(&file.type_id),
        issuer: &file.issuer,
        kind: match file.kind() {
            EvidenceKind::Proof => "proof",
            EvidenceKind::Attestation => "attestation",
        },
        expiry: file.expiry(),
        expired: file.expiry() < now,
        asset: file.asset(),
        attributes: record.map(|record| names.attribute_schema(record).describe(attested(file))),
    }
}

fn holds(expiry: UnixTime, now: UnixTime) -> String {
    const DAY: u64 = 86_400;
    match expiry.0.checked_sub(now.0) {
        None => "no more: expired".into(),
        Some(left) if left < DAY => "less than a day".into(),
        Some(left) => format!("{} more days", left.checked_div(DAY).unwrap_or(0)),
    }
}
