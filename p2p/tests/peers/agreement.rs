//! Peers agree, follow, catch up, restart, and keep to their chain.

use crate::net::{
    Net, config, credential, follower_keys, genesis, holds, same_chain, validator_keys,
};
use std::time::Duration;
use tender_p2p::node::Node;
use tender_wire::Height;
use tokio::time::sleep;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_validators_commit_what_one_was_given_and_a_follower_syncs_from_nothing() {
    let net = Net::start("four", 4).await;
    for sequence in 0..8 {
        net.submit(sequence as usize % 4, sequence).await;
        holds(&net.nodes[(sequence as usize + 1) % 4], sequence as u32 + 1).await;
    }
    let dir = tempfile::tempdir().unwrap();
    let config = config(&net.genesis, dir.path(), net.bootstrap()[..1].to_vec());
    let follower = Node::start(config, follower_keys()).await.unwrap();
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
    let mut net = Net::start("restart", 4).await;
    net.submit(0, 0).await;
    holds(&net.nodes[3], 1).await;
    net.nodes.pop().unwrap().shutdown().await;
    for sequence in 1..4 {
        net.submit(0, sequence).await;
        holds(&net.nodes[1], sequence as u32 + 1).await;
    }
    let config = config(&net.genesis, net.dirs[3].path(), net.bootstrap());
    let back = Node::start(config, validator_keys(3)).await.unwrap();
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
    let theirs = config(&genesis("theirs", 1), dir.path(), net.bootstrap());
    let foreign = Node::start(theirs, follower_keys()).await.unwrap();
    net.submit(0, 1).await;
    holds(&net.nodes[0], 2).await;
    sleep(Duration::from_secs(2)).await;
    assert_eq!(foreign.chain().height, Height(0));
    assert_eq!(foreign.shared().network.peers().len(), 0);
    assert_eq!(foreign.shared().best_known_height(), Height(0));
    // Its directory is not taken for ours.
    foreign.shutdown().await;
    let ours = config(&net.genesis, dir.path(), Vec::new());
    let error = Node::start(ours, follower_keys())
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("holds chain"), "{error}");
}

#[tokio::test]
async fn p7_a_directory_in_use_is_refused_and_free_again_after_shutdown() {
    let net = Net::start("in use", 1).await;
    let again = || config(&net.genesis, net.dirs[0].path(), Vec::new());
    let error = Node::start(again(), follower_keys())
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("already in use"), "{error}");
    let (again, node) = (again(), net.nodes.into_iter().next().unwrap());
    node.shutdown().await;
    Node::start(again, follower_keys())
        .await
        .unwrap()
        .shutdown()
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p7_a_validator_that_lost_its_vote_log_does_not_start() {
    let mut net = Net::start("lost log", 1).await;
    net.submit(0, 0).await;
    holds(&net.nodes[0], 1).await;
    net.nodes.pop().unwrap().shutdown().await;
    let config = || config(&net.genesis, net.dirs[0].path(), Vec::new());
    let log = net.dirs[0].path().join("data/votes.wal");
    let kept = std::fs::read(&log).unwrap();
    std::fs::remove_file(&log).unwrap();
    let error = Node::start(config(), validator_keys(0))
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("votes.wal is missing"), "{error}");
    assert!(!log.exists());
    // As a follower it may go on, and with the log as a validator.
    Node::start(config(), follower_keys())
        .await
        .unwrap()
        .shutdown()
        .await;
    std::fs::write(&log, kept).unwrap();
    let back = Node::start(config(), validator_keys(0)).await.unwrap();
    back.submit(credential(&net.genesis, 1)).await.unwrap();
    holds(&back, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p7_one_key_in_two_peers_halts_loudly_and_the_others_go_on() {
    let net = Net::start("twins", 4).await;
    net.submit(0, 0).await;
    holds(&net.nodes[0], 1).await;
    let dir = tempfile::tempdir().unwrap();
    let mut keys = validator_keys(0);
    keys.network = follower_keys().network;
    let twin = Node::start(config(&net.genesis, dir.path(), net.bootstrap()), keys)
        .await
        .unwrap();
    holds(&twin, 1).await;
    for sequence in 1..6 {
        net.submit(1, sequence).await;
        holds(&net.nodes[1], sequence as u32 + 1).await;
    }
    let halted = [&net.nodes[0], &twin].map(|node| node.halted().borrow().clone());
    let reasons: Vec<_> = halted.iter().flatten().collect();
    assert!(!reasons.is_empty(), "both still sign");
    assert!(
        reasons
            .iter()
            .all(|r| r.contains("is the key in use twice?")),
        "{reasons:?}"
    );
    assert!(
        net.nodes[1..]
            .iter()
            .all(|node| node.halted().borrow().is_none())
    );
    // A halted peer keeps answering.
    assert!(net.nodes[0].chain().height >= Height(1));
    assert!(
        net.nodes[0]
            .shared()
            .archive
            .block(Height(1))
            .unwrap()
            .is_some()
    );
}
