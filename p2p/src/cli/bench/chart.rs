//! Small line charts as SVG inside a page: no scripts, no network, colours from the page's style sheet.
//!
//! A point is a median; the line above it ends at the 95th percentile. Pointing at one shows its numbers.

use super::microseconds;
use std::fmt::Write as _;

const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 46.0;
/// Colours the style sheet knows, as `c0`, `c1`, …
const COLOURS: usize = 6;

/// How the vertical axis is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    /// From zero, evenly.
    Linear,
    /// By factors.
    Log,
}

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
    /// Which colour; which pattern of dashes (0: none).
    pub(super) colour: usize,
    pub(super) dashes: usize,
    pub(super) points: Vec<Point>,
}

/// A chart of times per proof.
#[derive(Clone, Debug)]
pub(super) struct Chart {
    pub(super) title: String,
    pub(super) caption: String,
    pub(super) x_label: String,
    /// Where the horizontal axis is marked, and with what.
    pub(super) marks: Vec<(f64, String)>,
    pub(super) scale: Scale,
    pub(super) series: Vec<Series>,
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
                let low = all.iter().copied().rfind(|m| *m <= least);
                let high = all.iter().copied().find(|m| *m >= most);
                let (low, high) = (low.unwrap_or(least), high.unwrap_or(most));
                let (low, high) = if low < high {
                    (low, high)
                } else {
                    (low, low * 2.0)
                };
                let mut marks = all;
                marks.retain(|m| (low..=high).contains(m));
                if marks.len() > 9 {
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

    fn place(&self, value: f64) -> f64 {
        let along = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log => {
                (value.max(self.low).log10() - self.low.log10())
                    / (self.high.log10() - self.low.log10())
            }
        };
        HEIGHT - BOTTOM - along.clamp(0.0, 1.0) * (HEIGHT - BOTTOM - TOP)
    }
}

impl Chart {
    /// The chart as a `<figure>`.
    pub(super) fn figure(&self) -> String {
        let mut out = String::new();
        let _ = self.write(&mut out); // writing to a string does not fail
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let (title, caption) = (escape(&self.title), escape(&self.caption));
        writeln!(
            out,
            "<figure>\n<h3>{title}</h3>\n<p class=\"note\">{caption}</p>"
        )?;
        writeln!(
            out,
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">"
        )?;
        let points = self.series.iter().flat_map(|s| &s.points);
        let axis = Axis::of(self.scale, points.flat_map(|p| [p.median, p.p95]));
        for mark in &axis.marks {
            let y = axis.place(*mark);
            writeln!(
                out,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 7.0,
                y + 4.0,
                short(*mark),
            )?;
        }
        for (x, label) in &self.marks {
            writeln!(
                out,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                self.across(*x),
                HEIGHT - BOTTOM + 18.0,
                escape(label),
            )?;
        }
        writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" class=\"label\">{}</text>",
            (LEFT + WIDTH - RIGHT) / 2.0,
            HEIGHT - 8.0,
            escape(&self.x_label),
        )?;
        writeln!(
            out,
            "<text transform=\"rotate(-90)\" x=\"{:.1}\" y=\"13\" text-anchor=\"middle\" class=\"label\">µs per proof</text>",
            -(TOP + HEIGHT - BOTTOM) / 2.0,
        )?;
        for series in &self.series {
            self.line(out, series, &axis)?;
        }
        writeln!(out, "</svg>\n<ul class=\"legend\">")?;
        for series in &self.series {
            writeln!(
                out,
                "<li><svg viewBox=\"0 0 28 10\" aria-hidden=\"true\"><line class=\"{}\" x1=\"0\" x2=\"28\" y1=\"5\" y2=\"5\"/></svg>{}</li>",
                class(series),
                escape(&series.name),
            )?;
        }
        writeln!(out, "</ul>\n</figure>")
    }

    fn line(&self, out: &mut String, series: &Series, axis: &Axis) -> std::fmt::Result {
        let class = class(series);
        let corners: Vec<_> = series
            .points
            .iter()
            .map(|p| format!("{:.1},{:.1}", self.across(p.x), axis.place(p.median)))
            .collect();
        writeln!(
            out,
            "<polyline class=\"{class}\" points=\"{}\"/>",
            corners.join(" ")
        )?;
        for point in &series.points {
            let (x, y, top) = (
                self.across(point.x),
                axis.place(point.median),
                axis.place(point.p95),
            );
            let label = self.marks.iter().find(|(at, _)| *at == point.x);
            writeln!(
                out,
                "<g class=\"{class}\"><line class=\"spread\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{y:.1}\" y2=\"{top:.1}\"/>\
                 <line class=\"spread\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{top:.1}\" y2=\"{top:.1}\"/>\
                 <circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/><title>{}, {} {}: median {} µs, p95 {} µs</title></g>",
                x - 4.0,
                x + 4.0,
                escape(&series.name),
                escape(&self.x_label),
                label.map_or_else(String::new, |(_, text)| escape(text)),
                microseconds(point.median),
                microseconds(point.p95),
            )?;
        }
        Ok(())
    }

    /// Where a value of the horizontal axis stands; a margin is kept on both sides.
    fn across(&self, x: f64) -> f64 {
        let ends = self.marks.iter().map(|(at, _)| *at);
        let (low, high) = ends.fold((f64::MAX, f64::MIN), |(low, high), at| {
            (low.min(at), high.max(at))
        });
        let along = if high > low {
            (x - low) / (high - low)
        } else {
            0.5
        };
        let margin = 20.0;
        LEFT + margin + along * (WIDTH - RIGHT - LEFT - 2.0 * margin)
    }
}

fn class(series: &Series) -> String {
    format!(
        "c{} d{}",
        series.colour.checked_rem(COLOURS).unwrap_or(0),
        series.dashes.min(2)
    )
}

/// A mark of the vertical axis: `500`, `2,000`, `0.5`.
fn short(value: f64) -> String {
    if value == 0.0 || value >= 10.0 {
        super::table::amount(value.round() as u64)
    } else {
        format!("{}", (value * 100.0).round() / 100.0)
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
                for value in &values {
                    assert!((axis.low..=axis.high).contains(value), "{values:?}");
                    let y = axis.place(*value);
                    assert!((TOP..=HEIGHT - BOTTOM).contains(&y));
                }
            }
        }
        let axis = Axis::of(Scale::Log, [310.0, 1450.0].into_iter());
        assert_eq!(axis.marks, [200.0, 500.0, 1000.0, 2000.0]);
    }

    #[test]
    fn names_cannot_become_markup() {
        let chart = Chart {
            title: "<script>".into(),
            caption: "a & b".into(),
            x_label: "n".into(),
            marks: vec![(1.0, "1".into())],
            scale: Scale::Log,
            series: vec![Series {
                name: "\"x\"".into(),
                colour: 9,
                dashes: 0,
                points: vec![Point {
                    x: 1.0,
                    median: 2.0,
                    p95: 3.0,
                }],
            }],
        };
        let html = chart.figure();
        assert!(!html.contains("<script>") && html.contains("&lt;script&gt;"));
        assert!(html.contains("a &amp; b") && html.contains("&quot;x&quot;"));
        assert!(html.contains("class=\"c3 d0\""));
    }
}
