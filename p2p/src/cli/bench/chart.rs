//! Small charts as SVG inside a page: no scripts, no network, colours from the page's style sheet.
//!
//! A chart is drawn twice, wide and narrow, and the style sheet shows the one that fits: so letters have the size of the page's own. Pointing at a
//! point or a bar shows its numbers.

use super::three_digits;
use std::fmt::{Result, Write as _};

/// Width and height of a drawing, and its class in the style sheet.
type Frame = (f64, f64, &'static str);
const WIDE: Frame = (546.0, 340.0, "wide");
const WHOLE: Frame = (1128.0, 420.0, "wide");
const NARROW: Frame = (336.0, 320.0, "narrow");

const LEFT: f64 = 58.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 46.0;
/// Room to the right, with and without the lines' names there.
const NAMES: f64 = 118.0;
const MARGIN: f64 = 14.0;
/// Width of a letter and height of a line, roughly.
const LETTER: f64 = 7.0;
const LINE: f64 = 16.0;
/// Height of a bar with its name, and where bars begin.
const BAR: f64 = 52.0;
const THIN_BAR: f64 = 44.0;

/// How the vertical axis is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    /// From zero, evenly.
    Linear,
    /// By factors.
    Log,
}

/// What the vertical axis counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Measure {
    /// What it is called.
    pub(super) label: &'static str,
    /// The unit of times; nothing for plain numbers.
    pub(super) unit: &'static str,
}

/// Speed-ups.
pub(super) const SPEED_UP: Measure = Measure {
    label: "times one core's speed",
    unit: "",
};
/// Costs of proofs.
pub(super) const COST: Measure = Measure {
    label: "µs per proof",
    unit: "µs",
};

/// A value at a place of the horizontal axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) median: f64,
    pub(super) p95: f64,
}

/// A line of a chart.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) name: String,
    /// Its colour, a class of the style sheet.
    pub(super) colour: &'static str,
    pub(super) points: Vec<Point>,
}

/// A chart of lines.
#[derive(Clone, Debug)]
pub(super) struct Chart {
    pub(super) title: String,
    pub(super) caption: String,
    /// Whether it has the page's whole width.
    pub(super) is_whole: bool,
    pub(super) x_label: String,
    pub(super) measure: Measure,
    /// Where the horizontal axis is marked, and with what.
    pub(super) marks: Vec<(f64, String)>,
    pub(super) scale: Scale,
    pub(super) series: Vec<Series>,
}

/// A bar, of one part or several.
#[derive(Clone, Debug)]
pub(super) struct Bar {
    pub(super) name: String,
    /// What is written behind it.
    pub(super) says: String,
    /// Colour, size and name of each part.
    pub(super) parts: Vec<(&'static str, f64, String)>,
}

/// Bars below each other, all to one scale that begins at zero, or by factors from one.
#[derive(Clone, Debug)]
pub(super) struct Bars {
    pub(super) title: String,
    pub(super) caption: String,
    /// Whether it has the page's whole width.
    pub(super) is_whole: bool,
    pub(super) scale: Scale,
    /// Whether each bar fills the width: where shares matter, and not sizes.
    pub(super) are_shares: bool,
    pub(super) bars: Vec<Bar>,
    /// Colours, what they stand for, and a number for each bar.
    pub(super) legend: Vec<(&'static str, String, Vec<String>)>,
}

/// The vertical axis: its ends and its marks.
struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
    marks: Vec<f64>,
}

impl Axis {
    fn of(scale: Scale, values: impl Iterator<Item = f64>) -> Self {
        let (mut least, mut most) = (f64::MAX, f64::MIN_POSITIVE);
        for value in values.filter(|v| v.is_finite() && *v > 0.0) {
            least = least.min(value);
            most = most.max(value);
        }
        let least = least.min(most);
        match scale {
            Scale::Log => {
                let decades = least.log10().floor() as i32..=most.log10().ceil() as i32;
                let all: Vec<f64> = decades
                    .flat_map(|decade| [1.0, 2.0, 5.0].map(|m| m * 10f64.powi(decade)))
                    .collect();
                let low = all.iter().copied().rfind(|m| *m < least / 1.1);
                let high = all.iter().copied().find(|m| *m >= most);
                let (low, high) = (low.unwrap_or(least), high.unwrap_or(most));
                let (low, high) = if low < high {
                    (low, high)
                } else {
                    (low, low * 2.0)
                };
                let mut marks = all;
                marks.retain(|m| (low..=high).contains(m));
                if marks.len() > 10 {
                    marks.retain(|m| (m.log10() - m.log10().round()).abs() < 1e-9);
                }
                Axis {
                    scale,
                    low,
                    high,
                    marks,
                }
            }
            Scale::Linear => {
                let raw = most / 5.0;
                let decade = 10f64.powf(raw.log10().floor());
                let step = [1.0, 2.0, 2.5, 5.0, 10.0]
                    .map(|m| m * decade)
                    .into_iter()
                    .find(|step| *step >= raw)
                    .unwrap_or(raw);
                let steps = (most / step).ceil() as u32;
                let marks = (0..=steps).map(|at| f64::from(at) * step).collect();
                Axis {
                    scale,
                    low: 0.0,
                    high: f64::from(steps) * step,
                    marks,
                }
            }
        }
    }

    /// How far along a value stands, from 0 to 1.
    fn along(&self, value: f64) -> f64 {
        let along = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log => {
                (value.max(self.low).log10() - self.low.log10())
                    / (self.high.log10() - self.low.log10())
            }
        };
        along.clamp(0.0, 1.0)
    }
}

/// A chart in one frame.
struct Drawing<'a> {
    chart: &'a Chart,
    axis: Axis,
    height: f64,
    /// Where the plot ends to the right.
    right: f64,
    is_narrow: bool,
}

impl Chart {
    /// The chart as a `<figure>`.
    pub(super) fn figure(&self) -> String {
        let mut out = String::new();
        let _ = self.write(&mut out); // writing to a string does not fail
        out
    }

    fn write(&self, out: &mut String) -> Result {
        let wide = if self.is_whole { WHOLE } else { WIDE };
        head(out, &self.title, &self.caption, self.is_whole)?;
        for (width, height, class) in [wide, NARROW] {
            open(out, &self.title, width, height, class)?;
            let points = self.series.iter().flat_map(|s| &s.points);
            let is_narrow = class == NARROW.2;
            let drawing = Drawing {
                chart: self,
                axis: Axis::of(self.scale, points.flat_map(|p| [p.median, p.p95])),
                height,
                right: width - if is_narrow { MARGIN } else { NAMES },
                is_narrow,
            };
            drawing.axes(out)?;
            for series in &self.series {
                drawing.line(out, series)?;
            }
            drawing.names(out)?;
            writeln!(out, "</svg>")?;
        }
        let entries = self.series.iter();
        let entries = entries.map(|series| (series.colour, &*series.name));
        legend(out, " narrow", entries)?; // names stand at the lines of the wide one
        writeln!(out, "</figure>")
    }
}

impl Drawing<'_> {
    fn up(&self, value: f64) -> f64 {
        self.height - BOTTOM - self.axis.along(value) * (self.height - BOTTOM - TOP)
    }

    /// Where a value of the horizontal axis stands; a margin is kept on both sides.
    fn across(&self, x: f64) -> f64 {
        let ends = self.chart.marks.iter().map(|(at, _)| *at);
        let (low, high) = ends.fold((f64::MAX, f64::MIN), |(low, high), at| {
            (low.min(at), high.max(at))
        });
        let along = if high > low {
            (x - low) / (high - low)
        } else {
            0.5
        };
        LEFT + MARGIN + along * (self.right - LEFT - 2.0 * MARGIN)
    }

    fn axes(&self, out: &mut String) -> Result {
        for mark in &self.axis.marks {
            let y = self.up(*mark);
            writeln!(
                out,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                self.right,
                LEFT - 7.0,
                y + 4.0,
                short(*mark),
            )?;
        }
        let (foot, mut taken) = (self.height - BOTTOM, f64::MIN);
        for (x, label) in &self.chart.marks {
            let (x, half) = (self.across(*x), label.chars().count() as f64 * LETTER / 2.0);
            writeln!(
                out,
                "<line class=\"tick\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{foot:.1}\" y2=\"{:.1}\"/>",
                foot + 4.0
            )?;
            if x - half < taken {
                continue;
            }
            taken = x + half + 2.0;
            writeln!(
                out,
                "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                foot + 18.0,
                escape(label),
            )?;
        }
        writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" class=\"label\">{}</text>",
            (LEFT + self.right) / 2.0,
            self.height - 8.0,
            escape(&self.chart.x_label),
        )?;
        writeln!(
            out,
            "<text transform=\"rotate(-90)\" x=\"{:.1}\" y=\"12\" text-anchor=\"middle\" class=\"label\">{}</text>",
            -(TOP + foot) / 2.0,
            escape(self.chart.measure.label),
        )
    }

    /// The medians as a line, and what lies between them and the 95th percentiles as a band.
    fn line(&self, out: &mut String, series: &Series) -> Result {
        let colour = series.colour;
        let places = |value: fn(&Point) -> f64| -> Vec<String> {
            let place = |p: &Point| format!("{:.1},{:.1}", self.across(p.x), self.up(value(p)));
            series.points.iter().map(place).collect()
        };
        let (medians, mut tops) = (places(|p| p.median), places(|p| p.p95));
        tops.reverse();
        writeln!(
            out,
            "<polygon class=\"band {colour}\" points=\"{} {}\"/><polyline class=\"{colour}\" points=\"{}\"/>",
            medians.join(" "),
            tops.join(" "),
            medians.join(" "),
        )?;
        for point in &series.points {
            let (x, y, top) = (
                self.across(point.x),
                self.up(point.median),
                self.up(point.p95),
            );
            let label = self.chart.marks.iter().find(|(at, _)| *at == point.x);
            let numbers = match self.chart.measure.unit {
                "" => format!("{:.2}", point.median),
                unit => format!(
                    "median {} {unit}, p95 {} {unit}",
                    three_digits(point.median),
                    three_digits(point.p95)
                ),
            };
            writeln!(
                out,
                "<g class=\"{colour}\"><line class=\"spread\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{y:.1}\" y2=\"{top:.1}\"/>\
                 <circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{}\"/><title>{}, {} {}: {numbers}</title></g>",
                if self.is_narrow { 3 } else { 4 },
                escape(&series.name),
                escape(&self.chart.x_label),
                label.map_or_else(String::new, |(_, text)| escape(text)),
            )?;
        }
        Ok(())
    }

    /// Every line's name where it ends, pushed apart where lines end together.
    fn names(&self, out: &mut String) -> Result {
        if self.is_narrow {
            return Ok(()); // the legend has them
        }
        let end = |series: &&Series| series.points.last().map(|p| (self.up(p.median), p.x));
        let mut ends: Vec<(f64, f64, &Series)> = self
            .chart
            .series
            .iter()
            .filter_map(|series| end(&series).map(|(y, x)| (y, x, series)))
            .collect();
        ends.sort_by(|(a, ..), (b, ..)| a.total_cmp(b));
        let lowest = self.height - BOTTOM;
        let room = ends.len() as f64 * LINE;
        let mut next = (TOP + 4.0).min(lowest - room);
        for (at, (y, x, series)) in ends.iter().enumerate() {
            let below = ends.len().saturating_sub(at) as f64;
            let place = (y + 4.0).max(next).min(lowest + 4.0 - (below - 1.0) * LINE);
            next = place + LINE;
            writeln!(
                out,
                "<text class=\"name {}\" x=\"{:.1}\" y=\"{place:.1}\">{}</text>",
                series.colour,
                self.across(*x) + 9.0,
                escape(&series.name),
            )?;
        }
        Ok(())
    }
}

impl Bars {
    /// The bars as a `<figure>`.
    pub(super) fn figure(&self) -> String {
        let mut out = String::new();
        let _ = self.write(&mut out); // writing to a string does not fail
        out
    }

    fn write(&self, out: &mut String) -> Result {
        head(out, &self.title, &self.caption, self.is_whole)?;
        let sizes = self.bars.iter().map(Bar::size);
        let most = sizes.clone().fold(f64::MIN_POSITIVE, f64::max);
        let least = sizes.filter(|size| *size > 0.0).fold(most, f64::min);
        // By factors, the shortest bar still is one.
        let low = least / 2.0;
        let along = |size: f64| match self.scale {
            Scale::Linear => size / most,
            Scale::Log => (size.max(low) / low).ln() / (most / low).ln(),
        };
        let pitch = if self.bars.len() > 4 { THIN_BAR } else { BAR };
        let height = self.bars.len() as f64 * pitch + 6.0;
        let wide = if self.is_whole { WHOLE } else { WIDE };
        for (width, _, class) in [wide, NARROW] {
            open(out, &self.title, width, height, class)?;
            for (at, bar) in self.bars.iter().enumerate() {
                let top = at as f64 * pitch;
                writeln!(
                    out,
                    "<text x=\"0\" y=\"{:.1}\">{}</text><text class=\"label\" x=\"{width}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                    top + 14.0,
                    escape(&bar.name),
                    top + 14.0,
                    escape(&bar.says),
                )?;
                let size = bar.size();
                let length = width * if self.are_shares { 1.0 } else { along(size) };
                let mut x = 0.0;
                for (colour, part, what) in &bar.parts {
                    let wide = length * part / size.max(f64::MIN_POSITIVE);
                    writeln!(
                        out,
                        "<rect class=\"{colour}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"2\"><title>{}</title></rect>",
                        top + 20.0,
                        (wide - 1.0).max(0.5),
                        pitch - 30.0,
                        escape(what),
                    )?;
                    x += wide;
                }
            }
            writeln!(out, "</svg>")?;
        }
        if !self.legend.is_empty() {
            self.numbers(out)?;
        }
        writeln!(out, "</figure>")
    }
}

impl Bars {
    /// The legend as a table, with a column for each bar.
    fn numbers(&self, out: &mut String) -> Result {
        write!(out, "<table class=\"key\">\n<tr><th></th>")?;
        for bar in &self.bars {
            write!(out, "<th class=\"number\">{}</th>", escape(&bar.name))?;
        }
        writeln!(out, "</tr>")?;
        for (colour, name, numbers) in &self.legend {
            write!(
                out,
                "<tr><td><i class=\"{colour}\"></i>{}</td>",
                escape(name)
            )?;
            for number in numbers {
                write!(out, "<td class=\"number\">{}</td>", escape(number))?;
            }
            writeln!(out, "</tr>")?;
        }
        writeln!(out, "</table>")
    }
}

impl Bar {
    fn size(&self) -> f64 {
        self.parts.iter().map(|(_, size, _)| size).sum()
    }
}

fn head(out: &mut String, title: &str, caption: &str, is_whole: bool) -> Result {
    let class = if is_whole { " class=\"whole\"" } else { "" };
    writeln!(
        out,
        "<figure{class}>\n<h3>{}</h3>\n<p class=\"note\">{}</p>",
        escape(title),
        escape(caption)
    )
}

fn open(out: &mut String, title: &str, width: f64, height: f64, class: &str) -> Result {
    writeln!(
        out,
        "<svg class=\"{class}\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">",
        escape(title)
    )
}

fn legend<'a>(
    out: &mut String,
    class: &str,
    entries: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result {
    writeln!(out, "<ul class=\"legend{class}\">")?;
    for (colour, name) in entries {
        writeln!(out, "<li><i class=\"{colour}\"></i>{}</li>", escape(name))?;
    }
    writeln!(out, "</ul>")
}

/// A mark of the vertical axis: `500`, `2,000`, `0.5`.
fn short(value: f64) -> String {
    if value == 0.0 || value >= 10.0 {
        super::table::amount(value.round() as u64)
    } else {
        let digits = 1.0 - value.abs().log10().floor(); // two that count
        let whole = 10f64.powf(digits);
        format!("{}", (value * whole).round() / whole)
    }
}

/// Text as it stands in HTML.
pub(super) fn escape(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_cover_their_values_with_marks_at_both_ends() {
        for values in [vec![310.0, 1450.0], vec![12.0, 12.0], vec![0.7, 90_000.0]] {
            for scale in [Scale::Log, Scale::Linear] {
                let axis = Axis::of(scale, values.iter().copied());
                assert!(axis.marks.len() >= 2, "{values:?} {:?}", axis.marks);
                assert_eq!(axis.along(axis.low), 0.0);
                assert_eq!(axis.along(axis.high), 1.0);
                for value in &values {
                    assert!((axis.low..=axis.high).contains(value), "{values:?}");
                }
            }
        }
        let texts = [0.0, 0.002, 0.05, 0.5, 2.5, 12.0, 2000.0].map(short);
        assert_eq!(texts, ["0", "0.002", "0.05", "0.5", "2.5", "12", "2,000"]);
        let axis = Axis::of(Scale::Log, [310.0, 1450.0].into_iter());
        assert_eq!(axis.marks, [200.0, 500.0, 1000.0, 2000.0]);
    }

    fn chart(names: &[&str], medians: &[f64]) -> Chart {
        let series = |(name, median): (&&str, &f64)| Series {
            name: (*name).into(),
            colour: "c1",
            points: vec![Point {
                x: 1.0,
                median: *median,
                p95: median * 1.5,
            }],
        };
        Chart {
            title: "<script>".into(),
            caption: "a & b".into(),
            is_whole: false,
            x_label: "n".into(),
            measure: COST,
            marks: vec![(1.0, "1".into())],
            scale: Scale::Log,
            series: names.iter().zip(medians).map(series).collect(),
        }
    }

    #[test]
    fn names_cannot_become_markup() {
        let html = chart(&["\"x\""], &[2.0]).figure();
        assert!(!html.contains("<script>") && html.contains("&lt;script&gt;"));
        assert!(html.contains("a &amp; b") && html.contains("&quot;x&quot;"));
        let bars = Bars {
            title: "<b>".into(),
            caption: "<em>".into(),
            is_whole: false,
            scale: Scale::Linear,
            are_shares: false,
            bars: vec![Bar {
                name: "<u>".into(),
                says: "<s>".into(),
                parts: vec![("c0", 1.0, "<em>".into())],
            }],
            legend: vec![("c0", "<p>".into(), vec!["<q>".into()])],
        };
        let html = bars.figure();
        for markup in ["<b>", "<u>", "<s>", "<em>", "<p>", "<q>"] {
            assert!(!html.contains(markup), "{markup}");
        }
    }

    /// Lines that end together, at the top, at the bottom and in the middle, have names that can be read.
    #[test]
    fn names_of_lines_do_not_overlap() {
        for medians in [[9.0; 5], [1.0; 5], [1.0, 1.01, 3.0, 9.0, 9.0]] {
            let html = chart(&["a", "b", "c", "d", "e"], &medians).figure();
            let places: Vec<f64> = html
                .split("class=\"name")
                .skip(1)
                .map(|rest| {
                    let (_, rest) = rest.split_once("y=\"").unwrap();
                    rest.split('"').next().unwrap().parse().unwrap()
                })
                .collect();
            assert_eq!(places.len(), 5);
            for pair in places.windows(2) {
                assert!(pair[1] - pair[0] >= LINE - 0.2, "{places:?}");
            }
            assert!(
                places
                    .iter()
                    .all(|y| (0.0..=WIDE.1 - BOTTOM + 5.0).contains(y))
            );
        }
    }

    #[test]
    fn bars_are_as_long_as_what_they_stand_for() {
        let bar = |size: f64| Bar {
            name: "x".into(),
            says: String::new(),
            parts: vec![
                ("c0", size / 4.0, String::new()),
                ("c1", size * 0.75, String::new()),
            ],
        };
        let html = Bars {
            title: "t".into(),
            caption: String::new(),
            is_whole: false,
            scale: Scale::Linear,
            are_shares: false,
            bars: vec![bar(100.0), bar(50.0)],
            legend: Vec::new(),
        }
        .figure();
        let widths: Vec<f64> = html
            .split("<rect")
            .skip(1)
            .map(|rest| {
                let (_, rest) = rest.split_once(" width=\"").unwrap();
                rest.split('"').next().unwrap().parse::<f64>().unwrap() + 1.0
            })
            .collect();
        assert_eq!(widths.len(), 8, "two bars of two parts, wide and narrow");
        for (width, of) in widths.iter().zip([0.25, 0.75, 0.125, 0.375]) {
            assert!((width - WIDE.0 * of).abs() < 0.2, "{widths:?}");
        }
    }
}
