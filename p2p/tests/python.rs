//! Agents in any language: `examples/agent.py` and plain HTTP, on a network of separate processes. One peer opens an auction, another bids,
//! wins, accepts, takes away the certificate; the rest of the assignment's life, and what the signing routes refuse.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod common;

use common::{Peer, run, tender, until};
use serde_json::{Value, json};
use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};
use tender_p2p::cli::place::Place;

fn url(home: &Path) -> String {
    Place::at(home).client().unwrap().url().to_owned()
}

fn token(home: &Path) -> String {
    std::fs::read_to_string(home.join("api-token"))
        .unwrap()
        .trim()
        .to_owned()
}

/// One request with these headers; status and JSON.
fn send(url: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> (u16, Value) {
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    let agent: ureq::Agent = config.build().into();
    let method = if body.is_some() { "POST" } else { "GET" };
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(body.unwrap_or_default().to_vec()).unwrap();
    let mut answer = agent.run(request).unwrap();
    let text = answer.body_mut().read_to_string().unwrap();
    let value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{url}: {e}: {text}"));
    (answer.status().as_u16(), value)
}

/// A signing request as a home's owner sends it; asks again while it is told to.
fn owner(home: &Path, path: &str, document: &Value) -> (u16, Value) {
    let bearer = format!("Bearer {}", token(home));
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
    ];
    let mut answer = send(
        &format!("{}{path}", url(home)),
        &headers,
        Some(document.to_string().as_bytes()),
    );
    if answer.0 == 202 {
        answer = ended(home, &answer.1);
    }
    answer
}

/// How a job ends, asked until it has.
fn ended(home: &Path, running: &Value) -> (u16, Value) {
    let bearer = format!("Bearer {}", token(home));
    let job = format!("{}/v1/jobs/{}", url(home), running["job"].as_str().unwrap());
    // Each answer waits ten seconds for the job, and the job a minute and a half for its block.
    let mut answers = (0..12).map(|_| send(&job, &[("authorization", &bearer)], None));
    answers.find(|(status, _)| *status != 202).expect("it ends")
}

#[track_caller]
fn refused((status, error): (u16, Value), expected: (u16, &str)) {
    assert_eq!(
        (status, error["code"].as_str().unwrap()),
        expected,
        "{error}"
    );
    for part in ["message", "hint"] {
        assert!(!error[part].as_str().unwrap().is_empty(), "{error}");
    }
}

/// Runs `examples/agent.py`.
fn agent_py(arguments: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/agent.py");
    let done = Command::new("python3")
        .arg(script)
        .args(arguments)
        .env("TENDER", env!("CARGO_BIN_EXE_tender"))
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8(done.stdout).unwrap(),
        String::from_utf8(done.stderr).unwrap(),
    );
    assert!(done.status.success(), "{arguments:?}: {out}\n{err}");
    out
}

/// The example agent is what it says: standard library, twenty-five lines that matter.
#[test]
fn the_example_agent_is_short_and_needs_nothing() {
    let script = include_str!("../../examples/agent.py");
    let code = script.split("\"\"\"").nth(2).unwrap();
    let is_import = |line: &&str| line.starts_with("import ") || line.starts_with("from ");
    let known = [
        "json",
        "os",
        "subprocess",
        "sys",
        "urllib.error",
        "urllib.request",
    ];
    for line in code.lines().filter(is_import) {
        let modules = line
            .trim_start_matches("import ")
            .trim_start_matches("from ");
        let modules = modules.split(" import ").next().unwrap();
        assert!(
            modules.split(", ").all(|module| known.contains(&module)),
            "{line}"
        );
    }
    let matters =
        |line: &&str| !is_import(line) && !line.trim().is_empty() && !line.trim().starts_with('#');
    assert!(code.lines().filter(matters).count() <= 25);
}

#[test]
fn agents_in_any_language_open_bid_win_and_prove_it() {
    let dir = tempfile::tempdir().unwrap();
    let net = dir.path().join("net");
    tender([
        "testnet",
        "--validators",
        "1",
        "--followers",
        "0",
        "--issuers",
        "acme",
        "--agents",
        "ann",
        "--block-interval-ms",
        "200",
        "--output",
        net.to_str().unwrap(),
    ])
    .ok();
    let (validator, opener, ann) = (
        net.join("validator-0"),
        net.join("opener"),
        net.join("agent-ann"),
    );
    // This validator bids for nobody.
    std::fs::remove_file(validator.join("keys/agent.json")).unwrap();
    let peers: Vec<_> = [&validator, &opener, &ann]
        .into_iter()
        .map(|home| Peer::start(home))
        .collect();
    for home in [&validator, &opener, &ann] {
        until("every peer is up and connected", || {
            Place::at(home)
                .client()
                .and_then(|c| c.status())
                .is_ok_and(|s| s.peers > 0)
        });
    }
    let write = |name: &str, value: Value| -> PathBuf {
        let path = dir.path().join(name);
        std::fs::write(&path, value.to_string()).unwrap();
        path
    };
    let machine = write(
        "machine.json",
        json!({ "serial": "box", "attributes": { "cpu_milli": 64000, "memory_mib": 65536, "gpu_model": "none", "region": "uk", "skills": "docker" } }),
    );
    let key = run(&format!("keys show --json --home {}", ann.display())).json()["agent"]
        .as_str()
        .unwrap()
        .to_owned();
    std::fs::create_dir_all(ann.join("credentials")).unwrap();
    run(&format!(
        "issuer attest {} --holder {key} --output {} --home {} --api {}",
        machine.display(),
        ann.join("credentials/box.json").display(),
        net.join("issuer-acme").display(),
        url(&validator)
    ))
    .ok();

    // An auction by the script if there is a Python to run it, by plain HTTP otherwise.
    let has_python = Command::new("python3").arg("--version").output().is_ok();
    let classes = json!({ "small": { "requires": [{ "type": "resources/v1", "needs": { "cpu_milli": 4000 } }] } });
    let wanted = json!({ "title": "in any language", "bidding_seconds": 6, "lease_seconds": 3600, "classes": classes, "tasks": [
        { "name": "index", "class": "small", "reserve": 900 }, { "name": "backup", "class": "small", "reserve": 500 },
        { "name": "too cheap", "class": "small", "reserve": 5 } ] });
    let asked = json!({ "prices": { "index": 400, "backup": 300, "too cheap": 10 }, "slots": { "small": 3 } });
    let genesis = net.join("genesis.json");
    let auction = if has_python {
        let id = agent_py(&[
            "open",
            opener.to_str().unwrap(),
            write("auction.json", wanted.clone()).to_str().unwrap(),
        ]);
        let id = id.trim().to_owned();
        let bid = write("bid.json", asked.clone());
        let said = agent_py(&[
            "win",
            ann.to_str().unwrap(),
            &id,
            bid.to_str().unwrap(),
            genesis.to_str().unwrap(),
        ]);
        assert_eq!(said.matches("won, to be paid").count(), 2, "{said}");
        id
    } else {
        eprintln!("SKIPPED: there is no python3 here; the same by plain HTTP");
        let (status, opened) = owner(&opener, "/v1/auctions", &wanted);
        assert_eq!(status, 200, "{opened}");
        let id = opened["auction"].as_str().unwrap().to_owned();
        let phase_is = |phase: &str| {
            Place::at(&ann)
                .client()
                .and_then(|c| c.auction(&id.parse().unwrap()))
                .is_ok_and(|d| json!(d.summary.phase) == phase)
        };
        until("bidding", || phase_is("bidding"));
        let mut document = asked.clone();
        document["auction"] = json!(id);
        assert_eq!(owner(&ann, "/v1/bids", &document).0, 200);
        until("cleared", || phase_is("cleared"));
        for task in [0, 1] {
            assert_eq!(
                owner(
                    &ann,
                    &format!("/v1/auctions/{id}/accept"),
                    &json!({ "task": task })
                )
                .0,
                200
            );
        }
        id
    };

    // The rest of the assignments' lives.
    let of = |step: &str| format!("/v1/auctions/{auction}/{step}");
    let result = json!({ "task": "index", "result": "ab".repeat(32) });
    let (status, stepped) = owner(&ann, &of("deliver"), &result);
    assert_eq!((status, &stepped["task"]), (200, &json!(0)), "{stepped}");
    let (_, error) = owner(&ann, &of("deliver"), &result);
    assert!(!error["hint"].as_str().unwrap().is_empty(), "{error}");
    assert_eq!(
        owner(
            &ann,
            &of("deliver"),
            &json!({ "task": 1, "result": "cd".repeat(32) })
        )
        .0,
        200
    );
    let delivered = Place::at(&ann).client().unwrap().status().unwrap().height;
    until("the opener has the results", || {
        Place::at(&opener)
            .client()
            .unwrap()
            .status()
            .unwrap()
            .height
            >= delivered
    });
    assert_eq!(
        owner(
            &opener,
            &of("confirm"),
            &json!({ "task": 0, "bidder": key })
        )
        .0,
        200
    );
    assert_eq!(
        owner(&opener, &of("reject"), &json!({ "task": "backup" })).0,
        200
    );
    let (status, detail) = send(
        &format!("{}/v1/auctions/{auction}", url(&opener)),
        &[],
        None,
    );
    let states: Vec<_> = detail["awards"]
        .as_array()
        .unwrap()
        .iter()
        .map(|award| award["state"].clone())
        .collect();
    assert_eq!(
        (status, states),
        (200, vec![json!("confirmed"), json!("rejected")]),
        "{detail}"
    );

    // Who may sign, and what.
    let mode = std::fs::metadata(ann.join("api-token"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_ne!(token(&ann), token(&opener));
    let bids = format!("{}/v1/bids", url(&ann));
    let stranger = format!("Bearer {}", token(&opener));
    let bearer = format!("Bearer {}", token(&ann));
    let mine = ("authorization", bearer.as_str());
    let plain = ("content-type", "application/json");
    let document = |more: Value| {
        let mut document = asked.clone();
        document["auction"] = json!(auction);
        document
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        document.to_string().into_bytes()
    };
    refused(
        send(&bids, &[plain], Some(&document(json!({})))),
        (401, "no_token"),
    );
    refused(
        send(
            &bids,
            &[plain, ("authorization", &stranger)],
            Some(&document(json!({}))),
        ),
        (401, "no_token"),
    );
    refused(
        send(
            &bids,
            &[mine, plain, ("origin", "https://evil.example")],
            Some(&document(json!({}))),
        ),
        (403, "foreign_host"),
    );
    refused(
        send(
            &format!("{}/v1/bids", url(&validator)),
            &[mine, plain],
            Some(&document(json!({}))),
        ),
        (409, "no_agent_key"),
    );
    refused(
        send(&bids, &[mine], Some(&document(json!({})))),
        (415, "wrong_content_type"),
    );
    refused(
        send(&bids, &[mine, plain], Some(b"{\"auction\":")),
        (400, "bad_request"),
    );
    refused(
        send(
            &bids,
            &[mine, plain],
            Some(&document(json!({ "prices": { "index": "dear" } }))),
        ),
        (422, "bad_document"),
    );
    refused(
        send(
            &bids,
            &[mine, plain],
            Some(&document(json!({ "colour": "red" }))),
        ),
        (422, "bad_document"),
    );
    refused(
        send(&bids, &[mine, plain], Some(&vec![b' '; 300 << 10])),
        (413, "too_large"),
    );
    // An auction may be larger: it is read, and is none; with one byte more it is not.
    for (bytes, expected) in [
        (1 << 20, (400, "bad_request")),
        ((1 << 20) + 1, (413, "too_large")),
    ] {
        let (auctions, own) = (format!("{}/v1/auctions", url(&opener)), &*stranger);
        let headers = [("authorization", own), plain];
        refused(
            send(&auctions, &headers, Some(&vec![b' '; bytes])),
            expected,
        );
    }
    refused(
        send(&bids, &[mine, plain], Some(&document(json!({})))),
        (409, "not_bidding"),
    );
    refused(
        send(
            &bids,
            &[mine, plain],
            Some(&document(json!({ "auction": "00".repeat(32) }))),
        ),
        (404, "not_found"),
    );
    refused(
        send(&format!("{}/v1/jobs/00000000-0", url(&ann)), &[mine], None),
        (404, "not_found"),
    );
    refused(
        owner(&ann, &of("accept"), &json!({ "task": "nothing" })),
        (404, "not_found"),
    );
    refused(
        owner(&ann, &of("accept"), &json!({ "task": 2 })),
        (404, "not_found"),
    );
    refused(
        owner(
            &opener,
            "/v1/auctions",
            &json!({ "title": "x", "bidding_seconds": 5, "lease_seconds": 5, "classes": classes, "tasks": [{ "name": "a", "class": "none", "reserve": 1 }] }),
        ),
        (422, "bad_document"),
    );

    // While the validator sleeps nothing is committed, and the answer is where to ask; then the job ends as the request would have.
    peers[0].signal("STOP");
    let mut later = wanted.clone();
    later["title"] = json!("later");
    let (status, running) = send(
        &format!("{}/v1/auctions", url(&opener)),
        &[("authorization", &stranger), plain],
        Some(later.to_string().as_bytes()),
    );
    assert_eq!(status, 202, "{running}");
    peers[0].signal("CONT");
    let (status, opened) = ended(&opener, &running);
    assert_eq!(status, 200, "{opened}");
    assert_ne!(opened["auction"], json!(auction));
}
