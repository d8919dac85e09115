//! The section of the HTML page about one condition: bars, table, and what happened over time.

use maud::{Markup, html};

use crate::race::contenders::{BASELINE, PRODUCT};
use crate::race::findings::bottleneck::Bottleneck;
use crate::race::findings::labels;
use crate::race::findings::round_set::{Entry, RoundSet};
use crate::race::number_format::{short, speedup, with_range};
use crate::race::options::RaceArgs;
use crate::race::page::chart::{LineChart, Series, XAxis, px};
use crate::race::page::palette::Palette;
use crate::race::page::timeline::{self, PHASES};
use crate::race::run::samples::Sample;
use crate::race::stats::median;
use crate::telemetry::trace::Timeline;

/// Participants that take more than this times the median are named with their time, not drawn: on a scale
/// that holds them, the other bars have the same length. The fastest is no measure, because a program that
/// does nothing may be the fastest.
const MAX_SLOWNESS: f64 = 5.0;
/// Conditions of one latency share the time axis of their timelines if the shortest fills at least
/// this share of it.
const MIN_FILLED: f64 = 1.0 / 3.0;

/// The least possible wall time in seconds.
pub fn least_possible(args: &RaceArgs, set: &RoundSet) -> Option<f64> {
    let least = Bottleneck::of(args, set)?.minimum();
    (least.is_finite() && least > 0.0).then_some(least)
}

/// The title of the condition and the fastest three, shown also while the section is folded.
pub fn summary(args: &RaceArgs, set: &RoundSet) -> Markup {
    let timed = set.ranked().filter_map(|entry| {
        let wall = entry.wall()?.median;
        Some(format!("{} {} s", entry.name(), short(wall)))
    });
    let fastest: Vec<String> = timed.take(3).collect();
    let broken = set.entries.iter().filter(|entry| entry.broken.is_some());
    let broken: Vec<&str> = broken.map(Entry::name).collect();
    html! {
        summary {
            h3 { (labels::title(args, set)) }
            span.fastest { (fastest.join(" · ")) }
            @if !broken.is_empty() { span.problem { "disqualified: " (broken.join(", ")) } }
        }
    }
}

pub fn content(args: &RaceArgs, sets: &[RoundSet], at: usize, palette: &Palette) -> Markup {
    let set = &sets[at];
    let has_samples = set.entries.iter().any(|entry| !entry.samples().is_empty());
    html! {
        (bars(set, palette, least_possible(args, set)))
        @for problem in set.entries.iter().flat_map(labels::problems) { p.problem { (problem) } }
        @if let Some(note) = labels::timing(set) { p { (note) } }
        @if let Some(bottleneck) = Bottleneck::of(args, set) {
            @for line in bottleneck.to_string().lines() { p { (line) } }
        }
        (results(set, palette))
        @if has_samples {
            details { summary { "One run over time" } (samples(set, at, palette)) }
        }
        @if set.entries.iter().any(|entry| entry.timeline.is_some()) {
            details { summary { "What each worker did in one run" } (timelines(sets, set, palette)) }
        }
    }
}

/// Participants that are drawn on the scales of time, and those that are not. Participants without a
/// counted run are in neither.
fn by_scale(set: &RoundSet) -> (Vec<&Entry>, Vec<&Entry>) {
    let wall = |entry: &Entry| entry.wall().map(|wall| wall.median);
    let timed = || set.ranked().filter(|entry| wall(entry).is_some());
    let of_others = timed().filter(|entry| entry.name() != BASELINE);
    match median(of_others.filter_map(wall)) {
        // Without others, the baseline sets the scale.
        None => (timed().collect(), Vec::new()),
        Some(median) => timed().partition(|entry| {
            let is_fast = wall(entry).is_some_and(|wall| wall <= MAX_SLOWNESS * median);
            is_fast && entry.name() != BASELINE
        }),
    }
}

/// Wall time of each participant, the fastest first.
fn bars(set: &RoundSet, palette: &Palette, least: Option<f64>) -> Markup {
    let (drawn, undrawn) = by_scale(set);
    let longest = drawn.iter().filter_map(|entry| entry.wall());
    let longest = longest.map(|wall| wall.max).fold(0.0, f64::max);
    let percent = |seconds: f64| format!("{}%", px(seconds / longest * 100.0));
    let least = least.filter(|least| *least <= longest);
    html! {
        figure.bars {
            figcaption { "Wall time" span.unit { ", s (fastest–slowest run)" } }
            ul {
                @for entry in &drawn {
                    @if let Some(wall) = entry.wall() {
                        li.product[entry.name() == PRODUCT] {
                            (name(entry.name(), palette))
                            span.value { (with_range(wall, 3)) }
                            svg class=(palette.style(entry.name()).class()) height="18" aria-hidden="true" {
                                rect.bar y="3" height="12" width=(percent(wall.median)) data-name=(entry.name()) data-value=(wall.median) {}
                                @if let Some(least) = least { line.least x1=(percent(least)) x2=(percent(least)) y1="0" y2="18" {} }
                                line.spread x1=(percent(wall.min)) x2=(percent(wall.max)) y1="9" y2="9" {}
                                @for end in [wall.min, wall.max] { line.spread x1=(percent(end)) x2=(percent(end)) y1="5" y2="13" {} }
                            }
                        }
                    }
                }
                @if let Some(least) = least {
                    li { span.name { "least possible" } span.value { (format!("{least:.3}")) } svg height="18" aria-hidden="true" {
                        line.least x1=(percent(least)) x2=(percent(least)) y1="0" y2="18" {}
                        line.least x1="0" x2=(percent(least)) y1="9" y2="9" {}
                    } }
                }
                @for entry in &undrawn {
                    @if let Some(wall) = entry.wall() {
                        li { (name(entry.name(), palette)) span.value { (with_range(wall, 3)) } span.words { "not drawn on this scale" } }
                    }
                }
            }
        }
    }
}

fn name(name: &str, palette: &Palette) -> Markup {
    html! { span.name { (palette.style(name).swatch()) (name) } }
}

const COLUMNS: [&str; 11] = [
    "s (min–max)",
    "pages/s",
    "MB/s",
    "p50/p99 ms",
    "CPU ms/page",
    "MB",
    "requests",
    "connections",
    "× sequential",
    "runs",
    "answer",
];

/// The columns of the terminal's widest table.
fn results(set: &RoundSet, palette: &Palette) -> Markup {
    html! {
        div.wide tabindex="0" role="region" aria-label="Results" { table {
            caption { "Medians of the counted runs" }
            thead { tr { th scope="col" { "Contender" } @for head in COLUMNS { th scope="col" { (head) } } } }
            tbody { @for entry in &set.entries {
                tr.product[entry.name() == PRODUCT] {
                    th scope="row" { (name(entry.name(), palette)) }
                    @for cell in cells(set, entry) { td { (cell) } }
                }
            } }
        } }
    }
}

fn cells(set: &RoundSet, entry: &Entry) -> [String; COLUMNS.len()] {
    let answer = labels::answer(entry).to_owned();
    let Some(wall) = entry.wall() else {
        let mut cells = [const { String::new() }; COLUMNS.len()];
        cells[COLUMNS.len() - 1] = answer;
        return cells;
    };
    let number = |value: Option<f64>, digits: usize| {
        value.map_or(String::new(), |value| format!("{value:.digits$}"))
    };
    let bytes = entry.median(|run| run.traffic.bytes as f64);
    [
        with_range(wall, 3),
        number(entry.pages_per_s(), 0),
        number(bytes.map(|bytes| bytes / 1e6 / wall.median), 1),
        labels::latencies(entry),
        number(entry.cpu_ms_per_page(), 2),
        number(entry.median(|run| run.peak_mb), 0),
        number(entry.requests(), 0),
        number(entry.connections(), 0),
        speedup(set.baseline_wall(), wall),
        entry.runs.len().to_string(),
        answer,
    ]
}

/// Pages served and memory over the time of one run of each participant.
fn samples<'a>(set: &'a RoundSet, at: usize, palette: &Palette) -> Markup {
    let (drawn, undrawn) = by_scale(set);
    let series = |value: fn(&Sample) -> f64, start: Option<(f64, f64)>| -> Vec<Series<'a>> {
        let with_samples = drawn.iter().filter(|entry| !entry.samples().is_empty());
        let line = |entry: &'a Entry| {
            let point = |sample: &Sample| (sample.seconds, value(sample));
            Series {
                name: entry.name(),
                style: palette.style(entry.name()),
                is_product: entry.name() == PRODUCT,
                points: start
                    .into_iter()
                    .chain(entry.samples().iter().map(point))
                    .collect(),
            }
        };
        with_samples.map(|entry| line(entry)).collect()
    };
    let pages = series(|sample| sample.requests as f64, Some((0.0, 0.0)));
    let memory = series(|sample| sample.memory_mb, None);
    let charts = [
        ("Requests served", "requests", &pages),
        ("Memory without child processes", "MB", &memory),
    ];
    html! {
        p.legend { @for line in &pages { span { (line.style.swatch()) (line.name) } } }
        div.charts {
            @for (name, unit, series) in charts {
                (LineChart {
                    id: format!("{unit}-{at}"),
                    title: format!("{name} over the time of one run"),
                    x_axis: XAxis::Seconds,
                    unit,
                    series,
                    least: &[],
                }.figure(name))
            }
        }
        (undrawn_in_words(&undrawn))
    }
}

fn undrawn_in_words(undrawn: &[&Entry]) -> Markup {
    let times = undrawn.iter().filter_map(|entry| {
        let wall = entry.wall()?.median;
        Some(format!("{}, {} s", entry.name(), short(wall)))
    });
    let times: Vec<String> = times.collect();
    html! { @if !times.is_empty() { p.note { "Not drawn on this scale: " (times.join("; ")) "." } } }
}

/// The drawn timelines of a set, and their common end in microseconds.
fn drawn_timelines(set: &RoundSet) -> (Vec<(&Entry, &Timeline)>, u64) {
    let (drawn, _) = by_scale(set);
    let timelines: Vec<_> = drawn
        .into_iter()
        .filter_map(|entry| Some((entry, entry.timeline.as_ref()?)))
        .collect();
    let ends = timelines.iter().map(|(_, one)| timeline::end(one));
    let end = ends.max().unwrap_or(1);
    (timelines, end)
}

/// The end of the time axis in microseconds: the longest timeline of all conditions with this
/// latency, or of this condition if others would shrink too much.
fn axis_end(sets: &[RoundSet], set: &RoundSet) -> u64 {
    let same_latency = sets
        .iter()
        .filter(|one| one.condition.latency_ms == set.condition.latency_ms);
    let ends: Vec<u64> = same_latency.map(|one| drawn_timelines(one).1).collect();
    let (least, most) = ends.iter().fold((u64::MAX, 1), |(least, most), end| {
        (least.min(*end), most.max(*end))
    });
    if least as f64 >= MIN_FILLED * most as f64 {
        most
    } else {
        drawn_timelines(set).1
    }
}

fn timelines(sets: &[RoundSet], set: &RoundSet, palette: &Palette) -> Markup {
    let (shown, _) = drawn_timelines(set);
    let axis_end = axis_end(sets, set);
    let (_, undrawn) = by_scale(set);
    html! {
        p.legend {
            @for (_, class, words) in PHASES { span { span class=(format!("key {class}")) {} (words) } }
            span { span.key.idle {} "idle, or waiting for work" }
        }
        @for (entry, one) in &shown {
            figure.timeline {
                figcaption { (name(entry.name(), palette)) }
                (timeline::draw(&format!("Timeline of one run of {}", entry.name()), one, axis_end))
            }
        }
        (undrawn_in_words(&undrawn))
        div.wide tabindex="0" role="region" aria-label="Seconds in each phase" { table {
            caption { "Seconds in each phase, summed over all workers" }
            thead { tr { th scope="col" { "Contender" } @for (_, class, _) in PHASES { th scope="col" { (class) } } } }
            tbody { @for (entry, one) in &shown {
                tr { th scope="row" { (entry.name()) } @for (phase, _, _) in PHASES { td { (format!("{:.3}", timeline::seconds_in_phase(one, phase))) } } }
            } }
        } }
    }
}
