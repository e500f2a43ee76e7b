//! `tender verify`: does a certificate hold? Needs the genesis file and nothing else; never asks a peer.

use super::{error::Failure, out, table::amount, words};
use crate::documents::read_json;
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};
use tender_auction::{
    certificate::{AssignmentCertificate, MAX_FILE_BYTES, Proven},
    checkpoint::{self, Adds, Checkpoint, CheckpointError, Headers},
    genesis::Genesis,
    outcome::{EntryOutcome, OutcomeRecord, UnitOutcome},
};
use tender_wire::{BlockId, ChainId, Height, TimeMs};

#[derive(Debug, Args)]
#[command(
    after_help = "Exits 0 if the certificate holds, 3 if it does not. A certificate shows what was committed at one height: \
    what became of the assignment later is not in it. It rests on more than two thirds of the validators of genesis (and of every \
    later set) having been honest, and on their keys not having leaked since.\n\n\
    Where old keys may have leaked, name blocks you trust, as your own `tender audit` or several peers print them:\n  \
    --checkpoint of the certificate's own block, or of a later one: no validator's key need be trusted\n  \
    --checkpoint of an earlier block: sets up to that height need not be trusted\n\
    Unless the block is on the certificate's own path, headers must connect the two; any peer has them: \
    `tender certificate AUCTION --task TASK --output FILE --checkpoint HEIGHT`. A checkpoint that differs or cannot be applied is a refusal."
)]
pub(super) struct VerifyArgs {
    /// The certificate
    file: PathBuf,
    /// The chain's genesis file, from somebody you trust
    #[arg(long, value_name = "FILE")]
    genesis: PathBuf,
    #[command(flatten)]
    trusted: Trusted,
    /// Print the verdict as JSON
    #[arg(long)]
    json: bool,
}

/// What the reader knows of the chain beside its genesis.
#[derive(Args, Clone, Debug, Default)]
pub struct Trusted {
    /// A block id you trust: the certificate's block must be this one
    #[arg(long, value_name = "ID")]
    pub block: Option<BlockId>,
    /// A block you trust, anywhere on the chain; repeat for more
    #[arg(long, value_name = "HEIGHT:ID")]
    pub checkpoint: Vec<Checkpoint>,
    /// Headers that connect the certificate to the checkpoints, as `tender certificate --checkpoint` writes them
    #[arg(long, value_name = "FILE", requires = "checkpoint")]
    pub headers: Option<PathBuf>,
}

impl VerifyArgs {
    pub(super) fn run(self) -> Result<(), Failure> {
        let verdict = verify_file(&self.file, &self.genesis, &self.trusted)?;
        if self.json {
            out::json(&verdict)?;
        } else if verdict.verified {
            out::say(verdict.sentence());
            for checkpoint in verdict.proves.iter().flat_map(|p| &p.checkpoints) {
                out::say(format_args!(
                    "  checkpoint {}: {}",
                    checkpoint.at.height, checkpoint.adds
                ));
            }
        }
        if verdict.verified {
            return Ok(());
        }
        Err(Failure::refused(
            format!("{}: {}", self.file.display(), verdict.sentence()),
            verdict.next.as_deref().unwrap_or(NEXT),
        ))
    }
}

/// What to do with a certificate that does not hold.
const NEXT: &str = "do not rely on it; ask a peer of the chain for the certificate again: `tender certificate --help`";

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
    /// What to do about it, where more can be done than not to rely on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
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
    /// What each checkpoint adds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checkpoints: Vec<Applied>,
    /// The outcome.
    pub record: OutcomeRecord,
}

/// A checkpoint that was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// The checkpoint.
    #[serde(flatten)]
    pub at: Checkpoint,
    /// What it adds.
    pub adds: Adds,
}

impl Verdict {
    /// The verdict in a sentence.
    pub fn sentence(&self) -> String {
        let reason = self.reason.as_deref().unwrap_or("no reason given");
        match (&self.proves, &self.next) {
            (Some(proves), _) => format!("holds: {}", proves.says),
            (None, Some(_)) => {
                format!("undecided: it holds by the genesis file alone, but {reason}")
            }
            (None, None) => format!("does not hold: {reason}"),
        }
    }
}

/// Verifies a certificate file with a genesis file, and against what else the reader trusts.
///
/// # Errors
/// [`Failure`] if a file cannot be read; a certificate that does not hold is a [`Verdict`].
pub fn verify_file(file: &Path, genesis: &Path, trusted: &Trusted) -> Result<Verdict, Failure> {
    let genesis_path = genesis;
    let genesis: Genesis = read_json(genesis)?;
    genesis.check().map_err(|e| {
        let next = "get the chain's genesis file from somebody you trust";
        Failure::new(format!("{}: {e}", genesis_path.display()), next)
    })?;
    let bytes = read_bytes(file, MAX_FILE_BYTES)?;
    let headers = trusted.headers.as_deref().map(read_headers).transpose()?;
    let (proves, no) = match prove(&bytes, &genesis, trusted, headers.as_ref()) {
        Ok(proves) => (Some(proves), None),
        Err(no) => (None, Some(no)),
    };
    let (reason, next) = no.map_or((None, None), |no| (Some(no.reason), no.next));
    Ok(Verdict {
        file: file.to_path_buf(),
        verified: proves.is_some(),
        reason,
        next: next.map(|next| format!("{next} --output {}", file.display())),
        proves,
    })
}

/// Why a certificate is not relied on.
struct No {
    reason: String,
    next: Option<String>,
}

impl<E: std::error::Error> From<E> for No {
    fn from(error: E) -> Self {
        No {
            reason: error.to_string(),
            next: None,
        }
    }
}

fn prove(
    bytes: &[u8],
    genesis: &Genesis,
    trusted: &Trusted,
    headers: Option<&Headers>,
) -> Result<Proves, No> {
    let certificate = AssignmentCertificate::from_json(bytes)?;
    let proven = certificate.verify(genesis)?;
    let block = proven.header.id();
    if let Some(trusted) = trusted.block.filter(|trusted| *trusted != block) {
        let reason = format!("it is of block {block}, not of the trusted {trusted}");
        return Err(No { reason, next: None });
    }
    let apply = |at: &Checkpoint| match proven.under(at, headers) {
        Ok(adds) => Ok(Applied { at: *at, adds }),
        Err(error) => Err(No {
            next: connecting(&error, proven.record),
            reason: error.to_string(),
        }),
    };
    let checkpoints: Vec<_> = trusted
        .checkpoint
        .iter()
        .map(apply)
        .collect::<Result<_, _>>()?;
    Ok(Proves {
        says: sentence(&proven),
        chain: genesis.chain_id(),
        height: proven.header.height,
        block,
        time_ms: proven.header.time,
        checkpoints,
        record: proven.record.clone(),
    })
}

/// The command that fetches what connects a certificate to a checkpoint.
fn connecting(error: &CheckpointError, record: &OutcomeRecord) -> Option<String> {
    let CheckpointError::NotConnected { checkpoint, .. } = error else {
        return None;
    };
    let of = match record {
        OutcomeRecord::Entry(r) => format!("{} --bid {} --task {}", r.auction, r.bid, r.task),
        OutcomeRecord::Bid(r) => format!("{} --bid {}", r.auction, r.bid),
        OutcomeRecord::Unit(r) => format!("{} --task {}", r.auction, r.task),
        OutcomeRecord::Auction(_) | OutcomeRecord::Award(_) => return None,
    };
    let height = checkpoint.height;
    Some(format!(
        "take the headers between from any peer (--home DIR or --api URL), and give the file it names with --headers:\n    \
        tender certificate {of} --checkpoint {height}"
    ))
}

fn read_headers(path: &Path) -> Result<Headers, Failure> {
    Headers::from_json(&read_bytes(path, checkpoint::MAX_FILE_BYTES)?).map_err(|e| {
        let next =
            "write it again with `tender certificate AUCTION … --output FILE --checkpoint HEIGHT`";
        Failure::refused(format!("{}: {e}", path.display()), next)
    })
}

/// A file's bytes, at most one more than it may have.
fn read_bytes(path: &Path, most: usize) -> Result<Vec<u8>, Failure> {
    use std::io::Read as _;
    let fail =
        |e: std::io::Error| Failure::new(format!("{}: {e}", path.display()), "check the path");
    let file = std::fs::File::open(path).map_err(fail)?;
    let mut bytes = Vec::new();
    file.take((most as u64).saturating_add(1))
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
                    format!("lost: above {}", words::most(e))
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
