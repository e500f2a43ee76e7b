//! `tender bench`: what it leaves behind has the shape it promises. Sizes are small; nothing here is about speed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod common;

use common::{page::stands_alone, run, tender};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};
use tender_circuits::verify::Engine;

fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn number(value: &serde_json::Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value}"))
}

/// A program for `--peers`: one peer that says what is true, found by another verifier's words, and one that accepts everything.
const PEERS: &str = r#"#!/usr/bin/env python3
import json, subprocess, sys, os
task = json.load(open(sys.argv[1]))
good = []
for number, entry in enumerate(task["proofs"]):
    folder = f"{sys.argv[1]}.{number}"
    os.mkdir(folder)
    for name, value in [("verification_key", task["key"]), ("proof", entry["proof"]), ("public", entry["inputs"])]:
        json.dump(value, open(f"{folder}/{name}.json", "w"))
    done = subprocess.run([TENDER, "capability", "verify", "--snarkjs", folder], capture_output=True)
    good.append(done.returncode == 0)
print(json.dumps({"peer": "honest 1.0", "about": "asks <another>", "verdicts": good, "us": [7.0, 9.0, 8.0]}))
print(json.dumps({"peer": "credulous", "about": "", "verdicts": [True for _ in good], "us": [1.0]}))
"#;

/// Writes a program.
fn program(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    let text = text.replace("TENDER", &format!("{:?}", env!("CARGO_BIN_EXE_tender")));
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// The engines of this machine, by the names they have in results.
fn engines() -> BTreeSet<&'static str> {
    let here = Engine::ALL.into_iter().filter(|it| it.is_available());
    here.map(|it| match it {
        Engine::Arkworks => "arkworks-batch",
        it => it.name(),
    })
    .collect()
}

#[test]
fn verify_leaves_rows_a_table_and_a_page_that_stands_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (out, file) = (dir.path().join("new/out"), dir.path().join("rows.json"));
    let peers = program(dir.path(), "peers", PEERS);
    let said = tender([
        "bench",
        "verify",
        "--n",
        "1,6",
        "--cores",
        "1",
        "--rounds",
        "2",
        "--proofs",
        "6",
        "--inputs",
        "7",
        "--seed",
        &"5a".repeat(32),
        "--peers",
        peers.to_str().unwrap(),
        "--out",
        out.to_str().unwrap(),
        "--json",
        file.to_str().unwrap(),
    ])
    .ok();
    assert!(said.contains("naive") && said.contains("arkworks-batch"));
    assert!(said.contains(&"5a".repeat(32)), "the seed is told: {said}");
    assert!(
        !said.contains('\u{1b}'),
        "plain text when not on a terminal"
    );

    let data = json(&out.join("results.json"));
    assert_eq!(data, json(&file), "--json gives the same");
    let machine = &data["machine"];
    assert!(machine["compiler"].as_str().unwrap().starts_with("rustc"));
    assert!(machine["processor"].is_string() && machine["cores"].as_u64() > Some(0));
    assert_eq!(data["run"]["seed"], "5a".repeat(32));
    assert_eq!(data["run"]["distinct_proofs"], 6);
    assert_eq!(data["run"]["proven"], 6);
    let command = data["run"]["command"].as_str().unwrap();
    assert!(command.contains("bench verify --n 1,6"), "{command}");
    if machine["optimised"] == false {
        let warned = data["warnings"].to_string();
        assert!(warned.contains("optimisation"), "{warned}");
    }

    let rows = data["rows"].as_array().unwrap();
    let same = ["sweep", "cores", "n", "inputs", "keys", "bad"];
    let mut situations: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for row in rows {
        let engine = row["engine"].as_str().unwrap();
        let (time, ratio) = (number(&row["us_per_proof"]), number(&row["ratio"]));
        assert!(time > 0.0 && ratio > 0.0, "{row}");
        assert_eq!(row["p50"], row["us_per_proof"]);
        assert!(number(&row["p95"]) >= time, "{row}");
        if engine == "naive" {
            assert_eq!(ratio, 1.0, "{row}");
        }
        let key: Vec<_> = same.map(|name| row[name].to_string()).into();
        assert!(situations.entry(key.join(" ")).or_default().insert(engine));
    }
    for (situation, there) in &situations {
        if situation.contains("peer") {
            assert_eq!(*there, BTreeSet::from(["naive", "honest 1.0"]));
        } else {
            assert_eq!(*there, engines(), "every engine in {situation}");
        }
    }
    let values = |name: &str| -> BTreeSet<u64> {
        rows.iter().map(|row| row[name].as_u64().unwrap()).collect()
    };
    assert_eq!(values("n"), BTreeSet::from([1, 6]));
    assert_eq!(values("bad_proofs"), BTreeSet::from([0, 1, 3, 6]));
    assert!(values("inputs").is_superset(&BTreeSet::from([7, 15])));
    let percentages: BTreeSet<String> = rows.iter().map(|row| row["bad"].to_string()).collect();
    for percent in ["0", "1", "3.125", "10", "50", "100"] {
        assert!(percentages.contains(percent), "{percentages:?}");
    }
    // and ratios are what they are defined as
    for row in rows {
        let naive = rows
            .iter()
            .find(|it| it["engine"] == "naive" && same.iter().all(|name| it[name] == row[name]));
        let expected = number(&naive.unwrap()["us_per_proof"]) / number(&row["us_per_proof"]);
        assert!((number(&row["ratio"]) - expected).abs() < 1e-9, "{row}");
    }

    // a peer that is right has a row, one that is wrong a warning
    let honest = rows
        .iter()
        .find(|row| row["engine"] == "honest 1.0")
        .unwrap();
    assert_eq!(number(&honest["us_per_proof"]), 8.0);
    let warned = data["warnings"].to_string();
    assert!(
        warned.contains("credulous accepts a false proof"),
        "{warned}"
    );

    // stages add up to about the whole
    let stages = data["stages"].as_array().unwrap();
    let lanes = engines().len() - 2;
    assert_eq!(stages.len(), lanes, "the engines in lanes");
    for it in stages {
        let parts = it["stages"].as_array().unwrap();
        let sum: f64 = parts.iter().map(|part| number(&part["us_per_proof"])).sum();
        assert!(parts.len() > 4 && sum > 0.0, "{it}");
        assert!(number(&it["miller_loops"]) > 0.0, "{it}");
    }

    let csv = fs::read_to_string(out.join("results.csv")).unwrap();
    let mut lines = csv.lines();
    let names: Vec<_> = lines.next().unwrap().split(',').collect();
    assert_eq!(lines.clone().count(), rows.len());
    for (line, row) in lines.zip(rows) {
        let cells: Vec<_> = line.split(',').collect();
        assert_eq!(cells.len(), names.len(), "{line}");
        let cell = |name: &str| cells[names.iter().position(|it| *it == name).unwrap()];
        assert_eq!(cell("engine"), row["engine"].as_str().unwrap());
        assert_eq!(cell("n"), row["n"].to_string());
        let time: f64 = cell("us_per_proof").parse().unwrap();
        assert!((time - number(&row["us_per_proof"])).abs() < 0.001);
    }

    let page = fs::read_to_string(out.join("report.html")).unwrap();
    for title in [
        "Cost against batch size, 1 core",
        "Where the time goes",
        "Cost against bad proofs",
        "Cost against public inputs",
        "Cost against verifying keys",
        "Beside other verifiers",
    ] {
        let figure = format!("<h3>{title}</h3>");
        assert_eq!(page.matches(&figure).count(), 1, "{title}");
    }
    assert_eq!(page.matches("<figure").count(), 6);
    assert_eq!(page.matches("<svg").count(), 12, "wide and narrow");
    assert!(page.matches("<polyline").count() >= 2 * 4 * engines().len());
    assert!(page.contains("asks &lt;another&gt;"));
    assert!(page.contains("prefers-color-scheme: dark"));
    assert!(page.contains(&"5a".repeat(32)));
    stands_alone(&page);
}

#[test]
fn verify_measures_every_size_at_the_percentages_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rows.json");
    run(&format!(
        "bench verify --n 2,7 --cores 1 --bad 0,30,100 --rounds 1 --proofs 6 --inputs 7 --json {}",
        file.display()
    ))
    .ok();
    let data = json(&file);
    let mut seen = BTreeMap::new();
    for row in data["rows"].as_array().unwrap() {
        if row["sweep"] != "inputs" {
            let of = (row["n"].as_u64().unwrap(), row["bad"].as_u64().unwrap());
            seen.insert(of, row["bad_proofs"].as_u64().unwrap());
        }
    }
    let expected = [
        ((2, 0), 0),
        ((2, 30), 1),
        ((2, 100), 2),
        ((7, 0), 0),
        ((7, 30), 3),
        ((7, 100), 7),
    ];
    assert_eq!(seen, BTreeMap::from(expected));
}

#[test]
fn verify_measures_the_engines_asked_for_beside_the_naive_loop_on_proofs_that_all_differ() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rows.json");
    run(&format!(
        "bench verify --n 9 --cores 1 --engines portable --bad 0 --rounds 1 --proofs 6 --inputs 7 --json {}",
        file.display()
    ))
    .ok();
    let data = json(&file);
    let rows = data["rows"].as_array().unwrap();
    let seen: BTreeSet<_> = rows
        .iter()
        .map(|row| row["engine"].as_str().unwrap())
        .collect();
    assert_eq!(seen, BTreeSet::from(["naive", "portable"]));
    assert_eq!(
        (&data["run"]["proven"], &data["run"]["distinct_proofs"]),
        (&6.into(), &9.into())
    );
}

#[test]
fn a_program_for_peers_that_fails_or_is_not_there_ends_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let failing = program(dir.path(), "failing", "#!/bin/sh\nexit 3\n");
    for (peers, says) in [
        (failing, "exit status: 3"),
        (dir.path().join("nowhere"), "nowhere"),
    ] {
        run(&format!(
            "bench verify --n 6 --cores 1 --engines portable --bad 0 --rounds 1 --proofs 6 --inputs 7 --out {} --peers {}",
            dir.path().display(),
            peers.display()
        ))
        .fails(1, &["--peers", says]);
    }
}

#[test]
fn prove_gives_a_row_for_every_type_and_number_of_cores() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rows.json");
    let said = run(&format!(
        "bench prove --rounds 2 --cores 1,all --json {}",
        file.display()
    ))
    .ok();
    assert!(said.contains("resources/v1"), "{said}");
    let data = json(&file);
    let rows = data["rows"].as_array().unwrap();
    let types = tender_circuits::types::all();
    for it in &types {
        let label = format!("{}/v{}", it.name(), it.version());
        let of: Vec<_> = rows
            .iter()
            .filter(|row| row["type"] == label.as_str())
            .collect();
        let provers: BTreeSet<_> = (of.iter())
            .map(|row| {
                (
                    row["engine"].as_str().unwrap(),
                    row["tables"].as_bool().unwrap(),
                )
            })
            .collect();
        let ours = Engine::chosen().unwrap().name();
        let expected = [("arkworks", false), (ours, false), (ours, true)];
        assert_eq!(provers, BTreeSet::from(expected), "{label}");
        for row in of {
            if row["engine"] == "arkworks" {
                assert_eq!(
                    (&row["ratio"], &row["proof_ratio"]),
                    (&1.0.into(), &1.0.into())
                );
            }
            assert!(
                number(&row["proof_p50_ms"]) <= number(&row["p50_ms"]),
                "{row}"
            );
            assert!(row["constraints"].as_u64() > Some(1000), "{row}");
            assert_eq!(row["rounds"], 2);
            assert!(number(&row["p95_ms"]) >= number(&row["p50_ms"]), "{row}");
            if row["cores"] == 1 {
                assert_eq!(row["speedup"], 1.0);
            }
        }
    }
}

#[test]
fn auction_measures_a_network_and_says_which_rows_are_computed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rows.json");
    let said = run(&format!(
        "bench auction --validators 1 --bids 3 --json {}",
        file.display()
    ))
    .ok();
    assert!(said.contains("off (computed)"), "{said}");
    let data = json(&file);
    let rows = data["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    let (on, off) = (&rows[0], &rows[1]);
    assert_eq!(
        (&on["sealing"], &on["basis"]),
        (&"on".into(), &"measured".into())
    );
    assert_eq!(off["sealing"], "off");
    assert!(off["basis"].as_str().unwrap().starts_with("computed"));
    for row in rows {
        assert_eq!((&row["validators"], &row["bids"]), (&1.into(), &3.into()));
        assert!(row["won"].as_u64() > Some(0) && number(&row["bids_per_second"]) > 0.0);
        let [ours, naive, ratio] = [
            "admitted_per_second",
            "naive_admitted_per_second",
            "over_naive",
        ]
        .map(|name| number(&row[name]));
        assert!(
            naive > 0.0 && (ratio - ours / naive).abs() < 1e-9 * ratio,
            "{row}"
        );
        assert_eq!(row["engine"], Engine::chosen().unwrap().name());
        let together = number(&row["proofs_per_batch"]);
        assert!((1.0..=3.0).contains(&together), "{row}");
    }
    let difference = number(&on["close_to_certificate_s"]) - number(&off["close_to_certificate_s"]);
    assert!(
        difference >= 0.0 && difference <= number(&on["reveal_s"]) + 1e-9,
        "{on} {off}"
    );
}

#[test]
fn wrong_arguments_are_refused_before_anything_is_measured() {
    for (line, says) in [
        ("bench verify --n 0", "0 is not in"),
        ("bench verify --bad 101", "101 is not in"),
        ("bench verify --inputs 6", "7 to 22 public inputs"),
        ("bench verify --seed 5a", "64 hex digits"),
        ("bench verify --engines quick", "no engine is called"),
        ("bench verify --peers x", "--out"),
        ("bench verify --cores 0", "number of cores"),
        ("bench verify --json /no/such/place/x.json", "no directory"),
        ("bench prove --rounds 0", "0 is not in"),
        ("bench auction --validators 0", "0 is not in"),
    ] {
        run(line).fails(2, &[says]);
    }
}
