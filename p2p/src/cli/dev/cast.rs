//! Who plays in `tender dev`: the fixtures, compiled in.

use crate::{
    agent::error::Failure,
    documents::{auction::AuctionFile, bid::BidFile, inventory::InventoryFile, parse_json},
};
use serde::Deserialize;
use std::{collections::BTreeMap, path::Path};

const AUCTION: (&str, &str) = (
    "fixtures/night-of-gpu-jobs.json",
    include_str!("../../../../fixtures/night-of-gpu-jobs.json"),
);
const MACHINES: (&str, &str) = (
    "fixtures/machines.json",
    include_str!("../../../../fixtures/machines.json"),
);
const PRICES: (&str, &str) = (
    "fixtures/prices.json",
    include_str!("../../../../fixtures/prices.json"),
);

/// The agent that cheats, and its second identity.
pub const CHEAT: &str = "mallory";
/// Holds a second credential for the cheat's machine.
pub const TWIN: &str = "mallory-twin";

/// Everything the fixtures say.
pub struct Cast {
    /// The auction.
    pub auction: AuctionFile,
    /// Where it is written.
    pub auction_path: &'static Path,
    /// Issuers' names.
    pub issuers: Vec<String>,
    /// The agents.
    pub agents: Vec<Agent>,
}

/// An agent and its machine.
#[derive(Clone, Debug)]
pub struct Agent {
    /// Its name.
    pub name: String,
    /// Issuers that give it a credential to prove from.
    pub credentials: Vec<String>,
    /// Issuers that give it an attestation in plain.
    pub attestations: Vec<String>,
    /// Its machine.
    pub machine: InventoryFile,
    /// What it bids.
    pub bid: BidFile,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MachinesFile {
    #[serde(rename = "note")]
    _note: String,
    issuers: Vec<String>,
    agents: Vec<AgentFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AgentFile {
    name: String,
    credentials: Vec<String>,
    attestations: Vec<String>,
    machine: InventoryFile,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PricesFile {
    #[serde(rename = "invented")]
    _invented: bool,
    #[serde(rename = "note")]
    _note: String,
    #[serde(rename = "unit")]
    _unit: String,
    bids: BTreeMap<String, BidFile>,
}

impl Cast {
    /// The fixtures.
    ///
    /// # Errors
    /// [`Failure`] if one is broken, which tests exclude.
    pub fn read() -> Result<Self, Failure> {
        let auction: AuctionFile = parse_json(Path::new(AUCTION.0), AUCTION.1)?;
        let machines: MachinesFile = parse_json(Path::new(MACHINES.0), MACHINES.1)?;
        let mut prices: PricesFile = parse_json(Path::new(PRICES.0), PRICES.1)?;
        let agents = machines.agents.into_iter().map(|it| {
            let AgentFile {
                name,
                credentials,
                attestations,
                machine,
            } = it;
            let bid = prices.bids.remove(&name);
            let bid = bid.ok_or_else(|| {
                Failure::new(format!("{}: no prices for {name}", PRICES.0), "add them")
            })?;
            Ok(Agent {
                name,
                credentials,
                attestations,
                machine,
                bid,
            })
        });
        Ok(Cast {
            agents: agents.collect::<Result<_, Failure>>()?,
            auction,
            auction_path: Path::new(AUCTION.0),
            issuers: machines.issuers,
        })
    }
}
