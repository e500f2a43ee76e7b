//! `tender dev --once`: the whole story with its cheats, read from the data it writes.
//!
//! THREATS T2 (copied proof), T3 (re-randomised proof), T11 (two identities), T14 (claim above what is attested), B7 (replay).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod common;

use common::{run, tender};
use std::collections::BTreeMap;

#[test]
fn a_night_of_gpu_jobs_with_every_cheat_refused_for_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let (home, file) = (dir.path().join("net"), dir.path().join("result.json"));
    let said = tender([
        "dev",
        "--once",
        "--home",
        home.to_str().unwrap(),
        "--json",
        file.to_str().unwrap(),
    ])
    .ok();
    assert!(
        !said.contains('\u{1b}'),
        "plain lines when not on a terminal"
    );
    let data: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();

    // Every cheat, with who refused it and why.
    let refused: BTreeMap<_, _> = data["refused"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["cheat"].as_str().unwrap(), it))
        .collect();
    let everybody = "20 of 20 peers";
    for (cheat, by, code, reason) in [
        (
            "claims 8x the GPUs it is attested for",
            "its own prover",
            "unsupported",
            "gpu_milli: claims 8000, attested 1000",
        ),
        (
            "forges a proof of that claim",
            everybody,
            "invalid_proof",
            "does not verify",
        ),
        (
            "copies another agent's proof",
            everybody,
            "invalid_proof",
            "does not verify",
        ),
        ("replays its old bid", everybody, "", "already"),
        (
            "re-randomises its accepted proof",
            everybody,
            "duplicate",
            "duplicate",
        ),
        (
            "bids the same machine under a second identity",
            everybody,
            "asset_bound",
            "is bound to",
        ),
    ] {
        let it = refused[cheat];
        assert_eq!(it["refused_by"], by, "{it}");
        assert!(code.is_empty() || it["code"] == code, "{it}");
        assert!(it["reason"].as_str().unwrap().contains(reason), "{it}");
    }
    assert_eq!(refused.len(), 6);

    // Every unit and every entry has its end, and the ends are of many kinds.
    let (tasks, entries) = (
        data["tasks"].as_array().unwrap(),
        data["entries"].as_array().unwrap(),
    );
    assert!(tasks.len() >= 12 && entries.len() >= 40);
    let reasons: Vec<_> = tasks
        .iter()
        .chain(entries)
        .map(|it| it["reason"].as_str().unwrap())
        .collect();
    for kind in [
        "filled by",
        "nobody bid who is attested",
        "above the reserve",
        "won: paid",
        "outbid by",
        "not covered: gpu_memory_mib",
        "northbank-audit",
        "replaced",
    ] {
        assert!(
            reasons.iter().any(|reason| reason.contains(kind)),
            "no `{kind}` in {reasons:?}"
        );
    }
    let training = tasks
        .iter()
        .find(|it| it["task"] == "llm-pretrain-run")
        .unwrap();
    assert_eq!(
        (
            &training["winner"],
            &training["payment"],
            &training["runner_up"]
        ),
        (&"aurora".into(), &74_000.into(), &"borealis".into())
    );
    for it in tasks.iter().filter(|it| it["payment"].is_u64()) {
        assert!(it["payment"].as_u64() <= it["reserve"].as_u64(), "{it}");
    }

    // The certificates it wrote, in another process, with the genesis file it names.
    let certificates = data["certificates"].as_array().unwrap();
    assert_eq!(certificates.len(), 2);
    for path in certificates {
        run(&format!(
            "verify {} --genesis {}",
            path.as_str().unwrap(),
            data["genesis"].as_str().unwrap()
        ))
        .ok();
    }
    // And the whole history, from a validator's store.
    run(&format!(
        "audit --genesis {} --home {}",
        data["genesis"].as_str().unwrap(),
        home.join("validator-2").display()
    ))
    .ok();
}
