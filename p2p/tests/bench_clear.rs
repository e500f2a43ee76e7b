//! `tender bench clear`: what it leaves behind has the shape it promises, and markets are those asked for. Sizes are small; nothing here is about speed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod common;

use common::{page::stands_alone, run};
use serde_json::Value;
use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt as _, path::Path};

const NAMED: [&str; 8] = [
    "natural",
    "heavy-ties",
    "correlated",
    "few-tasks",
    "planted",
    "dense",
    "multi-slot",
    "price-war",
];

/// A program for `--peers`: one peer that finds the greatest surplus of a market of single units, by augmenting along best paths, and one that finds none.
const PEERS: &str = r#"#!/usr/bin/env python3
import array, json, struct, sys
data = open(sys.argv[1], "rb").read()
assert data[:8] == b"TENDERM1"
agents, tasks, entries = struct.unpack("<3Q", data[8:32])
at = 32
def take(kind, count):
    global at
    part = array.array(kind, data[at:at + count * (8 if kind == "Q" else 4)])
    at += count * part.itemsize
    return part
reserves, prices = take("Q", tasks), take("Q", entries)
quantities, slots, starts, task = take("I", tasks), take("I", agents), take("I", agents + 1), take("I", entries)
assert at == len(data) and max(slots) == max(quantities) == 1
held, total = {}, 0  # the agent that serves a task
worth = {(a, task[e]): reserves[task[e]] - prices[e] for a in range(agents) for e in range(starts[a], starts[a + 1])}
while True:
    # Bellman and Ford: the best gain with which each task can be taken over.
    best, came = {}, {}
    busy = set(held.values())
    for (a, t), w in worth.items():
        if a not in busy and w > best.get(t, -1):
            best[t], came[t] = w, (a, None)
    changed = True
    while changed:
        changed = False
        for (a, t), w in worth.items():
            for old, holder in held.items():
                if holder == a and old in best and t != old and best[old] - worth[a, old] + w > best.get(t, -1):
                    best[t], came[t], changed = best[old] - worth[a, old] + w, (a, old), True
    free = [t for t in best if t not in held]
    if not free or max(best[t] for t in free) <= 0:
        break
    t = max(free, key=lambda t: best[t])
    total += best[t]
    while t is not None:
        held[t], t = came[t]
print(json.dumps({"peer": "paths 1.0", "about": "augments <slowly>", "surplus": total, "ms": 7.5}))
print(json.dumps({"peer": "idle", "about": "", "surplus": 0, "ms": 0.1}))
"#;

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value}"))
}

#[test]
fn every_family_has_rows_and_a_page_that_stands_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (out, file) = (dir.path().join("new/out"), dir.path().join("rows.json"));
    let said = run(&format!(
        "bench clear --entries 1000,3000 --cores 1,all --rounds 2 --seed 5 --out {} --json {}",
        out.display(),
        file.display()
    ))
    .ok();
    let data = json(&out.join("results.json"));
    assert_eq!(data, json(&file), "--json gives the same");
    if data["machine"]["optimised"] == false {
        let warned = data["warnings"].to_string();
        assert!(warned.contains("optimisation"), "{warned}");
    }
    let rows = data["rows"].as_array().unwrap();
    let all = std::thread::available_parallelism().unwrap().get();
    let cores = BTreeSet::from([1, all]);
    assert_eq!(rows.len(), NAMED.len() * 2 * cores.len());
    for name in NAMED {
        assert!(said.contains(name), "{said}");
        let of: Vec<_> = rows.iter().filter(|row| row["family"] == name).collect();
        assert_eq!(of.len(), 2 * cores.len(), "{name}");
        for row in of {
            for part in ["solve", "check", "sha256", "propose"] {
                let [median, best] =
                    ["ms", "best_ms"].map(|it| number(&row[format!("{part}_{it}")]));
                assert!(0.0 < best && best <= median, "{row}");
            }
            assert!(number(&row["pay_ms"]) >= 0.0);
            assert!(row["surplus"].as_u64() > Some(0) && row["won"].as_u64() > Some(0));
            let bids = row["bids"].as_u64().unwrap();
            assert!([961, 1000, 2916, 3000].contains(&bids), "{row}");
            assert!(row["agents"].as_u64() > Some(0) && row["tasks"].as_u64() > Some(0));
            assert_eq!((&row["seed"], &row["rounds"]), (&5.into(), &2.into()));
            // the same market on other cores has the same surplus
            let twin = rows
                .iter()
                .find(|it| it["family"] == name && it["bids"] == row["bids"]);
            assert_eq!(twin.unwrap()["surplus"], row["surplus"]);
        }
    }
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    stands_alone(&page);
    for name in NAMED {
        assert!(page.contains(&format!("<h3>Time against bids: {name}, 1 core</h3>")));
        assert!(page.contains(&format!("<summary>{name}</summary>")));
    }
    assert_eq!(page.matches("<figure").count(), NAMED.len() + 3);
}

#[test]
fn the_same_family_size_and_seed_give_the_same_market_and_others_another() {
    let dir = tempfile::tempdir().unwrap();
    let dump = |family: &str, seed: u64, name: &str| -> (String, Vec<u8>, String) {
        let (folder, file) = (
            dir.path().join(name),
            dir.path().join(format!("{name}.json")),
        );
        run(&format!(
            "bench clear --family {family} --entries 200 --cores 1 --rounds 1 --seed {seed} --dump {} --json {}",
            folder.display(),
            file.display()
        ))
        .ok();
        let mut files = fs::read_dir(&folder).unwrap();
        let path = files.next().unwrap().unwrap().path();
        assert!(files.next().is_none());
        let row = json(&file)["rows"][0].clone();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, fs::read(&path).unwrap(), row["surplus"].to_string())
    };
    let text = "price-war:window=30:noise=5";
    let first = dump(text, 1, "a");
    assert_eq!(first.0, "price-war_window_30_noise_5-200-1.market");
    assert!(first.1.starts_with(b"TENDERM1"));
    assert_eq!(first, dump(text, 1, "b"));
    assert_ne!(first.1, dump(text, 2, "c").1);
    assert_ne!(first.1, dump("price-war", 1, "d").1);
}

#[test]
fn a_peer_with_our_surplus_has_a_row_and_another_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    let (program, file) = (dir.path().join("peers"), dir.path().join("rows.json"));
    fs::write(&program, PEERS).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let out = dir.path().join("out");
    let said = run(&format!(
        "bench clear --family natural,heavy-ties,dense --entries 100 --cores 1 --rounds 2 --peers {} --out {} --json {}",
        program.display(),
        out.display(),
        file.display()
    ))
    .ok();
    assert!(said.contains("paths 1.0"), "{said}");
    let data = json(&file);
    let peers = data["peers"].as_array().unwrap();
    assert_eq!(peers.len(), 3);
    for (peer, row) in peers.iter().zip(data["rows"].as_array().unwrap()) {
        assert_eq!(
            (&peer["peer"], &peer["rounds"]),
            (&"paths 1.0".into(), &2.into())
        );
        assert_eq!(peer["family"], row["family"]);
        assert_eq!(peer["surplus"], row["surplus"]);
        let ratio = number(&peer["ms"]) / number(&row["propose_ms"]);
        assert!(
            (number(&peer["ratio"]) - ratio).abs() < 1e-9 * ratio,
            "{peer}"
        );
    }
    let warned = data["warnings"].to_string();
    assert!(
        warned.contains("idle finds a surplus of 0, ours is"),
        "{warned}"
    );
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    stands_alone(&page);
    assert!(page.contains("<h3>Beside other solvers: dense, 100 bids</h3>"));
    assert!(page.contains("augments &lt;slowly&gt;"));
}

#[test]
fn a_search_measures_the_worst_family_it_found_beside_the_natural_one() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let said = run(&format!(
        "bench clear --family few-tasks --entries 300 --cores 1 --rounds 1 --search 1 --out {}",
        out.display()
    ))
    .ok();
    assert!(said.contains("families tried"), "{said}");
    let data = json(&out.join("results.json"));
    let worst = &data["worst"];
    assert!(worst["tried"].as_u64() > Some(0), "{worst}");
    assert!(number(&worst["ratio"]) >= 1.0, "{worst}");
    let rows = data["rows"].as_array().unwrap();
    let families: BTreeSet<_> = rows
        .iter()
        .map(|row| row["family"].as_str().unwrap())
        .collect();
    let found = worst["family"].as_str().unwrap();
    assert!(families.is_superset(&BTreeSet::from(["natural", "few-tasks", found])));
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    stands_alone(&page);
    assert!(page.contains(&format!("--family natural,{found} --entries 300 --seed 7")));
}

#[test]
fn wrong_arguments_are_refused_before_anything_is_measured() {
    for (line, says) in [
        ("bench clear --family usual", "natural, heavy-ties"),
        ("bench clear --family natural:width=3", "parameter=number"),
        (
            "bench clear --family natural:crowd=0",
            "crowd is from 1 to 1000",
        ),
        ("bench clear --entries 0", "0 is not in"),
        ("bench clear --rounds 0", "0 is not in"),
        ("bench clear --cores 0", "number of cores"),
        ("bench clear --json /no/such/place/x.json", "no directory"),
        (
            "bench clear --family natural:degree=1 --entries 100000000",
            "fewer entries",
        ),
    ] {
        run(line).fails(2, &[says]);
    }
}
