//! What the fuzz targets share: the worked example of the formats, every decoded type and file of the tests, and where seeds go.
//!
//! A target is one file of `targets/`, whose head says what must hold. `.ci/fuzz` builds them once and runs them; the seeds of a run are made by
//! the targets themselves from `fixtures/vectors.json`, so none is kept.
#![allow(missing_docs, dead_code)]

#[path = "../../tests/formats/example.rs"]
pub mod example;
#[path = "../../tests/bytes/registry.rs"]
pub mod registry;
#[path = "../../tests/formats/run.rs"]
pub mod run;
#[path = "../../tests/bytes/texts.rs"]
pub mod texts;

use std::{fs, path::PathBuf};

/// Writes seeds into the directory that `TENDER_SEEDS` names, if it names one: a target does this before its first run.
pub fn seeds(seeds: impl IntoIterator<Item = Vec<u8>>) {
    let Some(directory) = std::env::var_os("TENDER_SEEDS").map(PathBuf::from) else {
        return;
    };
    for (n, seed) in seeds.into_iter().enumerate() {
        fs::write(directory.join(format!("seed-{n}")), seed).expect("the directory is there");
    }
}
