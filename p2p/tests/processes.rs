//! One auction on separate processes: four validators and a follower, one validator killed while bids arrive.
//!
//! THREATS P1 (kill -9), B13 (sync), and the promises of DESIGN 1: same blocks, same outcomes, certificates a stranger can check.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod common;

use common::{Peer, run, tender, until};
use std::{collections::BTreeMap, path::Path};
use tender_circuits::EvidenceKind;
use tender_p2p::{
    agent::{
        actor::Actor,
        bidding::Bidder,
        client::Client,
        issuing::{self, Request},
        prover::Prover,
    },
    api::types::Phase,
    cli::{auction::now, place::Place},
    documents::{bid::BidFile, credential::CredentialFile, inventory::InventoryFile, names::Names},
};
use tender_wire::{AuctionId, Height, UnixTime};

const AGENTS: usize = 16;
const MACHINES_EACH: usize = 4;
/// Agents whose first machine bids with a proof; all else bids with attestations, which cost no time.
const PROVERS: usize = 6;
const TASKS: usize = 12;

fn client(home: &Path) -> Client {
    Place::at(home).client().unwrap()
}

fn machine(agent: usize, index: usize) -> InventoryFile {
    serde_json::from_value(serde_json::json!({
        "serial": format!("box-{agent}-{index}"),
        "attributes": { "cpu_milli": 64000, "memory_mib": 262144, "gpu_model": "none", "region": "eu-west", "skills": ["docker"] },
    }))
    .unwrap()
}

/// Twelve tasks of two classes, one open to attestations, one for proofs alone.
fn auction_file() -> serde_json::Value {
    let needs = serde_json::json!({ "cpu_milli": 8000, "memory_mib": 16384, "skills": "docker" });
    let tasks: Vec<_> = (0..TASKS)
        .map(|i| serde_json::json!({ "name": format!("job-{i}"), "class": if i < 10 { "open" } else { "proven" }, "reserve": 1000, "quantity": 1 + i % 3 }))
        .collect();
    serde_json::json!({
        "title": "separate processes", "bidding_seconds": 10, "lease_seconds": 3600,
        "classes": {
            "open": { "requires": [{ "type": "resources/v1", "needs": needs, "evidence": ["proof", "attestation"] }] },
            "proven": { "requires": [{ "type": "resources/v1", "needs": needs }] },
        },
        "tasks": tasks,
    })
}

/// Credentials of one agent's machines.
fn attest(issuer: &Actor, names: &Names, agent: usize, holder: &Actor) -> Vec<CredentialFile> {
    let machines: Vec<_> = (0..MACHINES_EACH)
        .map(|index| machine(agent, index))
        .collect();
    let requests: Vec<_> = machines
        .iter()
        .enumerate()
        .map(|(index, machine)| Request {
            holder: holder.key.public(),
            machine,
            from: now(),
            until: UnixTime(now().0 + 86_400),
            kind: if is_proven(agent, index) {
                EvidenceKind::Proof
            } else {
                EvidenceKind::Attestation
            },
        })
        .collect();
    issuing::attest(issuer, names, &requests)
        .unwrap()
        .into_iter()
        .map(|(file, _)| file)
        .collect()
}

fn is_proven(agent: usize, index: usize) -> bool {
    agent < PROVERS && index == 0
}

fn bid_file(agent: usize, index: usize) -> BidFile {
    let proven = is_proven(agent, index);
    let tasks = if proven { 0..TASKS } else { 0..10 };
    let price = |task: usize| 300 + (agent * 37 + index * 101 + task * 53) as u64 % 600;
    BidFile {
        machine: Some(format!("box-{agent}-{index}")),
        slots: BTreeMap::from_iter(
            [("open".into(), 4)]
                .into_iter()
                .chain(proven.then(|| ("proven".into(), 2))),
        ),
        prices: tasks
            .map(|task| (format!("job-{task}"), price(task)))
            .collect(),
        claim: None,
        hide_issuer: false,
    }
}

#[test]
fn an_auction_on_processes_survives_a_kill_and_convinces_a_stranger() {
    let started = std::time::Instant::now();
    let step = |what: &str| eprintln!("{:6.1} s  {what}", started.elapsed().as_secs_f64());
    let dir = tempfile::tempdir().unwrap();
    let net = dir.path().join("net");
    let names: Vec<_> = (0..AGENTS).map(|i| format!("a{i}")).collect();
    let written = tender([
        "testnet",
        "--validators",
        "4",
        "--followers",
        "1",
        "--issuers",
        "acme",
        "--agents",
        &names.join(","),
        "--block-interval-ms",
        "250",
        "--json",
        "--output",
        net.to_str().unwrap(),
    ])
    .json();
    let homes = |key: &str| -> Vec<std::path::PathBuf> {
        serde_json::from_value(written[key].clone()).unwrap()
    };
    let (validators, followers) = (homes("validators"), homes("followers"));
    let peer_homes: Vec<_> = validators.iter().chain(&followers).collect();
    let mut peers: Vec<_> = peer_homes.iter().map(|home| Peer::start(home)).collect();
    for home in &peer_homes {
        until("every peer is up", || {
            Place::at(home)
                .client()
                .and_then(|c| c.status())
                .is_ok_and(|s| s.peers >= 3)
        });
    }
    let apis: Vec<_> = peer_homes.iter().map(|home| client(home)).collect();

    step("five processes are connected");
    // Attested through one validator, opened from the command line through the follower.
    let actor = |name: &str, api: &Client| {
        Place {
            home: Some(net.join(name)),
            api: Some(api.url().into()),
        }
        .actor()
        .unwrap()
    };
    let issuer = actor("issuer-acme", &apis[0]);
    let chain_names = Place::default().names(&issuer.client).unwrap();
    let agents: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(i, name)| actor(&format!("agent-{name}"), &apis[i % 3]))
        .collect();
    let credentials: Vec<_> = agents
        .iter()
        .enumerate()
        .map(|(i, agent)| attest(&issuer, &chain_names, i, agent))
        .collect();
    let file = dir.path().join("auction.json");
    std::fs::write(&file, auction_file().to_string()).unwrap();
    let opened = tender([
        "auction",
        "open",
        file.to_str().unwrap(),
        "--json",
        "--home",
        net.join("opener").to_str().unwrap(),
        "--api",
        apis[4].url(),
    ])
    .json();
    let auction: AuctionId = serde_json::from_value(opened["auction"].clone()).unwrap();
    let phase = |api: &Client| api.auction(&auction).map(|d| d.summary.phase);
    until("bidding begins", || {
        apis[..3]
            .iter()
            .all(|api| phase(api).is_ok_and(|p| p == Phase::Bidding))
    });

    step("bidding has begun");
    // 64 sealed bids; one validator dies while they arrive.
    let detail = apis[0].auction(&auction).unwrap();
    let prover = Prover::in_home(&net.join("opener"));
    std::thread::scope(|scope| {
        for (i, (agent, held)) in agents.iter().zip(&credentials).enumerate() {
            let (detail, chain_names, prover) = (&detail, &chain_names, &prover);
            scope.spawn(move || {
                let bidder = Bidder {
                    actor: agent,
                    prover,
                    credentials: held,
                    names: chain_names,
                };
                for index in 0..MACHINES_EACH {
                    bidder.bid(detail, &bid_file(i, index)).unwrap();
                }
            });
        }
        until("a fifth of the bids are in", || {
            apis[0]
                .auction(&auction)
                .is_ok_and(|d| d.live_bids.len() >= 12)
        });
        peers[3].kill();
    });
    assert_eq!(
        apis[0].auction(&auction).unwrap().live_bids.len(),
        AGENTS * MACHINES_EACH
    );
    step("every bid is in");
    until("the auction clears with one validator dead", || {
        apis[..3]
            .iter()
            .chain(&apis[4..])
            .all(|api| phase(api).is_ok_and(|p| p == Phase::Cleared))
    });

    step("cleared with one validator dead");
    // Restarted, it catches up and votes again.
    peers[3] = Peer::start(&validators[3]);
    let tip = apis[0].status().unwrap().height;
    until("the restarted validator catches up", || {
        Place::at(&validators[3])
            .client()
            .and_then(|c| c.status())
            .is_ok_and(|s| s.height >= tip && s.voting)
    });
    let apis: Vec<_> = peer_homes.iter().map(|home| client(home)).collect();
    peers[0].kill(); // now nothing commits without the restarted one
    let winner = apis[1].auction(&auction).unwrap().awards[0].clone();
    let index = agents
        .iter()
        .position(|a| a.key.public() == winner.bidder)
        .unwrap();
    let home = net.join(format!("agent-{}", names[index]));
    let task = format!("job-{}", winner.task);
    let (home, id) = (home.to_str().unwrap(), auction.to_string());
    run(&format!(
        "accept {id} --task {} --home {home} --api {}",
        winner.task,
        apis[1].url()
    ))
    .ok();
    peers[0] = Peer::start(&validators[0]);

    step("the restarted validator was needed, and voted");
    // Same blocks, same states, same outcomes everywhere.
    let tip = apis[1].status().unwrap().height;
    until("everybody has the last block", || {
        peer_homes.iter().all(|home| {
            Place::at(home)
                .client()
                .and_then(|c| c.status())
                .is_ok_and(|s| s.height >= tip)
        })
    });
    let apis: Vec<_> = peer_homes.iter().map(|home| client(home)).collect();
    let expected = apis[0].auction(&auction).unwrap().outcomes;
    assert!(expected.len() > AGENTS * MACHINES_EACH);
    for api in &apis {
        assert_eq!(api.auction(&auction).unwrap().outcomes, expected);
        for height in 1..=tip.0 {
            assert_eq!(
                api.block(Height(height)).unwrap(),
                apis[0].block(Height(height)).unwrap(),
                "height {height}"
            );
        }
    }

    step("everybody agrees");
    // Certificates: a winner's and a loser's, from the follower, checked where no peer runs.
    let alone = dir.path().join("stranger");
    std::fs::create_dir(&alone).unwrap();
    let genesis = alone.join("genesis.json");
    std::fs::copy(net.join("genesis.json"), &genesis).unwrap();
    let genesis = genesis.to_str().unwrap();
    let follower = apis[4].url();
    let loser = expected.iter().find_map(|record| match record {
        tender_auction::outcome::OutcomeRecord::Entry(e)
            if matches!(
                e.outcome,
                tender_auction::outcome::EntryOutcome::Outbid { .. }
            ) =>
        {
            Some(e.clone())
        }
        _ => None,
    });
    let loser = loser.unwrap();
    let (won, lost) = (alone.join("won.json"), alone.join("lost.json"));
    run(&format!(
        "certificate {id} --task {task} --output {} --api {follower}",
        won.display()
    ))
    .ok();
    run(&format!(
        "certificate {id} --task {} --bid {} --output {} --api {follower}",
        loser.task,
        loser.bid,
        lost.display()
    ))
    .ok();
    drop(peers);
    for (path, says) in [(&won, "won, to be paid"), (&lost, "lost: outbid")] {
        let said = run(&format!("verify {} --genesis {genesis}", path.display())).ok();
        assert!(said.contains(says), "{said}");
        let bytes = std::fs::read(path).unwrap();
        let bad = alone.join("flipped.json");
        let step = bytes.len() / 16;
        for at in (0..bytes.len())
            .step_by(step.max(1))
            .chain([bytes.len() - 1])
        {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            std::fs::write(&bad, &flipped).unwrap();
            run(&format!("verify {} --genesis {genesis}", bad.display()))
                .fails(3, &["does not hold"]);
        }
    }

    step("certificates checked");
    // The audit agrees, from the follower's store and from a file of blocks.
    let blocks = alone.join("blocks");
    let audited = run(&format!(
        "audit --genesis {genesis} --home {} --save {} --json",
        followers[0].display(),
        blocks.display()
    ))
    .json();
    assert!(
        audited["height"].as_u64().unwrap() >= tip.0
            && audited["opened"] == 64
            && audited["cleared"] == 1,
        "{audited}"
    );
    run(&format!(
        "audit --genesis {genesis} --blocks {}",
        blocks.display()
    ))
    .ok();
    let mut bytes = std::fs::read(&blocks).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&blocks, &bytes).unwrap();
    run(&format!(
        "audit --genesis {genesis} --blocks {}",
        blocks.display()
    ))
    .fails(3, &["does not hold"]);
}
