//! `tender explain`: how each entry of a bidder ended, and why; or who stood where on a task.

use super::{
    error::Failure,
    out,
    place::Place,
    table::{Table, amount},
    words::{self, Reader},
};
use clap::Args;
use tender_auction::outcome::OutcomeRecord;

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// The auction's id, or the start of it
    auction: String,
    /// The bidder's key, or the start of it
    #[arg(required_unless_present = "task")]
    bidder: Option<String>,
    /// Rank the bids of this task instead: its name, or its number
    #[arg(long, conflicts_with = "bidder")]
    task: Option<String>,
    /// Print data as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

impl ExplainArgs {
    pub(super) fn run(self) -> Result<(), Failure> {
        let client = self.place.client()?;
        let detail = client.auction(&self.place.auction(&client, &self.auction)?)?;
        let names = self.place.names(&client)?;
        let reader = Reader {
            names: &names,
            auction: &detail,
            call: &words::by_key,
        };
        if let Some(task) = &self.task {
            return self.rank(&reader, task);
        }
        let bidder = self.bidder.as_deref().unwrap_or_default();
        let is_theirs = |record: &&OutcomeRecord| match record {
            OutcomeRecord::Entry(r) => r.bidder.to_string().starts_with(bidder),
            OutcomeRecord::Bid(r) => r.bidder.to_string().starts_with(bidder),
            OutcomeRecord::Award(r) => r.bidder.to_string().starts_with(bidder),
            _ => false,
        };
        let records: Vec<_> = detail.outcomes.iter().filter(is_theirs).collect();
        if records.is_empty() {
            let live = detail
                .live_bids
                .iter()
                .filter(|b| b.bidder.to_string().starts_with(bidder))
                .count();
            let phase = super::auction::phase(detail.summary.phase);
            let what = format!(
                "{bidder} has no outcome in auction {} ({phase}; {live} live bids)",
                self.auction
            );
            let next = "outcomes are committed when the auction clears; a bid refused before that got its reason from the peer";
            return Err(Failure::new(what, next));
        }
        if self.json {
            return out::json(&records);
        }
        for record in records {
            match record {
                OutcomeRecord::Entry(entry) => {
                    let (task, asked) = (reader.task(entry.task), amount(entry.price.0));
                    out::say(format_args!("{task} for {asked}: {}", reader.entry(entry)));
                }
                OutcomeRecord::Bid(bid) => {
                    out::say(format_args!("bid {}: {}", bid.bid.short(), reader.bid(bid)))
                }
                OutcomeRecord::Award(award) => {
                    out::say(format_args!(
                        "{}: {}",
                        reader.task(award.award.task),
                        words::award(&award.state)
                    ));
                }
                OutcomeRecord::Auction(_) | OutcomeRecord::Unit(_) => {}
            }
        }
        Ok(())
    }

    /// Who stood where on a task.
    fn rank(&self, reader: &Reader<'_>, task: &str) -> Result<(), Failure> {
        let tasks = || reader.auction.spec.tasks.iter().zip(0u32..);
        let by_name = tasks().find(|(about, _)| about.name == task);
        let by_number = || tasks().find(|(_, number)| number.to_string() == task);
        let Some((about, number)) = by_name.or_else(by_number) else {
            let what = format!("auction {} has no task {task}", self.auction);
            let next = format!("`tender auction show {}` lists them", self.auction);
            return Err(Failure::new(what, next));
        };
        let ranking = reader.ranking(number);
        if self.json {
            let entries: Vec<_> = ranking.iter().map(|(_, entry)| entry).collect();
            return out::json(&entries);
        }
        let mut table = Table::new(["rank", "bidder", "asked", "bonus", "surplus", "outcome"]);
        for (rank, (surplus, entry)) in (1u32..).zip(&ranking) {
            table.row([
                rank.to_string(),
                (reader.call)(&entry.bidder),
                amount(entry.price.0),
                amount(entry.bonus.0),
                amount(u64::try_from(*surplus).unwrap_or(u64::MAX)),
                reader.entry(entry),
            ]);
        }
        out::say(format_args!(
            "{} of {}: {} that competed",
            about.name,
            amount(about.reserve.0),
            ranking.len()
        ));
        out::say(table);
        Ok(())
    }
}
