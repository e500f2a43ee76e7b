//! What `tender bench verify` leaves behind: rows as JSON and CSV, and a page to look at.
//!
//! The page is one file: its charts are SVG inside it, its style follows the reader's light or dark scheme, and it asks for nothing from
//! anywhere.

use super::{
    Failure,
    chart::{Chart, Point, Scale, Series, escape},
    engine::Engine,
    machine::Machine,
    microseconds,
    table::amount,
};
use crate::documents::{Access, write_bytes, write_json};
use serde::Serialize;
use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

const STYLE: &str = include_str!("report.css");

/// What a row belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Sweep {
    /// Batch sizes, all proofs good.
    Size,
    /// Bad proofs.
    Bad,
    /// Types with different numbers of public inputs.
    Inputs,
}

/// One engine in one situation.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    /// Which comparison it belongs to.
    pub(super) sweep: Sweep,
    /// Engine.
    pub(super) engine: &'static str,
    /// Threads, each with a core if there are enough.
    pub(super) cores: usize,
    /// Proofs per batch.
    pub(super) n: usize,
    /// Public inputs per proof.
    pub(super) inputs: usize,
    /// Percentage of bad proofs.
    pub(super) bad: u32,
    /// Median time per proof, in microseconds.
    pub(super) us_per_proof: f64,
    /// The naive loop's median in the same situation over this one's.
    pub(super) ratio: f64,
    /// Median (the same as `us_per_proof`).
    pub(super) p50: f64,
    /// 95th percentile.
    pub(super) p95: f64,
    /// Times measured.
    pub(super) samples: usize,
    /// Bad proofs in the batch.
    pub(super) bad_proofs: usize,
    /// Verifying keys in the batch.
    pub(super) keys: usize,
    /// Capability type of the first.
    #[serde(rename = "type")]
    pub(super) type_name: String,
}

/// How a run was made.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Run {
    /// When, in unix seconds.
    pub(super) date: u64,
    /// How long the rounds took.
    pub(super) seconds: f64,
    /// Seed of keys, proofs and places of the bad ones.
    pub(super) seed: String,
    /// Rounds.
    pub(super) rounds: u16,
    /// Verifying keys mixed in the main sweep.
    pub(super) keys: usize,
    /// Distinct proofs in it; larger batches repeat them.
    pub(super) distinct_proofs: usize,
    /// Spread of the naive loop's times, as a fraction of their median.
    pub(super) naive_spread: f64,
}

/// A whole run.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    /// Where.
    pub(super) machine: Machine,
    /// How.
    pub(super) run: Run,
    /// What to keep in mind.
    pub(super) warnings: Vec<String>,
    /// What came of it.
    pub(super) rows: Vec<Row>,
}

impl Report {
    /// Writes all three files; gives their paths.
    ///
    /// # Errors
    /// [`Failure`] naming the file that cannot be written.
    pub(super) fn write(&self, directory: &Path) -> Result<[PathBuf; 3], Failure> {
        let paths = ["results.json", "results.csv", "report.html"].map(|name| directory.join(name));
        let [json, csv, html] = &paths;
        write_json(json, self, Access::Public)?;
        write_bytes(csv, self.csv().as_bytes(), Access::Public)?;
        write_bytes(html, self.html().as_bytes(), Access::Public)?;
        Ok(paths)
    }

    /// The rows, one per line, under a line of names. No value holds a comma or a quote.
    pub(super) fn csv(&self) -> String {
        let mut out = String::from(
            "sweep,engine,cores,n,inputs,bad,us_per_proof,ratio,p50,p95,samples,bad_proofs,keys,type\n",
        );
        for row in &self.rows {
            let Row {
                sweep,
                engine,
                cores,
                n,
                inputs,
                bad,
                us_per_proof,
                ratio,
                p50,
                p95,
                samples,
                bad_proofs,
                keys,
                type_name,
            } = row;
            let sweep = match sweep {
                Sweep::Size => "size",
                Sweep::Bad => "bad",
                Sweep::Inputs => "inputs",
            };
            let _ = writeln!(
                out,
                "{sweep},{engine},{cores},{n},{inputs},{bad},{us_per_proof:.3},{ratio:.4},{p50:.3},{p95:.3},{samples},{bad_proofs},{keys},{type_name}"
            );
        }
        out
    }

    /// The page.
    pub(super) fn html(&self) -> String {
        let mut out = String::new();
        let _ = self.write_html(&mut out); // writing to a string does not fail
        out
    }

    fn write_html(&self, out: &mut String) -> std::fmt::Result {
        writeln!(
            out,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>Tender: what verifying a proof costs</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
             <h1>What verifying a proof costs</h1>\n<p class=\"note\">{}; {}</p>",
            escape(&self.machine.line()),
            date(self.run.date),
        )?;
        for warning in &self.warnings {
            writeln!(out, "<p class=\"warning\">{}</p>", escape(warning))?;
        }
        self.highlights(out)?;
        writeln!(out, "<div class=\"charts\">")?;
        for chart in self.charts() {
            out.push_str(&chart.figure());
        }
        writeln!(out, "</div>")?;
        for (sweep, title) in [
            (Sweep::Size, "Batch size"),
            (Sweep::Bad, "Bad proofs"),
            (Sweep::Inputs, "Public inputs"),
        ] {
            self.table(out, sweep, title)?;
        }
        self.method(out)?;
        writeln!(out, "</body>\n</html>")
    }

    /// The largest batch, on each number of cores, of each engine.
    fn highlights(&self, out: &mut String) -> std::fmt::Result {
        let most = self.size_rows().map(|row| row.n).max();
        writeln!(out, "<div class=\"figures\">")?;
        for row in self.size_rows().filter(|row| Some(row.n) == most) {
            writeln!(
                out,
                "<div>{} on {}<b>{} µs</b><span class=\"note\">per proof in batches of {}, {:.2}× the naive loop's speed</span></div>",
                row.engine,
                on_cores(row.cores),
                microseconds(row.us_per_proof),
                amount(row.n as u64),
                row.ratio,
            )?;
        }
        writeln!(out, "</div>")
    }

    fn size_rows(&self) -> impl Iterator<Item = &Row> {
        self.rows
            .iter()
            .filter(|row| row.sweep == Sweep::Size && row.bad == 0)
    }

    fn charts(&self) -> Vec<Chart> {
        let few = self.rows.iter().map(|row| row.cores).min().unwrap_or(1);
        let most = self.size_rows().map(|row| row.n).max().unwrap_or(1);
        let swept = |sweep| self.rows.iter().filter(move |row| row.sweep == sweep);
        let middle = swept(Sweep::Inputs).map(|row| row.n).max().unwrap_or(1);
        let sizes: Vec<&Row> = self.size_rows().collect();
        let bad: Vec<&Row> = self
            .rows
            .iter()
            .filter(|row| row.sweep != Sweep::Inputs && row.n == middle && row.cores == few)
            .collect();
        let cores: Vec<&Row> = self.size_rows().filter(|row| row.n == most).collect();
        let inputs: Vec<&Row> = swept(Sweep::Inputs).collect();
        let on = on_cores(few);
        vec![
            chart(
                "Cost against batch size",
                "Every proof good; logarithmic scales. Dots: medians; whiskers: 95th percentiles."
                    .into(),
                "proofs per batch",
                Scale::Log,
                &sizes,
                |row| (row.n as f64, (row.n as f64).log2()),
            ),
            chart(
                "Cost against bad proofs",
                format!(
                    "Batches of {middle} on {on}. A batch with a bad proof has to be searched."
                ),
                "% of bad proofs",
                Scale::Log,
                &bad,
                |row| (f64::from(row.bad), f64::from(row.bad).sqrt()),
            ),
            chart(
                "Cost against cores",
                format!("Batches of {}, wall-clock time.", amount(most as u64)),
                "cores",
                Scale::Linear,
                &cores,
                |row| (row.cores as f64, row.cores as f64),
            ),
            chart(
                "Cost against public inputs",
                format!(
                    "Batches of {middle} under one key on {on}, one circuit for each number of inputs."
                ),
                "public inputs",
                Scale::Linear,
                &inputs,
                |row| (row.inputs as f64, row.inputs as f64),
            ),
        ]
    }

    fn table(&self, out: &mut String, sweep: Sweep, title: &str) -> std::fmt::Result {
        let mut rows = self.rows.iter().filter(|row| row.sweep == sweep).peekable();
        if rows.peek().is_none() {
            return Ok(());
        }
        writeln!(
            out,
            "<h2>{title}</h2>\n<div class=\"scroll\"><table>\n<tr><th>engine</th>"
        )?;
        for name in [
            "cores",
            "n",
            "bad %",
            "inputs",
            "µs/proof",
            "p95",
            "ratio",
            "proofs/s",
            "keys",
            "samples",
        ] {
            write!(out, "<th class=\"number\">{name}</th>")?;
        }
        writeln!(out, "<th>type</th></tr>")?;
        for row in rows {
            let speed = if row.us_per_proof > 0.0 {
                1e6 / row.us_per_proof
            } else {
                0.0
            };
            write!(out, "<tr><td>{}</td>", row.engine)?;
            for value in [
                amount(row.cores as u64),
                amount(row.n as u64),
                amount(u64::from(row.bad)),
                amount(row.inputs as u64),
                microseconds(row.us_per_proof),
                microseconds(row.p95),
                format!("{:.2}×", row.ratio),
                amount(speed.round() as u64),
                amount(row.keys as u64),
                amount(row.samples as u64),
            ] {
                write!(out, "<td class=\"number\">{value}</td>")?;
            }
            writeln!(out, "<td>{}</td></tr>", escape(&row.type_name))?;
        }
        writeln!(out, "</table></div>")
    }

    fn method(&self, out: &mut String) -> std::fmt::Result {
        let (machine, run) = (&self.machine, &self.run);
        writeln!(
            out,
            "<h2>How it was measured</h2>\n<p>From proof bytes, public inputs and parsed keys to a verdict for every proof, under one strict policy for all engines. \
             All engines and batches take turns within one run, on the same proofs, so that drift of the machine hits all alike. Every verdict was compared \
             with the expected one. A bad proof is a well-formed proof of another statement. A row's ratio is the naive loop's median time per proof in the \
             same situation over the row's own.</p>\n<ul>"
        )?;
        for engine in Engine::ALL {
            writeln!(
                out,
                "<li><b>{}</b>: {}</li>",
                engine.name(),
                escape(engine.about())
            )?;
        }
        writeln!(
            out,
            "</ul>\n<h2>Machine and run</h2>\n<div class=\"scroll\"><table class=\"facts\">"
        )?;
        let memory = machine.memory_mib.map(|mib| format!("{} MiB", amount(mib)));
        let facts = [
            ("processor", machine.processor.clone()),
            ("cores", machine.cores.to_string()),
            ("memory", memory.unwrap_or_else(|| "unknown".into())),
            ("features", machine.features.join(" ")),
            ("target", machine.target.into()),
            ("compiler", machine.compiler.into()),
            ("build", machine.profile.clone()),
            (
                "tender",
                match machine.commit {
                    Some(commit) => format!("{} ({commit})", machine.version),
                    None => machine.version.into(),
                },
            ),
            ("date", date(run.date)),
            ("rounds", format!("{} in {:.0} s", run.rounds, run.seconds)),
            (
                "proofs",
                format!(
                    "{} distinct ones under {} verifying keys; larger batches repeat them",
                    run.distinct_proofs, run.keys
                ),
            ),
            (
                "noise",
                format!(
                    "the naive loop's times spread by {:.1} % of their median (10th to 90th percentile)",
                    run.naive_spread * 100.0
                ),
            ),
        ];
        for (name, value) in &facts {
            writeln!(out, "<tr><th>{name}</th><td>{}</td></tr>", escape(value))?;
        }
        writeln!(
            out,
            "<tr><th>seed</th><td><code>{}</code></td></tr>\n</table></div>",
            run.seed
        )
    }
}

fn on_cores(cores: usize) -> String {
    if cores == 1 {
        "1 core".into()
    } else {
        format!("{cores} cores")
    }
}

/// A chart of rows: a line per engine and number of cores. `place` gives what is written on the axis, and where it stands.
fn chart(
    title: &str,
    caption: String,
    x_label: &str,
    scale: Scale,
    rows: &[&Row],
    place: impl Fn(&Row) -> (f64, f64),
) -> Chart {
    let by_cores = x_label != "cores";
    let mut all: Vec<usize> = rows.iter().map(|row| row.cores).collect();
    all.sort_unstable();
    all.dedup();
    let several = by_cores && all.len() > 1;
    let mut marks: Vec<(f64, String)> = Vec::new();
    for row in rows {
        let (value, x) = place(row);
        if !marks.iter().any(|(at, _)| *at == x) {
            marks.push((x, amount(value as u64)));
        }
    }
    marks.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let mut series = Vec::new();
    for (colour, engine) in Engine::ALL.iter().enumerate() {
        let groups: Vec<Option<usize>> = if by_cores {
            all.iter().copied().map(Some).collect()
        } else {
            vec![None]
        };
        for (dashes, cores) in groups.into_iter().enumerate() {
            let mut points: Vec<_> = rows
                .iter()
                .filter(|row| row.engine == engine.name())
                .filter(|row| cores.is_none_or(|cores| row.cores == cores))
                .map(|row| Point {
                    x: place(row).1,
                    median: row.us_per_proof,
                    p95: row.p95,
                })
                .collect();
            points.sort_by(|a, b| a.x.total_cmp(&b.x));
            let name = match cores {
                Some(cores) if several => format!("{}, {}", engine.name(), on_cores(cores)),
                _ => engine.name().to_owned(),
            };
            series.push(Series {
                name,
                colour,
                dashes,
                points,
            });
        }
    }
    Chart {
        title: title.to_owned(),
        caption,
        x_label: x_label.to_owned(),
        marks,
        scale,
        series,
    }
}

/// Unix seconds as `2026-01-31 23:59 UTC`; days to dates after Howard Hinnant's `civil_from_days`.
#[allow(clippy::arithmetic_side_effects)] // far from any bound: a u64 of seconds is below 2^48 days
fn date(seconds: u64) -> String {
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute) = (seconds % 86_400 / 3600, seconds % 3600 / 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(0), "1970-01-01 00:00 UTC");
        assert_eq!(date(951_782_399), "2000-02-28 23:59 UTC");
        assert_eq!(date(951_782_400), "2000-02-29 00:00 UTC");
        assert_eq!(date(1_798_761_600), "2027-01-01 00:00 UTC");
    }
}
