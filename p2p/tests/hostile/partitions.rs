//! Links cut and healed by the route through which a peer's owner bans and unbans peers.

use crate::{
    A_WHILE, keep_busy,
    net::{
        Net, config, eventually, follower_keys, genesis, holds, same_chain, until, validator_keys,
    },
    nobody_is_blamed, sized,
    wire::{self, Manners, Stranger},
};
use std::time::Duration;
use tender_consensus::certificate::CommitCertificate;
use tender_p2p::{
    agent::client::Client,
    cli::place::Place,
    network::Topic,
    node::{Node, NodeHandle},
};
use tender_wire::{Height, Round};
use tokio::{task::spawn_blocking, time::sleep};

/// Has the owner of `at` ban or unban the peer `whom`.
async fn order(net: &Net, at: usize, whom: usize, banned: bool) {
    let place = Place {
        home: Some(net.dirs[at].path().to_path_buf()),
        api: net.nodes[at].api_url(),
    };
    let whom = net.nodes[whom].peer_id();
    let ordered = spawn_blocking(move || {
        let (client, token) = (Client::new(place.api.as_ref().unwrap()), place.api_token()?);
        if banned {
            client.ban(&whom, &token)
        } else {
            client.unban(&whom, &token)
        }
    });
    ordered.await.unwrap().unwrap();
}

/// Cuts or heals every link between two sides, from both of its ends.
async fn partition(net: &Net, left: &[usize], right: &[usize], banned: bool) {
    for (a, b) in left
        .iter()
        .flat_map(|a| right.iter().map(move |b| (*a, *b)))
    {
        order(net, a, b, banned).await;
        order(net, b, a, banned).await;
    }
}

fn linked(net: &Net, a: usize, b: usize) -> bool {
    let (a, b) = (&net.nodes[a], net.nodes[b].peer_id());
    a.shared().network.peers().iter().any(|peer| peer.id == b)
}

async fn are_cut(net: &Net, left: &[usize], right: &[usize]) {
    for (a, b) in left
        .iter()
        .flat_map(|a| right.iter().map(move |b| (*a, *b)))
    {
        eventually("cut", || !linked(net, a, b) && !linked(net, b, a)).await;
    }
}

/// The round in which a height was decided.
fn decided_in(node: &NodeHandle, height: Height) -> Round {
    let committed = node.shared().archive.block(height).unwrap().unwrap();
    let CommitCertificate::V1(commit) = committed.certificate;
    commit.round
}

async fn connected(net: &Net) {
    for node in &net.nodes {
        let all = || node.shared().network.peers().len() + 1 == net.nodes.len();
        eventually("everybody is connected", all).await;
    }
}

/// N1.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n1_two_halves_commit_nothing_and_decide_within_two_rounds_of_the_heal() {
    let net = Net::start("halves", 4).await;
    net.submit(0, 0).await;
    for node in &net.nodes {
        holds(node, 1).await;
    }
    connected(&net).await;
    partition(&net, &[0, 1], &[2, 3], true).await;
    are_cut(&net, &[0, 1], &[2, 3]).await;
    let before = net.nodes[0].chain().height;
    net.submit(0, 1).await;
    net.submit(2, 1).await;
    sleep(A_WHILE).await;
    for node in &net.nodes {
        assert_eq!(node.chain().height, before, "half of the power decided");
    }
    let reached = net.nodes.iter().map(|n| n.shared().round().0).max();
    partition(&net, &[0, 1], &[2, 3], false).await;
    for node in &net.nodes {
        holds(node, 2).await;
    }
    let decided = decided_in(&net.nodes[0], before.next());
    assert!(decided.0 <= reached.unwrap() + 2, "{decided:?}");
    same_chain(&net.nodes.iter().collect::<Vec<_>>()).await;
    nobody_is_blamed(&net).await;
}

/// N1, B13.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n1_three_go_on_without_the_one_cut_off_which_then_catches_up_and_votes() {
    let mut net = Net::start("three and one", 4).await;
    net.submit(0, 0).await;
    holds(&net.nodes[3], 1).await;
    connected(&net).await;
    partition(&net, &[0, 1, 2], &[3], true).await;
    are_cut(&net, &[0, 1, 2], &[3]).await;
    for sequence in 1..5 {
        net.submit(0, sequence).await;
        holds(&net.nodes[1], sequence as u32 + 1).await;
    }
    assert_eq!(net.nodes[3].chain().app.leaf_count(), 1);
    partition(&net, &[0, 1, 2], &[3], false).await;
    holds(&net.nodes[3], 5).await;
    nobody_is_blamed(&net).await;
    net.nodes.remove(0).shutdown().await;
    net.submit(0, 5).await;
    holds(&net.nodes[2], 6).await;
    same_chain(&net.nodes.iter().collect::<Vec<_>>()).await;
}

/// N2: one end alone refuses the link, and no two of three peers share one: everything goes over the fourth.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n2_a_bridge_carries_a_quorum_that_is_not_connected_otherwise() {
    let net = Net::start("bridge", 4).await;
    connected(&net).await;
    for (a, b) in [(0, 1), (1, 2), (2, 0)] {
        order(&net, a, b, true).await;
    }
    are_cut(&net, &[0], &[1, 2]).await;
    are_cut(&net, &[1], &[2]).await;
    for sequence in 0..6 {
        net.submit(sequence as usize % 3, sequence).await;
        for node in &net.nodes {
            holds(node, sequence as u32 + 1).await;
        }
    }
    assert!(!linked(&net, 0, 1) && !linked(&net, 1, 2) && !linked(&net, 2, 0));
    for (a, b) in [(0, 1), (1, 2), (2, 0)] {
        order(&net, a, b, false).await;
    }
    same_chain(&net.nodes.iter().collect::<Vec<_>>()).await;
    nobody_is_blamed(&net).await;
}

/// N4.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n4_partitions_that_come_and_go_leave_neither_livelock_nor_grudge() {
    let net = Net::start("flapping", 4).await;
    connected(&net).await;
    keep_busy(&net, 100_000).await;
    let sides: [(&[usize], &[usize]); 4] = [
        (&[0, 1], &[2, 3]),
        (&[0], &[1, 2, 3]),
        (&[0, 2], &[1, 3]),
        (&[3], &[0, 1, 2]),
    ];
    for (left, right) in sides.iter().cycle().take(8) {
        partition(&net, left, right, true).await;
        sleep(Duration::from_millis(500)).await;
        partition(&net, left, right, false).await;
        sleep(Duration::from_millis(100)).await;
    }
    let healed = net.nodes.iter().map(|n| n.chain().height).max().unwrap();
    let reached = net.nodes.iter().map(|n| n.shared().round().0).max();
    for node in &net.nodes {
        until(node, "heights after the heal", |c| {
            c.height.0 >= healed.0 + 5
        })
        .await;
    }
    for height in healed.0 + 1..=healed.0 + 5 {
        let decided = decided_in(&net.nodes[0], Height(height));
        assert!(decided.0 <= reached.unwrap() + 2, "{height}: {decided:?}");
    }
    nobody_is_blamed(&net).await;
}

/// Waits until a peer is at a height, however many steps it takes.
async fn grows_to(node: &NodeHandle, height: u64) {
    while node.chain().height.0 < height {
        let next = height.min(node.chain().height.0 + 50);
        until(node, "some heights more", |c| c.height.0 >= next).await;
    }
}

/// B13, N1: `TENDER_HEIGHTS=1000 cargo test -p tender-p2p --test hostile b13_away`. D: who takes no messages is
/// disconnected.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b13_away_for_many_heights_or_never_there_a_peer_catches_up_with_a_chain_that_goes_on() {
    let away = sized("TENDER_HEIGHTS", 150);
    let mut genesis = genesis("away", 4);
    genesis.consensus.block_interval_ms = 10;
    // A dead proposer's turns cost less.
    genesis.consensus.propose_timeout_ms = 150;
    genesis.consensus.vote_timeout_ms = 150;
    let mut net = Net::of(genesis).await;
    // One that never takes what it is sent.
    let deaf = Manners {
        reads: false,
        ..Manners::of(net.genesis.chain_id())
    };
    let deaf = Stranger::dial(&net.nodes[0].listen_addresses()[0], deaf)
        .await
        .unwrap();
    let mut gossip = deaf.gossip().await.unwrap();
    for topic in Topic::ALL {
        let rpc = wire::subscribe(&deaf.topic(topic), true);
        gossip.rpc(&rpc).await.unwrap();
    }
    keep_busy(&net, 600_000).await;
    until(&net.nodes[3], "some heights", |c| c.height.0 >= 3).await;
    net.nodes.pop().unwrap().shutdown().await;
    let left = net.nodes[0].chain().height.0;
    grows_to(&net.nodes[0], left + away).await;
    let back = config(&net.genesis, net.dirs[3].path(), net.bootstrap());
    net.nodes
        .push(Node::start(back, validator_keys(3)).await.unwrap());
    let dir = tempfile::tempdir().unwrap();
    let late = config(&net.genesis, dir.path(), net.bootstrap()[..1].to_vec());
    let late = Node::start(late, follower_keys()).await.unwrap();
    for node in [&net.nodes[3], &late] {
        grows_to(node, left + away).await;
        let caught_up = || node.chain().height.0 + 3 >= net.nodes[0].chain().height.0;
        eventually("caught up", caught_up).await;
    }
    deaf.cut_off("it takes no messages").await;
    // Its vote is needed again.
    let all: Vec<_> = net.nodes.iter().chain([&late]).collect();
    same_chain(&all).await;
    net.nodes.remove(0).shutdown().await;
    let tip = net.nodes[0].chain().height.0;
    until(&net.nodes[2], "heights with it", |c| c.height.0 >= tip + 5).await;
    for node in &net.nodes {
        assert!(node.halted().borrow().is_none());
    }
}
