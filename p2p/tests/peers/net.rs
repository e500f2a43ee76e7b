//! A network of peers for tests: over loopback and real disks, in temporary directories.

use libp2p::{Multiaddr, identity::Keypair};
use std::{
    path::Path,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tender_auction::{
    genesis::Genesis,
    scenario::{self, ISSUERS, VALIDATORS, key},
    seal::SealSeed,
    transaction::{Action, SignedTx, Transaction},
};
use tender_circuits::verify::Engine;
use tender_consensus::params::Params;
use tender_p2p::{
    config::{ApiSection, Config, Home},
    node::{Chain, Node, NodeConfig, NodeHandle, NodeKeys, ValidatorKeys},
};
use tender_wire::{FieldBytes, Height};
use tokio::time::{sleep, timeout};

/// No step takes longer, even on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The scenario's genesis with the first `validators` of its four, fast blocks, under a name.
pub fn genesis(name: &str, validators: usize) -> Genesis {
    let among = |public| {
        VALIDATORS[..validators]
            .iter()
            .any(|name| key(name).public() == public)
    };
    let mut genesis = Genesis {
        name: name.into(),
        consensus: Params {
            block_interval_ms: 100,
            ..Params::default()
        },
        ..scenario::genesis()
    };
    genesis.validators.retain(|v| among(v.key));
    genesis
}

/// A transaction anyone may submit in its order: the first issuer posts a credential.
pub fn credential(genesis: &Genesis, sequence: u64) -> Vec<u8> {
    let commitment = FieldBytes::from_u64(sequence + 1);
    let action = Action::Issue {
        commitment,
        asset: FieldBytes::from_u64(7),
    };
    let signed = SignedTx::new(&genesis.chain_id(), &key(ISSUERS[0]), sequence, action);
    Transaction::Signed(Box::new(signed)).to_bytes()
}

/// Where a peer of a test lives and whom it knows.
pub fn config(genesis: &Genesis, dir: &Path, bootstrap: Vec<Multiaddr>) -> NodeConfig {
    // A home like any other, but for its keys: they come from the test.
    let home = Home::at(dir);
    if !home.config().exists() {
        Config::default().create(&home.config()).unwrap();
    }
    NodeConfig {
        engine: Engine::chosen().unwrap(),
        genesis: genesis.clone(),
        data: dir.join("data"),
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
        bootstrap,
        api: Some(ApiSection {
            listen: "127.0.0.1:0".parse().unwrap(),
            ..ApiSection::default()
        }),
        home: Some(dir.to_path_buf()),
        addresses: Some(dir.join("addresses.json")),
    }
}

/// The keys of a validator of the scenario.
pub fn validator_keys(i: usize) -> NodeKeys {
    let tag = u8::try_from(i).unwrap();
    NodeKeys {
        network: Keypair::ed25519_from_bytes([100 + tag; 32]).unwrap(),
        validator: Some(ValidatorKeys {
            consensus: key(VALIDATORS[i]),
            seal: SealSeed::from_bytes(&mut [50 + tag; 32]),
        }),
    }
}

/// The keys of a peer that only follows.
pub fn follower_keys() -> NodeKeys {
    NodeKeys {
        network: Keypair::generate_ed25519(),
        validator: None,
    }
}

/// Validators, each with its directory.
pub struct Net {
    pub genesis: Genesis,
    pub dirs: Vec<TempDir>,
    pub nodes: Vec<NodeHandle>,
}

impl Net {
    pub async fn start(name: &str, validators: usize) -> Net {
        Net::of(genesis(name, validators)).await
    }

    pub async fn of(genesis: Genesis) -> Net {
        log();
        let (mut dirs, mut nodes, mut addresses) = (Vec::new(), Vec::new(), Vec::new());
        for i in 0..genesis.validators.len() {
            let dir = tempfile::tempdir().unwrap();
            let config = config(&genesis, dir.path(), addresses.clone());
            let node = Node::start(config, validator_keys(i)).await.unwrap();
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

    pub fn bootstrap(&self) -> Vec<Multiaddr> {
        self.nodes
            .iter()
            .flat_map(NodeHandle::listen_addresses)
            .collect()
    }

    pub async fn submit(&self, to: usize, sequence: u64) {
        self.nodes[to]
            .submit(credential(&self.genesis, sequence))
            .await
            .unwrap();
    }
}

/// Waits until the peer's chain is as described.
pub async fn until(node: &NodeHandle, what: &str, mut fits: impl FnMut(&Chain) -> bool) {
    let mut chain = node.watch_chain();
    let reached = timeout(PATIENCE, chain.wait_for(|chain| fits(chain))).await;
    reached
        .unwrap_or_else(|_| panic!("not in time: {what}, at height {}", node.chain().height))
        .unwrap();
}

/// Waits until something is so.
pub async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "not in time: {what}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until this many credentials are on the peer's chain.
pub async fn holds(node: &NodeHandle, credentials: u32) {
    until(node, "credentials", |chain| {
        chain.app.leaf_count() >= credentials
    })
    .await;
}

/// Every peer has the same blocks up to the highest tip, hence the same state roots.
pub async fn same_chain(nodes: &[&NodeHandle]) {
    let highest = nodes.iter().map(|n| n.chain().height).max().unwrap();
    for node in nodes {
        until(node, "the highest tip", |chain| chain.height >= highest).await;
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

/// `LOG=1 cargo test …` shows what the peers do.
fn log() {
    if std::env::var_os("LOG").is_some() {
        let _ = tender_p2p::logging::init("info,libp2p=warn", tender_p2p::logging::LogFormat::Text);
    }
}
