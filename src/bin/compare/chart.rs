//! Pictures as inline SVG: figures in, markup out. Their colours are the page's, by class.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use indexrank::telemetry::trace::{Phase, Role, Row, Span, Timeline};
use maud::{Markup, html};

/// Width of every picture in its own units, which are pixels where there is room.
const WIDTH: f64 = 960.0;
/// Where names stand, and where the axis begins.
const LABELS: f64 = 132.0;
const AXIS: f64 = WIDTH - LABELS - 16.0;

/// The phases in the order in which they are painted, with the words for a reader.
pub const PHASES: [(Phase, &str, &str); 5] = [
    (Phase::Waiting, "waiting", "waiting for an answer"),
    (Phase::Receiving, "receiving", "receiving it"),
    (Phase::Failing, "failing", "asking in vain"),
    (Phase::Inflating, "inflating", "inflating"),
    (Phase::Reading, "reading", "reading"),
];

/// One bar: a value, with the smallest and the largest that was measured.
pub struct Bar {
    pub name: String,
    pub value: f64,
    pub min: f64,
    pub max: f64,
    /// What stands behind it.
    pub label: String,
    pub is_product: bool,
}

/// Bars beside each other's names, with a line where nothing can be beyond.
pub fn bars(id: &str, title: &str, unit: &str, bars: &[Bar], limit: Option<(&str, f64)>) -> Markup {
    const STEP: f64 = 26.0;
    const ROOM: f64 = 190.0;
    let most = bars.iter().map(|bar| bar.max).fold(0.0, f64::max);
    let scale = (AXIS - ROOM) / most;
    let bottom = bars.len() as f64 * STEP + 8.0;
    let in_sight = limit.filter(|(_, limit)| *limit <= most * 1.25);
    let description: Vec<String> = bars
        .iter()
        .map(|bar| format!("{}: {}", bar.name, bar.label))
        .collect();
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {}", bottom + 36.0)) role="img" aria-labelledby=(format!("{id}-t {id}-d")) {
            title id=(format!("{id}-t")) { (title) }
            desc id=(format!("{id}-d")) { (description.join("; ")) }
            @for tick in ticks(most) {
                @let x = LABELS + tick * scale;
                line.grid x1=(px(x)) x2=(px(x)) y1="0" y2=(px(bottom)) {}
                text.tick x=(px(x)) y=(px(bottom + 14.0)) text-anchor="middle" { (number(tick)) }
            }
            text.tick x=(px(LABELS - 8.0)) y=(px(bottom + 14.0)) text-anchor="end" { (unit) }
            @if let Some((limit_name, limit)) = in_sight {
                @let x = LABELS + limit * scale;
                line.limit x1=(px(x)) x2=(px(x)) y1="0" y2=(px(bottom)) {}
                text.tick.limit x=(px(x)) y=(px(bottom + 30.0)) text-anchor="middle" { (limit_name) " " (number(limit.round())) }
            }
            @for (at, bar) in bars.iter().enumerate() {
                @let y = at as f64 * STEP + 6.0;
                @let middle = y + 8.0;
                g.product[bar.is_product] {
                    text x=(px(LABELS - 8.0)) y=(px(y + 12.0)) text-anchor="end" { (bar.name) }
                    rect.bar x=(px(LABELS)) y=(px(y)) width=(px(bar.value * scale)) height="16" data-name=(bar.name) data-value=(bar.value) {}
                    path.spread d=(format!(
                        "M{0} {middle}H{1}M{0} {2}v8M{1} {2}v8",
                        px(LABELS + bar.min * scale), px(LABELS + bar.max * scale), middle - 4.0
                    )) {}
                    text.value x=(px(LABELS + bar.max * scale + 8.0)) y=(px(y + 12.0)) { (bar.label) }
                }
            }
        }
    }
}

/// One line of a picture of lines: a name and its points.
pub struct Series {
    pub name: String,
    pub points: Vec<(f64, f64)>,
    pub is_product: bool,
}

/// What stands below lines.
#[derive(Clone, Copy, PartialEq)]
pub enum Across {
    /// A few values, each doubling as wide as the next, with a dot at each.
    Doublings(&'static str),
    /// Seconds since the beginning.
    Time,
}

/// Lines, each with its name at its end.
pub fn lines(id: &str, title: &str, across: Across, y_unit: &str, series: &[Series]) -> Markup {
    const HEIGHT: f64 = 300.0;
    const LEFT: f64 = 70.0;
    const RIGHT: f64 = 200.0;
    const TOP: f64 = 18.0;
    let points = || series.iter().flat_map(|one| &one.points);
    let most = points().map(|(_, y)| *y).fold(f64::MIN_POSITIVE, f64::max);
    let last = points().map(|(x, _)| *x).fold(0.0, f64::max);
    let (stops, x_unit) = match across {
        Across::Doublings(unit) => {
            let mut stops: Vec<f64> = points().map(|(x, _)| *x).collect();
            stops.sort_by(f64::total_cmp);
            stops.dedup();
            (stops, unit)
        }
        Across::Time => (ticks(last), "s"),
    };
    let first = stops.first().copied().unwrap_or(1.0);
    let width = WIDTH - LEFT - RIGHT;
    let at_x = |x: f64| {
        let share = match across {
            Across::Doublings(_) => (x / first).log2() / (last / first).log2().max(f64::EPSILON),
            Across::Time => x / last,
        };
        LEFT + width * share
    };
    let at_y = |y: f64| TOP + HEIGHT * (1.0 - y / most);
    let place = |(x, y): &(f64, f64)| format!("{},{}", px(at_x(*x)), px(at_y(*y)));
    let has_dots = across != Across::Time;
    let mut ends: Vec<(f64, _)> = series
        .iter()
        .filter_map(|one| one.points.last().map(|end| (at_y(end.1), (*end, one))))
        .collect();
    ends.sort_by(|one, other| one.0.total_cmp(&other.0));
    spread_out(&mut ends, 15.0);
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {}", TOP + HEIGHT + 44.0)) role="img" aria-labelledby=(format!("{id}-t")) {
            title id=(format!("{id}-t")) { (title) }
            @for tick in ticks(most) {
                @let y = at_y(tick);
                line.grid x1=(px(LEFT)) x2=(px(LEFT + width)) y1=(px(y)) y2=(px(y)) {}
                text.tick x=(px(LEFT - 8.0)) y=(px(y + 4.0)) text-anchor="end" { (number(tick)) }
            }
            text.tick x="4" y="11" { (y_unit) }
            @for stop in &stops {
                text.tick x=(px(at_x(*stop))) y=(px(TOP + HEIGHT + 18.0)) text-anchor="middle" { (number(*stop)) }
            }
            text.tick x=(px(LEFT + width)) y=(px(TOP + HEIGHT + 36.0)) text-anchor="end" { (x_unit) }
            @for (at, one) in series.iter().enumerate() {
                g class=(format!("series s{at}{}", if one.is_product { " product" } else { "" })) {
                    polyline points=({ &one.points }.iter().map(place).collect::<Vec<_>>().join(" ")) {}
                    @if has_dots {
                        @for (x, y) in &one.points {
                            circle cx=(px(at_x(*x))) cy=(px(at_y(*y))) r="3" data-name=(one.name) data-value=(y) {}
                        }
                    }
                }
            }
            @for (y, (end, one)) in &ends {
                @let x = LEFT + width;
                path.leader d=(format!("M{} {}L{} {}", px(at_x(end.0) + 5.0), px(at_y(end.1)), px(x + 16.0), px(*y))) {}
                text.product[one.is_product] x=(px(x + 20.0)) y=(px(y + 4.0)) {
                    (one.name) @if has_dots { " " (number(end.1.round())) }
                }
            }
        }
    }
}

/// Moves labels that are sorted by their place apart, each at least `gap` under the one above.
fn spread_out<T>(labels: &mut [(f64, T)], gap: f64) {
    for at in 1..labels.len() {
        labels[at].0 = labels[at].0.max(labels[at - 1].0 + gap);
    }
}

/// A row for each worker, what it did at each time in the colour of the phase.
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
    let unit = if end < 1e6 { ("ms", 1e3) } else { ("s", 1e6) };
    let mut roles: BTreeMap<Role, (usize, usize)> = BTreeMap::new();
    for (at, row) in rows.iter().enumerate() {
        roles.entry(row.role).or_insert((at, 0)).1 += 1;
    }
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {}", bottom + 26.0)) role="img" aria-labelledby=(format!("{id}-t")) {
            title id=(format!("{id}-t")) { (title) }
            @for (role, (at, number)) in &roles {
                @let (y, middle) = (*at as f64 * height, (*at as f64 + *number as f64 / 2.0) * height);
                rect.band x=(px(LABELS)) y=(px(y)) width=(px(AXIS)) height=(px(*number as f64 * height)) {}
                text x=(px(LABELS - 8.0)) y=(px(middle + 4.0)) text-anchor="end" { (number) " " (plural(*role, *number)) }
            }
            @for (phase, class, _) in PHASES {
                @let lines = phase_lines(&rows, phase, height, scale);
                @if !lines.is_empty() {
                    path class=(format!("phase {class}")) stroke-width=(px(height * 0.86)) d=(lines) {}
                }
            }
            @for tick in ticks(end) {
                @let x = LABELS + tick * scale;
                line.grid x1=(px(x)) x2=(px(x)) y1="0" y2=(px(bottom + 4.0)) {}
                text.tick x=(px(x)) y=(px(bottom + 18.0)) text-anchor="middle" {
                    (number(tick / unit.1)) @if tick == 0.0 { " " (unit.0) }
                }
            }
        }
    }
}

/// All spans of one phase as one path, for there are thousands. Those that touch are one line.
fn phase_lines(rows: &[&Row], phase: Phase, height: f64, scale: f64) -> String {
    let mut path = String::new();
    for (at, row) in rows.iter().enumerate() {
        let y = px((at as f64 + 0.5) * height);
        let mut spans: Vec<&Span> = row
            .spans
            .iter()
            .filter(|span| span.phase == phase)
            .collect();
        spans.sort_by_key(|span| span.start);
        let mut spans = spans
            .into_iter()
            .map(|span| (span.start, span.end))
            .peekable();
        while let Some((start, mut end)) = spans.next() {
            while let Some((_, next)) =
                spans.next_if(|(next, _)| *next <= end + (0.05 / scale) as u64)
            {
                end = end.max(next);
            }
            let (x, width) = (LABELS + start as f64 * scale, (end - start) as f64 * scale);
            let _ = write!(path, "M{x:.1} {y}h{width:.2}");
        }
    }
    path
}

fn plural(role: Role, number: usize) -> String {
    let name = format!("{role:?}").to_lowercase();
    match (role, number) {
        (Role::Rate | Role::Index, _) => format!("for the {name}"),
        (_, 1) => name,
        _ => format!("{name}s"),
    }
}

/// A distance between ticks, 1, 2 or 5 times a power of ten, of which about five make `most`.
fn tick(most: f64) -> f64 {
    let rough = (most / 5.0).max(f64::MIN_POSITIVE);
    let power = 10f64.powf(rough.log10().floor());
    let times = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|times| times * power >= rough);
    times.unwrap_or(10.0) * power
}

/// About five ticks from zero up to `most`.
fn ticks(most: f64) -> Vec<f64> {
    let step = tick(most);
    (0..=(most / step) as usize)
        .map(|at| at as f64 * step)
        .collect()
}

/// A coordinate, short.
fn px(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A figure as people write it: 1,234 or 0.25.
pub fn number(value: f64) -> String {
    let digits = if value >= 100.0 || value == value.round() {
        0
    } else {
        2
    };
    let text = format!("{value:.digits$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let groups: Vec<&str> = whole
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|group| std::str::from_utf8(group).expect("digits"))
        .collect();
    format!("{}{rest}", groups.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks() {
        for (most, expected) in [
            (1.0, 0.2),
            (5.0, 1.0),
            (9.0, 2.0),
            (11.0, 5.0),
            (2600.0, 1000.0),
            (0.26, 0.1),
        ] {
            assert!(
                (tick(most) - expected).abs() < 1e-9,
                "{most}: {}",
                tick(most)
            );
        }
    }

    #[test]
    fn numbers() {
        for (value, expected) in [
            (0.0, "0"),
            (0.254, "0.25"),
            (20.0, "20"),
            (999.6, "1,000"),
            (1234567.0, "1,234,567"),
        ] {
            assert_eq!(number(value), expected);
        }
    }

    /// Spans that touch are one line, others keep their distance.
    #[test]
    fn lines_of_a_phase() {
        let span = |phase, start, end| Span {
            phase,
            start,
            end,
            path: String::new(),
        };
        let row = Row {
            role: Role::Worker,
            number: 1,
            spans: vec![
                span(Phase::Waiting, 0, 100),
                span(Phase::Reading, 100, 110),
                span(Phase::Waiting, 100, 150),
                span(Phase::Waiting, 200, 300),
            ],
        };
        let path = phase_lines(&[&row], Phase::Waiting, 10.0, 1.0);
        assert_eq!(path, "M132.0 5h150.00M332.0 5h100.00");
        assert_eq!(phase_lines(&[&row], Phase::Inflating, 10.0, 1.0), "");
    }
}
