//! `tender auction`: open one, list them, look at one.

use super::{
    actor::Actor,
    error::Failure,
    out,
    place::Place,
    table::{Table, amount},
    words::{self, Reader},
};
use crate::{
    api::types::{AuctionDetail, AuctionSummary, Phase},
    documents::{
        auction::{AuctionFile, Opening},
        names::Names,
        read_json,
    },
};
use clap::{Args, Subcommand};
use std::{
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};
use tender_auction::{
    outcome::{OutcomeRecord, UnitOutcome},
    task::auction_id,
    transaction::Action,
};
use tender_wire::{AuctionId, BidId, Height, UnixTime};

#[derive(Debug, Subcommand)]
pub(super) enum AuctionCommand {
    /// Open the auction of a file
    #[command(
        after_help = "The file is JSON; `fixtures/night-of-gpu-jobs.json` is an example of everything it can say."
    )]
    Open(OpenArgs),
    /// List the auctions
    List(ListArgs),
    /// Show an auction: tasks, windows, and after clearing what became of everything
    Show(ShowArgs),
}

#[derive(Debug, Args)]
pub(super) struct OpenArgs {
    /// The auction file
    file: PathBuf,
    /// Check the file against the chain and stop there
    #[arg(long)]
    check: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Print data as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// The auction's id, or the start of it
    auction: String,
    /// Print data as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

impl AuctionCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self {
            AuctionCommand::Open(args) => args.run(),
            AuctionCommand::List(args) => args.run(),
            AuctionCommand::Show(args) => args.run(),
        }
    }
}

/// Opens the auction of a file and waits for its block.
///
/// # Errors
/// [`Failure`] naming the field of the file, or what the chain refused.
pub fn open(
    actor: &Actor,
    names: &Names,
    file: &AuctionFile,
    path: &std::path::Path,
) -> Result<(AuctionId, Height), Failure> {
    let spec = file
        .spec(&Opening {
            names,
            block_interval_ms: actor.genesis.consensus.block_interval_ms,
            now: now(),
        })
        .map_err(|problem| problem.in_file(path))?;
    let (sequence, height) = actor.act(Action::OpenAuction(Box::new(spec)))?;
    Ok((
        auction_id(&actor.chain, &actor.key.public(), sequence),
        height,
    ))
}

/// Seconds since the epoch by this machine's clock.
pub fn now() -> UnixTime {
    UnixTime(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_secs()),
    )
}

impl OpenArgs {
    fn run(self) -> Result<(), Failure> {
        let file: AuctionFile = read_json(&self.file)?;
        let actor = self.place.actor()?;
        let names = self.place.names(&actor.client)?;
        if self.check {
            let opening = Opening {
                names: &names,
                block_interval_ms: actor.genesis.consensus.block_interval_ms,
                now: now(),
            };
            let spec = file
                .spec(&opening)
                .map_err(|problem| problem.in_file(&self.file))?;
            out::say(format_args!(
                "{}: {} tasks in {} classes: fine",
                self.file.display(),
                spec.tasks.len(),
                spec.classes.len()
            ));
            return Ok(());
        }
        let (auction, height) = open(&actor, &names, &file, &self.file)?;
        if self.json {
            return out::json(&serde_json::json!({ "auction": auction, "height": height }));
        }
        out::say(format_args!(
            "auction {auction}\n  \"{}\" opened in block {height}",
            file.title
        ));
        out::say(format_args!(
            "  next: agents bid with `tender bid {} --file BID.json`",
            auction.short()
        ));
        Ok(())
    }
}

impl ListArgs {
    fn run(self) -> Result<(), Failure> {
        let auctions = self.place.client()?.auctions()?;
        if self.json {
            return out::json(&auctions);
        }
        let mut table = Table::new(["auction", "title", "phase", "until", "tasks", "bids"]);
        for it in &auctions {
            table.row([
                it.auction.short(),
                it.title.clone(),
                phase(it.phase).into(),
                it.phase_ends_at
                    .map_or_else(String::new, |h| format!("block {h}")),
                it.tasks.to_string(),
                it.bids.to_string(),
            ]);
        }
        if table.is_empty() {
            out::say("no auctions yet; `tender auction open FILE` opens one");
        } else {
            out::say(table.to_string().trim_end());
        }
        Ok(())
    }
}

impl ShowArgs {
    fn run(self) -> Result<(), Failure> {
        let client = self.place.client()?;
        let detail = client.auction(&self.place.auction(&client, &self.auction)?)?;
        if self.json {
            return out::json(&detail);
        }
        let names = self.place.names(&client)?;
        let reader = Reader {
            names: &names,
            auction: &detail,
            call: &words::by_key,
        };
        show(&reader);
        Ok(())
    }
}

/// Prints an auction.
fn show(reader: &Reader<'_>) {
    let AuctionDetail { summary, spec, .. } = reader.auction;
    out::say(heading(summary));
    let mut table = Table::new(["class", "requires", "of", "shown by"]);
    for class in &spec.classes {
        for need in &class.requirements {
            let record = reader.names.type_of(&need.type_id);
            let line = record.map_or_else(|| "?".into(), |t| t.schema.line(&need.requirement));
            let kinds = match (need.kinds.proof, need.kinds.attestation) {
                (true, true) => "proof or attestation",
                (true, false) => "proof",
                _ => "attestation",
            };
            let issuers = reader.names.issuers_in(need.issuers).join(", ");
            let shown = format!("{kinds}, {} of {issuers}", need.min_issuers);
            table.row([
                class.name.clone(),
                reader.names.type_label(&need.type_id),
                line,
                shown,
            ]);
        }
    }
    out::say(table);
    if spec.classes.iter().any(|class| !class.bonuses.is_empty()) {
        let mut table = Table::new(["class", "rewards", "of", "with"]);
        for class in &spec.classes {
            for bonus in &class.bonuses {
                let record = reader.names.type_of(&bonus.type_id);
                table.row([
                    class.name.clone(),
                    reader.names.type_label(&bonus.type_id),
                    record.map_or_else(|| "?".into(), |t| t.schema.line(&bonus.claim)),
                    amount(bonus.amount.0),
                ]);
            }
        }
        out::say(table);
    }
    let mut table = Table::new(["task", "class", "reserve", "units"]);
    for task in &spec.tasks {
        let class = spec
            .classes
            .get(usize::from(task.class))
            .map_or("?", |c| c.name.as_str());
        table.row([
            task.name.clone(),
            class.into(),
            amount(task.reserve.0),
            task.quantity.to_string(),
        ]);
    }
    out::say(table);
    if !reader.auction.outcomes.is_empty() {
        out::say(units(reader));
        out::say(entries(reader));
    }
    for award in &reader.auction.awards {
        let by = award
            .accept_by
            .map_or_else(String::new, |h| format!(", to be accepted by block {h}"));
        let (task, who) = (reader.task(award.task), (reader.call)(&award.bidder));
        out::say(format_args!(
            "  {task} to {who}: {}{by}",
            words::award(&award.state)
        ));
    }
}

fn heading(summary: &AuctionSummary) -> String {
    let until = summary
        .phase_ends_at
        .map_or_else(String::new, |h| format!(", until block {h}"));
    let bids = summary.bids;
    format!(
        "auction {}\n  \"{}\": {}{until}; {bids} live bids",
        summary.auction,
        summary.title,
        phase(summary.phase)
    )
}

/// What became of every task unit: task, winner, payment, runner-up.
pub fn units(reader: &Reader<'_>) -> Table {
    let header = [
        "task",
        "unit",
        "winner",
        "is paid",
        "set by",
        "runner-up or reason",
    ];
    let mut table = Table::new(header);
    for record in &reader.auction.outcomes {
        let OutcomeRecord::Unit(unit) = record else {
            continue;
        };
        let (task, number) = (
            reader.task(unit.task),
            unit.unit.saturating_add(1).to_string(),
        );
        table.row(match &unit.outcome {
            UnitOutcome::Filled {
                bid,
                payment,
                set_by,
                runner_up,
                ..
            } => {
                let name = |bid: &Option<BidId>| bid.as_ref().map(|bid| reader.bidder(bid));
                [
                    task,
                    number,
                    reader.bidder(bid),
                    amount(payment.0),
                    name(set_by).unwrap_or_else(|| "-".into()),
                    name(runner_up).unwrap_or_else(|| "no runner-up".into()),
                ]
            }
            other => {
                let none = || "-".to_owned();
                [task, number, none(), none(), none(), reader.unit(other)]
            }
        });
    }
    table
}

/// What became of every bid entry.
pub fn entries(reader: &Reader<'_>) -> Table {
    let mut table = Table::new(["bidder", "task", "asked", "outcome"]);
    for record in &reader.auction.outcomes {
        match record {
            OutcomeRecord::Entry(entry) => table.row([
                (reader.call)(&entry.bidder),
                reader.task(entry.task),
                amount(entry.price.0),
                reader.entry(entry),
            ]),
            OutcomeRecord::Bid(bid) => {
                table.row([
                    (reader.call)(&bid.bidder),
                    "-".into(),
                    "-".into(),
                    reader.bid(bid),
                ]);
            }
            _ => {}
        }
    }
    table
}

/// A phase in words.
pub fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Keys => "waiting for seal keys",
        Phase::Bidding => "bidding",
        Phase::Reveal => "closed, revealing",
        Phase::Clearing => "clearing",
        Phase::Cleared => "cleared",
        Phase::Void => "void",
        Phase::Finished => "finished",
    }
}
