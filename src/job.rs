//! The whole job: pages → rankings → files. What `indexrank` without a subcommand does.

use std::convert::Infallible;
use std::mem;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, after, bounded, never, select};
use jiff::civil::Date;
use jiff::{Timestamp, tz::TimeZone};
use rust_decimal::Decimal;

use crate::archive::Archive;
use crate::claim::Claim;
use crate::exit::{Exit, Stop};
use crate::gate::Cause;
use crate::harvest::{Company, Harvest};
use crate::http::{Client, Options, ProxyChoice};
use crate::inflate::Inflater;
use crate::journal::{self, Identity, Journal};
use crate::meter::Meter;
use crate::output::{self, Staged};
use crate::page::{self, Page, PageError, Reason};
use crate::patience::Patience;
use crate::pipeline::{self, Widths};
use crate::progress::{Progress, Style};
use crate::rank::{self, Figure, PeRange, Place};
use crate::rates::{self, Rate};
use crate::recorder::Checksum;
use crate::replica::{self, Market};
use crate::report::{self, Asked, Report, Times};
use crate::resources;
use crate::retry::{self, Retries};
use crate::robots::Robots;
use crate::source::{self, LIVE_PAGES, LIVE_RATES, Origin, Site, Source, is_loopback};
use crate::summary;
use crate::table;
use crate::tls::Authorities;
use crate::trace::{Lane, Role, Timeline, Trace};
use crate::walk::{self, WalkError};
use crate::ways::{self, Ways};

/// A rate for another day than the run's is usual (weekends, holidays); one this far off is not.
const RATE_DAYS_OFF: i32 = 7;
/// Files that are open beside the connections of workers and index pages: outputs, the journal, the
/// connection for the rates.
const OTHER_FILES: usize = 32;
/// The run's report beside its rankings.
const REPORT: &str = "run.json";

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

#[derive(Debug, Clone, Copy)]
pub enum RateChoice {
    /// The Bank of Russia's rate of a day, or the latest.
    OfDay(Option<Date>),
    /// Roubles for one dollar.
    Given(Decimal),
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
    try_outputs(job)?;
    let _claim = Claim::on(&job.out)?;
    output::clear_leftovers(&job.out);
    let (job, narrowed) = &within_open_files(job);
    let source = open_source(job)?;
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
        let rate = scope.spawn(|| find_rate(job.rate, source, meter));
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

/// The job with no more workers than there may be open connections, and a sentence if that is fewer
/// than were asked for.
fn within_open_files(job: &Job) -> (Job, Option<String>) {
    let mut job = job.clone();
    let limit = resources::open_files().unwrap_or(u64::MAX) as usize;
    // The embedded market has the other end of each connection.
    let ends = if job.origin == Origin::Replica { 2 } else { 1 };
    let possible = (limit.saturating_sub(OTHER_FILES) / ends).saturating_sub(walk::SIDE_BY_SIDE);
    if job.widths.workers <= possible.max(1) {
        return (job, None);
    }
    let asked = mem::replace(&mut job.widths.workers, possible.max(1));
    let workers = job.widths.workers;
    let why = format!(
        "{workers} workers instead of {asked}: this process may have {limit} files open (`ulimit -n`)"
    );
    (job, Some(why))
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
        .extend(ways::difference(&harvest.walks, harvest.listed));
    report.warnings.extend(rate_far_off(job, rate));
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
    write_all(
        job,
        &mut report,
        &rankings,
        &harvest.companies,
        rate,
        meter.trace.timeline(),
        recording,
    )?;
    let may_be_had_later =
        rate.is_none() || report.ledger.not_attempted > 0 || { &harvest.failures }
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

fn try_outputs(job: &Job) -> Result<(), Stop> {
    if let (Origin::Archive(archive), Some(_)) = (&job.origin, &job.record) {
        let advice = "--record keeps pages that come from a server; to keep these again, copy";
        return Err(Stop::new(
            Exit::Usage,
            format!("{advice} {}", archive.display()),
        ));
    }
    let rankings = Figure::ALL.map(|figure| job.out.join(report::file_name(figure)));
    let table = job.table.iter().map(|(file, _)| file.clone());
    let mut places: Vec<PathBuf> = rankings
        .into_iter()
        .chain([job.out.join(REPORT)])
        .chain(table)
        .chain(job.record.clone())
        .chain([journal::place(&job.out, job.record.as_deref())])
        .chain(job.trace.clone())
        .collect();
    for file in &places {
        output::try_file(file)?;
    }
    places.push(job.out.clone());
    if let Origin::Archive(archive) = &job.origin {
        places.push(archive.clone());
    }
    match output::named_twice(places) {
        Some(place) => {
            let twice = format!(
                "{} is named twice, for two results or for one and the source; choose another name for one",
                place.display()
            );
            Err(Stop::new(Exit::Usage, twice))
        }
        None => Ok(()),
    }
}

fn open_source(job: &Job) -> Result<Source, Stop> {
    let (pages, rates) = match &job.origin {
        Origin::Archive(path) => {
            let archive = Archive::open(path)
                .map_err(|error| Stop::new(Exit::Usage, format!("{error:#}")))?;
            return Ok(Source::archive(archive, job.widths.workers));
        }
        Origin::Live => (LIVE_PAGES.to_owned(), LIVE_RATES.to_owned()),
        Origin::Site(address) => (address.clone(), address.clone()),
        Origin::Replica => {
            let site = replica::Pages::of_market(&Market::embedded(None, replica::SEED));
            let server = replica::Server::start(site, 0, replica::Line::default(), None).map_err(
                |error| {
                    Stop::new(
                        Exit::Internal,
                        format!("the embedded market cannot listen on 127.0.0.1: {error}"),
                    )
                },
            )?;
            (server.address(), server.address())
        }
    };
    let proxy = match (&job.origin, &job.proxy) {
        (Origin::Replica, _) => ProxyChoice::Direct,
        // The environment's proxy is for the world outside.
        (Origin::Site(address), ProxyChoice::FromEnvironment) if is_loopback(address) => {
            ProxyChoice::Direct
        }
        (_, proxy) => proxy.clone(),
    };
    let client = Client::new(Options {
        // One for each worker and each index page beside them, and one for the rate.
        connections: job.widths.workers + walk::SIDE_BY_SIDE + 1,
        timeout: job.timeout,
        user_agent: job.user_agent.clone(),
        proxy,
        authorities: job.authorities.clone(),
    });
    let site = Site {
        client,
        pages,
        rates,
        journal: Some(open_journal(job)?),
    };
    let mut source = Source::site(site, job.widths.workers);
    if let Some(rps) = job.rps {
        source.gate.keep_apart(Duration::from_secs_f64(1.0 / rps));
    }
    let RetryTiming { seed, first_pause } = job.retry;
    source.retries = Retries::new(seed.unwrap_or_else(|| fastrand::u64(..)), first_pause);
    if !job.ignore_robots {
        source.robots = Robots::obeyed();
    }
    Ok(source)
}

fn open_journal(job: &Job) -> Result<Journal, Stop> {
    let identity = Identity(vec![
        (
            "software",
            concat!("indexrank/", env!("CARGO_PKG_VERSION")).to_owned(),
        ),
        ("source", job.origin.to_string()),
        ("index", job.index.clone()),
    ]);
    let checksum = match job.record {
        Some(_) => Checksum::Sha1,
        None => Checksum::Crc32,
    };
    let place = journal::place(&job.out, job.record.as_deref());
    Ok(match job.resume {
        Some(max_age) => Journal::resume(place, checksum, &identity, max_age)?,
        None => Journal::begin(place, checksum, &identity)?,
    })
}

/// The rate to use, or why there is none.
pub fn find_rate(choice: RateChoice, source: &Source, meter: &Meter) -> Result<Rate, String> {
    let date = match choice {
        RateChoice::Given(value) => return Ok(Rate::by_hand(value)),
        RateChoice::OfDay(date) => date,
    };
    let read = |answer: Page, _: &mut Lane| {
        let mut inflater = Inflater::default();
        let xml = answer.inflate(&mut inflater)?;
        // Header and document may disagree about the charset, and either may be right.
        let by_header = read_rates(xml, answer.charset().as_deref());
        by_header.or_else(|error| read_rates(xml, None).map_err(|_| error))
    };
    let mut page = Patience::new(source, source::rates_path(date));
    let rate = page.get(&mut meter.lane(Role::Rate), read);
    rate.map_err(|error| format!("{}: {error}", source.address(&page.path)))
}

fn read_rates(xml: &[u8], charset: Option<&str>) -> Result<Rate, PageError> {
    if xml.len() > rates::MAX_BYTES {
        let why = format!("the list of rates has over {} MiB", rates::MAX_BYTES >> 20);
        return Err(PageError::new(Reason::TooLarge, why));
    }
    let xml = page::to_utf8(xml, charset);
    let xml = String::from_utf8_lossy(&xml);
    let is_whole = xml.contains("</ValCurs>") || !xml.contains("<ValCurs");
    if !is_whole || xml.trim().is_empty() {
        let why = "the list of rates ends without </ValCurs>";
        return Err(PageError::new(Reason::Truncated, why));
    }
    rates::parse(&xml).map_err(|error| PageError::new(Reason::Unrecognised, error.to_string()))
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

/// On the real site the latest rate should be about today's; replayed pages are as old as they are.
fn rate_far_off(job: &Job, rate: Option<&Rate>) -> Option<String> {
    let (Origin::Live, RateChoice::OfDay(asked)) = (&job.origin, job.rate) else {
        return None;
    };
    let wanted = asked.unwrap_or_else(|| Timestamp::now().to_zoned(TimeZone::UTC).date());
    let date = rate?.day.as_ref()?.date;
    let off = date.since(wanted).ok()?.get_days().abs();
    (off > RATE_DAYS_OFF).then(|| format!("the rate is for {date}, {off} days from {wanted}"))
}

/// Pages that came are kept for a run that goes on, or for a look at their layout.
fn ended_early(source: Source, mut stop: Stop) -> Stop {
    stop.message += "; no result was changed";
    match source.into_journal().and_then(Journal::leave) {
        Some((file, pages)) => {
            let pages = summary::count(pages, "page", "pages");
            stop.message += &format!(", {pages} kept in {}", file.display());
        }
        None => stop.resumable = false,
    }
    stop
}

fn rank_all(job: &Job, companies: &[Company], rate: Option<&Rate>) -> Vec<(Figure, Vec<Place>)> {
    let possible = Figure::ALL
        .into_iter()
        .filter(|figure| *figure != Figure::Price || rate.is_some());
    possible
        .map(|figure| {
            (
                figure,
                rank::ranking(companies, figure, rate, job.pe_range, job.top),
            )
        })
        .collect()
}

/// Writes every file under a temporary name first and then puts all in their places, so that a
/// failure to write changes nothing.
fn write_all(
    job: &Job,
    report: &mut Report,
    rankings: &[(Figure, Vec<Place>)],
    companies: &[Company],
    rate: Option<&Rate>,
    timeline: Option<Timeline>,
    recording: Option<Journal>,
) -> Result<(), Stop> {
    let mut contents: Vec<(PathBuf, Vec<u8>)> = Vec::new();
    for (figure, places) in rankings {
        contents.push((
            job.out.join(report::file_name(*figure)),
            report::json(places),
        ));
    }
    if let Some((file, format)) = &job.table {
        let table = table::write(companies, rate, *format);
        contents.push((
            file.clone(),
            table.map_err(|error| Stop::new(Exit::Internal, error.to_string()))?,
        ));
    }
    if let (Some(file), Some(timeline)) = (&job.trace, timeline) {
        contents.push((file.clone(), timeline.chrome()));
    }
    let report_file = job.out.join(REPORT);
    let files = contents.iter().map(|(file, _)| file);
    let files = files.chain([&report_file]).chain(&job.record);
    report.files = files.map(|file| file.display().to_string()).collect();
    contents.push((report_file, report::json(report)));

    let staged = contents
        .iter()
        .map(|(file, content)| Staged::whole(file, content));
    let staged = staged.collect::<Result<Vec<Staged>, _>>()?;
    staged.iter().try_for_each(Staged::sync)?;
    if let (Some(recording), Some(target)) = (recording, &job.record) {
        recording.become_recording(target)?;
    }
    staged.into_iter().try_for_each(Staged::place)?;
    Ok(())
}
