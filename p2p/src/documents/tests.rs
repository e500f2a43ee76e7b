//! The fixtures say what they should, and mistakes are told with file, place, value and remedy.

use super::{
    auction::{AuctionFile, Opening},
    bid::BidFile,
    inventory::InventoryFile,
    names::Names,
    parse_json, read_json, write_json,
};
use std::{collections::BTreeMap, os::unix::fs::PermissionsExt as _, path::Path};
use tender_auction::genesis::Issuer;
use tender_circuits::{CapabilityType, Circuits, IssuerIndex, Setup, resources, score};
use tender_wire::{Digest, PublicKey, UnixTime};

const AUCTION: &str = include_str!("../../../fixtures/night-of-gpu-jobs.json");
const MACHINES: &str = include_str!("../../../fixtures/machines.json");
const PRICES: &str = include_str!("../../../fixtures/prices.json");

fn names() -> Names {
    let issuers = ["acme-labs", "gridtrust", "northbank-audit"];
    let issuers = issuers.iter().zip(0u8..).map(|(name, index)| {
        let issuer = Issuer {
            name: (*name).into(),
            key: PublicKey([index; 32]),
            quota: 10,
        };
        (IssuerIndex::new(index).unwrap(), issuer)
    });
    let record = |name: &str, schema| CapabilityType {
        name: name.into(),
        version: 1,
        schema,
        vk: Vec::new(),
        r1cs_hash: Digest::ZERO,
        setup: Setup::Dev,
    };
    Names {
        types: vec![
            record("resources", resources::schema()),
            record("score", score::schema()),
        ],
        issuers: issuers.collect(),
        circuits: Circuits::default(),
    }
}

fn night() -> AuctionFile {
    parse_json(Path::new("night.json"), AUCTION).unwrap()
}

fn opening(names: &Names) -> Opening<'_> {
    Opening {
        names,
        block_interval_ms: 250,
        now: UnixTime(1_800_000_000),
    }
}

#[test]
fn the_night_of_gpu_jobs_is_what_the_story_needs() {
    let names = names();
    let spec = night().spec(&opening(&names)).unwrap();
    assert!(spec.tasks.len() >= 12);
    assert_eq!((spec.windows.bidding, spec.windows.keys), (60, 40));
    assert_eq!(
        spec.lease_end,
        UnixTime(1_800_000_000 + 10 + 15 + 20 + 60 + 28_800)
    );
    let needs: Vec<_> = spec.classes.iter().flat_map(|c| &c.requirements).collect();
    assert!(
        needs.iter().any(|r| r.kinds.attestation),
        "a class accepts attestations"
    );
    assert!(
        needs.iter().any(|r| r.issuers.iter().count() == 1),
        "only one issuer may vouch for a class"
    );
    assert!(
        needs.iter().any(|r| r.min_issuers == 2),
        "two issuers must vouch for a class"
    );
}

#[test]
fn every_machine_and_every_price_resolves() {
    #[derive(serde::Deserialize)]
    struct Machines {
        agents: Vec<Agent>,
    }
    #[derive(serde::Deserialize)]
    struct Agent {
        name: String,
        machine: InventoryFile,
    }
    #[derive(serde::Deserialize)]
    struct Prices {
        invented: bool,
        bids: BTreeMap<String, BidFile>,
    }
    let names = names();
    let spec = night().spec(&opening(&names)).unwrap();
    let machines: Machines = serde_json::from_str(MACHINES).unwrap();
    let prices: Prices = serde_json::from_str(PRICES).unwrap();
    assert!(prices.invented && machines.agents.len() >= 8);
    for agent in &machines.agents {
        agent.machine.resolve(&names).unwrap();
        let bid = prices
            .bids
            .get(&agent.name)
            .unwrap_or_else(|| panic!("{} has no prices", agent.name));
        bid.entries(&spec).unwrap();
        bid.slots(&spec).unwrap();
    }
    assert_eq!(prices.bids.len(), machines.agents.len());
}

/// What is said about the night's auction with one text replaced by another.
fn complaint(from: &str, to: &str) -> String {
    assert!(AUCTION.contains(from), "{from}");
    let text = AUCTION.replacen(from, to, 1);
    let path = Path::new("night.json");
    let names = names();
    match parse_json::<AuctionFile>(path, &text) {
        Err(error) => error.to_string(),
        Ok(file) => file
            .spec(&opening(&names))
            .unwrap_err()
            .in_file(path)
            .to_string(),
    }
}

#[test]
fn mistakes_are_told_with_file_place_value_and_remedy() {
    for (from, to, wanted) in [
        (
            "\"bidding_seconds\": 15",
            "\"bidding_seconds\": -1",
            &["night.json:5:", "bidding_seconds", "-1", "next:"][..],
        ),
        (
            "\"bidding_seconds\": 15,",
            "\"bidding\": 15,",
            &["night.json:5:", "unknown field `bidding`"],
        ),
        (
            "\"quantity\": 2",
            "\"quantity\": \"two\"",
            &["tasks[2].quantity", "two"],
        ),
        (
            "\"class\": \"single-gpu\"",
            "\"class\": \"big\"",
            &["tasks[2].class", "`big`", "single-gpu"],
        ),
        (
            "\"nvlink\", \"infiniband\"",
            "\"nvlink\", \"warp\"",
            &[
                "classes.training-8x80g.requires[0].needs",
                "warp",
                "known labels: cuda",
            ],
        ),
        (
            "\"cpu_milli\": 96000",
            "\"cpus\": 96",
            &["requires[0].needs", "`cpus`", "cpu_milli"],
        ),
        (
            "\"type\": \"resources/v1\"",
            "\"type\": \"resources/v9\"",
            &["requires[0].type", "resources/v9", "resources/v1"],
        ),
        (
            "[\"northbank-audit\"]",
            "[\"northbank\"]",
            &[
                "classes.clinic-eu.requires[0].issuers[0]",
                "`northbank`",
                "northbank-audit",
            ],
        ),
        (
            "\"reserve\": 90000",
            "\"reserve\": 0",
            &["reserve price is 0"],
        ),
        (
            "\"name\": \"trailer-render\"",
            "\"name\": \"lora-finetune-legal\"",
            &["tasks[3].name", "taken"],
        ),
        (
            "\"lease_seconds\": 28800",
            "\"lease_end\": 5",
            &["lease_end", "past"],
        ),
        (
            "\"lease_seconds\": 28800,",
            "",
            &["lease_seconds", "missing"],
        ),
        ("\"title\"", "title", &["night.json:2:"]),
    ] {
        let said = complaint(from, to);
        for part in wanted.iter().chain(&["night.json", "next: "]) {
            assert!(said.contains(part), "`{part}` is missing in: {said}");
        }
    }
}

#[test]
fn a_file_is_written_whole_or_not_at_all_and_secrets_are_the_owners() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("x.json");
    write_json(&path, &[1, 2], super::Access::Private).unwrap();
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(read_json::<Vec<u8>>(&path).unwrap(), [1, 2]);
    let nowhere = home.path().join("no/such/directory.json");
    let said = write_json(&nowhere, &[1], super::Access::Public)
        .unwrap_err()
        .to_string();
    assert!(
        said.contains("directory.json") && said.contains("next:"),
        "{said}"
    );
    assert_eq!(
        std::fs::read_dir(home.path()).unwrap().count(),
        1,
        "nothing is left behind"
    );
}
