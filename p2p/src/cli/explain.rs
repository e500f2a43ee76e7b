//! `tender explain`: how each entry of a bidder ended, and why.

use super::{
    error::Failure,
    out,
    place::Place,
    table::amount,
    words::{self, Reader},
};
use clap::Args;
use tender_auction::outcome::OutcomeRecord;

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// The auction's id, or the start of it
    auction: String,
    /// The bidder's key, or the start of it
    bidder: String,
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
        let is_theirs = |record: &&OutcomeRecord| match record {
            OutcomeRecord::Entry(r) => r.bidder.to_string().starts_with(&self.bidder),
            OutcomeRecord::Bid(r) => r.bidder.to_string().starts_with(&self.bidder),
            OutcomeRecord::Award(r) => r.bidder.to_string().starts_with(&self.bidder),
            _ => false,
        };
        let records: Vec<_> = detail.outcomes.iter().filter(is_theirs).collect();
        if records.is_empty() {
            let live = detail
                .live_bids
                .iter()
                .filter(|b| b.bidder.to_string().starts_with(&self.bidder))
                .count();
            let phase = super::auction::phase(detail.summary.phase);
            let what = format!(
                "{} has no outcome in auction {} ({phase}; {live} live bids)",
                self.bidder, self.auction
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
}
