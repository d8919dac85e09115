//! Charts as inline SVG: numbers in, markup out. Classes in `page.css` set the colours.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use indexrank::telemetry::trace::{Label, Phase, Row, Span, Timeline};
use maud::{Markup, html};

use crate::number_format::grouped;

/// Width of every chart in SVG units. One unit is one pixel if the page is wide enough.
const WIDTH: f64 = 960.0;
/// Width of the column of names on the left. The axis starts here.
const LABELS: f64 = 132.0;
const AXIS: f64 = WIDTH - LABELS - 16.0;

/// The phases in painting order, with their CSS class and description.
pub const PHASES: [(Phase, &str, &str); 5] = [
    (Phase::Waiting, "waiting", "waiting for a response"),
    (Phase::Receiving, "receiving", "receiving the body"),
    (Phase::Failing, "failing", "failed request"),
    (Phase::Inflating, "inflating", "inflating"),
    (Phase::Reading, "reading", "parsing"),
];

/// One bar: a value, with the smallest and the largest measured value.
pub struct Bar {
    pub name: String,
    pub value: f64,
    pub min: f64,
    pub max: f64,
    /// Text to the right of the bar.
    pub label: String,
    pub is_product: bool,
}

/// Horizontal bars with their names. `limit` is a vertical line at the maximum possible value. It is
/// left out if it is more than a quarter beyond the longest bar.
pub fn bars(id: &str, title: &str, unit: &str, bars: &[Bar], limit: Option<(&str, f64)>) -> Markup {
    const STEP: f64 = 26.0;
    const VALUE_WIDTH: f64 = 190.0;
    let longest = bars.iter().map(|bar| bar.max).fold(0.0, f64::max);
    let scale = (AXIS - VALUE_WIDTH) / longest;
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
                @let x = LABELS + tick * scale;
                line.grid x1=(px(x)) x2=(px(x)) y1="0" y2=(px(bottom)) {}
                text.tick x=(px(x)) y=(px(bottom + 14.0)) text-anchor="middle" { (grouped(tick)) }
            }
            text.tick x=(px(LABELS - 8.0)) y=(px(bottom + 14.0)) text-anchor="end" { (unit) }
            @if let Some((limit_name, limit)) = visible_limit {
                @let x = LABELS + limit * scale;
                line.limit x1=(px(x)) x2=(px(x)) y1="0" y2=(px(bottom)) {}
                text.tick.limit x=(px(x)) y=(px(bottom + 30.0)) text-anchor="middle" { (limit_name) " " (grouped(limit.round())) }
            }
            @for (at, bar) in bars.iter().enumerate() {
                @let y = at as f64 * STEP + 6.0;
                @let center = y + 8.0;
                g.product[bar.is_product] {
                    text x=(px(LABELS - 8.0)) y=(px(y + 12.0)) text-anchor="end" { (bar.name) }
                    rect.bar x=(px(LABELS)) y=(px(y)) width=(px(bar.value * scale)) height="16" data-name=(bar.name) data-value=(bar.value) {}
                    path.spread d=(format!(
                        "M{0} {center}H{1}M{0} {2}v8M{1} {2}v8",
                        px(LABELS + bar.min * scale), px(LABELS + bar.max * scale), center - 4.0
                    )) {}
                    text.value x=(px(LABELS + bar.max * scale + 8.0)) y=(px(y + 12.0)) { (bar.label) }
                }
            }
        }
    }
}

/// One line of a line chart.
pub struct Series {
    pub name: String,
    pub points: Vec<(f64, f64)>,
    pub is_product: bool,
}

#[derive(Clone, Copy, PartialEq)]
pub enum XAxis {
    /// Logarithmic, with a tick and a dot at each value. The text is the unit.
    Doublings(&'static str),
    /// Seconds since the start of the run.
    Time,
}

/// The scales of a line chart.
struct Scales {
    x_axis: XAxis,
    /// The first tick, the last value and the highest value.
    first_x: f64,
    last_x: f64,
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
            XAxis::Doublings(_) => {
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

/// A line chart. The name of each line is at its right end.
pub fn lines(id: &str, title: &str, x_axis: XAxis, y_unit: &str, series: &[Series]) -> Markup {
    let points = || series.iter().flat_map(|line| &line.points);
    let last_x = points().map(|(x, _)| *x).fold(0.0, f64::max);
    let (x_ticks, x_unit) = match x_axis {
        XAxis::Doublings(unit) => {
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
            @for (at, line) in series.iter().enumerate() {
                g class=(format!("series s{at}{}", if line.is_product { " product" } else { "" })) {
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

/// The names of lines beside their ends, with the last value if `with_value`. A leader connects
/// each name with its line, because names of close ends are moved apart.
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
            text.product[line.is_product] x=(px(right + 20.0)) y=(px(y + 4.0)) {
                (line.name) @if with_value { " " (grouped(end.1.round())) }
            }
        }
    }
}

/// Moves labels, sorted by position, down until each is at least `gap` below the previous one.
fn move_apart<T>(labels: &mut [(f64, T)], gap: f64) {
    for at in 1..labels.len() {
        labels[at].0 = labels[at].0.max(labels[at - 1].0 + gap);
    }
}

/// One row for each worker, coloured by phase over time.
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
    let scale = AXIS / end;
    let (unit, micros_per_unit) = if end < 1e6 { ("ms", 1e3) } else { ("s", 1e6) };
    // Index of the first row and number of rows of each role.
    let mut roles: BTreeMap<Label, (usize, usize)> = BTreeMap::new();
    for (at, row) in rows.iter().enumerate() {
        roles.entry(row.role).or_insert((at, 0)).1 += 1;
    }
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {}", bottom + 26.0)) role="img" aria-labelledby=(format!("{id}-t")) {
            title id=(format!("{id}-t")) { (title) }
            @for (role, (first, count)) in &roles {
                @let (top, band) = (*first as f64 * height, *count as f64 * height);
                @let center = (*first as f64 + *count as f64 / 2.0) * height;
                rect.band x=(px(LABELS)) y=(px(top)) width=(px(AXIS)) height=(px(band)) {}
                text x=(px(LABELS - 8.0)) y=(px(center + 4.0)) text-anchor="end" { (count) " " (role_label(*role, *count)) }
            }
            @for (phase, class, _) in PHASES {
                @let path = phase_path(&rows, phase, height, scale);
                @if !path.is_empty() {
                    path class=(format!("phase {class}")) stroke-width=(px(height * 0.86)) d=(path) {}
                }
            }
            @for tick in ticks(end) {
                @let x = LABELS + tick * scale;
                line.grid x1=(px(x)) x2=(px(x)) y1="0" y2=(px(bottom + 4.0)) {}
                text.tick x=(px(x)) y=(px(bottom + 18.0)) text-anchor="middle" {
                    (grouped(tick / micros_per_unit)) @if tick == 0.0 { " " (unit) }
                }
            }
        }
    }
}

/// All spans of one phase as one SVG path, because a page has thousands of spans. Spans less than
/// 0.05 units apart are joined.
fn phase_path(rows: &[&Row], phase: Phase, height: f64, scale: f64) -> String {
    let max_gap = (0.05 / scale) as u64;
    let mut path = String::new();
    for (at, row) in rows.iter().enumerate() {
        let y = px((at as f64 + 0.5) * height);
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
            let (x, width) = (LABELS + start as f64 * scale, (end - start) as f64 * scale);
            // Writing to a string cannot fail.
            let _ = write!(path, "M{x:.1} {y}h{width:.2}");
        }
    }
    path
}

fn role_label(role: Label, count: usize) -> String {
    let name = format!("{role:?}").to_lowercase();
    match (role, count) {
        (Label::Rate | Label::Index, _) => format!("for the {name}"),
        (_, 1) => name,
        _ => format!("{name}s"),
    }
}

/// The distance between ticks: 1, 2 or 5 times a power of ten, about a fifth of `max`.
fn tick_step(max: f64) -> f64 {
    let rough = (max / 5.0).max(f64::MIN_POSITIVE);
    let power = 10f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|factor| factor * power >= rough);
    // Rounding errors may make even 10 times the power smaller than `rough`.
    factor.unwrap_or(10.0) * power
}

/// About five ticks from zero to at most `max`.
fn ticks(max: f64) -> Vec<f64> {
    let step = tick_step(max);
    (0..=(max / step) as usize)
        .map(|at| at as f64 * step)
        .collect()
}

/// A coordinate with up to two decimals.
fn px(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
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
            path: String::new(),
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
