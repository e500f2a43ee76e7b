//! `tender certificate`: take away the proof of an outcome.

use super::{client::Wanted, error::Failure, out, place::Place, words::task_name};
use crate::documents::{Access, write_bytes};
use clap::{ArgGroup, Args};
use std::path::PathBuf;
use tender_wire::{BidId, PublicKey};

#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("whose").args(["task", "bidder", "bid"]).required(true).multiple(true),
    after_help = "With --task alone: the task's (first) assignment. With --bidder alone: the bidder's first outcome. \
        With both: that bidder's outcome on that task.\nThe file is all a stranger needs beside the genesis file: \
        `tender verify FILE --genesis genesis.json`."
)]
pub(super) struct CertificateArgs {
    /// The auction's id, or the start of it
    auction: String,
    /// A task, by name or number
    #[arg(long, value_name = "TASK")]
    task: Option<String>,
    /// A bidder's key, or the start of it: its own outcome, won or lost
    #[arg(long, value_name = "KEY")]
    bidder: Option<String>,
    /// A bid's id: its own outcome, where a bidder bids with several machines
    #[arg(long, value_name = "ID")]
    bid: Option<BidId>,
    /// Write the certificate to this file instead of printing it
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print data as JSON (a certificate is JSON already)
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

impl CertificateArgs {
    pub(super) fn run(self) -> Result<(), Failure> {
        let client = self.place.client()?;
        let auction = self.place.auction(&client, &self.auction)?;
        let detail = client.auction(&auction)?;
        let task = self
            .task
            .as_deref()
            .map(|text| super::place::task(&detail.spec, text))
            .transpose()?;
        let bidder = self
            .bidder
            .as_deref()
            .map(|text| super::place::bidder(&detail, text))
            .transpose()?;
        let wanted = Wanted {
            task,
            bidder,
            bid: self.bid,
        };
        let certificate = client.certificate(&auction, &wanted)?;
        let text = certificate.to_json();
        let Some(path) = self.output else {
            out::say(text.trim_end());
            return Ok(());
        };
        write_bytes(&path, text.as_bytes(), Access::Public)?;
        if self.json {
            return out::json(&serde_json::json!({ "certificate": path }));
        }
        let of = match (task, bidder) {
            (Some(task), _) => task_name(&detail.spec, task),
            (None, bidder) => bidder.as_ref().map_or_else(String::new, PublicKey::short),
        };
        out::say(format_args!(
            "wrote the certificate of {of} to {}",
            path.display()
        ));
        out::say(format_args!(
            "  next: `tender verify {} --genesis genesis.json`, anywhere",
            path.display()
        ));
        Ok(())
    }
}
