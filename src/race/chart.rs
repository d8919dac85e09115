//! Charts as inline SVG: numbers in, markup out. Classes in `page.css` set the colours.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::telemetry::trace::{Label, Phase, Row, Span, Timeline};
use maud::{Markup, html};

use crate::race::number_format::grouped;

/// Width of every chart in SVG units. One unit is one pixel if the page is wide enough.
const WIDTH: f64 = 960.0;
/// Width of the label column; the plot area begins to its right.
const LABEL_WIDTH: f64 = 132.0;
/// Width of the plot area, with a right margin of 16.
const PLOT_WIDTH: f64 = WIDTH - LABEL_WIDTH - 16.0;

/// The phases drawn in timelines, with their CSS class and description. Later phases cover earlier
/// ones. `Pausing` is not drawn.
pub const PHASES: [(Phase, &str, &str); 5] = [
    (Phase::Waiting, "waiting", "waiting for a response"),
    (Phase::Receiving, "receiving", "receiving the body"),
    (Phase::Failing, "failing", "failed request"),
    (Phase::Inflating, "inflating", "inflating"),
    (Phase::Reading, "reading", "parsing"),
];

/// One bar: the median, with a whisker from the slowest to the fastest run.
pub struct Bar {
    pub name: String,
    pub value: f64,
    pub min: f64,
    pub max: f64,
    /// Text to the right of the bar.
    pub label: String,
    /// Drawn in the accent colour: indexrank's own pipeline.
    pub is_highlighted: bool,
}

/// Draws horizontal bars with their names. `limit` is the name and value of an upper bound, drawn as a
/// vertical line. The line is omitted if the bound exceeds 1.25 × the largest `max`.
pub fn bars(id: &str, title: &str, unit: &str, bars: &[Bar], limit: Option<(&str, f64)>) -> Markup {
    const STEP: f64 = 26.0;
    const VALUE_WIDTH: f64 = 190.0;
    let longest = bars.iter().map(|bar| bar.max).fold(0.0, f64::max);
    let scale = (PLOT_WIDTH - VALUE_WIDTH) / longest;
    let bottom = bars.len() as f64 * STEP + 8.0;
    let visible_limit = limit.filter(|(_, limit)| *limit <= longest * 1.25);
    let description: Vec<String> = bars
        .iter()
        .map(|bar| format!("{}: {}", bar.name, bar.label))
        .collect();
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {}", bottom + 36.0)) role="img" aria-labelledby=(format!("{id}-t {id}-d")) {
            title id=(format!("{id}-t")) { (title) }
            desc id=(format!("{id}-d")) { (description.join("; ")) }
            @for tick in ticks(longest) {
                @let x = LABEL_WIDTH + tick * scale;
                line.grid x1=(px(x)) x2=(px(x)) y1="0" y2=(px(bottom)) {}
                text.tick x=(px(x)) y=(px(bottom + 14.0)) text-anchor="middle" { (grouped(tick)) }
            }
            text.tick x=(px(LABEL_WIDTH - 8.0)) y=(px(bottom + 14.0)) text-anchor="end" { (unit) }
            @if let Some((limit_name, limit)) = visible_limit {
                @let x = LABEL_WIDTH + limit * scale;
                line.limit x1=(px(x)) x2=(px(x)) y1="0" y2=(px(bottom)) {}
                text.tick.limit x=(px(x)) y=(px(bottom + 30.0)) text-anchor="middle" { (limit_name) " " (grouped(limit.round())) }
            }
            @for (index, bar) in bars.iter().enumerate() {
                @let y = index as f64 * STEP + 6.0;
                @let center = y + 8.0;
                g.product[bar.is_highlighted] {
                    text x=(px(LABEL_WIDTH - 8.0)) y=(px(y + 12.0)) text-anchor="end" { (bar.name) }
                    rect.bar x=(px(LABEL_WIDTH)) y=(px(y)) width=(px(bar.value * scale)) height="16" data-name=(bar.name) data-value=(bar.value) {}
                    path.spread d=(format!(
                        "M{0} {center}H{1}M{0} {2}v8M{1} {2}v8",
                        px(LABEL_WIDTH + bar.min * scale), px(LABEL_WIDTH + bar.max * scale), center - 4.0
                    )) {}
                    text.value x=(px(LABEL_WIDTH + bar.max * scale + 8.0)) y=(px(y + 12.0)) { (bar.label) }
                }
            }
        }
    }
}

/// One line of a line chart.
pub struct Series {
    pub name: String,
    pub points: Vec<(f64, f64)>,
    /// Drawn in the accent colour: indexrank's own pipeline.
    pub is_highlighted: bool,
}

#[derive(Clone, Copy, PartialEq)]
pub enum XAxis {
    /// Base-2 logarithmic, with a tick and a dot at each measured x.
    Log2 { unit: &'static str },
    /// Seconds since the start of the run.
    Time,
}

/// The scales of a line chart.
struct Scales {
    x_axis: XAxis,
    /// The smallest x. Time axes start at 0 instead.
    first_x: f64,
    /// The largest x.
    last_x: f64,
    /// The largest y; the y axis starts at 0.
    max_y: f64,
}

impl Scales {
    const HEIGHT: f64 = 300.0;
    const LEFT: f64 = 70.0;
    const RIGHT: f64 = WIDTH - 200.0;
    const TOP: f64 = 18.0;
    const BOTTOM: f64 = Self::TOP + Self::HEIGHT;

    fn x(&self, value: f64) -> f64 {
        let share = match self.x_axis {
            XAxis::Log2 { .. } => {
                let doublings = (self.last_x / self.first_x).log2();
                (value / self.first_x).log2() / doublings.max(f64::EPSILON)
            }
            XAxis::Time => value / self.last_x,
        };
        Self::LEFT + (Self::RIGHT - Self::LEFT) * share
    }

    fn y(&self, value: f64) -> f64 {
        Self::TOP + Self::HEIGHT * (1.0 - value / self.max_y)
    }

    fn polyline(&self, points: &[(f64, f64)]) -> String {
        let points: Vec<String> = points
            .iter()
            .map(|(x, y)| format!("{},{}", px(self.x(*x)), px(self.y(*y))))
            .collect();
        points.join(" ")
    }
}

/// Draws a line chart. The name of each line is at its right end.
pub fn lines(id: &str, title: &str, x_axis: XAxis, y_unit: &str, series: &[Series]) -> Markup {
    let points = || series.iter().flat_map(|line| &line.points);
    let last_x = points().map(|(x, _)| *x).fold(0.0, f64::max);
    let (x_ticks, x_unit) = match x_axis {
        XAxis::Log2 { unit } => {
            let mut values: Vec<f64> = points().map(|(x, _)| *x).collect();
            values.sort_by(f64::total_cmp);
            values.dedup();
            (values, unit)
        }
        XAxis::Time => (ticks(last_x), "s"),
    };
    let scales = Scales {
        x_axis,
        first_x: x_ticks.first().copied().unwrap_or(1.0),
        last_x,
        max_y: points().map(|(_, y)| *y).fold(f64::MIN_POSITIVE, f64::max),
    };
    let has_dots = x_axis != XAxis::Time;
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {}", Scales::BOTTOM + 44.0)) role="img" aria-labelledby=(format!("{id}-t")) {
            title id=(format!("{id}-t")) { (title) }
            @for tick in ticks(scales.max_y) {
                @let y = scales.y(tick);
                line.grid x1=(px(Scales::LEFT)) x2=(px(Scales::RIGHT)) y1=(px(y)) y2=(px(y)) {}
                text.tick x=(px(Scales::LEFT - 8.0)) y=(px(y + 4.0)) text-anchor="end" { (grouped(tick)) }
            }
            text.tick x="4" y="11" { (y_unit) }
            @for tick in &x_ticks {
                text.tick x=(px(scales.x(*tick))) y=(px(Scales::BOTTOM + 18.0)) text-anchor="middle" { (grouped(*tick)) }
            }
            text.tick x=(px(Scales::RIGHT)) y=(px(Scales::BOTTOM + 36.0)) text-anchor="end" { (x_unit) }
            @for (index, line) in series.iter().enumerate() {
                g class=(format!("series s{index}{}", if line.is_highlighted { " product" } else { "" })) {
                    polyline points=(scales.polyline(&line.points)) {}
                    @if has_dots {
                        @for (x, y) in &line.points {
                            circle cx=(px(scales.x(*x))) cy=(px(scales.y(*y))) r="3" data-name=(line.name) data-value=(y) {}
                        }
                    }
                }
            }
            (line_names(&scales, series, has_dots))
        }
    }
}

/// Draws the names of lines beside their ends, with the last value if `with_value`. Names are moved
/// apart where lines end close together, so a thin line connects each name to its line.
fn line_names(scales: &Scales, series: &[Series], with_value: bool) -> Markup {
    let mut names: Vec<(f64, _)> = series
        .iter()
        .filter_map(|line| {
            let end = *line.points.last()?;
            Some((scales.y(end.1), (end, line)))
        })
        .collect();
    names.sort_by(|one, other| one.0.total_cmp(&other.0));
    move_apart(&mut names, 15.0);
    let right = Scales::RIGHT;
    html! {
        @for (y, (end, line)) in &names {
            path.leader d=(format!(
                "M{} {}L{} {}",
                px(scales.x(end.0) + 5.0), px(scales.y(end.1)), px(right + 16.0), px(*y)
            )) {}
            text.product[line.is_highlighted] x=(px(right + 20.0)) y=(px(y + 4.0)) {
                (line.name) @if with_value { " " (grouped(end.1.round())) }
            }
        }
    }
}

/// Moves labels, sorted by position, down until each is at least `gap` below the previous one.
fn move_apart<T>(labels: &mut [(f64, T)], gap: f64) {
    for index in 1..labels.len() {
        labels[index].0 = labels[index].0.max(labels[index - 1].0 + gap);
    }
}

/// Draws one row for each worker, coloured by phase over time.
pub fn timeline(id: &str, title: &str, timeline: &Timeline) -> Markup {
    let rows: Vec<&Row> = timeline
        .rows
        .iter()
        .filter(|row| !row.spans.is_empty())
        .collect();
    let end = rows
        .iter()
        .flat_map(|row| &row.spans)
        .map(|span| span.end)
        .max()
        .unwrap_or(1) as f64;
    let height = (420.0 / rows.len() as f64).clamp(3.0, 14.0);
    let bottom = rows.len() as f64 * height;
    let scale = PLOT_WIDTH / end;
    let (unit, micros_per_unit) = if end < 1e6 { ("ms", 1e3) } else { ("s", 1e6) };
    // For each label: (index of its first row, number of its rows).
    let mut labels: BTreeMap<Label, (usize, usize)> = BTreeMap::new();
    for (index, row) in rows.iter().enumerate() {
        labels.entry(row.role).or_insert((index, 0)).1 += 1;
    }
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {}", bottom + 26.0)) role="img" aria-labelledby=(format!("{id}-t")) {
            title id=(format!("{id}-t")) { (title) }
            @for (label, (first, count)) in &labels {
                @let (top, band) = (*first as f64 * height, *count as f64 * height);
                @let center = (*first as f64 + *count as f64 / 2.0) * height;
                rect.band x=(px(LABEL_WIDTH)) y=(px(top)) width=(px(PLOT_WIDTH)) height=(px(band)) {}
                text x=(px(LABEL_WIDTH - 8.0)) y=(px(center + 4.0)) text-anchor="end" { (caption(*label, *count)) }
            }
            @for (phase, class, _) in PHASES {
                @let path = phase_path(&rows, phase, height, scale);
                @if !path.is_empty() {
                    path class=(format!("phase {class}")) stroke-width=(px(height * 0.86)) d=(path) {}
                }
            }
            @for tick in ticks(end) {
                @let x = LABEL_WIDTH + tick * scale;
                line.grid x1=(px(x)) x2=(px(x)) y1="0" y2=(px(bottom + 4.0)) {}
                text.tick x=(px(x)) y=(px(bottom + 18.0)) text-anchor="middle" {
                    (grouped(tick / micros_per_unit)) @if tick == 0.0 { " " (unit) }
                }
            }
        }
    }
}

/// All spans of one phase as one SVG path, because one element per span would put thousands of
/// elements into the report. Spans less than 0.05 SVG units apart are joined.
fn phase_path(rows: &[&Row], phase: Phase, height: f64, scale: f64) -> String {
    let max_gap = (0.05 / scale) as u64;
    let mut path = String::new();
    for (index, row) in rows.iter().enumerate() {
        let y = px((index as f64 + 0.5) * height);
        let mut spans: Vec<&Span> = row
            .spans
            .iter()
            .filter(|span| span.phase == phase)
            .collect();
        spans.sort_by_key(|span| span.start);
        let mut spans = spans.into_iter().peekable();
        while let Some(&Span { start, mut end, .. }) = spans.next() {
            while let Some(next) = spans.next_if(|next| next.start <= end + max_gap) {
                end = end.max(next.end);
            }
            let (x, width) = (
                LABEL_WIDTH + start as f64 * scale,
                (end - start) as f64 * scale,
            );
            // Writing to a string cannot fail.
            let _ = write!(path, "M{x:.1} {y}h{width:.2}");
        }
    }
    path
}

/// The text beside the rows of a label, such as `32 fetchers`.
fn caption(label: Label, count: usize) -> String {
    let (singular, plural) = match label {
        Label::Rate => return "exchange rate".to_owned(),
        Label::Recheck => return "index recheck".to_owned(),
        Label::Rules => return "robots.txt".to_owned(),
        Label::Index => ("index thread", "index threads"),
        Label::Fetcher => ("fetcher", "fetchers"),
        Label::Reader => ("parser", "parsers"),
        Label::Worker => ("worker", "workers"),
        Label::Waiting => ("retry waiting", "retries waiting"),
    };
    let noun = if count == 1 { singular } else { plural };
    format!("{count} {noun}")
}

/// The distance between ticks: the smallest of 1, 2 or 5 × 10ⁿ that is at least `max` ÷ 5.
fn tick_step(max: f64) -> f64 {
    let rough = (max / 5.0).max(f64::MIN_POSITIVE);
    let power = 10f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|factor| factor * power >= rough);
    // Rounding errors may make even 10 times the power smaller than `rough`.
    factor.unwrap_or(10.0) * power
}

/// Three to six ticks, from zero to at most `max`.
fn ticks(max: f64) -> Vec<f64> {
    let step = tick_step(max);
    (0..=(max / step) as usize)
        .map(|index| index as f64 * step)
        .collect()
}

/// A coordinate with up to two decimals.
fn px(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn steps_are_1_2_or_5_times_a_power_of_ten() {
        for (max, expected) in [
            (1.0, 0.2),
            (5.0, 1.0),
            (9.0, 2.0),
            (11.0, 5.0),
            (2600.0, 1000.0),
            (0.26, 0.1),
        ] {
            assert!(
                (tick_step(max) - expected).abs() < 1e-9,
                "{max}: {}",
                tick_step(max)
            );
        }
    }

    #[test]
    fn joins_adjacent_spans_of_a_phase() {
        let span = |phase, start, end| Span {
            phase,
            start,
            end,
            path: Arc::default(),
        };
        let row = Row {
            role: Label::Worker,
            number: 1,
            spans: vec![
                span(Phase::Waiting, 0, 100),
                span(Phase::Reading, 100, 110),
                span(Phase::Waiting, 100, 150),
                span(Phase::Waiting, 200, 300),
            ],
        };
        let path = phase_path(&[&row], Phase::Waiting, 10.0, 1.0);
        assert_eq!(path, "M132.0 5h150.00M332.0 5h100.00");
        assert_eq!(phase_path(&[&row], Phase::Inflating, 10.0, 1.0), "");
    }
}
