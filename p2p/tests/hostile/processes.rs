//! Validators as processes: stopped and continued, and watched from outside while strangers do their worst.

use crate::{
    common::{Peer, run, tender, until},
    sized,
    wire::{self, Manners, Stranger},
};
use std::path::PathBuf;
use tender_p2p::{agent::client::Client, cli::place::Place, config::Home, network::Topic};
use tender_wire::{Height, encode};
use tokio::{
    net::TcpStream,
    runtime::Runtime,
    time::{Duration, sleep},
};

struct Processes {
    dir: tempfile::TempDir,
    homes: Vec<PathBuf>,
    peers: Vec<Peer>,
    apis: Vec<Client>,
}

impl Processes {
    /// Four validators on a chain that keeps making blocks.
    fn start() -> Processes {
        let dir = tempfile::tempdir().unwrap();
        let net = dir.path().join("net");
        let line = "testnet --validators 4 --followers 0 --block-interval-ms 250 --output";
        let words = line.split(' ').chain([net.to_str().unwrap()]);
        tender(words).ok();
        let homes: Vec<_> = (0..4).map(|i| net.join(format!("validator-{i}"))).collect();
        let peers: Vec<_> = homes.iter().map(|home| Peer::start(home)).collect();
        for home in &homes {
            until("every validator is connected", || {
                let client = Place::at(home).client();
                client.and_then(|c| c.status()).is_ok_and(|s| s.peers >= 3)
            });
        }
        let apis: Vec<_> = homes
            .iter()
            .map(|home| Place::at(home).client().unwrap())
            .collect();
        let auction = dir.path().join("auction.json");
        let document = serde_json::json!({
            "title": "long", "bidding_seconds": 3600, "lease_seconds": 36000,
            "classes": { "any": { "requires": [{ "type": "resources/v1", "needs": { "cpu_milli": 1 } }] } },
            "tasks": [{ "name": "a", "class": "any", "reserve": 1, "quantity": 1 }],
        });
        std::fs::write(&auction, document.to_string()).unwrap();
        let opener = net.join("opener");
        run(&format!(
            "auction open {} --home {} --api {}",
            auction.display(),
            opener.display(),
            apis[0].url()
        ))
        .ok();
        Processes {
            dir,
            homes,
            peers,
            apis,
        }
    }

    fn height(&self, at: usize) -> Height {
        self.apis[at].status().unwrap().height
    }

    /// Waits until a validator has made some more blocks.
    fn goes_on(&self, at: usize, what: &str) {
        let from = self.height(at);
        until(what, || self.height(at).0 >= from.0 + 4);
    }

    fn caught_up(&self, at: usize, with: usize) {
        until("caught up", || self.height(at).0 + 1 >= self.height(with).0);
    }

    /// Resident memory of a validator's process, in KiB.
    fn memory(&self, at: usize) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.peers[at].pid()));
        let status = status.unwrap();
        let line = status.lines().find(|l| l.starts_with("VmRSS")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

/// P9, N1: a validator stopped for a while is not missed, catches up, and its vote counts again; a ban by command cuts a link of processes.
#[test]
fn p9_a_validator_stopped_and_continued_catches_up_and_is_needed() {
    let net = Processes::start();
    net.goes_on(0, "blocks are made");
    net.peers[3].signal("STOP");
    std::thread::sleep(Duration::from_secs(sized("TENDER_STOPPED", 4)));
    net.goes_on(0, "three go on");
    net.peers[3].signal("CONT");
    net.caught_up(3, 0);
    net.peers[0].signal("STOP");
    net.goes_on(3, "the one that was stopped votes");
    net.peers[0].signal("CONT");
    net.caught_up(0, 3);

    let home = net.homes[0].display();
    let listed = run(&format!("peers --json --home {home}")).json();
    assert_eq!(listed.as_array().unwrap().len(), 3, "{listed}");
    let other = Home::at(&net.homes[1]).read_addresses().unwrap().peer_id;
    run(&format!("peers ban {other} --home {home}")).ok();
    let lists = |id: &str| run(&format!("peers --home {home}")).ok().contains(id);
    until("banned", || !lists(&other.to_string()));
    net.goes_on(0, "a link less");
    run(&format!("peers unban {other} --home {home}")).ok();
    until("unbanned", || lists(&other.to_string()));
    run(&format!("peers ban {other}")).fails(2, &["name its home"]);

    // Nobody halted, nobody was caught signing twice, and there is one chain.
    let tip = (0..4).map(|at| net.height(at)).min().unwrap();
    for api in &net.apis {
        assert_eq!(api.status().unwrap().halted, None);
        let (ours, first) = (api.block(tip).unwrap(), net.apis[0].block(tip).unwrap());
        assert_eq!(ours, first);
    }
    for home in &net.homes {
        let log = std::fs::read_to_string(home.join("log")).unwrap();
        for never in ["equivocation", "panicked", "shut out", "rejected"] {
            assert!(!log.contains(never), "{never}: {log}");
        }
    }
    drop(net.dir);
}

/// B8, B15, B16, B17, B19: strangers do at one validator what strangers can do; the chain goes on, and the process does not grow.
#[test]
fn b15_a_process_under_all_of_it_at_once_goes_on_and_does_not_grow() {
    let net = Processes::start();
    net.goes_on(0, "blocks are made");
    let before = net.memory(0);
    let address = Home::at(&net.homes[0]).read_addresses().unwrap().listen[0].clone();
    let chain = net.apis[0].status().unwrap().chain_id;
    let strangers = Runtime::new().unwrap();
    let spam = sized("TENDER_SPAM", 3000);
    for kind in 0..12u64 {
        let address = address.clone();
        strangers.spawn(async move {
            loop {
                let manners = Manners {
                    reads: kind % 2 == 0,
                    identifies: kind % 3 > 0,
                    ..Manners::of(chain)
                };
                let Ok(it) = Stranger::dial(&address, manners).await else {
                    sleep(Duration::from_millis(50)).await;
                    continue;
                };
                // Whatever it is cut off for, it comes again under another name.
                let _ = worst(&it, kind, spam).await;
            }
        });
    }
    let door = {
        use libp2p::multiaddr::Protocol;
        let port = address.iter().find_map(|p| match p {
            Protocol::Tcp(port) => Some(port),
            _ => None,
        });
        ("127.0.0.1", port.unwrap())
    };
    strangers.spawn(async move {
        let mut open = std::collections::VecDeque::new();
        loop {
            if let Ok(socket) = TcpStream::connect(door).await {
                open.push_back(socket);
            }
            if open.len() > 500 {
                open.pop_front();
            }
            sleep(Duration::from_millis(5)).await;
        }
    });
    let mut most = before;
    for _ in 0..sized("TENDER_MINUTES", 1) * 4 {
        net.goes_on(0, "the one attacked goes on");
        net.goes_on(1, "the others go on");
        most = most.max(net.memory(0));
    }
    strangers.shutdown_background();
    assert!(
        most < before + (192 << 10),
        "{most} KiB resident, {before} before"
    );
    for (home, api) in net.homes.iter().zip(&net.apis) {
        assert_eq!(api.status().unwrap().halted, None);
        let log = std::fs::read_to_string(home.join("log")).unwrap();
        assert!(!log.contains("panicked"), "{log}");
    }
}

async fn worst(it: &Stranger, kind: u64, spam: u64) -> std::io::Result<()> {
    let mut gossip = it.gossip().await?;
    for topic in Topic::ALL {
        let topic = it.topic(topic);
        gossip.rpc(&wire::subscribe(&topic, true)).await?;
        gossip.rpc(&wire::graft(&[&topic])).await?;
    }
    let random = |i: u64| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_le_bytes();
    for i in 0..spam {
        let rpc = match kind % 6 {
            // Votes of nobody.
            0 => {
                let mut vote = encode(&(1u32, Height(i), 0u32, 0u32, None::<[u8; 32]>));
                vote.extend([7; 32]);
                vote.extend([0; 64]);
                wire::publish(&[wire::message(&it.topic(Topic::Vote), &vote)])
            }
            // Transactions as long as they may be.
            1 => {
                let data = random(i).repeat(8 << 10);
                wire::publish(&[wire::message(&it.topic(Topic::Tx), &data)])
            }
            2 => {
                let status = wire::status(Height(i), i);
                wire::publish(&[wire::message(&it.topic(Topic::Status), &status)])
            }
            3 => wire::idontwant(&[random(i).repeat(1 << 10)]),
            4 => {
                let ids: Vec<_> = (0..400u64)
                    .map(|n| {
                        let mut id = [0; 32];
                        id[..8].copy_from_slice(&random(i * 400 + n));
                        id
                    })
                    .collect();
                wire::ihave(&it.topic(Topic::Vote), &ids)
            }
            _ => {
                for _ in 0..8 {
                    let _ = it.question(100_000, &[0; 90_000]).await?;
                }
                Vec::new()
            }
        };
        gossip.rpc(&rpc).await?;
    }
    Ok(())
}
