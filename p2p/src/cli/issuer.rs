//! `tender issuer`: attest a machine, revoke what was attested.

use super::{
    auction::now,
    bidding::random,
    error::Failure,
    issuing::{self, Posted, Request},
    out,
    place::Place,
};
use crate::documents::{
    Access,
    credential::not_sealed,
    inventory::InventoryFile,
    issued::{Handle, IssuedFile},
    read_json,
    sealed::SealedFile,
    write_json,
};
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};
use tender_circuits::EvidenceKind;
use tender_wire::{FieldBytes, PublicKey, UnixTime};

const SECONDS_PER_DAY: u64 = 86_400;

#[derive(Debug, Subcommand)]
pub(super) enum IssuerCommand {
    /// Attest a machine to a holder; writes the sealed file the holder puts into its home's `credentials` directory
    #[command(
        after_help = "The inventory file is JSON: { \"serial\": \"DGX-A100-0417\", \"type\": \"resources/v1\", \"attributes\": { … } }.\n\
        `tender inventory --output FILE` writes one on the machine itself; `tender status --types` lists every attribute and label.\n\n\
        What is written is encrypted to the holder's key: it may travel by any way, and only the holder's home opens it. What revoking \
        needs is kept in `issued` in the issuer's home.\n\n\
        A credential is for zero-knowledge proofs. An attestation (--attestation) is shown in plain with every bid: cheaper, and enough \
        where capacity and issuer are no secret."
    )]
    Attest(AttestArgs),
    /// Revoke a credential or attestation, for bids from the next block on
    Revoke(RevokeArgs),
}

#[derive(Debug, Args)]
pub(super) struct AttestArgs {
    /// The machine's inventory file (`tender inventory` writes one)
    #[arg(value_name = "FILE", required_unless_present = "inventory")]
    file: Option<PathBuf>,
    /// The same, by name
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    inventory: Option<PathBuf>,
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
    /// The record in `issued` of this home, or the sealed file that was handed out
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
        let inventory = self.inventory.as_ref().or(self.file.as_ref());
        let inventory = inventory.ok_or_else(|| {
            Failure::usage(
                "no inventory file is named",
                "name one: `tender inventory` writes it",
            )
        })?;
        let machine: InventoryFile = read_json(inventory)?;
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
            .map_err(|problem| problem.in_file(inventory))?;
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
        let drafted = issuing::draft(&actor, &names, &[request])?.pop();
        let file =
            drafted.ok_or_else(|| Failure::new("nothing was attested", "please report this"))?;
        let sealed = SealedFile::seal(&file, &random()?)
            .map_err(|e| Failure::new(e.to_string(), not_sealed(&e)))?;
        let home = self.place.home()?;
        let mut record = IssuedFile::of(&file, &sealed);
        let kept = record.keep(&home)?;
        // Before its leaf is posted: what comes into a block must not be lost with this process.
        write_json(&self.output, &sealed, Access::Private)?;
        let posted = issuing::post(&actor, std::slice::from_ref(&file)).map_err(|failure| {
            let aside = format!(
                "; should its leaf still come into a block, {} is good, and {} revokes it",
                self.output.display(),
                kept.display()
            );
            Failure {
                next: format!("{}{aside}", failure.next),
                ..failure
            }
        })?;
        let posted = posted.first().copied().flatten();
        if let (Handle::Leaf { index, .. }, Some(posted)) = (&mut record.handle, posted) {
            *index = Some(posted.index);
            record.keep(&home)?;
        }
        self.say(&file.asset(), &machine.serial, posted, &kept)
    }

    fn say(
        &self,
        asset: &FieldBytes,
        serial: &str,
        posted: Option<Posted>,
        kept: &Path,
    ) -> Result<(), Failure> {
        if self.json {
            return out::json(&serde_json::json!({
                "file": self.output, "record": kept, "height": posted.map(|it| it.height), "asset": asset,
            }));
        }
        let leaf = posted.map_or_else(String::new, |it| {
            format!(", its leaf is in block {}", it.height)
        });
        out::say(format_args!(
            "attested {serial} to {}{leaf}",
            self.holder.short()
        ));
        out::say(format_args!(
            "  next: hand {} to the holder, for its home's credentials directory; nobody else can open it",
            self.output.display()
        ));
        out::say(format_args!(
            "  to revoke it: `tender issuer revoke {}`",
            kept.display()
        ));
        Ok(())
    }
}

impl RevokeArgs {
    fn run(self) -> Result<(), Failure> {
        let record = IssuedFile::find(&self.file, &self.place.home()?)?;
        let actor = self.place.actor()?;
        let height = issuing::revoke(&actor, &record)?;
        if self.json {
            return out::json(&serde_json::json!({ "height": height }));
        }
        out::say(format_args!(
            "revoked what was attested of {} to {} in block {height}",
            record.serial,
            record.holder.short()
        ));
        Ok(())
    }
}
