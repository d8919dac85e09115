//! The whole job: pages → rankings → files. What `indexrank` without a subcommand does.

pub mod exchange_rate;
mod open;

use std::convert::Infallible;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, after, bounded, never, select};
use jiff::Timestamp;

use crate::disk::lock::Claim;
use crate::disk::output;
use crate::exit::{Exit, Stop};
use crate::http::client::ProxyChoice;
use crate::http::tls::Authorities;
use crate::job::exchange_rate::RateChoice;
use crate::pipeline::harvest::{Company, Harvest};
use crate::pipeline::letters::{self, Ways};
use crate::pipeline::packed::Packed;
use crate::pipeline::walker::WalkError;
use crate::pipeline::{self, Widths};
use crate::results::ranking::{self, Figure, PeRange, Place};
use crate::results::report::{Asked, Report, Times};
use crate::results::table;
use crate::results::terminal;
use crate::results::write;
use crate::site::rates::Rate;
use crate::source::retry;
use crate::source::robots::Robots;
use crate::source::throttle::Cause;
use crate::source::{Origin, Source};
use crate::telemetry::counters::Meter;
use crate::telemetry::progress::{Progress, Style};
use crate::telemetry::trace::Trace;
use crate::warc::journal::{self, Journal};

/// What a user may ask for.
#[derive(Debug, Clone)]
pub struct Job {
    pub origin: Origin,
    pub index: String,
    pub walk: Ways,
    pub widths: Widths,
    pub top: usize,
    pub pe_range: PeRange,
    pub rate: RateChoice,
    /// Folder of the rankings and the report.
    pub out: PathBuf,
    /// File of the table of all companies.
    pub table: Option<(PathBuf, table::Format)>,
    /// Archive to record into.
    pub record: Option<PathBuf>,
    /// File of the trace.
    pub trace: Option<PathBuf>,
    pub timeout: Duration,
    pub user_agent: String,
    pub proxy: ProxyChoice,
    /// Requests per second at the most.
    pub rps: Option<f64>,
    /// Whether the site's robots' rules are nobody's business.
    pub ignore_robots: bool,
    /// The most that the run may take.
    pub max_time: Option<Duration>,
    /// Goes on from where an earlier run was cut short, with pages up to this age.
    pub resume: Option<Duration>,
    /// Of the pauses before another attempt.
    pub retry: RetryTiming,
    /// Numbers of signals that end the run.
    pub interrupts: Receiver<i32>,
    pub authorities: Option<Authorities>,
    pub progress: Style,
}

/// How long pages wait for their next attempt.
#[derive(Debug, Clone, Copy)]
pub struct RetryTiming {
    /// Of the jitter; any if there is none.
    pub seed: Option<u64>,
    pub first_pause: Duration,
}

/// A run that wrote its files.
#[derive(Debug)]
pub struct Outcome {
    pub exit: Exit,
    pub report: Report,
    pub rankings: Vec<(Figure, Vec<Place>)>,
    /// Whether the same command with `--resume` asks only for what is missing.
    pub resumable: bool,
}

/// Runs the job. After an error no result has changed, and the pages that came are kept in the
/// journal.
pub fn run(job: &Job) -> Result<Outcome, Stop> {
    write::try_all(job)?;
    let _claim = Claim::on(&job.out)?;
    output::clear_leftovers(&job.out);
    let (job, narrowed) = &open::within_open_files(job);
    let source = open::open_source(job)?;
    let meter = Arc::new(Meter {
        trace: job
            .trace
            .as_ref()
            .map(|_| Trace::begin())
            .unwrap_or_default(),
        ..Meter::default()
    });
    let progress = Progress::start(job.progress, Arc::clone(&meter));
    let started = Timestamp::now();
    let clock = Instant::now();
    let (harvest, rate) = bring_home(job, &source, &meter);
    let times = Times {
        started,
        finished: Timestamp::now(),
        took: clock.elapsed(),
    };
    progress.finish();
    if let Some(cause) = source.gate.cause() {
        return Err(ended_early(source, Stop::of_cause(&cause)));
    }
    let harvest = match harvest {
        Ok(harvest) => harvest,
        Err(error) => {
            let stop = Stop::of_walk(&error, &job.origin, &job.index);
            return Err(ended_early(source, stop));
        }
    };
    if let Some(stop) = Stop::of_harvest(&harvest) {
        return Err(ended_early(source, stop));
    }
    rank_and_write(
        job,
        source,
        &harvest,
        &rate,
        times,
        &meter,
        narrowed.clone(),
    )
}

/// Everything that is asked for, until it is there or the run is to end.
fn bring_home(
    job: &Job,
    source: &Source,
    meter: &Meter,
) -> (Result<Harvest, WalkError>, Result<Rate, String>) {
    let (done, is_done) = bounded::<Infallible>(0);
    thread::scope(|scope| {
        scope.spawn(move || watch(job, source, &is_done));
        // The rate and the robots' rules are asked for beside the index, each by a thread of its own.
        scope.spawn(|| Robots::learn(source, &job.user_agent, meter));
        let rate = scope.spawn(|| exchange_rate::find(job.rate, source, meter));
        let harvest = pipeline::run_by(job.walk, source, &job.index, job.widths, meter);
        let rate = rate.join().unwrap_or_else(|panic| resume_unwind(panic));
        drop(done);
        (harvest, rate)
    })
}

/// Ends the run when a signal comes or its time is over.
fn watch(job: &Job, source: &Source, is_done: &Receiver<Infallible>) {
    let mut interrupts = job.interrupts.clone();
    let closing = source.gate.closing();
    let time_is_over = job.max_time.map_or_else(never, after);
    loop {
        select! {
            recv(interrupts) -> signal => match signal {
                Ok(signal) => return source.halt(Cause::Signal(signal)),
                Err(_) => interrupts = never(),
            },
            recv(time_is_over) -> _ => {
                return source.halt(Cause::MaxTime(job.max_time.unwrap_or_default()));
            }
            // Whoever has closed it.
            recv(closing) -> _ => return source.break_off(),
            recv(is_done) -> _ => return,
        }
    }
}

/// What is left to do when all pages are read.
fn rank_and_write(
    job: &Job,
    source: Source,
    harvest: &Harvest,
    rate: &Result<Rate, String>,
    times: Times,
    meter: &Meter,
    narrowed: Option<String>,
) -> Result<Outcome, Stop> {
    let asked = Asked {
        source: job.origin.to_string(),
        index: job.index.clone(),
        widths: job.widths,
    };
    let mut report = Report::new(asked, &source, times, harvest, rate, meter);
    let rate = rate.as_ref().ok();
    report.warnings.extend(narrowed);
    report.warnings.extend(nothing_to_resume(job, meter));
    report.warnings.extend(source.warning());
    report.warnings.extend(listed_twice(harvest));
    report.warnings.extend(harvest.index_changed.clone());
    report
        .warnings
        .extend(letters::difference(&harvest.walks, harvest.listed));
    // Replayed pages are as old as they are.
    if job.origin == Origin::Live {
        report
            .warnings
            .extend(exchange_rate::far_off(job.rate, rate));
    }
    let rankings = rank_all(job, &harvest.companies, rate);
    if let (Some(target), Some(why)) = (&job.record, source.warning()) {
        // A recording is a result, and there are all or none.
        let target = target.display();
        let message = format!("cannot write {target}: {why}; no result was changed");
        return Err(Stop::new(Exit::Output, message));
    }
    let journal = source.into_journal();
    let (recording, journal) = match job.record {
        Some(_) => (journal, None),
        None => (None, journal),
    };
    let written = write::write_all(
        job,
        &mut report,
        &rankings,
        &harvest.companies,
        rate,
        meter.trace.timeline(),
        recording,
    );
    if let Err(mut stop) = written {
        stop.resumable = true;
        return Err(keep_pages(journal, stop));
    }
    let may_be_had_later = rate.is_none() || { &harvest.failures }
        .iter()
        .any(|failure| retry::attempts(failure.error.reason) > 1);
    let resumable = match journal {
        Some(journal) if may_be_had_later => journal.leave().is_some(),
        Some(journal) => {
            journal.remove();
            false
        }
        None => false,
    };
    let exit = if rate.is_none() {
        Exit::NoRate
    } else if report.ledger.failed + report.ledger.not_attempted > 0 {
        Exit::Partial
    } else {
        Exit::Complete
    };
    Ok(Outcome {
        exit,
        report,
        rankings,
        resumable,
    })
}

fn nothing_to_resume(job: &Job, meter: &Meter) -> Option<String> {
    let place = journal::place(&job.out, job.record.as_deref());
    (job.resume.is_some() && meter.resumed.get() == 0)
        .then(|| format!("{} had no page to go on from", place.display()))
}

fn listed_twice(harvest: &Harvest) -> Option<String> {
    let first = harvest.duplicates.first()?;
    let all = harvest.duplicates.len();
    let example = format!(
        "{} and {} are both {}",
        first.same_as, first.path, first.code
    );
    Some(format!(
        "{all} of {} addresses lead to a company that is there already: {example}",
        harvest.listed
    ))
}

fn ended_early(source: Source, mut stop: Stop) -> Stop {
    stop.message += "; no result was changed";
    keep_pages(source.into_journal(), stop)
}

/// Pages that came are kept for a run that goes on, or for a look at their layout.
fn keep_pages(journal: Option<Journal>, mut stop: Stop) -> Stop {
    match journal.and_then(Journal::leave) {
        Some((file, pages)) => {
            let pages = terminal::count(pages, "page", "pages");
            stop.message += &format!(", {pages} kept in {}", file.display());
        }
        None => stop.resumable = false,
    }
    stop
}

fn rank_all(
    job: &Job,
    companies: &Packed<Company>,
    rate: Option<&Rate>,
) -> Vec<(Figure, Vec<Place>)> {
    let possible = Figure::ALL
        .into_iter()
        .filter(|figure| *figure != Figure::Price || rate.is_some());
    possible
        .map(|figure| {
            (
                figure,
                ranking::ranking(companies.iter(), figure, rate, job.pe_range, job.top),
            )
        })
        .collect()
}
