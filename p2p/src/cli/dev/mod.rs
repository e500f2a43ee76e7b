//! `tender dev`: a whole network and one auction, cheats included, in one process.
//!
//! The peers are the ones `tender start` runs, on homes as `tender testnet` writes them; issuers and agents act through the HTTP API of
//! their own peer with the code behind `tender issuer attest` and `tender bid`. Only the process is shared.

mod cast;
mod cheats;
mod report;
mod stage;
mod timeline;

use super::{
    auction::{now, open},
    bidding::{Bidder, Placed},
    error::Failure,
    out,
    start::engine,
    table::amount,
    testnet::{self, Layout, Testnet},
};
use crate::{
    agent::result_hash,
    api::types::{AuctionDetail, Phase},
    documents::{Access, write_json},
    logging,
};
use cast::{Agent, CHEAT, Cast, TWIN};
use cheats::{Attempt, Cheater};
use clap::Args;
use report::{Report, Timings};
use stage::{Player, Stage, panicked};
use std::{
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};
use tender_auction::{
    outcome::AwardState,
    transaction::{Action, AwardRef},
};
use tender_wire::{AuctionId, Height};
use timeline::{Timeline, Topic};
use tokio::runtime::Runtime;

/// Validators of the network.
const VALIDATORS: u16 = 4;
/// Least distance of blocks: short, for a play that is watched.
const BLOCK_INTERVAL_MS: u64 = 250;
/// How long any one phase may take beyond its window.
const PHASE_WITHIN: Duration = Duration::from_secs(180);
/// Logs of the peers: what goes wrong.
const LOG_FILTER: &str = "error";

#[derive(Debug, Args)]
#[command(
    after_help = "The auction, the machines and the (invented) prices are those of the repository's `fixtures` directory. \
    Nothing leaves this machine: every peer listens on loopback alone."
)]
pub(super) struct DevArgs {
    /// Exit after the play instead of keeping the network running
    #[arg(long)]
    once: bool,
    /// Also write the result as data to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Keep everything in this new directory instead of a temporary one
    #[arg(long, value_name = "DIR")]
    home: Option<PathBuf>,
}

impl DevArgs {
    pub(super) fn run(self) -> Result<(), Failure> {
        let timeline = Timeline::new();
        let cast = Cast::read()?;
        let directory = self.home.clone().unwrap_or_else(|| {
            std::env::temp_dir().join(format!("tender-dev-{}", std::process::id()))
        });
        if let Some(parent) = self
            .json
            .as_deref()
            .and_then(Path::parent)
            .filter(|p| !p.as_os_str().is_empty() && !p.is_dir())
        {
            let what = format!("--json: there is no directory {}", parent.display());
            return Err(Failure::usage(what, "make it first; nothing was started"));
        }
        let _ = logging::init(LOG_FILTER, logging::LogFormat::Text); // a library user may have set up its own
        timeline.say(Topic::Network, "making keys, genesis and the proving key (development setup: insecure, cached for this run)");
        let layout = Layout {
            name: "tender dev".into(),
            validators: VALIDATORS,
            followers: 0,
            issuers: cast.issuers.clone(),
            agents: cast.agents.iter().map(|a| a.name.clone()).collect(),
            block_interval_ms: BLOCK_INTERVAL_MS,
            log: LOG_FILTER.into(),
        };
        engine()?;
        let net = testnet::write(&directory, &layout)?;
        let setup_seconds = timeline.seconds();
        let runtime = Runtime::new().map_err(|e| {
            Failure::new(
                format!("cannot start threads: {e}"),
                "see the system's limits: `ulimit -a`",
            )
        })?;
        let stage = Stage::set(runtime.handle(), &net, &timeline)?;
        if let Some(first) = stage.peers.first() {
            runtime.spawn(timeline.follow(first.subscribe()));
        }
        let mut play = Play {
            cast: &cast,
            net: &net,
            stage: &stage,
            timeline: &timeline,
            timings: Timings::default(),
        };
        play.timings.setup_seconds = setup_seconds;
        play.timings.peers_seconds = timeline.seconds() - setup_seconds;
        let report = play.run(&directory)?;
        report.print(&timeline);
        if let Some(path) = &self.json {
            write_json(path, &report.data, Access::Public)?;
            out::say(format_args!("\ndata: {}", path.display()));
        }
        out::say(format_args!("files: {}", directory.display()));
        let api = stage.validators.first().map_or("-", |client| client.url());
        out::say(format_args!("API: {api}/v1/status"));
        if !self.once {
            out::say(format_args!(
                "the network keeps running: try `tender auction list --api {api}`; Ctrl-C ends it"
            ));
            let _ = runtime.block_on(tokio::signal::ctrl_c());
        }
        runtime.block_on(async {
            for peer in stage.peers {
                peer.shutdown().await;
            }
        });
        if self.home.is_none() {
            // keep what the report names: genesis and certificates
            net.homes().for_each(|home| {
                let _ = std::fs::remove_dir_all(home);
            });
        }
        Ok(())
    }
}

/// The play.
struct Play<'a> {
    cast: &'a Cast,
    net: &'a Testnet,
    stage: &'a Stage,
    timeline: &'a Timeline,
    timings: Timings,
}

impl Play<'_> {
    fn run(&mut self, directory: &Path) -> Result<Report<'_>, Failure> {
        let began = Instant::now();
        self.stage.attest(self.cast, now(), self.timeline)?;
        self.timings.attest_seconds = began.elapsed().as_secs_f64();

        let (stage, timeline) = (self.stage, self.timeline);
        let (auction, height) = open(
            &stage.opener.actor,
            &stage.names,
            &self.cast.auction,
            self.cast.auction_path,
        )?;
        let tasks = self.cast.auction.tasks.len();
        timeline.say(
            Topic::Auction,
            format_args!(
                "\"{}\": {tasks} tasks, opened in block {height}",
                self.cast.auction.title
            ),
        );
        self.wait_for(&auction, |phase| phase == Phase::Bidding)?;
        self.everybody_knows(|detail| detail.summary.phase == Phase::Bidding, &auction)?;

        let began = Instant::now();
        let attempts = self.bidding(&auction)?;
        self.timings.bidding_seconds = began.elapsed().as_secs_f64();

        self.wait_for(&auction, |phase| {
            !matches!(phase, Phase::Keys | Phase::Bidding)
        })?;
        let closed = Instant::now();
        self.wait_for(&auction, |phase| {
            matches!(phase, Phase::Cleared | Phase::Void | Phase::Finished)
        })?;
        self.timings.close_to_clear_seconds = closed.elapsed().as_secs_f64();
        self.everybody_knows(|detail| !detail.outcomes.is_empty(), &auction)?;

        self.live(&auction)?;
        let detail = stage.opener.actor.client.auction(&auction)?;
        let mut report = Report::new(self.stage, self.cast, self.net, &detail, attempts);
        let began = Instant::now();
        report.certificates(directory, self.timeline)?;
        self.timings.certificates_seconds = began.elapsed().as_secs_f64();
        self.timings.total_seconds = timeline.seconds();
        self.timings.blocks = stage.opener.actor.client.status()?.height;
        self.timings.block_interval_ms = BLOCK_INTERVAL_MS;
        report.data.timings = self.timings.clone();
        Ok(report)
    }

    /// Honest agents bid, each in a thread of its own; then the cheat tries what it can.
    fn bidding(&mut self, auction: &AuctionId) -> Result<Vec<Attempt>, Failure> {
        let detail = self.stage.opener.actor.client.auction(auction)?;
        let placed = std::thread::scope(|scope| {
            let honest = self.cast.agents.iter().filter(|agent| agent.name != TWIN);
            let work: Vec<_> = honest
                .map(|agent| scope.spawn(|| self.bid(agent, &detail)))
                .collect();
            let joined = work
                .into_iter()
                .map(|handle| handle.join().unwrap_or_else(|_| Err(panicked())));
            joined.collect::<Result<Vec<_>, _>>()
        })?;
        let seconds: f64 = placed.iter().map(|(_, _, took)| took).sum();
        self.timings.bid_seconds_mean =
            seconds / f64::from(u32::try_from(placed.len()).unwrap_or(1).max(1));
        self.cheat(auction, &placed)
    }

    fn bid<'c>(
        &self,
        agent: &'c Agent,
        detail: &AuctionDetail,
    ) -> Result<(&'c Agent, Placed, f64), Failure> {
        let player = self.stage.agent(&agent.name)?;
        let credentials = self.stage.credentials(player)?;
        let began = Instant::now();
        let bidder = Bidder {
            actor: &player.actor,
            prover: &player.prover,
            credentials: &credentials,
            names: &self.stage.names,
        };
        let plan = bidder.plan(detail, &agent.bid).map_err(|p| {
            Failure::new(
                format!("{}: {}: {}", agent.name, p.field, p.problem),
                p.next,
            )
        })?;
        for warning in &plan.warnings {
            self.timeline.say(
                Topic::Bid,
                format_args!("{} is warned: {warning}", agent.name),
            );
        }
        let placed = bidder.place(detail, &plan).map_err(|f| Failure {
            what: format!("{}: {}", agent.name, f.what),
            ..f
        })?;
        let took = began.elapsed().as_secs_f64();
        let kinds = report::kinds(&placed.bid);
        self.timeline.say(
            Topic::Bid,
            format_args!(
                "{}: {} sealed {} with {kinds}, in block {} after {took:.1} s",
                agent.name,
                plan.entries.len(),
                if plan.entries.len() == 1 {
                    "price"
                } else {
                    "prices"
                },
                placed.height
            ),
        );
        Ok((agent, placed, took))
    }

    fn cheat(
        &self,
        auction: &AuctionId,
        placed: &[(&Agent, Placed, f64)],
    ) -> Result<Vec<Attempt>, Failure> {
        let find = |name: &str| {
            let found = self.cast.agents.iter().find(|a| a.name == name);
            found.ok_or_else(|| {
                Failure::new(
                    format!("nobody is called {name}"),
                    "see fixtures/machines.json",
                )
            })
        };
        let player = self.stage.agent(CHEAT)?;
        let bid = &find(CHEAT)?.bid;
        let credentials = self.stage.credentials(player)?;
        let mine = placed
            .iter()
            .find(|(agent, _, _)| agent.name == CHEAT)
            .map(|(_, placed, _)| placed);
        let mine =
            mine.ok_or_else(|| Failure::new("the cheat did not bid", "see fixtures/prices.json"))?;
        let victim = placed.iter().find(|(agent, placed, _)| {
            agent.name != CHEAT
                && placed
                    .bid
                    .content
                    .evidences
                    .iter()
                    .any(|e| e.kind() == tender_circuits::EvidenceKind::Proof)
        });
        let (_, victim, _) = victim
            .ok_or_else(|| Failure::new("nobody to copy from", "see fixtures/prices.json"))?;
        self.stage.wait_height(
            placed
                .iter()
                .map(|(_, p, _)| p.height)
                .max()
                .unwrap_or(Height(0)),
        )?;

        let detail = player.actor.client.auction(auction)?;
        let cheater = |auction, player, credentials, bid| Cheater {
            stage: self.stage,
            auction,
            player,
            credentials,
            bid,
            timeline: self.timeline,
        };
        let first = cheater(&detail, player, &credentials, bid);
        let mut attempts = first.claim_more()?;
        attempts.push(first.copy_proof(&victim.bid)?);

        // an honest replacement: the same machine, new prices
        let mut lower = bid.clone();
        lower
            .prices
            .values_mut()
            .for_each(|price| *price = price.saturating_sub(100).max(1));
        let bidder = Bidder {
            actor: &player.actor,
            prover: &player.prover,
            credentials: &credentials,
            names: &self.stage.names,
        };
        let live = bidder.bid(&detail, &lower)?;
        self.timeline.say(
            Topic::Bid,
            format_args!(
                "{CHEAT}: replaces its bid, lower by 100 each, in block {}",
                live.height
            ),
        );
        self.stage.wait_height(live.height)?;
        attempts.push(first.replay(mine)?);
        attempts.push(first.rerandomise(&live)?);

        let twin = self.stage.agent(TWIN)?;
        let twins = self.stage.credentials(twin)?;
        let detail = twin.actor.client.auction(auction)?;
        attempts.push(cheater(&detail, twin, &twins, &find(TWIN)?.bid).second_identity()?);
        Ok(attempts)
    }

    /// Winners accept and deliver, the opener confirms.
    fn live(&mut self, auction: &AuctionId) -> Result<(), Failure> {
        let began = Instant::now();
        let detail = self.stage.opener.actor.client.auction(auction)?;
        let total = detail.awards.len();
        std::thread::scope(|scope| {
            let detail = &detail;
            let work: Vec<_> = self
                .stage
                .agents
                .iter()
                .map(|player| scope.spawn(move || serve(player, detail)))
                .collect();
            work.into_iter()
                .try_for_each(|handle| handle.join().unwrap_or_else(|_| Err(panicked())))
        })?;
        self.timeline.say(
            Topic::Award,
            format_args!("{total} assignments accepted and delivered by their winners"),
        );
        self.everybody_knows(
            |d| {
                d.awards
                    .iter()
                    .all(|a| matches!(a.state, AwardState::Delivered { .. }))
            },
            auction,
        )?;
        let opener = &self.stage.opener.actor;
        let actions = detail.awards.iter().map(|award| {
            Action::Confirm(AwardRef {
                auction: *auction,
                task: award.task,
                bid: award.bid,
            })
        });
        opener.act_all(actions.collect())?;
        self.timeline.say(
            Topic::Award,
            format_args!("{total} results confirmed by the opener"),
        );
        self.timings.life_seconds = began.elapsed().as_secs_f64();
        Ok(())
    }

    fn wait_for(
        &self,
        auction: &AuctionId,
        is_there: impl Fn(Phase) -> bool,
    ) -> Result<(), Failure> {
        let started = Instant::now();
        let client = &self.stage.opener.actor.client;
        loop {
            let summary = client
                .auctions()?
                .into_iter()
                .find(|it| it.auction == *auction);
            match summary {
                Some(it) if is_there(it.phase) => return Ok(()),
                Some(it) if it.phase == Phase::Void => {
                    return Err(Failure::new(
                        "the auction is void",
                        "see the lines above for what the validators did",
                    ));
                }
                _ if started.elapsed() > PHASE_WITHIN => {
                    return Err(Failure::new(
                        "the auction does not move on",
                        "see the lines above; is this machine overloaded?",
                    ));
                }
                _ => sleep(Duration::from_millis(100)),
            }
        }
    }

    /// Waits until every peer's view of the auction is so.
    fn everybody_knows(
        &self,
        is_so: impl Fn(&AuctionDetail) -> bool,
        auction: &AuctionId,
    ) -> Result<(), Failure> {
        let started = Instant::now();
        for client in self.stage.clients() {
            while !client.auction(auction).is_ok_and(|detail| is_so(&detail)) {
                if started.elapsed() > PHASE_WITHIN {
                    return Err(Failure::new(
                        format!("{} is behind", client.url()),
                        "is this machine overloaded?",
                    ));
                }
                sleep(Duration::from_millis(50));
            }
        }
        Ok(())
    }
}

/// What a winner does with its assignments: accepts all, then delivers all.
fn serve(player: &Player, detail: &AuctionDetail) -> Result<(), Failure> {
    let own = player.actor.key.public();
    let auction = detail.summary.auction;
    let awards: Vec<_> = detail
        .awards
        .iter()
        .filter(|award| award.bidder == own)
        .collect();
    let named = |award: &&crate::api::types::Award| AwardRef {
        auction,
        task: award.task,
        bid: award.bid,
    };
    let accept = awards.iter().map(|award| Action::Accept(named(award)));
    player.actor.act_all(accept.collect())?;
    let deliver = awards.iter().map(|award| {
        let text = format!(
            "{} did task {} for {}",
            player.name,
            award.task,
            amount(award.payment.0)
        );
        Action::Deliver {
            award: named(award),
            result: result_hash(text.as_bytes()),
        }
    });
    player.actor.act_all(deliver.collect())?;
    Ok(())
}
