//! The end of a run: collects warnings, writes the report and the files if there are enough companies,
//! keeps or removes the journal.

use std::io::{self, Write};

use crate::disk::commit::CommitError;
use crate::exit::Exit;
use crate::job::advice::{self, Stop};
use crate::job::exchange_rate::RateChoice;
use crate::job::open::Opened;
use crate::job::settings::Job;
use crate::job::{database, exchange_rate, shards, warnings};
use crate::pipeline::harvest::Harvest;
use crate::results::coverage;
use crate::results::failed_run::{self, FailedRun, WalkFacts};
use crate::results::findings::Findings;
use crate::results::layout_check;
use crate::results::prices::{self, Prices};
use crate::results::ranking::{Figure, Place};
use crate::results::report::{self, Facts, Report, Times};
use crate::results::write::Contents;
use crate::source::archives::Archives;
use crate::source::origin::Origin;
use crate::telemetry::counters::Counters;
use crate::warc::journal::{Journal, Kept, Recording};
use crate::words;

/// What a run returns: its report, its rankings, and whether it wrote its files.
#[derive(Debug)]
pub struct Outcome {
    pub document: Document,
    /// What the terminal shows as tables. A run with too few companies has them, other failed runs have
    /// not.
    pub rankings: Option<Rankings>,
    /// The end of a run that wrote its files, or why it wrote none, or none to its database.
    pub end: Result<Written, Stop>,
}

/// The JSON that a run leaves, and prints with `--json`.
#[derive(Debug)]
pub enum Document {
    Report(Box<Report>),
    FailedRun(FailedRun),
}

impl Document {
    /// The report of a run that walked its index to the end.
    pub fn report(&self) -> Option<&Report> {
        match self {
            Document::Report(report) => Some(report),
            Document::FailedRun(failed) => failed.report(),
        }
    }

    pub fn write_json(&self, out: impl Write) -> io::Result<()> {
        match self {
            Document::Report(report) => report::write_json(report, out),
            Document::FailedRun(failed) => report::write_json(failed, out),
        }
    }
}

/// A run has written its files.
#[derive(Debug)]
pub struct Written {
    pub exit: Exit,
    /// Whether the same command with `--resume` fetches only the missing pages.
    pub resumable: bool,
}

/// The rankings of a run; without usable rates, all but the one by price.
pub type Rankings = Vec<(Figure, Vec<Place>)>;

/// What is needed to end a run after its last request.
pub struct End<'a> {
    pub job: &'a Job,
    /// Prints a line to stderr.
    pub say: &'a dyn Fn(&str),
    pub opened: Opened,
    /// Whether a later run may get the rates that this one lacks.
    pub rates_may_come: bool,
    pub times: Times,
}

impl End<'_> {
    /// Writes all files of a run and appends it to the database, or writes `failed-run.json` alone if it has
    /// too few companies or a file cannot be written. Files that are written stay if the database fails.
    pub fn write(mut self, harvest: Harvest, prices: Prices, rankings: Rankings) -> Outcome {
        let warnings = self.collect_warnings(&harvest, &prices);
        self.opened.warnings.extend(warnings);
        let incomplete = self.opened.source.warning();
        let mut report = self.report(harvest, prices);
        let mut journal = self.opened.source.take_journal();
        let ledger = report.findings.ledger();
        if let Some(shortfall) = coverage::shortfall(&ledger, self.job.min_companies) {
            report.set_not_written(shortfall.to_string());
            let may_come = self.pages_may_come(&report);
            let stop = Stop::of_shortfall(&shortfall, may_come).unchanged();
            let stop = keep_pages(self.job, journal, stop);
            return Outcome {
                rankings: Some(rankings),
                ..self.fail(report.into(), stop)
            };
        }
        let recorded = self.finish_recording(&mut journal, incomplete, &report.findings.harvest);
        let written =
            recorded.and_then(|recording| self.write_results(&mut report, &rankings, recording));
        match written {
            Ok(()) => {
                // Without rates, a run whose companies are all quoted in its own currency lacks nothing.
                let rates_help = self.rates_may_come && report.rate_error.is_some();
                let may_come = rates_help || self.pages_may_come(&report);
                let exit = self.exit_code(&report);
                let end = match database::append(self.job, self.say, &report, &rankings, exit) {
                    Ok(()) => Ok(Written {
                        exit,
                        resumable: close_journal(journal, may_come),
                    }),
                    // A run with --resume appends itself without another request for these pages.
                    Err(error) => {
                        let stop = Stop::of_append(error, &self.job.outputs, journal.is_some());
                        Err(keep_pages(self.job, journal, stop))
                    }
                };
                Outcome {
                    end,
                    document: Document::Report(Box::new(report)),
                    rankings: Some(rankings),
                }
            }
            Err(stop) => {
                report.set_not_written(&*stop.message);
                let stop = keep_pages(self.job, journal, stop);
                self.fail(report.into(), stop)
            }
        }
    }

    /// Ends a run that cannot be ranked: keeps its journal and completes the message. The harvest, if
    /// there is one, goes into `failed-run.json`. An interrupted run leaves no report.
    pub fn without_rankings(
        mut self,
        stop: Stop,
        harvest: Option<(Harvest, Prices)>,
    ) -> Result<Outcome, Stop> {
        let facts = match harvest {
            Some((harvest, prices)) => {
                let mut report = self.report(harvest, prices);
                report.set_not_written(&*stop.message);
                report.into()
            }
            None => failed_run::Facts::Walk(self.walk_facts()),
        };
        let journal = self.opened.source.take_journal();
        let stop = keep_pages(self.job, journal, stop.unchanged());
        if failed_run::is_reported(stop.exit) {
            Ok(self.fail(facts, stop))
        } else {
            Err(self.append_failed(stop))
        }
    }

    /// Ends a run without results: writes `failed-run.json`.
    fn fail(self, facts: failed_run::Facts, mut stop: Stop) -> Outcome {
        let document = FailedRun {
            exit: stop.exit as u8,
            error: stop.message.clone(),
            resumable: stop.resumable,
            facts,
        };
        let file = &self.opened.failed_run;
        let written = file.write(|out| report::write_json(&document, out));
        if let Err(error) = written.and_then(|_| file.publish()) {
            stop.message += &format!("; {error}");
        }
        Outcome {
            document: Document::FailedRun(document),
            rankings: None,
            end: Err(self.append_failed(stop)),
        }
    }

    /// Appends a failed run to the database, and adds to the message why it is not there.
    fn append_failed(&self, mut stop: Stop) -> Stop {
        if let Err(error) = database::append_failed(self.job, self.say, self.times.started, &stop) {
            stop.message += &format!("; {error}");
        }
        stop
    }

    /// With `--record`, completes the journal to become the recording.
    fn finish_recording(
        &self,
        journal: &mut Option<Journal>,
        incomplete: Option<String>,
        harvest: &Harvest,
    ) -> Result<Option<Recording>, Stop> {
        let Some(target) = &self.job.outputs.record else {
            return Ok(None);
        };
        if let Some(why) = incomplete {
            // The recording is a result too, and a run writes all of its results or none.
            let message = format!("cannot write {}: {why}", target.display());
            let stop = Stop::new(Exit::Output, message).unchanged();
            return Err(Stop {
                resumable: true,
                ..stop
            });
        }
        let closing = harvest.index.as_ref().map(shards::closing);
        let closing = closing.unwrap_or_default();
        let recording = journal
            .take()
            .map(|journal| journal.finish_recording(target, &closing));
        recording
            .transpose()
            .map_err(|error| Stop::from(error).unchanged())
    }

    /// Writes all files and gives them their names.
    fn write_results(
        &mut self,
        report: &mut Report,
        rankings: &Rankings,
        recording: Option<Recording>,
    ) -> Result<(), Stop> {
        let contents = Contents {
            rankings,
            findings: &report.findings,
            timeline: self.opened.counters.trace.take_timeline(),
            recording,
        };
        let results = self.opened.results.take();
        let results = results.expect("results are written once");
        let complete = results
            .write(&self.job.outputs, contents, self.exit_code(report))
            .map_err(CommitError::from)?;
        Ok(complete.commit(report)?)
    }

    fn report(&self, harvest: Harvest, prices: Prices) -> Report {
        let source = &self.opened.source;
        Report::new(Facts {
            origin: &self.job.access.origin,
            index: &self.job.index,
            shard: self.job.shard,
            sizes: self.job.sizes,
            source,
            times: self.times,
            findings: Findings {
                harvest,
                prices,
                bases: source.bases(),
            },
            counters: &self.opened.counters,
            warnings: self.opened.warnings.clone(),
        })
    }

    fn exit_code(&self, report: &Report) -> Exit {
        let ledger = report.findings.ledger();
        let lacks_rates = report.rate_error.is_some();
        let lacks_pages = ledger.failed + ledger.not_attempted + report.unread_rows > 0;
        let archives = self.opened.source.as_archive();
        if lacks_rates && report.shard.is_none() {
            Exit::NoRate
        } else if lacks_rates || lacks_pages || archives.is_some_and(Archives::lack_shards) {
            Exit::Partial
        } else {
            Exit::Complete
        }
    }

    /// Whether a resumed run may fetch any of the missing pages.
    fn pages_may_come(&self, report: &Report) -> bool {
        let failures = &report.findings.harvest.failures;
        advice::may_succeed_later(failures, &self.job.access.origin)
    }

    fn walk_facts(&self) -> WalkFacts {
        let Job { access, index, .. } = self.job;
        WalkFacts::new(&access.origin, index, self.times, &self.opened.counters)
    }

    fn collect_warnings(&self, harvest: &Harvest, prices: &Prices) -> Vec<String> {
        let (job, source, counters) = (self.job, &self.opened.source, &*self.opened.counters);
        let quotes = prices::most_common_day(&harvest.companies);
        // Archived and embedded pages are older than the run, so only those of the live site are of
        // today.
        let has_day =
            job.access.origin == Origin::Live || matches!(job.rates, RateChoice::OfDay(Some(_)));
        let asked_for = has_day.then(|| job.rates.day()).flatten();
        [
            nothing_to_resume(job, counters),
            source.warning(),
            source.journal_damage(),
            warnings::of_duplicates(harvest),
            warnings::of_unread_rows(harvest.unread_rows),
            warnings::of_unnamed_pages(counters.unnamed.get() as usize, harvest.listed),
            warnings::of_notes(&harvest.companies),
            harvest.index_changed.clone(),
            warnings::of_walks(harvest),
            exchange_rate::far_off(prices.date(), quotes, asked_for),
            prices.warning(),
            prices::assumed_currencies(&harvest.companies),
        ]
        .into_iter()
        .flatten()
        .chain(layout_check::unusually_missing(&harvest.companies))
        .collect()
    }
}

/// A warning if `--resume` found no page in the journal.
fn nothing_to_resume(job: &Job, counters: &Counters) -> Option<String> {
    let path = job.outputs.journal();
    (job.resume.is_some() && counters.resumed.get() == 0)
        .then(|| format!("{} has no page to resume from", path.display()))
}

/// Keeps the journal if a resumed run could fetch the missing pages, and removes it otherwise. Returns
/// whether it is kept.
fn close_journal(journal: Option<Journal>, may_succeed_later: bool) -> bool {
    match journal {
        Some(journal) if may_succeed_later => {
            let kept = journal.close_for_resume();
            kept.is_some_and(|kept| kept.is_resumable)
        }
        Some(journal) => {
            journal.remove();
            false
        }
        None => false,
    }
}

/// Keeps the journal for `--resume`, or to inspect the layout of its pages, and adds its path to the
/// message. The journal of a run that records may be complete already.
fn keep_pages(job: &Job, journal: Option<Journal>, mut stop: Stop) -> Stop {
    let failure = journal.as_ref().and_then(Journal::failure);
    let kept = match journal {
        Some(journal) => journal.close_for_resume(),
        None if job.outputs.record.is_some() => Kept::complete(job.outputs.journal()),
        None => None,
    };
    match kept {
        Some(kept) => {
            let pages = words::count(kept.pages, "page", "pages");
            stop.message += &format!(", {pages} kept in {}", kept.path.display());
            if stop.exit == Exit::Layout {
                stop.message += ": attach this file to a report";
            }
            stop.resumable &= kept.is_resumable;
            if let Some(failure) = failure
                && !stop.message.contains(&failure)
            {
                stop.message += &format!("; {failure}");
            }
        }
        None => stop.resumable = false,
    }
    stop
}
