//! The database of a run: tried before the first request, appended to after the last rename.
//!
//! It is open only for these two moments, so that it is not locked while pages are fetched. A run that is
//! killed between its last rename and the append is in its files and not in the database.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::exit::Exit;
use crate::job::advice::Stop;
use crate::job::settings::Job;
use crate::results::ranking::{Figure, Place};
use crate::results::report::Report;
use crate::store::error::StoreError;
use crate::store::runs::{Results, Run};
use crate::store::schema::{Database, WAIT};

/// How long one attempt waits for another program. Between two attempts, a run looks for signals.
const ATTEMPT: Duration = Duration::from_secs(1);

/// How long a run that a signal ended waits for another program. The user, or a system that shuts down,
/// waits for the run.
const WAIT_AFTER_SIGNAL: Duration = Duration::from_secs(2);

/// Fails if the run could not append itself now. Creates the database if it does not exist.
pub fn try_out(job: &Job, say: &dyn Fn(&str)) -> Result<(), StoreError> {
    patiently(job, WAIT, say, |_| Ok(()))
}

/// Appends a run that wrote its files, and ends with this code.
pub fn append(
    job: &Job,
    say: &dyn Fn(&str),
    report: &Report,
    rankings: &[(Figure, Vec<Place>)],
    exit: Exit,
) -> Result<(), StoreError> {
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
    patiently(job, WAIT, say, |database| {
        database.append(&run, &results).map(|_| ())
    })
}

/// Appends a run that wrote no files, with the reason.
pub fn append_failed(
    job: &Job,
    say: &dyn Fn(&str),
    started: Timestamp,
    stop: &Stop,
) -> Result<(), StoreError> {
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
    patiently(job, wait, say, |database| {
        database.append_failed(&run, &stop.message).map(|_| ())
    })
}

/// Opens the database, if the run has one, and uses it. Both are repeated for `wait` in all while another
/// program keeps the file locked, and say so once. A signal ends the wait, and the error is that of the lock.
fn patiently(
    job: &Job,
    wait: Duration,
    say: &dyn Fn(&str),
    act: impl Fn(&mut Database) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let Some(path) = &job.outputs.database else {
        return Ok(());
    };
    let started = Instant::now();
    let mut has_said = false;
    loop {
        let attempt =
            Database::open_for_run(path, ATTEMPT).and_then(|mut database| act(&mut database));
        let Err(error) = attempt else { return Ok(()) };
        let is_over = started.elapsed() >= wait || job.interrupts.try_recv().is_ok();
        if !error.is_locked() || is_over {
            return Err(error);
        }
        if !has_said {
            has_said = true;
            let line = format!(
                "another program keeps {} locked; waiting for up to {} s",
                path.display(),
                wait.as_secs()
            );
            say(&line);
            job.log.append(&line);
        }
    }
}
