//! Strangers at the door: sockets without a handshake, identities without end, questions without a reader.

use crate::{
    A_WHILE,
    net::{Net, PATIENCE, config, eventually, follower_keys, genesis, holds, validator_keys},
    sized,
    wire::{Manners, Stranger},
};
use futures::AsyncReadExt as _;
use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::Arc,
};
use tender_consensus::message::{MAX_RANGE_BLOCKS, Request, Response};
use tender_p2p::node::{Node, NodeHandle};
use tender_wire::Height;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt as _},
    net::TcpStream,
    time::{Duration, sleep, timeout},
};

pub(crate) fn socket_of(node: &NodeHandle) -> SocketAddr {
    use libp2p::multiaddr::Protocol;
    let address = node.listen_addresses()[0].clone();
    let mut parts = address.iter();
    match (parts.next(), parts.next()) {
        (Some(Protocol::Ip4(ip)), Some(Protocol::Tcp(port))) => (ip, port).into(),
        _ => panic!("{address}"),
    }
}

/// B16: a thousand sockets that say nothing, or one byte now and then. They are shown out, and an honest peer is let in beside them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b16_half_open_handshakes_are_shown_out_and_an_honest_dial_succeeds() {
    let net = Net::start("half-open", 4).await;
    let door = socket_of(&net.nodes[0]);
    let mut sockets = Vec::new();
    for i in 0..sized("TENDER_SOCKETS", 1000) {
        let Ok(mut socket) = TcpStream::connect(door).await else {
            continue;
        };
        sockets.push(tokio::spawn(async move {
            let mut byte = [0; 1];
            if i % 2 == 0 {
                // The node speaks only when spoken to: this ends when it hangs up.
                while AsyncReadExt::read(&mut socket, &mut byte)
                    .await
                    .is_ok_and(|n| n > 0)
                {}
                return;
            }
            for byte in "\u{13}/multistream/1.0.0\n".bytes().cycle() {
                if socket.write_all(&[byte]).await.is_err() {
                    return;
                }
                sleep(Duration::from_millis(300)).await;
            }
        }));
    }
    let dir = tempfile::tempdir().unwrap();
    let newcomer = config(&net.genesis, dir.path(), net.bootstrap()[..1].to_vec());
    let newcomer = Node::start(newcomer, follower_keys()).await.unwrap();
    net.submit(0, 0).await;
    holds(&newcomer, 1).await;
    for socket in sockets {
        timeout(PATIENCE, socket).await.unwrap().unwrap();
    }
}

/// An address of this machine that is not loopback, which is exempt from what is counted by address.
fn own_address() -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // Sends nothing; names the address it would be sent from.
    socket.connect((Ipv4Addr::new(192, 0, 2, 254), 9)).ok()?;
    match socket.local_addr().ok()? {
        SocketAddr::V4(own) if !own.ip().is_loopback() => Some(*own.ip()),
        _ => None,
    }
}

/// B17.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b17_one_address_holds_few_places_under_however_many_names() {
    let Some(own) = own_address() else {
        eprintln!("skipped: this machine has no address but loopback");
        return;
    };
    let genesis = genesis("one address", 1);
    let dir = tempfile::tempdir().unwrap();
    let mut open = config(&genesis, dir.path(), Vec::new());
    let listen = format!("/ip4/{own}/tcp/0");
    open.listen.push(listen.parse().unwrap());
    let node = Node::start(open, validator_keys(0)).await.unwrap();
    let prefix = listen.trim_end_matches('0');
    let outside = node
        .listen_addresses()
        .into_iter()
        .find(|a| a.to_string().starts_with(prefix))
        .unwrap();
    let mut strangers = Vec::new();
    for _ in 0..sized("TENDER_IDENTITIES", 100) {
        let manners = Manners::of(genesis.chain_id());
        strangers.extend(Stranger::dial(&outside, manners).await.ok());
    }
    sleep(A_WHILE).await;
    let inside = strangers.iter().filter(|it| !it.is_cut_off()).count();
    assert!((1..=16).contains(&inside), "{inside} of one address");
    assert_eq!(node.shared().network.peers().len(), inside);
    // From elsewhere there is room.
    let manners = Manners::of(genesis.chain_id());
    let welcome = Stranger::dial(&node.listen_addresses()[0], manners)
        .await
        .unwrap();
    eventually("let in from elsewhere", || {
        let peers = node.shared().network.peers();
        peers.iter().any(|peer| peer.id == welcome.id)
    })
    .await;
}

/// B17: names that come and go leave nothing behind and stop nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b17_identities_that_come_and_go_do_not_stop_the_chain() {
    let net = Net::start("churn", 4).await;
    let address = net.nodes[0].listen_addresses()[0].clone();
    let chain = net.genesis.chain_id();
    let churn = tokio::spawn(async move {
        for _ in 0..sized("TENDER_IDENTITIES", 100) {
            let _ = Stranger::dial(&address, Manners::of(chain)).await;
        }
    });
    for sequence in 0..5 {
        net.submit(0, sequence).await;
        holds(&net.nodes[3], sequence as u32 + 1).await;
    }
    churn.await.unwrap();
    eventually("only the honest remain", || {
        net.nodes[0].shared().network.peers().len() == 3
    })
    .await;
}

/// D, B15, B16: questions with giant lengths, questions never ended, more at once than anyone needs, and none of the answers read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b15_questions_without_measure_take_no_answers_from_others() {
    let net = Net::start("questions", 4).await;
    net.submit(0, 0).await;
    holds(&net.nodes[0], 1).await;
    let door = net.nodes[0].listen_addresses()[0].clone();
    let manners = || Manners {
        reads: false,
        ..Manners::of(net.genesis.chain_id())
    };
    let mut held = Vec::new();
    for _ in 0..8 {
        let it = Stranger::dial(&door, manners()).await.unwrap();
        // A length beyond the cap ends its stream at once, before a byte is stored.
        if let Ok(mut giant) = it.question(u32::MAX, &[0; 100]).await {
            let mut end = Vec::new();
            let ended = timeout(PATIENCE, giant.read_to_end(&mut end)).await;
            assert!(ended.is_ok() && end.is_empty());
        }
        for _ in 0..6 {
            held.extend(it.question(100_000, &[0; 50_000]).await.ok());
        }
        let it = Arc::new(it);
        for _ in 0..40 {
            let it = Arc::clone(&it);
            tokio::spawn(async move { it.ask(&Request::Blocks(Height(1))).await });
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let newcomer = config(&net.genesis, dir.path(), net.bootstrap()[..1].to_vec());
    let newcomer = Node::start(newcomer, follower_keys()).await.unwrap();
    holds(&newcomer, 1).await;
    net.submit(1, 1).await;
    holds(&newcomer, 2).await;
    // One question at a time is answered, to a stranger as well.
    let it = Stranger::dial(&door, manners()).await.unwrap();
    let mut answered = None;
    for _ in 0..20 {
        match it.ask(&Request::Blocks(Height(1))).await {
            Ok(Response::Blocks(blocks)) => {
                answered = Some(blocks.len());
                break;
            }
            _ => sleep(Duration::from_millis(500)).await,
        }
    }
    let answered = answered.expect("an answer");
    assert!((1..=MAX_RANGE_BLOCKS).contains(&answered));
}
