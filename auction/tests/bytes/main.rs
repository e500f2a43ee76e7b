//! Bytes from outside: every type that is decoded, damaged in every small way, is refused or means what its bytes say; nothing panics,
//! nothing reserves memory by what a stranger claims (THREATS B14, B15, B18, T6).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod admission;
mod decoding;
#[allow(dead_code)] // the worked example of the formats, of which this needs a part
#[path = "../formats/example.rs"]
mod example;
mod files;
mod proofs;
mod registry;
#[allow(dead_code)]
#[path = "../formats/run.rs"]
mod run;
mod texts;
