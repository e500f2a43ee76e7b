//! The fixtures say what they should, and mistakes are told with file, place, value and remedy.

use super::{
    MAX_FILE_BYTES,
    auction::{AuctionFile, Opening},
    bid::BidFile,
    inventory::InventoryFile,
    names::Names,
    parse_json,
    prices::{MAX_PERCENT, PriceFile, Unpriced},
    read_json, read_text, write_json,
};
use std::{collections::BTreeMap, os::unix::fs::PermissionsExt as _, path::Path};
use tender_auction::genesis::Issuer;
use tender_circuits::{CapabilityType, Circuits, Claim, IssuerIndex, Setup, resources, score};
use tender_wire::{Digest, Price, PublicKey, UnixTime};

const AUCTION: &str = include_str!("../../../fixtures/night-of-gpu-jobs.json");
const MACHINES: &str = include_str!("../../../fixtures/machines.json");
const PRICES: &str = include_str!("../../../fixtures/prices.json");
const AGENT_PRICES: &str = include_str!("../../../fixtures/agent-prices.json");

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

/// What the night's classes cost on a machine, by class; `file` replaces the fixture's prices.
fn asked(file: &PriceFile, machine: &Claim) -> BTreeMap<String, Result<Price, Unpriced>> {
    let names = names();
    let spec = night().spec(&opening(&names)).unwrap();
    let price = |class| file.price(&names, class, |_| Some(machine));
    let classes = spec.classes.iter();
    classes.map(|c| (c.name.clone(), price(c))).collect()
}

fn machine(json: &str) -> Claim {
    resources::schema()
        .attributes_from_named(&serde_json::from_str(json).unwrap())
        .unwrap()
}

fn agent_prices(text: &str) -> PriceFile {
    parse_json(Path::new("prices.json"), text).unwrap()
}

#[test]
fn a_price_is_the_sum_of_what_the_class_requires_on_the_machine_there_is() {
    let file = agent_prices(AGENT_PRICES);
    assert!(file.about.as_ref().unwrap().contains("Invented"));
    file.check(&names()).unwrap();
    let l40s = machine(r#"{ "gpu_model": "L40S", "region": "eu-north" }"#);
    let prices = asked(&file, &l40s);
    // base 120, 8 cores 208, 32 GiB 128, one GPU at 210 % 1680, 200 GiB of disk 6, the region 40
    assert_eq!(
        prices["single-gpu"],
        Ok(Price(120 + 208 + 128 + 1680 + 6 + 40))
    );
    // a quarter of it; 100 Mbit/s of 1000 cost 0.5, rounded up to 1
    assert_eq!(
        prices["inference-slice"],
        Ok(Price(120 + 52 + 32 + 420 + 1 + 40))
    );
    // no GPU asked for: its model does not matter
    assert_eq!(prices["cpu-batch"], Ok(Price(120 + 416 + 256 + 15 + 40)));
    // required skills are added: nvlink and infiniband
    let h100 = machine(r#"{ "gpu_model": "H100", "region": "us-east" }"#);
    let big = 120 + 2496 + 3072 + 8 * 6080 + 240 + 2000 + 150 + 600;
    assert_eq!(asked(&file, &h100)["training-8x80g"], Ok(Price(big)));
    // a model without a percentage costs the plain price
    let a30 = machine(r#"{ "gpu_model": "A30", "region": "uk" }"#);
    assert_eq!(
        asked(&file, &a30)["single-gpu"],
        Ok(Price(120 + 208 + 128 + 800 + 6))
    );
}

#[test]
fn a_price_has_a_floor_a_ceiling_and_a_reason_for_being_none() {
    let any = machine(r#"{ "gpu_model": "none", "region": "uk" }"#);
    let of = |text: &str| asked(&agent_prices(text), &any)["cpu-batch"].clone();
    assert_eq!(of(r#"{ "types": { "resources/v1": {} } }"#), Ok(Price(1)));
    let floor = r#"{ "base": 5, "minimum": 70, "types": { "resources/v1": {} } }"#;
    assert_eq!(of(floor), Ok(Price(70)));
    // one third of a unit per core: 16 cores are 5.33, hence 6
    let third = r#"{ "types": { "resources/v1": { "per_unit": { "cpu_milli": { "price": 1, "per": 3000 } } } } }"#;
    assert_eq!(of(third), Ok(Price(6)));
    let nothing = of(r#"{ "base": 5, "types": {} }"#);
    assert_eq!(nothing, Err(Unpriced::Type("resources/v1".into())));
    let high = r#"{ "types": { "resources/v1": { "per_unit": { "cpu_milli": { "price": 1000000000000000 } } } } }"#;
    assert_eq!(of(high), Err(Unpriced::TooHigh));
    let percents = r#"{ "price": 1000000000000000, "percent": { "gpu_model": { "none": 100000 }, "region": { "uk": 100000 } } }"#;
    let huge = format!(
        r#"{{ "types": {{ "resources/v1": {{ "per_unit": {{ "cpu_milli": {percents} }} }} }} }}"#
    );
    assert_eq!(of(&huge), Err(Unpriced::TooHigh));
}

#[test]
fn a_percentage_is_so_large_and_no_larger() {
    let check = |percent: u32| {
        let text = AGENT_PRICES.replacen("\"T4\": 60", &format!("\"T4\": {percent}"), 1);
        agent_prices(&text).check(&names())
    };
    assert_eq!(check(MAX_PERCENT), Ok(()));
    let refused = check(MAX_PERCENT + 1).unwrap_err();
    let field = "types.resources/v1.per_unit.gpu_milli.percent.gpu_model.T4";
    assert_eq!(refused.field, field);
    assert!(refused.next.contains("at most 100000"), "{}", refused.next);
}

#[test]
fn a_document_is_so_long_and_no_longer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("long.json");
    let of = |bytes: u64| {
        let file = std::fs::File::create(&path).unwrap();
        file.set_len(bytes).unwrap();
        read_text(&path)
    };
    assert_eq!(of(MAX_FILE_BYTES).unwrap().len() as u64, MAX_FILE_BYTES);
    let refused = of(MAX_FILE_BYTES + 1).unwrap_err();
    assert_eq!(refused.path, path);
    assert!(refused.problem.contains("larger than 8388608"), "{refused}");
}

#[test]
fn mistakes_in_prices_are_told_with_place_and_remedy() {
    for (from, to, wanted) in [
        (
            "\"base\": 120",
            "\"base\": -1",
            &["prices.json:3:", "base", "-1"][..],
        ),
        ("\"base\": 120", "\"bas\": 120", &["unknown field `bas`"]),
        (
            "\"base\": 120",
            "\"base\": 1000000000000001",
            &["base", "at most 1000000000000000"],
        ),
        (
            "resources/v1",
            "resources/v7",
            &["types.resources/v7", "resources/v1"],
        ),
        (
            "cpu_milli",
            "cpus",
            &["types.resources/v1.per_unit.cpus", "`cpus`", "cpu_milli"],
        ),
        (
            "disk_gib",
            "skills",
            &["per_unit.skills", "a mask", "under `labels`"],
        ),
        (
            "\"per\": 1024",
            "\"per\": 0",
            &["per_unit.memory_mib.per", "is 0", "1000"],
        ),
        (
            "\"T4\": 60",
            "\"T4\": 0",
            &["per_unit.gpu_milli.percent.gpu_model.T4", "is 0"],
        ),
        (
            "\"T4\": 60",
            "\"T5\": 60",
            &["percent.gpu_model.T5", "no such label", "RTX5090"],
        ),
        (
            "\"region\": {",
            "\"place\": {",
            &["labels.place", "gpu_model, region, skills"],
        ),
        (
            "\"japan\"",
            "\"nippon\"",
            &["labels.region.nippon", "japan"],
        ),
    ] {
        assert!(AGENT_PRICES.contains(from), "{from}");
        let text = AGENT_PRICES.replacen(from, to, 1);
        let path = Path::new("prices.json");
        let said = match parse_json::<PriceFile>(path, &text) {
            Err(error) => error.to_string(),
            Ok(file) => {
                let problem = file.check(&names()).unwrap_err();
                problem.in_file(path).to_string()
            }
        };
        for part in wanted.iter().chain(&["prices.json", "next: "]) {
            assert!(said.contains(part), "`{part}` is missing in: {said}");
        }
    }
}
