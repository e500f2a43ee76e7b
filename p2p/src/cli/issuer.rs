//! `tender issuer`: attest a machine, revoke what was attested.

use super::{
    auction::now,
    error::Failure,
    issuing::{self, Request},
    out,
    place::Place,
};
use crate::documents::{
    Access, credential::CredentialFile, inventory::InventoryFile, read_json, write_json,
};
use clap::{Args, Subcommand};
use std::path::PathBuf;
use tender_circuits::EvidenceKind;
use tender_wire::{PublicKey, UnixTime};

const SECONDS_PER_DAY: u64 = 86_400;

#[derive(Debug, Subcommand)]
pub(super) enum IssuerCommand {
    /// Attest a machine to a holder; writes the file the holder puts into its home's `credentials` directory
    #[command(
        after_help = "The inventory file is JSON: { \"serial\": \"DGX-A100-0417\", \"type\": \"resources/v1\", \"attributes\": { … } }.\n\
        `tender status --types` lists every attribute and label.\n\n\
        A credential is for zero-knowledge proofs: keep the file secret, it holds what proofs hide. An attestation (--attestation) is \
        shown in plain with every bid: cheaper, and enough where capacity and issuer are no secret."
    )]
    Attest(AttestArgs),
    /// Revoke a credential or attestation, for bids from the next block on
    Revoke(RevokeArgs),
}

#[derive(Debug, Args)]
pub(super) struct AttestArgs {
    /// The machine's inventory file
    inventory: PathBuf,
    /// The holder's agent key (`tender keys show` in its home)
    #[arg(long, value_name = "KEY")]
    holder: PublicKey,
    /// Sign an attestation to be shown in plain, instead of a credential to prove from
    #[arg(long)]
    attestation: bool,
    /// How long it holds
    #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..))]
    days: u16,
    /// Where to write the holder's file
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
pub(super) struct RevokeArgs {
    /// The credential or attestation file that was handed out
    file: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

impl IssuerCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self {
            IssuerCommand::Attest(args) => args.run(),
            IssuerCommand::Revoke(args) => args.run(),
        }
    }
}

impl AttestArgs {
    fn run(self) -> Result<(), Failure> {
        let machine: InventoryFile = read_json(&self.inventory)?;
        if self.output.exists() {
            let what = format!("{} exists", self.output.display());
            return Err(Failure::new(
                what,
                "name another file with --output; nothing was attested",
            ));
        }
        let actor = self.place.actor()?;
        let names = self.place.names(&actor.client)?;
        machine
            .resolve(&names)
            .map_err(|problem| problem.in_file(&self.inventory))?;
        let from = now();
        let until = UnixTime(
            from.0
                .saturating_add(u64::from(self.days).saturating_mul(SECONDS_PER_DAY)),
        );
        let kind = if self.attestation {
            EvidenceKind::Attestation
        } else {
            EvidenceKind::Proof
        };
        let request = Request {
            holder: self.holder,
            machine: &machine,
            from,
            until,
            kind,
        };
        let attested = issuing::attest(&actor, &names, &[request])?.pop();
        let (file, height) =
            attested.ok_or_else(|| Failure::new("nothing was attested", "please report this"))?;
        write_json(&self.output, &file, Access::Private)?;
        if self.json {
            return out::json(
                &serde_json::json!({ "file": self.output, "height": height, "asset": file.asset() }),
            );
        }
        let posted = height.map_or_else(String::new, |h| format!(", its leaf is in block {h}"));
        out::say(format_args!(
            "attested {} to {}{posted}",
            machine.serial,
            self.holder.short()
        ));
        out::say(format_args!(
            "  next: hand {} to the holder, for its home's credentials directory",
            self.output.display()
        ));
        Ok(())
    }
}

impl RevokeArgs {
    fn run(self) -> Result<(), Failure> {
        let file: CredentialFile = read_json(&self.file)?;
        let actor = self.place.actor()?;
        let height = issuing::revoke(&actor, &file)?;
        if self.json {
            return out::json(&serde_json::json!({ "height": height }));
        }
        out::say(format_args!(
            "revoked what was attested of {} in block {height}",
            file.serial
        ));
        Ok(())
    }
}
