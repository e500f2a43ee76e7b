//! Strangers on the gossip streams.

use crate::{
    A_WHILE, gossip_count,
    net::{Net, PATIENCE, config, eventually, follower_keys, holds, same_chain, validator_keys},
    nobody_else_is_blamed, nobody_is_blamed, sized,
    wire::{self, Manners, Stranger},
};
use std::time::Instant;
use tender_auction::scenario::{VALIDATORS, key};
use tender_consensus::{
    message::Message,
    vote::{Vote, VoteKind},
};
use tender_p2p::{
    metrics::{GossipOutcome, TopicLabel},
    network::Topic,
    node::{Node, NodeHandle},
};
use tender_wire::{BlockId, Height, Round, SecretKey, Signature, encode};

async fn stranger(node: &NodeHandle) -> Stranger {
    let manners = Manners::of(node.chain().chain);
    Stranger::dial(&node.listen_addresses()[0], manners)
        .await
        .unwrap()
}

/// The network decides what it is given, whatever else goes on.
async fn decides(net: &Net, sequence: u64) {
    net.submit(sequence as usize % net.nodes.len(), sequence)
        .await;
    for node in &net.nodes {
        holds(node, sequence as u32 + 1).await;
    }
}

/// B18, B19, B15: what no honest peer sends costs its sender the connection, whichever topic it comes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b19_malformed_gossip_on_any_topic_shuts_its_sender_out() {
    let net = Net::start("malformed", 4).await;
    decides(&net, 0).await;
    let victim = &net.nodes[1];
    let far = |topic: Topic, i: u64| vec![i as u8; topic.max_bytes() + 1000];
    for (topic, label) in [
        (Topic::Tx, TopicLabel::Tx),
        (Topic::Vote, TopicLabel::Vote),
        (Topic::Evidence, TopicLabel::Evidence),
        (Topic::Status, TopicLabel::Status),
    ] {
        let it = stranger(victim).await;
        let mut gossip = it.gossip().await.unwrap();
        for i in 0..4u8 {
            let mut data = vec![0xff; 90];
            data[0] = i;
            let message = wire::message(&it.topic(topic), &data);
            let _ = gossip.rpc(&wire::publish(&[message])).await;
        }
        it.cut_off(&format!("garbage on {topic:?}")).await;
        assert!(gossip_count(victim, label, GossipOutcome::Reject) >= 3);

        // Longer than the topic carries.
        let it = stranger(victim).await;
        let mut gossip = it.gossip().await.unwrap();
        for i in 0..4 {
            let message = wire::message(&it.topic(topic), &far(topic, i));
            let _ = gossip.rpc(&wire::publish(&[message])).await;
        }
        it.cut_off(&format!("too long on {topic:?}")).await;
    }
    // Messages are anonymous: with a name, a counter or a signature they are not read.
    let it = stranger(victim).await;
    let mut gossip = it.gossip().await.unwrap();
    let id = it.key.public().to_peer_id().to_bytes();
    for (i, extra) in [
        wire::field(1, &id),
        wire::field(3, &[0; 8]),
        wire::field(5, &[7; 64]),
        [wire::field(1, &id), wire::field(5, &[7; 64])].concat(),
    ]
    .iter()
    .enumerate()
    {
        let mut named = wire::message(&it.topic(Topic::Vote), &nobodys_vote(i as u64));
        named.extend(extra);
        let _ = gossip.rpc(&wire::publish(&[named])).await;
    }
    it.cut_off("messages with a name").await;
    decides(&net, 1).await;
    same_chain(&net.nodes.iter().collect::<Vec<_>>()).await;
}

/// B19: topics nobody asked for, more of everything than anyone needs, and bytes that are no RPC. Nothing of it is remembered or passed on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b19_control_messages_without_end_cost_the_network_nothing() {
    let net = Net::start("control", 4).await;
    decides(&net, 0).await;
    let victim = &net.nodes[0];
    let id = |i: u64| {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&i.to_le_bytes());
        id
    };
    let it = stranger(victim).await;
    let mut gossip = it.gossip().await.unwrap();
    // Unknown topics.
    for i in 0..200 {
        let unknown = format!("/tender/unknown/{i}");
        let mut rpc = wire::subscribe(&unknown, true);
        rpc.extend(wire::graft(&[&unknown]));
        rpc.extend(wire::prune(&unknown, u64::from(u32::MAX)));
        gossip.rpc(&rpc).await.unwrap();
        let message = wire::message(&unknown, b"hello");
        let _ = gossip.rpc(&wire::publish(&[message])).await;
    }
    decides(&net, 1).await;

    // Promises of messages that do not exist.
    let it = stranger(victim).await;
    let mut gossip = it.gossip().await.unwrap();
    let vote = it.topic(Topic::Vote);
    gossip.rpc(&wire::subscribe(&vote, true)).await.unwrap();
    let mut next = 0..;
    while !it.is_cut_off() {
        let ids: Vec<_> = next.by_ref().take(400).map(id).collect();
        let _ = gossip.rpc(&wire::ihave(&vote, &ids)).await;
        let _ = gossip.rpc(&wire::iwant(&ids)).await;
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        assert!(next.start < 10_000_000, "still let in");
    }
    decides(&net, 2).await;

    // Into the mesh and out again, and backoffs beyond the end of time (CVE-2026-33040).
    let it = stranger(victim).await;
    let mut gossip = it.gossip().await.unwrap();
    let topics = Topic::ALL.map(|topic| it.topic(topic));
    let started = Instant::now();
    while !it.is_cut_off() {
        for topic in &topics {
            let mut rpc = wire::subscribe(topic, true);
            rpc.extend(wire::graft(&[topic]));
            rpc.extend(wire::prune(topic, u64::MAX >> 1));
            rpc.extend(wire::graft(&[topic; 64].map(String::as_str)));
            let _ = gossip.rpc(&rpc).await;
        }
        assert!(started.elapsed() < PATIENCE, "still let in");
    }
    decides(&net, 3).await;

    // What peers need not be sent, by the thousand and long.
    let it = stranger(victim).await;
    let mut gossip = it.gossip().await.unwrap();
    for i in 0..2000u32 {
        let long = [i.to_le_bytes().as_slice(), &[0; 12 << 10]].concat();
        gossip.rpc(&wire::idontwant(&[long])).await.unwrap();
    }
    // A control message beyond the cap, a length beyond any, and no protocol buffer at all: each ends its stream.
    for bytes in [
        {
            let rpc = wire::idontwant(&vec![vec![0; 32]; 2000]);
            [wire::varint(rpc.len()), rpc].concat()
        },
        wire::varint(usize::MAX),
        [wire::varint(4), vec![0xff; 4]].concat(),
    ] {
        let mut gossip = it.gossip().await.unwrap();
        let _ = gossip.bytes(&bytes).await;
    }
    decides(&net, 4).await;
    same_chain(&net.nodes.iter().collect::<Vec<_>>()).await;
}

/// B19, T26: the same message again and again, in many wrappings.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b19_a_message_repeated_is_judged_once() {
    let net = Net::start("repeated", 4).await;
    decides(&net, 0).await;
    let victim = &net.nodes[2];
    let it = stranger(victim).await;
    let mut gossip = it.gossip().await.unwrap();
    let vote = vote(&net, VALIDATORS[0], Height(99), Round(0), None);
    let heard = || gossip_count(victim, TopicLabel::Vote, GossipOutcome::Ignore);
    let before = heard();
    for i in 0..sized("TENDER_SPAM", 2000) {
        let mut message = wire::message(&it.topic(Topic::Vote), &vote);
        message.extend(wire::field(15, &i.to_be_bytes()));
        gossip.rpc(&wire::publish(&[message])).await.unwrap();
    }
    decides(&net, 1).await;
    assert!(heard() <= before + 50, "judged {} times", heard() - before);
    nobody_is_blamed(&net).await;
}

fn vote(net: &Net, by: &str, height: Height, round: Round, block: Option<BlockId>) -> Vec<u8> {
    signed(net, &mut key(by), height, round, block)
}

fn signed(
    net: &Net,
    by: &mut SecretKey,
    height: Height,
    round: Round,
    block: Option<BlockId>,
) -> Vec<u8> {
    let chain = net.genesis.chain_id();
    let vote = Vote::sign(by, &chain, (height, round, VoteKind::Prevote), block).unwrap();
    encode(&Message::Vote(Box::new(vote)))
}

/// B8: a validator gone mad signs votes of every height and round but this one, and strangers sign more. None are kept beyond the caps,
/// the others' votes find their way, and whoever goes on and on is shut out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b8_votes_of_other_heights_and_rounds_by_the_ten_thousand_do_not_stop_the_rest() {
    let mut net = Net::start("votes", 4).await;
    decides(&net, 0).await;
    // The mad one: its peer is gone, its key is not.
    net.nodes.pop().unwrap().shutdown().await;
    let spam = sized("TENDER_SPAM", 4000);
    let victim = &net.nodes[0];
    let mut flood = Vec::new();
    for of in 0..3u64 {
        let it = stranger(victim).await;
        let mut gossip = it.gossip().await.unwrap();
        let topic = it.topic(Topic::Vote);
        let mut by = if of == 0 {
            SecretKey::from_seed(&mut [9; 32])
        } else {
            key(VALIDATORS[3])
        };
        let votes: Vec<_> = (0..spam)
            .map(|i| {
                let height = match of {
                    1 => Height(net.nodes[0].chain().height.0 + 1),
                    _ => Height(i * 7919),
                };
                let vote = signed(&net, &mut by, height, Round(i as u32 + 1), None);
                wire::message(&topic, &vote)
            })
            .collect();
        flood.push(tokio::spawn(async move {
            for batch in votes.chunks(16) {
                if gossip.rpc(&wire::publish(batch)).await.is_err() {
                    break;
                }
            }
            it
        }));
    }
    for sequence in 1..5 {
        decides(&net, sequence).await;
    }
    for flooding in flood {
        flooding.await.unwrap();
    }
    decides(&net, 5).await;
    for node in &net.nodes {
        assert!(node.halted().borrow().is_none());
    }
    same_chain(&net.nodes.iter().collect::<Vec<_>>()).await;
}

/// B8, B19: whoever sends what nobody can use, as fast as it can, is shut out. Cutting its link costs less than reading on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b19_a_flood_of_useless_messages_ends_with_its_sender_shut_out() {
    let net = Net::start("flood", 4).await;
    decides(&net, 0).await;
    let it = stranger(&net.nodes[0]).await;
    let mut gossip = it.gossip().await.unwrap();
    let (topic, mut sent) = (it.topic(Topic::Vote), 0);
    while !it.is_cut_off() {
        let votes: Vec<_> = (sent..sent + 32)
            .map(|i| wire::message(&topic, &nobodys_vote(i)))
            .collect();
        let _ = gossip.rpc(&wire::publish(&votes)).await;
        sent += 32;
        assert!(sent < 1_000_000, "still let in");
    }
    assert_eq!(net.nodes[0].shared().metrics.shut_out.get(), 1);
    let (door, manners) = (
        net.nodes[0].listen_addresses(),
        Manners::of(net.genesis.chain_id()),
    );
    let again = Stranger::dial_as(it.key.clone(), &door[0], manners);
    if let Ok(again) = again.await {
        again.cut_off("for a while").await;
    }
    decides(&net, 1).await;
    nobody_else_is_blamed(&net, 1).await;
}

/// A vote that nobody of any set has signed.
fn nobodys_vote(i: u64) -> Vec<u8> {
    encode(&Message::Vote(Box::new(Vote {
        height: Height(i),
        round: Round(0),
        kind: VoteKind::Prevote,
        block: None,
        validator: key("nobody").public(),
        signature: Signature([7; 64]),
    })))
}

/// P7, N1: what a peer said before a restart comes back to it. That is no fault of who brings it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_peer_said_in_an_earlier_life_is_not_held_against_who_repeats_it() {
    let net = Net::start("earlier", 4).await;
    decides(&net, 0).await;
    let it = stranger(&net.nodes[1]).await;
    let mut gossip = it.gossip().await.unwrap();
    for i in 0..10 {
        let vote = vote(&net, VALIDATORS[1], Height(1), Round(i as u32 + 50), None);
        let said = wire::message(&it.topic(Topic::Vote), &vote);
        gossip.rpc(&wire::publish(&[said])).await.unwrap();
    }
    decides(&net, 1).await;
    tokio::time::sleep(A_WHILE).await;
    assert!(!it.is_cut_off());
    nobody_is_blamed(&net).await;
}

/// B20: every place of a validator is taken by strangers that pass nothing on, before the others come; they need its vote, and get it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b20_a_validator_among_strangers_alone_keeps_the_places_of_its_quorum() {
    let genesis = crate::net::genesis("eclipse", 4);
    // It knows who they are, and not where.
    let known: Vec<_> = (1..3)
        .map(|i| {
            let id = validator_keys(i).network.public().to_peer_id();
            format!("/ip4/127.0.0.1/tcp/1/p2p/{id}").parse().unwrap()
        })
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let victim = Node::start(config(&genesis, dir.path(), known), validator_keys(0))
        .await
        .unwrap();
    let address = victim.listen_addresses();
    let mut strangers = Vec::new();
    for _ in 0..sized("TENDER_SYBILS", 150) {
        let manners = Manners::of(genesis.chain_id());
        let Ok(it) = Stranger::dial(&address[0], manners).await else {
            continue;
        };
        let Ok(mut gossip) = it.gossip().await else {
            continue;
        };
        for topic in Topic::ALL {
            let mut rpc = wire::subscribe(&it.topic(topic), true);
            rpc.extend(wire::graft(&[&it.topic(topic)]));
            let _ = gossip.rpc(&rpc).await;
        }
        strangers.push((it, gossip));
    }
    eventually("no place is left to strangers", || {
        victim.shared().network.peers().len() >= 64
    })
    .await;
    let (mut nodes, mut dirs) = (vec![victim], vec![dir]);
    for i in 1..3 {
        let dir = tempfile::tempdir().unwrap();
        let config = config(&genesis, dir.path(), address.clone());
        nodes.push(Node::start(config, validator_keys(i)).await.unwrap());
        dirs.push(dir);
    }
    let net = Net {
        genesis,
        dirs,
        nodes,
    };
    for sequence in 0..4 {
        decides(&net, sequence).await;
    }
    let places = net.nodes[0].shared().network.peers();
    for node in &net.nodes[1..] {
        assert!(places.iter().any(|peer| peer.id == node.peer_id()));
    }
    drop(strangers);
}

/// B19, L1: a peer that comes to a network under all of it finds its way in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newcomer_follows_a_network_that_strangers_talk_at() {
    let net = Net::start("newcomer", 4).await;
    let mut talkers = Vec::new();
    for node in &net.nodes {
        let it = stranger(node).await;
        let mut gossip = it.gossip().await.unwrap();
        talkers.push(tokio::spawn(async move {
            for i in 0u64.. {
                let status = wire::status(Height(u64::MAX - i), i);
                let message = wire::message(&it.topic(Topic::Status), &status);
                if gossip.rpc(&wire::publish(&[message])).await.is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
        }));
    }
    decides(&net, 0).await;
    let dir = tempfile::tempdir().unwrap();
    let late = config(&net.genesis, dir.path(), net.bootstrap()[..1].to_vec());
    let late = Node::start(late, follower_keys()).await.unwrap();
    holds(&late, 1).await;
    decides(&net, 1).await;
    holds(&late, 2).await;
    talkers.into_iter().for_each(|talker| talker.abort());
}
