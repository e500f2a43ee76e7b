//! What the pages of all measurements have in common: head, warnings, figures, tables of facts. A page is one file: its charts are SVG inside it, its style
//! follows the reader's light or dark scheme, and it asks for nothing from anywhere.

use super::{chart::escape, figures::Figure, machine::Machine, table::amount};
use std::fmt::{Result, Write as _};

const STYLE: &str = include_str!("report.css");

/// What stands above everything else.
pub(super) struct Head<'a> {
    /// The command, as people type it.
    pub(super) command: &'a str,
    pub(super) title: &'a str,
    pub(super) lead: &'a str,
    pub(super) machine: &'a Machine,
    /// When it was measured, in unix seconds.
    pub(super) date: u64,
    pub(super) warnings: &'a [String],
}

impl Head<'_> {
    /// Opens the page.
    pub(super) fn write(&self, out: &mut String) -> Result {
        let title = escape(self.title);
        writeln!(
            out,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>Tender: {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
             <header>\n<p class=\"eyebrow\">{}</p>\n<h1>{title}</h1>\n<p class=\"lead\">{}</p>\n\
             <p class=\"note\">{} · {}</p>\n</header>",
            lower(&title),
            escape(self.command),
            escape(self.lead),
            escape(&self.machine.summary()),
            date(self.date),
        )?;
        for warning in self.warnings {
            writeln!(out, "<p class=\"warning\">{}</p>", escape(warning))?;
        }
        Ok(())
    }
}

/// Closes the page.
pub(super) fn end(out: &mut String) -> Result {
    writeln!(out, "</body>\n</html>")
}

/// A sentence's beginning within another sentence.
fn lower(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_ascii_lowercase());
    first.into_iter().chain(chars).collect()
}

/// A figure in large letters.
pub(super) struct Card {
    pub(super) value: String,
    /// Its unit, in small ones.
    pub(super) unit: &'static str,
    pub(super) title: String,
    pub(super) note: String,
}

/// Figures in large letters, side by side.
pub(super) fn cards(out: &mut String, cards: &[Card]) -> Result {
    if cards.is_empty() {
        return Ok(());
    }
    writeln!(out, "<div class=\"figures\">")?;
    for card in cards {
        let unit = match card.unit {
            "" => String::new(),
            unit => format!("<small> {unit}</small>"),
        };
        writeln!(
            out,
            "<div><b>{}{unit}</b>{}<span class=\"note\">{}</span></div>",
            escape(&card.value),
            escape(&card.title),
            escape(&card.note)
        )?;
    }
    writeln!(out, "</div>")
}

/// Charts, side by side where there is room.
pub(super) fn charts(out: &mut String, charts: &[String]) -> Result {
    writeln!(out, "<div class=\"charts\">\n{}</div>", charts.concat())
}

/// What is wanted beside what was measured.
pub(super) fn figures(out: &mut String, figures: &[Figure]) -> Result {
    if figures.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "<h2>Wanted and measured</h2>\n<div class=\"scroll\"><table class=\"wrap\">\n<tr><th>figure</th><th class=\"number\">wanted</th>\
         <th class=\"number\">aim</th><th class=\"number\">measured</th></tr>"
    )?;
    for figure in figures {
        let [wanted, aim, measured] = figure.texts();
        writeln!(
            out,
            "<tr><td>{}</td><td class=\"number\">{wanted}</td><td class=\"number\">{aim}</td><td class=\"number\"><b>{measured}</b></td></tr>",
            escape(&figure.figure)
        )?;
    }
    writeln!(out, "</table></div>")
}

/// Rows that are shown when asked for: words in the first and last columns as said, numbers in the others.
pub(super) struct Rows<'a> {
    pub(super) title: &'a str,
    /// Headings, and whether numbers stand below them.
    pub(super) columns: &'a [(&'a str, bool)],
    pub(super) rows: Vec<Vec<String>>,
}

impl Rows<'_> {
    pub(super) fn write(&self, out: &mut String) -> Result {
        if self.rows.is_empty() {
            return Ok(());
        }
        writeln!(
            out,
            "<details>\n<summary>{}</summary>\n<div class=\"scroll\"><table>\n<tr>",
            escape(self.title)
        )?;
        let class = |is_number: bool| match is_number {
            true => " class=\"number\"",
            false => "",
        };
        for (name, is_number) in self.columns {
            write!(out, "<th{}>{}</th>", class(*is_number), escape(name))?;
        }
        writeln!(out, "</tr>")?;
        for row in &self.rows {
            write!(out, "<tr>")?;
            for (cell, (_, is_number)) in row.iter().zip(self.columns) {
                write!(out, "<td{}>{}</td>", class(*is_number), escape(cell))?;
            }
            writeln!(out, "</tr>")?;
        }
        writeln!(out, "</table></div>\n</details>")
    }
}

/// The machine, then these facts, then the seed and the command line.
pub(super) fn facts(
    out: &mut String,
    machine: &Machine,
    facts: &[(&str, String)],
    seed: &str,
    command: &str,
) -> Result {
    writeln!(
        out,
        "<h2>Machine and run</h2>\n<div class=\"scroll\"><table class=\"facts\">"
    )?;
    let memory = machine.memory_mib.map(|mib| format!("{} MiB", amount(mib)));
    let built = [
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
                None => format!("{}, commit not named when it was built", machine.version),
            },
        ),
    ];
    for (name, value) in built.iter().chain(facts) {
        writeln!(out, "<tr><th>{name}</th><td>{}</td></tr>", escape(value))?;
    }
    writeln!(
        out,
        "<tr><th>seed</th><td><code>{}</code></td></tr>\n<tr><th>command</th><td><code>{}</code></td></tr>\n</table></div>",
        escape(seed),
        escape(command),
    )
}

/// A number of cores in words.
pub(super) fn on_cores(cores: usize) -> String {
    if cores == 1 {
        "1 core".into()
    } else {
        format!("{cores} cores")
    }
}

/// Unix seconds as `2026-01-31 23:59 UTC`; days to dates after Howard Hinnant's `civil_from_days`.
#[allow(clippy::arithmetic_side_effects)] // far from any bound: a u64 of seconds is below 2^48 days
pub(super) fn date(seconds: u64) -> String {
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
