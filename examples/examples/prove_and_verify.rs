//! Proves that a machine is attested for at least what a task needs, and verifies it: no chain, no network.
//!
//! `cargo run --release -p tender-examples --example prove_and_verify`

#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing)] // its own small numbers, no stranger's

use std::{error::Error, sync::Arc, time::Instant};
use tender_circuits::{
    Credential, IssuerIndex, IssuerMask, Registry, Statement, asset_of, context, holder_of, prove,
    resources, resources::Resources, setup, verify,
};
use tender_wire::{AuctionId, ChainId, Digest, FieldBytes, SecretKey, UnixTime};

fn main() -> Result<(), Box<dyn Error>> {
    // The keys of `resources/v1`, by a single party: fine for a demonstration, insecure for anything else.
    let started = Instant::now();
    let (key, record) = setup(Arc::new(Resources), [7; 32])?;
    println!(
        "setup      {:?}, {} constraints",
        started.elapsed(),
        key.constraints()
    );

    // An issuer attests a machine to an agent. Only the leaf is public.
    let agent = SecretKey::from_seed(&mut [1; 32]);
    let schema = resources::schema();
    let attributes = serde_json::from_str(
        r#"{ "cpu_milli": 256000, "memory_mib": 2097152, "gpu_milli": 8000, "gpu_memory_mib": 81920,
             "gpu_model": "A100-80G", "region": "eu-north", "skills": ["cuda", "nvlink"] }"#,
    )?;
    let issuer = IssuerIndex::new(0)?;
    let credential = Credential {
        type_name: record.name.clone(),
        version: record.version,
        issuer,
        holder: agent.public(),
        asset: asset_of("DGX-A100-0417"),
        attributes: schema.attributes_from_named(&attributes)?,
        expiry: UnixTime(1_900_000_000),
        salt: FieldBytes([0; 32]),
    }
    .salted(&[2; 32]);
    let mut registry = Registry::default();
    let index = registry.append(&credential.leaf())?;
    let path = registry.path(index).ok_or("the leaf was just appended")?;

    // The agent claims what one task needs, and not a bit more.
    let claim = serde_json::from_str(
        r#"{ "cpu_milli": 8000, "gpu_milli": 1000, "gpu_memory_mib": 24000, "skills": "cuda" }"#,
    )?;
    let claim = schema.claim_from_named(&claim)?;
    let (chain, auction) = (ChainId([3; 32]), AuctionId([4; 32]));
    let statement = Statement {
        registry_root: registry.root(),
        holder: holder_of(&agent.public()),
        ctx: context(
            &chain,
            &record.id(),
            &auction,
            &agent.public(),
            &credential.asset,
            0,
            &Digest([5; 32]),
        ),
        asset: credential.asset,
        valid_until: UnixTime(1_800_000_000),
        issuers: IssuerMask(0b111), // one of three, not saying which
        claim: claim.clone(),
    };
    println!("claim      {}", schema.line(&claim));
    let started = Instant::now();
    let proof = prove(&key, &credential, &path, &statement, [6; 32])?;
    println!(
        "prove      {:?}, {} bytes",
        started.elapsed(),
        proof.0.len()
    );

    // Anyone with the type's record checks it against the statement, recomputed from public facts.
    let verifying = record.verifying_key()?;
    let started = Instant::now();
    verify(&verifying, &statement, &proof)?;
    println!("verify     {:?}: attested", started.elapsed());

    // The same proof says nothing about another bid …
    let copied = Statement {
        holder: holder_of(&SecretKey::from_seed(&mut [9; 32]).public()),
        ..statement.clone()
    };
    println!(
        "copied     {}",
        verify(&verifying, &copied, &proof)
            .err()
            .ok_or("a copied proof was accepted")?
    );
    // … and a claim beyond what is attested has none.
    let more = serde_json::from_str(r#"{ "gpu_milli": 16000 }"#)?;
    let more = Statement {
        claim: schema.claim_from_named(&more)?,
        ..statement
    };
    println!(
        "too much   {}",
        prove(&key, &credential, &path, &more, [6; 32])
            .err()
            .ok_or("a false claim was proven")?
    );
    Ok(())
}
