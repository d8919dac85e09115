//! The text that a finished run prints: tables and closing lines for stdout, problems for stderr.

use std::fmt::Write;
use std::iter;
use std::path::Path;

use crate::results::grid::{Column, GAP, Grid, push_side_by_side, two_decimals};
use crate::results::plausibility::Contradiction;
use crate::results::prices::RateUsed;
use crate::results::ranking::{Figure, Place};
use crate::results::report::{Report, ShardReport};
use crate::site::currency::Currency;
use crate::words::{count, form};

/// Maximum number of failures, and of contradictions, that are listed without `--verbose`.
const MAX_LISTED: usize = 5;

/// The rankings as tables for a terminal of `width` columns, two side by side if their names fit. Names
/// are cut if one table alone is too wide. Prices are in `currency`.
pub fn tables(rankings: &[(Figure, Vec<Place>)], currency: Currency, width: usize) -> String {
    let tables = rankings.iter();
    let tables: Vec<Grid> = tables
        .map(|(figure, places)| ranking_grid(*figure, places, &currency))
        .collect();
    let widest = |tables: &[&Grid]| {
        let widths = tables.iter().map(|table| table.natural_width());
        widths.max().unwrap_or(0)
    };
    let column = |number| tables.iter().skip(number).step_by(2).collect::<Vec<_>>();
    let (left, right) = (widest(&column(0)), widest(&column(1)));
    let widths = if left + GAP.len() + right <= width {
        vec![left, right]
    } else {
        vec![left.max(right).min(width)]
    };
    let mut text = String::new();
    for row in tables.chunks(widths.len()) {
        let row = row.iter().zip(&widths);
        let row: Vec<Vec<String>> = row.map(|(table, width)| table.lines(*width)).collect();
        push_side_by_side(&mut text, &row, left);
        text.push('\n');
    }
    text
}

/// A ranking as a table.
fn ranking_grid(figure: Figure, places: &[Place], currency: &Currency) -> Grid {
    let (title, unit) = figure.title(currency);
    let rows = places.iter().enumerate().map(|(rank, place)| {
        vec![
            (rank + 1).to_string(),
            place.code.clone(),
            place.name.clone(),
            two_decimals(place.value),
        ]
    });
    Grid {
        columns: vec![
            (Column::Number(4), String::new()),
            (Column::Text(7), "Code".to_owned()),
            (Column::Name, title.to_owned()),
            (Column::Number(9), unit.to_owned()),
        ],
        rows: rows.collect(),
    }
}

/// The exchange rates used, with their date; a summary of the run; how many companies lack which figure;
/// and why no file is written, if none is. One line each.
pub fn closing_lines(report: &Report) -> String {
    let mut text = String::new();
    for rate in &report.rates {
        let origin = match rate.date {
            Some(date) => format!("Bank of Russia, {date}"),
            None => "given by --rate".to_owned(),
        };
        let RateUsed {
            nominal,
            currency,
            value,
            ..
        } = rate;
        let _ = writeln!(text, "{nominal} {currency} = {value} RUB, {origin}");
    }
    if let Some(ShardReport { shard, index }) = &report.shard {
        let companies = count(index.companies, "company", "companies");
        let _ = writeln!(text, "shard {shard} of an index with {companies}");
    }
    let ledger = report.findings.ledger();
    let companies = count(ledger.ok, "company", "companies");
    let workers = count(report.workers, "worker", "workers");
    let failures = count(ledger.failed + ledger.not_attempted, "failure", "failures");
    let _ = write!(
        text,
        "{companies} in {:.2} s, {:.0} pages/s, {:.1} MB, {workers}, {failures}",
        report.seconds,
        report.pages_per_second,
        report.bytes_on_the_wire as f64 / 1e6,
    );
    if let Some(folder) = report
        .files
        .first()
        .and_then(|file| Path::new(file).parent())
    {
        let _ = write!(text, "; files in {}", folder.display());
    }
    text.push('\n');
    let missing = report.findings.missing_counts();
    let missing: Vec<String> = missing
        .map(|(figure, companies)| format!("{figure} {companies}"))
        .collect();
    let _ = if missing.is_empty() {
        writeln!(text, "no figure is missing")
    } else {
        writeln!(text, "without {}", missing.join(", "))
    };
    if let Some(why) = &report.not_written {
        let _ = writeln!(text, "no file written, {why}");
    }
    text
}

/// Where the lists are that the terminal shows only in part.
fn whole_lists(report: &Report) -> &'static str {
    match report.not_written {
        Some(_) => "all in failed-run.json",
        None => "all in run.json",
    }
}

/// The problems of a run, one line each: warnings, missing rates, and missing companies. Lists every
/// missing company if `verbose`, otherwise the first five. A line is made when the iterator reaches it.
pub fn problems(report: &Report, verbose: bool) -> impl Iterator<Item = String> {
    let warnings = report.warnings.iter();
    let warnings = warnings.map(|warning| format!("warning: {warning}"));
    warnings
        .chain(missing_ranking(report))
        .chain(missing_companies(report, verbose))
}

fn missing_ranking(report: &Report) -> Option<String> {
    let why = report.rate_error.as_ref()?;
    if report.shard.is_some() {
        return Some(format!(
            "no exchange rates are recorded: {why}; the ranking takes those of another shard"
        ));
    }
    let mut line = format!(
        "there is no ranking by price: {why}; give the rates with --rate, choose another --rate-date, or rank with --in in the currency of the quotes"
    );
    if let Some(previous) = &report.previous_price {
        let _ = write!(line, "; an earlier price.json is renamed to {previous}");
    }
    Some(line)
}

fn missing_companies(report: &Report, verbose: bool) -> impl Iterator<Item = String> {
    let failures = &report.findings.harvest.failures;
    let (missing, listed) = (failures.len(), report.findings.harvest.listed);
    let head = (missing > 0).then(|| {
        let verb = form(missing, "is", "are");
        let companies = count(listed, "company", "companies");
        let from = match report.shard {
            Some(_) => "from the recording",
            None => "from the rankings",
        };
        format!("{missing} of {companies} {verb} missing {from}:")
    });
    let max_listed = if verbose { missing } else { MAX_LISTED };
    let lines = failures.iter().take(max_listed).map(|failure| {
        let address = report.findings.address(failure);
        format!("  {address}: {}", failure.error.detail)
    });
    let rest = (missing > max_listed).then(|| {
        let more = missing - max_listed;
        format!("  and {more} more, {}", whole_lists(report))
    });
    head.into_iter().chain(lines).chain(rest)
}

/// One warning for each figure that looks wrong. Lists all if `verbose`, otherwise the first five.
pub fn contradictions(report: &Report, verbose: bool) -> impl Iterator<Item = String> {
    // A shard ranks nothing. The run that does tells of them.
    let is_ranked = report.shard.is_none();
    list_contradictions(
        report.findings.contradictions().filter(move |_| is_ranked),
        verbose,
        whole_lists(report),
    )
}

/// `whole` says where the rest is if not all are listed.
pub fn list_contradictions(
    mut all: impl Iterator<Item = Contradiction>,
    verbose: bool,
    whole: &str,
) -> impl Iterator<Item = String> {
    let mut listed = 0;
    iter::from_fn(move || {
        if listed < MAX_LISTED || verbose {
            listed += 1;
            let Contradiction { code, why, .. } = all.next()?;
            return Some(format!("warning: {code}: {why}; ranked unchanged"));
        }
        let rest = all.by_ref().count();
        (rest > 0).then(|| {
            let more = count(rest, "more figure looks", "more figures look");
            format!("warning: {more} wrong, {whole}")
        })
    })
}

/// Requests, bytes, latency, CPU time and memory of the run, for `--verbose`.
pub fn usage(report: &Report) -> String {
    let mut parts = vec![format!(
        "{}, {}, {:.1} MB on the wire, {:.1} MB decoded, {}",
        count(report.requests as usize, "request", "requests"),
        count(report.retries as usize, "retry", "retries"),
        report.bytes_on_the_wire as f64 / 1e6,
        report.bytes_decoded as f64 / 1e6,
        count(report.readers, "reader", "readers")
    )];
    if let Some(latency) = report.latency_ms {
        parts.push(format!(
            "latency {} ms (median), {} ms (99th percentile)",
            latency.p50, latency.p99
        ));
    }
    if let (Some(cpu), Some(peak)) = (report.cpu_seconds, report.peak_memory_bytes) {
        parts.push(format!(
            "{cpu:.2} s of CPU time, peak memory {:.0} MB",
            peak as f64 / 1e6
        ));
    }
    parts.join("; ")
}
