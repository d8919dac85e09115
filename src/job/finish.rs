//! The end of a run: collects warnings, writes the report and the files if there are enough companies,
//! keeps or removes the journal.

use crate::exit::Exit;
use crate::job::advice::Stop;
use crate::job::exchange_rate::RateChoice;
use crate::job::open::Opened;
use crate::job::settings::Job;
use crate::job::{exchange_rate, warnings};
use crate::pipeline::harvest::Harvest;
use crate::results::coverage::{self, Shortfall};
use crate::results::layout_check;
use crate::results::prices::{self, Prices};
use crate::results::ranking::{Figure, Place};
use crate::results::report::{self, Facts, Report, Times};
use crate::results::write::{self, Contents};
use crate::source::Source;
use crate::source::origin::Origin;
use crate::source::retry;
use crate::telemetry::counters::Counters;
use crate::warc::journal::{self, Journal};

/// A run that has its rankings.
#[derive(Debug)]
pub struct Outcome {
    pub report: Report,
    pub rankings: Vec<(Figure, Vec<Place>)>,
    /// The end of a run that wrote its files, or why it wrote none: too few companies.
    pub end: Result<Written, Stop>,
}

/// The end of a run that wrote its files.
#[derive(Debug)]
pub struct Written {
    pub exit: Exit,
    /// Whether the same command with `--resume` fetches only the missing pages.
    pub resumable: bool,
}

/// A run that has its rankings and no files yet.
pub struct Ranked {
    pub harvest: Harvest,
    pub prices: Prices,
    pub times: Times,
    pub rankings: Vec<(Figure, Vec<Place>)>,
}

/// Writes all files of a run, or none if it has too few companies. After an error no result has changed.
pub fn write(job: &Job, opened: Opened, ranked: Ranked) -> Result<Outcome, Stop> {
    let Opened {
        source,
        counters,
        warning,
        lock: _lock,
    } = opened;
    let Ranked {
        harvest,
        prices,
        times,
        rankings,
    } = ranked;
    let contents = match coverage::shortfall(&harvest.ledger(), job.min_companies) {
        Some(shortfall) => Err(shortfall),
        None => Ok(Contents::new(
            &job.outputs,
            &rankings,
            &harvest.companies,
            &prices,
            counters.trace.timeline(),
        )),
    };
    let files = contents.as_ref();
    let files = files.map(|contents| contents.files(&job.outputs));
    let mut warnings: Vec<String> = warning.into_iter().collect();
    warnings.extend(collect_warnings(job, &source, &harvest, &prices, &counters));
    let report = Report::new(Facts {
        origin: &job.access.origin,
        index: &job.index,
        sizes: job.sizes,
        source: &source,
        times,
        harvest: &harvest,
        prices: &prices,
        counters: &counters,
        warnings,
        previous_price: contents.as_ref().ok().and_then(Contents::previous_price),
        files: files.map_err(Shortfall::to_string),
    });
    let end = match contents {
        Ok(contents) => {
            let journal = write_files(job, source, contents, &report)?;
            Ok(Written {
                exit: exit_code(&report),
                resumable: close_journal(journal, may_succeed_later(job, &report)),
            })
        }
        Err(shortfall) => {
            let stop = Stop::of_shortfall(&shortfall, &report.ledger);
            Err(ended_early(source, stop))
        }
    };
    Ok(Outcome {
        report,
        rankings,
        end,
    })
}

/// Whether a resumed run may get the rates or a page that is missing.
fn may_succeed_later(job: &Job, report: &Report) -> bool {
    let mut failures = report.failures.iter();
    let asks_bank = matches!(job.rates, RateChoice::OfDay(_));
    report.rate_error.is_some() && asks_bank
        || failures.any(|failure| retry::is_transient(failure.error.reason))
}

/// Ends a run without files: keeps its journal and completes the message.
pub fn ended_early(source: Source, mut stop: Stop) -> Stop {
    stop.message += "; no result was changed";
    keep_pages(source.into_journal(), stop)
}

fn collect_warnings(
    job: &Job,
    source: &Source,
    harvest: &Harvest,
    prices: &Prices,
    counters: &Counters,
) -> impl Iterator<Item = String> {
    let quotes = prices::most_common_day(&harvest.companies);
    // Archived and embedded pages are older than the run, so only those of the live site are of today.
    let has_day =
        job.access.origin == Origin::Live || matches!(job.rates, RateChoice::OfDay(Some(_)));
    let asked_for = has_day.then(|| job.rates.day()).flatten();
    [
        nothing_to_resume(job, counters),
        source.warning(),
        warnings::of_duplicates(harvest),
        warnings::of_unread_rows(harvest.unread_rows),
        warnings::of_unnamed_pages(counters.unnamed.get() as usize, harvest.listed),
        warnings::of_noted_pages(&harvest.companies),
        harvest.index_changed.clone(),
        warnings::of_walks(&harvest.walks, harvest.listed),
        exchange_rate::far_off(prices.date(), quotes, asked_for),
        prices.warning(),
        prices::assumed_currencies(&harvest.companies),
    ]
    .into_iter()
    .flatten()
    .chain(layout_check::unusually_missing(&harvest.companies))
}

/// A warning if `--resume` found no page in the journal.
fn nothing_to_resume(job: &Job, counters: &Counters) -> Option<String> {
    let path = journal::journal_path(&job.outputs.folder, job.outputs.record.as_deref());
    (job.resume.is_some() && counters.resumed.get() == 0)
        .then(|| format!("{} has no page to resume from", path.display()))
}

/// Writes the files. With `--record`, the journal becomes the recording; otherwise it is returned.
fn write_files(
    job: &Job,
    source: Source,
    contents: Contents,
    report: &Report,
) -> Result<Option<Journal>, Stop> {
    let record = job.outputs.record.as_ref();
    if let (Some(target), Some(why)) = (record, source.warning()) {
        // The recording is a result too, and a run writes all of its results or none.
        let target = target.display();
        let message = format!("cannot write {target}: {why}; no result was changed");
        return Err(Stop::new(Exit::Output, message));
    }
    let journal = source.into_journal();
    let (recording, journal) = match record {
        Some(_) => (journal, None),
        None => (None, journal),
    };
    match write::write_all(&job.outputs, contents, &report::json(report), recording) {
        Ok(()) => Ok(journal),
        Err(error) => {
            let stop = Stop {
                resumable: true,
                ..error.into()
            };
            Err(keep_pages(journal, stop))
        }
    }
}

/// Keeps the journal if a resumed run could fetch the missing pages, and removes it otherwise. Returns
/// whether it is kept.
fn close_journal(journal: Option<Journal>, may_succeed_later: bool) -> bool {
    match journal {
        Some(journal) if may_succeed_later => journal.close_for_resume().is_some(),
        Some(journal) => {
            journal.remove();
            false
        }
        None => false,
    }
}

/// Keeps the journal for `--resume`, or to inspect the layout of its pages, and adds its path to the
/// message.
fn keep_pages(journal: Option<Journal>, mut stop: Stop) -> Stop {
    match journal.and_then(Journal::close_for_resume) {
        Some((file, pages)) => {
            let pages = report::count(pages, "page", "pages");
            stop.message += &format!(", {pages} kept in {}", file.display());
            if stop.exit == Exit::Layout {
                stop.message += ": attach this file to a report";
            }
        }
        None => stop.resumable = false,
    }
    stop
}

fn exit_code(report: &Report) -> Exit {
    if report.rate_error.is_some() {
        Exit::NoRate
    } else if report.ledger.failed + report.ledger.not_attempted + report.unread_rows > 0 {
        Exit::Partial
    } else {
        Exit::Complete
    }
}
