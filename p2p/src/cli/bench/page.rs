//! The page of a run of `tender bench verify`.

use super::{
    chart::{Bar, Bars, COST, Chart, Point, SPEED_UP, Scale, Series, escape},
    document::{self, Card, Head, Rows, date, on_cores},
    engine::{Engine, about, name},
    figures::times,
    microseconds,
    report::{Report, Row, Sweep},
    table::amount,
};
use std::fmt::{Result, Write as _};

/// The page.
pub(super) fn html(report: &Report) -> String {
    let mut out = String::new();
    let _ = write_page(report, &mut out); // writing to a string does not fail
    out
}

fn write_page(report: &Report, out: &mut String) -> Result {
    let lead = format!(
        "Groth16 over BN254, {}: from proof bytes and public inputs to a verdict for every proof, every check made.",
        main_type(report)
    );
    Head {
        command: "tender bench verify",
        title: "What verifying a proof costs",
        lead: &lead,
        machine: &report.machine,
        date: report.run.date,
        warnings: &report.warnings,
    }
    .write(out)?;
    document::cards(out, &highlights(report))?;
    document::charts(out, &charts(report))?;
    document::figures(out, &report.figures)?;
    writeln!(out, "<h2>Every row</h2>")?;
    for (sweep, title) in Sweep::TITLES {
        table(report, sweep, title).write(out)?;
    }
    method(report, out)?;
    document::end(out)
}

fn main_type(report: &Report) -> String {
    let row = of(report, Sweep::Size).next();
    row.map_or_else(String::new, |row| {
        format!("{} with {} public inputs", row.type_name, row.inputs)
    })
}

fn of(report: &Report, sweep: Sweep) -> impl Iterator<Item = &Row> + Clone {
    report.rows.iter().filter(move |row| row.sweep == sweep)
}

/// The fewest cores measured.
fn few(report: &Report) -> usize {
    let rows = of(report, Sweep::Size).map(|row| row.cores);
    rows.min().unwrap_or(1)
}

/// The batch in the highlights: that in which bad proofs are varied, else the largest.
fn large(report: &Report) -> usize {
    let bad = of(report, Sweep::Bad).map(|row| row.n).max();
    bad.or_else(|| of(report, Sweep::Size).map(|row| row.n).max())
        .unwrap_or(1)
}

/// The best engine on the large batch, beside the references.
fn highlights(report: &Report) -> Vec<Card> {
    let (n, few) = (large(report), few(report));
    let clean: Vec<&Row> = of(report, Sweep::Size).filter(|row| row.n == n).collect();
    let on = |cores: usize| clean.iter().copied().filter(move |row| row.cores == cores);
    let Some(best) = on(few).min_by(|a, b| a.us_per_proof.total_cmp(&b.us_per_proof)) else {
        return Vec::new();
    };
    let all = clean.iter().map(|row| row.cores).max().unwrap_or(few);
    let (batch, cores) = (amount(n as u64), on_cores(few));
    let mut cards = vec![Card {
        value: microseconds(best.us_per_proof),
        unit: "µs",
        title: "per proof".into(),
        note: format!("{}, batches of {batch}, {cores}", best.engine),
    }];
    let mut card = |value: String, title: &str, note: String| {
        let (unit, title) = ("", title.to_owned());
        cards.push(Card {
            value,
            unit,
            title,
            note,
        });
    };
    if best.engine != name(Engine::Naive) {
        let note = format!("arkworks, proof by proof, {cores}");
        card(best.times(), "the naive loop’s speed", note);
    }
    let batched = on(few).find(|row| row.engine == name(Engine::Arkworks));
    if let Some(other) = batched.filter(|other| other.engine != best.engine) {
        let over = times(other.us_per_proof / best.us_per_proof.max(1e-9));
        let note = format!("one equation for {batch}, {cores}");
        card(over, "arkworks’ speed in batches", note);
    }
    if let Some(row) = on(all).find(|row| row.engine == best.engine) {
        let speed = amount((1e6 / row.us_per_proof.max(1e-9)).round() as u64);
        let note = format!("{}, batches of {batch}, {}", row.engine, on_cores(all));
        card(speed, "proofs per second", note);
    }
    cards
}

fn charts(report: &Report) -> Vec<String> {
    let few = few(report);
    let sizes: Vec<&Row> = of(report, Sweep::Size).collect();
    let mut counts: Vec<usize> = sizes.iter().map(|row| row.cores).collect();
    counts.sort_unstable();
    counts.dedup();
    let (large, middle) = (
        large(report),
        of(report, Sweep::Inputs)
            .map(|row| row.n)
            .max()
            .unwrap_or(1),
    );
    let mut all = Vec::new();
    for cores in counts {
        let rows: Vec<&Row> = (sizes.iter().copied())
            .filter(|row| row.cores == cores)
            .collect();
        let chart = Chart {
            title: format!("Cost against batch size, {}", on_cores(cores)),
            caption: "Every proof good. Lines: medians; bands: up to the 95th percentile. Both scales by factors.".into(),
            is_whole: cores == few,
            x_label: "proofs in a batch".into(),
            measure: COST,
            ..lines(&rows, |row| row.n, |row| (row.n as f64).log2())
        };
        all.push(chart.figure());
    }
    all.extend(breakdown(report));
    all.extend(scaling(report, large));
    let clean = sizes
        .iter()
        .copied()
        .filter(|row| row.n == large && row.cores == few);
    let mut bad: Vec<&Row> = clean
        .chain(of(report, Sweep::Bad).filter(|row| row.n == large && row.cores == few))
        .collect();
    bad.sort_by_key(|row| row.bad_proofs);
    let mut steps: Vec<usize> = bad.iter().map(|row| row.bad_proofs).collect();
    steps.dedup();
    if steps.len() > 1 {
        let place = |row: &Row| steps.iter().position(|it| *it == row.bad_proofs);
        let chart = Chart {
            title: "Cost against bad proofs".into(),
            caption: format!(
                "Batches of {}, {}; every bad proof is found and named. The steps of the horizontal axis are those measured.",
                amount(large as u64),
                on_cores(few)
            ),
            x_label: format!("bad proofs of {}", amount(large as u64)),
            measure: COST,
            ..lines(
                &bad,
                |row| row.bad_proofs,
                |row| place(row).unwrap_or(0) as f64,
            )
        };
        all.push(chart.figure());
    }
    let mut inputs: Vec<&Row> = of(report, Sweep::Inputs).collect();
    inputs.sort_by_key(|row| row.inputs);
    let chart = Chart {
        title: "Cost against public inputs".into(),
        caption: format!(
            "Batches of {middle}, {}; a circuit for each number of inputs.",
            on_cores(few)
        ),
        x_label: "public inputs".into(),
        measure: COST,
        ..lines(&inputs, |row| row.inputs, |row| row.inputs as f64)
    };
    all.push(chart.figure());
    let one = sizes
        .iter()
        .copied()
        .filter(|row| row.n == middle && row.cores == few);
    let keys: Vec<&Row> = one.chain(of(report, Sweep::Keys)).collect();
    let chart = Chart {
        title: "Cost against verifying keys".into(),
        caption: format!(
            "Batches of {middle}, {}, in which proofs of several types stand side by side.",
            on_cores(few)
        ),
        x_label: "verifying keys in a batch".into(),
        measure: COST,
        ..lines(&keys, |row| row.keys, |row| row.keys as f64)
    };
    all.push(chart.figure());
    all.extend(peers(report));
    all
}

/// A line for each engine through its rows. `label` gives what is written on the horizontal axis, `place` where it stands.
fn lines(rows: &[&Row], label: impl Fn(&Row) -> usize, place: impl Fn(&Row) -> f64) -> Chart {
    let mut marks: Vec<(f64, String)> = Vec::new();
    for row in rows {
        let x = place(row);
        if !marks.iter().any(|(at, _)| *at == x) {
            marks.push((x, amount(label(row) as u64)));
        }
    }
    marks.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let series = |engine: Engine| {
        let rows = rows.iter().filter(|row| row.engine == name(engine));
        let mut points: Vec<_> = rows
            .map(|row| Point {
                x: place(row),
                median: row.us_per_proof,
                p95: row.p95,
            })
            .collect();
        points.sort_by(|a, b| a.x.total_cmp(&b.x));
        Series {
            name: name(engine).to_owned(),
            colour: colour(engine),
            points,
        }
    };
    Chart {
        title: String::new(),
        caption: String::new(),
        is_whole: false,
        x_label: String::new(),
        measure: COST,
        marks,
        scale: Scale::Log,
        series: (Engine::ALL.into_iter().map(series))
            .filter(|series| !series.points.is_empty())
            .collect(),
    }
}

fn colour(engine: Engine) -> &'static str {
    match engine {
        Engine::Naive => "c0",
        Engine::Arkworks => "c1",
        Engine::Portable => "c2",
        Engine::Ifma => "c3",
    }
}

/// How many times one core's speed several cores have.
fn scaling(report: &Report, n: usize) -> Option<String> {
    let rows: Vec<&Row> = of(report, Sweep::Size)
        .chain(of(report, Sweep::Cores))
        .filter(|row| row.n == n)
        .collect();
    let mut chart = Chart {
        title: "Speed against cores".into(),
        caption: format!(
            "Batches of {}, shared out over the cores.",
            amount(n as u64)
        ),
        x_label: "cores".into(),
        measure: SPEED_UP,
        scale: Scale::Linear,
        ..lines(&rows, |row| row.cores, |row| row.cores as f64)
    };
    for series in &mut chart.series {
        let one = series.points.iter().find(|point| point.x == 1.0)?.median;
        for point in &mut series.points {
            point.median = one / point.median.max(1e-9);
            point.p95 = point.median;
        }
    }
    let ideal = chart.marks.iter().map(|(x, _)| Point {
        x: *x,
        median: *x,
        p95: *x,
    });
    let ideal = Series {
        name: "one each".into(),
        colour: "quiet",
        points: ideal.collect(),
    };
    chart.series.insert(0, ideal);
    (chart.marks.len() > 1).then(|| chart.figure())
}

/// What stages take of an engine's time, above its Miller loops alone.
fn breakdown(report: &Report) -> Option<String> {
    let n = report.stages.first()?.n;
    let mut legend: Vec<(&'static str, String, Vec<String>)> = Vec::new();
    let mut bars = Vec::new();
    for (number, it) in report.stages.iter().enumerate() {
        let (mut parts, whole) = (Vec::new(), it.us_per_proof.max(1e-9));
        for part in &it.stages {
            let known = legend.iter().position(|(_, name, _)| name == part.stage);
            let place = known.unwrap_or(legend.len());
            let colour = STAGES.get(place).copied().unwrap_or("peer");
            if known.is_none() {
                let none = vec!["–".to_owned(); report.stages.len()];
                legend.push((colour, part.stage.to_owned(), none));
            }
            let share = 100.0 * part.us_per_proof / whole;
            let entry = legend.get_mut(place);
            if let Some(cell) = entry.and_then(|(_, _, numbers)| numbers.get_mut(number)) {
                *cell = format!("{:.2} µs · {share:.0} %", part.us_per_proof);
            }
            let says = format!("{}: {:.2} µs, {share:.0} %", part.stage, part.us_per_proof);
            parts.push((colour, part.us_per_proof, says));
        }
        bars.push(Bar {
            name: it.engine.to_owned(),
            says: format!(
                "{} µs, {} its Miller loops alone",
                microseconds(whole),
                times(whole / it.miller_loops.max(1e-9))
            ),
            parts,
        });
    }
    let bars = Bars {
        title: "Where the time goes".into(),
        caption: format!(
            "The stages of a batch of {}, per proof, 1 core.",
            amount(n as u64)
        ),
        is_whole: false,
        scale: Scale::Linear,
        are_shares: true,
        bars,
        legend,
    };
    Some(bars.figure())
}

/// The style sheet's colours for stages.
const STAGES: [&str; 8] = ["s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7"];

/// Other verifiers beside the engines, on proofs one by one, and the best engine's batch.
fn peers(report: &Report) -> Option<String> {
    let mut rows: Vec<(&Row, String)> = of(report, Sweep::Peer)
        .map(|row| (row, row.engine.clone()))
        .collect();
    if rows.is_empty() {
        return None;
    }
    let n = large(report);
    let own = of(report, Sweep::Size).filter(|row| row.cores == 1 && (row.n == 1 || row.n == n));
    let own = own.filter(|row| row.engine != name(Engine::Naive));
    rows.extend(own.map(|row| {
        let batch = if row.n == 1 {
            "one proof".to_owned()
        } else {
            format!("batches of {}", amount(row.n as u64))
        };
        (row, format!("{}, {batch}", row.engine))
    }));
    rows.sort_by(|(a, _), (b, _)| b.us_per_proof.total_cmp(&a.us_per_proof));
    let bar = |(row, name): &(&Row, String)| {
        let engine = Engine::ALL
            .into_iter()
            .find(|it| self::name(*it) == row.engine);
        let time = microseconds(row.us_per_proof);
        Bar {
            name: name.clone(),
            says: format!("{time} µs  {}", row.times()),
            parts: vec![(
                engine.map_or("peer", colour),
                row.us_per_proof,
                format!("{name}: median {time} µs, p95 {} µs", microseconds(row.p95)),
            )],
        }
    };
    let bars = Bars {
        title: "Beside other verifiers".into(),
        caption: "µs per proof on one core, and times the naive loop’s speed; lengths by factors. The same proofs for all; what each starts from and \
                  checks is said below."
            .into(),
        is_whole: true,
        scale: Scale::Log,
        are_shares: false,
        bars: rows.iter().map(bar).collect(),
        legend: Vec::new(),
    };
    Some(bars.figure())
}

fn table<'a>(report: &Report, sweep: Sweep, title: &'a str) -> Rows<'a> {
    let cells = |row: &Row| {
        let speed = if row.us_per_proof > 0.0 {
            1e6 / row.us_per_proof
        } else {
            0.0
        };
        vec![
            row.engine.clone(),
            amount(row.cores as u64),
            amount(row.n as u64),
            amount(row.bad_proofs as u64),
            amount(row.inputs as u64),
            amount(row.keys as u64),
            microseconds(row.us_per_proof),
            microseconds(row.p95),
            row.times(),
            amount(speed.round() as u64),
            amount(row.samples as u64),
            row.type_name.clone(),
        ]
    };
    Rows {
        title,
        columns: &[
            ("engine", false),
            ("cores", true),
            ("n", true),
            ("bad", true),
            ("inputs", true),
            ("keys", true),
            ("µs/proof", true),
            ("p95", true),
            ("ratio", true),
            ("proofs/s", true),
            ("samples", true),
            ("type", false),
        ],
        rows: of(report, sweep).map(cells).collect(),
    }
}

fn method(report: &Report, out: &mut String) -> Result {
    let run = &report.run;
    writeln!(
        out,
        "<h2>How it was measured</h2>\n<p>From proof bytes, public inputs and parsed keys to a verdict for every proof, under one strict policy for all engines. \
         All engines and batches take turns within one run, on the same proofs, so that drift of the machine hits all alike; what takes long has its turn \
         in fewer rounds. Every verdict was compared with the expected one. A bad proof is a well-formed proof of another statement. A row’s ratio is the naive \
         loop’s median time per proof in the same situation over the row’s own.</p>\n\
         <p>No proof occurs twice in a batch: {} were proven, each of a statement of its own; larger batches are filled with re-randomised ones, each \
         another valid proof of one of these statements. The naive loop is timed on {} proofs of a larger batch, others in each round: what it costs for a proof \
         does not depend on how many come after.</p>\n<ul>",
        amount(run.proven as u64),
        run.naive_sample,
    )?;
    for engine in Engine::ALL {
        let Some(engine) = run.engines.contains(&name(engine)).then_some(engine) else {
            continue;
        };
        writeln!(
            out,
            "<li><b>{}</b>: {}</li>",
            name(engine),
            escape(about(engine))
        )?;
    }
    for (peer, what) in &report.peers {
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
            "proofs",
            format!(
                "{} distinct ones, {} of them proven",
                amount(run.distinct_proofs as u64),
                amount(run.proven as u64)
            ),
        ),
        (
            "noise",
            format!(
                "the naive loop’s times spread by {:.1} % of their median (10th to 90th percentile)",
                run.naive_spread * 100.0
            ),
        ),
    ];
    document::facts(out, &report.machine, &facts, &run.seed, &run.command)
}
