//! The figures people ask for first, each read off the rows of one run, beside what is wanted of it. Whether that is reached is the reader's to see.

use super::{
    report::{Row, Sweep},
    stages::Breakdown,
    table::amount,
    three_digits,
};
use serde::Serialize;

/// A quotient of two rows, or a time.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Figure {
    /// What over what.
    pub(super) figure: String,
    /// Its unit: `×` for a quotient.
    pub(super) unit: &'static str,
    /// Whether more is better.
    pub(super) more_is_better: bool,
    /// What it should be at least, or at most.
    pub(super) wanted: f64,
    /// What it should come to.
    pub(super) aim: f64,
    /// What it is in this run.
    pub(super) measured: f64,
}

impl Figure {
    /// Wanted, aim and measured as people read them.
    pub(super) fn texts(&self) -> [String; 3] {
        let bound = if self.more_is_better {
            "at least"
        } else {
            "at most"
        };
        let unit = self.unit;
        let measured = match unit {
            "×" => times(self.measured),
            unit => format!("{}{unit}", three_digits(self.measured)),
        };
        let number = |value: f64| match value {
            1000.0.. => amount(value.round() as u64),
            _ => value.to_string(),
        };
        [
            format!("{bound} {}{unit}", number(self.wanted)),
            format!("{}{unit}", number(self.aim)),
            measured,
        ]
    }
}

/// A quotient as people read it: `84.2×`, `1.93×`.
pub(super) fn times(value: f64) -> String {
    if value >= 100.0 {
        format!("{value:.0}×")
    } else if value >= 10.0 {
        format!("{value:.1}×")
    } else {
        format!("{value:.2}×")
    }
}

/// Where a row is looked for: an engine, and what differs from a clean batch on one core.
#[derive(Clone, Copy)]
struct At {
    engine: &'static str,
    cores: usize,
    n: usize,
    bad: usize,
}

fn at(engine: &'static str, n: usize) -> At {
    At {
        engine,
        cores: 1,
        n,
        bad: 0,
    }
}

fn cost(rows: &[Row], at: At) -> Option<f64> {
    let row = rows.iter().find(|row| {
        matches!(row.sweep, Sweep::Size | Sweep::Bad)
            && (row.engine.as_str(), row.cores, row.n, row.bad_proofs)
                == (at.engine, at.cores, at.n, at.bad)
    });
    row.map(|row| row.us_per_proof).filter(|us| *us > 0.0)
}

/// Those that this run gives.
pub(super) fn figures(rows: &[Row], stages: &[Breakdown]) -> Vec<Figure> {
    let mut figures = Vec::new();
    let mut say = |figure: String, over: Option<f64>, under: Option<f64>, wanted: f64, aim: f64| {
        if let (Some(over), Some(under)) = (over, under) {
            figures.push(Figure {
                figure,
                unit: "×",
                more_is_better: aim > wanted,
                wanted,
                aim,
                measured: over / under,
            });
        }
    };
    let cost = |at: At| cost(rows, at);
    let batch = |n: usize| format!("a batch of {}", amount(n as u64));
    for (n, wanted, aim) in [
        (1024, 80.0, 120.0),
        (64, 30.0, 45.0),
        (8, 5.0, 8.0),
        (1, 2.5, 3.5),
    ] {
        let (what, ifma) = (batch(n), cost(at("ifma", n)));
        let naive = cost(at("naive", n));
        say(format!("{what}: naive over ifma"), naive, ifma, wanted, aim);
        if n == 1024 {
            let other = cost(at("arkworks-batch", n));
            let what = format!("{what}: arkworks-batch over ifma");
            say(what, other, ifma, 16.0, 25.0);
        }
    }
    let n = 1024;
    let (what, naive) = (batch(n), cost(at("naive", n)));
    let portable = cost(at("portable", n));
    let loops = format!("{what}: naive over portable");
    say(loops, naive, portable, 7.0, 10.0);
    for engine in ["ifma", "portable"] {
        let (what, clean) = (format!("{what}, {engine}"), at(engine, n));
        let stages = stages.iter().find(|it| (it.engine, it.n) == (engine, n));
        let bare = stages.map(|it| it.miller_loops).filter(|us| *us > 0.0);
        let whole = format!("{what}: the whole over its Miller loops alone");
        say(whole, cost(clean), bare, 1.6, 1.35);
        for (bad, wanted, aim) in [(1, 2.0, 1.5), (32, 4.0, 3.0)] {
            let what = format!("{what}: {bad} bad over none");
            say(what, cost(At { bad, ..clean }), cost(clean), wanted, aim);
        }
        let two = cost(At { cores: 2, ..clean });
        let scaled = format!("{what}: one core over two");
        say(scaled, cost(clean), two, 1.85, 1.95);
    }
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(engine: &str, cores: usize, n: usize, bad_proofs: usize, us_per_proof: f64) -> Row {
        Row {
            sweep: if bad_proofs == 0 {
                Sweep::Size
            } else {
                Sweep::Bad
            },
            engine: engine.into(),
            cores,
            n,
            inputs: 15,
            bad: bad_proofs as f64 * 100.0 / n as f64,
            us_per_proof,
            ratio: 1.0,
            p50: us_per_proof,
            p95: us_per_proof,
            samples: 1,
            timed: n,
            bad_proofs,
            keys: 1,
            type_name: "resources/v1".into(),
        }
    }

    #[test]
    fn figures_are_quotients_of_the_rows_there_are() {
        let rows = [
            row("naive", 1, 1024, 0, 1500.0),
            row("naive", 2, 1024, 0, 1.0),
            row("arkworks-batch", 1, 1024, 0, 300.0),
            row("ifma", 1, 1024, 0, 20.0),
            row("ifma", 2, 1024, 0, 10.5),
            row("ifma", 1, 1024, 1, 30.0),
            row("ifma", 1, 1024, 32, 50.0),
        ];
        let stages = [Breakdown {
            engine: "ifma",
            n: 1024,
            us_per_proof: 21.0,
            miller_loops: 12.5,
            stages: Vec::new(),
        }];
        let measured: Vec<f64> = figures(&rows, &stages)
            .iter()
            .map(|figure| figure.measured)
            .collect();
        assert_eq!(measured, [75.0, 15.0, 1.6, 1.5, 2.5, 20.0 / 10.5]);
        assert!(figures(&[], &stages).is_empty());
        let more = figures(&rows, &stages);
        let texts = more.first().map(Figure::texts);
        assert_eq!(
            texts,
            Some(["at least 80×", "120×", "75.0×"].map(String::from))
        );
        let time = Figure {
            figure: String::new(),
            unit: " ms",
            more_is_better: false,
            wanted: 3000.0,
            aim: 2.5,
            measured: 1234.6,
        };
        assert_eq!(time.texts(), ["at most 3,000 ms", "2.5 ms", "1,235 ms"]);
    }
}
