//! The subcommand `fetch`: prints what a run over a list has found.

use std::io;
use std::sync::Arc;

use crate::cli::FetchArgs;
use crate::console::{print_coloured, print_json, say, stream};
use crate::exit::Exit;
use crate::job::advice::Stop;
use crate::lists::row::Row;
use crate::lists::settings::Table;
use crate::lists::{self, Outcome};
use crate::results::report;
use crate::results::table::Format;
use crate::signals;
use crate::telemetry::log::Log;
use crate::telemetry::screen;
use crate::words::count;

/// Fetches the list. Returns the exit code and whether `--resume` fetches what is missing.
pub fn fetch(args: FetchArgs, log: &Arc<Log>) -> Result<(Exit, bool), Stop> {
    let (is_quiet, is_verbose) = (args.quiet, args.verbose);
    let job = args.into_job(signals::receive, log.clone())?;
    let table = job.outputs.table.clone();
    let print = |row: &Row| print_json(|out| report::write_json_line(row, out));
    let prints = table == Some(Table::Stdout(Format::NdJson));
    let outcome = lists::run(job, prints.then_some(&print), is_verbose)?;
    match table {
        Some(Table::Stdout(Format::Csv)) => stream(|out| outcome.write_csv(out))?,
        None if !is_quiet => {
            let size = screen::size(io::stdout());
            let columns = size.map(|size| size.columns);
            print_coloured(&outcome.table(columns)?)?;
        }
        _ => {}
    }
    let summary = summary(&outcome);
    log.append(&summary);
    let warnings = outcome
        .warnings
        .iter()
        .map(|warning| format!("warning: {warning}"));
    for line in warnings.chain(failures(&outcome)) {
        say(&line);
        log.append(&line);
    }
    if !is_quiet {
        say(&summary);
    }
    let result = (outcome.exit(), outcome.resumable);
    outcome.close();
    Ok(result)
}

/// `200 of 201 pages in 1.20 s, 166 pages/s, 12.3 MB, 3 retries`
fn summary(outcome: &Outcome) -> String {
    let Outcome {
        tally,
        took,
        retries,
        resumed,
        ..
    } = outcome;
    let all = tally.ok + tally.failed;
    let seconds = took.as_secs_f64();
    let speed = (all - resumed.min(&all)) as f64 / seconds.max(1e-3);
    let of = if tally.failed > 0 {
        format!("{} of ", tally.ok)
    } else {
        String::new()
    };
    let mut text = format!(
        "{of}{} in {seconds:.2} s, {speed:.0} pages/s, {:.1} MB",
        count(all as usize, "page", "pages"),
        tally.bytes as f64 / 1e6,
    );
    if *retries > 0 {
        text += &format!(", {}", count(*retries as usize, "retry", "retries"));
    }
    if *resumed > 0 {
        text += &format!(", {resumed} of them from the interrupted run");
    }
    text
}

/// A line for each failure that is listed, and one for the others.
fn failures(outcome: &Outcome) -> Vec<String> {
    let tally = &outcome.tally;
    let mut lines: Vec<String> = tally
        .failures
        .iter()
        .map(|one| format!("failed: {one}"))
        .collect();
    let others = tally.failed - lines.len() as u64;
    if others > 0 {
        let others = count(others as usize, "other", "others");
        lines.push(format!("{others} failed (--verbose lists all)"));
    }
    lines
}
