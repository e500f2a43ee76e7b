//! `fixtures/FORMATS.md` against the types: every vector it shows is built here from fixed inputs, and nothing else stands in it.
//!
//! After a change of a layout, `TENDER_BLESS=1 cargo test -p tender-auction --test formats` rewrites the values in the document and in
//! `fixtures/vectors.json`; a new vector is placed in the document by hand, with an empty value. The setup and the proof of
//! the example are read from `vectors.json`, verified, and made anew only when blessing and when they no longer fit.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod basics;
mod book;
mod chain;
mod claims;
mod clearing;
mod example;
mod market;
mod outcomes;
mod run;
mod seals;
mod state;

use book::Book;
use example::{Example, Made};
use std::{collections::BTreeSet, fs, path::PathBuf};
use tender_auction::{
    genesis::Genesis, outcome::OutcomeRecord, seal::Sealed, transaction::Transaction,
};
use tender_circuits::{
    Attestation, CapabilityType, Claim, ClaimSchema, Credential, Evidence, ProofBytes,
};
use tender_consensus::{block::Header, certificate::CommitCertificate, evidence};
use tender_wire::{Digest, Tag, Wire, hex};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../fixtures")
        .join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(fixture(name)).unwrap_or_default()
}

/// The setup and the proof that `vectors.json` keeps.
fn kept() -> Option<Made> {
    let all: serde_json::Value = serde_json::from_str(&read("vectors.json")).ok()?;
    let bytes = |name: &str| hex::decode(all.get("vectors")?.get(name)?.as_str()?).ok();
    Some(Made {
        vk: bytes("type_vk")?,
        r1cs_hash: Digest(bytes("type_r1cs_hash")?.try_into().ok()?),
        proof: ProofBytes(bytes("proof_a")?.try_into().ok()?),
    })
}

#[test]
fn the_document_shows_what_the_types_give() {
    let bless = std::env::var_os("TENDER_BLESS").is_some();
    let example = Example::new(kept(), bless);
    let mut book = Book::default();
    basics::add(&mut book);
    claims::add(&mut book, &example);
    seals::add(&mut book, &example);
    market::add(&mut book, &example);
    clearing::add(&mut book, &example);
    let steps = run::run(&example);
    outcomes::add(&mut book, &example, &steps);
    chain::add(&mut book, &example, &steps);
    state::add(&mut book, &example, &steps);
    basics::refuse(&mut book, &example.attestation);
    if bless {
        let document = book.blessed(&read("FORMATS.md"));
        fs::write(fixture("FORMATS.md"), document).unwrap();
        fs::write(fixture("vectors.json"), format!("{:#}\n", book.to_json())).unwrap();
    }
    let faults = book.faults(&read("FORMATS.md"));
    assert!(
        faults.is_empty(),
        "fixtures/FORMATS.md:\n{}",
        faults.join("\n")
    );
    // Compared as values: the order of members is the JSON library's.
    let kept: serde_json::Value = serde_json::from_str(&read("vectors.json")).unwrap();
    let same = kept == book.to_json();
    assert!(
        same,
        "fixtures/vectors.json differs: run with TENDER_BLESS=1"
    );
}

#[test]
fn the_document_states_the_caps() {
    let document = read("FORMATS.md");
    for (what, cap) in [
        ("transaction", Transaction::MAX_BYTES),
        ("sealed bid", Sealed::MAX_BYTES),
        ("evidence of a bid", Evidence::MAX_BYTES),
        ("claim", Claim::MAX_BYTES),
        ("claim schema", ClaimSchema::MAX_BYTES),
        ("capability type", CapabilityType::MAX_BYTES),
        ("credential", Credential::MAX_BYTES),
        ("attestation", Attestation::MAX_BYTES),
        ("genesis", Genesis::MAX_BYTES),
        ("outcome record", OutcomeRecord::MAX_BYTES),
        ("header", Header::MAX_BYTES),
        ("commit certificate", CommitCertificate::MAX_BYTES),
        ("evidence of an offence", evidence::Evidence::MAX_BYTES),
        (
            "assignment certificate",
            tender_auction::certificate::MAX_FILE_BYTES,
        ),
        ("headers", tender_auction::checkpoint::MAX_FILE_BYTES),
    ] {
        let row = format!("| {what} | {cap} |");
        assert!(document.contains(&row), "no row: {row}");
    }
}

#[test]
fn the_document_lists_every_tag_and_no_other() {
    let document = read("FORMATS.md");
    let mentioned: BTreeSet<_> = document
        .split(|c: char| !(c.is_ascii_alphanumeric() || "/-".contains(c)))
        .filter(|word| word.starts_with("tender/1/"))
        .collect();
    let tags: BTreeSet<_> = Tag::ALL.iter().map(|tag| tag.text()).collect();
    assert_eq!(mentioned, tags);
    for tag in Tag::ALL {
        let row = format!("| `{tag:?}` | `{}` |", tag.text());
        assert!(document.contains(&row), "no row: {row}");
    }
}
