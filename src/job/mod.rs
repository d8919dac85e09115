//! The rankings job, `indexrank` without a subcommand: open → run → check → rank → write. Beside it the subcommand `check` and the option `--dry-run`.
//! Only the order of these steps is in here; the steps themselves are in the rooms that this one imports.
//! Another sentence or exit code for a run that ended early goes into `advice`, another cause and what to do about it into `remedies`, another command to paste into `shell`, another warning into `warnings`, another setting into `settings` (its option into `cli`), when a run is appended to its database into `database`, which archives fit together into `shards`, another landmark of the subcommand into `check`.

pub mod advice;
pub mod check;
mod database;
pub mod dry_run;
pub mod exchange_rate;
mod finish;
pub(crate) mod limits;
mod open;
mod remedies;
pub mod settings;
pub(crate) mod shards;
pub mod shell;
mod warnings;

pub use crate::job::finish::{Document, Outcome};
pub use crate::job::shards::open_archive;

use std::convert::Infallible;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, after, bounded, never, select};
use jiff::Timestamp;

use crate::job::advice::Stop;
use crate::job::exchange_rate::NoRates;
use crate::job::finish::{End, Rankings};
use crate::job::open::Opened;
use crate::job::settings::Job;
use crate::pipeline::harvest::Harvest;
use crate::pipeline::index_walk::{IndexWalk, WalkError};
use crate::pipeline::threads::join;
use crate::pipeline::{self, Walk, parse_company};
use crate::results::prices::{Prices, need_rates};
use crate::results::ranking::{self, Figure};
use crate::results::report::Times;
use crate::site::currency::Currency;
use crate::site::rates::Rates;
use crate::source::Source;
use crate::source::get_with_retries::fetch_robots;
use crate::source::shard::Shard;
use crate::source::throttle::Cause;
use crate::telemetry::counters::Counters;
use crate::telemetry::progress::Progress;

/// The results and the times of fetching.
struct Fetched {
    harvest: Result<Harvest, WalkError>,
    /// The exchange rates, or why there are none.
    rates: Result<Rates, NoRates>,
    times: Times,
}

/// Runs the job. An error is the end of a run that has not begun or was interrupted: no result has
/// changed, and the pages fetched so far are in the journal. `say` prints a line before the first request, and
/// a warning about a damaged archive if the run ends early.
pub fn run(mut job: Job, say: impl Fn(&str)) -> Result<Outcome, Stop> {
    let opened = open::open(&mut job, &say)?;
    let Fetched {
        harvest,
        rates,
        times,
    } = fetch_everything(&job, &opened);
    let checked = check(&job, &opened.source, harvest);
    let end = End {
        job: &job,
        say: &say,
        opened,
        rates_may_come: matches!(&rates, Err(no_rates) if no_rates.may_succeed_later),
        times,
    };
    let rates = rates.map_err(|no_rates| no_rates.sentence);
    let prices = |harvest: &Harvest| Prices::new(&harvest.companies, rates, job.price_currency);
    match checked {
        Checked::Rankable(harvest) => {
            let prices = prices(&harvest);
            let rankings = rank(&job, &harvest, &prices);
            Ok(end.write(harvest, prices, rankings))
        }
        Checked::Stopped(stop, harvest) => {
            // No report has the warnings of this run.
            if let Some(damage) = end.opened.source.archive_damage() {
                let warning = format!("warning: {damage}");
                say(&warning);
                job.log.append(&warning);
            }
            let harvest = harvest.map(|harvest| {
                let prices = prices(&harvest);
                (harvest, prices)
            });
            end.without_rankings(stop, harvest)
        }
    }
}

/// Fetches robots.txt, the rates, the index and its companies, and shows the progress. Returns when
/// everything is fetched or the run is cancelled.
///
/// robots.txt comes first: until it is known, nothing else is requested from its host.
///
/// Prices in roubles nearly always need rates, so these are fetched at the same time. Prices in another
/// currency usually need none, so the bank is asked last, and only if a company is quoted in a further
/// currency.
fn fetch_everything(job: &Job, opened: &Opened) -> Fetched {
    let Opened {
        source, counters, ..
    } = opened;
    let progress = Progress::start(job.progress, counters.clone(), job.log.clone());
    let started = Timestamp::now();
    let clock = Instant::now();
    let (running, ended) = bounded::<Infallible>(0);
    let (harvest, rates) = thread::scope(|scope| {
        scope.spawn(move || {
            cancel_on_signal_or_timeout(&job.interrupts, job.max_time, source, &ended)
        });
        let find_rates = || exchange_rate::find(&job.rates, source, counters);
        let is_in_roubles = job.price_currency == Currency::RUB;
        let early_rates = is_in_roubles.then(|| scope.spawn(find_rates));
        fetch_robots(source, &job.access.user_agent, counters);
        let harvest = walk_index(job, source, counters);
        if harvest.is_err() {
            // Nor are the rates needed any more.
            source.cancel(Cause::WalkFailed);
        }
        let rates = match (early_rates, &harvest) {
            (Some(rates), _) => join(rates),
            (None, Ok(harvest)) if need_rates(&harvest.companies, job.price_currency) => {
                find_rates()
            }
            (None, _) => Ok(Rates::default()),
        };
        drop(running);
        (harvest, rates)
    });
    let times = Times {
        started,
        finished: Timestamp::now(),
        took: clock.elapsed(),
    };
    progress.finish();
    Fetched {
        harvest,
        rates,
        times,
    }
}

fn walk_index(job: &Job, source: &Source, counters: &Counters) -> Result<Harvest, WalkError> {
    let walk = IndexWalk::new(source, &job.index, job.walk, counters);
    let shards = source
        .as_archive()
        .filter(|archives| shards::have_index(archives));
    let shard = job.shard.or(shards.map(|_| Shard::WHOLE));
    let walk = walk.with_second_looks().of_shard(shard);
    walk.check_letters()?;
    let walk = Walk::Index(walk);
    let mut harvest = pipeline::run(
        walk,
        source,
        job.sizes,
        counters,
        |_, page, inflater, lane| parse_company(page, inflater, lane),
    )?;
    harvest.settle();
    Ok(harvest)
}

/// Cancels the run on a signal and after `max_time`. Aborts its requests if it is cancelled for
/// another reason. Returns when `ended` disconnects.
pub(crate) fn cancel_on_signal_or_timeout(
    interrupts: &Receiver<i32>,
    max_time: Option<Duration>,
    source: &Source,
    ended: &Receiver<Infallible>,
) {
    let mut interrupts = interrupts.clone();
    let cancelled = source.cancellation();
    let timeout = max_time.map_or_else(never, after);
    loop {
        select! {
            recv(interrupts) -> signal => match signal {
                Ok(signal) => return source.cancel(Cause::Signal(signal)),
                Err(_) => interrupts = never(),
            },
            recv(timeout) -> _ => {
                return source.cancel(Cause::MaxTime(max_time.unwrap_or_default()));
            }
            recv(cancelled) -> _ => {
                // The throttle of the site has cancelled the run, so requests to all hosts end.
                return source.cause().into_iter().for_each(|cause| source.cancel(cause));
            }
            recv(ended) -> _ => return,
        }
    }
}

/// What a walk has come to.
enum Checked {
    Rankable(Harvest),
    /// The harvest, if the index was walked to its end, and why it cannot be ranked.
    Stopped(Stop, Option<Harvest>),
}

fn check(job: &Job, source: &Source, harvest: Result<Harvest, WalkError>) -> Checked {
    match source.cause() {
        // The walk's own error says more.
        None | Some(Cause::WalkFailed) => {}
        Some(cause) => return Checked::Stopped(Stop::of_cancellation(&cause), harvest.ok()),
    }
    match harvest {
        Err(error) => {
            let stop = Stop::of_walk(&error, &job.access.origin, &job.index);
            Checked::Stopped(stop, None)
        }
        // A shard may have a company or two, which tell nothing of the layout.
        Ok(harvest) if job.shard.is_some() => Checked::Rankable(harvest),
        Ok(harvest) => match stop_of_harvest(job, source, &harvest) {
            Some(stop) => Checked::Stopped(stop, Some(harvest)),
            None => Checked::Rankable(harvest),
        },
    }
}

/// Why a harvest cannot be ranked. `None` if it can.
fn stop_of_harvest(job: &Job, source: &Source, harvest: &Harvest) -> Option<Stop> {
    let walked = source.as_archive().zip(harvest.index.as_ref());
    let other_walk = walked.and_then(|(archives, index)| shards::check_walk(archives, index).err());
    other_walk.or_else(|| Stop::of_harvest(harvest, &job.access.origin, &job.index))
}

/// All rankings; without usable rates, all except the one by price. None of a shard.
fn rank(job: &Job, harvest: &Harvest, prices: &Prices) -> Rankings {
    if job.shard.is_some() {
        return Vec::new();
    }
    Figure::ALL
        .into_iter()
        .filter(|figure| *figure != Figure::Price || prices.error.is_none())
        .map(|figure| {
            let companies = &harvest.companies;
            let places = ranking::ranking(companies, figure, prices, job.pe_range, job.top);
            (figure, places)
        })
        .collect()
}
