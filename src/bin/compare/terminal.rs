//! The table of one condition, and what it says in words, computed from its figures.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _, stderr};

use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};

use crate::bottleneck::{PRODUCT, Verdict};
use crate::child::Measured;
use crate::cli::{RaceArgs, WorkArg};
use crate::contenders::cores;
use crate::round_set::{Entry, Heat};
use crate::run::{Entrant, Traffic};
use crate::stats::{Spread, ratio};

const RULE_BELOW_HEADER: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));
const COLUMNS: usize = 11;

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

/// What distinguishes a heat from the others.
pub fn title(args: &RaceArgs, heat: &Heat) -> String {
    let in_flight = match heat.workers {
        1 => "1 page in flight".to_owned(),
        many => format!("{many} pages in flight"),
    };
    if let Some(file) = &args.urls {
        return format!("Addresses of {}, {in_flight}", file.display());
    }
    if args.work == WorkArg::Cpu {
        return format!("Pages in memory, {in_flight}");
    }
    let jitter = match args.jitter {
        0 => String::new(),
        most => format!(" and up to {most} more"),
    };
    let bandwidth = args.bandwidth.map_or(String::new(), |megabits| {
        format!(", sends {megabits} Mbit/s")
    });
    let only = if args.work == WorkArg::Io {
        ", nothing is read"
    } else {
        ""
    };
    format!(
        "Server waits {} ms{jitter}{bandwidth}, {in_flight}{only}",
        heat.latency_ms
    )
}

pub fn heat(args: &RaceArgs, heat: &Heat) -> String {
    let mut text = format!("{}\n", title(args, heat));
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
    let sequential = sequential.and_then(Entry::wall);
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
        if let Some(difference) = &entry.differs {
            let _ = writeln!(
                text,
                "{} saw other pages: {difference}",
                entry.entrant.name()
            );
        }
    }
    text.push_str(&failures(heat));
    if let Some(verdict) = Verdict::of(args, heat, cores()) {
        let _ = writeln!(text, "{verdict}");
    }
    text
}

/// Addresses that gave no page, as one who asked them all tells it.
fn failures(heat: &Heat) -> String {
    const SHOWN: usize = 5;
    let told = heat.entries.iter().find_map(|entry| entry.runs.first());
    let told = told.into_iter().flat_map(|run| run.answer.failures());
    let told = told.map(|line| {
        format!(
            "  {}: {}\n",
            line["address"].as_str().unwrap_or_default(),
            line["error"].as_str().unwrap_or_default()
        )
    });
    let told: Vec<String> = told.collect();
    let more = match told.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!("  and {more} more\n"),
    };
    match told.len() {
        0 => String::new(),
        number => format!(
            "{number} addresses gave no page:\n{}{more}",
            told[..number.min(SHOWN)].concat()
        ),
    }
}

fn row(entry: &Entry, sequential: Option<Spread>) -> Vec<String> {
    let name = entry.entrant.name();
    let marked = if name == PRODUCT {
        format!("▸ {name}")
    } else {
        format!("  {name}")
    };
    let Some(wall) = entry.wall() else {
        let mut cells = vec![String::new(); COLUMNS];
        cells[0] = marked;
        cells[COLUMNS - 1] = answer(entry).to_owned();
        return cells;
    };
    let middle = |of: fn(&Traffic) -> f64| entry.median(|run| of(&run.traffic)).unwrap_or(0.0);
    let latency = |of: fn(&Measured) -> f64| {
        let known = entry
            .runs
            .iter()
            .filter_map(|run| run.measured.as_ref().map(of));
        Spread::of(&known.collect::<Vec<f64>>())
            .map_or(String::new(), |spread| format!("{:.1}", spread.median))
    };
    let connections = entry
        .connections()
        .map_or(String::new(), |count| format!("/{count:.0}"));
    vec![
        marked,
        format!("{:.3} ({:.3}–{:.3})", wall.median, wall.min, wall.max),
        format!("{:.0}", entry.pages_per_s().unwrap_or(0.0)),
        format!(
            "{:.1}",
            middle(|traffic| traffic.bytes as f64) / 1e6 / wall.median
        ),
        [
            latency(|measured| measured.latency_p50_ms),
            latency(|measured| measured.latency_p99_ms),
        ]
        .join("/")
        .trim_matches('/')
        .to_owned(),
        format!("{:.2}", entry.cpu_ms_per_page().unwrap_or(0.0)),
        format!("{:.0}", entry.median(|run| run.peak_mb).unwrap_or(0.0)),
        format!(
            "{:.0}{connections}",
            middle(|traffic| traffic.requests as f64)
        ),
        speed(sequential, wall),
        entry.runs.len().to_string(),
        answer(entry).to_owned(),
    ]
}

/// How often an entrant does the job while `sequential` does it once, with bounds.
pub fn speed(sequential: Option<Spread>, wall: Spread) -> String {
    let Some(speed) = sequential.map(|sequential| ratio(sequential, wall)) else {
        return String::new();
    };
    // Two digits of what is slower than that.
    let digits = if speed.median < 0.095 { 3 } else { 1 };
    format!(
        "{:.digits$} ({:.digits$}–{:.digits$})",
        speed.median, speed.min, speed.max
    )
}

pub fn answer(entry: &Entry) -> &'static str {
    match &entry.entrant {
        _ if entry.broken.is_some() => "broken",
        _ if entry.differs.is_some() => "differs",
        Entrant::Own { answers: false, .. } => "the limit",
        Entrant::Also { .. } if entry.runs.iter().all(|run| run.answer.rankings.is_empty()) => {
            "none given"
        }
        _ => "same",
    }
}
