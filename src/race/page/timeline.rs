//! Timelines of runs: a row for each worker, coloured by phase over time. The labels are HTML and the
//! rows are SVG that stretches, so that labels keep their size at every width.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use maud::{Markup, html};

use crate::race::page::chart::px;
use crate::race::page::scale::{tick_label, ticks};
use crate::telemetry::trace::{Label, Phase, Row, Span, Timeline};
use crate::words::quantity;

/// Width of the rows in SVG units. They stretch to the width of the page.
const WIDTH: f64 = 1000.0;
/// Rows of one label that are drawn. Of more workers, every second, third … is drawn.
const MAX_ROWS: usize = 128;

/// The phases drawn, with their CSS class and description. Later phases cover earlier ones. `Pausing`
/// is not drawn.
pub const PHASES: [(Phase, &str, &str); 5] = [
    (Phase::Waiting, "waiting", "waiting for a response"),
    (Phase::Receiving, "receiving", "receiving the body"),
    (Phase::Failing, "failing", "failed request"),
    (Phase::Inflating, "inflating", "inflating"),
    (Phase::Reading, "reading", "parsing"),
];

/// The end of the last span in microseconds, at least 1.
pub fn end(timeline: &Timeline) -> u64 {
    let spans = timeline.rows.iter().flat_map(|row| &row.spans);
    spans.map(|span| span.end).max().unwrap_or(0).max(1)
}

/// Seconds in a phase, summed over all workers.
pub fn seconds_in_phase(timeline: &Timeline, phase: Phase) -> f64 {
    let spans = timeline.rows.iter().flat_map(|row| &row.spans);
    let of_phase = spans.filter(|span| span.phase == phase);
    of_phase.map(|span| span.end - span.start).sum::<u64>() as f64 / 1e6
}

/// Draws a timeline on an axis that ends at `axis_end` microseconds.
pub fn draw(title: &str, timeline: &Timeline, axis_end: u64) -> Markup {
    let mut groups: BTreeMap<Label, Vec<&Row>> = BTreeMap::new();
    for row in timeline.rows.iter().filter(|row| !row.spans.is_empty()) {
        groups.entry(row.role).or_default().push(row);
    }
    let axis_end = axis_end.max(1) as f64;
    html! {
        div.bands role="img" aria-label=(title) {
            @for (label, rows) in &groups {
                @let step = rows.len().div_ceil(MAX_ROWS);
                @let drawn: Vec<&Row> = rows.iter().step_by(step).copied().collect();
                span { (caption(*label, rows.len())) @if step > 1 { ", " (drawn.len()) " of them shown" } }
                (band(&drawn, axis_end))
            }
            (axis(axis_end))
        }
    }
}

/// The rows of one label.
fn band(rows: &[&Row], axis_end: f64) -> Markup {
    let row_height = (160.0 / rows.len() as f64).clamp(2.0, 10.0);
    let height = rows.len() as f64 * row_height;
    let scale = WIDTH / axis_end;
    html! {
        svg.band viewBox=(format!("0 0 {WIDTH} {}", px(height))) preserveAspectRatio="none" height=(px(height)) aria-hidden="true" {
            @for tick in ticks(axis_end) { path.grid d=(format!("M{:.1} 0V{height:.1}", tick * scale)) {} }
            @for (phase, class, _) in PHASES {
                @let path = phase_path(rows, phase, row_height, scale);
                @if !path.is_empty() {
                    path class=(format!("phase {class}")) stroke-width=(px(row_height * 0.86)) d=(path) {}
                }
            }
        }
    }
}

fn axis(axis_end: f64) -> Markup {
    let (unit, micros) = if axis_end < 1e6 {
        ("ms", 1e3)
    } else {
        ("s", 1e6)
    };
    let ticks = ticks(axis_end);
    let step = ticks.get(1).copied().unwrap_or(axis_end) / micros;
    // Labels at the ends are not centred, so that they stay inside.
    let anchor = |share: f64| match share {
        ..0.05 => "start",
        0.95.. => "end",
        _ => "middle",
    };
    html! {
        span { (unit) }
        svg.axis height="18" aria-hidden="true" {
            @for tick in ticks {
                @let share = tick / axis_end;
                text x=(format!("{:.2}%", share * 100.0)) y="13" text-anchor=(anchor(share)) { (tick_label(tick / micros, step)) }
            }
        }
    }
}

/// All spans of one phase as one SVG path, because one element per span would put thousands of
/// elements into the page. Spans less than 0.1 SVG units apart are joined.
fn phase_path(rows: &[&Row], phase: Phase, height: f64, scale: f64) -> String {
    let max_gap = (0.1 / scale) as u64;
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
            let (x, width) = (start as f64 * scale, (end - start) as f64 * scale);
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
    quantity(count, singular, plural)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

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
        assert_eq!(path, "M0.0 5h150.00M200.0 5h100.00");
        assert_eq!(phase_path(&[&row], Phase::Inflating, 10.0, 1.0), "");
    }
}
