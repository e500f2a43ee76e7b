//! Four validators in one process agree on a transaction: real peers over loopback, each with its own store and vote log.
//!
//! `cargo run --release -p tender-examples --example four_peers`

#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing)] // its own small numbers, no stranger's

use std::{
    error::Error,
    time::{Duration, Instant},
};
use tender_auction::transaction::Action;
use tender_circuits::asset_of;
use tender_p2p::cli::{
    place::Place,
    start::start_home,
    testnet::{self, Layout},
};
use tender_wire::{FieldBytes, Height};

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::temp_dir().join(format!("tender-four-peers-{}", std::process::id()));
    let result = run(&directory);
    let _ = std::fs::remove_dir_all(&directory);
    result
}

fn run(directory: &std::path::Path) -> Result<(), Box<dyn Error>> {
    // What `tender testnet` writes: homes with keys, configuration and the genesis file.
    let net = testnet::write(
        directory,
        &Layout {
            name: "four peers".into(),
            validators: 4,
            followers: 0,
            issuers: vec!["acme-labs".into()],
            agents: Vec::new(),
            block_interval_ms: 200,
            log: "error".into(),
        },
    )?;

    // What `tender start` does, four times.
    let runtime = tokio::runtime::Runtime::new()?;
    let mut peers = Vec::new();
    for home in &net.validators {
        let peer = runtime.block_on(start_home(home))?;
        println!(
            "{} listens on {}",
            home.display(),
            peer.listen_addresses().first().ok_or("no address")?
        );
        peers.push(peer);
    }
    let clients = net
        .validators
        .iter()
        .map(|home| Place::at(home).client())
        .collect::<Result<Vec<_>, _>>()?;
    let (_, issuer_home) = net.issuers.first().ok_or("an issuer was asked for")?;
    let first = clients.first().ok_or("there are four")?;

    // An issuer posts a credential's commitment through the first peer. (Any field element will do here.)
    let mut issuer = Place {
        home: Some(issuer_home.clone()),
        api: Some(first.url().into()),
    }
    .actor()?;
    issuer.client = first.clone();
    let action = Action::Issue {
        commitment: FieldBytes::from_u64(42),
        asset: asset_of("DGX-A100-0417"),
    };
    let started = Instant::now();
    let (_, height) = issuer.act(action)?;
    println!("committed in block {height} after {:?}", started.elapsed());

    // Everybody has the same block.
    for client in &clients {
        while client.status()?.height < height {
            std::thread::sleep(Duration::from_millis(20));
        }
        let block = client.block(height)?;
        println!(
            "{} has block {} with state {}",
            client.url(),
            block.block_id.short(),
            block.state_root.short()
        );
    }
    let ids = clients
        .iter()
        .map(|c| Ok(c.block(height)?.block_id))
        .collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    assert!(
        height > Height(0) && ids.windows(2).all(|pair| pair.first() == pair.last()),
        "peers disagree"
    );

    runtime.block_on(async {
        for peer in peers {
            peer.shutdown().await;
        }
    });
    Ok(())
}
