//! The results as text for the terminal: a table for each condition, and one of each participant at its
//! best.

use std::fmt::Write;

use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use unicode_width::UnicodeWidthStr;

use crate::race::contenders::{BASELINE, PRODUCT};
use crate::race::findings::bottleneck::Bottleneck;
use crate::race::findings::connection_notes;
use crate::race::findings::labels;
use crate::race::findings::round_set::{Entry, RoundSet};
use crate::race::findings::sweep;
use crate::race::number_format::{speedup, with_range};
use crate::race::options::RaceArgs;

const RULE_BELOW_HEADER: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));
/// The columns in the order of their importance: a table that is too wide loses its last ones.
const COLUMNS: [&str; 12] = [
    "",
    "s (min–max)",
    "pages/s",
    "CPU ms/page",
    "MB",
    "× least",
    "answer",
    "× sequential",
    "runs",
    "p50/p99 ms",
    "requests/conns",
    "MB/s",
];
/// A race with fewer numbers in flight shows no table of the best: the reader sees them all.
const MIN_SWEEP: usize = 4;

/// The results under one condition, at most `columns` wide.
pub fn report(args: &RaceArgs, set: &RoundSet, columns: usize) -> String {
    let mut text = format!("{}\n", labels::title(args, set));
    let bottleneck = Bottleneck::of(args, set);
    let rows: Vec<Vec<String>> = set
        .entries
        .iter()
        .map(|entry| row(set, entry, bottleneck.as_ref()))
        .collect();
    let header = COLUMNS.map(str::to_owned);
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{}\n", table(args, &header, &rows, columns));
    for entry in &set.entries {
        let name = entry.name();
        for problem in labels::problems(entry) {
            let _ = writeln!(text, "{problem}");
        }
        if !entry.runs.is_empty() && !entry.is_ranked() {
            let _ = writeln!(text, "{name} has no place: nothing checks its answer");
        }
    }
    let notes = connection_notes::sentences(args, set);
    for sentence in labels::timing(set).into_iter().chain(notes) {
        let _ = writeln!(text, "{sentence}");
    }
    text.push_str(&failures(set));
    if let Some(bottleneck) = &bottleneck {
        let _ = writeln!(text, "{bottleneck}");
    }
    text.push('\n');
    text
}

/// A table for each latency: each participant with the smallest number in flight within 5 % of its best
/// time. Empty unless the race is a sweep.
pub fn bests(args: &RaceArgs, sets: &[RoundSet], columns: usize) -> String {
    let mut text = String::new();
    if args.worker_counts().len() < MIN_SWEEP {
        return text;
    }
    for latency_ms in sweep::latencies(sets) {
        let sets = sweep::at_latency(sets, latency_ms);
        let mut names: Vec<&str> = Vec::new();
        for entry in sets.iter().flat_map(|set| set.ranked()) {
            if !names.contains(&entry.name()) {
                names.push(entry.name());
            }
        }
        let mut bests: Vec<(&RoundSet, &Entry)> = names
            .into_iter()
            .filter_map(|name| sweep::own_best(&sets, name))
            .collect();
        let seconds = |entry: &Entry| entry.wall().map_or(f64::INFINITY, |wall| wall.median);
        bests.sort_by(|(_, one), (_, other)| seconds(one).total_cmp(&seconds(other)));
        let rows: Vec<Vec<String>> = bests
            .iter()
            .map(|(set, entry)| {
                let mut cells = row(set, entry, Bottleneck::of(args, set).as_ref());
                // The baseline has one request in flight, whatever the condition allows.
                let in_flight = if entry.name() == BASELINE {
                    1
                } else {
                    set.condition.workers
                };
                cells.insert(1, in_flight.to_string());
                cells
            })
            .collect();
        let mut header = COLUMNS.map(str::to_owned).to_vec();
        header.insert(1, "in flight".to_owned());
        let _ = writeln!(
            text,
            "Server waits {latency_ms} ms, each at its best: the smallest number in flight within 5 % of \
             its best time\n{}\n",
            table(args, &header, &rows, columns)
        );
    }
    text
}

/// A table of as many columns as fit into the width, all with `--wide`. It has the first two in any case.
fn table(args: &RaceArgs, header: &[String], rows: &[Vec<String>], width: usize) -> String {
    let mut shown = header.len();
    loop {
        let mut table = Table::new();
        table
            .load_style(RULE_BELOW_HEADER)
            .set_header(&header[..shown]);
        for row in rows {
            table.add_row(&row[..shown]);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let text = table.to_string();
        let text: Vec<&str> = text.lines().map(str::trim_end).collect();
        let fits = text.iter().all(|line| line.width() <= width);
        if fits || args.wide || shown <= 2 {
            return text.join("\n");
        }
        shown -= 1;
    }
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

fn row(set: &RoundSet, entry: &Entry, bottleneck: Option<&Bottleneck>) -> Vec<String> {
    let mark = if entry.name() == PRODUCT { '▸' } else { ' ' };
    let name = format!("{mark} {}", entry.name());
    let answer = labels::answer(entry).to_owned();
    let Some(wall) = entry.wall() else {
        let cell = |column: &str| match column {
            "" => name.clone(),
            "answer" => answer.clone(),
            _ => String::new(),
        };
        return COLUMNS.map(cell).to_vec();
    };
    let or_zero = |value: Option<f64>| value.unwrap_or(0.0);
    let bytes = or_zero(entry.median(|run| run.traffic.bytes as f64));
    let connections = entry
        .connections()
        .map_or(String::new(), |count| format!("/{count:.0}"));
    let least = bottleneck.map_or(String::new(), |bottleneck| {
        format!("{:.2}", wall.median / bottleneck.minimum())
    });
    vec![
        name,
        with_range(wall, 3),
        format!("{:.0}", or_zero(entry.pages_per_s())),
        format!("{:.2}", or_zero(entry.cpu_ms_per_page())),
        format!("{:.0}", or_zero(entry.median(|run| run.peak_mb))),
        least,
        answer,
        speedup(set.baseline_wall(), wall),
        entry.runs.len().to_string(),
        labels::latencies(entry),
        format!("{:.0}{connections}", or_zero(entry.requests())),
        format!("{:.1}", bytes / 1e6 / wall.median),
    ]
}
