//! The results as one page that needs nothing else: no script, no network. Dark and light, on paper,
//! and read aloud.

use std::collections::BTreeMap;

use indexrank::telemetry::trace::{Phase, Timeline};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;

use crate::bottleneck::{PRODUCT, Verdict};
use crate::chart::{self, Across, Bar, PHASES, Series, number};
use crate::cli::RaceArgs;
use crate::contenders::cores;
use crate::round_set::{Entry, Heat};
use crate::samples::{self, Moment};
use crate::terminal;

const STYLE: &str = include_str!("page.css");
/// The page itself forbids the browser to fetch anything, whatever is in it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// `report` is what is also written as JSON.
pub fn page(args: &RaceArgs, heats: &[Heat], report: &Value) -> String {
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
                    p { "The same job, done in other ways on the same pages with the same answer. " (machine(report)) }
                }
                main {
                    @if args.widths().len() > 1 {
                        @for latency_ms in args.latencies() {
                            (over_workers(heats.iter().filter(|heat| heat.latency_ms == latency_ms).collect(), latency_ms))
                        }
                    }
                    @for (at, heat) in heats.iter().enumerate() { (section(args, heat, at)) }
                }
                footer { p { "Made by indexrank's " code { "compare" } " " (report["version"].as_str().unwrap_or_default()) ". Times are medians; thin lines reach from the fastest run to the slowest." } }
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

/// How many pages a second everybody makes with how many in flight.
fn over_workers(heats: Vec<&Heat>, latency_ms: u64) -> Markup {
    let mut points: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for heat in &heats {
        for entry in &heat.entries {
            if let Some(pages_per_s) = entry.pages_per_s() {
                let points = points.entry(entry.entrant.name()).or_default();
                points.push((heat.workers as f64, pages_per_s));
            }
        }
    }
    let series: Vec<Series> = points
        .into_iter()
        .map(|(name, points)| Series {
            name: name.to_owned(),
            points,
            is_product: name == PRODUCT,
        })
        .collect();
    let title = format!("Throughput against pages in flight, server waits {latency_ms} ms");
    html! {
        section {
            h2 { (title) }
            figure { (chart::lines(&format!("workers-{latency_ms}"), &title, Across::Doublings("pages in flight"), "pages/s", &series)) }
            table {
                caption { "Pages per second" }
                thead { tr { th scope="col" { "Contender" } @for heat in &heats { th scope="col" { (heat.workers) " in flight" } } } }
                tbody {
                    @for one in &series {
                        tr {
                            th scope="row" { (one.name) }
                            @for heat in &heats {
                                td { @if let Some((_, y)) = one.points.iter().find(|(x, _)| *x == heat.workers as f64) { (number(y.round())) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn section(args: &RaceArgs, heat: &Heat, at: usize) -> Markup {
    let title = terminal::title(args, heat);
    let verdict = Verdict::of(args, heat, cores());
    let limit = verdict.as_ref().map(|verdict| {
        let name = format!("most possible for {}:", verdict.reference);
        (name, verdict.most_pages_per_s())
    });
    let limit = limit.as_ref().map(|(name, limit)| (&**name, *limit));
    let bars: Vec<Bar> = heat.entries.iter().filter_map(bar).collect();
    html! {
        section {
            h2 { (title) }
            figure { (chart::bars(&format!("bars-{at}"), &format!("Pages per second. {title}"), "pages/s", &bars, limit)) }
            @if let Some(verdict) = &verdict { @for line in verdict.to_string().lines() { p.verdict { (line) } } }
            (results(heat))
            @if heat.entries.iter().any(|entry| !entry.course().is_empty()) { (courses(heat, at)) }
            @if heat.entries.iter().any(|entry| entry.timeline.is_some()) { (timelines(heat, at)) }
        }
    }
}

fn pages(entry: &Entry) -> Option<f64> {
    entry.median(|run| run.traffic.requests as f64)
}

fn bar(entry: &Entry) -> Option<Bar> {
    let (wall, pages) = (entry.wall()?, pages(entry)?);
    let value = pages / wall.median;
    Some(Bar {
        name: entry.entrant.name().to_owned(),
        value,
        min: pages / wall.max,
        max: pages / wall.min,
        label: format!("{} pages/s, {:.3} s", number(value.round()), wall.median),
        is_product: entry.entrant.name() == PRODUCT,
    })
}

fn results(heat: &Heat) -> Markup {
    let sequential = heat
        .entries
        .iter()
        .find(|entry| entry.entrant.name() == "sequential")
        .and_then(Entry::wall);
    let middle = |value: Option<f64>, digits: usize| {
        value.map_or(String::new(), |value| format!("{value:.digits$}"))
    };
    html! {
        div.wide { table {
            caption { "Medians of the runs that count" }
            thead { tr {
                @for head in ["Contender", "Seconds (min–max)", "Pages/s", "CPU ms/page", "Peak MB", "Requests", "Connections", "× sequential", "Runs"] {
                    th scope="col" { (head) }
                }
                th.answer scope="col" { "Answer" }
            } }
            tbody { @for entry in &heat.entries {
                tr.product[entry.entrant.name() == PRODUCT] {
                    th scope="row" { (entry.entrant.name()) }
                    td { @if let Some(wall) = entry.wall() { (format!("{:.3} ({:.3}–{:.3})", wall.median, wall.min, wall.max)) } }
                    td { (middle(entry.pages_per_s(), 0)) }
                    td { (middle(entry.cpu_ms_per_page(), 2)) }
                    td { (middle(entry.median(|run| run.peak_mb), 0)) }
                    td { (middle(pages(entry), 0)) }
                    td { (middle(entry.connections(), 0)) }
                    td { @if let Some(wall) = entry.wall() { (terminal::speed(sequential, wall)) } }
                    td { (entry.runs.len()) }
                    td.answer { (terminal::answer(entry)) @if let Some(why) = entry.broken.as_ref().or(entry.differs.as_ref()) { ": " (why) } }
                }
            } }
        } }
    }
}

/// Speed and memory of one run of each, from its start to its end.
fn courses(heat: &Heat, at: usize) -> Markup {
    let memory = |moments: &[Moment]| {
        let point = |moment: &Moment| (moment.seconds, moment.memory_mb);
        moments.iter().map(point).collect()
    };
    let (speed, memory) = (
        course_of_each(heat, samples::rates),
        course_of_each(heat, memory),
    );
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
        h3 { "How a run goes on" }
        @for (name, title, unit, series) in charts {
            figure.course {
                figcaption { (title) }
                (chart::lines(&format!("{name}-{at}"), title, Across::Time, unit, series))
            }
        }
        div.wide { table {
            caption { "Memory in MB when so much of the time of the run is over" }
            thead { tr { th scope="col" { "Contender" } @for quarter in 1..=4 { th scope="col" { (25 * quarter) " %" } } } }
            tbody { @for one in &memory {
                tr {
                    th scope="row" { (one.name) }
                    @for quarter in 1..=4 { td { (format!("{:.0}", after(&one.points, f64::from(quarter) / 4.0))) } }
                }
            } }
        } }
    }
}

/// The value when a share of the time is over.
fn after(points: &[(f64, f64)], share: f64) -> f64 {
    let end = points.last().map_or(0.0, |(seconds, _)| *seconds);
    let point = points.iter().find(|(seconds, _)| *seconds >= share * end);
    point.map_or(0.0, |(_, value)| *value)
}

fn course_of_each(heat: &Heat, points: impl Fn(&[Moment]) -> Vec<(f64, f64)>) -> Vec<Series> {
    let followed = heat
        .entries
        .iter()
        .filter(|entry| !entry.course().is_empty());
    let series = followed.map(|entry| Series {
        name: entry.entrant.name().to_owned(),
        points: points(entry.course()),
        is_product: entry.entrant.name() == PRODUCT,
    });
    series.collect()
}

fn timelines(heat: &Heat, at: usize) -> Markup {
    let shown = || {
        heat.entries
            .iter()
            .filter_map(|entry| Some((entry.entrant.name(), entry.timeline.as_ref()?)))
    };
    html! {
        h3 { "Who did what when" }
        p.legend {
            @for (_, class, words) in PHASES { span { span class=(format!("key {class}")) {} (words) } }
            span { span.key.band {} "nothing, or waiting for work" }
        }
        @for (number, (name, timeline)) in shown().enumerate() {
            figure {
                figcaption { (name) }
                (chart::timeline(&format!("line-{at}-{number}"), &format!("Timeline of one run of {name}"), timeline))
            }
        }
        div.wide { table {
            caption { "Seconds in each phase, of all workers together" }
            thead { tr { th scope="col" { "Contender" } @for (_, class, _) in PHASES { th scope="col" { (class) } } } }
            tbody { @for (name, timeline) in shown() {
                tr { th scope="row" { (name) } @for (phase, _, _) in PHASES { td { (format!("{:.3}", seconds(timeline, phase))) } } }
            } }
        } }
    }
}

fn seconds(timeline: &Timeline, phase: Phase) -> f64 {
    let spans = timeline.rows.iter().flat_map(|row| &row.spans);
    let of_phase = spans.filter(|span| span.phase == phase);
    of_phase.map(|span| span.end - span.start).sum::<u64>() as f64 / 1e6
}
