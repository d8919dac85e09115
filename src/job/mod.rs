//! The rankings job, `indexrank` without a subcommand: open → run → check → rank → write.
//! Only the order of these steps is in here; the steps themselves are in the rooms that this one imports.
//! Another sentence or exit code for a run that ended early goes into `advice`, another warning into `warnings`, another setting into `settings` (its option into `cli`).

pub mod advice;
pub mod exchange_rate;
mod finish;
mod open;
pub mod settings;
mod warnings;

pub use crate::job::finish::Outcome;

use std::convert::Infallible;
use std::thread;
use std::time::Instant;

use crossbeam_channel::{Receiver, after, bounded, never, select};
use jiff::Timestamp;

use crate::job::advice::Stop;
use crate::job::finish::Ranked;
use crate::job::open::Opened;
use crate::job::settings::Job;
use crate::pipeline::harvest::Harvest;
use crate::pipeline::index_walk::{IndexWalk, WalkError};
use crate::pipeline::threads::join;
use crate::pipeline::{self, Walk, parse_company};
use crate::results::ranking::{self, Figure, Place};
use crate::results::report::Times;
use crate::site::rates::Rate;
use crate::source::Source;
use crate::source::get_with_retries::fetch_robots;
use crate::source::throttle::Cause;
use crate::telemetry::counters::Counters;
use crate::telemetry::progress::Progress;

/// The results and the times of fetching.
struct Fetched {
    harvest: Result<Harvest, WalkError>,
    /// The exchange rate, or why there is none.
    rate: Result<Rate, String>,
    times: Times,
}

/// Runs the job. After an error no result has changed, and the pages fetched so far are in the
/// journal.
pub fn run(mut job: Job) -> Result<Outcome, Stop> {
    let opened = open::open(&mut job)?;
    let Fetched {
        harvest,
        rate,
        times,
    } = fetch_everything(&job, &opened);
    let harvest = match check(&job, &opened.source, harvest) {
        Ok(harvest) => harvest,
        Err(stop) => return Err(finish::ended_early(opened.source, stop)),
    };
    let rankings = rank(&job, &harvest, rate.as_ref().ok());
    let ranked = Ranked {
        harvest,
        rate,
        times,
        rankings,
    };
    finish::write(&job, opened, ranked)
}

/// Fetches robots.txt, the rate, the index and its companies, and shows the progress. Returns when
/// everything is fetched or the run is cancelled.
fn fetch_everything(job: &Job, opened: &Opened) -> Fetched {
    let Opened {
        source, counters, ..
    } = opened;
    let progress = Progress::start(job.progress, counters.clone());
    let started = Timestamp::now();
    let clock = Instant::now();
    let (running, ended) = bounded::<Infallible>(0);
    let (harvest, rate) = thread::scope(|scope| {
        scope.spawn(move || cancel_on_signal_or_timeout(job, source, &ended));
        // Index, rate and robots.txt are fetched at the same time.
        scope.spawn(|| fetch_robots(source, &job.user_agent, counters));
        let rate = scope.spawn(|| exchange_rate::find(job.rate, source, counters));
        let harvest = walk_index(job, source, counters);
        if harvest.is_err() {
            // Nor is the rate needed any more.
            source.cancel(Cause::WalkFailed);
        }
        let rate = join(rate);
        drop(running);
        (harvest, rate)
    });
    let times = Times {
        started,
        finished: Timestamp::now(),
        took: clock.elapsed(),
    };
    progress.finish();
    Fetched {
        harvest,
        rate,
        times,
    }
}

fn walk_index(job: &Job, source: &Source, counters: &Counters) -> Result<Harvest, WalkError> {
    let walk = IndexWalk::new(source, &job.index, job.walk, counters).with_second_looks();
    walk.check_letters()?;
    let walk = Walk::Index(walk);
    let mut harvest = pipeline::run(walk, source, job.sizes, counters, parse_company)?;
    harvest.settle();
    Ok(harvest)
}

/// Cancels the run on a signal and after `--max-time`. Aborts its requests if it is cancelled for
/// another reason. Returns when `ended` disconnects.
fn cancel_on_signal_or_timeout(job: &Job, source: &Source, ended: &Receiver<Infallible>) {
    let mut interrupts = job.interrupts.clone();
    let cancelled = source.cancellation();
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
            recv(cancelled) -> _ => {
                // The throttle of the site has cancelled the run, so requests to all hosts end.
                return source.cause().into_iter().for_each(|cause| source.cancel(cause));
            }
            recv(ended) -> _ => return,
        }
    }
}

/// Returns the harvest if it can be ranked.
fn check(job: &Job, source: &Source, harvest: Result<Harvest, WalkError>) -> Result<Harvest, Stop> {
    match source.cause() {
        // The walk's own error says more.
        None | Some(Cause::WalkFailed) => {}
        Some(cause) => return Err(Stop::of_cancellation(&cause)),
    }
    let harvest = harvest.map_err(|error| Stop::of_walk(&error, &job.origin, &job.index))?;
    match Stop::of_harvest(&harvest) {
        Some(stop) => Err(stop),
        None => Ok(harvest),
    }
}

/// All rankings; without a rate, all except the one by price.
fn rank(job: &Job, harvest: &Harvest, rate: Option<&Rate>) -> Vec<(Figure, Vec<Place>)> {
    Figure::ALL
        .into_iter()
        .filter(|figure| *figure != Figure::Price || rate.is_some())
        .map(|figure| {
            let companies = &harvest.companies;
            let places = ranking::ranking(companies, figure, rate, job.pe_range, job.top);
            (figure, places)
        })
        .collect()
}
