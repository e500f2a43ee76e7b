//! `tender agent`: a standing bidder.

use super::{error::Failure, place::Place, start::told};
use crate::{
    agent::standing::{self, Options, job::MAX_OUTPUT_BYTES},
    config::Home,
    logging,
};
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = after_help())]
pub(super) struct AgentArgs {
    /// The price file; fixtures/agent-prices.json is one
    #[arg(long, value_name = "FILE")]
    prices: PathBuf,
    /// Run this through `sh -c` for each assignment, and deliver the SHA-256 of what it prints
    #[arg(long, value_name = "CMD")]
    on_assigned: Option<String>,
    /// Commands that run at once
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: u16,
    /// Hide which of the accepted issuers vouches (any of them revoking the machine then suspends the bid)
    #[arg(long)]
    hide_issuer: bool,
    /// Run commands again that failed so often that they were left
    #[arg(long)]
    retry: bool,
    /// Stop when this many auctions it took part in have ended
    #[arg(long, value_name = "N")]
    auctions: Option<u64>,
    #[command(flatten)]
    place: Place,
}

fn after_help() -> String {
    format!(
        "Bids with every machine of the home in every auction that opens, accepts what it wins, also as a runner-up, and goes on until it \
        is interrupted. It may be killed and started again at any moment: it bids once per machine and auction, and delivers once.\n\n\
        The price file, in smallest units (the price of a task is what its class requires, and no bid is made above a task's reserve):\n  \
        {{ \"base\": 200, \"minimum\": 400, \"types\": {{ \"resources/v1\": {{\n    \
        \"per_unit\": {{ \"cpu_milli\": {{ \"price\": 30, \"per\": 1000 }},\n      \
        \"gpu_milli\": {{ \"price\": 700, \"per\": 1000, \"percent\": {{ \"gpu_model\": {{ \"H100\": 400 }} }} }} }},\n    \
        \"labels\": {{ \"skills\": {{ \"nvlink\": 150 }} }} }} }} }}\n  \
        price = max(minimum, base + every field's required x price x percent / per / 100, each rounded up, + labels)\n\n\
        CMD gets the certificate of the assignment on standard input and as the file TENDER_CERTIFICATE, and in the environment \
        TENDER_AUCTION, TENDER_TASK (its name, the opener's words: quote it), TENDER_TASK_NUMBER, TENDER_TASK_SPEC, TENDER_CLASS, TENDER_BID, \
        TENDER_ASSET, TENDER_PAYMENT, TENDER_LEASE_END (unix seconds), TENDER_HOME and TENDER_API. Its directory is \
        HOME/agent/jobs/AUCTION/TASK-BID/work; what it prints (at most {} MiB) is kept beside it as `output`, whose `sha256sum` is delivered.\n\n\
        CMD runs at least once: if the agent is killed meanwhile, it is run again, in the same directory. Once it has ended with 0 and its \
        output is recorded it is not run again. If it fails it is run three times, then left. It is stopped when the lease ends.",
        MAX_OUTPUT_BYTES >> 20
    )
}

impl AgentArgs {
    pub(super) fn run(self) -> Result<(), Failure> {
        let (_, config) = Home::open(&self.place.home()?).map_err(told)?;
        logging::init(&config.log.filter, config.log.format).map_err(told)?;
        standing::run(Options {
            place: self.place,
            prices: self.prices,
            command: self.on_assigned,
            jobs: self.jobs.into(),
            auctions: self.auctions,
            hide_issuer: self.hide_issuer,
            retry: self.retry,
        })
    }
}
