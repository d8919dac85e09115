//! The database of a run: tried before the first request, appended to after the last rename.
//!
//! It is open only for these two moments, so that it is not locked while pages are fetched. A run that is
//! killed between its last rename and the append is in its files and not in the database.

use std::time::Duration;

use jiff::Timestamp;

use crate::exit::Exit;
use crate::job::advice::Stop;
use crate::job::settings::Job;
use crate::results::ranking::{Figure, Place};
use crate::results::report::Report;
use crate::store::error::StoreError;
use crate::store::runs::{Results, Run};
use crate::store::schema::{Database, WAIT};

/// How long a run that a signal ended waits for another program. The user, or a system that shuts down,
/// waits for the run.
const WAIT_AFTER_SIGNAL: Duration = Duration::from_secs(2);

/// Fails if the run could not append itself now. Creates the database if it does not exist.
pub fn try_out(job: &Job) -> Result<(), StoreError> {
    if let Some(path) = &job.outputs.database {
        Database::open_for_run(path, WAIT)?;
    }
    Ok(())
}

/// Appends a run that wrote its files, and ends with this code.
pub fn append(
    job: &Job,
    report: &Report,
    rankings: &[(Figure, Vec<Place>)],
    exit: Exit,
) -> Result<(), StoreError> {
    let Some(path) = &job.outputs.database else {
        return Ok(());
    };
    let run = Run {
        started: report.started,
        index: &report.index,
        source: &report.source,
        exit,
    };
    let results = Results {
        findings: &report.findings,
        rankings,
        top: job.top,
        pe_range: job.pe_range,
    };
    Database::open_for_run(path, WAIT)?.append(&run, &results)?;
    Ok(())
}

/// Appends a run that wrote no files, with the reason.
pub fn append_failed(job: &Job, started: Timestamp, stop: &Stop) -> Result<(), StoreError> {
    let Some(path) = &job.outputs.database else {
        return Ok(());
    };
    let run = Run {
        started,
        index: &job.index,
        source: &job.access.origin.to_string(),
        exit: stop.exit,
    };
    let wait = match stop.exit {
        Exit::Interrupted | Exit::Terminated => WAIT_AFTER_SIGNAL,
        _ => WAIT,
    };
    Database::open_for_run(path, wait)?.append_failed(&run, &stop.message)?;
    Ok(())
}
