//! A machine's whole way, as its operator would go it, on four validator processes: what it has, attested, proved, sealed, won, run,
//! delivered, confirmed, and certified for a stranger.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod common;

use common::{Peer, Ran, run, tender, until};
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    path::Path,
    process::{Child, Command, Stdio},
};
use tender_p2p::{agent::client::Client, cli::place::Place};

/// A standing agent; killed when dropped.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What an agent runs for each assignment, from the command line.
fn agent(home: &Path, prices: &Path, command: &str) -> Agent {
    let log = File::create(home.join("agent.log")).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_tender"))
        .arg("agent")
        .arg("--home")
        .arg(home)
        .arg("--prices")
        .arg(prices)
        .args(["--on-assigned", command])
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    Agent(child)
}

fn write(path: &Path, value: &Value) {
    fs::write(path, value.to_string()).unwrap();
}

#[test]
fn this_machine_is_attested_wins_runs_its_command_and_is_confirmed() {
    let dir = tempfile::tempdir().unwrap();
    let (root, net) = (dir.path(), dir.path().join("net"));
    let flags =
        "testnet --validators 4 --followers 0 --agents ann --block-interval-ms 250 --output";
    tender(flags.split(' ').chain([net.to_str().unwrap()])).ok();
    let home = |who: &str| net.join(who);
    let mut peers: Vec<_> = (0..4)
        .map(|i| Peer::start(&home(&format!("validator-{i}"))))
        .collect();
    peers.push(Peer::start(&home("agent-ann"))); // her own: it trusts nobody
    let client = |who: &str| -> Option<Client> { Place::at(&home(who)).client().ok() };
    for who in ["validator-0", "agent-ann"] {
        until("the peers are connected", || {
            client(who)
                .and_then(|client| client.status().ok())
                .is_some_and(|status| status.peers >= 3)
        });
    }
    let api = client("validator-0").unwrap();
    let as_ = |who: &str, line: &str| -> Ran {
        let home = home(who);
        run(&format!(
            "{line} --home {} --api {}",
            home.display(),
            api.url()
        ))
    };

    // What this machine really has; its region and skills nobody can see.
    let inventory = root.join("machine.json");
    let line = "inventory --serial this-machine --region uk --skill docker --output";
    tender(line.split(' ').chain([inventory.to_str().unwrap()])).ok();
    let seen: Value = serde_json::from_slice(&fs::read(&inventory).unwrap()).unwrap();
    let cpu = seen["attributes"]["cpu_milli"].as_u64().unwrap();
    let cores = std::thread::available_parallelism().unwrap().get() as u64;
    assert!(cpu >= cores * 1000, "{seen}");
    assert!(
        seen["attributes"]["memory_mib"].as_u64().unwrap() >= 512,
        "{seen}"
    );

    // An issuer attests it, to ann and for her eyes only.
    let keys = run(&format!(
        "keys show --json --home {}",
        home("agent-ann").display()
    ))
    .json();
    let credential = home("agent-ann").join("credentials/this-machine.json");
    let line = format!(
        "issuer attest --inventory {} --holder {} --output {}",
        inventory.display(),
        keys["agent"].as_str().unwrap(),
        credential.display()
    );
    as_("issuer-acme-labs", &line).ok();
    let handed_over = fs::read_to_string(&credential).unwrap();
    assert!(!handed_over.contains("cpu_milli"), "{handed_over}");

    // Her agent waits for work; somebody has some.
    let prices = root.join("prices.json");
    write(
        &prices,
        &json!({ "base": 100, "types": { "resources/v1": { "per_unit": { "cpu_milli": { "price": 200, "per": 1000 } } } } }),
    );
    let command = "cat >\"$TENDER_HOME/seen.json\"; echo \"done: $TENDER_TASK\"";
    let standing = agent(&home("agent-ann"), &prices, command);
    let auction = root.join("auction.json");
    write(
        &auction,
        &json!({
            "title": "one night", "bidding_seconds": 15, "lease_seconds": 3600,
            "classes": { "batch": { "requires": [{ "type": "resources/v1",
                "needs": { "cpu_milli": 1000, "memory_mib": 256, "skills": ["docker"] }, "evidence": ["proof"] }] } },
            "tasks": [{ "name": "index", "class": "batch", "reserve": 1000 }],
        }),
    );
    let opened = as_(
        "opener",
        &format!("auction open {} --json", auction.display()),
    )
    .json();
    let id = opened["auction"].as_str().unwrap().to_owned();

    // Proved, sealed, won, accepted, run, delivered: without a hand.
    let award = || {
        let shown = as_("opener", &format!("auction show {id} --json")).json();
        shown["awards"][0].clone()
    };
    until("the result is delivered", || {
        award().to_string().contains("delivered")
    });
    let delivered = award();
    assert_eq!(delivered["bidder"], keys["agent"]);
    let result = tender_p2p::agent::result_hash(b"done: index\n").to_string();
    assert!(
        delivered.to_string().contains(&result),
        "{delivered} {result}"
    );
    let line = format!("confirm {id} --task index");
    as_("opener", &line).ok();
    until("the opener's word is in a block", || {
        let shown = as_("opener", &format!("auction show {id} --json")).json();
        shown.to_string().contains("confirmed")
    });
    drop(standing);

    // The command saw the certificate, which a stranger checks with the genesis file alone.
    let certificate = home("agent-ann").join("seen.json");
    let line = format!(
        "verify {} --genesis {}",
        certificate.display(),
        net.join("genesis.json").display()
    );
    assert!(run(&line).ok().contains("holds"));
    for peer in &mut peers {
        peer.kill();
    }
    let line = format!(
        "audit --genesis {} --home {}",
        net.join("genesis.json").display(),
        home("validator-3").display()
    );
    run(&line).ok();
}
