//! The results of a round set as text for the terminal: a table, then sentences.

use std::fmt::Write;

use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};

use crate::race::bottleneck::Bottleneck;
use crate::race::child::Measurement;
use crate::race::connection_notes;
use crate::race::contenders::PRODUCT;
use crate::race::labels;
use crate::race::machine::cores;
use crate::race::number_format::{speedup, with_range};
use crate::race::options::RaceArgs;
use crate::race::round_set::{Entry, RoundSet};
use crate::race::stats::{Spread, median};

const RULE_BELOW_HEADER: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));
const HEADER: [&str; 11] = [
    "",
    "s (min–max)",
    "pages/s",
    "MB/s",
    "p50/p99 ms",
    "CPU ms/page",
    "MB",
    "requests/conns",
    "× sequential",
    "runs",
    "answer",
];

pub fn report(args: &RaceArgs, set: &RoundSet) -> String {
    let mut text = format!("{}\n", labels::title(args, set));
    let mut table = Table::new();
    table.load_style(RULE_BELOW_HEADER).set_header(HEADER);
    let baseline = set.baseline_wall();
    for entry in &set.entries {
        table.add_row(row(entry, baseline));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{table}\n");
    for entry in &set.entries {
        let name = entry.name();
        if let Some(reason) = &entry.broken {
            let _ = writeln!(text, "{name} is disqualified: {reason}");
        }
        if let Some(difference) = &entry.differs {
            let _ = writeln!(text, "{name} received different pages: {difference}");
        }
    }
    for sentence in connection_notes::sentences(args, set) {
        let _ = writeln!(text, "{sentence}");
    }
    text.push_str(&failures(set));
    if let Some(bottleneck) = Bottleneck::of(args, set, cores()) {
        let _ = writeln!(text, "{bottleneck}");
    }
    text
}

/// Addresses that failed, as reported by the first run of the fastest participant.
fn failures(set: &RoundSet) -> String {
    const SHOWN: usize = 5;
    let run = set.entries.iter().find_map(|entry| entry.runs.first());
    let lines: Vec<String> = run
        .into_iter()
        .flat_map(|run| run.answer.failures())
        .map(|line| {
            format!(
                "  {}: {}\n",
                line["address"].as_str().unwrap_or_default(),
                line["error"].as_str().unwrap_or_default()
            )
        })
        .collect();
    let heading = match lines.len() {
        0 => return String::new(),
        1 => "1 address failed:\n".to_owned(),
        many => format!("{many} addresses failed:\n"),
    };
    let shown = lines[..lines.len().min(SHOWN)].concat();
    let more = match lines.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!("  and {more} more\n"),
    };
    format!("{heading}{shown}{more}")
}

fn row(entry: &Entry, baseline: Option<Spread>) -> Vec<String> {
    let mark = if entry.name() == PRODUCT { '▸' } else { ' ' };
    let name = format!("{mark} {}", entry.name());
    let answer = labels::answer(entry).to_owned();
    let Some(wall) = entry.wall() else {
        let mut cells = vec![String::new(); HEADER.len()];
        cells[0] = name;
        cells[HEADER.len() - 1] = answer;
        return cells;
    };
    let or_zero = |value: Option<f64>| value.unwrap_or(0.0);
    let bytes = or_zero(entry.median(|run| run.traffic.bytes as f64));
    let connections = entry
        .connections()
        .map_or(String::new(), |count| format!("/{count:.0}"));
    vec![
        name,
        with_range(wall, 3),
        format!("{:.0}", or_zero(entry.pages_per_s())),
        format!("{:.1}", bytes / 1e6 / wall.median),
        latencies(entry),
        format!("{:.2}", or_zero(entry.cpu_ms_per_page())),
        format!("{:.0}", or_zero(entry.median(|run| run.peak_mb))),
        format!("{:.0}{connections}", or_zero(entry.requests())),
        speedup(baseline, wall),
        entry.runs.len().to_string(),
        answer,
    ]
}

/// `0.1/2.1`: medians of the 50th and the 99th percentile in milliseconds. Empty for a program of
/// the user, which does not report them.
fn latencies(entry: &Entry) -> String {
    let latency = |percentile: fn(&Measurement) -> f64| {
        median(
            entry
                .runs
                .iter()
                .filter_map(|run| run.measurement.as_ref().map(percentile)),
        )
    };
    let p50 = latency(|measurement| measurement.latency_p50_ms);
    let p99 = latency(|measurement| measurement.latency_p99_ms);
    match p50.zip(p99) {
        Some((p50, p99)) => format!("{p50:.1}/{p99:.1}"),
        None => String::new(),
    }
}
