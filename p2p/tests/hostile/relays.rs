//! Real peers with a bad wire between them: every link is dialled through a relay of the test.

use crate::{
    keep_busy,
    net::{Net, config, eventually, genesis, until, validator_keys},
    nobody_is_blamed,
    sockets::socket_of,
};
use libp2p::Multiaddr;
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};
use tender_auction::{genesis::Genesis, market::Market, scenario::VALIDATORS, scenario::key};
use tender_consensus::{chain::ChainState, sim::Rng};
use tender_p2p::node::Node;
use tender_wire::{Height, Round};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    time::{Duration, Instant, sleep_until},
};

/// What relays do to what goes through them.
#[derive(Default)]
struct Faults {
    /// Flips one bit somewhere in each direction of every connection.
    flips: AtomicBool,
    flipped: AtomicU64,
    /// Connections that ended after a flip.
    ended: AtomicU64,
    /// How late bytes of the last validator arrive, in milliseconds.
    late_ms: AtomicU64,
}

/// Where to dial instead of `to`.
async fn relay(to: SocketAddr, is_late: bool, seed: u64, faults: &Arc<Faults>) -> Multiaddr {
    let door = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = door.local_addr().unwrap().port();
    let faults = Arc::clone(faults);
    tokio::spawn(async move {
        let mut rng = Rng::new(seed);
        while let Ok((near, _)) = door.accept().await {
            let Ok(far) = TcpStream::connect(to).await else {
                continue;
            };
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            for (from, to, is_late) in [(near_in, far_out, is_late), (far_in, near_out, false)] {
                let rng = Rng::new(rng.bits());
                tokio::spawn(pump(from, to, is_late, rng, Arc::clone(&faults)));
            }
        }
    });
    format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap()
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    is_late: bool,
    mut rng: Rng,
    faults: Arc<Faults>,
) {
    let (line, mut due) = mpsc::channel::<(Instant, Vec<u8>)>(1024);
    tokio::spawn(async move {
        while let Some((at, bytes)) = due.recv().await {
            sleep_until(at).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    let mut left = 10_000 + rng.below(30_000) as usize;
    let mut flipped = false;
    loop {
        let mut bytes = vec![0; 4096];
        let Ok(read @ 1..) = from.read(&mut bytes).await else {
            break;
        };
        bytes.truncate(read);
        if left >= read {
            left -= read;
        } else if faults.flips.load(Ordering::Relaxed) && !flipped {
            flipped = true;
            bytes[left] ^= 1 << rng.below(8);
            faults.flipped.fetch_add(1, Ordering::Relaxed);
        }
        let late = match is_late {
            true => faults.late_ms.load(Ordering::Relaxed),
            false => 0,
        };
        let at = Instant::now() + Duration::from_millis(late);
        if line.send((at, bytes)).await.is_err() {
            break;
        }
    }
    if flipped {
        faults.ended.fetch_add(1, Ordering::Relaxed);
    }
}

/// Four validators, each of which dials those before it through relays.
async fn relayed(genesis: Genesis, faults: &Arc<Faults>) -> Net {
    let (mut dirs, mut nodes) = (Vec::new(), Vec::new());
    for i in 0..genesis.validators.len() {
        let mut known = Vec::new();
        for (j, node) in nodes.iter().enumerate() {
            let seed = 10 * i as u64 + j as u64;
            known.push(relay(socket_of(node), i == LATE, seed, faults).await);
        }
        let dir = tempfile::tempdir().unwrap();
        let config = config(&genesis, dir.path(), known);
        nodes.push(Node::start(config, validator_keys(i)).await.unwrap());
        dirs.push(dir);
    }
    let net = Net {
        genesis,
        dirs,
        nodes,
    };
    for node in &net.nodes {
        let all = || node.shared().network.peers().len() == 3;
        eventually("everybody is connected", all).await;
    }
    keep_busy(&net, 600_000).await;
    net
}

const LATE: usize = 3;

/// N5: bits of the encrypted streams flip. The connection ends, nothing of it is believed and nobody is blamed for it; the peers find each other again
/// and the chain goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n5_flipped_bits_end_their_connection_and_nothing_else() {
    let faults = Arc::new(Faults::default());
    let net = relayed(genesis("flipped bits", 4), &faults).await;
    faults.flips.store(true, Ordering::Relaxed);
    let ended = || faults.ended.load(Ordering::Relaxed);
    eventually("connections broke", || ended() >= 6).await;
    faults.flips.store(false, Ordering::Relaxed);
    let tip = net.nodes[0].chain().height.0;
    for node in &net.nodes {
        until(node, "heights after that", |c| c.height.0 >= tip + 10).await;
    }
    let flipped = || faults.flipped.load(Ordering::Relaxed);
    eventually("each of them broke", || ended() == flipped()).await;
    nobody_is_blamed(&net).await;
}

/// B4, L3: all that one validator says comes late, its proposals long after their round. Rounds are lost where it proposes and nowhere else, and as
/// certificates lack it as well, its turns soon pass it by.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b4_proposals_that_come_too_late_cost_their_proposers_rounds_only() {
    let faults = Arc::new(Faults::default());
    let mut genesis = genesis("late", 4);
    genesis.consensus.propose_timeout_ms = 2_000;
    let net = relayed(genesis.clone(), &faults).await;
    until(&net.nodes[0], "heights with it", |c| c.height.0 >= 4).await;
    faults.late_ms.store(6_000, Ordering::Relaxed);
    let from = net.nodes[0].chain().height.0 + 2;
    let to = from + 15;
    until(&net.nodes[0], "heights without it", |c| c.height.0 >= to).await;

    let market = Market::new(genesis).unwrap();
    let mut chain = ChainState::genesis(&market);
    let late = key(VALIDATORS[LATE]).public();
    let mut lost = 0;
    for height in 1..=to {
        let archive = &net.nodes[0].shared().archive;
        let committed = archive.block(Height(height)).unwrap().unwrap();
        let first = chain.proposers().of(Round(0));
        if height >= from && committed.certificate.round() > Round(0) {
            let turn = chain.validators.index_of(&late);
            assert_eq!(turn, Some(first), "{height} was another's turn");
            lost += 1;
        }
        chain = chain.apply(&market, &committed.block).unwrap().chain;
    }
    assert!((1..=3).contains(&lost), "{lost} of its turns");
    // It hears the others in time.
    until(&net.nodes[LATE], "the same", |c| c.height.0 >= to).await;
    nobody_is_blamed(&net).await;
}
