//! The table of limits is complete: every numeric constant of the sources is one of its rows or said here to be no limit, and every row
//! names a test that there is.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use tender_p2p::limits::{Door, Limit, Shown, table};

/// Constants that bound nothing of what others send or ask for, by the reason. `*` stands for everything below.
const NO_LIMITS: &[(&str, &[&str])] = &[
    (
        "lays out bytes",
        &[
            "tender_wire::domain::TAG_BYTES",
            "tender_wire::ids::LEN",
            "tender_consensus::block::HEADER_VERSION",
            "tender_consensus::block::OVERHEAD_BYTES",
            "tender_consensus::certificate::BITMAP_BYTES",
            "tender_consensus::wal::HEADER_BYTES",
            "tender_auction::genesis::VERSION",
            "tender_auction::seal::body::SALT_BYTES",
            "tender_auction::seal::body::ENTRY_BYTES",
            "tender_auction::seal::ciphertext::TAG_BYTES",
            "tender_auction::market::registry::CHUNK",
            "tender_auction::audit::ROOTS",
            "tender_auction::clearing::tie::BITS",
            "tender_auction::clearing::tie::LENGTH",
            "tender_auction::clearing::witness::FORM",
            "tender_circuits::circuit::ISSUER_BITS",
            "tender_circuits::circuit::TIME_BITS",
            "tender_circuits::keys::VERSION",
            "tender_circuits::keys::HEADER_BYTES",
            "tender_circuits::packing::CAPACITY",
            "tender_circuits::packing::AMOUNT_BITS",
            "tender_circuits::packing::MASK_BITS",
            "tender_circuits::poseidon::MAX_INPUTS",
            "tender_circuits::statement::PREFIX_INPUTS",
            "tender_circuits::verify::single::G1_BYTES",
            "tender_circuits::verify::single::G2_BYTES",
            "tender_p2p::keystore::FORMAT",
            "tender_p2p::keystore::OTHERS",
            "tender_p2p::store::CHECK_BYTES",
            "tender_p2p::documents::sealed::AEAD_TAG_BYTES",
            "tender_p2p::documents::sealed::PADDED_TO",
            "tender_p2p::api::token::DIGITS",
        ],
    ),
    (
        "is part of a limit: the room that frames, envelopes and control messages take beside what is limited",
        &[
            "tender_p2p::network::codec::ENVELOPE_BYTES",
            "tender_p2p::network::gossip::MESSAGE_OVERHEAD_BYTES",
            "tender_p2p::network::gossip::RPC_OVERHEAD_BYTES",
            "tender_p2p::node::archive::MAX_AWARDS",
            "tender_p2p::node::courier::FRAME_BYTES",
            "tender_p2p::agent::standing::journal::ROW_BYTES",
            "tender_p2p::agent::standing::journal::ROWS_PER_BID",
        ],
    ),
    (
        "shapes the verification engine",
        &[
            "tender_circuits::verify::lanes::*",
            "tender_circuits::verify::spread::*",
        ],
    ),
    (
        "shapes the search for an optimum, which any search may find",
        &["tender_auction::clearing::solve::*"],
    ),
    (
        "marks what a checked market does not hold: no entry, no price",
        &["tender_auction::clearing::check::*"],
    ),
    (
        "bounds the memory of a program that proves, which no stranger has it do",
        &["tender_circuits::prover::*"],
    ),
    (
        "paces what this program does by itself",
        &[
            "tender_p2p::node::driver::TICK",
            "tender_p2p::node::driver::A_DAY",
            "tender_p2p::node::hearing::ASK_EVERY",
            "tender_p2p::node::hearing::PATIENCE",
            "tender_p2p::node::keeper::STATUS_PAUSE",
            "tender_p2p::node::courier::STATUS_EVERY",
            "tender_p2p::node::courier::UPKEEP",
            "tender_p2p::api::door::LOOK_AGAIN",
            "tender_p2p::api::routes::PAUSE_MS",
            "tender_p2p::network::bootstrap::FIRST_PAUSE",
            "tender_p2p::network::bootstrap::FOREIGN_PAUSE",
            "tender_p2p::network::gossip::HEARTBEAT",
            "tender_p2p::network::gossip::ADVERTISED_HEARTBEATS",
            "tender_p2p::network::gossip::PRUNE_BACKOFF",
            "tender_p2p::network::gossip::MESH_QUANTUM",
            "tender_p2p::network::gossip::SCORE_MEMORY",
            "tender_p2p::network::task::TICK",
            "tender_p2p::network::task::SLOW_PAUSE",
            "tender_p2p::network::task::REDIAL_PAUSE",
            "tender_p2p::network::transport::PING_INTERVAL",
            "tender_p2p::network::transport::KAD_REFRESH",
            "tender_p2p::agent::client::POLL",
            "tender_p2p::agent::standing::POLL",
            "tender_p2p::agent::standing::RELOOK",
            "tender_p2p::agent::standing::REREAD",
            "tender_p2p::agent::standing::RETRY",
            "tender_p2p::agent::standing::job::LOOK",
            "tender_p2p::cli::place::POLL",
            "tender_p2p::cli::audit::PAGE",
            "tender_p2p::cli::audit::PAGE_BYTES",
            "tender_p2p::node::admission::JUDGES",
            "tender_p2p::node::admission::WINDOW",
            "tender_p2p::cli::audit::progress::LINE_EVERY",
            "tender_p2p::cli::capability::waiting::EVERY",
            "tender_p2p::cli::capability::waiting::TICK",
        ],
    ),
    (
        "is a share, a measured cost or a least, which nothing exceeds",
        &[
            "tender_auction::market::application::SHARED_EIGHTHS",
            "tender_auction::market::governance::LEAST_AFTER_JAIL",
            "tender_auction::market::opening::SHARE_US",
            "tender_auction::market::opening::WORK_PER_US",
            "tender_circuits::verify::batch::KEY_COST",
            "tender_p2p::network::gossip::GRAYLIST",
            "tender_p2p::network::transport::MAX_MEMORY",
            "tender_p2p::api::door::LEAST_RATE",
            "tender_p2p::api::door::OTHER_FILES",
            "tender_p2p::cli::start::OPEN_FILES",
        ],
    ),
    (
        "is a unit, a default, a code or a width on a screen",
        &[
            "tender_p2p::config::API_PORT",
            "tender_p2p::network::meter::ONE",
            "tender_p2p::config::PEER_PORT",
            "tender_p2p::agent::error::FAILED",
            "tender_p2p::agent::error::USAGE",
            "tender_p2p::agent::error::REFUSED",
            "tender_p2p::agent::machine::gpu::MIB",
            "tender_p2p::agent::machine::host::MIB",
            "tender_p2p::agent::machine::host::GIB",
            "tender_auction::certificate::MAX_REASON_CHARS",
            "tender_p2p::agent::standing::MAX_TOLD_CHARS",
            "tender_p2p::api::extract::MAX_REASON_CHARS",
            "tender_p2p::api::guard::SHOWN_CHARS",
            "tender_p2p::cli::table::MAX_CELL_CHARS",
            "tender_p2p::documents::error::MAX_SHOWN_CHARS",
            "tender_p2p::cli::credentials::DAY",
            "tender_p2p::cli::issuer::SECONDS_PER_DAY",
            "tender_p2p::cli::testnet::BLOCK_INTERVAL_MS",
            "tender_p2p::cli::testnet::ISSUER_QUOTA",
            "tender_p2p::cli::capability::table::VERIFICATIONS_PER_PROOF",
        ],
    ),
    (
        "sets the stage of a demonstration, a measurement or a simulation",
        &[
            "tender_p2p::cli::dev::*",
            "tender_p2p::cli::bench::*",
            "tender_consensus::sim::*",
        ],
    ),
];

const CRATES: [(&str, &str); 5] = [
    ("consensus/wire/src", "tender_wire"),
    ("consensus/src", "tender_consensus"),
    ("auction/src", "tender_auction"),
    ("circuits/src", "tender_circuits"),
    ("p2p/src", "tender_p2p"),
];

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap().to_owned()
}

/// Every Rust file below a folder of the repository.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            found.extend(files(&path));
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// A source file as a module, without its tests.
struct Module {
    path: String,
    lines: Vec<String>,
}

fn modules() -> Vec<Module> {
    let mut modules = Vec::new();
    for (folder, name) in CRATES {
        for file in files(&root().join(folder)) {
            let inner = file.strip_prefix(root().join(folder)).unwrap();
            let inner = inner.with_extension("");
            let mut parts: Vec<_> = inner.iter().map(|part| part.to_str().unwrap()).collect();
            if matches!(parts.last(), Some(&"mod" | &"lib" | &"main")) {
                parts.pop();
            }
            if parts.contains(&"tests") {
                continue;
            }
            parts.insert(0, name);
            let text = fs::read_to_string(&file).unwrap();
            if text.lines().any(|line| line == "#![cfg(test)]") {
                continue;
            }
            modules.push(Module {
                path: parts.join("::"),
                lines: without_tests(&text),
            });
        }
    }
    let tests: BTreeSet<_> = modules.iter().flat_map(Module::test_modules).collect();
    modules.retain(|module| !tests.contains(&module.path));
    modules
}

/// The lines before the tests written in the same file.
fn without_tests(text: &str) -> Vec<String> {
    let lines: Vec<_> = text.lines().map(str::to_owned).collect();
    let begins = |at: &usize| {
        lines[*at] == "#[cfg(test)]"
            && lines
                .get(at + 1)
                .is_some_and(|next| next.starts_with("mod ") && next.ends_with('{'))
    };
    let end = (0..lines.len()).find(begins).unwrap_or(lines.len());
    lines[..end].to_vec()
}

impl Module {
    /// Modules of other files that are compiled for tests alone.
    fn test_modules(&self) -> Vec<String> {
        let pairs = self.lines.windows(2);
        let only = pairs.filter(|pair| pair[0] == "#[cfg(test)]");
        only.filter_map(|pair| {
            let name = pair[1].strip_prefix("mod ")?.strip_suffix(';')?;
            Some(format!("{}::{name}", self.path))
        })
        .collect()
    }

    /// Names of its numeric constants; those of a type with the type.
    fn constants(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut of = String::new();
        for line in &self.lines {
            if !line.starts_with([' ', '/', '#']) {
                let head = line.strip_suffix(" {").unwrap_or_default();
                let is_impl = line.starts_with("impl");
                of = match head.rsplit(' ').next() {
                    Some(subject) if is_impl => subject.to_owned(),
                    _ => String::new(),
                };
            }
            let Some((name, kind)) = constant(line) else {
                continue;
            };
            let number = ["u8", "u16", "u32", "u64", "u128", "usize", "i64", "f64"];
            if number.contains(&kind) || kind == "Duration" || kind == "Price" {
                let of = match line.starts_with(' ') {
                    true if !of.is_empty() => format!("{of}::"),
                    _ => String::new(),
                };
                found.push(format!("{}::{of}{name}", self.path));
            }
        }
        found
    }
}

/// Name and type of the constant a line defines.
fn constant(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_start();
    let seen = ["pub(crate) ", "pub(super) ", "pub "];
    let line = seen
        .iter()
        .find_map(|seen| line.strip_prefix(seen))
        .unwrap_or(line);
    let (name, rest) = line.strip_prefix("const ")?.split_once(": ")?;
    let (kind, _) = rest.split_once(" =")?;
    Some((name, kind))
}

/// Whether a row's name, which may lead through a re-export, is that of a constant.
fn names(row: &str, constant: &str) -> bool {
    let row = row.replace("crate::", "tender_p2p::");
    let parts: Vec<_> = row.split("::").collect();
    let is_type = |part: &&str| part.starts_with(|c: char| c.is_ascii_uppercase());
    let own = parts.iter().rev().take_while(|part| is_type(part)).count();
    let (module, item) = parts.split_at(parts.len() - own);
    let rest = constant.strip_suffix(&format!("::{}", item.join("::")));
    let below = |rest: &str| {
        rest == module.join("::") || rest.starts_with(&format!("{}::", module.join("::")))
    };
    rest.is_some_and(below)
}

#[test]
fn every_numeric_constant_is_a_limit_of_the_table_or_said_to_be_none() {
    let constants: Vec<_> = modules().iter().flat_map(Module::constants).collect();
    assert!(constants.len() > 200, "the sources were read");
    let is_none = |constant: &str| {
        let mut said = NO_LIMITS.iter().flat_map(|(_, names)| *names);
        said.any(|name| match name.strip_suffix('*') {
            Some(folder) => constant.starts_with(folder),
            None => *name == constant,
        })
    };
    let rows = table();
    let missing: Vec<_> = constants
        .iter()
        .filter(|it| !is_none(it) && !rows.iter().any(|row| names(row.name, it)))
        .collect();
    assert!(
        missing.is_empty(),
        "give each a row in p2p/src/limits.rs and a test that sends one more, or say in NO_LIMITS why it is none: {missing:#?}"
    );
    for row in &rows {
        let named: Vec<_> = constants.iter().filter(|it| names(row.name, it)).collect();
        assert_eq!(named.len(), 1, "{}: {named:?}", row.name);
        assert!(!is_none(named[0]), "{}: a limit and none", row.name);
    }
    for name in NO_LIMITS.iter().flat_map(|(_, names)| *names) {
        let stem = name.trim_end_matches('*');
        assert!(
            constants.iter().any(|it| it.starts_with(stem)),
            "{name} is gone"
        );
    }
}

/// A limit that is no constant has no row: times and channel lengths are not written where they are used.
#[test]
fn times_and_queues_are_named() {
    let strays: Vec<_> = modules()
        .iter()
        .filter(|module| {
            !module.path.contains("::cli::dev") && !module.path.contains("::cli::bench")
        })
        .flat_map(|module| {
            module
                .lines
                .iter()
                .map(|line| (module.path.clone(), line.trim()))
        })
        .filter(|(_, line)| constant(line).is_none() && !line.starts_with("//"))
        .filter(|(_, line)| {
            let literal = |call: &str| {
                line.split(call)
                    .skip(1)
                    .any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
            };
            let times = ["secs(", "millis(", "micros("];
            times
                .iter()
                .any(|unit| literal(&format!("Duration::from_{unit}")))
                || literal("mpsc::channel(")
                || literal("broadcast::channel(")
                || literal("Semaphore::new(")
        })
        .map(|(path, line)| format!("{path}: {line}"))
        .collect();
    assert!(strays.is_empty(), "name them: {strays:#?}");
}

#[test]
fn every_limit_is_shown_by_a_test_that_there_is() {
    let sources: Vec<_> = files(&root())
        .iter()
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    let is_there = |test: &str| {
        let head = format!("fn {test}(");
        sources.iter().any(|text| text.contains(&head))
    };
    let gone: Vec<_> = table()
        .into_iter()
        .filter(|limit| match limit.shown {
            Shown::Test(test) => !is_there(test),
            Shown::Unreachable(why) => why.is_empty(),
        })
        .map(|limit| (limit.name, limit.shown))
        .collect();
    assert!(gone.is_empty(), "{gone:#?}");
}

#[test]
fn the_command_line_prints_the_table() {
    let print = |flags: &[&str]| {
        let tender = Command::new(env!("CARGO_BIN_EXE_tender"))
            .arg("limits")
            .args(flags)
            .output()
            .unwrap();
        assert!(tender.status.success());
        String::from_utf8(tender.stdout).unwrap()
    };
    let expected = serde_json::to_value(table()).unwrap();
    let printed: serde_json::Value = serde_json::from_str(&print(&["--json"])).unwrap();
    assert_eq!(printed, expected);
    let text = print(&[]);
    for Limit { one_more, .. } in table() {
        assert!(text.contains(one_more), "{one_more}");
    }
    assert!(Door::ALL.iter().all(|door| text.contains(door.title())));
    let two_blocks = "8,388,608  bytes of an answer";
    assert!(text.contains(two_blocks), "{text}");
}
