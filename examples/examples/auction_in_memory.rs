//! A whole sealed-bid auction in one process, without a network: credentials, proofs, sealed bids, reveals, clearing, reasons.
//!
//! `cargo run --release -p tender-examples --example auction_in_memory`

use std::collections::BTreeMap;
use tender_auction::{
    market::Event,
    outcome::{AuctionEnd, EntryOutcome, OutcomeRecord, UnitOutcome},
    scenario::{ISSUERS, Plan, Scenario, amounts, attributes, class, key, spec, task},
    transaction::{Action, Transaction},
};
use tender_circuits::asset_of;
use tender_wire::{BidId, FieldBytes, PublicKey};

/// (agent, attested GPUs in thousandths, offered slots for training and inference, entries: task, price)
type Agent = (
    &'static str,
    u64,
    &'static [(u16, u32)],
    &'static [(u32, u64)],
);

const AGENTS: [Agent; 4] = [
    ("ada", 8_000, &[(0, 1)], &[(0, 700)]),
    ("bob", 8_000, &[(0, 1)], &[(0, 640)]),
    ("cyd", 2_000, &[(1, 4)], &[(1, 55), (2, 45)]),
    ("dan", 1_000, &[(1, 2)], &[(1, 60), (2, 95)]),
];

fn main() {
    let mut scenario = Scenario::default();
    println!(
        "chain {}: four validators, three issuers, resources/v1 (insecure development setup)",
        scenario.state.chain().short()
    );

    let mut names: BTreeMap<PublicKey, &str> = BTreeMap::new();
    let mut machines: BTreeMap<FieldBytes, &str> = BTreeMap::new();
    let mut credentials = Vec::new();
    for (agent, gpus, ..) in AGENTS {
        names.insert(key(agent).public(), agent);
        machines.insert(asset_of(agent), agent);
        let attested = attributes(&[
            ("gpu_milli", gpus),
            ("cpu_milli", 64_000),
            ("memory_mib", 512_000),
        ]);
        credentials.push(scenario.issue(0, agent, agent, attested));
        println!(
            "{} attests {} GPU to {agent}",
            ISSUERS[0],
            thousandths(gpus)
        );
    }

    let classes = vec![
        class("training", &[("gpu_milli", 8_000), ("memory_mib", 256_000)]),
        class("inference", &[("gpu_milli", 500)]),
    ];
    let tasks = vec![
        task("train a model on eight GPUs", 0, 1_000, 1),
        task("serve embeddings", 1, 100, 2),
        task("transcribe a podcast", 1, 90, 1),
    ];
    let auction = scenario.open(spec(classes, tasks.clone()));

    let mut bids: BTreeMap<BidId, &str> = BTreeMap::new();
    let mut adas_evidence = Vec::new();
    for ((agent, gpus, slots, entries), credential) in AGENTS.iter().zip(&credentials) {
        // Claim what the slots need, not what the machine has: the proof hides the rest.
        let claim = if *gpus == 8_000 {
            amounts(&[("gpu_milli", 8_000), ("memory_mib", 256_000)])
        } else {
            amounts(&[("gpu_milli", *gpus)])
        };
        let plan = Plan {
            auction,
            agent,
            machine: agent,
            sequence: 0,
            slots,
            entries,
            claim,
        };
        let bid = scenario.bid(&plan, credential);
        bids.insert(bid.content.id(), agent);
        if *agent == "ada" {
            adas_evidence = bid.content.evidences.clone();
        }
        println!(
            "{agent} seals a bid of {} bytes, proof included",
            Transaction::Bid(Box::new(bid.clone())).to_bytes().len()
        );
        scenario.submit_bid(&bid);
    }

    // A cheat: eve shows ada's proof for a bid of her own. Every peer refuses it by the same rule.
    let eve = Plan {
        auction,
        agent: "eve",
        machine: "ada",
        sequence: 0,
        slots: &[(0, 1)],
        entries: &[(0, 1)],
        claim: amounts(&[("gpu_milli", 8_000)]),
    };
    let mut content = scenario.seal(&eve);
    content.evidences = adas_evidence;
    let stolen = content.sign(&scenario.state.chain(), &key("eve"));
    if let Err(refusal) = scenario.predict(&Transaction::Bid(Box::new(stolen))) {
        println!("eve copies ada's proof: {refusal} ({})", refusal.code());
    }

    scenario.clear(&auction);
    for block in &scenario.blocks {
        for event in block.executed.outcome.events.iter() {
            if let Some(line) = describe(event, &names) {
                println!("block {:>2}  {line}", block.context.height);
            }
        }
    }

    println!();
    for record in scenario.records() {
        match record {
            OutcomeRecord::Auction(record) => {
                if let AuctionEnd::Cleared { surplus, bids, .. } = &record.end {
                    println!("cleared: {bids} bids, surplus {surplus}");
                }
            }
            OutcomeRecord::Unit(unit) => {
                let name = tasks.get(unit.task as usize).map_or("", |task| &task.name);
                let outcome = match &unit.outcome {
                    UnitOutcome::Filled {
                        bid,
                        payment,
                        runner_up,
                        ..
                    } => {
                        let next = runner_up
                            .and_then(|bid| bids.get(&bid))
                            .map_or(String::new(), |b| format!(", runner-up {b}"));
                        format!(
                            "{} for {payment}{next}",
                            bids.get(bid).copied().unwrap_or("?")
                        )
                    }
                    reason => format!("unfilled: {reason:?}"),
                };
                println!("task {} unit {}  {name}: {outcome}", unit.task, unit.unit);
            }
            OutcomeRecord::Entry(entry) => {
                let outcome = match &entry.outcome {
                    EntryOutcome::Won { payment } => format!("won, paid {payment}"),
                    EntryOutcome::Outbid { by } => {
                        format!("outbid by {}", bids.get(by).copied().unwrap_or("?"))
                    }
                    reason => format!("{reason:?}"),
                };
                let agent = machines.get(&entry.asset).copied().unwrap_or("?");
                println!(
                    "  {agent} asked {} for task {}: {outcome}",
                    entry.price, entry.task
                );
            }
            _ => {}
        }
    }

    let awards: Vec<_> = scenario.state.awards().collect();
    for award in &awards {
        let agent = names.get(&award.bidder).copied().unwrap_or("?");
        scenario.act(agent, Action::Accept(award.award));
    }
    scenario.step();
    println!(
        "\n{} assignments accepted at height {}; state root {}",
        awards.len(),
        scenario.state.height(),
        scenario.state.root().short()
    );
}

fn thousandths(milli: u64) -> String {
    format!("{}.{}", milli / 1_000, milli % 1_000 / 100)
}

fn describe(event: &Event, names: &BTreeMap<PublicKey, &str>) -> Option<String> {
    Some(match event {
        Event::AuctionOpened { auction, .. } => format!("auction {} opens", auction.short()),
        Event::KeysFrozen {
            keys,
            threshold,
            closes,
            ..
        } => {
            format!(
                "{keys} seal keys frozen, {threshold} of them open the bids; closes with block {closes}"
            )
        }
        Event::BidAdmitted { bid, bidder, .. } => {
            format!(
                "sealed bid {} of {} admitted",
                bid.short(),
                names.get(bidder).copied().unwrap_or("?")
            )
        }
        Event::BiddingClosed { bids, .. } => format!("bidding closes with {bids} live bids"),
        Event::Revealed { reveals, .. } => format!("reveal {reveals}"),
        Event::Cleared { assigned, .. } => format!("cleared, {assigned} units assigned"),
        Event::Void { .. } => "void".into(),
        _ => return None,
    })
}
