//! A standing agent: it watches auctions through its own peer, bids with every machine it is attested for, accepts what it wins, runs a
//! command for it and delivers the hash of what the command prints.
//!
//! ```text
//!             ┌────────────── look: status, auctions after the oldest that lives ──────────────┐
//!             ▼                                                                                │
//!  bidding ─▶ offer ─▶ plan, seal, prove (`bidding`) ─▶ journal ─▶ submit                      │ every POLL, if there is
//!  cleared ─▶ own assignments: assigned ─▶ accept │ accepted ─▶ run ─▶ record ─▶ deliver       │ a new block or work to do
//!  ended   ─▶ tell, forget                                                                     │
//!             └────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! **The chain is the truth.** Every look starts from what the peer shows: live bids say what is bid for, assignments say what is to be done.
//! Nothing is concluded from what the agent remembers having sent, except that it does not send it again while it waits in the peer. So the
//! agent may be killed at any moment and started again:
//!
//! - *One bid per machine and auction.* It bids only where the peer shows no live bid of this machine, always under sequence number 0; the
//!   chain admits one. (A bid made by hand is left as it is.)
//! - *No win is lost.* Whatever is assigned to this home's key is accepted, also a runner-up's later assignment, until the auction has ended.
//! - *One delivery.* The chain takes one; and its hash is of the recorded output, which is written before.
//! - *The command runs at least once*, see [`job`].
//!
//! Commands that fail are run again, [`MAX_RUNS`] times in all, then left with a message. What a peer does not answer is asked again; what it
//! refuses is told and tried again a bounded number of times. Bounds: one look reads the auctions that live (at most 64) and the newest, makes
//! [`PROOFS_PER_LOOK`] bids, and has [`MAX_WAITING`] transactions waiting.

mod awards;
mod bids;
pub mod job;
pub(crate) mod journal;
pub(crate) mod offer;
#[cfg(test)]
mod tests;

use super::{actor::Actor, client::Client, error::Failure, prover::Prover};
use crate::{
    api::types::{AuctionDetail, AuctionSummary, Phase},
    cli::place::Place,
    documents::{error::Problem, names::Names, prices::PriceFile, read_json},
    files,
    store::DirLock,
};
use bids::Machines;
use job::{Ended, Job};
use journal::Journal;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    time::{Duration, Instant},
};
use tender_wire::{AuctionId, Height, PublicKey};
use tokio::signal::unix::{SignalKind, signal};

/// How often the peer is asked for its height.
const POLL: Duration = Duration::from_millis(250);
/// How often everything is looked at where something is under way, without a new block.
const RELOOK: Duration = Duration::from_secs(2);
/// How often credentials, prices and names are read anew, and a machine with nothing to bid for is looked at again.
const REREAD: Duration = Duration::from_secs(5);
/// Pause before what was refused is tried again.
const RETRY: Duration = Duration::from_secs(3);
/// Bids made in one look: proving must not keep the agent from accepting what it has won.
pub(crate) const PROOFS_PER_LOOK: usize = 4;
/// How often a bid is tried that the chain refuses.
pub(crate) const MAX_TRIES: u32 = 5;
/// How often a command is run that fails.
pub(crate) const MAX_RUNS: u32 = 3;
/// Most signed transactions of this agent that wait for a block together: fewer than a mempool keeps of one signer.
pub(crate) const MAX_WAITING: usize = 16;
/// Longest text of others repeated on a line, in characters.
const MAX_TOLD_CHARS: usize = 400;
/// Directory of a home that holds what its standing agent keeps.
const DIRECTORY: &str = "agent";

/// How a standing agent is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its home and peer.
    pub place: Place,
    /// The price file.
    pub prices: PathBuf,
    /// Run for each assignment, through `sh -c`; without it the agent accepts and leaves delivering to people.
    pub command: Option<String>,
    /// Commands that run at once.
    pub jobs: usize,
    /// Stop when so many auctions it took part in have ended.
    pub auctions: Option<u64>,
    /// Hide which issuer vouches among all that the classes accept.
    pub hide_issuer: bool,
    /// Run commands again that were given up.
    pub retry: bool,
}

/// Why a look ends early.
enum Trouble {
    /// For now: told, and tried again.
    Passing(Failure),
    /// For good: the agent ends.
    Final(Failure),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Trouble::Passing(failure)
    }
}

/// What wakes an agent.
enum Event {
    /// SIGINT or SIGTERM.
    Stop,
    /// A command has ended.
    Ended {
        auction: AuctionId,
        award: String,
        ended: Ended,
    },
}

/// What is remembered of an auction while the agent runs.
#[derive(Default)]
struct Memory {
    /// The last thing said of a matter.
    told: BTreeMap<String, String>,
    /// When a matter may be tried again.
    wait: BTreeMap<String, Instant>,
    /// How often a bid was refused, by machine.
    tries: BTreeMap<String, u32>,
    /// It cleared, and nothing of it is ours.
    foreign: bool,
}

struct Agent {
    options: Options,
    home: PathBuf,
    own: PublicKey,
    actor: Actor,
    prover: Prover,
    prices: PriceFile,
    names: Option<Names>,
    journal: Journal,
    events: SyncSender<Event>,
    running: BTreeMap<(AuctionId, String), Job>,
    memory: BTreeMap<AuctionId, Memory>,
    /// What the home is attested for, and when that was read.
    machines: Option<(Instant, Machines)>,
    /// The last thing said of the peer, credentials or prices.
    told: BTreeMap<&'static str, String>,
    /// The newest auction before which all have ended.
    ended_until: Option<AuctionId>,
    ended: u64,
    height: Option<Height>,
    looked: Option<Instant>,
    /// Work is left over from the last look.
    busy: bool,
    _lock: DirLock,
}

/// Runs an agent until it is interrupted, or has seen as many auctions as it was asked to.
///
/// # Errors
/// [`Failure`] if the home, the price file or the journal cannot be used, another agent runs from this home, or the peer is on another chain.
pub fn run(options: Options) -> Result<(), Failure> {
    // One event of each running command and one signal: nobody ever waits to send.
    let (events, woken) = sync_channel(options.jobs.saturating_add(1));
    let mut agent = Agent::open(options, events.clone())?;
    stop_on_signals(events)?;
    let ended = agent.stand(&woken);
    agent.stop_commands(&woken);
    ended
}

impl Agent {
    fn open(options: Options, events: SyncSender<Event>) -> Result<Agent, Failure> {
        let home = options.place.home()?;
        let home = std::path::absolute(&home).map_err(|e| in_home(&home, &e))?;
        // Only what the home holds: the peer may not run yet.
        let alone = Place {
            home: Some(home.clone()),
            api: Some(options.place.api.clone().unwrap_or_default()),
        };
        let actor = alone.unasked_actor()?;
        let prices = read_json(&options.prices)?;
        let directory = home.join(DIRECTORY);
        files::create_private_dir(&directory).map_err(|e| in_home(&directory, &e))?;
        let lock = DirLock::acquire(&directory).map_err(|e| Failure::new(e.to_string(), ""))?;
        let mut journal = Journal::open(&directory)?;
        if options.retry {
            journal.pardon()?;
        }
        Ok(Agent {
            own: actor.key.public(),
            prover: Prover::in_home(&home),
            actor,
            prices,
            names: None,
            journal,
            events,
            running: BTreeMap::new(),
            memory: BTreeMap::new(),
            machines: None,
            told: BTreeMap::new(),
            ended_until: None,
            ended: 0,
            height: None,
            looked: None,
            busy: true,
            _lock: lock,
            home,
            options,
        })
    }

    fn stand(&mut self, woken: &Receiver<Event>) -> Result<(), Failure> {
        loop {
            match self.reach().and_then(|()| self.look()) {
                Ok(()) => self.peer_answers(),
                Err(Trouble::Final(failure)) => return Err(failure),
                Err(Trouble::Passing(failure)) => self.tell("peer", said(&failure)),
            }
            if self.options.auctions.is_some_and(|most| self.ended >= most) {
                tracing::info!("{} auctions have ended: done", self.ended);
                return Ok(());
            }
            match woken.recv_timeout(POLL) {
                Ok(Event::Stop) => return Ok(()),
                Ok(Event::Ended {
                    auction,
                    award,
                    ended,
                }) => self.command_ended(&auction, award, ended)?,
                Err(RecvTimeoutError::Timeout) => {}
                // The agent holds a sender itself.
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    /// Finds the peer: it may have come back elsewhere.
    fn reach(&mut self) -> Result<(), Trouble> {
        if self.told.contains_key("peer") || self.names.is_none() {
            self.actor.client = self.options.place.client()?;
        }
        if self.names.is_some() {
            return Ok(());
        }
        let status = self.actor.client.status()?;
        if status.chain_id != self.actor.chain {
            let what = format!(
                "the peer at {} is on chain {}, this home's genesis is of chain {}",
                self.actor.client.url(),
                status.chain_id.short(),
                self.actor.chain.short()
            );
            let next = "name this home's own peer with --api, or leave --api out";
            return Err(Trouble::Final(Failure::new(what, next)));
        }
        let names = self.options.place.names(&self.actor.client)?;
        self.prices
            .check(&names)
            .map_err(|p| Trouble::Final(p.in_file(&self.options.prices).into()))?;
        tracing::info!(
            "bidding on chain \"{}\" as {} through {}",
            plain(&status.chain_name),
            self.own,
            self.actor.client.url()
        );
        self.names = Some(names);
        Ok(())
    }

    fn look(&mut self) -> Result<(), Trouble> {
        let status = self.actor.client.status()?;
        if let Some(reason) = status.halted {
            let what = format!("the peer has halted: {}", plain(&reason));
            return Err(Failure::new(what, "see SECURITY.md, \"Halting\"").into());
        }
        if status.syncing {
            self.tell("sync", "the peer is catching up with the chain".into());
            return Ok(());
        }
        self.told.remove("sync");
        let is_old = self.looked.is_none_or(|at| at.elapsed() >= RELOOK);
        let under_way = !self.journal.is_empty() && is_old;
        if !self.busy && !under_way && self.height == Some(status.height) {
            return Ok(());
        }
        self.busy = false;
        let listed = self.actor.client.auctions_after(self.ended_until)?;
        let mut due = Vec::new();
        for it in listed.iter().filter(|it| it.phase == Phase::Cleared) {
            let attended = self.attend(it);
            due.extend(self.apart(&it.auction, attended)?);
        }
        self.send(due)?;
        for it in listed.iter().filter(|it| has_ended(it)) {
            let left = self.leave(it);
            self.apart(&it.auction, left)?;
        }
        self.bid_in(listed.iter().filter(|it| it.phase == Phase::Bidding))?;
        let is_over =
            |it: &&AuctionSummary| has_ended(it) && self.journal.page(&it.auction).is_none();
        let ended = listed.iter().take_while(is_over);
        self.ended_until = ended.last().map(|it| it.auction).or(self.ended_until);
        self.height = Some(status.height);
        self.looked = Some(Instant::now());
        Ok(())
    }

    /// Keeps what goes wrong with one auction from the others; a lost peer is nobody's alone.
    fn apart<T: Default>(
        &mut self,
        auction: &AuctionId,
        done: Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        match done {
            Err(Trouble::Passing(failure)) if !failure.is_code("unreachable") => {
                let text = said(&failure);
                let told = &mut self.memory.entry(*auction).or_default().told;
                if told.insert("trouble".into(), text.clone()) != Some(text.clone()) {
                    tracing::warn!("auction {}: {text}", auction.short());
                }
                self.busy = true;
                Ok(T::default())
            }
            other => other,
        }
    }

    /// Says how an auction ended that the agent took part in, and forgets it.
    fn leave(&mut self, summary: &AuctionSummary) -> Result<(), Trouble> {
        let auction = summary.auction;
        if self.journal.page(&auction).is_some() {
            let detail = self.actor.client.auction(&auction)?;
            self.tell_outcomes(&detail)?;
            self.tell_endings(&detail);
            self.journal.forget(&auction).map_err(Trouble::Final)?;
            self.ended = self.ended.saturating_add(1);
        }
        self.stop_commands_of(&auction, |_| true);
        self.memory.remove(&auction);
        Ok(())
    }

    /// Says something of an auction unless it was the last thing said of this matter.
    fn say(&mut self, detail: &AuctionDetail, matter: &str, text: String) {
        let auction = detail.summary.auction;
        let told = &mut self.memory.entry(auction).or_default().told;
        if told.get(matter) != Some(&text) {
            tracing::info!("auction {}: {text}", auction.short());
            told.insert(matter.to_owned(), text);
        }
    }

    fn tell(&mut self, matter: &'static str, text: String) {
        if self.told.get(matter) != Some(&text) {
            tracing::warn!("{text}");
            self.told.insert(matter, text);
        }
    }

    fn peer_answers(&mut self) {
        if self.told.remove("peer").is_some() {
            tracing::info!("the peer at {} answers", self.actor.client.url());
        }
    }

    /// Whether a matter may be tried by now.
    fn may_try(&self, auction: &AuctionId, matter: &str) -> bool {
        let memory = self.memory.get(auction);
        let wait = memory.and_then(|memory| memory.wait.get(matter));
        wait.is_none_or(|until| Instant::now() >= *until)
    }

    fn wait(&mut self, auction: &AuctionId, matter: &str, pause: Duration) {
        if let Some(until) = Instant::now().checked_add(pause) {
            let memory = self.memory.entry(*auction).or_default();
            memory.wait.insert(matter.to_owned(), until);
        }
    }

    fn client(&self) -> &Client {
        &self.actor.client
    }
}

fn has_ended(summary: &AuctionSummary) -> bool {
    matches!(summary.phase, Phase::Void | Phase::Finished)
}

/// Sends [`Event::Stop`] on SIGINT and SIGTERM.
fn stop_on_signals(events: SyncSender<Event>) -> Result<(), Failure> {
    let fail =
        |e: std::io::Error| Failure::new(format!("cannot wait for signals: {e}"), "try again");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .map_err(fail)?;
    let signals = {
        let _inside = runtime.enter();
        let on = |kind| signal(kind).map_err(fail);
        (on(SignalKind::interrupt())?, on(SignalKind::terminate())?)
    };
    let (mut interrupt, mut terminate) = signals;
    let wait = move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        let _ = events.send(Event::Stop);
    };
    let thread = std::thread::Builder::new().name("signals".into());
    thread.spawn(wait).map(drop).map_err(fail)
}

fn in_home(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(
        format!("{}: {error}", path.display()),
        "check that the home is yours",
    )
}

/// A failure on one line.
fn said(failure: &Failure) -> String {
    match failure.next.as_str() {
        "" => plain(&failure.what),
        next => format!("{}; {next}", plain(&failure.what)),
    }
}

/// A problem on one line.
fn problem(problem: &Problem) -> String {
    format!("{}: {}; {}", problem.field, problem.problem, problem.next)
}

/// What strangers wrote, without what a terminal would obey.
fn plain(text: &str) -> String {
    tender_wire::text::line(text, MAX_TOLD_CHARS)
}
