//! `tender bench load`: what a network of this machine withstands.
//!
//! Every attack is made on a network that the command starts itself, each validator a process on loopback. Before each, and while it lasts, the
//! blocks are counted; at the end, the most memory each validator has held. The run fails if blocks came at less than half their
//! pace, if a validator held more than [`MAX_MEMORY_MIB`], if a flooder was not cut off, or if somebody who meant no harm was not served.
//!
//! The attackers' own work is not the peers' burden: this process gives way to the validators (`nice`), as another machine would.

mod crowd;
mod http;
mod watch;

use super::{Failure, check_parent, machine::Machine, network::Network, out, table::Table};
use crate::{
    agent::{actor::Actor, bidding::random, client::Client},
    api::types::{AuctionDetail, AuctionSummary, Phase},
    cli::auction::{now, open},
    documents::{Access, auction::Opening, write_json},
    metrics::ProofVerdict,
    network::{Network as Gossip, NetworkConfig},
};
use clap::Args;
use crowd::{Crowd, lost};
use http::{Harm, harm, listen};
use serde::Serialize;
use std::{
    path::{Path, PathBuf},
    sync::Mutex,
    thread::sleep,
    time::{Duration, Instant},
};
use tender_auction::{
    bid::Bid,
    market::state::{MAX_LIVE, MAX_LIVE_PER_OPENER},
    transaction::{Action, SignedTx, Transaction},
};
use tender_circuits::EvidenceKind;
use tender_wire::{AuctionId, SecretKey};
use watch::{Pace, Served, beside, counted, memory_peaks, pace};

/// Slowest pace under attack, as a part of the pace before.
const MIN_RATIO: f64 = 0.5;
/// Most memory of one validator.
const MAX_MEMORY_MIB: u64 = 512;
/// Submissions under way at once.
const SUBMITTERS: usize = 8;
/// How long any wait may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// Bids kept for somebody who means no harm.
const SPARE: usize = 24;
/// False proofs that a peer may get judged before it is not heard any more: what waited already.
const HEARD_OF_A_LIAR: u64 = 512;
/// The same of a client: its burst, and one a second.
const HEARD_OF_A_CLIENT: u64 = 256;

#[derive(Debug, Args)]
#[command(
    after_help = "Takes some minutes at its full size. Run it alone: other work on the machine is measured with it."
)]
pub(in crate::cli) struct LoadArgs {
    /// Validators, each a process
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=31))]
    validators: u16,
    /// Least distance of blocks, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 200, value_parser = clap::value_parser!(u64).range(20..=10_000))]
    block_interval_ms: u64,
    /// Seconds to watch before each attack, and at least while it lasts
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Valid bids at once, with signed attestations
    #[arg(long, value_name = "N", default_value_t = 1000)]
    bids: usize,
    /// Of those, with proofs, which take a while to make
    #[arg(long, value_name = "N", default_value_t = 16)]
    proven: usize,
    /// False proofs of one peer, and of one client of the API
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    false_proofs: usize,
    /// Connections of slow, deaf and oversized clients, for each validator
    #[arg(long, value_name = "N", default_value_t = 500)]
    connections: usize,
    /// Listeners of events at one validator
    #[arg(long, value_name = "N", default_value_t = 1000)]
    listeners: u16,
    /// Bids that are opened when their auction closes
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    openings: usize,
    /// Auctions open at once
    #[arg(long, value_name = "N", default_value_t = MAX_LIVE)]
    auctions: usize,
    /// Write the results as JSON to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// One attack.
#[derive(Clone, Debug, Serialize)]
struct Row {
    attack: String,
    before: Pace,
    during: Pace,
    /// Pace during over pace before.
    ratio: f64,
    /// How somebody else fared.
    served: Option<Served>,
    /// What became of the attack.
    note: String,
    /// Whether a flooder was cut off, where there was one.
    cut_off: Option<bool>,
    /// The most any validator had held by then.
    memory_mib: u64,
}

#[derive(Serialize)]
struct Report {
    machine: Machine,
    warnings: Vec<String>,
    rows: Vec<Row>,
    /// By validator.
    memory_mib: Vec<u64>,
    /// What did not hold.
    broken: Vec<String>,
}

/// A network under attack.
struct Siege<'a> {
    args: &'a LoadArgs,
    network: &'a Network,
    crowd: Crowd,
    rows: Vec<Row>,
}

/// What an attack came to.
struct Outcome {
    note: String,
    served: Option<Served>,
    cut_off: Option<bool>,
}

impl LoadArgs {
    pub(super) fn run(self) -> Result<(), Failure> {
        check_parent("--json", self.json.as_deref())?;
        let machine = Machine::here();
        out::say(format_args!("{}", machine.line()));
        let network = Network::start_with(self.validators, self.block_interval_ms, self.listeners)?;
        // After the validators have started: they do not inherit it.
        let _ = rustix::process::nice(19);
        let mut siege = Siege {
            args: &self,
            crowd: Crowd::of(&network)?,
            network: &network,
            rows: Vec::new(),
        };
        siege.run()?;
        let rows = siege.rows;
        let memory_mib = memory_peaks(&network);
        let mut broken: Vec<String> = rows.iter().flat_map(Row::broken).collect();
        if memory_mib.iter().any(|mib| *mib > MAX_MEMORY_MIB) {
            broken.push(format!("a validator held more than {MAX_MEMORY_MIB} MiB"));
        }
        on_terminal(&rows, &memory_mib);
        let warnings: Vec<_> = machine.warning().into_iter().collect();
        for warning in &warnings {
            out::say(format_args!("warning: {warning}"));
        }
        let report = Report {
            machine,
            warnings,
            rows,
            memory_mib,
            broken,
        };
        if let Some(path) = &self.json {
            write_json(path, &report, Access::Public)?;
            out::say(format_args!("data: {}", path.display()));
        }
        match report.broken.first() {
            None => Ok(()),
            Some(first) => Err(Failure::refused(
                format!("{first}; {} in all did not hold", report.broken.len()),
                "run it on a machine that does nothing else; if it fails there too, please report it",
            )),
        }
    }
}

impl Row {
    fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        if self.ratio < MIN_RATIO {
            let paces = (self.before.blocks_per_second, self.during.blocks_per_second);
            broken.push(format!(
                "{}: {:.2} blocks/s became {:.2}",
                self.attack, paces.0, paces.1
            ));
        }
        if self.cut_off == Some(false) {
            broken.push(format!("{}: not cut off ({})", self.attack, self.note));
        }
        let starved = |served: &Served| served.asked == 0 || served.refused > served.asked / 10;
        if self.served.as_ref().is_some_and(starved) {
            broken.push(format!("{}: somebody else was not served", self.attack));
        }
        broken
    }
}

impl Siege<'_> {
    fn run(&mut self) -> Result<(), Failure> {
        // Open throughout: an auction that is neither cleared nor void keeps blocks coming.
        let (standing, detail) = self.open_auction(7200, 8)?;
        let proven =
            self.crowd
                .agents(self.network, self.args.proven.max(1), EvidenceKind::Proof)?;
        out::note(format_args!("  bids are being made"));
        let proven = self.crowd.bids(&detail, &proven)?;
        let like = proven
            .first()
            .cloned()
            .ok_or_else(|| lost("no bid with a proof"))?;
        let attested = self.attested(self.args.bids.saturating_sub(proven.len()), &detail)?;
        let spare = Mutex::new(self.attested(SPARE.saturating_mul(3), &detail)?);

        let all = [proven, attested].concat();
        self.attack(&format!("{} valid bids at once", all.len()), |siege| {
            siege.submit(&standing, &all, all.len())?;
            Ok(Outcome::noted("all in blocks"))
        })?;
        self.false_proofs_by_gossip(&like, &spare)?;
        self.false_proofs_by_api(&like, &spare)?;
        self.harms(&standing)?;
        self.listeners()?;
        self.openings()?;
        self.auctions()
    }

    fn attested(&self, count: usize, detail: &AuctionDetail) -> Result<Vec<Bid>, Failure> {
        let agents = self
            .crowd
            .agents(self.network, count, EvidenceKind::Attestation)?;
        self.crowd.bids(detail, &agents)
    }

    /// Watches, attacks, watches; one row.
    fn attack(
        &mut self,
        name: &str,
        during: impl FnOnce(&Self) -> Result<Outcome, Failure>,
    ) -> Result<(), Failure> {
        out::note(format_args!("  {name}"));
        let least = Duration::from_secs(self.args.seconds);
        let ((), before) = pace(self.network, least, || Ok(()))?;
        let (outcome, during) = pace(self.network, least, || during(self))?;
        self.rows.push(Row {
            attack: name.to_owned(),
            ratio: during.blocks_per_second / before.blocks_per_second.max(f64::MIN_POSITIVE),
            before,
            during,
            served: outcome.served,
            note: outcome.note,
            cut_off: outcome.cut_off,
            memory_mib: memory_peaks(self.network).into_iter().max().unwrap_or(0),
        });
        Ok(())
    }

    fn open_auction(
        &self,
        bidding_seconds: u32,
        entries: u8,
    ) -> Result<(AuctionId, AuctionDetail), Failure> {
        let file = Crowd::auction(bidding_seconds, entries)?;
        let (id, _) = open(
            &self.crowd.opener,
            &self.crowd.names,
            &file,
            Path::new("load"),
        )?;
        for client in &self.network.clients {
            self.until("every validator takes bids", || {
                let detail = client.auction(&id).ok()?;
                (detail.summary.phase == Phase::Bidding).then_some(())
            })?;
        }
        Ok((id, self.network.client(0)?.auction(&id)?))
    }

    fn until<T>(&self, what: &str, look: impl FnMut() -> Option<T>) -> Result<T, Failure> {
        self.network.until(what, PATIENCE, look)
    }

    fn summary(&self, id: &AuctionId) -> Option<AuctionSummary> {
        let all = self.network.client(0).ok()?.auctions().ok()?;
        all.into_iter().find(|it| it.auction == *id)
    }

    /// Submits bids from many threads, again where there is no room, and waits until the auction holds so many.
    fn submit(&self, auction: &AuctionId, bids: &[Bid], holds: usize) -> Result<(), Failure> {
        std::thread::scope(|scope| {
            let share = bids.len().div_ceil(SUBMITTERS).max(1);
            let work: Vec<_> = bids
                .chunks(share)
                .enumerate()
                .map(|(number, chunk)| {
                    scope.spawn(move || -> Result<(), Failure> {
                        for (turn, bid) in chunk.iter().enumerate() {
                            let client = self.network.client(number.saturating_add(turn))?;
                            submit_until_taken(client, bid)?;
                        }
                        Ok(())
                    })
                })
                .collect();
            work.into_iter().try_for_each(|handle| {
                handle
                    .join()
                    .unwrap_or_else(|_| Err(lost("a thread panicked")))
            })
        })?;
        self.until("the bids are in blocks", || {
            sleep(Duration::from_millis(200));
            let found = self.summary(auction)?;
            (found.bids as usize >= holds).then_some(())
        })
    }

    /// Somebody who bids now and then; ends when there is nothing left to bid.
    fn somebody<'a>(
        &'a self,
        spare: &'a Mutex<Vec<Bid>>,
    ) -> impl Fn() -> Option<Result<(), Failure>> + Sync + 'a {
        move || {
            let bid = spare.lock().ok()?.pop()?;
            let client = Client::new(self.network.client(0).ok()?.url());
            Some(client.submit(&Transaction::Bid(Box::new(bid))).map(drop))
        }
    }

    fn judged_false(&self) -> Result<u64, Failure> {
        let clients = self.network.clients.iter();
        let counts = clients.flat_map(|client| {
            ProofVerdict::BAD.map(|verdict| {
                counted(
                    client,
                    &format!("tender_proofs_total{{verdict=\"{verdict:?}\"}}"),
                )
            })
        });
        counts.sum()
    }

    fn false_proofs_by_gossip(
        &mut self,
        like: &Bid,
        spare: &Mutex<Vec<Bid>>,
    ) -> Result<(), Failure> {
        let count = self.args.false_proofs;
        let bids = self.crowd.false_bids(like, count)?;
        self.attack(
            &format!("{count} false proofs, gossiped by one peer"),
            |siege| {
                let before = siege.judged_false()?;
                let flood = || siege.gossip(bids);
                let ((), served) = beside(siege.somebody(spare), flood)?;
                let judged = siege.judged_false()?.saturating_sub(before);
                let each = HEARD_OF_A_LIAR.min((count as u64).saturating_mul(3) / 4);
                let most = each.saturating_mul(siege.network.clients.len() as u64);
                Ok(Outcome {
                    note: format!("{judged} were judged, at all validators together"),
                    served: Some(served),
                    cut_off: Some(judged <= most),
                })
            },
        )
    }

    /// A peer of its own that gossips these transactions to every validator.
    fn gossip(&self, transactions: Vec<Vec<u8>>) -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| lost(&e.to_string()))?;
        let config = NetworkConfig {
            chain: self.crowd.opener.chain,
            listen: Vec::new(),
            bootstrap: self.network.addresses()?,
            metrics: crate::metrics::Metrics::new(),
        };
        runtime.block_on(async {
            let identity = libp2p::identity::Keypair::generate_ed25519();
            let started = Gossip::start(config, &identity).await;
            let (handle, mut events) = started.map_err(|e| lost(&e.to_string()))?;
            let began = Instant::now();
            while handle.peers().len() < self.network.clients.len() {
                if began.elapsed() > Duration::from_secs(60) {
                    return Err(lost("the liar finds no peers"));
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            let heard = async { while events.recv().await.is_some() {} };
            let said = async {
                for (number, tx) in transactions.into_iter().enumerate() {
                    if handle.publish_tx(tx).await.is_err() {
                        break;
                    }
                    if number.is_multiple_of(64) {
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                }
                tokio::time::sleep(Duration::from_secs(2)).await;
            };
            tokio::select! { () = heard => {}, () = said => {} }
            handle.shutdown().await;
            Ok(())
        })
    }

    fn false_proofs_by_api(&mut self, like: &Bid, spare: &Mutex<Vec<Bid>>) -> Result<(), Failure> {
        let count = self.args.false_proofs;
        let bids = self.crowd.false_bids(like, count)?;
        self.attack(
            &format!("{count} false proofs, submitted by one client"),
            |siege| {
                let before = siege.judged_false()?;
                let client = siege.network.client(0)?;
                let flood = || {
                    let mut told_to_wait = 0usize;
                    for bid in bids {
                        let refused = client.submit_bytes(bid).err();
                        if refused.is_some_and(|it| it.is_code("too_many_refused")) {
                            told_to_wait = told_to_wait.saturating_add(1);
                        }
                    }
                    Ok(told_to_wait)
                };
                let (told_to_wait, served) = beside(siege.somebody(spare), flood)?;
                let judged = siege.judged_false()?.saturating_sub(before);
                Ok(Outcome {
                    note: format!("{judged} were judged, {told_to_wait} answered 429"),
                    served: Some(served),
                    cut_off: Some(judged <= HEARD_OF_A_CLIENT.min(count as u64 / 2)),
                })
            },
        )
    }

    fn harms(&mut self, standing: &AuctionId) -> Result<(), Failure> {
        let addresses = self.network.clients.iter();
        let addresses: Vec<String> = addresses
            .map(|client| client.url().replace("http://", ""))
            .collect();
        let dear = [
            "/v1/blocks?from=1".to_owned(),
            format!("/v1/auctions/{standing}"),
            "/v1/openapi.json".to_owned(),
            format!("/v1/registry/{}", "01".repeat(32)),
            "/v1/auctions".to_owned(),
            "/v1/events?from=1".to_owned(),
            "/metrics".to_owned(),
        ];
        let read_whole = dear.iter().filter(|path| !path.contains("events"));
        let read_whole: Vec<_> = read_whole.cloned().collect();
        let connections = self.args.connections.saturating_mul(addresses.len());
        let few = 16usize.saturating_mul(addresses.len());
        let lasting = Duration::from_secs(self.args.seconds);
        for (name, clients, what) in [
            ("silent, or slow with their heads", connections, Harm::Slow),
            ("slow with their bodies", connections, Harm::SlowBody),
            ("oversized heads and bodies", connections, Harm::Oversized),
            (
                "deaf to their answers",
                connections,
                Harm::Deaf(dear.to_vec()),
            ),
            (
                "the dearest routes in a loop",
                few,
                Harm::Greedy(read_whole),
            ),
        ] {
            self.attack(&format!("{clients} clients: {name}"), |siege| {
                let status = || {
                    let client = siege.network.client(0).ok()?;
                    Some(Client::new(client.url()).status().map(drop))
                };
                let (answered, served) =
                    beside(status, || harm(&addresses, clients, &what, lasting))?;
                Ok(Outcome {
                    note: format!("{answered} answers read in full"),
                    served: Some(served),
                    cut_off: None,
                })
            })?;
        }
        Ok(())
    }

    fn listeners(&mut self) -> Result<(), Failure> {
        let client = self.network.client(0)?;
        let address = vec![client.url().replace("http://", "")];
        let (clients, lasting) = (usize::from(self.args.listeners), self.args.seconds);
        self.attack(
            &format!("{clients} listeners of events at one validator"),
            |siege| {
                let status = || Some(Client::new(client.url()).status().map(drop));
                let hold = || {
                    listen(
                        &address,
                        clients.saturating_add(8),
                        Duration::from_secs(lasting),
                    )
                };
                let ((heard, refused), served) = beside(status, hold)?;
                let told = heard.min(clients) == clients && refused > 0;
                let _ = siege;
                Ok(Outcome {
                    note: format!("{heard} were let in, {refused} more were refused with a reason"),
                    served: Some(served),
                    cut_off: Some(told),
                })
            },
        )
    }

    /// Fills an auction, and watches from its close until it has cleared.
    fn openings(&mut self) -> Result<(), Failure> {
        let count = self.args.openings;
        // Time to make the bids, and for blocks to take them in.
        let blocks = (count as u64).div_ceil(128).saturating_add(60);
        let window = blocks
            .saturating_mul(self.args.block_interval_ms)
            .div_ceil(1000);
        let making = (count as u64).div_ceil(400).saturating_add(5);
        let seconds = u32::try_from(window.saturating_add(making)).unwrap_or(u32::MAX);
        let (id, detail) = self.open_auction(seconds, 3)?;
        let bids = self.attested(count, &detail)?;
        self.submit(&id, &bids, count)?;
        let closes = detail.summary.phase_ends_at;
        let closes = closes.ok_or_else(|| lost("the bidding window has no end"))?;
        let watcher = self.network.client(0)?;
        let watched = self.args.seconds.saturating_mul(1000);
        let watched = watched
            .checked_div(self.args.block_interval_ms)
            .unwrap_or(0);
        let before = closes.0.saturating_sub(watched).saturating_sub(2);
        self.until("the auction is about to close", || {
            sleep(Duration::from_millis(100));
            (watcher.status().ok()?.height.0 >= before).then_some(())
        })?;
        self.attack(&format!("{count} sealed bids opened"), |siege| {
            let cleared = siege.until("the auction has cleared", || {
                sleep(Duration::from_millis(100));
                siege.summary(&id)?.ended_at
            })?;
            let blocks = cleared.0.saturating_sub(closes.0);
            Ok(Outcome::noted(&format!(
                "cleared {blocks} blocks after the close"
            )))
        })
    }

    /// Opens as many auctions as there may be.
    fn auctions(&mut self) -> Result<(), Failure> {
        let wanted = self.args.auctions;
        self.attack(&format!("{wanted} auctions open at once"), |siege| {
            let file = Crowd::auction(3600, 8)?;
            let opening = Opening {
                names: &siege.crowd.names,
                block_interval_ms: siege.crowd.opener.genesis.consensus.block_interval_ms,
                now: now(),
            };
            let spec = file
                .spec(&opening)
                .map_err(|p| Failure::new(format!("{}: {}", p.field, p.problem), p.next))?;
            let mut refused = 0usize;
            for turn in 0..wanted.div_ceil(MAX_LIVE_PER_OPENER) {
                let actor = Actor {
                    client: siege.network.client(turn)?.clone(),
                    genesis: siege.crowd.opener.genesis.clone(),
                    chain: siege.crowd.opener.chain,
                    key: SecretKey::from_seed(&mut random()?),
                };
                // One more than an opener may have.
                for sequence in 0..=MAX_LIVE_PER_OPENER as u64 {
                    let action = Action::OpenAuction(Box::new(spec.clone()));
                    let signed = SignedTx::new(&actor.chain, &actor.key, sequence, action);
                    let sent = actor.client.submit(&Transaction::Signed(Box::new(signed)));
                    refused = refused.saturating_add(usize::from(sent.is_err()));
                }
            }
            let live = siege.until("the auctions are open", || {
                sleep(Duration::from_millis(200));
                let all = siege.network.client(0).ok()?.auctions().ok()?;
                let live = all.iter().filter(|it| it.ended_at.is_none()).count();
                (live >= wanted.min(MAX_LIVE)).then_some(live)
            })?;
            Ok(Outcome {
                note: format!(
                    "{live} live, {refused} refused at once, the rest when their block came"
                ),
                served: None,
                cut_off: Some(live <= MAX_LIVE),
            })
        })
    }
}

impl Outcome {
    fn noted(note: &str) -> Self {
        Outcome {
            note: note.to_owned(),
            served: None,
            cut_off: None,
        }
    }
}

/// Submits a bid, again for as long as there is no room for it.
fn submit_until_taken(client: &Client, bid: &Bid) -> Result<(), Failure> {
    let tx = Transaction::Bid(Box::new(bid.clone()));
    let began = Instant::now();
    loop {
        let full = |it: &Failure| {
            ["busy", "mempool_full", "peer_limit"]
                .iter()
                .any(|code| it.is_code(code))
        };
        match client.submit(&tx) {
            Err(failure) if full(&failure) && began.elapsed() < PATIENCE => {
                sleep(Duration::from_millis(100));
            }
            answer => return answer.map(drop),
        }
    }
}

fn on_terminal(rows: &[Row], memory_mib: &[u64]) {
    let mut table = Table::new([
        "attack",
        "blocks/s before",
        "during",
        "ratio",
        "longest gap ms",
        "others served",
        "p95 ms",
        "MiB",
        "what became of it",
    ]);
    for row in rows {
        let served = row.served.as_ref();
        table.row([
            row.attack.clone(),
            format!("{:.2}", row.before.blocks_per_second),
            format!("{:.2}", row.during.blocks_per_second),
            format!("{:.2}", row.ratio),
            row.during.longest_gap_ms.to_string(),
            served.map_or("-".into(), |it| {
                format!("{} of {}", it.asked.saturating_sub(it.refused), it.asked)
            }),
            served.map_or("-".into(), |it| format!("{:.0}", it.p95_ms)),
            row.memory_mib.to_string(),
            row.note.clone(),
        ]);
    }
    out::say(format_args!("\n{}", table.to_string().trim_end()));
    out::say(format_args!(
        "\nmost memory held, by validator: {memory_mib:?} MiB"
    ));
}
