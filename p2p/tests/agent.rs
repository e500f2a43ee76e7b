//! A standing agent on a network of one validator: it wins, runs its command and delivers though it is killed twice on the way; it takes
//! over as a runner-up, sits out a lost peer, and leaves a command that always fails.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod common;

use common::{Peer, run, tender, until};
use serde_json::json;
use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};
use tender_auction::outcome::{AwardState, OutcomeRecord};
use tender_p2p::{
    agent::{client::Client, result_hash},
    api::types::AuctionDetail,
    cli::place::Place,
};

struct Net {
    dir: tempfile::TempDir,
    _peer: Peer,
    api: Client,
}

impl Net {
    fn new() -> Net {
        let dir = tempfile::tempdir().unwrap();
        let net = dir.path().join("net");
        let output = net.to_str().unwrap();
        let flags = "--validators 1 --followers 0 --agents ann,bob --block-interval-ms 200";
        tender(
            ["testnet", "--output", output]
                .into_iter()
                .chain(flags.split(' ')),
        )
        .ok();
        let home = net.join("validator-0");
        let peer = Peer::start(&home);
        let client = || Place::at(&home).client();
        until("the peer is up", || {
            client().and_then(|c| c.status()).is_ok()
        });
        let api = client().unwrap();
        Net {
            dir,
            _peer: peer,
            api,
        }
    }

    fn home(&self, who: &str) -> PathBuf {
        self.dir.path().join("net").join(who)
    }

    fn write(&self, name: &str, value: &serde_json::Value) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, value.to_string()).unwrap();
        path.display().to_string()
    }

    fn as_(&self, who: &str, line: &str) -> common::Ran {
        let home = self.home(who);
        run(&format!(
            "{line} --home {} --api {}",
            home.display(),
            self.api.url()
        ))
    }

    fn attest(&self, who: &str, serial: &str, flags: &str) {
        let home = self.home(who);
        let keys = run(&format!("keys show --json --home {}", home.display())).json();
        let attributes =
            json!({ "cpu_milli": 10000, "gpu_model": "none", "region": "uk", "skills": "docker" });
        let machine = self.write(
            "machine.json",
            &json!({ "serial": serial, "attributes": attributes }),
        );
        let credentials = home.join("credentials");
        std::fs::create_dir_all(&credentials).unwrap();
        let output = credentials.join(format!("{serial}.json"));
        let line = format!(
            "issuer attest {machine} --holder {} --output {} {flags}",
            keys["agent"].as_str().unwrap(),
            output.display()
        );
        self.as_("issuer-acme-labs", &line).ok();
    }

    /// Opens an auction of tasks with these reserves.
    fn open(&self, bidding_seconds: u32, tasks: &[(&str, u64)]) -> String {
        let needs = json!({ "cpu_milli": 4000, "skills": ["docker"] });
        let requires = json!([{ "type": "resources/v1", "needs": needs, "evidence": ["proof", "attestation"] }]);
        let tasks = tasks
            .iter()
            .map(|(name, reserve)| json!({ "name": name, "class": "small", "reserve": reserve }));
        let file = self.write("auction.json", &json!({
            "title": "work", "bidding_seconds": bidding_seconds, "accept_seconds": 4, "lease_seconds": 3600,
            "classes": { "small": { "requires": requires } }, "tasks": tasks.collect::<Vec<_>>(),
        }));
        let opened = self
            .as_("opener", &format!("auction open {file} --json"))
            .json();
        opened["auction"].as_str().unwrap().to_owned()
    }

    fn auction(&self, id: &str) -> AuctionDetail {
        self.api.auction(&id.parse().unwrap()).unwrap()
    }

    /// Starts an agent; every task of class "small" costs 400.
    fn agent(&self, who: &str, command: &str, flags: &str) -> Agent {
        let per_unit = json!({ "cpu_milli": { "price": 75, "per": 1000 } });
        let prices = json!({ "base": 100, "types": { "resources/v1": { "per_unit": per_unit } } });
        let prices = self.write("prices.json", &prices);
        let home = self.home(who);
        let log = home.join("agent.log");
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_tender"))
            .args(["agent", "--prices", &prices, "--on-assigned", command])
            .args(["--api", self.api.url(), "--home"])
            .arg(&home)
            .args(flags.split_whitespace())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .unwrap();
        Agent { child, log }
    }
}

/// An agent process; killed when dropped.
struct Agent {
    child: Child,
    log: PathBuf,
}

impl Agent {
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until the log says something so many times.
    fn says(&self, text: &str, times: usize) {
        until(&format!("the agent says `{text}`: {}", self.log()), || {
            self.log().matches(text).count() >= times
        });
    }

    /// Its exit code, once it has ended by itself.
    fn ended(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(path: &Path) -> usize {
    std::fs::read_to_string(path).map_or(0, |text| text.lines().count())
}

#[test]
fn killed_before_the_clearing_and_in_its_command_it_bids_once_and_delivers_once() {
    let net = Net::new();
    net.attest("agent-ann", "ann-box", "");
    let home = net.home("agent-ann");
    let command = "echo run >>\"$TENDER_HOME/runs\"; until test -e \"$TENDER_HOME/go\"; do sleep 0.05; done; \
        echo \"$TENDER_TASK for $TENDER_PAYMENT\"; cat";
    let agent = net.agent("agent-ann", command, "--auctions 1");
    agent.says("bidding on chain", 1);
    let id = net.open(10, &[("index", 900), ("mirror", 399)]);

    // Killed as soon as it has sent its bid.
    agent.says("bid with ann-box for 1 tasks", 1);
    agent.kill();
    let agent = net.agent("agent-ann", command, "--auctions 1");
    agent.says("the bid with ann-box is in", 1);
    let live = net.auction(&id).live_bids;
    assert_eq!((live.len(), live[0].sequence), (1, 0));
    // A second agent on the home is told who has it.
    let second = net.agent("agent-ann", command, "");
    second.says("already in use by process", 1);
    assert_eq!(second.ended(), Some(1));

    // Killed while its command runs, after it has accepted: the command is run again.
    until("the command runs", || lines(&home.join("runs")) == 1);
    assert_eq!(net.auction(&id).awards[0].state, AwardState::Accepted);
    agent.kill();
    let agent = net.agent("agent-ann", command, "--auctions 1");
    until("the command runs again", || lines(&home.join("runs")) == 2);
    std::fs::write(home.join("go"), "").unwrap();
    agent.says("index delivered", 1);
    until("it is delivered", || {
        matches!(
            net.auction(&id).awards[0].state,
            AwardState::Delivered { .. }
        )
    });

    // What was delivered is the hash of the recorded output, which begins as the command's and ends with the certificate.
    let award = net.auction(&id).awards[0].clone();
    let job = home.join(format!("agent/jobs/{id}/{}-{}", award.task, award.bid));
    let output = std::fs::read(job.join("output")).unwrap();
    assert_eq!(
        award.state,
        AwardState::Delivered {
            result: result_hash(&output)
        }
    );
    let certificate = output.strip_prefix(b"index for 900\n").unwrap();
    let path = net.dir.path().join("certificate.json");
    std::fs::write(&path, certificate).unwrap();
    let genesis = net.dir.path().join("net/genesis.json");
    let said = run(&format!(
        "verify {} --genesis {}",
        path.display(),
        genesis.display()
    ))
    .ok();
    assert!(said.contains("won, to be paid 900"), "{said}");

    // The opener confirms; the agent has seen its auction end.
    net.as_("opener", &format!("confirm {id} --task index"))
        .ok();
    assert_eq!(agent.ended(), Some(0));
    let detail = net.auction(&id);
    let entries = detail
        .outcomes
        .iter()
        .filter(|it| matches!(it, OutcomeRecord::Entry(_)));
    assert_eq!(
        entries.count(),
        1,
        "one bid, for the task that is worth its price"
    );
    assert!(
        !detail
            .outcomes
            .iter()
            .any(|it| matches!(it, OutcomeRecord::Bid(_)))
    );
    let delivered = |it: &&OutcomeRecord| matches!(it, OutcomeRecord::Award(step) if matches!(step.state, AwardState::Delivered { .. }));
    assert_eq!(detail.outcomes.iter().filter(delivered).count(), 1);
    assert_eq!(lines(&home.join("runs")), 2);
}
