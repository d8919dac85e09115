//! The end of a run on the terminal: four tables and one line.

use std::fmt::Write;
use std::path::Path;

use comfy_table::{CellAlignment, ColumnConstraint, LineStyle, Table, TableStyle, Width};
use rust_decimal::{Decimal, RoundingStrategy};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::results::plausibility::Suspicion;
use crate::results::ranking::{Figure, Place};
use crate::results::report::Report;

/// A line below the header and nothing else.
const RULE_BELOW_HEADER: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));
/// Tables stand two by two from this width on.
const TWO_BY_TWO: usize = 100;
const GAP: &str = "   ";
/// What a table needs beside its names: rank, code, figure and the space around them.
const BESIDE_NAMES: usize = 32;
const LONGEST_NAME: usize = 40;

/// The rankings as tables, for a terminal of so many columns.
pub fn tables(rankings: &[(Figure, Vec<Place>)], width: usize) -> String {
    let side_by_side = width >= TWO_BY_TWO;
    let room = if side_by_side {
        (width - GAP.len()) / 2
    } else {
        width
    };
    let names = room.saturating_sub(BESIDE_NAMES).clamp(8, LONGEST_NAME);
    let drawn: Vec<Vec<String>> = rankings
        .iter()
        .map(|(figure, places)| one_table(*figure, places, names))
        .collect();
    let widest = drawn
        .iter()
        .flatten()
        .map(|line| line.width())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for pair in drawn.chunks(if side_by_side { 2 } else { 1 }) {
        let line = |table: usize, row: usize| {
            pair.get(table)
                .and_then(|lines| lines.get(row))
                .map_or("", String::as_str)
        };
        for row in 0..pair.iter().map(Vec::len).max().unwrap_or(0) {
            let padding = " ".repeat(widest - line(0, row).width());
            let both = format!("{}{padding}{GAP}{}", line(0, row), line(1, row));
            let _ = writeln!(text, "{}", both.trim_end());
        }
        text.push('\n');
    }
    text
}

fn one_table(figure: Figure, places: &[Place], name_width: usize) -> Vec<String> {
    let (title, unit) = match figure {
        Figure::Price => ("Dearest", "RUB"),
        Figure::Pe => ("Lowest P/E", "P/E"),
        Figure::Growth => ("Highest growth in a year", "%"),
        Figure::PotentialProfit => ("Highest potential profit", "%"),
    };
    let mut table = Table::new();
    table
        .load_style(RULE_BELOW_HEADER)
        .set_header(["", "Code", title, unit]);
    for (rank, place) in places.iter().enumerate() {
        table.add_row([
            (rank + 1).to_string(),
            place.code.clone(),
            shortened(&place.name, name_width),
            two_decimals(place.value),
        ]);
    }
    let at_least = |width| ColumnConstraint::LowerBoundary(Width::Fixed(width));
    for (column, constraint, alignment) in [
        (0, at_least(4), CellAlignment::Right),
        (1, at_least(7), CellAlignment::Left),
        (
            2,
            ColumnConstraint::Absolute(Width::Fixed(name_width as u16 + 2)),
            CellAlignment::Left,
        ),
        (3, at_least(12), CellAlignment::Right),
    ] {
        if let Some(column) = table.column_mut(column) {
            column
                .set_constraint(constraint)
                .set_cell_alignment(alignment);
        }
    }
    table.to_string().lines().map(str::to_owned).collect()
}

/// A name in so many columns of a terminal, of which some characters take two.
fn shortened(name: &str, columns: usize) -> String {
    if name.width() <= columns {
        return name.to_owned();
    }
    let mut room = columns - 1;
    let fits = |c: &char| {
        let left = room.checked_sub(c.width().unwrap_or(0));
        room = left.unwrap_or(0);
        left.is_some()
    };
    name.chars().take_while(fits).chain(['…']).collect()
}

/// `400233.1` as `400,233.10`.
fn two_decimals(value: Decimal) -> String {
    let value = value.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
    let plain = format!("{value:.2}");
    let digits_end = plain.find('.').unwrap_or(plain.len());
    let digits_start = plain.find(|c: char| c.is_ascii_digit()).unwrap_or(0);
    let mut grouped = String::new();
    for (at, c) in plain.char_indices() {
        if at > digits_start && at < digits_end && (digits_end - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(c);
    }
    grouped
}

/// `no pages`, `1 page`, `2 pages`.
pub fn count(number: usize, one: &str, many: &str) -> String {
    match number {
        0 => format!("no {many}"),
        1 => format!("1 {one}"),
        _ => format!("{number} {many}"),
    }
}

/// The rate with its date, and what the run did, in two sentences of a line each.
pub fn closing_lines(report: &Report) -> String {
    let mut text = String::new();
    if let Some(rate) = &report.rate {
        let per = if rate.nominal == Decimal::ONE {
            "1 USD".to_owned()
        } else {
            format!("{} USD", rate.nominal)
        };
        let _ = match rate.date {
            Some(date) => writeln!(text, "{per} = {} RUB, Bank of Russia, {date}", rate.usd_rub),
            None => writeln!(text, "{per} = {} RUB, as given", rate.usd_rub),
        };
    }
    let ledger = &report.ledger;
    let missing = count(ledger.failed + ledger.not_attempted, "failure", "failures");
    let companies = count(ledger.ok, "company", "companies");
    let folder = report
        .files
        .first()
        .and_then(|file| Path::new(file).parent())
        .unwrap_or("".as_ref());
    let _ = writeln!(
        text,
        "{companies} in {:.2} s, {:.0} pages/s, {:.1} MB, {} workers, {missing}; files in {}",
        report.seconds,
        report.pages_per_second,
        report.bytes_on_the_wire as f64 / 1e6,
        report.workers,
        folder.display(),
    );
    text
}

/// What the run has used, for those who want to know more.
pub fn resources(report: &Report) -> String {
    let mut parts = vec![format!(
        "{} requests, {} retries, {:.1} MB on the wire, {:.1} MB decoded, {} readers",
        report.requests,
        report.retries,
        report.bytes_on_the_wire as f64 / 1e6,
        report.bytes_decoded as f64 / 1e6,
        report.readers
    )];
    if let Some(latency) = report.latency_ms {
        parts.push(format!(
            "latency {} ms in the middle, {} ms at the 99th percentile",
            latency.p50, latency.p99
        ));
    }
    if let (Some(cpu), Some(peak)) = (report.cpu_seconds, report.peak_memory_bytes) {
        parts.push(format!(
            "{cpu:.2} s of CPU time, at most {:.0} MB of memory",
            peak as f64 / 1e6
        ));
    }
    parts.join("; ")
}

/// Figures that contradict each other, at most so many of them, a line each below a heading.
pub fn suspicious(all: &[Suspicion], most: usize) -> Vec<String> {
    let heading = match all.len() {
        0 => return Vec::new(),
        1 => "1 figure does not fit the others of its company, it is ranked as it is:".to_owned(),
        many => format!(
            "{many} figures do not fit the others of their companies, they are ranked as they are:"
        ),
    };
    let shown = all.iter().take(most);
    let mut lines = vec![heading];
    lines.extend(shown.map(|one| format!("  {}: {}", one.code, one.why)));
    if all.len() > most {
        lines.push(format!("  and {} more, all in run.json", all.len() - most));
    }
    lines
}
