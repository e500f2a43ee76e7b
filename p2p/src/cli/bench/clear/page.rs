//! The page of a run of `tender bench clear`.

use super::{
    super::{
        chart::{Bar, Bars, Chart, Measure, Point, Scale, Series, escape},
        document::{self, Card, Head, Rows, date, on_cores},
        figures::times,
        table::amount,
        three_digits,
    },
    report::{PeerRow, Report, Row},
};
use std::fmt::{Result, Write as _};

/// What charts of times count.
const TIME: Measure = Measure {
    label: "ms",
    unit: "ms",
};

/// A part of clearing: its name, its colour in the style sheet, its median and its 95th percentile in a row.
type Part = (&'static str, &'static str, fn(&Row) -> f64, fn(&Row) -> f64);
const PARTS: [Part; 4] = [
    ("solve", "c3", |row| row.solve_ms, |row| row.p95_ms[0]),
    ("pay", "c1", |row| row.pay_ms, |row| row.p95_ms[1]),
    ("check", "c2", |row| row.check_ms, |row| row.p95_ms[2]),
    ("SHA-256", "c0", |row| row.sha256_ms, |row| row.p95_ms[3]),
];

/// The page.
pub(super) fn html(report: &Report) -> String {
    let mut out = String::new();
    let _ = write_page(report, &mut out); // writing to a string does not fail
    out
}

fn write_page(report: &Report, out: &mut String) -> Result {
    Head {
        command: "tender bench clear",
        title: "What clearing a market costs",
        lead: "One proposer solves: the greatest total surplus, ties broken canonically, every winner’s Vickrey payment. Everybody else checks its witness, \
               and knows as much.",
        machine: &report.machine,
        date: report.run.date,
        warnings: &report.warnings,
    }
    .write(out)?;
    document::cards(out, &highlights(report))?;
    document::charts(out, &charts(report))?;
    document::figures(out, &report.figures)?;
    worst(report, out)?;
    writeln!(out, "<h2>Every row</h2>")?;
    for family in families(report) {
        rows(report, family).write(out)?;
    }
    peer_rows(report).write(out)?;
    method(report, out)?;
    document::end(out)
}

/// The families, in the order in which they were measured.
fn families(report: &Report) -> Vec<&str> {
    let mut families: Vec<&str> = Vec::new();
    for row in &report.rows {
        if !families.contains(&&*row.family) {
            families.push(&row.family);
        }
    }
    families
}

/// The fewest cores measured.
fn few(report: &Report) -> usize {
    report.rows.iter().map(|row| row.cores).min().unwrap_or(1)
}

/// A family's rows on so many cores, the sizes ascending.
fn of<'a>(report: &'a Report, family: &str, cores: usize) -> Vec<&'a Row> {
    let rows = report.rows.iter();
    let mut rows: Vec<_> = rows
        .filter(|row| row.family == family && row.cores == cores)
        .collect();
    rows.sort_by_key(|row| row.bids);
    rows
}

/// The first family at its largest size up to a million entries.
fn highlights(report: &Report) -> Vec<Card> {
    let few = few(report);
    let Some(family) = families(report).first().copied() else {
        return Vec::new();
    };
    let rows = of(report, family, few);
    let usual = rows.iter().rev().find(|row| row.bids <= 1_000_000);
    let Some(row) = usual.or(rows.first()) else {
        return Vec::new();
    };
    let market = format!(
        "{family}, {} bids, {}",
        amount(row.bids as u64),
        on_cores(few)
    );
    let mut cards = vec![
        Card {
            value: three_digits(row.propose_ms),
            unit: "ms",
            title: "to solve, ties and payments included".into(),
            note: market.clone(),
        },
        Card {
            value: three_digits(row.check_ms),
            unit: "ms",
            title: "to check".into(),
            note: market,
        },
        Card {
            value: times(row.check_ms / row.sha256_ms.max(1e-9)),
            unit: "",
            title: "the time of hashing the bids".into(),
            note: "check over SHA-256 of the same bids".into(),
        },
    ];
    let peer = report
        .peers
        .iter()
        .filter(|peer| (&*peer.family, peer.bids) == (&*row.family, row.bids));
    if let Some(peer) = peer.min_by(|a, b| a.ms.total_cmp(&b.ms)) {
        cards.push(Card {
            value: times(peer.ratio),
            unit: "",
            title: "faster than the fastest peer".into(),
            note: format!("{}, the greatest surplus alone", peer.peer),
        });
    }
    cards
}

fn charts(report: &Report) -> Vec<String> {
    let few = few(report);
    let families = families(report);
    let mut all = Vec::new();
    for (number, family) in families.iter().enumerate() {
        if number == 1 {
            all.extend(overviews(report, &families));
        }
        let rows = of(report, family, few);
        if rows.len() < 2 {
            continue;
        }
        let series = |(name, colour, median, p95): &Part| Series {
            name: (*name).into(),
            colour,
            points: rows
                .iter()
                .map(|row| point(row, median(row), p95(row)))
                .collect(),
        };
        let series: Vec<_> = PARTS.iter().map(series).collect();
        let title = format!("Time against bids: {family}, {}", on_cores(few));
        let caption = "Lines: medians; bands: up to the 95th percentile. Both scales by factors.";
        all.push(growth(&title, caption, number == 0, series));
    }
    all.extend(beside_hash(report));
    all.extend(peers(report));
    all
}

/// Every family in one chart, for what the proposer does and for what the others do.
fn overviews(report: &Report, families: &[&str]) -> Vec<String> {
    let (few, mut all) = (few(report), Vec::new());
    for (title, median) in [
        (
            "Solving and paying, every family",
            (|row| row.propose_ms) as fn(&Row) -> f64,
        ),
        ("Checking, every family", |row| row.check_ms),
    ] {
        let series = |(family, colour): (&&str, &'static str)| Series {
            name: short_name(family),
            colour,
            points: of(report, family, few)
                .iter()
                .map(|row| point(row, median(row), median(row)))
                .collect(),
        };
        let series: Vec<Series> = families.iter().zip(COLOURS).map(series).collect();
        if series.iter().any(|series| series.points.len() > 1) {
            let caption = format!("Medians, {}. Both scales by factors.", on_cores(few));
            all.push(growth(title, &caption, false, series));
        }
    }
    all
}

/// The style sheet's colours for families.
const COLOURS: [&str; 8] = ["s0", "s2", "s4", "s5", "s6", "s7", "s1", "s3"];

/// A family's name; that of what a search found is long.
fn short_name(family: &str) -> String {
    match family.split_once(':') {
        Some((name, _)) => format!("{name}…"),
        None => family.to_owned(),
    }
}

fn point(row: &Row, median: f64, p95: f64) -> Point {
    Point {
        x: (row.bids.max(1) as f64).log10(),
        median,
        p95,
    }
}

/// Lines over the number of entries.
fn growth(title: &str, caption: &str, is_whole: bool, series: Vec<Series>) -> String {
    let mut marks: Vec<(f64, String)> = Vec::new();
    for point in series.iter().flat_map(|series| &series.points) {
        // A dense market is nearly as large as asked for; one mark is enough.
        if !marks.iter().any(|(x, _)| (x - point.x).abs() < 0.04) {
            let bids = 10f64.powf(point.x).round() as u64;
            marks.push((point.x, amount(bids)));
        }
    }
    marks.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    Chart {
        title: title.into(),
        caption: caption.into(),
        is_whole,
        x_label: "bids (a price for a task each)".into(),
        measure: TIME,
        marks,
        scale: Scale::Log,
        series,
    }
    .figure()
}

/// Checking beside hashing, at the largest size that every family has.
fn beside_hash(report: &Report) -> Option<String> {
    let few = few(report);
    let largest = |family: &&str| {
        let rows = of(report, family, few);
        rows.into_iter().rev().find(|row| row.bids <= 1_000_000)
    };
    let rows: Vec<&Row> = families(report).iter().filter_map(largest).collect();
    if rows.len() < 2 {
        return None;
    }
    let bar = |row: &&Row| Bar {
        name: format!(
            "{}, {} bids",
            short_name(&row.family),
            amount(row.bids as u64)
        ),
        says: times(row.check_ms / row.sha256_ms.max(1e-9)),
        parts: vec![(
            "c2",
            row.check_ms / row.sha256_ms.max(1e-9),
            format!(
                "check {} ms, SHA-256 {} ms",
                three_digits(row.check_ms),
                three_digits(row.sha256_ms)
            ),
        )],
    };
    let bars = Bars {
        title: "Checking beside hashing".into(),
        caption:
            "How long a check takes, as a multiple of SHA-256 over the same bids, 16 bytes each."
                .into(),
        is_whole: false,
        scale: Scale::Linear,
        are_shares: false,
        bars: rows.iter().map(bar).collect(),
        legend: Vec::new(),
    };
    Some(bars.figure())
}

/// Other solvers beside ours, a chart for each market.
fn peers(report: &Report) -> Vec<String> {
    let mut markets: Vec<(&str, usize)> = Vec::new();
    for peer in &report.peers {
        if !markets.contains(&(&peer.family, peer.bids)) {
            markets.push((&peer.family, peer.bids));
        }
    }
    let chart = |(family, bids): &(&str, usize)| {
        let ours = of(report, family, few(report));
        let ours = ours.iter().find(|row| row.bids == *bids)?;
        let mut group = vec![("Tender".to_owned(), "c3", ours.propose_ms, String::new())];
        for peer in &report.peers {
            if (&*peer.family, peer.bids) == (*family, *bids) {
                group.push((peer.peer.clone(), "peer", peer.ms, times(peer.ratio)));
            }
        }
        group.sort_by(|(.., a, _), (.., b, _)| b.total_cmp(a));
        let bar = |(name, colour, ms, ratio): (String, &'static str, f64, String)| {
            let time = format!("{} ms", three_digits(ms));
            Bar {
                says: format!("{time}  {ratio}"),
                parts: vec![(colour, ms, format!("{name}: {time}"))],
                name,
            }
        };
        let bars = Bars {
            title: format!("Beside other solvers: {}, {} bids", short_name(family), amount(*bids as u64)),
            caption: "ms on one core, and how many times ours that is; lengths by factors. Ours breaks ties and finds payments, too; others find a greatest \
                      surplus, the same."
                .into(),
            is_whole: false,
            scale: Scale::Log,
            are_shares: false,
            bars: group.into_iter().map(bar).collect(),
            legend: Vec::new(),
        };
        Some(bars.figure())
    };
    markets.iter().filter_map(chart).collect()
}

fn worst(report: &Report, out: &mut String) -> Result {
    let Some(worst) = &report.worst else {
        return Ok(());
    };
    writeln!(
        out,
        "<h2>Worst market found</h2>\n<p>{} families of {} bids were tried in {:.0} s. The one that took longest takes {} the natural one’s time to solve and pay:</p>\n\
         <p><code>tender bench clear --family natural,{} --entries {} --seed {}</code></p>",
        amount(worst.tried as u64),
        amount(worst.entries as u64),
        worst.seconds,
        times(worst.ratio),
        escape(&worst.family),
        worst.entries,
        worst.seed,
    )
}

fn rows<'a>(report: &Report, family: &'a str) -> Rows<'a> {
    let cells = |row: &Row| {
        let time =
            |median: f64, best: f64| format!("{} ({})", three_digits(median), three_digits(best));
        vec![
            amount(row.cores as u64),
            amount(row.agents as u64),
            amount(row.tasks as u64),
            amount(row.bids as u64),
            time(row.solve_ms, row.solve_best_ms),
            time(row.pay_ms, row.pay_best_ms),
            time(row.check_ms, row.check_best_ms),
            time(row.sha256_ms, row.sha256_best_ms),
            amount(row.rounds as u64),
            amount(row.won as u64),
            row.surplus.to_string(),
        ]
    };
    let rows = report.rows.iter().filter(|row| row.family == family);
    Rows {
        title: family,
        columns: &[
            ("cores", true),
            ("agents", true),
            ("tasks", true),
            ("bids", true),
            ("solve, ms (best)", true),
            ("pay", true),
            ("check", true),
            ("SHA-256", true),
            ("rounds", true),
            ("units won", true),
            ("surplus", true),
        ],
        rows: rows.map(cells).collect(),
    }
}

fn peer_rows(report: &Report) -> Rows<'static> {
    let cells = |row: &PeerRow| {
        vec![
            row.family.clone(),
            amount(row.bids as u64),
            row.peer.clone(),
            format!("{} ({})", three_digits(row.ms), three_digits(row.best_ms)),
            times(row.ratio),
            amount(row.rounds as u64),
            row.surplus.to_string(),
        ]
    };
    Rows {
        title: "Peers",
        columns: &[
            ("family", false),
            ("bids", true),
            ("peer", false),
            ("ms (best)", true),
            ("over ours", true),
            ("rounds", true),
            ("surplus, the same", true),
        ],
        rows: report.peers.iter().map(cells).collect(),
    }
}

fn method(report: &Report, out: &mut String) -> Result {
    let run = &report.run;
    writeln!(
        out,
        "<h2>How it was measured</h2>\n<p>Markets are drawn from family, size and seed: the same everywhere. A bid here is one price for one task; an agent of most \
         families has ten. In every round each market is solved, paid, checked and hashed on each number of cores, then given to other solvers, so that drift of the \
         machine hits all alike. What the checker derives must be what was proposed, and the same in every round.</p>\n<ul>\n\
         <li><b>solve</b>: from the market to the canonical optimum and its witness</li>\n<li><b>pay</b>: every winner’s Vickrey payment</li>\n\
         <li><b>check</b>: from market and witness to a verdict and all payments, as every peer but the proposer does</li>\n\
         <li><b>SHA-256</b>: of the bids, {}</li>",
        escape(run.hashed)
    )?;
    for (peer, what) in &report.about_peers {
        writeln!(out, "<li><b>{}</b>: {}</li>", escape(peer), escape(what))?;
    }
    writeln!(out, "</ul>")?;
    let facts = [
        ("date", date(run.date)),
        (
            "rounds",
            format!("{}; {:.0} s in all", run.rounds, run.seconds),
        ),
        (
            "noise",
            format!(
                "SHA-256’s times spread by up to {:.1} % of their median (10th to 90th percentile)",
                run.sha256_spread * 100.0
            ),
        ),
    ];
    let seed = run.seed.to_string();
    document::facts(out, &report.machine, &facts, &seed, &run.command)
}
