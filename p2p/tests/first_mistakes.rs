//! The twelve mistakes people make first. Each is answered with what happened, with its values, and with the next command; typed as it
//! stands, that command works.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod common;

use common::{Peer, Ran, net::Net, ran, run, tender, until};
use serde_json::json;
use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};
use tender_p2p::cli::place::Place;

/// The commands an error names: what stands between back quotes.
fn commands(said: &str) -> Vec<&str> {
    let next = said
        .split_once("next: ")
        .unwrap_or_else(|| panic!("no next step: {said}"))
        .1;
    let quoted = next.split('`').skip(1).step_by(2);
    quoted
        .filter(|part| part.starts_with("tender ") || part.starts_with("chmod "))
        .collect()
}

/// Types a command into a shell in `directory`, where `tender` is on the path.
fn type_in(directory: &Path, command: &str) -> Ran {
    let bin = Path::new(env!("CARGO_BIN_EXE_tender"))
        .parent()
        .unwrap()
        .to_path_buf();
    let path = std::env::join_paths(
        std::iter::once(bin).chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    ran(Command::new("sh")
        .args(["-c", command])
        .current_dir(directory)
        .env("PATH", path.unwrap())
        .env_remove("TENDER_HOME"))
}

/// Directories of a network that nobody runs yet.
fn directories(dir: &Path) -> PathBuf {
    let net = dir.join("net");
    let output = net.to_str().unwrap();
    tender([
        "testnet",
        "--validators",
        "1",
        "--followers",
        "0",
        "--agents",
        "ann",
        "--output",
        output,
    ])
    .ok();
    net
}

fn one_task(reserve: u64) -> serde_json::Value {
    json!([{ "name": "index", "class": "small", "reserve": reserve }])
}

/// What an issuer types, as the holder's error words it: in a directory with the inventory file.
fn attested_as_told(net: &Net, said: &str, credential: &str) {
    let told = commands(said);
    let line = told
        .iter()
        .find(|c| c.starts_with("tender issuer attest"))
        .unwrap();
    let home = net.home("issuer-acme-labs").display().to_string();
    type_in(net.dir.path(), &line.replace("ISSUER_HOME", &home)).ok();
    let written = net.dir.path().join("credential.json");
    let directory = net.home("agent-ann").join("credentials");
    fs::create_dir_all(&directory).unwrap();
    fs::rename(written, directory.join(credential)).unwrap();
}

#[test]
fn no_credential() {
    let net = Net::new();
    let id = net.open_for("none", one_task(900), 60, 3600);
    let bid = format!("bid {id} --price index=500");
    let said = net
        .as_("agent-ann", &bid)
        .fails(1, &["no credential", &net.key("agent-ann")]);
    let machine = json!({ "serial": "ann-box", "attributes": { "cpu_milli": 8000, "gpu_model": "none", "region": "uk", "skills": "docker" } });
    net.write("machine.json", &machine);
    attested_as_told(&net, &said, "ann-box.json");
    net.as_("agent-ann", &bid).ok();
}

#[test]
fn expired_credential() {
    let net = Net::new();
    net.attest("agent-ann", "ann-box", 8000, "--attestation --days 1");
    let id = net.open_for("two days", one_task(900), 60, 2 * 86_400);
    let bid = format!("bid {id} --price index=500");
    let said = net.as_("agent-ann", &bid).fails(
        1,
        &["ann-box", "acme-labs", "runs out", "before the lease ends"],
    );
    attested_as_told(&net, &said, "ann-box-longer.json");
    net.as_("agent-ann", &bid).ok();
}

#[test]
fn wrong_chain() {
    let (net, other) = (Net::new(), Net::new());
    let home = net.home("agent-ann");
    let line = format!(
        "bid feed --price index=5 --home {} --api {}",
        home.display(),
        other.api.url()
    );
    let chain = |net: &Net| net.api.status().unwrap().chain_id;
    let said = run(&line).fails(
        1,
        &[
            &chain(&net).to_string(),
            &chain(&other).to_string(),
            other.api.url(),
            "genesis.json",
        ],
    );
    let told = commands(&said);
    assert_eq!(told.len(), 2, "{said}");
    let shown = type_in(net.dir.path(), told[0]).ok();
    assert!(shown.contains(&chain(&other).short()), "{shown}");
    // The second runs the home's own peer; what it writes into the home is seen by the test of a missing genesis file.
    assert_eq!(told[1], format!("tender start --home {}", home.display()));
    // A store of one chain is not opened under another chain's genesis file.
    let validator = net.home("validator-0");
    let Net {
        dir: _dir, peer, ..
    } = net;
    drop(peer);
    fs::copy(other.home("genesis.json"), validator.join("genesis.json")).unwrap();
    run(&format!("start --home {}", validator.display()))
        .fails(1, &["holds chain", "this genesis is chain", "next:"]);
}

#[test]
fn peer_not_synced() {
    let net = Net::new();
    net.open("soon", one_task(900));
    // An agent's own peer that knows nobody: it has no block and can pass nothing on.
    let home = net.home("agent-ann");
    let config = fs::read_to_string(home.join("config.toml")).unwrap();
    let alone: Vec<_> = config
        .lines()
        .filter(|line| !line.contains("/p2p/") && !line.contains("bootstrap"))
        .collect();
    let bootstrap = tender_p2p::config::Home::at(net.home("validator-0"))
        .read_addresses()
        .unwrap()
        .listen[0]
        .to_string();
    fs::write(
        home.join("config.toml"),
        alone.join("\n").replace("listen = []", ""),
    )
    .unwrap();
    let peer = Peer::start_with(&home, &["--port", "0", "--api-port", "0"]);
    until("the lonely peer is up", || {
        Place::at(&home).client().and_then(|c| c.status()).is_ok()
    });
    let line = format!("bid feed --price index=5 --home {}", home.display());
    let said = run(&line).fails(1, &["at height 0", "no other peer", "next:"]);
    let told = commands(&said);
    let shown = type_in(net.dir.path(), told[0]).ok();
    assert!(shown.contains("0 peers"), "{shown}");
    drop(peer);
    // The second, with the address of a peer; on ports of the test's own.
    let start = told[1].replace("ADDRESS", &bootstrap);
    let expected = format!(
        "tender start --bootstrap {bootstrap} --home {}",
        home.display()
    );
    assert_eq!(start, expected);
    let flags = ["--bootstrap", &bootstrap, "--port", "0", "--api-port", "0"];
    let _peer = Peer::start_with(&home, &flags);
    until("it has caught up", || {
        run(&line).err.contains("no auction starts with `feed`")
    });
}

#[test]
fn port_taken() {
    let dir = tempfile::tempdir().unwrap();
    let home = directories(dir.path()).join("validator-0");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (flag, other) in [("--port", "--api-port"), ("--api-port", "--port")] {
        let line = format!("start --home {} {flag} {port} {other} 0", home.display());
        let said = run(&line).fails(1, &[&port, "taken", "next:"]);
        let told = commands(&said);
        assert_eq!(
            told,
            [format!("tender start --home {} {flag} 0", home.display())],
            "{said}"
        );
        let _peer = Peer::start_with(&home, &[flag, "0", other, "0"]);
        until("the peer is up", || {
            Place::at(&home).client().and_then(|c| c.status()).is_ok()
        });
    }
}

#[test]
fn closed_auction() {
    let net = Net::new();
    net.attest("agent-ann", "ann-box", 8000, "--attestation");
    let id = net.open_for("short", one_task(900), 3, 3600);
    net.as_("agent-ann", &format!("bid {id} --price index=500"))
        .ok();
    net.wait(&id, "cleared");
    let said = net
        .as_("agent-ann", &format!("bid {id} --price index=400"))
        .fails(1, &[&id[..8], "takes no bids", "cleared", "next:"]);
    let shown = type_in(net.dir.path(), commands(&said)[0]).ok();
    assert!(shown.contains(&id[..8]), "{shown}");
}

#[test]
fn price_above_reserve() {
    let net = Net::new();
    net.attest("agent-ann", "ann-box", 8000, "--attestation");
    let tasks = json!([{ "name": "index", "class": "small", "reserve": 1000 }, { "name": "mirror", "class": "small", "reserve": 100 }]);
    let id = net.open_for("reserves", tasks, 60, 3600);
    // Nothing in it can win: it is not sent.
    let said = net
        .as_("agent-ann", &format!("bid {id} --price mirror=300"))
        .fails(1, &["mirror", "300", "reserve is 100", "nothing was sent"]);
    assert!(
        net.api
            .auction(&id.parse().unwrap())
            .unwrap()
            .live_bids
            .is_empty()
    );
    type_in(net.dir.path(), commands(&said)[0]).ok();
    // One entry can: it is sent, with a warning.
    let warned = net.as_(
        "agent-ann",
        &format!("bid {id} --price index=500 --price mirror=300"),
    );
    assert_eq!(warned.code, 0, "{}", warned.err);
    assert!(
        warned.err.contains("mirror asks 300, its reserve is 100"),
        "{}",
        warned.err
    );
    type_in(net.dir.path(), commands(&warned.err)[0]).ok();
}

#[test]
fn unknown_skill() {
    let net = Net::new();
    let machine = json!({ "serial": "b1", "attributes": { "gpu_model": "none", "region": "uk", "skills": ["docker", "warp"] } });
    let inventory = net.write("machine.json", &machine);
    let line = format!(
        "issuer attest {inventory} --holder {} --output {}/c.json",
        net.key("agent-ann"),
        net.dir.path().display()
    );
    let attest = net
        .as_("issuer-acme-labs", &line)
        .fails(1, &["machine.json", "skills", "warp", "next:"]);
    let needs = json!({ "skills": ["warp"] });
    let auction = net.write(
        "auction.json",
        &json!({
            "title": "t", "bidding_seconds": 6, "lease_seconds": 3600, "tasks": one_task(5),
            "classes": { "small": { "requires": [{ "type": "resources/v1", "needs": needs }] } },
        }),
    );
    let open = net.as_("opener", &format!("auction open {auction}")).fails(
        1,
        &[
            "auction.json",
            "classes.small.requires[0].needs",
            "warp",
            "next:",
        ],
    );
    for said in [attest, open] {
        let shown = type_in(net.dir.path(), commands(&said)[0]).ok();
        assert!(shown.contains("docker"), "{shown}");
    }
}

#[test]
fn revoked_machine() {
    let net = Net::new();
    for flags in ["", "--attestation"] {
        let _ = fs::remove_dir_all(net.home("agent-ann").join("credentials"));
        net.attest("agent-ann", "ann-box", 8000, flags);
        let file = net.home("agent-ann").join("credentials/ann-box.json");
        net.as_(
            "issuer-acme-labs",
            &format!("issuer revoke {}", file.display()),
        )
        .ok();
        let id = net.open_for("revoked", one_task(900), 60, 3600);
        let bid = format!("bid {id} --price index=500");
        let said = net
            .as_("agent-ann", &bid)
            .fails(1, &["ann-box", "acme-labs", "revoked", "next:"]);
        fs::remove_file(file).unwrap();
        attested_as_told(&net, &said, "ann-box-again.json");
        net.as_("agent-ann", &bid).ok();
    }
}

#[test]
fn wrong_passphrase_or_permissions() {
    let dir = tempfile::tempdir().unwrap();
    let home = directories(dir.path()).join("agent-ann");
    let show = format!("keys show --home {}", home.display());
    for (what, mode) in [("keys/agent.json", 0o644), ("keys", 0o755)] {
        let path = home.join(what);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let shown = path.display().to_string();
        let said = run(&show).fails(
            1,
            &[&shown, &format!("{mode:04o}"), "others could read", "next:"],
        );
        type_in(dir.path(), commands(&said)[0]).ok();
        run(&show).ok();
    }
    // Protected keys: no passphrase, a wrong one, one that others can read, the right one.
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    };
    let (right, wrong) = (
        file("right", "open sesame\n"),
        file("wrong", "open barley\n"),
    );
    let before = run(&show).ok();
    let key = home.join("keys/agent.json");
    let said = run(&format!(
        "keys protect --home {} --passphrase-file {right}",
        home.display()
    ))
    .ok();
    assert!(said.contains("TENDER_PASSPHRASE_FILE"), "{said}");
    assert!(!fs::read_to_string(&key).unwrap().contains("\"none\""));
    let shown = key.display().to_string();
    let locked = run(&show).fails(
        1,
        &[&shown, "protected by a passphrase, and none was given"],
    );
    let refused = run(&format!("{show} --passphrase-file {wrong}"))
        .fails(1, &[&shown, &wrong, "does not open"]);
    for said in [locked, refused] {
        let told = commands(&said)[0].replace("FILE", &right);
        assert_eq!(type_in(dir.path(), &told).ok(), before);
        assert!(
            !said.contains("sesame") && !said.contains("barley"),
            "{said}"
        );
    }
    fs::set_permissions(&right, fs::Permissions::from_mode(0o644)).unwrap();
    let said =
        run(&format!("{show} --passphrase-file {right}")).fails(1, &[&right, "others could read"]);
    type_in(dir.path(), commands(&said)[0]).ok();
    // Other commands take it from the environment; an agent's own peer starts with it.
    let start = |passphrase: &str| {
        let line = format!(
            "TENDER_PASSPHRASE_FILE={passphrase} timeout 20 tender start --home {} --port 0 --api-port 0",
            home.display()
        );
        type_in(dir.path(), &line)
    };
    assert!(start(&wrong).err.contains("does not open"));
    let _peer = Peer::start_with_env(
        &home,
        &["--port", "0", "--api-port", "0"],
        &[("TENDER_PASSPHRASE_FILE", &right)],
    );
    until("the peer is up", || {
        Place::at(&home).client().and_then(|c| c.status()).is_ok()
    });
}

#[test]
fn missing_genesis() {
    let dir = tempfile::tempdir().unwrap();
    let net = directories(dir.path());
    let home = net.join("agent-ann");
    let genesis = home.join("genesis.json");
    fs::remove_file(&genesis).unwrap();
    let shown = genesis.display().to_string();
    let said =
        run(&format!("start --home {}", home.display())).fails(1, &[&shown, "missing", "next:"]);
    assert_eq!(
        commands(&said),
        [format!("tender start --home {}", home.display())]
    );
    run(&format!("bid feed --price x=1 --home {}", home.display()))
        .fails(1, &[&shown, "missing", "next:"]);
    assert!(!home.join("data").exists(), "nothing is made");
    fs::copy(net.join("genesis.json"), &genesis).unwrap();
    let _peer = Peer::start_with(&home, &["--port", "0", "--api-port", "0"]);
    until("the peer is up", || {
        Place::at(&home).client().and_then(|c| c.status()).is_ok()
    });
}

#[test]
fn second_process_on_one_home() {
    let dir = tempfile::tempdir().unwrap();
    let home = directories(dir.path()).join("validator-0");
    let _peer = Peer::start(&home);
    until("the peer is up", || {
        Place::at(&home).client().and_then(|c| c.status()).is_ok()
    });
    let line = format!("start --home {} --port 0 --api-port 0", home.display());
    let said = run(&line).fails(
        1,
        &[&home.display().to_string(), "in use by process", "next:"],
    );
    let shown = type_in(dir.path(), commands(&said)[0]).ok();
    assert!(shown.contains("validator"), "{shown}");
    assert!(
        Place::at(&home).client().unwrap().status().is_ok(),
        "the first is unharmed"
    );
}
