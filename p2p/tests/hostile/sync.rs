//! Peers that lie to one that catches up.

use crate::{
    net::{Net, config, eventually, follower_keys, genesis, holds, same_chain},
    wire::{self, Answer, Manners, Stranger},
};
use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};
use tender_consensus::{
    block::CommittedBlock,
    message::{Bundle, Request, Response},
};
use tender_p2p::{
    network::{MAX_RESPONSE_BYTES, Topic},
    node::{Node, NodeHandle},
};
use tender_wire::{Height, TimeMs};
use tokio::time::{Duration, sleep};

/// A peer's way to lie: what it answers when asked for blocks from a height.
type Lie = Arc<dyn Fn(Height) -> Answer + Send + Sync>;

fn lie(lie: impl Fn(Height) -> Answer + Send + Sync + 'static) -> Lie {
    Arc::new(lie)
}

fn said(blocks: Vec<CommittedBlock>) -> Answer {
    Answer::Say(Response::Blocks(blocks))
}

fn blocks_of(node: &NodeHandle) -> Vec<CommittedBlock> {
    let heights = (1..=node.chain().height.0).map(Height);
    let archive = &node.shared().archive;
    heights
        .map(|h| archive.block(h).unwrap().unwrap())
        .collect()
}

/// Connects a liar: it claims a tip far beyond the chain's, in gossip and when asked for votes, and lies when asked for blocks.
async fn connect(follower: &NodeHandle, lie: Lie, claim: Arc<AtomicU64>) -> (Stranger, Asked) {
    let asked = Arc::new(AtomicUsize::new(0));
    let mut manners = Manners::of(follower.chain().chain);
    let (counted, claimed) = (Arc::clone(&asked), Arc::clone(&claim));
    manners.answers = Arc::new(move |request| match request {
        Request::Blocks(from) => {
            counted.fetch_add(1, Ordering::Relaxed);
            lie(from)
        }
        Request::Votes(_) => Answer::Say(Response::Votes(Bundle {
            tip: Height(claimed.load(Ordering::Relaxed)),
            ..Bundle::default()
        })),
        Request::Block(_) => Answer::Say(Response::Block(None)),
        Request::Transactions(_) => Answer::Say(Response::Transactions(Vec::new())),
    });
    let liar = Stranger::dial(&follower.listen_addresses()[0], manners)
        .await
        .unwrap();
    let mut gossip = liar.gossip().await.unwrap();
    let topic = liar.topic(Topic::Status);
    tokio::spawn(async move {
        for beat in 0.. {
            let status = wire::status(Height(claim.load(Ordering::Relaxed)), beat);
            let message = wire::message(&topic, &status);
            if gossip.rpc(&wire::publish(&[message])).await.is_err() {
                return;
            }
            sleep(Duration::from_secs(1)).await;
        }
    });
    (liar, asked)
}

type Asked = Arc<AtomicUsize>;

/// B13, N1: GHSA of falsely reported heights, gaps, blocks of other chains, certificates of other blocks, answers too long or too slow, and a
/// claim that is lowered. Whoever is caught is shut out; none of it is believed; with one honest peer beside them all, it catches up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b13_every_lie_about_blocks_is_refused_and_an_honest_peer_is_found_among_liars() {
    let net = Net::start("honest", 4).await;
    for sequence in 0..6 {
        net.submit(0, sequence).await;
        holds(&net.nodes[0], sequence as u32 + 1).await;
    }
    let foreign = Net::of(genesis("foreign", 4)).await;
    for sequence in 0..3 {
        foreign.submit(0, sequence).await;
        holds(&foreign.nodes[0], sequence as u32 + 1).await;
    }
    let (true_blocks, foreign_blocks) = (blocks_of(&net.nodes[0]), blocks_of(&foreign.nodes[0]));
    foreign.nodes.into_iter().for_each(drop);

    let dir = tempfile::tempdir().unwrap();
    let alone = config(&net.genesis, dir.path(), Vec::new());
    let follower = Node::start(alone, follower_keys()).await.unwrap();

    let after = |from: Height| from.0 as usize;
    let gaps = true_blocks.clone();
    let mut other_block = true_blocks.clone();
    for committed in &mut other_block {
        committed.block.header.time = TimeMs(committed.block.header.time.0 + 1);
    }
    let mut no_body = true_blocks.clone();
    for committed in &mut no_body {
        committed.block.transactions.clear();
    }
    let mut swapped = true_blocks.clone();
    swapped[0].certificate = true_blocks[1].certificate.clone();
    let liars: [(&str, Lie); 6] = [
        ("a height it cannot show", lie(|_| said(Vec::new()))),
        (
            "gaps",
            lie(move |from| said(gaps[after(from).min(gaps.len())..].to_vec())),
        ),
        ("another chain", lie(move |_| said(foreign_blocks.clone()))),
        (
            "a certificate of another block",
            lie(move |_| said(other_block.clone())),
        ),
        ("another body", lie(move |_| said(no_body.clone()))),
        (
            "another height's certificate",
            lie(move |_| said(swapped.clone())),
        ),
    ];
    let claim = || Arc::new(AtomicU64::new(1_000_000));
    let mut caught = Vec::new();
    for (what, lie) in liars {
        caught.push((what, connect(&follower, lie, claim()).await));
    }
    // These are no proof of a lie: an honest peer may be slow, or of a version to come.
    let oversize = lie(|_| Answer::Bytes(u32::MAX, vec![0; 1 << 20]));
    let padded = lie(|_| Answer::Bytes(MAX_RESPONSE_BYTES as u32, vec![0; 1 << 16]));
    let drip = {
        let bytes = tender_wire::encode(&Response::Blocks(true_blocks));
        lie(move |_| Answer::Drip(bytes.clone()))
    };
    let silence = lie(|_| Answer::Silence);
    let mut useless = Vec::new();
    for lie in [oversize, padded, drip, silence] {
        useless.push(connect(&follower, lie, claim()).await);
    }
    let lowered = claim();
    useless.push(connect(&follower, lie(|_| said(Vec::new())), Arc::clone(&lowered)).await);

    for (what, (liar, _)) in &caught {
        liar.cut_off(what).await;
        assert_eq!(follower.chain().height, Height(0), "{what}");
    }
    lowered.store(2, Ordering::Relaxed);
    eventually("the useless were asked", || {
        useless
            .iter()
            .all(|(_, asked)| asked.load(Ordering::Relaxed) > 0)
    })
    .await;
    assert_eq!(follower.chain().height, Height(0));
    assert!(follower.halted().borrow().is_none());

    // One honest peer among those that remain.
    let honest = net.nodes[0].listen_addresses()[0].clone();
    follower.shared().network.dial(honest).await;
    holds(&follower, 6).await;
    same_chain(&[&net.nodes[0], &follower]).await;
    let shut_out: Vec<_> = caught.iter().map(|(_, (liar, _))| liar.id).collect();
    let peers = follower.shared().network.peers();
    assert!(peers.iter().all(|peer| !shut_out.contains(&peer.id)));
    // A validator stopped at that height goes on from there, and none of them makes it regress.
    net.submit(1, 6).await;
    holds(&follower, 7).await;
}
