//! Wrong flags, files and directories: the error says what, where and what to do next; the exit code is right; nothing is changed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod common;

use common::{Peer, ran, run, tender, until};
use std::{collections::BTreeMap, path::Path};
use tender_p2p::cli::place::Place;

/// Every file under a directory with its content.
fn snapshot(directory: &Path) -> BTreeMap<std::path::PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.append(&mut snapshot(&path));
        } else {
            files.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
    files
}

/// Never another engine in the place of the one asked for.
#[test]
fn an_engine_that_there_is_not_is_refused_at_the_start_by_all_that_verify() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    run(&format!("testnet --validators 1 --output {}", at("net"))).ok();
    let (home, genesis) = (at("net/validator-0"), at("net/genesis.json"));
    let before = snapshot(Path::new(&home));
    for line in [
        format!("start --home {home}"),
        format!("dev --once --home {}", at("dev")),
        format!("audit --genesis {genesis} --home {home}"),
        "bench auction --validators 1 --bids 1".into(),
    ] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tender"));
        let command = command.args(line.split_whitespace());
        let ran = ran(command.env("TENDER_ENGINE", "abacus"));
        ran.fails(
            2,
            &[
                "TENDER_ENGINE=abacus: no engine is called \"abacus\"",
                "naive, arkworks, portable",
                "next: unset it",
            ],
        );
    }
    assert_eq!(snapshot(Path::new(&home)), before);
    assert!(!Path::new(&at("dev")).exists());
}

#[test]
fn wrong_flags_exit_2_and_help_is_for_people() {
    for line in [
        "",
        "bidd",
        "bid",
        "bid x",
        "bid x --price job",
        "bid x --price job=cheap",
        "verify x",
        "audit --genesis x",
        "certificate x",
        "testnet --output x --validators 0",
        "issuer attest x --holder me --output y",
        "inventory --bandwidth-mbps fast",
        "inventory --region mars",
        "auction open",
    ] {
        let ran = run(line);
        assert_eq!(ran.code, 2, "{line}: {}", ran.err);
        assert!(
            ran.err.contains("Usage") || ran.err.contains("help"),
            "{line}: {}",
            ran.err
        );
    }
    run("status").fails(2, &["--home", "--api", "next:"]);
    let help = run("--help").ok();
    for part in [
        "tender dev --once",
        "testnet",
        "Exit codes",
        "accept",
        "audit",
    ] {
        assert!(help.contains(part), "{help}");
    }
    for command in [
        "dev",
        "testnet",
        "start",
        "keys new",
        "inventory",
        "credentials",
        "issuer attest",
        "issuer revoke",
        "auction open",
        "auction list",
        "auction show",
        "bid",
        "accept",
        "deliver",
        "confirm",
        "reject",
        "status",
        "explain",
        "certificate",
        "verify",
        "audit",
        "capability setup",
        "capability prove",
        "capability verify",
        "capability inspect",
        "capability export",
        "capability import",
        "capability table",
    ] {
        run(&format!("{command} --help")).ok();
    }
    for command in [
        "inventory",
        "credentials",
        "auction list",
        "auction show",
        "status",
        "explain",
        "certificate",
        "verify",
        "audit",
        "keys show",
        "capability verify",
        "capability inspect",
        "capability table",
    ] {
        assert!(
            run(&format!("{command} --help")).ok().contains("--json"),
            "{command}"
        );
    }
}

#[test]
fn keys_and_networks_are_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("me");
    let keys = tender(["keys", "new", "--json", "--home", home.to_str().unwrap()]).json();
    assert_eq!(
        tender(["keys", "show", "--json", "--home", home.to_str().unwrap()]).json(),
        keys
    );
    let before = snapshot(dir.path());
    tender(["keys", "new", "--home", home.to_str().unwrap()])
        .fails(1, &["never overwritten", "keys"]);
    tender(["testnet", "--output", dir.path().to_str().unwrap()])
        .fails(1, &["is not empty", "next:"]);
    assert_eq!(snapshot(dir.path()), before);
    let taken = dir.path().join("net");
    tender([
        "testnet",
        "--issuers",
        "no/good",
        "--output",
        taken.to_str().unwrap(),
    ])
    .fails(2, &["no/good", "letters"]);
    assert!(!taken.exists(), "nothing is left behind");
}

#[test]
fn bad_homes_genesis_and_certificates_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let net = dir.path().join("net");
    tender([
        "testnet",
        "--followers",
        "0",
        "--agents",
        "ann",
        "--output",
        net.to_str().unwrap(),
    ])
    .ok();
    let before = snapshot(&net);
    let at = |name: &str| net.join(name).display().to_string();

    run(&format!("start --home {}", at("nobody"))).fails(1, &["config.toml", "testnet"]);
    run(&format!("status --home {}", at("agent-ann")))
        .fails(1, &["no peer runs from", "tender start --home"]);
    run("status --api http://127.0.0.1:1")
        .fails(1, &["no answer from http://127.0.0.1:1", "next:"]);

    // Genesis: not JSON, a field too many, a rule broken.
    let good = std::fs::read_to_string(net.join("genesis.json")).unwrap();
    let genesis = net.join("validator-0/genesis.json");
    for (from, to, says) in [
        ("{\n", "{{\n", "genesis.json:1:"),
        ("\"version\"", "\"vershun\"", "vershun"),
        ("\"power\": 1", "\"power\": 100", "validators"),
        (
            "\"allow_insecure_setup\": true",
            "\"allow_insecure_setup\": false",
            "setup",
        ),
    ] {
        std::fs::write(&genesis, good.replacen(from, to, 1)).unwrap();
        run(&format!("start --home {}", at("validator-0")))
            .fails(1, &["genesis.json", says, "next:"]);
    }
    std::fs::write(&genesis, &good).unwrap();
    assert_eq!(snapshot(&net), before, "failed commands change nothing");

    // Configuration and keys.
    let config = net.join("validator-0/config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("role", "rool")).unwrap();
    run(&format!("start --home {}", at("validator-0"))).fails(1, &["config.toml", "rool"]);
    std::fs::write(&config, &text).unwrap();
    let key = net.join("validator-0/keys/consensus.json");
    let secret = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    run(&format!("start --home {}", at("validator-0"))).fails(1, &["consensus.json"]);
    std::fs::write(&key, &secret).unwrap();
    run(&format!("start --home {}", at("validator-0"))).fails(1, &["others could read"]);

    // Verify: a missing file is a failure, a wrong one a verdict.
    let genesis = at("genesis.json");
    run(&format!(
        "verify {} --genesis {genesis}",
        at("nothing.json")
    ))
    .fails(1, &["nothing.json"]);
    run(&format!("verify {genesis} --genesis {genesis}")).fails(3, &["does not hold", "next:"]);
    run(&format!(
        "verify {genesis} --genesis {}",
        at("validator-0/config.toml")
    ))
    .fails(1, &["config.toml:1:"]);
    run(&format!(
        "audit --genesis {genesis} --home {}",
        at("validator-1")
    ))
    .fails(1, &["next:"]);
}

#[test]
fn a_peer_on_any_free_port_writes_its_addresses_and_bad_files_are_refused_before_anything_is_sent()
{
    let dir = tempfile::tempdir().unwrap();
    let net = dir.path().join("net");
    tender([
        "testnet",
        "--validators",
        "1",
        "--followers",
        "0",
        "--agents",
        "ann",
        "--output",
        net.to_str().unwrap(),
    ])
    .ok();
    let validator = net.join("validator-0");
    let _peer = Peer::start(&validator);
    until("the peer is up", || {
        Place::at(&validator)
            .client()
            .and_then(|c| c.status())
            .is_ok()
    });
    let api = Place::at(&validator).client().unwrap();
    let at = |name: &str| net.join(name).display().to_string();
    let from = |name: &str| format!("--home {} --api {}", at(name), api.url());

    let text = include_str!("../../fixtures/night-of-gpu-jobs.json");
    let file = dir.path().join("auction.json");
    for (a, b, says) in [
        (
            "\"bidding_seconds\": 15",
            "\"bidding_seconds\": \"soon\"",
            "auction.json:5:",
        ),
        (
            "\"nvlink\", \"infiniband\"",
            "\"nvlink\", \"warp\"",
            "classes.training-8x80g.requires[0].needs",
        ),
        (
            "\"bidding_seconds\": 15",
            "\"bidding_seconds\": 1",
            "window",
        ),
    ] {
        assert!(text.contains(a));
        std::fs::write(&file, text.replacen(a, b, 1)).unwrap();
        let ran = run(&format!(
            "auction open {} {}",
            file.display(),
            from("opener")
        ));
        ran.fails(1, &[says, "next:"]);
    }
    std::fs::write(&file, text).unwrap();
    run(&format!(
        "auction open --check {} {}",
        file.display(),
        from("opener")
    ))
    .ok();
    run(&format!("auction show feed {}", from("opener")))
        .fails(1, &["no auction starts with `feed`", "auction list"]);
    run(&format!("bid feed --price x=1 {}", from("agent-ann"))).fails(1, &["next:"]);
    assert!(
        run(&format!("status --types {}", from("opener")))
            .ok()
            .contains("gpu_milli")
    );
    let listed = run(&format!("auction list --json {}", from("opener"))).json();
    assert!(listed.as_array().unwrap().len() <= 1);

    // An issuer that is none, and an inventory with a label nobody knows.
    let inventory = dir.path().join("box.json");
    let holder = tender(["keys", "show", "--json", "--home", &at("agent-ann")]).json()["agent"]
        .as_str()
        .unwrap()
        .to_owned();
    let output = dir.path().join("credential.json");
    std::fs::write(
        &inventory,
        r#"{ "serial": "b1", "attributes": { "gpu_model": "B9000", "region": "uk" } }"#,
    )
    .unwrap();
    let attest = |who: &str| {
        run(&format!(
            "issuer attest {} --holder {holder} --output {} {}",
            inventory.display(),
            output.display(),
            from(who)
        ))
    };
    attest("issuer-acme-labs").fails(1, &["box.json", "attributes", "B9000", "next:"]);
    std::fs::write(
        &inventory,
        r#"{ "serial": "b1", "attributes": { "gpu_model": "none", "region": "uk" } }"#,
    )
    .unwrap();
    attest("opener").fails(1, &["not a listed issuer", "acme-labs"]);
    assert!(!output.exists());
    attest("issuer-acme-labs").ok();
    attest("issuer-acme-labs").fails(1, &["exists"]);
    run(&format!(
        "issuer revoke {} {}",
        output.display(),
        from("issuer-acme-labs")
    ))
    .ok();
    run(&format!(
        "issuer revoke {} {}",
        output.display(),
        from("issuer-acme-labs")
    ))
    .fails(1, &["revoked already"]);
}

/// The certificates that `examples/verify_certificate` shows, by the command line.
#[test]
fn the_certificates_of_the_fixtures_hold() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/certificates");
    let at = |name: &str| fixtures.join(name).display().to_string();
    for (name, says) in [
        ("winner.json", "won, to be paid"),
        ("loser.json", "lost: outbid"),
    ] {
        let ran = run(&format!(
            "verify {} --genesis {} --json",
            at(name),
            at("genesis.json")
        ))
        .json();
        assert_eq!(ran["verified"], true);
        assert!(
            ran["proves"]["says"].as_str().unwrap().contains(says),
            "{ran}"
        );
        let other = "0".repeat(64);
        run(&format!(
            "verify {} --genesis {} --block {other}",
            at(name),
            at("genesis.json")
        ))
        .fails(3, &["not of the trusted"]);
    }
}
