//! `tender verify`: does a certificate hold? Needs the genesis file and nothing else; never asks a peer.

use super::{error::Failure, out, table::amount};
use crate::documents::read_json;
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};
use tender_auction::{
    certificate::{AssignmentCertificate, MAX_FILE_BYTES, Proven},
    genesis::Genesis,
    outcome::{EntryOutcome, OutcomeRecord, UnitOutcome},
};
use tender_wire::{BlockId, ChainId, Height, TimeMs};

#[derive(Debug, Args)]
#[command(
    after_help = "Exits 0 if the certificate holds, 3 if it does not. A certificate shows what was committed at one height: \
    what became of the assignment later is not in it. It rests on more than two thirds of the validators of genesis (and of every \
    later set) having been honest; where old keys may have leaked, compare --block with a block id you trust."
)]
pub(super) struct VerifyArgs {
    /// The certificate
    file: PathBuf,
    /// The chain's genesis file, from somebody you trust
    #[arg(long, value_name = "FILE")]
    genesis: PathBuf,
    /// A block id you trust: the certificate's block must be this one
    #[arg(long, value_name = "ID")]
    block: Option<tender_wire::BlockId>,
    /// Print the verdict as JSON
    #[arg(long)]
    json: bool,
}

impl VerifyArgs {
    pub(super) fn run(self) -> Result<(), Failure> {
        let verdict = verify_file(&self.file, &self.genesis, self.block)?;
        if self.json {
            out::json(&verdict)?;
        } else if verdict.verified {
            out::say(verdict.sentence());
        }
        if verdict.verified {
            return Ok(());
        }
        let next = "do not rely on it; ask a peer of the chain for the certificate again: `tender certificate`";
        Err(Failure::refused(
            format!("{}: {}", self.file.display(), verdict.sentence()),
            next,
        ))
    }
}

/// What came of verifying a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The certificate.
    pub file: PathBuf,
    /// Whether it holds.
    pub verified: bool,
    /// Why it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What it proves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proves: Option<Proves>,
}

/// What a certificate that holds proves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proves {
    /// In a sentence.
    pub says: String,
    /// The chain.
    pub chain: ChainId,
    /// Where it was committed.
    pub height: Height,
    /// In which block.
    pub block: BlockId,
    /// At which time.
    pub time_ms: TimeMs,
    /// The outcome.
    pub record: OutcomeRecord,
}

impl Verdict {
    /// The verdict in a sentence.
    pub fn sentence(&self) -> String {
        match (&self.proves, &self.reason) {
            (Some(proves), _) => format!("holds: {}", proves.says),
            (None, reason) => format!(
                "does not hold: {}",
                reason.as_deref().unwrap_or("no reason given")
            ),
        }
    }
}

/// Verifies a certificate file with a genesis file, and against a trusted block id if one is given.
///
/// # Errors
/// [`Failure`] if a file cannot be read; a certificate that does not hold is a [`Verdict`].
pub fn verify_file(
    file: &Path,
    genesis: &Path,
    block: Option<BlockId>,
) -> Result<Verdict, Failure> {
    let genesis_path = genesis;
    let genesis: Genesis = read_json(genesis)?;
    genesis.check().map_err(|e| {
        let next = "get the chain's genesis file from somebody you trust";
        Failure::new(format!("{}: {e}", genesis_path.display()), next)
    })?;
    let bytes = read_bytes(file)?;
    let verdict = |proves, reason: Option<String>| Verdict {
        file: file.to_path_buf(),
        verified: reason.is_none(),
        reason,
        proves,
    };
    Ok(match prove(&bytes, &genesis, block) {
        Ok(proves) => verdict(Some(proves), None),
        Err(reason) => verdict(None, Some(reason)),
    })
}

fn prove(bytes: &[u8], genesis: &Genesis, trusted: Option<BlockId>) -> Result<Proves, String> {
    let certificate = AssignmentCertificate::from_json(bytes).map_err(|e| e.to_string())?;
    let proven = certificate.verify(genesis).map_err(|e| e.to_string())?;
    let block = proven.header.id();
    if let Some(trusted) = trusted.filter(|trusted| *trusted != block) {
        return Err(format!(
            "it is of block {block}, not of the trusted {trusted}"
        ));
    }
    Ok(Proves {
        says: sentence(&proven),
        chain: genesis.chain_id(),
        height: proven.header.height,
        block,
        time_ms: proven.header.time,
        record: proven.record.clone(),
    })
}

/// A file's bytes, at most one more than a certificate can have.
fn read_bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    use std::io::Read as _;
    let fail =
        |e: std::io::Error| Failure::new(format!("{}: {e}", path.display()), "check the path");
    let file = std::fs::File::open(path).map_err(fail)?;
    let mut bytes = Vec::new();
    file.take((MAX_FILE_BYTES as u64).saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(fail)?;
    Ok(bytes)
}

/// What a certificate proves, in a sentence.
pub(super) fn sentence(proven: &Proven<'_>) -> String {
    let height = proven.header.height;
    match proven.record {
        OutcomeRecord::Entry(e) => {
            let end = match &e.outcome {
                EntryOutcome::Won { payment } => format!("won, to be paid {}", amount(payment.0)),
                EntryOutcome::Outbid { by } => format!("lost: outbid by bid {}", by.short()),
                EntryOutcome::SlotsUsed => "lost: its slots earn more on other tasks".into(),
                EntryOutcome::AboveReserve => {
                    format!("lost: above the reserve of {}", amount(e.reserve.0))
                }
                EntryOutcome::NotCovered { field, .. } => {
                    format!("lost: field {field} of its claim does not cover the requirement")
                }
                EntryOutcome::NotEvidenced { .. } => "lost: no acceptable evidence".into(),
                EntryOutcome::NoSlots => "lost: no slot offered in the class".into(),
                EntryOutcome::UnknownTask => "lost: no such task".into(),
            };
            let (who, asked) = (e.bidder.short(), amount(e.price.0));
            format!(
                "task {} of auction {}: {who} asked {asked} and {end}, at height {height}",
                e.task,
                e.auction.short()
            )
        }
        OutcomeRecord::Unit(u) => {
            let end = match &u.outcome {
                UnitOutcome::Filled { bid, payment, .. } => {
                    format!("filled by bid {} for {}", bid.short(), amount(payment.0))
                }
                UnitOutcome::NoCoveringBid => "unfilled, nobody attested bid for it".into(),
                UnitOutcome::AboveReserve => "unfilled, all above the reserve".into(),
                UnitOutcome::NoCapacity => "unfilled, no capacity left".into(),
                UnitOutcome::AuctionVoid => "unfilled, the auction is void".into(),
            };
            format!(
                "unit {} of task {} of auction {}: {end}, at height {height}",
                u.unit,
                u.task,
                u.auction.short()
            )
        }
        OutcomeRecord::Bid(b) => {
            format!(
                "bid {} of {} in auction {} is out: {:?}, at height {height}",
                b.bid.short(),
                b.bidder.short(),
                b.auction.short(),
                b.reason
            )
        }
        OutcomeRecord::Award(a) => {
            let state = super::words::award(&a.state);
            format!(
                "task {} of auction {}, assigned to {}: {state}, at height {height}",
                a.award.task,
                a.award.auction.short(),
                a.bidder.short()
            )
        }
        OutcomeRecord::Auction(a) => {
            format!(
                "auction {} {}, at height {height}",
                a.auction.short(),
                super::words::auction_end(&a.end)
            )
        }
    }
}
