//! `tender certificate`: take away the proof of an outcome.

use super::{
    client::{Client, Wanted},
    error::Failure,
    out,
    place::Place,
    words::task_name,
};
use crate::documents::{Access, write_bytes};
use clap::{ArgGroup, Args};
use std::path::{Path, PathBuf};
use tender_auction::{
    certificate::AssignmentCertificate,
    checkpoint::{Headers, MAX_HEADERS},
};
use tender_wire::{BidId, Height, PublicKey};

#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("whose").args(["task", "bidder", "bid"]).required(true).multiple(true),
    after_help = "With --task alone: the task's (first) assignment. With --bidder alone: the bidder's first outcome. \
        With both: that bidder's outcome on that task.\nThe file is all a stranger needs beside the genesis file: \
        `tender verify FILE --genesis genesis.json`.\n\
        With --checkpoint, for a reader who trusts the block of that height: the headers that connect it to the certificate go into a \
        second file beside it, with the ending .headers.json. They are hashes of each other and need no trust."
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
    /// Also write the headers that connect the certificate to the block of this height
    #[arg(long, value_name = "HEIGHT", requires = "output")]
    checkpoint: Option<u64>,
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
        let headers = self
            .checkpoint
            .map(|height| write_headers(&client, &certificate, &path, Height(height)))
            .transpose()?
            .flatten();
        if self.json {
            let mut written = serde_json::json!({ "certificate": path });
            if let (Some(file), Some(members)) = (&headers, written.as_object_mut()) {
                members.insert("headers".into(), serde_json::json!(file));
            }
            return out::json(&written);
        }
        let of = match (task, bidder) {
            (Some(task), _) => task_name(&detail.spec, task),
            (None, bidder) => bidder.as_ref().map_or_else(String::new, PublicKey::short),
        };
        let shown = path.display();
        out::say(format_args!("wrote the certificate of {of} to {shown}"));
        let flags = match (self.checkpoint, &headers) {
            (None, _) => String::new(),
            (Some(height), None) => {
                out::say(format_args!(
                    "  block {height} is on its path: no headers are needed"
                ));
                format!(" --checkpoint {height}:ID")
            }
            (Some(height), Some(file)) => {
                let file = file.display();
                out::say(format_args!(
                    "  the headers that connect it to block {height} are in {file}"
                ));
                format!(" --checkpoint {height}:ID --headers {file}")
            }
        };
        out::say(format_args!(
            "  next: `tender verify {shown} --genesis genesis.json{flags}`, anywhere"
        ));
        Ok(())
    }
}

/// Writes what a reader who trusts the block of `height` needs beside the certificate; nothing if that block is on the certificate's path.
fn write_headers(
    client: &Client,
    certificate: &AssignmentCertificate,
    path: &Path,
    height: Height,
) -> Result<Option<PathBuf>, Failure> {
    let own = certificate.header.height;
    let mut on_path = certificate.set_changes.iter().map(|c| &c.header);
    if height == own || on_path.any(|header| header.height == height) {
        return Ok(None);
    }
    let tip = client.status()?.height;
    if height == Height(0) || height > tip {
        let what = format!("there is no block {height}, the last is {tip}");
        return Err(Failure::new(
            what,
            "name the height of a block you trust; `tender status` shows the chain's height",
        ));
    }
    let from = if height < own { height } else { own.next() };
    let count = height.0.saturating_sub(from.0).saturating_add(1);
    if count > MAX_HEADERS as u64 {
        let what = format!(
            "{count} headers lie between block {height} and the certificate's block {own}, at most {MAX_HEADERS} are written"
        );
        return Err(Failure::new(
            what,
            format!(
                "name a block up to height {}",
                own.0.saturating_add(MAX_HEADERS as u64)
            ),
        ));
    }
    let headers = Headers::new(certificate.chain, client.headers(from, height)?);
    let mut name = path.file_stem().unwrap_or_default().to_os_string();
    name.push(".headers.json");
    let file = path.with_file_name(name);
    write_bytes(&file, headers.to_json().as_bytes(), Access::Public)?;
    Ok(Some(file))
}
