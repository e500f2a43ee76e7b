//! `tender accept | deliver | confirm | reject`: what happens to an assignment.

use super::{
    actor::Actor,
    error::Failure,
    out,
    place::{self, Place},
};
use crate::agent::result_hash;
use crate::api::types::{AuctionDetail, Award};
use clap::Args;
use std::path::PathBuf;
use tender_auction::transaction::{Action, AwardRef};
use tender_wire::Digest;

/// What a winner can do without saying more.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Accept,
}

/// What an opener can say of a result.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verdict {
    Confirm,
    Reject,
}

#[derive(Debug, Args)]
pub(super) struct WinnerArgs {
    /// The auction's id, or the start of it
    auction: String,
    /// The task, by name or number
    #[arg(long, value_name = "TASK")]
    task: String,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
pub(super) struct DeliverArgs {
    #[command(flatten)]
    of: WinnerArgs,
    /// The result; its SHA-256 goes on chain, the file itself stays here
    #[arg(long, value_name = "FILE")]
    result: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct OpenerArgs {
    /// The auction's id, or the start of it
    auction: String,
    /// The task, by name or number
    #[arg(long, value_name = "TASK")]
    task: String,
    /// The winner's key, or the start of it, where several units are assigned
    #[arg(long, value_name = "KEY")]
    bidder: Option<String>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

impl WinnerArgs {
    pub(super) fn run(self, step: Step) -> Result<(), Failure> {
        self.act(|award| match step {
            Step::Accept => ("accepted", Action::Accept(award)),
        })
    }

    fn act(self, action: impl FnOnce(AwardRef) -> (&'static str, Action)) -> Result<(), Failure> {
        let actor = self.place.actor()?;
        let detail = actor
            .client
            .auction(&self.place.auction(&actor.client, &self.auction)?)?;
        let own = actor.key.public();
        let award = find(&detail, &self.task, |award| award.bidder == own)?;
        finish(&actor, &detail, action(award), self.json)
    }
}

impl DeliverArgs {
    pub(super) fn run(self) -> Result<(), Failure> {
        let result = hash_file(&self.result)?;
        self.of
            .act(|award| ("delivered", Action::Deliver { award, result }))
    }
}

impl OpenerArgs {
    pub(super) fn run(self, verdict: Verdict) -> Result<(), Failure> {
        let actor = self.place.actor()?;
        let detail = actor
            .client
            .auction(&self.place.auction(&actor.client, &self.auction)?)?;
        let wanted = self
            .bidder
            .as_deref()
            .map(|text| place::bidder(&detail, text))
            .transpose()?;
        let award = find(&detail, &self.task, |award| {
            wanted.is_none_or(|key| award.bidder == key)
        })?;
        let action = match verdict {
            Verdict::Confirm => ("confirmed", Action::Confirm(award)),
            Verdict::Reject => ("rejected", Action::Reject(award)),
        };
        finish(&actor, &detail, action, self.json)
    }
}

/// The hash under which a result file is delivered.
fn hash_file(path: &std::path::Path) -> Result<Digest, Failure> {
    let bytes = std::fs::read(path).map_err(|e| {
        Failure::new(
            format!("{}: {e}", path.display()),
            "check the path; nothing was sent",
        )
    })?;
    Ok(result_hash(&bytes))
}

fn find(
    detail: &AuctionDetail,
    task: &str,
    is_meant: impl Fn(&Award) -> bool,
) -> Result<AwardRef, Failure> {
    let index = place::task(&detail.spec, task)?;
    let mut found = detail
        .awards
        .iter()
        .filter(|award| award.task == index && is_meant(award));
    match (found.next(), found.next()) {
        (Some(award), None) => Ok(AwardRef {
            auction: detail.summary.auction,
            task: index,
            bid: award.bid,
        }),
        (Some(_), Some(_)) => Err(Failure::usage(
            format!("{task} is assigned several times"),
            "name the winner with --bidder KEY",
        )),
        (None, _) => {
            let what = format!(
                "{task} has no such assignment in auction {}",
                detail.summary.auction.short()
            );
            Err(Failure::new(
                what,
                "see `tender auction show` for the assignments",
            ))
        }
    }
}

fn finish(
    actor: &Actor,
    detail: &AuctionDetail,
    (done, action): (&str, Action),
    json: bool,
) -> Result<(), Failure> {
    let (_, height) = actor.act(action)?;
    if json {
        return out::json(&serde_json::json!({ "height": height }));
    }
    out::say(format_args!(
        "{done} in block {height} (auction {})",
        detail.summary.auction.short()
    ));
    Ok(())
}
