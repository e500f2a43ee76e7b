//! What came of it: tables for people, and the same as data.

use super::{
    cast::Cast,
    cheats::Attempt,
    stage::{Player, Stage},
    timeline::{Timeline, Topic},
};
use crate::{
    api::types::AuctionDetail,
    cli::{
        auction::{entries, units},
        client::{Client, Wanted},
        error::Failure,
        out,
        table::Table,
        testnet::Testnet,
        verify::{Trusted, Verdict, verify_file},
        words::{Reader, task_of},
    },
    documents::{Access, write_bytes},
};
use serde::Serialize;
use std::path::{Path, PathBuf};
use tender_auction::{
    bid::Bid,
    outcome::{EntryOutcome, OutcomeRecord, UnitOutcome},
};
use tender_circuits::EvidenceKind;
use tender_wire::{AuctionId, BidId, Height, Price, PublicKey};

/// Where the certificates go.
const CERTIFICATES: &str = "certificates";

/// The result as data: the shape of `--json`.
#[derive(Clone, Debug, Serialize)]
pub struct Data {
    /// The auction.
    pub auction: AuctionId,
    /// Every task unit.
    pub tasks: Vec<UnitRow>,
    /// Every bid entry.
    pub entries: Vec<EntryRow>,
    /// What the cheats tried.
    pub refused: Vec<Attempt>,
    /// Certificate files.
    pub certificates: Vec<PathBuf>,
    /// What `verify` said of each.
    pub verdicts: Vec<Verdict>,
    /// The genesis file.
    pub genesis: PathBuf,
    /// The first validator's API.
    pub api: String,
    /// How long what took.
    pub timings: Timings,
}

/// A task unit.
#[derive(Clone, Debug, Serialize)]
pub struct UnitRow {
    /// The task's name.
    pub task: String,
    /// Its class.
    pub class: String,
    /// The unit, from 0.
    pub unit: u32,
    /// The task's reserve price.
    pub reserve: Price,
    /// Who won it.
    pub winner: Option<String>,
    /// With which machine.
    pub machine: Option<String>,
    /// What the winner is paid.
    pub payment: Option<Price>,
    /// First runner-up.
    pub runner_up: Option<String>,
    /// How it ended, as committed.
    pub outcome: UnitOutcome,
    /// How it ended, in words.
    pub reason: String,
}

/// A bid entry.
#[derive(Clone, Debug, Serialize)]
pub struct EntryRow {
    /// Who bid.
    pub bidder: String,
    /// Its key.
    pub key: PublicKey,
    /// The bid.
    pub bid: BidId,
    /// For which task; `None` for a bid that is out as a whole.
    pub task: Option<String>,
    /// Price asked.
    pub price: Option<Price>,
    /// Price asked and outcome as committed.
    pub outcome: serde_json::Value,
    /// How it ended, in words.
    pub reason: String,
}

/// How long what took.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Timings {
    /// Keys, genesis, proving key.
    pub setup_seconds: f64,
    /// Starting every peer until all are connected.
    pub peers_seconds: f64,
    /// Attesting every machine.
    pub attest_seconds: f64,
    /// All bids and cheats.
    pub bidding_seconds: f64,
    /// One bid: seal, prove, sign, commit.
    pub bid_seconds_mean: f64,
    /// From the closing block to the clearing block.
    pub close_to_clear_seconds: f64,
    /// Accepting, delivering and confirming everything.
    pub life_seconds: f64,
    /// Fetching, writing and verifying the certificates.
    pub certificates_seconds: f64,
    /// From start to end.
    pub total_seconds: f64,
    /// Blocks committed.
    pub blocks: Height,
    /// Least distance of blocks, in milliseconds.
    pub block_interval_ms: u64,
}

/// The result, with what is needed to print it.
pub struct Report<'a> {
    stage: &'a Stage,
    net: &'a Testnet,
    detail: AuctionDetail,
    /// The result as data.
    pub data: Data,
}

impl<'a> Report<'a> {
    /// Reads the outcomes of a cleared auction.
    pub fn new(
        stage: &'a Stage,
        cast: &Cast,
        net: &'a Testnet,
        detail: &AuctionDetail,
        refused: Vec<Attempt>,
    ) -> Self {
        let call = |key: &PublicKey| stage.name_of(key);
        let reader = Reader {
            names: &stage.names,
            auction: detail,
            call: &call,
        };
        let data = Data {
            auction: detail.summary.auction,
            tasks: unit_rows(&reader, cast),
            entries: entry_rows(&reader),
            refused,
            certificates: Vec::new(),
            verdicts: Vec::new(),
            genesis: net.genesis_path.clone(),
            api: stage
                .validators
                .first()
                .map_or_else(String::new, |c| c.url().to_owned()),
            timings: Timings::default(),
        };
        Report {
            stage,
            net,
            detail: detail.clone(),
            data,
        }
    }

    /// Has a winner and a loser take away their certificates, and verifies the files with the genesis file alone.
    ///
    /// # Errors
    /// [`Failure`] if there is no winner or loser, or a certificate does not hold.
    pub fn certificates(&mut self, directory: &Path, timeline: &Timeline) -> Result<(), Failure> {
        let directory = directory.join(CERTIFICATES);
        std::fs::create_dir_all(&directory).map_err(|e| {
            Failure::new(
                format!("{}: {e}", directory.display()),
                "check that it is yours",
            )
        })?;
        for (role, won) in [("winner", true), ("loser", false)] {
            let (player, task, name) = self.somebody(won)?;
            let client: &Client = &player.actor.client;
            let key = player.actor.key.public();
            let certificate = client.certificate(
                &self.data.auction,
                &Wanted {
                    task: Some(task),
                    bidder: Some(key),
                    bid: None,
                },
            )?;
            let path = directory.join(format!("{role}-{}-{name}.json", player.name));
            write_bytes(&path, certificate.to_json().as_bytes(), Access::Public)?;
            let verdict = verify_file(&path, &self.net.genesis_path, &Trusted::default())?;
            timeline.say(
                Topic::Certificate,
                format_args!("{}'s certificate: {}", player.name, verdict.sentence()),
            );
            if !verdict.verified {
                return Err(Failure::refused(
                    verdict.sentence(),
                    "this is a bug: please report it",
                ));
            }
            self.data.certificates.push(path);
            self.data.verdicts.push(verdict);
        }
        Ok(())
    }

    /// A winner and one of its tasks; or a bidder that was outbid, if possible one that won nothing at all.
    fn somebody(&self, won: bool) -> Result<(&'a Player, u32, String), Failure> {
        let entries = || {
            self.detail
                .outcomes
                .iter()
                .filter_map(|record| match record {
                    OutcomeRecord::Entry(entry) => Some(entry),
                    _ => None,
                })
        };
        let has_won = |key: &PublicKey| {
            entries().any(|e| e.bidder == *key && matches!(e.outcome, EntryOutcome::Won { .. }))
        };
        let fitting = entries().filter(|entry| match entry.outcome {
            EntryOutcome::Won { .. } => won,
            EntryOutcome::Outbid { .. } => !won,
            _ => false,
        });
        let found = fitting.min_by_key(|entry| !won && has_won(&entry.bidder));
        let found = found.and_then(|entry| {
            let mut players = self.stage.agents.iter();
            let player = players.find(|p| p.actor.key.public() == entry.bidder)?;
            let task = task_of(&self.detail.spec, entry.task)?;
            Some((player, entry.task, task.name.clone()))
        });
        found.ok_or_else(|| Failure::new("there is no such outcome", "see fixtures/prices.json"))
    }

    /// Prints everything.
    pub fn print(&self, timeline: &Timeline) {
        let call = |key: &PublicKey| self.stage.name_of(key);
        let reader = Reader {
            names: &self.stage.names,
            auction: &self.detail,
            call: &call,
        };
        timeline.heading("Assignment (prices are invented)");
        out::say(units(&reader).to_string().trim_end());
        timeline.heading("Every bid entry");
        out::say(entries(&reader).to_string().trim_end());
        timeline.heading("What the cheats tried");
        let mut table = Table::new(["who", "tried", "refused by", "reason"]);
        for attempt in &self.data.refused {
            let Attempt {
                cheat,
                by,
                refused_by,
                reason,
                ..
            } = attempt;
            table.row([
                by.clone(),
                (*cheat).to_owned(),
                refused_by.clone(),
                reason.clone(),
            ]);
        }
        out::say(table.to_string().trim_end());
        timeline.heading("Certificates, checked with the genesis file alone");
        for verdict in &self.data.verdicts {
            out::say(format_args!(
                "  {}\n    {}",
                verdict.file.display(),
                verdict.sentence()
            ));
            out::say(format_args!(
                "    tender verify {} --genesis {}",
                verdict.file.display(),
                self.data.genesis.display()
            ));
        }
        let t = &self.data.timings;
        timeline.heading("Timings");
        out::say(format_args!(
            "  setup {:.1} s, peers {:.1} s, attesting {:.1} s, a bid {:.2} s, close to clearing {:.2} s, {} blocks, in all {:.1} s",
            t.setup_seconds,
            t.peers_seconds,
            t.attest_seconds,
            t.bid_seconds_mean,
            t.close_to_clear_seconds,
            t.blocks,
            t.total_seconds,
        ));
        out::say("");
    }
}

fn unit_rows(reader: &Reader<'_>, cast: &Cast) -> Vec<UnitRow> {
    let spec = &reader.auction.spec;
    let units = reader
        .auction
        .outcomes
        .iter()
        .filter_map(|record| match record {
            OutcomeRecord::Unit(unit) => Some(unit),
            _ => None,
        });
    let row = |unit: &tender_auction::outcome::UnitRecord| {
        let task = task_of(spec, unit.task);
        let class = task.and_then(|t| spec.classes.get(usize::from(t.class)));
        let (winner, payment, runner_up) = match &unit.outcome {
            UnitOutcome::Filled {
                bid,
                payment,
                runner_up,
                ..
            } => (
                Some(reader.bidder(bid)),
                Some(*payment),
                runner_up.map(|bid| reader.bidder(&bid)),
            ),
            _ => (None, None, None),
        };
        let machine = winner
            .as_ref()
            .and_then(|name| cast.agents.iter().find(|a| a.name == *name));
        UnitRow {
            task: reader.task(unit.task),
            class: class.map_or_else(String::new, |c| c.name.clone()),
            unit: unit.unit,
            reserve: task.map_or(Price(0), |t| t.reserve),
            machine: machine.map(|a| a.machine.serial.clone()),
            winner,
            payment,
            runner_up,
            reason: reader.unit(&unit.outcome),
            outcome: unit.outcome.clone(),
        }
    };
    units.map(row).collect()
}

fn entry_rows(reader: &Reader<'_>) -> Vec<EntryRow> {
    let json =
        |value: serde_json::Result<serde_json::Value>| value.unwrap_or(serde_json::Value::Null);
    let rows = reader
        .auction
        .outcomes
        .iter()
        .filter_map(|record| match record {
            OutcomeRecord::Entry(entry) => Some(EntryRow {
                bidder: (reader.call)(&entry.bidder),
                key: entry.bidder,
                bid: entry.bid,
                task: Some(reader.task(entry.task)),
                price: Some(entry.price),
                outcome: json(serde_json::to_value(&entry.outcome)),
                reason: reader.entry(entry),
            }),
            OutcomeRecord::Bid(bid) => Some(EntryRow {
                bidder: (reader.call)(&bid.bidder),
                key: bid.bidder,
                bid: bid.bid,
                task: None,
                price: None,
                outcome: json(serde_json::to_value(&bid.reason)),
                reason: reader.bid(bid),
            }),
            _ => None,
        });
    rows.collect()
}

/// "2 proofs", "an attestation".
pub fn kinds(bid: &Bid) -> String {
    let count = |kind| {
        bid.content
            .evidences
            .iter()
            .filter(|e| e.kind() == kind)
            .count()
    };
    match (count(EvidenceKind::Proof), count(EvidenceKind::Attestation)) {
        (0, _) => "an attestation in plain".into(),
        (1, 0) => "a proof".into(),
        (n, 0) => format!("{n} proofs"),
        (n, m) => format!("{n} proofs and {m} attestations"),
    }
}
