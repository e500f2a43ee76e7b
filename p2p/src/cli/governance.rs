//! `tender governance`: how validators change what a chain accepts: types, issuers, openers, validators.
//!
//! A proposal is a file. Somebody writes it and hands it round; each validator approves the very same bytes with the key of its own home.

use super::{error::Failure, out, place::Place};
use crate::documents::{Access, names::Names, read_json, write_json};
use clap::{Args, Subcommand};
use std::path::PathBuf;
use tender_auction::{
    genesis::{Issuer, Openers},
    market::governance::MAX_PROPOSAL_LIFE,
    transaction::{Action, Change, Proposal},
};
use tender_circuits::CapabilityType;
use tender_wire::{Height, Power, PublicKey};

#[derive(Debug, Subcommand)]
pub(super) enum GovernanceCommand {
    /// Write a proposal file for validators to approve
    Propose(Box<ProposeArgs>),
    /// Approve a proposal with the validator key of this home
    #[command(
        after_help = "A proposal passes at the end of the block in which validators with more than two thirds of the voting power approve it, \
        once. A change of the validator set takes effect from a later block; everything else at once."
    )]
    Approve(ApproveArgs),
}

#[derive(Debug, Args)]
pub(super) struct ProposeArgs {
    #[command(flatten)]
    change: ChangeArgs,
    /// Leaves the new issuer may post in all
    #[arg(
        long,
        value_name = "LEAVES",
        default_value_t = 4096,
        requires = "add_issuer"
    )]
    quota: u32,
    /// How many blocks validators have to approve
    #[arg(long, value_name = "BLOCKS", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=MAX_PROPOSAL_LIFE))]
    blocks: u64,
    /// Where to write the proposal
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct ChangeArgs {
    /// Register the capability type whose record this file holds, as it would stand in a genesis file
    #[arg(long, value_name = "FILE")]
    add_type: Option<PathBuf>,
    /// Admit an issuer
    #[arg(long, value_name = "NAME=KEY", value_parser = pair::<PublicKey>)]
    add_issuer: Option<(String, PublicKey)>,
    /// De-list an issuer: everything it attested stops counting
    #[arg(long, value_name = "NAME")]
    remove_issuer: Option<String>,
    /// Let only these keys open auctions, or `any`
    #[arg(long, value_name = "KEYS", value_parser = openers)]
    openers: Option<Openers>,
    /// Give a validator this power; 0 removes it
    #[arg(long, value_name = "KEY=POWER", value_parser = pair::<u64>)]
    set_validator: Option<(String, u64)>,
    /// Let a jailed validator back in
    #[arg(long, value_name = "KEY")]
    unjail: Option<PublicKey>,
}

#[derive(Debug, Args)]
pub(super) struct ApproveArgs {
    /// The proposal file
    proposal: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

fn pair<T: std::str::FromStr>(text: &str) -> Result<(String, T), String>
where
    T::Err: std::fmt::Display,
{
    let (name, value) = text
        .split_once('=')
        .ok_or("write the name, `=` and the value")?;
    let value = value.parse().map_err(|e: T::Err| e.to_string())?;
    Ok((name.to_owned(), value))
}

fn openers(text: &str) -> Result<Openers, String> {
    if text == "any" {
        return Ok(Openers::Any);
    }
    let keys = text.split(',').map(str::parse::<PublicKey>);
    let mut keys = keys
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| e.to_string())?;
    keys.sort_unstable();
    Ok(Openers::List(keys))
}

impl GovernanceCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self {
            GovernanceCommand::Propose(args) => args.run(),
            GovernanceCommand::Approve(args) => args.run(),
        }
    }
}

impl ChangeArgs {
    fn change(self, quota: u32, names: &Names) -> Result<Change, Failure> {
        let none = || {
            Failure::usage(
                "no change is named",
                "see `tender governance propose --help`",
            )
        };
        if let Some(path) = self.add_type {
            return Ok(Change::AddType(read_json::<CapabilityType>(&path)?));
        }
        if let Some((name, key)) = self.add_issuer {
            return Ok(Change::AddIssuer(Issuer { name, key, quota }));
        }
        if let Some(name) = self.remove_issuer {
            let found = names.issuer_named(&name);
            let (index, _) = found.map_err(|p| Failure::new(p.problem, p.next))?;
            return Ok(Change::RemoveIssuer(index));
        }
        if let Some((key, power)) = self.set_validator {
            let key = key.parse().map_err(|e: tender_wire::ParseIdError| {
                Failure::usage(e.to_string(), "see `tender keys show`")
            })?;
            let power = Power(power);
            return Ok(Change::SetValidator { key, power });
        }
        let openers = self.openers.map(Change::SetOpeners);
        openers.or(self.unjail.map(Change::Unjail)).ok_or_else(none)
    }
}

impl ProposeArgs {
    fn run(self) -> Result<(), Failure> {
        let client = self.place.client()?;
        let names = self.place.names(&client)?;
        let height = client.status()?.height;
        let proposal = Proposal {
            change: self.change.change(self.quota, &names)?,
            // the same change can be proposed again later
            nonce: height.0,
            expiry: Height(height.0.saturating_add(self.blocks)),
        };
        if self.output.exists() {
            let what = format!("{} exists", self.output.display());
            return Err(Failure::new(what, "name another file with --output"));
        }
        write_json(&self.output, &proposal, Access::Public)?;
        if self.json {
            return out::json(&proposal);
        }
        out::say(format_args!(
            "proposed to {}, until block {}",
            says(&proposal.change, &names),
            proposal.expiry
        ));
        out::say(format_args!(
            "  next: hand {file} to the validators: `tender governance approve {file} --home HOME`",
            file = self.output.display()
        ));
        Ok(())
    }
}

impl ApproveArgs {
    fn run(self) -> Result<(), Failure> {
        let proposal: Proposal = read_json(&self.proposal)?;
        let actor = self.place.validator()?;
        let names = self.place.names(&actor.client)?;
        let id = proposal.id(&actor.chain);
        let said = says(&proposal.change, &names);
        let (_, height) = actor.act(Action::Approve(Box::new(proposal)))?;
        if self.json {
            return out::json(&serde_json::json!({ "proposal": id, "height": height }));
        }
        out::say(format_args!("approved in block {height}: to {said}"));
        out::say(
            "  next: it passes once more than two thirds of the voting power approve; see `tender status --types`",
        );
        Ok(())
    }
}

/// A change, in words.
fn says(change: &Change, names: &Names) -> String {
    match change {
        Change::AddType(record) => format!("register {} ({})", record.label(), record.id().short()),
        Change::AddIssuer(issuer) => {
            format!("admit issuer {} with key {}", issuer.name, issuer.key)
        }
        Change::RemoveIssuer(index) => {
            let name = names.issuers_in(tender_circuits::IssuerMask::default().with(*index));
            format!("de-list {}", name.join(""))
        }
        Change::SetOpeners(Openers::Any) => "let anyone open auctions".into(),
        Change::SetOpeners(Openers::List(keys)) => {
            let keys: Vec<_> = keys.iter().map(PublicKey::to_string).collect();
            format!("let only {} open auctions", keys.join(", "))
        }
        Change::SetValidator { key, power } if power.0 == 0 => format!("remove validator {key}"),
        Change::SetValidator { key, power } => {
            format!("give validator {key} the power {}", power.0)
        }
        Change::Unjail(key) => format!("let validator {key} back in"),
    }
}
