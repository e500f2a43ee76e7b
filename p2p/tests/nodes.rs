//! Whole peers in one process, over loopback and real disks: they agree, catch up, restart, and keep to their chain.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use libp2p::{Multiaddr, identity::Keypair};
use std::{path::Path, time::Duration};
use tempfile::TempDir;
use tender_auction::{
    genesis::{Genesis, GenesisValidator, Issuer, Openers},
    seal::SealSeed,
    transaction::{Action, SignedTx, Transaction},
};
use tender_p2p::{
    config::ApiSection,
    node::{Node, NodeConfig, NodeHandle, NodeKeys, ValidatorKeys},
};
use tender_wire::{FieldBytes, Height, Power, SecretKey, TimeMs};
use tokio::time::{sleep, timeout};

/// No step here takes longer, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn secret(i: u8) -> SecretKey {
    SecretKey::from_seed(&mut [i; 32])
}

fn issuer() -> SecretKey {
    secret(200)
}

fn genesis(name: &str, validators: u8) -> Genesis {
    let mut set: Vec<_> = (1..=validators)
        .map(|i| GenesisValidator {
            name: format!("v{i}"),
            key: secret(i).public(),
            power: Power(1),
        })
        .collect();
    set.sort_by_key(|v| v.key);
    Genesis {
        version: tender_auction::genesis::VERSION,
        name: name.into(),
        time: TimeMs(1_700_000_000_000),
        block_interval_ms: 100,
        allow_insecure_setup: true,
        validators: set,
        issuers: vec![Issuer {
            name: "lab".into(),
            key: issuer().public(),
            quota: 1000,
        }],
        openers: Openers::Any,
        types: Vec::new(),
        open_budget: 1024,
        evidence_age: 100,
    }
}

fn credential(genesis: &Genesis, sequence: u64) -> Vec<u8> {
    let leaf = FieldBytes::from_u64(sequence + 1);
    let action = Action::Issue {
        leaf,
        asset: FieldBytes::from_u64(7),
    };
    let signed = SignedTx::new(&genesis.chain_id(), &issuer(), sequence, action);
    Transaction::Signed(Box::new(signed)).to_bytes()
}

async fn start(
    genesis: &Genesis,
    dir: &Path,
    validator: Option<u8>,
    bootstrap: Vec<Multiaddr>,
) -> NodeHandle {
    let network = match validator {
        Some(i) => Keypair::ed25519_from_bytes([100 + i; 32]).unwrap(),
        None => Keypair::generate_ed25519(),
    };
    let validator = validator.map(|i| ValidatorKeys {
        consensus: secret(i),
        seal: SealSeed::from_bytes(&mut [50 + i; 32]),
    });
    let config = NodeConfig {
        genesis: genesis.clone(),
        data: dir.join("data"),
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
        bootstrap,
        api: Some(ApiSection {
            listen: "127.0.0.1:0".parse().unwrap(),
            allow_remote: false,
        }),
        addresses: Some(dir.join("addresses.json")),
    };
    Node::start(config, NodeKeys { network, validator })
        .await
        .unwrap()
}

struct Net {
    genesis: Genesis,
    dirs: Vec<TempDir>,
    nodes: Vec<NodeHandle>,
}

impl Net {
    async fn start(name: &str, validators: u8) -> Net {
        let genesis = genesis(name, validators);
        let (mut dirs, mut nodes, mut addresses) = (Vec::new(), Vec::new(), Vec::new());
        for i in 1..=validators {
            let dir = tempfile::tempdir().unwrap();
            let node = start(&genesis, dir.path(), Some(i), addresses.clone()).await;
            addresses.extend(node.listen_addresses());
            dirs.push(dir);
            nodes.push(node);
        }
        Net {
            genesis,
            dirs,
            nodes,
        }
    }

    fn bootstrap(&self) -> Vec<Multiaddr> {
        self.nodes
            .iter()
            .flat_map(|n| n.listen_addresses())
            .collect()
    }

    async fn submit(&self, to: usize, sequence: u64) {
        self.nodes[to]
            .submit(credential(&self.genesis, sequence))
            .await
            .unwrap();
    }
}

/// Waits until this many credentials are on the peer's chain.
async fn holds(node: &NodeHandle, credentials: u32) {
    let mut chain = node.watch_chain();
    let reached = chain.wait_for(|chain| chain.app.leaf_count() >= credentials);
    timeout(PATIENCE, reached).await.expect("in time").unwrap();
}

async fn same_chain(nodes: &[&NodeHandle]) {
    let highest = nodes.iter().map(|n| n.chain().height).max().unwrap();
    for node in nodes {
        let mut chain = node.watch_chain();
        timeout(PATIENCE, chain.wait_for(|c| c.height >= highest))
            .await
            .expect("in time")
            .unwrap();
    }
    let at =
        |node: &NodeHandle, height| node.shared().archive.block(height).unwrap().unwrap().block;
    for height in (1..=highest.0).map(Height) {
        let first = at(nodes[0], height);
        for node in nodes {
            assert_eq!(at(node, height), first, "height {height}");
        }
    }
}

fn log() {
    if std::env::var_os("LOG").is_some() {
        let _ = tender_p2p::logging::init("info,libp2p=warn", tender_p2p::logging::LogFormat::Text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_validators_commit_what_one_was_given_and_a_follower_syncs_from_nothing() {
    log();
    let net = Net::start("four", 4).await;
    for sequence in 0..8 {
        net.submit(sequence as usize % 4, sequence).await;
        holds(&net.nodes[(sequence as usize + 1) % 4], sequence as u32 + 1).await;
    }
    let dir = tempfile::tempdir().unwrap();
    let follower = start(
        &net.genesis,
        dir.path(),
        None,
        net.bootstrap()[..1].to_vec(),
    )
    .await;
    holds(&follower, 8).await;
    let mut all: Vec<_> = net.nodes.iter().collect();
    all.push(&follower);
    same_chain(&all).await;
    // Without work there are no blocks.
    let height = net.nodes[0].chain().height;
    sleep(Duration::from_millis(500)).await;
    assert_eq!(net.nodes[0].chain().height, height);
    // What is submitted at a follower reaches the validators.
    follower.submit(credential(&net.genesis, 8)).await.unwrap();
    holds(&net.nodes[2], 9).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_validator_is_not_missed_and_catches_up_and_votes_after_its_restart() {
    log();
    let mut net = Net::start("restart", 4).await;
    net.submit(0, 0).await;
    holds(&net.nodes[3], 1).await;
    net.nodes.pop().unwrap().shutdown().await;
    for sequence in 1..4 {
        net.submit(0, sequence).await;
        holds(&net.nodes[1], sequence as u32 + 1).await;
    }
    let back = start(&net.genesis, net.dirs[3].path(), Some(4), net.bootstrap()).await;
    assert!(back.chain().app.leaf_count() >= 1, "it had that on disk");
    holds(&back, 4).await;
    net.nodes.push(back);
    // Another one stops: three of four are just a quorum, so the returned one must vote.
    net.nodes.remove(0).shutdown().await;
    for sequence in 4..7 {
        net.submit(0, sequence).await;
        holds(&net.nodes[2], sequence as u32 + 1).await;
    }
    same_chain(&net.nodes.iter().collect::<Vec<_>>()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_of_another_chain_learns_and_disturbs_nothing() {
    let net = Net::start("ours", 1).await;
    net.submit(0, 0).await;
    let dir = tempfile::tempdir().unwrap();
    let foreign = start(&genesis("theirs", 1), dir.path(), None, net.bootstrap()).await;
    net.submit(0, 1).await;
    holds(&net.nodes[0], 2).await;
    sleep(Duration::from_secs(2)).await;
    assert_eq!(foreign.chain().height, Height(0));
    assert_eq!(foreign.shared().network.peers().len(), 0);
    assert_eq!(foreign.shared().best_known_height(), Height(0));
    // Its directory is not taken for ours.
    foreign.shutdown().await;
    let keys = NodeKeys {
        network: Keypair::generate_ed25519(),
        validator: None,
    };
    let config = NodeConfig {
        genesis: net.genesis.clone(),
        data: dir.path().join("data"),
        listen: Vec::new(),
        bootstrap: Vec::new(),
        api: None,
        addresses: None,
    };
    let error = Node::start(config, keys).await.err().unwrap().to_string();
    assert!(error.contains("holds chain"), "{error}");
}
