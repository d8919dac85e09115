//! The table of one condition, and what it says in words, computed from its figures.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _, stderr};

use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};

use crate::contenders::cores;
use crate::race::{Entrant, Run};
use crate::stats::{Spread, enough_in_flight, least_waiting, ratio};
use crate::{Entry, Heat, walls};

const RULE_BELOW_HEADER: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));
const COLUMNS: usize = 11;
const PRODUCT: &str = "pipeline";

/// One line on a terminal, overwritten by the next; nothing elsewhere.
pub fn progress(latency_ms: u64, workers: u64, round: u32, rounds: u32, name: &str) {
    if stderr().is_terminal() {
        let _ = write!(
            stderr(),
            "\r\x1b[K{latency_ms} ms, {workers} workers, round {round}/{rounds}: {name}"
        );
    }
}

pub fn progress_end() {
    if stderr().is_terminal() {
        let _ = write!(stderr(), "\r\x1b[K");
    }
}

pub fn heat(heat: &Heat) -> String {
    let mut text = format!(
        "Server waits {} ms, {} pages in flight\n",
        heat.latency_ms, heat.workers
    );
    let mut table = Table::new();
    table.load_style(RULE_BELOW_HEADER).set_header([
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
    ]);
    let sequential = heat
        .entries
        .iter()
        .find(|entry| entry.entrant.name() == "sequential");
    let sequential = sequential.and_then(|entry| Spread::of(&walls(entry)));
    for entry in &heat.entries {
        table.add_row(row(entry, sequential));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let _ = writeln!(text, "{table}\n");
    for entry in &heat.entries {
        if let Some(why) = &entry.broken {
            let _ = writeln!(text, "{} is out of the race: {why}", entry.entrant.name());
        }
    }
    text.push_str(&verdict(heat).unwrap_or_default());
    text.push('\n');
    text
}

fn row(entry: &Entry, sequential: Option<Spread>) -> Vec<String> {
    let name = entry.entrant.name();
    let marked = if name == PRODUCT {
        format!("▸ {name}")
    } else {
        format!("  {name}")
    };
    let Some(wall) = Spread::of(&walls(entry)) else {
        let mut cells = vec![String::new(); COLUMNS];
        cells[0] = marked;
        cells[COLUMNS - 1] = "broken".to_owned();
        return cells;
    };
    let middle = |of: fn(&Run) -> f64| median(entry, of).unwrap_or(0.0);
    let latency = |of: fn(&crate::parts::Measured) -> f64| {
        let known: Vec<f64> = entry
            .runs
            .iter()
            .filter_map(|run| run.measured.as_ref().map(of))
            .collect();
        Spread::of(&known).map_or(String::new(), |spread| format!("{:.1}", spread.median))
    };
    let pages = middle(|run| run.counts.requests as f64);
    let speed = sequential.map(|sequential| ratio(sequential, wall));
    let answer = match (&entry.entrant, &entry.broken) {
        (_, Some(_)) => "broken",
        (Entrant::Own { answers: false, .. }, _) => "the limit",
        (Entrant::Also { .. }, _)
            if entry.runs.iter().all(|run| run.answer.rankings.is_empty()) =>
        {
            "none given"
        }
        _ => "same",
    };
    vec![
        marked,
        format!("{:.3} ({:.3}–{:.3})", wall.median, wall.min, wall.max),
        format!("{:.0}", pages / wall.median),
        format!(
            "{:.1}",
            middle(|run| run.counts.bytes as f64) / 1e6 / wall.median
        ),
        [
            latency(|measured| measured.latency_p50_ms),
            latency(|measured| measured.latency_p99_ms),
        ]
        .join("/")
        .trim_matches('/')
        .to_owned(),
        format!("{:.2}", middle(|run| run.cpu_s) * 1e3 / pages.max(1.0)),
        format!("{:.0}", middle(|run| run.peak_mb)),
        format!(
            "{pages:.0}/{:.0}",
            middle(|run| run.counts.connections as f64)
        ),
        speed.map_or(String::new(), |speed| {
            format!("{:.1} ({:.1}–{:.1})", speed.median, speed.min, speed.max)
        }),
        entry.runs.len().to_string(),
        answer.to_owned(),
    ]
}

pub fn median(entry: &Entry, of: fn(&Run) -> f64) -> Option<f64> {
    Spread::of(&entry.runs.iter().map(of).collect::<Vec<f64>>()).map(|spread| spread.median)
}

/// What bound the job, the least time it could take, how near the entrants came, and from how many
/// pages in flight on nothing is gained.
fn verdict(heat: &Heat) -> Option<String> {
    let reference = heat
        .entries
        .iter()
        .find(|entry| entry.entrant.name() == PRODUCT && !entry.runs.is_empty())?;
    let pages = reference.runs.first()?.measured.as_ref()?.pages;
    let (latency, in_flight) = (heat.latency_ms as f64 / 1e3, heat.workers as usize);
    let computing = median(reference, |run| run.cpu_s)? / cores() as f64;
    let waiting = least_waiting(pages, in_flight, latency);
    let enough = enough_in_flight(pages, latency, computing);
    let bound = if waiting < computing {
        "the CPU"
    } else if in_flight < enough {
        "the number of pages in flight"
    } else {
        "the network"
    };
    let mut text = format!(
        "Bound by {bound}: the waiting for {pages} pages, {in_flight} at a time, takes {waiting:.2} s at the least, \
         the computing of {PRODUCT} {computing:.2} s on {} cores. More than {enough} in flight gain nothing.\n",
        cores()
    );
    let least = waiting.max(computing);
    let medians = heat
        .entries
        .iter()
        .filter_map(|entry| Some((entry.entrant.name(), Spread::of(&walls(entry))?.median)));
    let near: Vec<String> = medians
        .map(|(name, wall)| format!("{name} {:.2}", wall / least))
        .collect();
    let _ = writeln!(
        text,
        "Times the least possible {least:.2} s: {}",
        near.join(", ")
    );
    Some(text)
}
