//! What a stranger does with a certificate: check it with the genesis file alone, offline.
//!
//! The files are from a run of `tender dev`: a bidder that won a task, and one that lost.
//!
//! `cargo run --release -p tender-examples --example verify_certificate`

#![allow(clippy::arithmetic_side_effects)] // its own small numbers

use std::error::Error;
use tender_auction::{
    certificate::AssignmentCertificate, genesis::Genesis, outcome::OutcomeRecord,
};

const GENESIS: &str = include_str!("../../fixtures/certificates/genesis.json");
const WINNER: &str = include_str!("../../fixtures/certificates/winner.json");
const LOSER: &str = include_str!("../../fixtures/certificates/loser.json");

fn main() -> Result<(), Box<dyn Error>> {
    let genesis: Genesis = serde_json::from_str(GENESIS)?;
    println!("chain      {} ({})", genesis.name, genesis.chain_id());
    for (whose, file) in [("winner", WINNER), ("loser", LOSER)] {
        let certificate = AssignmentCertificate::from_json(file.as_bytes())?;
        let proven = certificate.verify(&genesis)?;
        if let OutcomeRecord::Entry(entry) = proven.record {
            let (bidder, price) = (entry.bidder.short(), entry.price);
            println!(
                "{whose:<10} {bidder} asked {price} for task {}: {:?}",
                entry.task, entry.outcome
            );
            println!(
                "           committed in block {} by more than two thirds of the validators",
                proven.header.height
            );
        }
    }
    // Any change at all is noticed: here the loser claims to have asked less.
    let price = LOSER
        .find("\"price\": ")
        .ok_or("the certificate names a price")?;
    let mut forged = LOSER.to_owned();
    forged.insert(price + "\"price\": ".len(), '1');
    let verdict = AssignmentCertificate::from_json(forged.as_bytes())
        .and_then(|c| c.verify(&genesis).map(|_| ()));
    println!(
        "forged     {}",
        verdict.err().ok_or("a forged certificate was accepted")?
    );
    Ok(())
}
