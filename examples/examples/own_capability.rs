//! A capability type of one's own, on a chain that runs: `carbon/v1` (`examples/src/carbon.rs`) is set up, approved by the validators of four running
//! peers, attested, asked for, proven, and decides who wins a task. No peer is rebuilt or restarted; none but the bidders has the circuit.
//!
//! `cargo run --release -p tender-examples --example own_capability`

#![allow(clippy::arithmetic_side_effects)] // its own small numbers, no stranger's

use std::{
    error::Error,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tender_auction::{
    outcome::OutcomeRecord,
    transaction::{Action, Change, Proposal},
};
use tender_circuits::{CapabilityType, EvidenceKind, ProvingKey, Setup, setup};
use tender_examples::carbon::Carbon;
use tender_p2p::{
    agent::{
        actor::Actor,
        bidding::Bidder,
        client::{Client, Wanted},
        issuing::{self, Request},
    },
    api::types::{AuctionDetail, Phase},
    cli::{
        auction::{now, open},
        place::Place,
        start::start_home,
        testnet::{self, Layout, Testnet},
        words::Reader,
    },
    documents::{
        auction::AuctionFile, bid::BidFile, credential::CredentialFile, inventory::InventoryFile,
        names::Names,
    },
};
use tender_wire::{AuctionId, Height, PublicKey, UnixTime};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Name, grid in g CO2/kWh, PUE in percent, price asked.
const AGENTS: [(&str, u32, u32, u64); 3] = [
    ("fjord", 18, 110, 900),
    ("rhone", 56, 125, 1_100),
    ("ruhr", 420, 130, 400),
];
const WITHIN: Duration = Duration::from_secs(60);

fn main() -> Outcome<()> {
    let directory = std::env::temp_dir().join(format!("tender-own-{}", std::process::id()));
    let result = run(&directory);
    let _ = std::fs::remove_dir_all(&directory);
    result
}

struct Timeline(Instant);

impl Timeline {
    fn say(&self, topic: &str, line: impl std::fmt::Display) {
        println!("{:>7.2}s  {topic:<9}{line}", self.0.elapsed().as_secs_f64());
    }
}

fn run(directory: &Path) -> Outcome<()> {
    let timeline = Timeline(Instant::now());

    // Four peers run. Their genesis knows resources/v1 and score/v1.
    let net = testnet::write(
        directory,
        &Layout {
            name: "own capability".into(),
            validators: 4,
            followers: 0,
            issuers: vec!["green-audit".into()],
            agents: AGENTS.iter().map(|(name, ..)| (*name).into()).collect(),
            block_interval_ms: 200,
            log: "error".into(),
        },
    )?;
    let runtime = tokio::runtime::Runtime::new()?;
    let mut peers = Vec::new();
    for home in &net.validators {
        peers.push(runtime.block_on(start_home(home))?);
    }
    let clients: Vec<Client> = net
        .validators
        .iter()
        .map(|home| Place::at(home).client())
        .collect::<Result<_, _>>()?;
    let client = clients.first().ok_or("there are four")?;
    timeline.say(
        "network",
        format_args!("4 peers run; types: {}", labels(client)?),
    );

    // The circuit's author: setup by one party, which development chains accept.
    let (key, record) = setup(Arc::new(Carbon), tender_p2p::agent::bidding::random()?)?;
    assert_eq!(record.setup, Setup::Dev);
    timeline.say(
        "setup",
        format_args!(
            "{}: {} constraints, type {}",
            record.label(),
            key.constraints(),
            record.id().short()
        ),
    );

    // Governance: two approvals of four are not more than two thirds, three are.
    approve(&net, &clients, &record, &timeline)?;

    // An auditor attests three machines; the numbers stay with their holders.
    let mut names = Place::default().names(client)?;
    names.circuits = names.circuits.with(Arc::new(Carbon));
    let actor = |home: &Path| {
        Place {
            home: Some(home.to_path_buf()),
            api: Some(client.url().into()),
        }
        .actor()
    };
    let (_, auditor) = net.issuers.first().ok_or("one issuer")?;
    let agents = net
        .agents
        .iter()
        .map(|(_, home)| actor(home))
        .collect::<Result<Vec<_>, _>>()?;
    let credentials = attest(&actor(auditor)?, &names, &agents)?;
    timeline.say(
        "attest",
        format_args!(
            "green-audit attests carbon/v1 to {} machines",
            credentials.len()
        ),
    );

    // A task that needs it, and bids of all three.
    let file: AuctionFile = serde_json::from_value(serde_json::json!({
        "title": "clean training", "bidding_seconds": 12, "lease_seconds": 3600,
        "classes": { "clean": { "requires": [{ "type": "carbon/v1", "needs": { "saves": 900 } }] } },
        "tasks": [{ "name": "train", "class": "clean", "reserve": 2000 }],
    }))?;
    let (auction, height) = open(
        &actor(&net.opener)?,
        &names,
        &file,
        Path::new("clean training"),
    )?;
    timeline.say(
        "auction",
        format_args!("\"clean training\" needs saves ≥ 900 g CO2/kWh; opened in block {height}"),
    );
    wait(client, &auction, Phase::Bidding)?;
    bid_all(
        &net,
        key,
        &names,
        &agents,
        &credentials,
        &client.auction(&auction)?,
        &timeline,
    )?;
    wait(client, &auction, Phase::Cleared)?;

    // Who won, and why the others did not; then what a stranger can check.
    let detail = client.auction(&auction)?;
    let name = |key: &PublicKey| {
        let mut known = AGENTS.iter().zip(&agents);
        let found = known.find(|(_, agent)| agent.key.public() == *key);
        found.map_or_else(|| "nobody".into(), |((name, ..), _)| (*name).to_owned())
    };
    let reader = Reader {
        names: &names,
        auction: &detail,
        call: &name,
    };
    for record in &detail.outcomes {
        if let OutcomeRecord::Entry(entry) = record {
            timeline.say(
                "outcome",
                format_args!("{}: {}", name(&entry.bidder), reader.entry(entry)),
            );
        }
    }
    let certificate = client.certificate(
        &auction,
        &Wanted {
            task: Some(0),
            bidder: None,
            bid: None,
        },
    )?;
    let proven = certificate.verify(&net.genesis)?;
    let OutcomeRecord::Entry(won) = &proven.record else {
        return Err("the certificate is not about an entry".into());
    };
    assert_eq!(name(&won.bidder), "fjord");
    assert!(
        won.evidences
            .iter()
            .all(|shown| shown.type_id == record.id())
    );
    timeline.say(
        "verify",
        format_args!(
            "the certificate holds, by the genesis file alone: {} serves \"train\", block {}",
            name(&won.bidder),
            proven.header.height
        ),
    );
    runtime.block_on(async {
        for peer in peers {
            peer.shutdown().await;
        }
    });
    Ok(())
}

fn labels(client: &Client) -> Outcome<String> {
    let types = client.types()?;
    let labels: Vec<_> = types.iter().map(|info| info.record.label()).collect();
    Ok(labels.join(", "))
}

/// Validators approve one after the other, as `tender governance approve` does, until every peer lists the type.
fn approve(
    net: &Testnet,
    clients: &[Client],
    record: &CapabilityType,
    timeline: &Timeline,
) -> Outcome<()> {
    let height = clients.first().ok_or("there are four")?.status()?.height;
    let proposal = Proposal {
        change: Change::AddType(record.clone()),
        nonce: 0,
        expiry: Height(height.0 + 1_000),
    };
    for (count, home) in (1..).zip(net.validators.iter().take(3)) {
        let validator = Place::at(home).validator()?;
        let (_, height) = validator.act(Action::Approve(Box::new(proposal.clone())))?;
        let types = labels(&validator.client)?;
        timeline.say(
            "govern",
            format_args!("{count} of 4 approve, block {height}; types: {types}"),
        );
        assert_eq!(types.contains("carbon/v1"), count == 3);
    }
    until("every peer lists the type", || {
        clients
            .iter()
            .all(|c| labels(c).is_ok_and(|types| types.contains("carbon/v1")))
    })
}

fn attest(auditor: &Actor, names: &Names, agents: &[Actor]) -> Outcome<Vec<CredentialFile>> {
    let machines = AGENTS.map(|(name, grid, pue, _)| {
        serde_json::from_value::<InventoryFile>(serde_json::json!({
            "serial": format!("{name}-rack-1"), "type": "carbon/v1", "attributes": { "grid": grid, "pue": pue },
        }))
    });
    let machines = machines.into_iter().collect::<Result<Vec<_>, _>>()?;
    let request = |(machine, agent): (_, &Actor)| Request {
        holder: agent.key.public(),
        machine,
        from: now(),
        until: UnixTime(now().0 + 30 * 86_400),
        kind: EvidenceKind::Proof,
    };
    let requests: Vec<_> = machines.iter().zip(agents).map(request).collect();
    let attested = issuing::attest(auditor, names, &requests)?;
    Ok(attested.into_iter().map(|(file, _)| file).collect())
}

/// Everybody bids; who cannot show what the task needs is told so by its own prover, and claims what it can.
fn bid_all(
    net: &Testnet,
    key: ProvingKey,
    names: &Names,
    agents: &[Actor],
    credentials: &[CredentialFile],
    detail: &AuctionDetail,
    timeline: &Timeline,
) -> Outcome<()> {
    let prover = net.prover(&net.opener).with(Arc::new(key));
    for (((name, .., price), actor), credential) in AGENTS.iter().zip(agents).zip(credentials) {
        let bidder = Bidder {
            actor,
            prover: &prover,
            credentials: std::slice::from_ref(credential),
            names,
        };
        let mut file: BidFile =
            serde_json::from_value(serde_json::json!({ "prices": { "train": price } }))?;
        let placed = match bidder.bid(detail, &file) {
            Ok(placed) => placed,
            Err(refused) => {
                timeline.say("prove", format_args!("{name}: {}", refused.what));
                file.claim = Some(serde_json::from_value(serde_json::json!({ "saves": 450 }))?);
                bidder.bid(detail, &file)?
            }
        };
        let shown = placed.bid.content.evidences.first().ok_or("no evidence")?;
        let record = names.type_of(shown.type_id()).ok_or("an unknown type")?;
        let claim = record.schema.line(shown.claim());
        timeline.say(
            "bid",
            format_args!(
                "{name} proves {claim}; sealed price, block {}",
                placed.height
            ),
        );
    }
    Ok(())
}

fn wait(client: &Client, auction: &AuctionId, phase: Phase) -> Outcome<()> {
    until(&format!("the auction is {phase:?}"), || {
        client
            .auction(auction)
            .is_ok_and(|detail| detail.summary.phase == phase)
    })
}

fn until(what: &str, is_so: impl Fn() -> bool) -> Outcome<()> {
    let started = Instant::now();
    while !is_so() {
        if started.elapsed() > WITHIN {
            return Err(format!("{what}: not after {} s", WITHIN.as_secs()).into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
