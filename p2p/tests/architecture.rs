//! The house rules that the compiler does not hold: who may depend on what, and which words live in one module.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// Names of every crate that `package` links, from the locked dependency graph.
fn dependencies(package: &str) -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{p}", "-p",
            package,
        ])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect()
}

/// Programs around other verifiers, which their script builds outside the workspace: no rule of the house is theirs.
const PEERS: &str = "circuits/benches/peers.d";

/// Source lines of the workspace that hold `word` outside comments, as `path: line`, tests' own rules excepted.
fn lines_with(word: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') && !path.ends_with(PEERS) {
                    folders.push(path);
                }
            } else if name.ends_with(".rs") && name != "architecture.rs" {
                let shown = path.strip_prefix(root()).unwrap().display().to_string();
                for line in fs::read_to_string(&path).unwrap().lines() {
                    let code = line.split("//").next().unwrap();
                    if code.contains(word) {
                        found.push((shown.clone(), line.trim().to_owned()));
                    }
                }
            }
        }
    }
    found
}

#[track_caller]
fn only_in(word: &str, folder: &str) {
    let strays: Vec<_> = lines_with(word)
        .into_iter()
        .filter(|(path, _)| !path.starts_with(folder))
        .collect();
    assert!(strays.is_empty(), "`{word}` outside {folder}: {strays:#?}");
}

#[test]
fn lower_crates_have_no_runtime_and_no_network() {
    for package in [
        "tender-wire",
        "tender-circuits",
        "tender-consensus",
        "tender-auction",
    ] {
        let crates = dependencies(package);
        assert!(
            crates.iter().any(|c| c == "serde"),
            "{package}: the graph was read"
        );
        for banned in ["tokio", "libp2p", "mio", "socket2", "axum", "redb"] {
            assert!(
                !crates.iter().any(|c| c == banned),
                "{package} depends on {banned}"
            );
        }
    }
    assert!(dependencies("tender-p2p").iter().any(|c| c == "tokio"));
}

#[test]
fn each_floor_stands_on_the_floors_below_only() {
    let tender = |package: &str| -> Vec<String> {
        let mut below: Vec<_> = dependencies(package)
            .into_iter()
            .filter(|c| c.starts_with("tender-"))
            .collect();
        below.sort();
        below.dedup();
        below.retain(|c| c != package);
        below
    };
    assert!(tender("tender-wire").is_empty());
    assert_eq!(tender("tender-circuits"), ["tender-wire"]);
    assert_eq!(tender("tender-consensus"), ["tender-wire"]);
    assert_eq!(
        tender("tender-auction"),
        ["tender-circuits", "tender-consensus", "tender-wire"]
    );
}

#[test]
fn one_module_calls_bincode() {
    only_in("bincode::", "consensus/wire/src/codec.rs");
}

#[test]
fn one_module_verifies_proofs() {
    let call = "Groth16::<Bn254>::verify";
    assert!(!lines_with(call).is_empty());
    for call in [
        call,
        "Groth16::verify",
        "Groth16::<ark_bn254::Bn254>::verify",
        "verify_with_processed_vk",
    ] {
        only_in(call, "circuits/src/verify/");
    }
}

#[test]
fn nothing_is_unsafe_but_the_instructions_of_one_processor_extension() {
    for word in [
        "unsafe {",
        "unsafe fn",
        "unsafe impl",
        "unsafe extern",
        "unsafe_code",
        "transmute",
    ] {
        only_in(word, "circuits/src/verify/lanes/ifma.rs");
    }
}

/// The compiler forbids it; in one crate it denies it, and clippy wants an argument for every block of the module that is allowed some.
#[test]
fn every_crate_forbids_unsafe_code_but_one_that_argues_for_it() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let workspace = read("Cargo.toml");
    assert!(workspace.contains("\nunsafe_code = \"forbid\"\n"));
    let (_, members) = workspace.split_once("members = [").unwrap();
    let (members, _) = members.split_once(']').unwrap();
    let members: Vec<_> = members.split('"').skip(1).step_by(2).collect();
    assert!(members.len() >= 6, "{members:?}");
    for member in members {
        let manifest = read(&format!("{member}/Cargo.toml"));
        if member == "circuits" {
            assert!(manifest.contains("\nunsafe_code = \"deny\"\n"));
            assert!(manifest.contains("\nundocumented_unsafe_blocks = \"deny\"\n"));
        } else {
            assert!(
                manifest.contains("\n[lints]\nworkspace = true\n"),
                "{member}"
            );
        }
    }
}

#[test]
fn arkworks_stays_in_circuits() {
    for word in ["ark_bn254", "ark_groth16", "ark_ff", "ark_ec"] {
        only_in(word, "circuits/");
    }
}

/// SECURITY.md lists every attack and fault with the tests that stand for it: they are there.
#[test]
fn every_row_of_the_threat_list_has_its_tests() {
    let security = fs::read_to_string(root().join("SECURITY.md")).unwrap();
    let (_, list) = security.split_once("### The list").unwrap();
    let (list, _) = list.split_once("\n## ").unwrap();
    let tests = lines_with("fn ");
    let (mut rows, mut missing) = (0, Vec::new());
    for row in list.lines().filter(|line| line.starts_with("| ")).skip(1) {
        rows += 1;
        let cell = row.trim_end_matches('|').rsplit('|').next().unwrap();
        let named: Vec<_> = cell.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "no test: {row}");
        for name in named {
            let head = format!("fn {name}(");
            if !tests.iter().any(|(_, line)| line.contains(&head)) {
                missing.push(name.to_owned());
            }
        }
    }
    assert!(rows > 60, "the list was read: {rows} rows");
    assert_eq!(missing, Vec::<String>::new());
}
