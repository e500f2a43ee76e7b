//! `tender audit`: the whole history again, from nothing but the genesis file.

mod progress;

use super::{
    bidding::random,
    client::{Client, frames},
    error::Failure,
    out,
    place::Place,
    start::{engine, told},
};
use crate::{
    config::Home,
    documents::{Access, read_json, write_bytes},
    files::read_within,
    store::Store,
};
use clap::{ArgGroup, Args};
use progress::Progress;
use serde::Serialize;
use std::{
    fmt::Display,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tender_auction::{
    audit::{Audit, AuditReport},
    checkpoint::Checkpoint,
    genesis::Genesis,
    market::RememberingVerifier,
};
use tender_consensus::block::CommittedBlock;
use tender_wire::{Height, decode};

/// Largest file of blocks read, in bytes.
pub(crate) const MAX_BLOCKS_BYTES: u64 = 1 << 32;
/// Blocks read at once, whose proofs are verified together.
const PAGE: usize = 256;
/// Bytes of them, but for the last.
const PAGE_BYTES: usize = 32 << 20;

#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("source").args(["home", "blocks", "api"]).required(true),
    after_help = "Checks every commit certificate, signature, proof and opening, clears every auction again and compares every root. \
        Trusts no peer: only the genesis file, and that history is complete up to the height it reports. Where old validators' keys \
        may have leaked, --checkpoint adds blocks you trust. The report ends with a checkpoint of your own, for `tender verify` and others.\n\
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
    /// A block you trust: the history must lead through it; repeat for more
    #[arg(long, value_name = "HEIGHT:ID")]
    checkpoint: Vec<Checkpoint>,
    /// Also write the audited blocks to this file
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// The report, with what only a process with a clock knows.
#[derive(Debug, Serialize)]
struct Audited<'a> {
    #[serde(flatten)]
    report: &'a AuditReport,
    /// `HEIGHT:ID` of the last block.
    checkpoint: String,
    seconds: f64,
    blocks_per_second: f64,
    proofs_per_second: f64,
}

impl AuditArgs {
    pub(super) fn run(self) -> Result<(), Failure> {
        let genesis: Genesis = read_json(&self.genesis)?;
        let mut auditor = Auditor::new(genesis, &self)?;
        match (&self.home, &self.blocks, &self.api) {
            (Some(home), _, _) => audit_home(&mut auditor, home)?,
            (_, Some(path), _) => {
                let bytes = read_blocks(path)?;
                auditor.progress.expect(frames(&bytes).count() as u64);
                auditor.frames(&bytes, path.display())?;
            }
            (_, _, Some(url)) => audit_peer(&mut auditor, &Client::new(url))?,
            (None, None, None) => {
                return Err(Failure::usage(
                    "nothing to audit",
                    "name --home, --blocks or --api",
                ));
            }
        }
        let took = auditor.progress.finish();
        let report = auditor.audit.report();
        if report.height == Height(0) {
            return Err(Failure::new(
                "there is no block to audit",
                "the chain has not begun, or this is the wrong --home",
            ));
        }
        if let Some(beyond) = auditor
            .checkpoints
            .iter()
            .find(|c| c.height > report.height)
        {
            let what = format!(
                "the history ends at height {}, before the checkpoint of height {}: it cannot be applied",
                report.height, beyond.height
            );
            return Err(Failure::refused(
                what,
                "audit a peer that has that block, with --api URL, or leave the checkpoint out",
            ));
        }
        if let Some(path) = &self.save {
            write_bytes(path, &auditor.saved, Access::Public)?;
        }
        let audited = Audited {
            report,
            checkpoint: auditor.audit.checkpoint().to_string(),
            seconds: took.as_secs_f64(),
            blocks_per_second: per_second(report.height.0, took),
            proofs_per_second: per_second(report.proofs, took),
        };
        if self.json {
            return out::json(&audited);
        }
        print(&audited, auditor.checkpoints.len());
        Ok(())
    }
}

/// An audit under way.
struct Auditor {
    audit: Audit,
    checkpoints: Vec<Checkpoint>,
    progress: Progress,
    save: bool,
    saved: Vec<u8>,
}

impl Auditor {
    fn new(genesis: Genesis, args: &AuditArgs) -> Result<Self, Failure> {
        let verifier = RememberingVerifier::new(engine()?, random()?);
        let audit = Audit::with_verifier(genesis, Arc::new(verifier)).map_err(|e| {
            Failure::new(
                format!("{}: {e}", args.genesis.display()),
                "get the chain's genesis file from somebody you trust",
            )
        })?;
        Ok(Auditor {
            audit,
            checkpoints: args.checkpoint.clone(),
            progress: Progress::new(),
            save: args.save.is_some(),
            saved: Vec::new(),
        })
    }

    /// Blocks one after the other, the proofs of all of them verified together before.
    fn page(&mut self, page: &[&[u8]], source: impl Display) -> Result<(), Failure> {
        let decoded = page.iter().map(|bytes| decode(bytes));
        let blocks: Vec<CommittedBlock> = decoded.map_while(Result::ok).collect();
        self.audit.foresee(&blocks);
        for (bytes, block) in page.iter().zip(&blocks) {
            self.block(bytes, block, &source)?;
        }
        // What ended the page is no block.
        match page
            .get(blocks.len())
            .map(|bytes| decode::<CommittedBlock>(bytes))
        {
            Some(Err(error)) => Err(does_not_hold(&source, &error)),
            _ => Ok(()),
        }
    }

    fn block(
        &mut self,
        bytes: &[u8],
        block: &CommittedBlock,
        source: &impl Display,
    ) -> Result<(), Failure> {
        let no = |why: String| does_not_hold(source, &why);
        self.audit.block(block).map_err(|e| no(e.to_string()))?;
        let at = self.audit.checkpoint();
        let differs = |c: &&Checkpoint| c.height == at.height && c.block != at.block;
        if let Some(trusted) = self.checkpoints.iter().find(differs) {
            return Err(no(format!(
                "its block {} is {}, the checkpoint is {}: one of them is of another history",
                at.height, at.block, trusted.block
            )));
        }
        self.progress.step(self.audit.report());
        if self.save {
            let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            self.saved.extend_from_slice(&len.to_le_bytes());
            self.saved.extend_from_slice(bytes);
        }
        Ok(())
    }

    /// Blocks one after the other, each with its length before it.
    fn frames(&mut self, bytes: &[u8], source: impl Display) -> Result<(), Failure> {
        let mut page = Vec::new();
        let mut held = 0usize;
        for frame in frames(bytes) {
            let Some(block) = frame else {
                self.page(&page, &source)?;
                let what = format!(
                    "{source}: what follows block {} is no block",
                    self.audit.report().height
                );
                return Err(Failure::refused(
                    what,
                    "the file is cut off or is no file of blocks; save it again with `tender audit --save`",
                ));
            };
            page.push(block);
            held = held.saturating_add(block.len());
            if page.len() >= PAGE || held >= PAGE_BYTES {
                self.page(&page, &source)?;
                page.clear();
                held = 0;
            }
        }
        self.page(&page, &source)
    }
}

fn does_not_hold(source: &impl Display, why: &impl Display) -> Failure {
    Failure::refused(
        format!("{source}: the history does not hold: {why}"),
        "do not rely on it; compare with another peer's: `tender audit --api URL`",
    )
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
    let tip = store.tip().map_err(told)?;
    auditor
        .progress
        .expect(tip.map_or(0, |(height, _)| height.0));
    loop {
        let next = auditor.audit.report().height.next();
        let page = store.blocks(next, PAGE, PAGE_BYTES).map_err(told)?;
        if page.is_empty() {
            return Ok(());
        }
        let page: Vec<Vec<u8>> = page
            .into_iter()
            .map(|stored| [stored.block, stored.certificate].concat())
            .collect();
        let page: Vec<_> = page.iter().map(Vec::as_slice).collect();
        auditor.page(&page, data.display())?;
    }
}

fn audit_peer(auditor: &mut Auditor, client: &Client) -> Result<(), Failure> {
    auditor.progress.expect(client.status()?.height.0);
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
    read_within(path, MAX_BLOCKS_BYTES).map_err(|e| fail(e.to_string()))
}

/// A rate for people: 0 where no time has passed.
#[allow(clippy::cast_precision_loss)] // a figure on a screen
fn per_second(count: u64, took: Duration) -> f64 {
    let seconds = took.as_secs_f64();
    if seconds > 0.0 {
        count as f64 / seconds
    } else {
        0.0
    }
}

fn print(audited: &Audited<'_>, checkpoints: usize) {
    let report = audited.report;
    let line = |name: &str, text: &dyn Display| out::say(format_args!("  {name:<12}{text}"));
    out::say(format_args!(
        "holds: {} blocks of chain {}",
        report.height,
        report.chain.short()
    ));
    let kinds: Vec<_> = report
        .transactions
        .iter()
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    line("executed", &kinds.join(", "));
    line(
        "signatures",
        &format_args!(
            "{} precommits in {} commit certificates, {} of transactions, {} pairs against equivocators",
            report.precommits, report.certificates, report.signatures, report.evidence
        ),
    );
    line(
        "evidence",
        &format_args!(
            "{} proofs and {} attestations of bids verified",
            report.proofs, report.attestations
        ),
    );
    line(
        "auctions",
        &format_args!(
            "{} cleared again from {} bids opened again, {} void",
            report.cleared, report.opened, report.void
        ),
    );
    line(
        "outcomes",
        &format_args!(
            "{} records compared, {} payments among them computed again",
            report.outcomes, report.payments
        ),
    );
    line(
        "roots",
        &format_args!(
            "{} compared; {} changes of the validator set; state {}",
            report.roots,
            report.set_changes,
            report.state_root.short()
        ),
    );
    if checkpoints > 0 {
        line(
            "trusted",
            &format_args!("leads through all {checkpoints} checkpoints given"),
        );
    }
    line(
        "took",
        &format_args!(
            "{:.2} s: {:.0} blocks/s, {:.0} proofs/s",
            audited.seconds, audited.blocks_per_second, audited.proofs_per_second
        ),
    );
    line("checkpoint", &audited.checkpoint);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_blocks_is_so_long_and_no_longer() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("blocks");
        let file = std::fs::File::create(&path).unwrap();
        file.set_len(1 << 20).unwrap();
        assert_eq!(read_blocks(&path), Ok(vec![0; 1 << 20]));
        file.set_len(MAX_BLOCKS_BYTES + 1).unwrap();
        let refused = read_blocks(&path).unwrap_err();
        assert!(refused.what.contains("larger than 4294967296"), "{refused}");
    }
}
