//! Documents, damaged and made up: whatever is still read means what it says, and whatever is refused is refused in words that a terminal can show.
//! `TENDER_FUZZ=100000 cargo test -p tender-p2p --test bytes` searches longer than the suite does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use allocation_counter::measure;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs, path::Path};
use tender_auction::scenario::genesis;
use tender_consensus::sim::Rng;
use tender_p2p::{
    api::types::{AcceptRequest, BidRequest, DeliverRequest, VerdictRequest},
    documents::{
        FileError, auction::AuctionFile, bid::BidFile, inventory::InventoryFile,
        issued::IssuedFile, parse_json, prices::PriceFile, sealed::SealedFile,
    },
};
use tender_wire::{testing, text::is_plain};

/// A kind of document: its name, one of it, and how it is read and written again.
struct Document {
    name: &'static str,
    text: String,
    again: fn(&str) -> Result<String, FileError>,
}

fn document<T: Serialize + DeserializeOwned>(name: &'static str, text: String) -> Document {
    Document {
        name,
        text,
        again: |text| {
            let value: T = parse_json(Path::new("file.json"), text)?;
            Ok(serde_json::to_string(&value).unwrap())
        },
    }
}

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fixtures")
        .join(name);
    let text = fs::read_to_string(path).unwrap();
    // One line, so that each byte counts.
    serde_json::from_str::<Value>(&text).unwrap().to_string()
}

fn documents() -> Vec<Document> {
    let id = "ab".repeat(32);
    let auction = json!({
        "title": "night", "payment": "pay_as_bid", "bidding_seconds": 60, "lease_seconds": 3600, "max_entries": 2,
        "classes": { "gpu": { "requires": [{ "type": "resources/v1", "needs": { "gpu_milli": 250, "skills": ["cuda"], "region": "any" }, "issuers": ["acme"], "evidence": ["proof", "attestation"] }] } },
        "tasks": [{ "name": "chat", "class": "gpu", "reserve": 900, "quantity": 2, "spec": { "image": "x", "arguments": [1, 2.5, null] } }],
    });
    let bid = json!({ "machine": "box", "slots": { "gpu": 1 }, "prices": { "chat": 61000, "other": 5 }, "claim": { "gpu_milli": 500 }, "hide_issuer": true });
    let mut asked = bid.clone();
    asked["auction"] = json!(id);
    let inventory = json!({ "serial": "box", "type": "resources/v1", "about": "a box", "attributes": { "cpu_milli": 256000, "gpu_model": "A100", "skills": ["cuda", "nvlink"] } });
    let sealed = json!({ "format": "tender-sealed-credential/1", "holder": id, "chain": id, "ephemeral": id, "ciphertext": "00".repeat(64) });
    let issued = json!({ "format": "tender-issued/1", "chain": id, "holder": id, "serial": "box", "asset": id, "expiry": 5, "ephemeral": id, "handle": { "leaf": { "leaf": id, "index": 3 } } });
    vec![
        document::<AuctionFile>("auction", auction.to_string()),
        document::<BidFile>("bid", bid.to_string()),
        document::<InventoryFile>("inventory", inventory.to_string()),
        document::<PriceFile>("prices", fixture("agent-prices.json")),
        document::<SealedFile>("sealed credential", sealed.to_string()),
        document::<IssuedFile>("issuer's record", issued.to_string()),
        document::<BidRequest>("request to bid", asked.to_string()),
        document::<AcceptRequest>("request to accept", json!({ "task": "chat" }).to_string()),
        document::<DeliverRequest>(
            "request to deliver",
            json!({ "task": 0, "result": id }).to_string(),
        ),
        document::<VerdictRequest>(
            "request to confirm",
            json!({ "task": "chat", "bidder": id }).to_string(),
        ),
        document::<tender_auction::genesis::Genesis>(
            "genesis",
            serde_json::to_value(genesis()).unwrap().to_string(),
        ),
    ]
}

/// Reads a text, in memory of a few times its size. What is read is the same when written and read again; a refusal can be shown.
fn check(document: &Document, text: &str, why: &dyn Fn() -> String) -> bool {
    let mut read = None;
    let used = measure(|| read = Some((document.again)(text))).bytes_max;
    let room = (64 << 10) + 64 * text.len() as u64;
    assert!(used <= room, "{}: {}: {used} bytes", document.name, why());
    match read.unwrap() {
        Ok(written) => {
            let again = (document.again)(&written);
            assert_eq!(again.as_ref(), Ok(&written), "{}: {}", document.name, why());
            true
        }
        Err(error) => {
            let said = error.to_string();
            let shown = said.chars().all(|c| is_plain(c) || c == '\n');
            assert!(shown && said.len() < 3000, "{}: {said:?}", document.name);
            assert!(said.lines().count() <= 2, "{}: {said:?}", document.name);
            false
        }
    }
}

/// B18: every truncation and every flipped bit.
#[test]
fn a_damaged_document_is_refused_or_means_what_it_says() {
    for document in documents() {
        let text = document.text.as_str();
        assert!(check(&document, text, &String::new), "{}", document.name);
        for len in (0..text.len()).filter(|len| text.is_char_boundary(*len)) {
            assert!(!check(&document, &text[..len], &|| format!("cut to {len}")));
        }
        let mut refused = 0;
        testing::each_flip(text.as_bytes(), |damage, bytes| {
            let Ok(text) = std::str::from_utf8(bytes) else {
                return;
            };
            refused += usize::from(!check(&document, text, &|| damage.to_string()));
        });
        assert!(refused > text.len() / 2, "{}: {refused}", document.name);
    }
}

/// D: nothing is named twice, whether a type or a person gave the name; nothing unknown; no nesting that runs a stack over.
#[test]
fn a_document_has_one_reading() {
    for document in documents() {
        let whole: Value = serde_json::from_str(&document.text).unwrap();
        let mut objects = vec![(String::from("/"), &whole)];
        let mut doubled = 0;
        while let Some((path, value)) = objects.pop() {
            for (name, inner) in value.as_object().into_iter().flatten() {
                let once = format!("\"{name}\":{inner}");
                let twice = document.text.replace(&once, &format!("{once},{once}"));
                assert_ne!(twice, document.text);
                assert!(
                    !check(&document, &twice, &|| format!("{path}{name} twice")),
                    "{}: {path}{name}",
                    document.name
                );
                doubled += 1;
                objects.push((format!("{path}{name}/"), inner));
            }
            let items = value.as_array().into_iter().flatten();
            objects.extend(items.map(|item| (format!("{path}[]"), item)));
        }
        assert!(doubled > 0);
        let more = document.text.replacen('{', "{\"one_more\":1,", 1);
        assert!(
            !check(&document, &more, &|| "one more".into()),
            "{}",
            document.name
        );
        for open in ["[", "{\"a\":", "{\"tasks\":[{\"spec\":"] {
            assert!(!check(&document, &open.repeat(50_000), &|| open.into()));
        }
        let hostile = document
            .text
            .replacen('{', "{\"\\u001b[2J\\n\\u202e\":1,", 1);
        assert!(!check(&document, &hostile, &|| "hostile".into()));
        let hostile = document
            .text
            .replacen('{', "{\"\x7f\u{9b}2J\u{2028}\":1,", 1);
        assert!(!check(&document, &hostile, &|| "hostile".into()));
    }
}

/// B18: edits that keep JSON plausible, at random.
#[test]
fn made_up_documents_are_refused_or_mean_what_they_say() {
    let rounds = std::env::var("TENDER_FUZZ").map_or(400, |n| n.parse().unwrap());
    let spare: Vec<String> = [
        "null",
        "true",
        "-1",
        "0",
        "1.0",
        "1e3",
        "1e999",
        "18446744073709551615",
        "18446744073709551616",
        "\"\"",
        "\"any\"",
        "\"\\ud800\"",
        "\"\\u0000\"",
        "[]",
        "{}",
        "[[]]",
        "{\"a\":1}",
        ",",
        ":",
        "\"",
        "\\",
        "{",
        "}",
        "[",
        "]",
    ]
    .map(String::from)
    .to_vec();
    let all = documents();
    let tokens = |text: &str| -> Vec<String> {
        let mut out = vec![String::new()];
        for c in text.chars() {
            if "{}[],:".contains(c) {
                out.extend([c.to_string(), String::new()]);
            } else {
                out.last_mut().unwrap().push(c);
            }
        }
        out.retain(|token| !token.is_empty());
        out
    };
    let words: Vec<String> = all.iter().flat_map(|d| tokens(&d.text)).collect();
    let mut rng = Rng::new(7);
    let (mut read, mut tried) = (0, BTreeSet::new());
    for document in &all {
        let whole = tokens(&document.text);
        for _ in 0..rounds {
            let mut text = whole.clone();
            for _ in 0..1 + rng.below(4) {
                let len = text.len() as u64;
                let at = rng.below(len) as usize;
                let from = if rng.chance(50) { &spare } else { &words };
                let word = from[rng.below(from.len() as u64) as usize].clone();
                match rng.below(4) {
                    0 => text.insert(at, word),
                    1 if text.len() > 1 => drop(text.remove(at)),
                    2 => text.swap(at, rng.below(len) as usize),
                    _ => text[at] = word,
                }
            }
            let text = text.concat();
            read += usize::from(check(document, &text, &|| text.clone()));
            tried.insert(text);
        }
    }
    assert!(
        tried.len() > rounds && read > 0,
        "{} tried, {read} read",
        tried.len()
    );
}
