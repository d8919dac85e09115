//! What a finished run shows on the terminal: tables and closing lines on stdout, problems on stderr.

use std::fmt::Write;
use std::path::Path;

use comfy_table::{CellAlignment, ColumnConstraint, LineStyle, Table, TableStyle, Width};
use rust_decimal::{Decimal, RoundingStrategy};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::results::plausibility::Contradiction;
use crate::results::ranking::{Figure, Place};
use crate::results::report::{Report, count};
use crate::site::number::group_thousands;

/// A rule below the header is the only line of a table.
const RULE_BELOW_HEADER: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));
/// The least width for two tables side by side.
const TWO_COLUMNS: usize = 100;
const GAP: &str = "   ";
/// What a table needs beside its names: rank, code, figure and the padding of each.
const WITHOUT_NAMES: usize = 32;
const MAX_NAME: usize = 40;
/// Failures and contradictions that are listed without `--verbose`.
const LISTED: usize = 5;

/// The rankings as tables for a terminal of this width, in columns.
pub fn tables(rankings: &[(Figure, Vec<Place>)], width: usize) -> String {
    let side_by_side = width >= TWO_COLUMNS;
    let table_width = if side_by_side {
        (width - GAP.len()) / 2
    } else {
        width
    };
    let name_width = table_width.saturating_sub(WITHOUT_NAMES).clamp(8, MAX_NAME);
    let tables: Vec<Vec<String>> = rankings
        .iter()
        .map(|(figure, places)| one_table(*figure, places, name_width))
        .collect();
    let widest = tables.iter().flatten().map(|line| line.width()).max();
    let widest = widest.unwrap_or(0);
    let mut text = String::new();
    for pair in tables.chunks(if side_by_side { 2 } else { 1 }) {
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
            shorten(&place.name, name_width),
            two_decimals(place.value),
        ]);
    }
    let at_least = |width| ColumnConstraint::LowerBoundary(Width::Fixed(width));
    let exactly = |width| ColumnConstraint::Absolute(Width::Fixed(width));
    for (column, constraint, alignment) in [
        (0, at_least(4), CellAlignment::Right),
        (1, at_least(7), CellAlignment::Left),
        (2, exactly(name_width as u16 + 2), CellAlignment::Left),
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

/// Cuts a name to a number of terminal columns. Some characters take two.
fn shorten(name: &str, columns: usize) -> String {
    if name.width() <= columns {
        return name.to_owned();
    }
    let mut left = columns - 1;
    let fits = |c: &char| match left.checked_sub(c.width().unwrap_or(0)) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    };
    name.chars().take_while(fits).chain(['…']).collect()
}

/// `400233.1` as `400,233.10`.
fn two_decimals(value: Decimal) -> String {
    let rounded = value.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
    group_thousands(&format!("{rounded:.2}"))
}

/// The exchange rate with its date, and what the run did, a line each.
pub fn closing_lines(report: &Report) -> String {
    let mut text = String::new();
    if let Some(rate) = &report.rate {
        let dollars = if rate.nominal == Decimal::ONE {
            "1 USD".to_owned()
        } else {
            format!("{} USD", rate.nominal)
        };
        let origin = match rate.date {
            Some(date) => format!("Bank of Russia, {date}"),
            None => "as given".to_owned(),
        };
        let _ = writeln!(text, "{dollars} = {} RUB, {origin}", rate.usd_rub);
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

/// What a user should know about the results: warnings, the missing rate, missing companies. With
/// `verbose`, every missing company.
pub fn problems(report: &Report, verbose: bool) -> Vec<String> {
    let warnings = &report.warnings;
    let mut lines: Vec<String> = warnings
        .iter()
        .map(|one| format!("warning: {one}"))
        .collect();
    if let Some(why) = &report.rate_error {
        lines.push(format!(
            "no exchange rate, so no ranking by price: {why}; give one with --usd-rub, or another --rate-date; an earlier price.json was left unchanged"
        ));
    }
    let failures = &report.failures;
    if failures.is_empty() {
        return lines;
    }
    lines.push(format!(
        "{} of {} companies are missing from the rankings:",
        failures.len(),
        report.ledger.listed
    ));
    let listed = if verbose { failures.len() } else { LISTED };
    for failure in failures.iter().take(listed) {
        lines.push(format!("  {}: {}", failure.address, failure.error.detail));
    }
    if failures.len() > listed {
        let more = failures.len() - listed;
        lines.push(format!("  and {more} more, all in run.json"));
    }
    lines
}

/// Figures that contradict each other, a warning each. With `verbose`, all of them.
pub fn contradictions(all: &[Contradiction], verbose: bool) -> Vec<String> {
    let listed = if verbose { all.len() } else { LISTED };
    let warning =
        |one: &Contradiction| format!("warning: {}: {}; ranked unchanged", one.code, one.why);
    let mut lines: Vec<String> = all.iter().take(listed).map(warning).collect();
    if all.len() > listed {
        let more = count(all.len() - listed, "more figure looks", "more figures look");
        lines.push(format!("warning: {more} wrong, all in run.json"));
    }
    lines
}

/// What the run has used, for `--verbose`.
pub fn usage(report: &Report) -> String {
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
            "latency {} ms (median), {} ms (99th percentile)",
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
