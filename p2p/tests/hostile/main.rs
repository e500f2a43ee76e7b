//! The network under attack: partitions, lying peers, and strangers that speak the protocols by hand.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../peers/net.rs"]
#[allow(dead_code)]
mod net;

mod gossip;
mod partitions;
mod processes;
mod relays;
mod sockets;
mod streams;
mod sync;
mod windows;
mod wire;

use net::Net;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tender_auction::{
    scenario::{OPENER, class, key, spec, task},
    transaction::{Action, SignedTx, Transaction},
};
use tender_p2p::{
    metrics::{GossipLabels, GossipOutcome, TopicLabel},
    node::NodeHandle,
};
use tender_wire::UnixTime;

/// Keeps a chain making blocks: an auction that takes bids for so many of them.
async fn keep_busy(net: &Net, blocks: u32) {
    let mut wanted = spec(
        vec![class("small", &[("cpu_milli", 1000)])],
        vec![task("a", 0, 100, 1)],
    );
    wanted.windows.bidding = blocks;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    wanted.lease_end = UnixTime(now.as_secs() + 86_400);
    let open = SignedTx::new(
        &net.genesis.chain_id(),
        &key(OPENER),
        0,
        Action::OpenAuction(Box::new(wanted)),
    );
    let open = Transaction::Signed(Box::new(open)).to_bytes();
    net.nodes[0].submit(open).await.unwrap();
}

fn gossip_count(node: &NodeHandle, topic: TopicLabel, outcome: GossipOutcome) -> u64 {
    let labels = GossipLabels { topic, outcome };
    node.shared().metrics.gossip.get_or_create(&labels).get()
}

/// No honest peer holds anything against another: nothing was rejected, and everybody talks to everybody.
async fn nobody_is_blamed(net: &Net) {
    nobody_else_is_blamed(net, 0).await;
}

/// The same, but for some strangers that were shut out.
async fn nobody_else_is_blamed(net: &Net, strangers: u64) {
    let shut_out = net.nodes.iter().map(|n| n.shared().metrics.shut_out.get());
    assert_eq!(shut_out.sum::<u64>(), strangers);
    for node in &net.nodes {
        for topic in [
            TopicLabel::Tx,
            TopicLabel::Vote,
            TopicLabel::Evidence,
            TopicLabel::Status,
        ] {
            assert_eq!(gossip_count(node, topic, GossipOutcome::Reject), 0);
        }
        assert!(node.halted().borrow().is_none());
        let all = || node.shared().network.peers().len() + 1 >= net.nodes.len();
        net::eventually("everybody is connected", all).await;
    }
}

/// How many of something, unless the environment says otherwise.
fn sized(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |n| n.parse().unwrap())
}

/// Long enough for what must not happen to have happened.
const A_WHILE: Duration = Duration::from_secs(3);
