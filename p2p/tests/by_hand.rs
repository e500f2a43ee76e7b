//! Everything a person does by hand, command by command, on a network of one validator: attest, open, bid, accept, deliver, confirm,
//! reject, explain, take away a certificate and check it. A machine with a running assignment bids again with what it has left.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod common;

use common::{
    Peer,
    net::Net,
    python::{python, verify_py},
    run, until,
};
use serde_json::json;
use std::path::Path;
use tender_p2p::cli::place::Place;

/// What an auditor hands on, a reader applies: at the certificate's own block, above and below it.
fn checkpoints(net: &Net, id: &str) {
    let genesis = net.home("genesis.json").display().to_string();
    let file = net.dir.path().join("checked.json").display().to_string();
    let headers = net.dir.path().join("checked.headers.json");
    let take = format!("certificate {id} --task mirror --output {file}");
    net.as_("opener", &take).ok();
    let verify = format!("verify {file} --genesis {genesis}");
    let own = run(&format!("{verify} --json")).json()["proves"]["height"]
        .as_u64()
        .unwrap();
    let id_at = |height: u64| {
        let block = net.api.block(tender_wire::Height(height)).unwrap();
        format!("{height}:{}", block.block_id)
    };
    let audit = format!("audit --genesis {genesis} --api {}", net.api.url());
    let said = run(&format!("{audit} --json")).json();
    let audited = said["checkpoint"].as_str().unwrap().to_owned();
    let tip = said["height"].as_u64().unwrap();
    assert!(tip > own && audited == id_at(tip), "{said}");
    for (checkpoint, adds) in [
        (id_at(own), "own block"),
        (audited.clone(), "descends"),
        (id_at(2), "only the later ones"),
    ] {
        let height = checkpoint.split(':').next().unwrap();
        let said = net
            .as_("opener", &format!("{take} --checkpoint {height}"))
            .ok();
        let mut line = format!("{verify} --checkpoint {checkpoint}");
        assert_eq!(said.contains("no headers are needed"), adds == "own block");
        if adds != "own block" {
            // Without the headers it is undecided, and the command it names fetches them.
            let told = run(&line).fails(3, &["undecided", "cannot be applied", "next:"]);
            let next = told
                .lines()
                .find_map(|l| l.trim().strip_prefix("tender "))
                .unwrap();
            std::fs::remove_file(&headers).unwrap();
            net.as_("opener", next).ok();
            line = format!("{line} --headers {}", headers.display());
        }
        let said = run(&line).ok();
        assert!(said.contains("holds") && said.contains(adds), "{said}");
        let other = format!("{height}:{}", "0".repeat(64));
        run(&line.replace(&checkpoint, &other)).fails(3, &["another history", "next:"]);
        run(&format!("{audit} --checkpoint {checkpoint}")).ok();
        run(&format!("{audit} --checkpoint {other}")).fails(3, &["another history"]);
    }
    let beyond = format!("9999:{}", "0".repeat(64));
    run(&format!("{audit} --checkpoint {beyond}")).fails(3, &["cannot be applied"]);
}

/// A second credential for a machine: what it scored on a suite.
fn score(net: &Net, who: &str, serial: &str, suite: &str, score: u32) {
    let attributes = json!({ "suite": suite, "score": score });
    let inventory = json!({ "serial": serial, "type": "score/v1", "attributes": attributes });
    let inventory = net.write("score.json", &inventory);
    let file = format!("credentials/{serial}-{suite}.json");
    let line = format!(
        "issuer attest {inventory} --holder {} --output {}",
        net.key(who),
        net.home(who).join(file).display()
    );
    net.as_("issuer-gridtrust", &line).ok();
}

#[test]
fn a_task_that_needs_a_score_goes_to_the_machine_that_has_one() {
    let net = Net::new();
    net.attest("agent-ann", "ann-box", 10_000, "");
    net.attest("agent-bob", "bob-box", 10_000, "");
    score(&net, "agent-ann", "ann-box", "swe-bench", 900);
    score(&net, "agent-ann", "ann-box", "mmlu-pro", 712);
    let known = net.as_("opener", "status --types").ok();
    assert!(
        known.contains("resources/v1") && known.contains("score/v1"),
        "{known}"
    );

    // The one validator admits another issuer; nobody else can.
    let proposal = net.dir.path().join("proposal.json").display().to_string();
    let propose = format!(
        "governance propose --add-issuer night-audit={} --output {proposal}",
        net.key("agent-bob")
    );
    net.as_("opener", &propose).ok();
    net.as_("opener", &propose).fails(1, &["exists"]);
    net.as_("opener", &format!("governance approve {proposal}"))
        .fails(1, &["consensus"]);
    let approved = net
        .as_("validator-0", &format!("governance approve {proposal}"))
        .ok();
    assert!(approved.contains("admit issuer night-audit"), "{approved}");
    net.as_("validator-0", &format!("governance approve {proposal}"))
        .fails(1, &["refused (already_approved)"]);
    assert!(
        net.as_("opener", "status --types")
            .ok()
            .contains("night-audit")
    );

    let ranked = json!({ "requires": [
        { "type": "resources/v1", "needs": { "cpu_milli": 4000 } },
        { "type": "score/v1", "needs": { "suite": "MMLU-Pro", "score": 700 } },
    ] });
    let tasks = json!([{ "name": "tutor", "class": "ranked", "reserve": 900 }]);
    let unnamed =
        json!({ "ranked": { "requires": [{ "type": "score/v1", "needs": { "score": 700 } }] } });
    let file = json!({ "title": "no suite", "bidding_seconds": 12, "lease_seconds": 3600, "tasks": tasks, "classes": unnamed });
    let file = net.write("unnamed.json", &file);
    net.as_("opener", &format!("auction open {file}"))
        .fails(1, &["requires[0].needs", "suite: must be given"]);

    let file = json!({ "title": "tutors", "bidding_seconds": 12, "lease_seconds": 3600, "tasks": tasks, "classes": { "ranked": ranked } });
    let file = net.write("tutors.json", &file);
    let opened = net
        .as_("opener", &format!("auction open {file} --json"))
        .json();
    let id = opened["auction"].as_str().unwrap().to_owned();
    net.wait(&id, "bidding");
    let short = &id[..8];
    net.as_("agent-ann", &format!("bid {short} --price tutor=500"))
        .ok();
    let warned = net.as_("agent-bob", &format!("bid {short} --price tutor=100"));
    assert!(
        warned.err.contains("class ranked wants proof by 1 of"),
        "{}",
        warned.err
    );
    warned.ok();
    net.wait(&id, "cleared");
    for (who, says) in [
        ("agent-ann", "tutor for 500: won: paid 900"),
        ("agent-bob", "nothing acceptable shows score/v1"),
    ] {
        let explained = net
            .as_(who, &format!("explain {short} {}", net.key(who)))
            .ok();
        assert!(explained.contains(says), "{explained}");
    }
}

#[test]
fn everything_by_hand_and_a_leased_machine_bids_again_with_what_is_left() {
    let net = Net::new();
    net.attest("agent-ann", "ann-box", 10_000, "");
    net.attest("agent-bob", "bob-box", 8_000, "--attestation");
    let secret = net.home("agent-ann").join("credentials/ann-box.json");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(secret).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);

    // First auction: three tasks, two bidders, one above the reserve.
    let tasks = json!([
        { "name": "index", "class": "small", "reserve": 900, "spec": { "image": "indexer" } },
        { "name": "backup", "class": "small", "reserve": 500 },
        { "name": "mirror", "class": "small", "reserve": 100 },
    ]);
    let id = net.open("by hand", tasks);
    let short = &id[..8];
    net.as_("agent-ann", &format!("bid {short} --price nothing=5"))
        .fails(1, &["prices.nothing", "no such task", "index"]);
    net.as_(
        "agent-ann",
        &format!("bid {short} --price index=5 --slots huge=1"),
    )
    .fails(1, &["slots.huge", "small"]);
    net.as_("opener", &format!("bid {short} --price index=5"))
        .fails(1, &["no credential", "issuer attest"]);
    net.as_(
        "agent-ann",
        &format!("bid {short} --price index=400 --price mirror=300 --slots small=1"),
    )
    .ok();
    let bid = net.write(
        "bid.json",
        &json!({ "prices": { "index": 600, "backup": 200, "mirror": 300 } }),
    );
    assert!(
        net.as_("agent-bob", &format!("bid {short} --file {bid}"))
            .ok()
            .contains("3 tasks")
    );
    net.wait(&id, "cleared");

    // Who won what, and why not.
    let (ann, bob) = (net.key("agent-ann"), net.key("agent-bob"));
    let explained = net.as_("agent-ann", &format!("explain {short} {ann}")).ok();
    assert!(
        explained.contains("index for 400: won: paid 600")
            && explained.contains("above the reserve of 100"),
        "{explained}"
    );
    let explained = net
        .as_("agent-bob", &format!("explain {short} {}", &bob[..10]))
        .ok();
    assert!(
        explained.contains("index for 600: outbid by")
            && explained.contains("backup for 200: won: paid 500"),
        "{explained}"
    );
    let shown = net.as_("opener", &format!("auction show {short}")).ok();
    assert!(
        shown.contains("unfilled: every bid asked more than the reserve"),
        "{shown}"
    );

    // The life of two assignments.
    let result = net.write("result.bin", &json!("done"));
    net.as_("agent-bob", &format!("accept {short} --task index"))
        .fails(1, &["no such assignment", "auction show"]);
    net.as_("agent-ann", &format!("accept {short} --task index"))
        .ok();
    net.as_("agent-ann", &format!("accept {short} --task index"))
        .fails(1, &["refused"]);
    net.as_("agent-bob", &format!("accept {short} --task backup"))
        .ok();
    net.as_(
        "agent-bob",
        &format!("deliver {short} --task backup --result {result}"),
    )
    .ok();
    net.as_("opener", &format!("reject {short} --task backup"))
        .ok();

    // Second auction, while ann's machine serves the first: 4000 of its 10,000 milli-cores are taken.
    let more = net.open("another", json!([{ "name": "one", "class": "small", "reserve": 50 }, { "name": "two", "class": "small", "reserve": 50 }]));
    let two = "--price one=10 --price two=10";
    net.as_("agent-ann", &format!("bid {more} {two} --slots small=2"))
        .fails(1, &["no_capacity"]);
    net.as_("agent-ann", &format!("bid {more} {two}")).ok();
    let slots = net.api.auction(&more.parse().unwrap()).unwrap();
    assert_eq!(slots.live_bids.len(), 1);
    net.as_(
        "agent-ann",
        &format!("deliver {short} --task index --result {result}"),
    )
    .ok();
    net.as_("opener", &format!("confirm {short} --task 0")).ok();
    net.wait(&id, "finished");

    // Certificates outlive the auction.
    let genesis = net.dir.path().join("net/genesis.json");
    for (flags, says) in [
        (format!("--bidder {ann}"), "won, to be paid 600"),
        (format!("--task index --bidder {bob}"), "lost: outbid"),
        ("--task mirror".into(), "unfilled"),
    ] {
        let path: &Path = &net.dir.path().join("certificate.json");
        net.as_(
            "opener",
            &format!("certificate {short} {flags} --output {}", path.display()),
        )
        .ok();
        let said = run(&format!(
            "verify {} --genesis {}",
            path.display(),
            genesis.display()
        ))
        .ok();
        assert!(said.contains(says), "{said}");
        if let Some(python) = python() {
            let said = verify_py(python, path, &genesis).ok();
            assert!(said.starts_with("holds: "), "{said}");
        }
    }
    checkpoints(&net, &id);
    let printed = net
        .as_("opener", &format!("certificate {short} --task index"))
        .ok();
    let path = net.dir.path().join("printed.json");
    std::fs::write(&path, printed).unwrap();
    run(&format!(
        "verify {} --genesis {}",
        path.display(),
        genesis.display()
    ))
    .ok();
    net.as_("opener", &format!("certificate {short} --task nothing"))
        .fails(1, &["no task `nothing`", "index, backup, mirror"]);
    // A newcomer joins with nothing but the genesis file and one address, on whatever ports are free.
    let home = net.dir.path().join("newcomer");
    let said = run(&format!("keys new --home {}", home.display())).ok();
    assert!(
        said.contains("genesis.json") && said.contains("--bootstrap"),
        "{said}"
    );
    run(&format!("start --home {}", home.display())).fails(1, &["genesis.json"]);
    std::fs::copy(&genesis, home.join("genesis.json")).unwrap();
    let validator = tender_p2p::config::Home::at(net.home("validator-0"))
        .read_addresses()
        .unwrap();
    let bootstrap = validator.listen[0].to_string();
    let _newcomer = Peer::start_with(
        &home,
        &["--port", "0", "--api-port", "0", "--bootstrap", &bootstrap],
    );
    let tip = net.api.status().unwrap().height;
    until("the newcomer has caught up", || {
        Place::at(&home)
            .client()
            .and_then(|c| c.status())
            .is_ok_and(|s| s.height >= tip && s.validator.is_none())
    });
    let own = Place::at(&home).client().unwrap();
    assert_eq!(own.block(tip).unwrap(), net.api.block(tip).unwrap());
    // While the peer runs, the audit asks it.
    run(&format!(
        "audit --genesis {} --home {}",
        genesis.display(),
        net.home("validator-0").display()
    ))
    .ok();
}

/// This machine as it is: seen, attested, handed over sealed, bid with, and revoked.
#[test]
fn this_machine_is_inventoried_attested_under_seal_and_bids() {
    let net = Net::new();
    let at = |name: &str| net.dir.path().join(name).display().to_string();
    let (inventory, handed) = (at("box.json"), at("handed-over.json"));
    let seen = run(&format!(
        "inventory --region uk --skill docker --gpu-model none --bandwidth-mbps 100 --output {inventory}"
    ))
    .ok();
    for says in [
        "cpu_milli",
        "logical processors",
        "memory_mib",
        "left out by",
        "issuer attest",
    ] {
        assert!(seen.contains(says), "{seen}");
    }
    let printed =
        run("inventory --region uk --skill docker --gpu-model none --bandwidth-mbps 100 --json")
            .json();
    let written: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&inventory).unwrap()).unwrap();
    assert_eq!(printed["serial"], written["serial"]);
    assert_eq!(
        printed["attributes"]["cpu_milli"],
        written["attributes"]["cpu_milli"]
    );
    run(&format!("inventory --output {inventory}")).fails(1, &["exists", "next:"]);
    run("inventory --region mars").fails(2, &["mars", "eu-west", "next:"]);
    // Without a region there is no attestation: the file says nothing of it, and the issuer is told what is missing.
    let partial = at("partial.json");
    let said = run(&format!("inventory --gpu-model none --output {partial}")).ok();
    assert!(
        said.contains("not known: region") && said.contains("cannot attest it without: region"),
        "{said}"
    );

    let ann = net.key("agent-ann");
    let attest = |file: &str, flags: &str| {
        let line =
            format!("issuer attest --inventory {file} --holder {ann} --output {handed} {flags}");
        net.as_("issuer-acme-labs", &line)
    };
    attest(&partial, "").fails(1, &["partial.json", "region", "next:"]);
    let weak = format!("01{}", "0".repeat(62));
    let line = format!("issuer attest {inventory} --holder {weak} --output {handed}");
    net.as_("issuer-acme-labs", &line)
        .fails(1, &["malformed or weak", "keys show"]);
    assert!(!Path::new(&handed).exists());
    let attested = attest(&inventory, "--json").json();
    let record = attested["record"].as_str().unwrap().to_owned();

    // What travels shows nothing; what the issuer keeps names only what revoking needs.
    let sealed = std::fs::read_to_string(&handed).unwrap();
    let serial = written["serial"].as_str().unwrap();
    for hidden in [serial, "attributes", "salt", "cpu_milli", "acme-labs"] {
        assert!(!sealed.contains(hidden), "{hidden} in {sealed}");
    }
    let kept = std::fs::read_to_string(&record).unwrap();
    assert!(
        kept.contains(serial) && !kept.contains("attributes") && !kept.contains("salt"),
        "{kept}"
    );
    let mode = |path: &str| {
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path).unwrap().permissions())
            & 0o777
    };
    assert_eq!((mode(&record), mode(&handed)), (0o600, 0o600));

    // The wrong home cannot open it and says whose it is; the right one shows what it is attested for.
    let place = |who: &str| {
        let directory = net.home(who).join("credentials");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::copy(&handed, directory.join("box.json")).unwrap();
        directory.join("box.json")
    };
    let empty = net.as_("agent-bob", "credentials").ok();
    assert!(empty.contains("no credentials"), "{empty}");
    let stray = place("agent-bob");
    net.as_("agent-bob", "credentials")
        .fails(1, &["box.json", &ann, "is sealed to"]);
    std::fs::remove_file(stray).unwrap();
    let own = place("agent-ann");
    let listed = net.as_("agent-ann", "credentials --json").json();
    let listed = &listed.as_array().unwrap()[0];
    assert_eq!(
        (listed["serial"].as_str(), listed["issuer"].as_str()),
        (Some(serial), Some("acme-labs"))
    );
    assert_eq!(
        listed["attributes"]["cpu_milli"],
        written["attributes"]["cpu_milli"]
    );
    assert_eq!(
        (listed["kind"].as_str(), listed["expired"].as_bool()),
        (Some("proof"), Some(false))
    );
    let listed = net.as_("agent-ann", "credentials").ok();
    assert!(
        listed.contains(serial) && listed.contains("acme-labs") && listed.contains("cpu_milli"),
        "{listed}"
    );

    // The bid opens it in memory; the file stays as it came.
    let needs = json!({ "cpu_milli": 500, "memory_mib": 64, "region": "uk", "skills": "docker" });
    let file = net.write(
        "auction.json",
        &json!({
            "title": "on this machine", "bidding_seconds": 6, "lease_seconds": 3600,
            "tasks": [{ "name": "job", "class": "any", "reserve": 100 }],
            "classes": { "any": { "requires": [{ "type": "resources/v1", "needs": needs }] } },
        }),
    );
    let opened = net
        .as_("opener", &format!("auction open {file} --json"))
        .json();
    let id = opened["auction"].as_str().unwrap().to_owned();
    net.wait(&id, "bidding");
    let bid = net
        .as_("agent-ann", &format!("bid {} --price job=40", &id[..8]))
        .ok();
    assert!(bid.contains(serial) && bid.contains("is in block"), "{bid}");
    assert_eq!(std::fs::read_to_string(&own).unwrap(), sealed);

    // Damage is refused wherever it is.
    let half = &sealed[..sealed.len() / 2];
    let other = if sealed.contains("a\"\n}") {
        "b\"\n}"
    } else {
        "a\"\n}"
    };
    let changed = format!("{}{other}", &sealed[..sealed.trim_end().len() - 4]);
    for (bad, says) in [(half, "no sealed credential"), (&changed, "changed or cut")] {
        std::fs::write(&own, bad).unwrap();
        net.as_("agent-ann", "credentials")
            .fails(1, &["box.json", says, "next:"]);
    }
    std::fs::write(&own, &sealed).unwrap();

    // The record revokes, once; so would the file that was handed out, from this issuer's home only.
    net.as_("opener", &format!("issuer revoke {handed}"))
        .fails(1, &["not sealed from this home"]);
    net.as_("opener", &format!("issuer revoke {inventory}"))
        .fails(1, &["neither"]);
    net.as_("issuer-acme-labs", &format!("issuer revoke {record}"))
        .ok();
    net.as_("issuer-acme-labs", &format!("issuer revoke {handed}"))
        .fails(1, &["revoked already"]);
}
