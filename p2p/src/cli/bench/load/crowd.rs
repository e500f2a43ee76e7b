//! Those who bid: many agents with attested machines, and one who makes bids whose proofs are false.

use super::super::{Failure, network::Network};
use crate::{
    agent::{
        actor::Actor,
        bidding::{Bidder, random},
        issuing::{self, Request},
        prover::Prover,
    },
    api::types::AuctionDetail,
    cli::{auction::now, place::Place},
    documents::{
        auction::AuctionFile, bid::BidFile, credential::CredentialFile, inventory::InventoryFile,
        names::Names,
    },
};
use rayon::iter::{
    IndexedParallelIterator as _, IntoParallelRefIterator as _, ParallelIterator as _,
};
use std::{collections::BTreeMap, path::Path};
use tender_auction::{bid::Bid, transaction::Transaction};
use tender_circuits::{Evidence, EvidenceKind};
use tender_wire::{FieldBytes, SecretKey, UnixTime};

/// What machines are attested for.
const TYPE: &str = "resources/v1";
/// Credentials hold for so long.
const VALID_SECONDS: u64 = 30 * 86_400;
/// Tasks of an auction.
const TASKS: usize = 64;

/// Everybody who acts.
pub(super) struct Crowd {
    pub(super) names: Names,
    issuer: Actor,
    pub(super) opener: Actor,
    prover: Prover,
}

/// An agent and what it is attested for.
pub(super) type Agent = (Actor, CredentialFile);

impl Crowd {
    pub(super) fn of(network: &Network) -> Result<Self, Failure> {
        let net = &network.net;
        let at = |home: &Path| -> Result<Actor, Failure> {
            let api = Some(network.client(0)?.url().to_owned());
            let home = Some(home.to_path_buf());
            Place { home, api }.actor()
        };
        let (_, issuer) = net.issuers.first().ok_or_else(|| lost("no issuer"))?;
        let (issuer, opener) = (at(issuer)?, at(&net.opener)?);
        Ok(Crowd {
            names: Place::default().names(&issuer.client)?,
            prover: net.prover(&net.opener),
            issuer,
            opener,
        })
    }

    /// So many agents, each with a machine of its own, at the validators in turn.
    pub(super) fn agents(
        &self,
        network: &Network,
        count: usize,
        kind: EvidenceKind,
    ) -> Result<Vec<Agent>, Failure> {
        let from = now();
        let until = UnixTime(from.0.saturating_add(VALID_SECONDS));
        let (mut actors, mut machines) = (Vec::new(), Vec::new());
        for number in 0..count {
            let mut seed = random()?;
            machines.push(machine(&hex::encode(random()?))?);
            actors.push(Actor {
                client: network.client(number)?.clone(),
                genesis: self.opener.genesis.clone(),
                chain: self.opener.chain,
                key: SecretKey::from_seed(&mut seed),
            });
        }
        let requests = actors.iter().zip(&machines);
        let requests: Vec<_> = requests
            .map(|(actor, machine)| Request {
                holder: actor.key.public(),
                machine,
                from,
                until,
                kind,
            })
            .collect();
        let attested = issuing::attest(&self.issuer, &self.names, &requests)?;
        let files = attested.into_iter().map(|(file, _)| file);
        Ok(actors.into_iter().zip(files).collect())
    }

    /// A bid of each agent, sealed, proven and signed, on all cores.
    pub(super) fn bids(
        &self,
        detail: &AuctionDetail,
        agents: &[Agent],
    ) -> Result<Vec<Bid>, Failure> {
        let entries = usize::from(detail.spec.max_entries);
        let make = |(number, (actor, credential)): (usize, &Agent)| {
            let bidder = Bidder {
                actor,
                prover: &self.prover,
                credentials: std::slice::from_ref(credential),
                names: &self.names,
            };
            let file = bid_file(number, detail.spec.tasks.len(), entries);
            let plan = bidder
                .plan(detail, &file)
                .map_err(|p| Failure::new(format!("{}: {}", p.field, p.problem), p.next))?;
            let mut content = bidder.seal(detail, &plan)?;
            bidder.prove(detail, &plan, &mut content)
        };
        agents.par_iter().enumerate().map(make).collect()
    }

    /// Bids that pass everything but their proofs: each a sound proof of something else, under a key of its own and signed. Verifying one costs
    /// as much as a proof can.
    pub(super) fn false_bids(&self, like: &Bid, count: usize) -> Result<Vec<Vec<u8>>, Failure> {
        let base = random()?;
        let mut bids = Vec::with_capacity(count);
        for number in 0..count as u64 {
            let mut seed = base;
            for (byte, other) in seed.iter_mut().zip(number.to_le_bytes()) {
                *byte ^= other;
            }
            let key = SecretKey::from_seed(&mut seed);
            let mut content = like.content.clone();
            content.bidder = key.public();
            content.asset = FieldBytes::from_u64(number.saturating_add(1 << 40));
            for evidence in &mut content.evidences {
                if let Evidence::Proof(proof) = evidence {
                    proof.asset = content.asset;
                }
            }
            let bid = content.sign(&self.opener.chain, &key);
            bids.push(Transaction::Bid(Box::new(bid)).to_bytes());
        }
        Ok(bids)
    }

    /// An auction that takes either kind of evidence, with so many entries a bid.
    pub(super) fn auction(bidding_seconds: u32, entries: u8) -> Result<AuctionFile, Failure> {
        let tasks: Vec<_> = (0..TASKS)
            .map(|task| serde_json::json!({ "name": task_name(task), "class": "cpu", "reserve": 10_000, "quantity": 4 }))
            .collect();
        json(serde_json::json!({
            "title": "under load", "bidding_seconds": bidding_seconds, "lease_seconds": 3600, "max_entries": entries,
            "classes": { "cpu": { "requires": [{ "type": TYPE, "needs": { "cpu_milli": 8000 }, "evidence": ["proof", "attestation"] }] } },
            "tasks": tasks,
        }))
    }
}

fn machine(serial: &str) -> Result<InventoryFile, Failure> {
    json(serde_json::json!({
        "serial": serial,
        "attributes": { "cpu_milli": 32_000, "memory_mib": 65_536, "gpu_milli": 1000, "gpu_model": "A100", "region": "eu-west" },
    }))
}

fn task_name(task: usize) -> String {
    format!("task-{task}")
}

/// Prices for a few neighbouring tasks, so that bids compete.
fn bid_file(number: usize, tasks: usize, entries: usize) -> BidFile {
    let task = |step: usize| number.saturating_add(step).checked_rem(tasks).unwrap_or(0);
    let price = |step: usize| {
        let spread = number.saturating_mul(37).saturating_add(step) % 5000;
        4000u64.saturating_add(spread as u64)
    };
    BidFile {
        machine: None,
        prices: (0..entries)
            .map(|step| (task_name(task(step)), price(step)))
            .collect(),
        slots: BTreeMap::from([("cpu".to_owned(), 1)]),
        claim: None,
        hide_issuer: false,
    }
}

pub(super) fn lost(what: &str) -> Failure {
    Failure::new(what, "please report this")
}

fn json<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> Result<T, Failure> {
    serde_json::from_value(value).map_err(|e| lost(&e.to_string()))
}
