//! Four and more engines under a bad network: they agree, and they go on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use tender_consensus::sim::{Sim, SimConfig};

#[test]
fn four_nodes_commit_without_faults() {
    let mut sim = Sim::new(SimConfig::default());
    assert!(sim.run_until(60_000, |s| s.all_at(10)));
    println!("{} ms for 10 heights", sim.elapsed_ms());
    assert!(sim.rejections().is_empty(), "{:?}", sim.rejections());
}
