//! `tender audit`: the whole history again, from nothing but the genesis file.

use super::{client::Client, error::Failure, out, place::Place, start::told};
use crate::{
    config::Home,
    documents::{Access, read_json, write_bytes},
    store::Store,
};
use clap::{ArgGroup, Args};
use std::path::{Path, PathBuf};
use tender_auction::{
    audit::{Audit, AuditReport},
    genesis::Genesis,
};
use tender_consensus::block::CommittedBlock;
use tender_wire::{Height, Wire as _, decode};

/// Largest file of blocks read, in bytes.
const MAX_BLOCKS_BYTES: u64 = 1 << 32;
/// Blocks read from a store at once.
const PAGE: usize = 256;

#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("source").args(["home", "blocks", "api"]).required(true),
    after_help = "Checks every commit certificate, signature, proof and opening, clears every auction again and compares every root. \
        Trusts no peer: only the genesis file, and that history is complete up to the height it reports.\n\
        With --home the store is read where the peer is stopped; where it runs, it is asked for its blocks.\n\
        Exits 3 at the first block that does not hold."
)]
pub(super) struct AuditArgs {
    /// The chain's genesis file
    #[arg(long, value_name = "FILE")]
    genesis: PathBuf,
    /// Audit what this home's peer has stored
    #[arg(long, value_name = "DIR")]
    home: Option<PathBuf>,
    /// Audit a file of blocks, as --save writes it
    #[arg(long, value_name = "FILE")]
    blocks: Option<PathBuf>,
    /// Audit what the peer at this address serves
    #[arg(long, value_name = "URL")]
    api: Option<String>,
    /// Also write the audited blocks to this file
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

impl AuditArgs {
    pub(super) fn run(self) -> Result<(), Failure> {
        let genesis: Genesis = read_json(&self.genesis)?;
        let mut auditor = Auditor::new(genesis, &self.genesis, self.save.is_some())?;
        match (&self.home, &self.blocks, &self.api) {
            (Some(home), _, _) => audit_home(&mut auditor, home)?,
            (_, Some(path), _) => auditor.frames(&read_blocks(path)?, path.display())?,
            (_, _, Some(url)) => audit_peer(&mut auditor, &Client::new(url))?,
            (None, None, None) => {
                return Err(Failure::usage(
                    "nothing to audit",
                    "name --home, --blocks or --api",
                ));
            }
        }
        let report = auditor.audit.report();
        if report.height == Height(0) {
            return Err(Failure::new(
                "there is no block to audit",
                "the chain has not begun, or this is the wrong --home",
            ));
        }
        if let Some(path) = &self.save {
            write_bytes(path, &auditor.saved, Access::Public)?;
        }
        if self.json {
            return out::json(report);
        }
        print(report);
        Ok(())
    }
}

/// An audit under way.
struct Auditor {
    audit: Audit,
    save: bool,
    saved: Vec<u8>,
}

impl Auditor {
    fn new(genesis: Genesis, path: &Path, save: bool) -> Result<Self, Failure> {
        let audit = Audit::new(genesis).map_err(|e| {
            Failure::new(
                format!("{}: {e}", path.display()),
                "get the chain's genesis file from somebody you trust",
            )
        })?;
        Ok(Auditor {
            audit,
            save,
            saved: Vec::new(),
        })
    }

    fn block(&mut self, bytes: &[u8], source: impl std::fmt::Display) -> Result<(), Failure> {
        let no = |why: String| {
            Failure::refused(
                format!("{source}: the history does not hold: {why}"),
                "do not rely on it; compare with another peer's",
            )
        };
        let block: CommittedBlock = decode(bytes).map_err(|e| no(e.to_string()))?;
        self.audit.block(&block).map_err(|e| no(e.to_string()))?;
        if self.save {
            let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            self.saved.extend_from_slice(&len.to_le_bytes());
            self.saved.extend_from_slice(bytes);
        }
        Ok(())
    }

    /// Blocks one after the other, each with its length before it (`u32`, little-endian).
    fn frames(&mut self, mut rest: &[u8], source: impl std::fmt::Display) -> Result<(), Failure> {
        while !rest.is_empty() {
            let frame = rest.split_first_chunk::<4>().and_then(|(len, tail)| {
                let len = usize::try_from(u32::from_le_bytes(*len))
                    .ok()
                    .filter(|len| *len <= CommittedBlock::MAX_BYTES)?;
                tail.split_at_checked(len)
            });
            let Some((block, tail)) = frame else {
                let what = format!(
                    "{source}: what follows block {} is no block",
                    self.audit.report().height
                );
                return Err(Failure::refused(
                    what,
                    "the file is cut off or is no file of blocks; save it again with `tender audit --save`",
                ));
            };
            self.block(block, &source)?;
            rest = tail;
        }
        Ok(())
    }
}

fn audit_home(auditor: &mut Auditor, home: &Path) -> Result<(), Failure> {
    if let Ok(client) = Place::at(home).client()
        && client.status().is_ok()
    {
        return audit_peer(auditor, &client);
    }
    let (place, _) = Home::open(home).map_err(told)?;
    let data = place.data();
    if !data.is_dir() {
        let what = format!("{} holds no blocks", data.display());
        return Err(Failure::new(what, "name the home of a peer that has run"));
    }
    let store = Store::open(&data, auditor.audit.report().chain).map_err(told)?;
    loop {
        let next = auditor.audit.report().height.next();
        let page = store
            .blocks(next, PAGE, CommittedBlock::MAX_BYTES)
            .map_err(told)?;
        if page.is_empty() {
            return Ok(());
        }
        for stored in page {
            let mut bytes = stored.block;
            bytes.extend_from_slice(&stored.certificate);
            auditor.block(&bytes, data.display())?;
        }
    }
}

fn audit_peer(auditor: &mut Auditor, client: &Client) -> Result<(), Failure> {
    loop {
        let page = client.blocks(auditor.audit.report().height.next())?;
        if page.is_empty() {
            return Ok(());
        }
        auditor.frames(&page, client.url())?;
    }
}

fn read_blocks(path: &Path) -> Result<Vec<u8>, Failure> {
    let fail = |why: String| Failure::new(format!("{}: {why}", path.display()), "check the path");
    let len = std::fs::metadata(path)
        .map_err(|e| fail(e.to_string()))?
        .len();
    if len > MAX_BLOCKS_BYTES {
        return Err(fail(format!(
            "{len} bytes, at most {MAX_BLOCKS_BYTES} are read"
        )));
    }
    std::fs::read(path).map_err(|e| fail(e.to_string()))
}

fn print(report: &AuditReport) {
    out::say(format_args!(
        "holds: {} blocks of chain {}",
        report.height,
        report.chain.short()
    ));
    out::say(format_args!("  last block  {}", report.block_id));
    out::say(format_args!("  state root  {}", report.state_root));
    let kinds: Vec<_> = report
        .transactions
        .iter()
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    out::say(format_args!("  executed    {}", kinds.join(", ")));
    out::say(format_args!(
        "  checked     {} precommits, {} proofs, {} attestations, {} openings, {} outcomes",
        report.precommits, report.proofs, report.attestations, report.opened, report.outcomes,
    ));
    out::say(format_args!(
        "  auctions    {} cleared again, {} void",
        report.cleared, report.void
    ));
}
