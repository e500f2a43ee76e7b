//! The figures that are wanted of clearing, each read off the rows of one run. Whether they are reached is the reader's to see.

use super::{
    super::{figures::Figure, table::amount},
    report::{PeerRow, Row},
};
use tender_auction::clearing::families::{Family, Parameter};

/// Entries of the markets on which figures are wanted.
const MANY: usize = 1_000_000;
/// Those of the largest.
const MOST: usize = 10_000_000;
/// Those of the markets that are searched for the worst.
const SEARCHED: usize = 100_000;

/// What other solvers are beaten by: family, entries, peer, how many times our time theirs should be at least, and come to.
const PEERS: [(&str, usize, &str, f64, f64); 6] = [
    ("natural", MANY, "ortools min-cost flow", 25.0, 50.0),
    ("heavy-ties", MANY, "ortools min-cost flow", 12.0, 25.0),
    ("correlated", MANY, "ortools min-cost flow", 35.0, 60.0),
    ("few-tasks", MANY, "ortools min-cost flow", 25.0, 40.0),
    ("planted", MANY, "ortools assignment", 2.0, 4.0),
    ("dense", MANY, "lapjv", 0.5, 1.0),
];

/// Those that this run gives. `worst` is the family a search came upon.
pub(super) fn figures(rows: &[Row], peers: &[PeerRow], worst: Option<&str>) -> Vec<Figure> {
    let few = rows.iter().map(|row| row.cores).min().unwrap_or(1);
    let on = |family: &str, entries: usize, cores: usize| {
        rows.iter()
            .find(|row| (&*row.family, row.bids, row.cores) == (family, entries, cores))
    };
    let mut figures = Vec::new();
    let mut say = |figure: String, unit, wanted: f64, aim: f64, measured: f64| {
        figures.push(Figure {
            figure,
            unit,
            more_is_better: aim > wanted,
            wanted,
            aim,
            measured,
        });
    };
    for (family, entries, name, wanted, aim) in PEERS {
        let peer = peers.iter().find(|row| {
            (&*row.family, row.bids) == (family, entries) && row.peer.starts_with(name)
        });
        if let Some(peer) = peer {
            let what = format!(
                "{family}, {} bids: {} over our solve and pay",
                amount(entries as u64),
                peer.peer
            );
            say(what, "×", wanted, aim, peer.ratio);
        }
    }
    let at = |what: &str| format!("{what}, {} bids", amount(MANY as u64));
    if let Some(row) = on("natural", MANY, few) {
        let what = format!("{}: check over SHA-256 of the bids", at("natural"));
        say(what, "×", 0.4, 0.2, over(row.check_ms, row.sha256_ms));
    }
    let is_sparse = |family: &Family| family.value(Parameter::Degree) > 0;
    for family in Family::named().iter().filter(|family| is_sparse(family)) {
        if let Some(row) = on(family.name(), MANY, few) {
            let what = format!("{}: solve over check", at(family.name()));
            say(what, "×", 20.0, 50.0, over(row.solve_ms, row.check_ms));
        }
    }
    if let (Some(multi), Some(natural)) = (on("multi-slot", MANY, few), on("natural", MANY, few)) {
        let what = format!("{}: solve and pay over those of natural", at("multi-slot"));
        let measured = over(multi.propose_ms, natural.propose_ms);
        say(what, "×", 3.0, 2.0, measured);
    }
    let all = rows.iter().map(|row| row.cores).max().unwrap_or(1);
    if let Some(row) = on("natural", MOST, all) {
        let what = format!("natural, {} bids on {all} cores", amount(MOST as u64));
        say(
            format!("{what}: solve"),
            " ms",
            3000.0,
            1500.0,
            row.solve_ms,
        );
        say(format!("{what}: check"), " ms", 40.0, 20.0, row.check_ms);
    }
    let natural = on("natural", SEARCHED, few);
    let found = worst.and_then(|family| on(family, SEARCHED, few));
    if let (Some(found), Some(natural)) = (found, natural) {
        let what = format!(
            "worst found, {} bids: solve and pay over those of natural",
            amount(SEARCHED as u64)
        );
        let measured = over(found.propose_ms, natural.propose_ms);
        say(what, "×", 10.0, 10.0, measured);
    }
    figures
}

fn over(over: f64, under: f64) -> f64 {
    over / under.max(f64::MIN_POSITIVE)
}
