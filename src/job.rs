//! The whole job: pages → rankings → files. What `indexrank` without a subcommand does.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use jiff::civil::Date;
use jiff::{Timestamp, tz::TimeZone};
use rust_decimal::Decimal;

use crate::archive::Archive;
use crate::exit::{Exit, Stop};
use crate::harvest::{Company, Harvest};
use crate::http::{Client, Options, ProxyChoice};
use crate::layout;
use crate::meter::Meter;
use crate::output::{self, Staged};
use crate::page::{self, Reason};
use crate::pipeline::{self, Widths};
use crate::progress::{Progress, Style};
use crate::rank::{self, Figure, PeRange, Place};
use crate::rates::{self, Rate};
use crate::recorder::Recorder;
use crate::replica::{self, Market};
use crate::report::{self, Asked, Report, Times};
use crate::retry;
use crate::source::{self, LIVE_PAGES, LIVE_RATES, Origin, Site, Source};
use crate::table;
use crate::walk::WalkError;

/// A rate for another day than the run's is usual (weekends, holidays); one this far off is not.
const RATE_DAYS_OFF: i32 = 7;

/// What a user may ask for.
#[derive(Debug, Clone)]
pub struct Job {
    pub origin: Origin,
    pub index: String,
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
    pub timeout: Duration,
    pub user_agent: String,
    pub proxy: ProxyChoice,
    pub progress: Style,
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
}

/// Runs the job. An error means that nothing was written, but for a recording of pages that turned
/// out to be laid out in another way.
pub fn run(job: &Job) -> Result<Outcome, Stop> {
    try_outputs(job)?;
    let source = open_source(job)?;
    let meter = Arc::new(Meter::default());
    let progress = Progress::start(job.progress, Arc::clone(&meter));
    let started = Timestamp::now();
    let clock = Instant::now();

    let (harvest, rate) = thread::scope(|scope| {
        let rate = scope.spawn(|| find_rate(job.rate, &source, &meter));
        let harvest = pipeline::run(&source, &job.index, job.widths, &meter);
        (
            harvest,
            rate.join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
        )
    });

    let times = Times {
        started,
        finished: Timestamp::now(),
        took: clock.elapsed(),
    };
    progress.finish();
    let harvest = harvest.map_err(|error| stop_of_walk(&error, job))?;
    let asked = Asked {
        source: job.origin.to_string(),
        index: job.index.clone(),
        widths: job.widths,
    };
    let mut report = Report::new(asked, &source, times, &harvest, &rate, &meter);
    report
        .warnings
        .extend(rate_far_off(job, rate.as_ref().ok()));
    let recording = finish_recording(job, source)?;
    if let Some(stop) = nothing_to_rank(&harvest) {
        let kept = recording
            .map(Staged::place)
            .transpose()?
            .and(job.record.as_ref());
        let kept = kept.map_or(String::new(), |file| {
            format!("; the pages are kept in {}", file.display())
        });
        return Err(Stop::new(
            stop.exit,
            format!("{}{kept}; no file was changed", stop.message),
        ));
    }
    let rankings = rank_all(job, &harvest.companies, rate.as_ref().ok());
    write_all(
        job,
        &mut report,
        &rankings,
        &harvest.companies,
        rate.as_ref().ok(),
        recording,
    )?;
    let exit = if rate.is_err() {
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
    })
}

fn try_outputs(job: &Job) -> Result<(), Stop> {
    output::try_folder(&job.out)?;
    for file in job.table.iter().map(|(file, _)| file).chain(&job.record) {
        output::try_folder(output::parent(file))?;
    }
    Ok(())
}

fn open_source(job: &Job) -> Result<Source, Stop> {
    let (pages, rates) = match &job.origin {
        Origin::Archive(path) => {
            let archive = Archive::open(path)
                .map_err(|error| Stop::new(Exit::Usage, format!("{error:#}")))?;
            return Ok(Source::Archive(archive));
        }
        Origin::Live => (LIVE_PAGES.to_owned(), LIVE_RATES.to_owned()),
        Origin::Site(address) => (address.clone(), address.clone()),
        Origin::Replica => {
            let site = replica::Pages::of_market(&Market::embedded(None, replica::SEED));
            let server = replica::Server::start(site, 0, Duration::ZERO).map_err(|error| {
                Stop::new(
                    Exit::Internal,
                    format!("the embedded market cannot listen on 127.0.0.1: {error}"),
                )
            })?;
            (server.address(), server.address())
        }
    };
    let proxy = if job.origin == Origin::Replica {
        ProxyChoice::Direct
    } else {
        job.proxy.clone()
    };
    let client = Client::new(Options {
        // One for each worker, and the pages of the index and the rate beside them.
        connections: job.widths.workers + 17,
        timeout: job.timeout,
        user_agent: job.user_agent.clone(),
        proxy,
    });
    let recorder = job.record.as_deref().map(Recorder::create).transpose()?;
    Ok(Source::Site(Site {
        client,
        pages,
        rates,
        recorder,
    }))
}

fn find_rate(choice: RateChoice, source: &Source, meter: &Meter) -> Result<Rate, String> {
    let date = match choice {
        RateChoice::Given(value) => return Ok(Rate::by_hand(value)),
        RateChoice::OfDay(date) => date,
    };
    let path = source::rates_path(date);
    let read = || -> Result<Rate, String> {
        let answer =
            retry::get_patiently(source, &path, meter).map_err(|error| error.to_string())?;
        let mut buffer = Vec::new();
        let xml = answer
            .inflate(&mut buffer)
            .map_err(|error| error.to_string())?;
        let xml = page::to_utf8(xml, answer.charset().as_deref());
        rates::parse(&String::from_utf8_lossy(&xml)).map_err(|error| error.to_string())
    };
    read().map_err(|why| format!("{}: {why}", source.address(&path)))
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

fn finish_recording(job: &Job, source: Source) -> Result<Option<Staged>, Stop> {
    let recording = source.into_recording().transpose();
    recording.map_err(|error| {
        let file = job.record.as_deref().unwrap_or(Path::new("the archive"));
        Stop::new(
            Exit::Output,
            format!(
                "cannot write {}: {error}; no file was changed",
                file.display()
            ),
        )
    })
}

fn nothing_to_rank(harvest: &Harvest) -> Option<Stop> {
    if let Some(change) = layout::change(harvest) {
        let advice = "the site's layout has changed; `indexrank read FILE` shows what is seen in a saved page";
        return Some(Stop::new(Exit::Layout, format!("{change}: {advice}")));
    }
    let first = harvest
        .failures
        .first()
        .filter(|_| harvest.companies.is_empty())?;
    let all = harvest.failures.len();
    let why = format!(
        "none of the {all} company pages could be had; the first, {}: {}",
        first.link.path, first.error
    );
    Some(Stop::new(Exit::Unreachable, why))
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
    recording: Option<Staged>,
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
    let report_file = job.out.join("run.json");
    report.files = contents.iter().map(|(file, _)| file.clone()).collect();
    report.files.push(report_file.clone());
    report
        .files
        .extend(job.record.clone().filter(|_| recording.is_some()));
    contents.push((report_file, report::json(report)));

    let staged: Result<Vec<Staged>, _> = contents
        .iter()
        .map(|(file, content)| Staged::whole(file, content))
        .collect();
    for file in staged?.into_iter().chain(recording) {
        file.place()?;
    }
    Ok(())
}

/// What to tell a user whose index could not be walked.
fn stop_of_walk(error: &WalkError, job: &Job) -> Stop {
    let replica = "`--from replica` needs no network";
    match error.error.reason {
        Reason::Unrecognised => Stop::new(
            Exit::Layout,
            format!(
                "{error}; `indexrank read FILE` shows what is seen in a saved page; no file was changed"
            ),
        ),
        Reason::Gone if error.number == 1 => Stop::new(
            Exit::Unreachable,
            format!(
                "there is no index {:?} at {} ({}); check --index; {replica}",
                job.index, error.address, error.error
            ),
        ),
        Reason::NotArchived => Stop::new(
            Exit::Unreachable,
            format!(
                "{error}; record a whole run with --record, or check --index; no file was changed"
            ),
        ),
        _ => Stop::new(
            Exit::Unreachable,
            format!(
                "{error}; check the network and try again later; {replica}; no file was changed"
            ),
        ),
    }
}
