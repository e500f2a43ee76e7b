//! `tender bid`.

use super::{
    bidding::{Bidder, Plan},
    error::Failure,
    out,
    place::Place,
    prover::Prover,
    table::amount,
};
use crate::{
    api::types::AuctionDetail,
    documents::{bid::BidFile, read_json},
};
use clap::Args;
use std::{collections::BTreeMap, path::PathBuf, time::Instant};

#[derive(Debug, Args)]
#[command(after_help = "Either a file:\n  tender bid 3fa9 --file bid.json\n\
    or flags:\n  tender bid 3fa9 --price chat-7b=690 --price captions=560 --slots inference-slice=2\n\n\
    What is claimed is the least that the classes and slots need, never the machine's whole capacity, unless the file says otherwise. \
    Prices stay sealed until the auction closes; who bids with which machine does not. A second bid with the same machine replaces the first.")]
pub(super) struct BidArgs {
    /// The auction's id, or the start of it
    auction: String,
    /// A bid file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["machine", "price", "slots"], required_unless_present = "price")]
    file: Option<PathBuf>,
    /// Serial number of the machine, where this home has several
    #[arg(long, value_name = "SERIAL")]
    machine: Option<String>,
    /// A task and the price asked for it, in smallest units; repeat for more tasks
    #[arg(long, value_name = "TASK=PRICE", value_parser = pair::<u64>)]
    price: Vec<(String, u64)>,
    /// A class and how many of its units the machine serves at once
    #[arg(long, value_name = "CLASS=UNITS", value_parser = pair::<u32>)]
    slots: Vec<(String, u32)>,
    /// Hide which of the accepted issuers vouches (any of them revoking the machine then suspends the bid)
    #[arg(long)]
    hide_issuer: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

fn pair<T: std::str::FromStr>(text: &str) -> Result<(String, T), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| format!("`{text}` has no `=`; write NAME=NUMBER"))?;
    let value = value
        .parse()
        .map_err(|_| format!("`{value}` is no number; write NAME=NUMBER"))?;
    Ok((name.to_owned(), value))
}

impl BidArgs {
    pub(super) fn run(self) -> Result<(), Failure> {
        let file = self.bid_file()?;
        let home = self.place.home()?;
        let actor = self.place.actor()?;
        let names = self.place.names(&actor.client)?;
        let credentials = self.place.credentials(&actor)?;
        let prover = Prover::in_home(&home);
        let detail = actor
            .client
            .auction(&self.place.auction(&actor.client, &self.auction)?)?;
        let bidder = Bidder {
            actor: &actor,
            prover: &prover,
            credentials: &credentials,
            names: &names,
        };
        let plan = bidder.plan(&detail, &file).map_err(|p| match &self.file {
            Some(path) => Failure::from(p.in_file(path)),
            None => Failure::new(format!("{}: {}", p.field, p.problem), p.next),
        })?;
        self.check_reserves(&detail, &plan)?;
        for warning in &plan.warnings {
            out::note(format_args!("warning: {warning}: those entries will lose"));
        }
        let started = Instant::now();
        let placed = bidder.place(&detail, &plan)?;
        if self.json {
            return out::json(
                &serde_json::json!({ "bid": placed.id, "height": placed.height, "attempts": placed.attempts }),
            );
        }
        let total: u64 = plan
            .entries
            .iter()
            .map(|(_, price)| price.0)
            .fold(0, u64::saturating_add);
        out::say(format_args!(
            "bid {} is in block {}: {} tasks for {} in all, with {}, sealed, proven and committed in {:.1} s",
            placed.id.short(),
            placed.height,
            plan.entries.len(),
            amount(total),
            plan.machine,
            started.elapsed().as_secs_f32(),
        ));
        out::say(
            "  the prices are sealed until the auction closes; the network opens them without you",
        );
        Ok(())
    }

    /// Warns of prices above the reserve; refuses where nothing else is left, since such a bid only binds the machine.
    fn check_reserves(&self, detail: &AuctionDetail, plan: &Plan) -> Result<(), Failure> {
        let priced = plan.entries.iter().filter_map(|(task, price)| {
            let task = detail.spec.tasks.get(usize::try_from(*task).ok()?)?;
            let bonus = plan.bonuses.get(&task.class).map_or(0, |bonus| bonus.0);
            let most = task.reserve.0.saturating_add(bonus);
            Some((task, price.0, most))
        });
        let (above, within): (Vec<_>, Vec<_>) = priced.partition(|(_, price, most)| price > most);
        if above.is_empty() {
            return Ok(());
        }
        let said: Vec<_> = above
            .iter()
            .map(|(task, price, most)| {
                let (asked, reserve) = (amount(*price), amount(task.reserve.0));
                match most.saturating_sub(task.reserve.0) {
                    0 => format!("{} asks {asked}, its reserve is {reserve}", task.name),
                    bonus => format!(
                        "{} asks {asked}, its reserve is {reserve} and the bonus {}",
                        task.name,
                        amount(bonus)
                    ),
                }
            })
            .collect();
        if let Some(path) = &self.file {
            let command = format!(
                "`tender bid {} --file {}`",
                detail.summary.auction,
                path.display()
            );
            return say_reserves(
                &said,
                within.is_empty(),
                &format!("lower them in the file, then {command}"),
            );
        }
        let lower = within.iter().map(|(task, price, _)| (task, *price));
        let lower = lower.chain(above.iter().map(|(task, _, most)| (task, *most)));
        let prices: Vec<_> = lower
            .map(|(task, price)| format!(" --price {}={price}", task.name))
            .collect();
        let slots: Vec<_> = self
            .slots
            .iter()
            .map(|(class, units)| format!(" --slots {class}={units}"))
            .collect();
        let machine = self
            .machine
            .as_ref()
            .map_or_else(String::new, |serial| format!(" --machine {serial}"));
        let command = format!(
            "`tender bid {}{}{}{machine}`",
            detail.summary.auction,
            prices.concat(),
            slots.concat()
        );
        say_reserves(&said, within.is_empty(), &command)
    }

    fn bid_file(&self) -> Result<BidFile, Failure> {
        if let Some(path) = &self.file {
            return Ok(read_json(path)?);
        }
        Ok(BidFile {
            machine: self.machine.clone(),
            slots: unique(&self.slots, "--slots")?,
            prices: unique(&self.price, "--price")?,
            claim: None,
            hide_issuer: self.hide_issuer,
        })
    }
}

/// A refusal where no entry can win, else a warning; the bid may be replaced while bidding lasts.
fn say_reserves(said: &[String], all: bool, command: &str) -> Result<(), Failure> {
    let said = said.join("; ");
    if all {
        let what = format!("{said}: this bid cannot win, and nothing was sent");
        return Err(Failure::new(
            what,
            format!("ask at most the reserve: {command}"),
        ));
    }
    let warning = format!(
        "warning: {said}: such an entry cannot win\n  next: to replace the bid while bidding lasts: {command}"
    );
    let line: Vec<_> = std::env::args().collect();
    out::note(super::hints::complete(&warning, &line));
    Ok(())
}

fn unique<T: Copy>(pairs: &[(String, T)], flag: &str) -> Result<BTreeMap<String, T>, Failure> {
    let mut map = BTreeMap::new();
    for (name, value) in pairs {
        if map.insert(name.clone(), *value).is_some() {
            return Err(Failure::usage(
                format!("{flag} names `{name}` twice"),
                "name it once",
            ));
        }
    }
    Ok(map)
}
