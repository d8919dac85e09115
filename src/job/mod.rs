//! The rankings job, `indexrank` without a subcommand: open → run → check → rank → write.
//! The steps themselves are in the rooms below; this one puts them in order and decides how a run ends.
//! Another sentence or exit code for a failed run goes into `advice`, another warning into `warnings`, another option into `settings`.

pub mod advice;
pub mod exchange_rate;
mod open;
pub mod settings;
mod warnings;

use std::convert::Infallible;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use crossbeam_channel::{Receiver, after, bounded, never, select};
use jiff::Timestamp;

use crate::disk::lock::FolderLock;
use crate::disk::output;
use crate::exit::Exit;
use crate::job::advice::Stop;
use crate::job::settings::Job;
use crate::pipeline;
use crate::pipeline::harvest::Harvest;
use crate::pipeline::index_pages::{Index, WalkError};
use crate::pipeline::threads::join;
use crate::results::ranking::{self, Figure, Place};
use crate::results::report::{self, Facts, Report, Times};
use crate::results::write::{self, Contents};
use crate::site::rates::Rate;
use crate::source::Source;
use crate::source::get_with_retries::fetch_robots;
use crate::source::origin::Origin;
use crate::source::retry;
use crate::source::throttle::Cause;
use crate::telemetry::counters::Counters;
use crate::telemetry::progress::Progress;
use crate::telemetry::trace::Trace;
use crate::warc::journal::{self, Journal};

/// A run that wrote its files.
#[derive(Debug)]
pub struct Outcome {
    pub exit: Exit,
    pub report: Report,
    pub rankings: Vec<(Figure, Vec<Place>)>,
    /// Whether the same command with `--resume` fetches only what is missing.
    pub resumable: bool,
}

/// What a run has fetched, and when.
struct Fetched {
    harvest: Result<Harvest, WalkError>,
    /// The exchange rate, or why there is none.
    rate: Result<Rate, String>,
    times: Times,
}

/// Runs the job. After an error no result has changed, and the pages fetched so far are in the
/// journal.
pub fn run(mut job: Job) -> Result<Outcome, Stop> {
    // Open.
    write::check(&job.outputs, job.origin.archive())?;
    let _lock = FolderLock::acquire(&job.outputs.folder)?;
    output::remove_stale_files(&job.outputs.folder);
    let fewer_workers = open::fit_open_files(&mut job);
    let source = open::open_source(&job)?;
    let counters = Arc::new(Counters {
        trace: match job.outputs.trace {
            Some(_) => Trace::begin(),
            None => Trace::default(),
        },
        ..Counters::default()
    });

    // Run.
    let progress = Progress::start(job.progress, Arc::clone(&counters));
    let fetched = fetch_everything(&job, &source, &counters);
    progress.finish();

    // Check.
    let Fetched {
        harvest,
        rate,
        times,
    } = fetched;
    let harvest = match check(&job, &source, harvest) {
        Ok(harvest) => harvest,
        Err(stop) => return Err(ended_early(source, stop)),
    };

    // Rank.
    let rankings = rank(&job, &harvest, rate.as_ref().ok());

    // Write.
    let mut warnings: Vec<String> = fewer_workers.into_iter().collect();
    warnings.extend(collect_warnings(&job, &source, &harvest, &rate, &counters));
    let contents = Contents::new(
        &job.outputs,
        &rankings,
        &harvest.companies,
        rate.as_ref().ok(),
        counters.trace.timeline(),
    );
    let report = Report::new(Facts {
        origin: &job.origin,
        index: &job.index,
        sizes: job.sizes,
        source: &source,
        times,
        harvest: &harvest,
        rate: &rate,
        counters: &counters,
        warnings,
        files: contents.files(&job.outputs),
    });
    let resumable = write_all(&job, source, contents, &report, &harvest)?;
    Ok(Outcome {
        exit: exit_code(&report),
        report,
        rankings,
        resumable,
    })
}

/// Fetches robots.txt, the rate, the index and its companies. Returns when all of them are there or
/// the run is cancelled.
fn fetch_everything(job: &Job, source: &Source, counters: &Counters) -> Fetched {
    let started = Timestamp::now();
    let clock = Instant::now();
    let (running, ended) = bounded::<Infallible>(0);
    let (harvest, rate) = thread::scope(|scope| {
        scope.spawn(move || cancel_on_signal_or_timeout(job, source, &ended));
        // Neither the index nor the rate waits for the other, nor for robots.txt.
        scope.spawn(|| fetch_robots(source, &job.user_agent, counters));
        let rate = scope.spawn(|| exchange_rate::find(job.rate, source, counters));
        let index = Index {
            source,
            name: &job.index,
            workers: job.sizes.fetchers,
            counters,
        };
        let harvest = pipeline::run(job.walk, index, job.sizes);
        let rate = join(rate);
        drop(running);
        (harvest, rate)
    });
    let times = Times {
        started,
        finished: Timestamp::now(),
        took: clock.elapsed(),
    };
    Fetched {
        harvest,
        rate,
        times,
    }
}

/// Cancels the run on a signal and after `--max-time`, and aborts its requests when something else has
/// cancelled it. Returns when `ended` disconnects.
fn cancel_on_signal_or_timeout(job: &Job, source: &Source, ended: &Receiver<Infallible>) {
    let mut interrupts = job.interrupts.clone();
    let cancelled = source.throttle.cancellation();
    let timeout = job.max_time.map_or_else(never, after);
    loop {
        select! {
            recv(interrupts) -> signal => match signal {
                Ok(signal) => return source.cancel(Cause::Signal(signal)),
                Err(_) => interrupts = never(),
            },
            recv(timeout) -> _ => {
                return source.cancel(Cause::MaxTime(job.max_time.unwrap_or_default()));
            }
            recv(cancelled) -> _ => return source.abort_requests(),
            recv(ended) -> _ => return,
        }
    }
}

/// Returns the harvest if it can be ranked.
fn check(job: &Job, source: &Source, harvest: Result<Harvest, WalkError>) -> Result<Harvest, Stop> {
    if let Some(cause) = source.throttle.cause() {
        return Err(Stop::of_cancellation(&cause));
    }
    let harvest = harvest.map_err(|error| Stop::of_walk(&error, &job.origin, &job.index))?;
    match Stop::of_harvest(&harvest) {
        Some(stop) => Err(stop),
        None => Ok(harvest),
    }
}

/// All rankings; without a rate, all but that by price.
fn rank(job: &Job, harvest: &Harvest, rate: Option<&Rate>) -> Vec<(Figure, Vec<Place>)> {
    Figure::ALL
        .into_iter()
        .filter(|figure| *figure != Figure::Price || rate.is_some())
        .map(|figure| {
            let companies = harvest.companies.iter();
            let places = ranking::ranking(companies, figure, rate, job.pe_range, job.top);
            (figure, places)
        })
        .collect()
}

fn collect_warnings(
    job: &Job,
    source: &Source,
    harvest: &Harvest,
    rate: &Result<Rate, String>,
    counters: &Counters,
) -> impl Iterator<Item = String> {
    // Replayed pages are as old as they are, so the age of their rate is no surprise.
    let old_rate = match job.origin {
        Origin::Live => exchange_rate::far_off(job.rate, rate.as_ref().ok()),
        _ => None,
    };
    [
        nothing_to_resume(job, counters),
        source.warning(),
        warnings::of_duplicates(harvest),
        harvest.index_changed.clone(),
        warnings::of_walks(&harvest.walks, harvest.listed),
        old_rate,
    ]
    .into_iter()
    .flatten()
}

fn nothing_to_resume(job: &Job, counters: &Counters) -> Option<String> {
    let path = journal::journal_path(&job.outputs.folder, job.outputs.record.as_deref());
    (job.resume.is_some() && counters.resumed.get() == 0)
        .then(|| format!("{} has no page to resume from", path.display()))
}

/// Writes all files. Returns whether a run with `--resume` could fetch what is missing; then the
/// journal stays.
fn write_all(
    job: &Job,
    source: Source,
    contents: Contents,
    report: &Report,
    harvest: &Harvest,
) -> Result<bool, Stop> {
    if let (Some(target), Some(why)) = (&job.outputs.record, source.warning()) {
        // The recording is a result like the others, and these are written all or none.
        let target = target.display();
        let message = format!("cannot write {target}: {why}; no result was changed");
        return Err(Stop::new(Exit::Output, message));
    }
    let journal = source.into_journal();
    let (recording, journal) = match job.outputs.record {
        Some(_) => (journal, None),
        None => (None, journal),
    };
    let written = write::write_all(&job.outputs, contents, &report::json(report), recording);
    if let Err(error) = written {
        let stop = Stop {
            resumable: true,
            ..error.into()
        };
        return Err(keep_pages(journal, stop));
    }
    let may_succeed_later = report.rate.is_none()
        || harvest
            .failures
            .iter()
            .any(|failure| retry::is_transient(failure.error.reason));
    let Some(journal) = journal else {
        return Ok(false);
    };
    if may_succeed_later {
        return Ok(journal.leave().is_some());
    }
    journal.remove();
    Ok(false)
}

fn exit_code(report: &Report) -> Exit {
    if report.rate.is_none() {
        Exit::NoRate
    } else if report.ledger.failed + report.ledger.not_attempted > 0 {
        Exit::Partial
    } else {
        Exit::Complete
    }
}

fn ended_early(source: Source, mut stop: Stop) -> Stop {
    stop.message += "; no result was changed";
    keep_pages(source.into_journal(), stop)
}

/// Leaves the journal for `--resume`, or for a look at the layout of its pages, and says where it is.
fn keep_pages(journal: Option<Journal>, mut stop: Stop) -> Stop {
    match journal.and_then(Journal::leave) {
        Some((file, pages)) => {
            let pages = report::count(pages, "page", "pages");
            stop.message += &format!(", {pages} kept in {}", file.display());
        }
        None => stop.resumable = false,
    }
    stop
}
