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
    peer: Peer,
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
        Net { dir, peer, api }
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

    /// Its exit code after SIGINT.
    fn interrupted(self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-INT", &pid])
                .status()
                .unwrap()
                .success()
        );
        self.ended()
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

#[test]
fn a_runner_up_takes_over_a_lost_peer_is_sat_out_and_a_failing_command_is_left() {
    let mut net = Net::new();
    net.attest("agent-ann", "ann-box", "--attestation");
    net.attest("agent-bob", "bob-box", "--attestation");
    let home = net.home("agent-ann");
    let command = "test \"$TENDER_TASK\" != bad && echo fine";
    let agent = net.agent("agent-ann", command, "");
    let id = net.open(8, &[("good", 900), ("bad", 900)]);
    agent.says("bid with ann-box for 2 tasks", 1);
    let bid = format!("bid {id} --price good=300");
    net.as_("agent-bob", &bid).ok();

    // Bob wins "good" and does nothing; "bad" is ann's.
    agent.says("won bad for", 1);

    // The peer is lost, and comes back.
    let port = net.api.url().rsplit(':').next().unwrap().to_owned();
    net.peer.kill();
    agent.says("no answer from", 1);
    net.peer = Peer::start_with(&net.home("validator-0"), &["--api-port", &port]);
    agent.says("answers", 1);

    // The command of "bad" always fails.
    agent.says("the command failed 3 times and is left", 1);

    // Blocks go on with the next auction: bob's time is up, and ann is the runner-up.
    net.open(8, &[("more", 900)]);
    agent.says("good delivered", 1);
    let delivered = |it: &tender_p2p::api::types::Award| {
        it.task == 0
            && it.payment.0 == 400
            && it.state
                == AwardState::Delivered {
                    result: result_hash(b"fine\n"),
                }
    };
    until("it is delivered", || {
        net.auction(&id).awards.iter().any(delivered)
    });
    let award = net.auction(&id).awards.into_iter().find(delivered).unwrap();
    let certificate = home.join(format!("agent/jobs/{id}/0-{}/certificate.json", award.bid));
    let genesis = net.dir.path().join("net/genesis.json");
    let said = run(&format!(
        "verify {} --genesis {}",
        certificate.display(),
        genesis.display()
    ))
    .ok();
    assert!(
        said.contains("task 0") && said.contains("assigned"),
        "{said}"
    );

    // An interrupt ends it well; what was left is tried again when asked for.
    assert_eq!(agent.interrupted(), Some(0));
    let agent = net.agent("agent-ann", "echo better", "--retry");
    agent.says("bad delivered", 1);
}
