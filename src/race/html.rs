//! The results as a self-contained HTML page without scripts: the answer, the circumstances, charts
//! over all conditions, then a folding section for each condition (`condition.rs`).

use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;

use crate::race::chart::{LineChart, Series, XAxis, short};
use crate::race::condition;
use crate::race::contenders::{BASELINE, PRODUCT};
use crate::race::options::{RaceArgs, WorkArg};
use crate::race::palette::Palette;
use crate::race::round_set::{Entry, RoundSet};
use crate::race::start::Start;
use crate::race::verdict;
use crate::words::quantity;

const STYLE: &str = include_str!("page.css");
/// Forbids the browser to fetch anything.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// `report` is the content of the JSON file.
pub fn page(args: &RaceArgs, start: &Start, sets: &[RoundSet], report: &Value) -> String {
    let palette = Palette::of(sets);
    let title = "indexrank: the race";
    let has_overview = args.worker_counts().len() > 1;
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
                header { h1 { (title) } }
                main {
                    (answer(args, sets))
                    (circumstances(args, start, report))
                    @if has_overview {
                        @for latency_ms in args.latencies() { (overview(args, sets, &palette, latency_ms)) }
                    }
                    section {
                        h2 { "Each condition" }
                        @for (at, set) in sets.iter().enumerate() {
                            details.condition open[at == 0 && !has_overview] {
                                (condition::summary(args, set))
                                (condition::content(args, sets, at, &palette))
                            }
                        }
                    }
                }
                footer { p {
                    "Different implementations of the same job, on the same pages, their answers compared. "
                    "Times are medians of the counted runs; thin lines span the fastest to the slowest run. "
                    "Colour, dash pattern and marker of a contender are the same in all charts. "
                    "Made by " code { "indexrank race" } ", version " (text(&report["version"])) "."
                } }
            }
        }
    }
    .into_string()
}

fn answer(args: &RaceArgs, sets: &[RoundSet]) -> Markup {
    let sentences = verdict::sentences(args, sets);
    html! {
        @if !sentences.is_empty() {
            section.verdict aria-label="The answer" {
                ul { @for sentence in &sentences { li { (sentence) } } }
            }
        }
    }
}

fn circumstances(args: &RaceArgs, start: &Start, report: &Value) -> Markup {
    let machine = &report["machine"];
    let cores = machine["cores"].as_u64().unwrap_or_default() as usize;
    let versions: Vec<String> = report["versions"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, version)| format!("{name} {}", text(version)))
        .collect();
    let load = start.load.map_or("unknown".to_owned(), |load| {
        format!("{load:.2}, the average of the minute before the start")
    });
    let cpu = format!(
        "{}, {}, {} {}",
        text(&machine["cpu"]),
        quantity(cores, "core", "cores"),
        text(&machine["os"]),
        text(&machine["arch"])
    );
    let facts = [
        ("Started", start.time.clone()),
        ("Machine", cpu),
        ("Load", load),
        ("Pages", source(args)),
        ("Libraries", versions.join(", ")),
    ];
    html! {
        section aria-label="The circumstances" {
            dl.facts {
                div { dt { "Command" } dd { code { (start.command) } } }
                @for (name, value) in facts { div { dt { (name) } dd { (value) } } }
            }
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("unknown")
}

/// Where the pages come from.
fn source(args: &RaceArgs) -> String {
    use crate::source::origin::Origin;
    match (&args.urls, &args.from) {
        (Some(file), _) => format!("the addresses in {}", file.display()),
        (None, Origin::Archive(file)) => format!("the archive {}", file.display()),
        (None, _) => format!(
            "{} of the embedded market",
            quantity(args.companies() as usize, "company", "companies")
        ),
    }
}

/// Time, CPU time and memory of each participant against the number of pages in flight, at one
/// latency.
fn overview(args: &RaceArgs, sets: &[RoundSet], palette: &Palette, latency_ms: u64) -> Markup {
    let sets: Vec<&RoundSet> = sets
        .iter()
        .filter(|set| set.latency_ms == latency_ms)
        .collect();
    let title = match &args.urls {
        Some(file) => format!("Addresses of {}", file.display()),
        None if args.work == WorkArg::Cpu => "Pages in memory".to_owned(),
        None => format!("Server waits {latency_ms} ms"),
    };
    let wall = |entry: &Entry| Some(entry.wall()?.median);
    let all = series(&sets, palette, wall);
    let (undrawn, walls) = all
        .into_iter()
        .partition::<Vec<_>, _>(|line| line.name == BASELINE);
    // Alone, the baseline squeezes nothing.
    let (undrawn, walls) = match walls.is_empty() {
        true => (walls, undrawn),
        false => (undrawn, walls),
    };
    let mut least: Vec<(f64, f64)> = sets
        .iter()
        .filter_map(|set| Some((set.workers as f64, condition::least_possible(args, set)?)))
        .collect();
    least.sort_by(|one, other| one.0.total_cmp(&other.0));
    let cpu = series(&sets, palette, Entry::cpu_ms_per_page);
    let memory = series(&sets, palette, |entry| entry.median(|run| run.peak_mb));
    let chart = |id, name: &str, unit, series, least| LineChart {
        id: format!("{id}-{latency_ms}"),
        title: format!("{name} against pages in flight. {title}"),
        x_axis: XAxis::InFlight,
        unit,
        series,
        least,
    };
    let names = ["Wall time", "CPU time for a page", "Peak memory"];
    let charts = [
        chart("wall", names[0], "s", &walls, &*least),
        chart("cpu", names[1], "ms", &cpu, &[]),
        chart("peak", names[2], "MB", &memory, &[]),
    ];
    html! {
        section {
            h2 { (title) }
            p.legend {
                @for line in &cpu { span { (line.style.swatch()) (line.name) } }
                @if !least.is_empty() { span { (least_swatch()) "least possible time" } }
            }
            div.charts { @for (name, chart) in names.iter().zip(charts) { (chart.figure(name)) } }
            @for line in &undrawn { p.note { (line.name) " is not in the chart of wall time: it takes " (range(&line.points)) " s." } }
            details.numbers { summary { "These charts as a table" } (numbers(&sets, palette)) }
        }
    }
}

fn least_swatch() -> Markup {
    html! {
        svg.swatch width="36" height="12" aria-hidden="true" {
            path.least.area d="M1 4H35V12H1Z" {}
            path.least d="M1 4H35" {}
        }
    }
}

/// `1.32`, or `1.32 to 1.38` if the values differ.
fn range(points: &[(f64, f64)]) -> String {
    let values = || points.iter().map(|(_, value)| *value);
    let least = short(values().fold(f64::INFINITY, f64::min));
    let most = short(values().fold(0.0, f64::max));
    if least == most {
        least
    } else {
        format!("{least} to {most}")
    }
}

/// A line for each participant with at least one value, in the order of the palette.
fn series<'a>(
    sets: &[&'a RoundSet],
    palette: &Palette,
    value: impl Fn(&Entry) -> Option<f64>,
) -> Vec<Series<'a>> {
    names(sets, palette)
        .into_iter()
        .map(|name| {
            let point = |set: &&RoundSet| Some((set.workers as f64, value(set.entry(name)?)?));
            let mut points: Vec<(f64, f64)> = sets.iter().filter_map(point).collect();
            points.sort_by(|one, other| one.0.total_cmp(&other.0));
            Series {
                name,
                style: palette.style(name),
                is_product: name == PRODUCT,
                points,
            }
        })
        .filter(|line| !line.points.is_empty())
        .collect()
}

/// The participants, in the order of the palette.
fn names<'a>(sets: &[&'a RoundSet], palette: &Palette) -> Vec<&'a str> {
    let entries = sets.iter().flat_map(|set| &set.entries);
    let mut names: Vec<&str> = entries.map(Entry::name).collect();
    names.sort_by_key(|name| palette.place(name));
    names.dedup();
    names
}

/// The values of the charts.
fn numbers(sets: &[&RoundSet], palette: &Palette) -> Markup {
    type Value = fn(&Entry) -> Option<f64>;
    let measures: [(&str, Value); 3] = [
        ("Wall time, s", |entry| Some(entry.wall()?.median)),
        ("CPU ms/page", Entry::cpu_ms_per_page),
        ("Peak MB", |entry| entry.median(|run| run.peak_mb)),
    ];
    html! {
        div.wide tabindex="0" role="region" aria-label="Values of the charts" { table {
            caption { "Medians by pages in flight" }
            thead {
                tr {
                    th scope="col" rowspan="2" { "Contender" }
                    @for (name, _) in &measures { th scope="colgroup" colspan=(sets.len()) { (name) } }
                }
                tr { @for _ in &measures { @for set in sets { th scope="col" { (set.workers) } } } }
            }
            tbody { @for name in names(sets, palette) {
                tr.product[name == PRODUCT] {
                    th scope="row" { (name) }
                    @for (_, value) in &measures {
                        @for set in sets { td { @if let Some(value) = set.entry(name).and_then(value) { (short(value)) } } }
                    }
                }
            } }
        } }
    }
}
