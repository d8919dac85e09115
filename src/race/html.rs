//! The results as a self-contained HTML page without scripts. It has a dark and a light scheme, print
//! styles, and text alternatives of all charts for screen readers.

use std::collections::BTreeMap;

use crate::telemetry::trace::{Phase, Timeline};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;

use crate::race::bottleneck::Bottleneck;
use crate::race::chart::{self, Bar, PHASES, Series, XAxis};
use crate::race::contenders::PRODUCT;
use crate::race::labels;
use crate::race::number_format::{grouped, speedup, with_range};
use crate::race::options::RaceArgs;
use crate::race::round_set::{Entry, RoundSet};
use crate::race::samples::{self, Sample};

const STYLE: &str = include_str!("page.css");
/// Forbids the browser to fetch anything.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// `report` is the content of the JSON file.
pub fn page(args: &RaceArgs, sets: &[RoundSet], report: &Value) -> String {
    let title = "indexrank: the race";
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (title) }
                    p { "Different implementations of the same job, on the same pages, with the same answer. " (machine(report)) }
                }
                main {
                    @if args.worker_counts().len() > 1 {
                        @for latency_ms in args.latencies() {
                            (throughput_by_workers(sets, latency_ms))
                        }
                    }
                    @for (at, set) in sets.iter().enumerate() { (section(args, set, at)) }
                }
                footer { p { "Made by " code { "indexrank race" } ", version " (report["version"].as_str().unwrap_or_default()) ". Times are medians. Thin lines span the fastest to the slowest run." } }
            }
        }
    }
    .into_string()
}

fn machine(report: &Value) -> String {
    let machine = &report["machine"];
    let text = |value: &Value| value.as_str().unwrap_or("unknown").to_owned();
    let versions: Vec<String> = report["versions"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, version)| format!("{name} {}", text(version)))
        .collect();
    format!(
        "Machine: {}, {} cores, {} {}. Libraries: {}.",
        text(&machine["cpu"]),
        machine["cores"],
        text(&machine["os"]),
        text(&machine["arch"]),
        versions.join(", ")
    )
}

/// Pages per second of each participant against the number of pages in flight, at one latency.
fn throughput_by_workers(sets: &[RoundSet], latency_ms: u64) -> Markup {
    let sets: Vec<&RoundSet> = sets
        .iter()
        .filter(|set| set.latency_ms == latency_ms)
        .collect();
    let mut points: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for set in &sets {
        for entry in &set.entries {
            if let Some(pages_per_s) = entry.pages_per_s() {
                let points = points.entry(entry.name()).or_default();
                points.push((set.workers as f64, pages_per_s));
            }
        }
    }
    let series: Vec<Series> = points
        .into_iter()
        .map(|(name, points)| Series {
            name: name.to_owned(),
            points,
            is_highlighted: name == PRODUCT,
        })
        .collect();
    let title = format!("Throughput against pages in flight, server waits {latency_ms} ms");
    html! {
        section {
            h2 { (title) }
            figure { (chart::lines(&format!("workers-{latency_ms}"), &title, XAxis::Log2 { unit: "pages in flight" }, "pages/s", &series)) }
            table {
                caption { "Pages per second" }
                thead { tr { th scope="col" { "Contender" } @for set in &sets { th scope="col" { (set.workers) " in flight" } } } }
                tbody {
                    @for one in &series {
                        tr {
                            th scope="row" { (one.name) }
                            @for set in &sets {
                                td { @if let Some((_, y)) = one.points.iter().find(|(x, _)| *x == set.workers as f64) { (grouped(y.round())) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn section(args: &RaceArgs, set: &RoundSet, at: usize) -> Markup {
    let title = labels::title(args, set);
    let bottleneck = Bottleneck::of(args, set);
    let limit = bottleneck
        .as_ref()
        .map(|bottleneck| ("highest possible:", bottleneck.max_pages_per_s()));
    let bars: Vec<Bar> = set.entries.iter().filter_map(bar).collect();
    html! {
        section {
            h2 { (title) }
            figure { (chart::bars(&format!("bars-{at}"), &format!("Pages per second. {title}"), "pages/s", &bars, limit)) }
            @if let Some(bottleneck) = &bottleneck { @for line in bottleneck.to_string().lines() { p.bottleneck { (line) } } }
            (results(set))
            @if set.entries.iter().any(|entry| !entry.samples().is_empty()) { (samples_over_time(set, at)) }
            @if set.entries.iter().any(|entry| entry.timeline.is_some()) { (timelines(set, at)) }
        }
    }
}

fn bar(entry: &Entry) -> Option<Bar> {
    let (wall, pages) = (entry.wall()?, entry.requests()?);
    let value = pages / wall.median;
    Some(Bar {
        name: entry.name().to_owned(),
        value,
        min: pages / wall.max,
        max: pages / wall.min,
        label: format!("{} pages/s, {:.3} s", grouped(value.round()), wall.median),
        is_highlighted: entry.name() == PRODUCT,
    })
}

fn results(set: &RoundSet) -> Markup {
    let baseline = set.baseline_wall();
    let cell = |value: Option<f64>, digits: usize| {
        value.map_or(String::new(), |value| format!("{value:.digits$}"))
    };
    html! {
        div.wide { table {
            caption { "Medians of the counted runs" }
            thead { tr {
                @for head in ["Contender", "Seconds (min–max)", "Pages/s", "CPU ms/page", "Peak MB", "Requests", "Connections", "× sequential", "Runs"] {
                    th scope="col" { (head) }
                }
                th.answer scope="col" { "Answer" }
            } }
            tbody { @for entry in &set.entries {
                tr.product[entry.name() == PRODUCT] {
                    th scope="row" { (entry.name()) }
                    td { @if let Some(wall) = entry.wall() { (with_range(wall, 3)) } }
                    td { (cell(entry.pages_per_s(), 0)) }
                    td { (cell(entry.cpu_ms_per_page(), 2)) }
                    td { (cell(entry.median(|run| run.peak_mb), 0)) }
                    td { (cell(entry.requests(), 0)) }
                    td { (cell(entry.connections(), 0)) }
                    td { @if let Some(wall) = entry.wall() { (speedup(baseline, wall)) } }
                    td { (entry.runs.len()) }
                    td.answer { (labels::answer(entry)) @if let Some(reason) = entry.broken.as_ref().or(entry.differs.as_ref()) { ": " (reason) } }
                }
            } }
        } }
    }
}

/// Pages per second and memory over the time of one run of each participant.
fn samples_over_time(set: &RoundSet, at: usize) -> Markup {
    let speed = series_of_samples(set, samples::rates);
    let memory = series_of_samples(set, |samples: &[Sample]| {
        let point = |sample: &Sample| (sample.seconds, sample.memory_mb);
        samples.iter().map(point).collect()
    });
    let charts = [
        (
            "speed",
            "Pages per second over the time of a run",
            "pages/s",
            &speed,
        ),
        (
            "memory",
            "Memory over the time of a run, without child processes",
            "MB",
            &memory,
        ),
    ];
    html! {
        h3 { "One run over time" }
        @for (name, title, unit, series) in charts {
            figure.samples {
                figcaption { (title) }
                (chart::lines(&format!("{name}-{at}"), title, XAxis::Time, unit, series))
            }
        }
        div.wide { table {
            caption { "Memory in MB after a share of the run's time" }
            thead { tr { th scope="col" { "Contender" } @for quarter in 1..=4 { th scope="col" { (25 * quarter) " %" } } } }
            tbody { @for one in &memory {
                tr {
                    th scope="row" { (one.name) }
                    @for quarter in 1..=4 { td { (format!("{:.0}", value_after(&one.points, f64::from(quarter) / 4.0))) } }
                }
            } }
        } }
    }
}

/// The first value after a share (0 to 1) of the time.
fn value_after(points: &[(f64, f64)], share: f64) -> f64 {
    let end = points.last().map_or(0.0, |(seconds, _)| *seconds);
    let point = points.iter().find(|(seconds, _)| *seconds >= share * end);
    point.map_or(0.0, |(_, value)| *value)
}

fn series_of_samples(set: &RoundSet, points: impl Fn(&[Sample]) -> Vec<(f64, f64)>) -> Vec<Series> {
    set.entries
        .iter()
        .filter(|entry| !entry.samples().is_empty())
        .map(|entry| Series {
            name: entry.name().to_owned(),
            points: points(entry.samples()),
            is_highlighted: entry.name() == PRODUCT,
        })
        .collect()
}

fn timelines(set: &RoundSet, at: usize) -> Markup {
    let shown: Vec<(&str, &Timeline)> = set
        .entries
        .iter()
        .filter_map(|entry| Some((entry.name(), entry.timeline.as_ref()?)))
        .collect();
    html! {
        h3 { "Timelines of one run" }
        p.legend {
            @for (_, class, words) in PHASES { span { span class=(format!("key {class}")) {} (words) } }
            span { span.key.band {} "idle, or waiting for work" }
        }
        @for (number, (name, timeline)) in shown.iter().enumerate() {
            figure {
                figcaption { (name) }
                (chart::timeline(&format!("line-{at}-{number}"), &format!("Timeline of one run of {name}"), timeline))
            }
        }
        div.wide { table {
            caption { "Seconds in each phase, summed over all workers" }
            thead { tr { th scope="col" { "Contender" } @for (_, class, _) in PHASES { th scope="col" { (class) } } } }
            tbody { @for (name, timeline) in &shown {
                tr { th scope="row" { (name) } @for (phase, _, _) in PHASES { td { (format!("{:.3}", seconds_in_phase(timeline, phase))) } } }
            } }
        } }
    }
}

fn seconds_in_phase(timeline: &Timeline, phase: Phase) -> f64 {
    let spans = timeline.rows.iter().flat_map(|row| &row.spans);
    let of_phase = spans.filter(|span| span.phase == phase);
    of_phase.map(|span| span.end - span.start).sum::<u64>() as f64 / 1e6
}
