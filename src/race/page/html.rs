//! The results as a self-contained HTML page without scripts: the answer, the circumstances, charts
//! over all conditions, then a folding section for each condition (`condition.rs`).

use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;

use crate::race::contenders::{BASELINE, PRODUCT};
use crate::race::findings::round_set::{Entry, RoundSet};
use crate::race::findings::sweep;
use crate::race::number_format::short;
use crate::race::options::{RaceArgs, WorkArg};
use crate::race::page::chart::{LineChart, Series, XAxis};
use crate::race::page::condition;
use crate::race::page::palette::Palette;
use crate::race::start::Start;
use crate::source::origin::Origin;
use crate::words::quantity;

const STYLE: &str = include_str!("page.css");
/// Forbids the browser to fetch anything.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// A number of a participant that is drawn against the number of pages in flight.
struct Measure {
    /// The start of the `id` of its charts.
    id: &'static str,
    name: &'static str,
    unit: &'static str,
    value: fn(&Entry) -> Option<f64>,
}

const MEASURES: [Measure; 3] = [
    Measure {
        id: "wall",
        name: "Wall time",
        unit: "s",
        value: |entry| Some(entry.wall()?.median),
    },
    Measure {
        id: "cpu",
        name: "CPU time for a page",
        unit: "ms",
        value: Entry::cpu_ms_per_page,
    },
    Measure {
        id: "peak",
        name: "Peak memory",
        unit: "MB",
        value: |entry| entry.median(|run| run.peak_mb),
    },
];

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
                    (answer(report))
                    (circumstances(args, start, report))
                    @if has_overview {
                        @for latency_ms in sweep::latencies(sets) { (overview(args, sets, &palette, latency_ms)) }
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

fn answer(report: &Value) -> Markup {
    let sentences: Vec<&str> = report["answer"]
        .as_array()
        .into_iter()
        .flatten()
        .map(text)
        .collect();
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
    let sets = sweep::at_latency(sets, latency_ms);
    let title = match &args.urls {
        Some(file) => format!("Addresses of {}", file.display()),
        None if args.work == WorkArg::Cpu => "Pages in memory".to_owned(),
        None => format!("Server waits {latency_ms} ms"),
    };
    let least: Vec<(f64, f64)> = sets
        .iter()
        .filter_map(|set| {
            Some((
                set.condition.workers as f64,
                condition::least_possible(args, set)?,
            ))
        })
        .collect();
    // Without others, the baseline sets the scale.
    let has_others = sets
        .iter()
        .any(|set| set.ranked().any(|entry| entry.name() != BASELINE));
    let is_drawn = |name: &str| !has_others || name != BASELINE;
    let lines = |is_shown: &dyn Fn(&str) -> bool| {
        MEASURES.map(|measure| {
            let mut lines = series(&sets, palette, measure.value);
            lines.retain(|line| is_shown(line.name));
            lines
        })
    };
    let drawn = lines(&is_drawn);
    let undrawn = lines(&|name| !is_drawn(name));
    let figures = MEASURES.iter().zip(&drawn).map(|(measure, series)| {
        let chart = LineChart {
            id: format!("{}-{latency_ms}", measure.id),
            title: format!("{} against pages in flight. {title}", measure.name),
            x_axis: XAxis::InFlight,
            unit: measure.unit,
            series,
            least: if measure.id == "wall" { &least } else { &[] },
        };
        chart.figure(measure.name)
    });
    html! {
        section {
            h2 { (title) }
            p.legend {
                @for line in &drawn[0] { span { (line.style.swatch()) (line.name) } }
                @if !least.is_empty() { span { (least_swatch()) "least possible time" } }
            }
            div.charts { @for figure in figures { (figure) } }
            (undrawn_in_words(&undrawn))
            details.numbers { summary { "These charts as a table" } (numbers(&sets, palette)) }
        }
    }
}

/// The baseline works on one page at a time under every condition, so its lines would be flat.
fn undrawn_in_words(undrawn: &[Vec<Series>; MEASURES.len()]) -> Markup {
    let [[wall, ..], [cpu, ..], [peak, ..]] = undrawn.each_ref().map(Vec::as_slice) else {
        return html! {};
    };
    html! {
        p.note {
            (BASELINE) " is not in the charts, because it always has one page in flight: it takes "
            (range(&wall.points)) " s, " (range(&cpu.points)) " ms of CPU time for a page, and "
            (range(&peak.points)) " MB."
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
            let point =
                |set: &&RoundSet| Some((set.condition.workers as f64, value(set.entry(name)?)?));
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
    html! {
        div.wide tabindex="0" role="region" aria-label="Values of the charts" { table {
            caption { "Medians by pages in flight" }
            thead {
                tr {
                    th scope="col" rowspan="2" { "Contender" }
                    @for Measure { name, unit, .. } in &MEASURES { th scope="colgroup" colspan=(sets.len()) { (name) ", " (unit) } }
                }
                tr { @for _ in &MEASURES { @for set in sets { th scope="col" { (set.condition.workers) } } } }
            }
            tbody { @for name in names(sets, palette) {
                tr.product[name == PRODUCT] {
                    th scope="row" { (name) }
                    @for Measure { value, .. } in &MEASURES {
                        @for set in sets { td { @if let Some(value) = set.entry(name).and_then(value) { (short(value)) } } }
                    }
                }
            } }
        } }
    }
}
