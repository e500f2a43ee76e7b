//! An auction from opening to certificates, over the wire: seal duties, gossip, clearing and the index of the past.

use crate::net::{Net, PATIENCE, config, follower_keys, same_chain, until};
use std::collections::BTreeMap;
use tender_auction::{
    certificate::AssignmentCertificate,
    market::{Phase, duties},
    outcome::{EntryOutcome, OutcomeRecord, UnitOutcome},
    scenario::{self, OPENER, Plan, Scenario, amounts, class, key, spec, task},
    seal::SealSeed,
    task::{AuctionSpec, auction_id},
    transaction::{Action, AwardRef, SignedTx, Transaction},
};
use tender_circuits::verify::Engine;
use tender_p2p::{
    agent::client::Client,
    api::types::{self, Event},
    node::{Node, NodeHandle},
};
use tender_wire::{AuctionId, UnixTime};
use tokio::{task::spawn_blocking, time::timeout};

fn now() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// Two CPU tasks and one that nobody can serve; bidding for five seconds.
fn wanted() -> AuctionSpec {
    let mut spec = spec(
        vec![
            class("small", &[("cpu_milli", 1000)]),
            class("huge", &[("cpu_milli", 1_000_000)]),
        ],
        vec![
            task("a", 0, 100, 1),
            task("b", 0, 100, 1),
            task("c", 1, 100, 1),
        ],
    );
    spec.windows.bidding = 50;
    spec.lease_end = UnixTime(now() + 3600);
    spec
}

/// The scenario's tools on top of a peer's chain.
fn tools(node: &NodeHandle) -> Scenario {
    let chain = node.chain();
    let mut tools = Scenario::new(node.shared().market.genesis().clone());
    (tools.state, tools.tip) = (chain.app.clone(), chain.tip);
    tools
}

fn action(node: &NodeHandle, signer: &str, action: Action) -> Vec<u8> {
    let (chain, key) = (node.chain(), key(signer));
    let sequence = chain.app.next_sequence(&key.public());
    Transaction::Signed(Box::new(SignedTx::new(
        &chain.chain,
        &key,
        sequence,
        action,
    )))
    .to_bytes()
}

async fn in_phase(node: &NodeHandle, auction: &AuctionId, what: &str, fits: fn(&Phase) -> bool) {
    until(node, what, |chain| {
        chain.app.auction(auction).is_some_and(|a| fits(&a.phase))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_auction_clears_and_winner_and_loser_take_away_certificates() {
    scenario::resources_keys(); // made before the clock runs
    let net = Net::start("auction", 4).await;
    let dir = tempfile::tempdir().unwrap();
    let agent_config = config(&net.genesis, dir.path(), net.bootstrap());
    let agent = Node::start(agent_config, follower_keys()).await.unwrap();
    let mut events = agent.subscribe();

    let auction = auction_id(&net.genesis.chain_id(), &key(OPENER).public(), 0);
    let open = action(&agent, OPENER, Action::OpenAuction(Box::new(wanted())));
    agent.submit(open).await.unwrap();
    in_phase(&agent, &auction, "keys frozen", |p| {
        matches!(p, Phase::Bidding { .. })
    })
    .await;

    // Three bidders of one machine each; the dearest loses. The last one shows a proof.
    let claim = amounts(&[("cpu_milli", 1000)]);
    let credential = {
        let mut tools = tools(&agent);
        let credential = tools.issue(
            0,
            "carol",
            "machine-carol",
            scenario::attributes(&[("cpu_milli", 4000)]),
        );
        let issue = Action::Issue {
            commitment: credential.commitment(),
            asset: credential.asset,
        };
        agent
            .submit(action(&agent, scenario::ISSUERS[0], issue))
            .await
            .unwrap();
        credential
    };
    until(&agent, "carol's credential", |chain| {
        chain.app.find_leaf(&credential.leaf()).is_some()
    })
    .await;
    let tools = tools(&agent);
    for (serial, (name, price)) in [("alice", 10), ("bob", 20), ("carol", 30)]
        .into_iter()
        .enumerate()
    {
        let machine = format!("machine-{name}");
        let plan = Plan {
            auction,
            agent: name,
            machine: &machine,
            sequence: 0,
            slots: &[(0, 1)],
            entries: &[(0, price), (1, price), (2, price)],
            claim: claim.clone(),
        };
        let bid = match name {
            "carol" => tools.bid(&plan, &credential),
            _ => tools.attested_bid(
                &plan,
                &[tools.attest(1, name, &machine, claim.clone(), serial as u64)],
            ),
        };
        let bytes = Transaction::Bid(Box::new(bid)).to_bytes();
        agent.submit(bytes.clone()).await.unwrap();
        assert_eq!(
            agent.submit(bytes).await.map(|_| ()),
            Ok(()),
            "asking again does no harm"
        );
    }
    // What became of the bids, as whoever watches the peer sees it: one of the three showed a proof.
    let url = agent.api_url().unwrap();
    let seen = spawn_blocking(move || Client::new(&url).metrics());
    let seen = seen.await.unwrap().unwrap();
    let engine = Engine::chosen().unwrap().name();
    for line in [
        &format!("tender_engine{{engine=\"{engine}\"}} 1"),
        "tender_proofs_total{verdict=\"Ok\"} 1",
        "tender_proof_batch_sum 1.0",
        "tender_proof_batch_count 1",
        "tender_proof_batch_bucket{le=\"1.0\"} 1",
        "tender_proof_batch_seconds_count 1",
        "tender_proof_wait_seconds_count 1",
    ] {
        assert!(seen.lines().any(|it| it == line), "{line} not in:\n{seen}");
    }
    // T20: while bids are taken, nobody owes a reveal.
    let owed = duties(
        &agent.chain().app,
        agent.chain().tip,
        &key(scenario::VALIDATORS[0]),
        &SealSeed::from_bytes(&mut [50; 32]),
    );
    assert!(owed.is_empty());
    in_phase(&agent, &auction, "three bids", |_| true).await;
    until(&agent, "three bids", |chain| {
        chain.app.auction(&auction).unwrap().bids.len() == 3
    })
    .await;
    in_phase(&agent, &auction, "cleared", |p| {
        matches!(p, Phase::Settled { .. })
    })
    .await;

    let archive = &agent.shared().archive;
    let records = archive.records(&auction).unwrap();
    let mut won = BTreeMap::new();
    let mut lost = 0;
    for placed in &records {
        match &placed.record {
            OutcomeRecord::Entry(entry) => match entry.outcome {
                EntryOutcome::Won { payment } => {
                    won.insert(entry.bidder, (entry.task, entry.bid, payment));
                }
                _ => lost += 1,
            },
            OutcomeRecord::Unit(unit) if unit.task == 2 => {
                assert_eq!(unit.outcome, UnitOutcome::NoCoveringBid)
            }
            _ => {}
        }
    }
    let bidder = |name| key(name).public();
    assert_eq!(won.keys().copied().collect::<Vec<_>>(), {
        let mut winners = vec![bidder("alice"), bidder("bob")];
        winners.sort();
        winners
    });
    // One price sets both: the first that lost.
    assert!(won.values().all(|(.., payment)| payment.0 == 30));
    assert_eq!(lost, 7);
    for placed in records {
        let certificate = archive.certificate(placed.clone()).unwrap();
        let text = certificate.to_json();
        let read = AssignmentCertificate::from_json(text.as_bytes()).unwrap();
        assert_eq!(read.verify(&net.genesis).unwrap().record, &placed.record);
    }

    use types::Phase::{Bidding, Cleared, Clearing, Keys, Reveal};
    let mut phases = Vec::new();
    while phases.last() != Some(&Cleared) {
        let event = timeout(PATIENCE, events.recv())
            .await
            .expect("in time")
            .unwrap();
        if let Event::Auction { phase, .. } = event {
            phases.push(phase);
        }
    }
    assert_eq!(phases, [Keys, Bidding, Reveal, Clearing, Cleared]);

    // What the API says of it is as described.
    use crate::api::get;
    for path in ["", "/explain?bidder=", "/certificate?bidder="] {
        let of = if path.is_empty() {
            String::new()
        } else {
            bidder("carol").to_string()
        };
        get::<serde_json::Value>(&agent, &format!("/v1/auctions/{auction}{path}{of}")).await;
    }
    assert_eq!(
        get::<Vec<types::AuctionSummary>>(&agent, "/v1/auctions")
            .await
            .len(),
        1
    );
    // And all of it is told again, from the disk, by any peer alike, to whoever asks.
    let told = crate::events::phases(&agent, &auction, 5).await;
    assert_eq!(
        told.iter().map(|(_, phase)| *phase).collect::<Vec<_>>(),
        phases
    );
    assert_eq!(
        told,
        crate::events::phases(&net.nodes[2], &auction, 5).await
    );

    // The winners' life goes on over the wire, too.
    let (task, bid, _) = won[&bidder("alice")];
    let award = AwardRef { auction, task, bid };
    agent
        .submit(action(&agent, "alice", Action::Accept(award)))
        .await
        .unwrap();
    until(&net.nodes[0], "accepted", |chain| {
        let held = chain.app.awards().find(|a| a.award == award);
        held.is_some_and(|a| a.state == tender_auction::outcome::AwardState::Accepted)
    })
    .await;
    let mut all: Vec<_> = net.nodes.iter().collect();
    all.push(&agent);
    same_chain(&all).await;
}

/// Bids of the large auction, and entries of each: 20,032 in all.
const BIDDERS: u32 = 313;
const ENTRIES: u32 = 64;

/// 256 tasks of two units, for which 313 machines bid.
fn large() -> AuctionSpec {
    let tasks = (0..4 * ENTRIES).map(|i| task(&format!("task {i}"), 0, 1_000, 2));
    let mut spec = spec(vec![class("free", &[])], tasks.collect());
    spec.windows.bidding = 300;
    spec.lease_end = UnixTime(now() + 3600);
    spec.max_entries = ENTRIES as u8;
    spec
}

/// The bid of one machine: three slots, and a price for every fourth task or so. Many prices are the same.
fn large_bid(tools: &Scenario, auction: AuctionId, number: u32) -> Vec<u8> {
    let agent = format!("agent-{number}");
    let entries = (0..ENTRIES).map(|i| {
        let task = 4 * i + (number + i) % 4;
        (task, 1 + u64::from((number * 7_919 + task * 104_729) % 900))
    });
    let plan = Plan {
        auction,
        agent: &agent,
        machine: &agent,
        sequence: 0,
        slots: &[(0, 3)],
        entries: &entries.collect::<Vec<_>>(),
        claim: amounts(&[]),
    };
    let shown = tools.attest(0, &agent, &agent, plan.claim.clone(), number.into());
    Transaction::Bid(Box::new(tools.attested_bid(&plan, &[shown]))).to_bytes()
}

/// Twenty thousand sealed entries are gossiped, opened and cleared, and every peer finds the proposer's clearing to be the one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_clears_twenty_thousand_entries() {
    let net = Net::start("large", 4).await;
    let node = &net.nodes[0];
    let auction = auction_id(&net.genesis.chain_id(), &key(OPENER).public(), 0);
    let open = action(node, OPENER, Action::OpenAuction(Box::new(large())));
    node.submit(open).await.unwrap();
    in_phase(node, &auction, "keys frozen", |p| {
        matches!(p, Phase::Bidding { .. })
    })
    .await;
    let tools = tools(node);
    let bids = spawn_blocking(move || {
        let bids = (0..BIDDERS).map(|number| large_bid(&tools, auction, number));
        bids.collect::<Vec<_>>()
    });
    for (number, bid) in bids.await.unwrap().into_iter().enumerate() {
        net.nodes[number % 4].submit(bid).await.unwrap();
    }
    until(node, "every bid", |chain| {
        let auction = chain.app.auction(&auction);
        auction.is_some_and(|a| a.bids.len() == BIDDERS as usize)
    })
    .await;
    for node in &net.nodes {
        in_phase(node, &auction, "cleared", |p| {
            matches!(p, Phase::Settled { .. })
        })
        .await;
    }
    let records = node.shared().archive.records(&auction).unwrap();
    let (mut won, mut lost, mut units) = (0, 0, 0);
    for placed in records {
        match placed.record {
            OutcomeRecord::Entry(entry) => match entry.outcome {
                EntryOutcome::Won { payment } => {
                    assert!(entry.price <= payment && payment <= entry.reserve);
                    won += 1;
                }
                EntryOutcome::Outbid { .. } | EntryOutcome::SlotsUsed => lost += 1,
                outcome => panic!("{outcome:?}"),
            },
            OutcomeRecord::Unit(unit) => match unit.outcome {
                UnitOutcome::Filled { .. } => units += 1,
                outcome => panic!("{outcome:?}"),
            },
            _ => {}
        }
    }
    assert_eq!((won, units), (8 * ENTRIES, 8 * ENTRIES));
    assert_eq!(won + lost, BIDDERS * ENTRIES);
    same_chain(&net.nodes.iter().collect::<Vec<_>>()).await;
}
