//! `tender inventory`: what this machine has, as the file an issuer attests.

use super::{
    error::Failure,
    machine::{Finding, Given, Survey, survey},
    out,
    table::{Table, amount},
};
use crate::documents::{Access, write_json};
use clap::Args;
use std::path::PathBuf;
use tender_circuits::NamedValue;

#[derive(Debug, Args)]
#[command(
    after_help = "Every figure is what the operating system or a driver says; nothing is guessed. What a machine cannot see of itself \
    (its region, most skills, the label of an unusual GPU) is given by flags.\n\n\
    A GPU finds its label by its driver's name: words for maker, brand and board are dropped, and what is left must equal a known model; \
    a memory size decides between models that come in several.\n\n\
    Nothing here is attested: an issuer looks for itself before it signs."
)]
pub(super) struct InventoryArgs {
    /// Write the inventory file here; it must not exist yet
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Serial number, instead of the firmware's
    #[arg(long, value_name = "TEXT")]
    serial: Option<String>,
    /// What the machine is, for people
    #[arg(long, value_name = "TEXT")]
    about: Option<String>,
    /// Where it stands
    #[arg(long, value_name = "NAME")]
    region: Option<String>,
    /// What it can do; repeat, or separate by commas
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    skill: Vec<String>,
    /// Label of its GPUs where their name has none; `none` leaves them out
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    gpu_model: Vec<String>,
    /// Network bandwidth in Mbit/s, instead of the link's speed
    #[arg(long, value_name = "N")]
    bandwidth_mbps: Option<u32>,
    /// Print the inventory file instead of the table
    #[arg(long)]
    json: bool,
}

impl InventoryArgs {
    pub(super) fn run(self) -> Result<(), Failure> {
        if let Some(path) = self.output.as_ref().filter(|path| path.exists()) {
            let what = format!("{} exists", path.display());
            return Err(Failure::new(
                what,
                "name another file with --output; nothing was written",
            ));
        }
        let given = Given {
            serial: self.serial,
            about: self.about,
            region: self.region,
            skills: self.skill,
            gpu_models: self.gpu_model,
            bandwidth_mbps: self.bandwidth_mbps,
        };
        let seen = survey(&given).map_err(|e| {
            Failure::usage(
                e.to_string(),
                "correct the flag; `tender inventory --help` says what each is for",
            )
        })?;
        if let Some(path) = &self.output {
            write_json(path, &seen.file(), Access::Public)?;
        }
        if self.json {
            out::json(&seen.file())?;
            for finding in seen.unseen() {
                out::note(format_args!("{}: {}", finding.field, finding.source));
            }
            return Ok(());
        }
        show(&seen);
        if let Some(path) = &self.output {
            out::say(format_args!("wrote {}", path.display()));
            if seen.missing().next().is_none() {
                out::say(format_args!(
                    "  next: have an issuer attest it: `tender issuer attest --inventory {} --holder KEY --output FILE`",
                    path.display()
                ));
            }
        }
        Ok(())
    }
}

fn show(seen: &Survey) {
    let mut table = Table::new(["field", "value", "where from"]);
    for finding in &seen.findings {
        table.row([finding.field.to_owned(), value(finding), source(finding)]);
    }
    out::say(table.to_string().trim_end());
    let unseen: Vec<_> = seen.unseen().collect();
    for finding in &unseen {
        out::say(format_args!(
            "not known: {}: {}",
            finding.field, finding.source
        ));
    }
    let missing: Vec<_> = seen.missing().map(|finding| finding.field).collect();
    if !missing.is_empty() {
        out::say(format_args!(
            "an issuer cannot attest it without: {}",
            missing.join(", ")
        ));
    }
}

fn value(finding: &Finding) -> String {
    match &finding.value {
        Some(NamedValue::Number(n)) => amount(*n),
        Some(NamedValue::Text(text)) => text.clone(),
        Some(NamedValue::List(labels)) if labels.is_empty() => "-".into(),
        Some(NamedValue::List(labels)) => labels.join(", "),
        None => "?".into(),
    }
}

fn source(finding: &Finding) -> String {
    if finding.value.is_some() {
        finding.source.clone()
    } else {
        "see below".into()
    }
}
