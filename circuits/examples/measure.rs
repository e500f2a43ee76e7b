//! Prints the size and the times of `resources/v1`: `cargo run --release -p tender-circuits --example measure`.
#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods
)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tender_circuits::{
    Credential, IssuerIndex, IssuerMask, ProvingKey, Registry, Statement, asset_of, context,
    holder_of, prove, resources, setup, verify,
};
use tender_wire::{AuctionId, ChainId, Digest, FieldBytes, SecretKey, UnixTime};

/// Mean of several runs.
fn timed<T>(runs: u32, mut f: impl FnMut() -> T) -> (T, Duration) {
    let start = Instant::now();
    let mut out = f();
    for _ in 1..runs {
        out = f();
    }
    (out, start.elapsed() / runs)
}

fn main() {
    let resources = Arc::new(resources::Resources);
    let ((key, record), setup_time) = timed(1, || setup(resources.clone(), [7; 32]).unwrap());
    let file = key.to_bytes();
    let (_, load_time) = timed(3, || {
        ProvingKey::parse(&file, resources.clone(), &record).unwrap()
    });

    let holder = SecretKey::from_seed(&mut [1; 32]).public();
    let attributes =
        r#"{"cpu_milli": 32000, "gpu_milli": 8000, "gpu_model": "A100", "region": "uk"}"#;
    let credential = Credential {
        type_name: record.name.clone(),
        version: record.version,
        issuer: IssuerIndex::new(0).unwrap(),
        holder,
        asset: asset_of("measured"),
        attributes: record
            .schema
            .attributes_from_named(&serde_json::from_str(attributes).unwrap())
            .unwrap(),
        expiry: UnixTime(2_000_000_000),
        salt: FieldBytes([0; 32]),
    }
    .salted(&[2; 32]);
    let mut registry = Registry::default();
    let leaf = credential.leaf();
    let (index, append_time) = timed(64, || registry.append(&leaf).unwrap());
    let path = registry.path(index).unwrap();

    let statement = Statement {
        registry_root: registry.root(),
        holder: holder_of(&holder),
        ctx: context(
            &ChainId([1; 32]),
            &record.id(),
            &AuctionId([2; 32]),
            &holder,
            &credential.asset,
            0,
            &Digest([3; 32]),
        ),
        asset: credential.asset,
        valid_until: UnixTime(1_900_000_000),
        issuers: IssuerMask(0b111),
        claim: record
            .schema
            .claim_from_named(&serde_json::from_str(r#"{"gpu_milli": 4000}"#).unwrap())
            .unwrap(),
    };
    let (proof, prove_time) = timed(8, || {
        prove(&key, &credential, &path, &statement, [4; 32]).unwrap()
    });
    let verifying = record.verifying_key().unwrap();
    let ((), verify_time) = timed(64, || verify(&verifying, &statement, &proof).unwrap());

    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    println!("resources/v1, {cores} cores");
    println!("  constraints      {}", key.constraints());
    for (scope, count) in key.profile() {
        println!("    {count:>6}  {scope}");
    }
    println!("  public inputs    {}", verifying.inputs());
    println!("  proof            {} B", proof.0.len());
    println!("  verifying key    {} B", record.vk.len());
    println!("  proving key      {} B", file.len());
    println!("  setup            {setup_time:.2?}");
    println!("  load key file    {load_time:.2?}");
    println!("  append a leaf    {append_time:.2?}");
    println!("  prove            {prove_time:.2?}   (checks and own verification included)");
    println!("  verify           {verify_time:.2?}   (bytes to verdict)");
}
