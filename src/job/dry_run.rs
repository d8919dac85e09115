//! The option `--dry-run`: how many requests a run would send, and how long they would take.
//!
//! Two requests tell enough: robots.txt has the crawl delay, and page 1 of the index has the number of
//! pages and of companies on one, also for a walk over letter pages. Nothing is locked or written, so the
//! outputs are not checked.

use std::convert::Infallible;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::bounded;
use serde::Serialize;

use crate::job::advice::Stop;
use crate::job::exchange_rate::RateChoice;
use crate::job::settings::Job;
use crate::job::{cancel_on_signal_or_timeout, open};
use crate::pipeline::index_walk::{IndexWalk, WalkError, WalkMode};
use crate::pipeline::task::{IndexPageId, Target, Task};
use crate::site::currency::Currency;
use crate::site::index_page;
use crate::site::paths::{COMPANY_PREFIX, LETTERS};
use crate::source::Source;
use crate::source::get_with_retries::{fetch_robots, get_with_retries};
use crate::source::purpose::{Purpose, Request};
use crate::source::retry::Retries;
use crate::telemetry::counters::Counters;
use crate::telemetry::trace::Label;
use crate::warc::reader::Archive;
use crate::words::count;

/// What a run would request, as `--json` prints it. For an archive, all numbers are zero.
#[derive(Debug, Default, Serialize)]
pub struct Estimate {
    source: String,
    index: String,
    robots: usize,
    rates: usize,
    index_pages: usize,
    companies: usize,
    /// How the companies are estimated; empty if they are counted.
    about: String,
    page_1_again: usize,
    /// Pages that need no request, because the journal has them.
    in_journal: usize,
    /// All requests, without retries and redirects.
    requests: usize,
    /// The time of all requests; null without a limit.
    seconds: Option<f64>,
    /// The limit and the time in words.
    time: String,
    warnings: Vec<String>,
    requests_sent: u64,
}

/// Estimates the requests of a run. Fails like the run if page 1 of its index would end it.
pub fn estimate(job: &Job) -> Result<Estimate, Stop> {
    let mut source = open::source(&job.access, 1, job.timeout, || Ok(None))?;
    source.retries = Retries::new(0, job.retry.first_delay);
    let (source, counters) = (&source, &Counters::default());
    let (running, ended) = bounded::<Infallible>(0);
    let seen = thread::scope(|scope| {
        let (interrupts, max_time) = (&job.interrupts, job.max_time);
        scope.spawn(move || cancel_on_signal_or_timeout(interrupts, max_time, source, &ended));
        let seen = see_first_page(job, source, counters);
        drop(running);
        seen
    });
    let stop = match (source.cause(), seen) {
        (None, Ok(())) => return Ok(Estimate::new(job, source, counters)),
        (None, Err(error)) => Stop::of_walk(&error, &job.access.origin, &job.index),
        (Some(cause), _) => Stop::of_cancellation(&cause),
    };
    let message = match source.archive_damage() {
        Some(damage) => format!("{}; {damage}", stop.message),
        None => stop.message,
    };
    Err(Stop {
        message,
        resumable: false,
        ..stop
    })
}

/// Fetches robots.txt, and page 1 of the index unless a walk over letter pages cannot have it. `counters`
/// has the pages and the companies listed.
fn see_first_page(job: &Job, source: &Source, counters: &Counters) -> Result<(), WalkError> {
    fetch_robots(source, &job.access.user_agent, counters);
    if let Some(rps) = job.rps {
        let interval = Duration::from_secs_f64(1.0 / rps);
        source.pages_host.throttle.space_requests(interval);
    }
    IndexWalk::new(source, &job.index, job.walk, &Counters::default()).check_letters()?;
    // A run over letter pages does not need page 1: an archive of one may lack it.
    let may_request_page_1 =
        source.as_archive().is_none() && source.pages_host.robots.allows_first_page(&job.index);
    if job.walk == WalkMode::Letters && !may_request_page_1 {
        return Ok(());
    }
    let mut walk = IndexWalk::new(source, &job.index, WalkMode::Pages, counters);
    let id = IndexPageId::Number(1);
    let path: Arc<str> = id.path(&job.index).into();
    let task = || {
        let path = path.clone();
        Task::new(Target::IndexPage { id, path })
    };
    let request = Request::new(Purpose::Index, &path);
    let lane = &mut counters.lane(Label::Index);
    let walked = get_with_retries(source, request, lane, |page, _| {
        let parsed = walk.page_arrived(task(), page);
        match parsed.and_then(|()| walk.parse_next()) {
            Ok(Some(unparsed)) => Err(unparsed.error),
            // Another attempt would not change the end of a walk.
            walked => Ok(walked.map(drop)),
        }
    });
    walked.unwrap_or_else(|error| {
        walk.page_lost(task(), error);
        walk.parse_next().map(drop)
    })
}

impl Estimate {
    fn new(job: &Job, source: &Source, counters: &Counters) -> Self {
        let mut new = Estimate {
            source: job.access.source_name(),
            index: job.index.clone(),
            ..Estimate::default()
        };
        if source.as_archive().is_some() {
            new.time = "no request: all pages come from the archive".to_owned();
            new.warnings.extend(source.archive_damage());
            return new;
        }
        let pages = counters.index_pages.get() as usize;
        let listed = counters.listed.get() as usize;
        let asks_bank = matches!(job.rates, RateChoice::OfDay(_));
        new.robots = usize::from(!job.access.ignore_robots);
        new.rates = usize::from(asks_bank && job.price_currency == Currency::RUB);
        (new.index_pages, new.page_1_again) = match job.walk {
            WalkMode::Pages => (pages, 1),
            WalkMode::Letters => (LETTERS.len(), 0),
            WalkMode::Both => (pages + LETTERS.len(), 1),
        };
        new.companies = listed * pages;
        if pages > 1 {
            new.about = format!("at most: {listed} on each of {pages} pages");
        }
        if !source.pages_host.robots.allows_first_page(&job.index) {
            new.companies = index_page::promised_companies(&job.index);
            let why = "because robots.txt forbids the page that lists them";
            new.about = format!("by the name of the index, {why}");
            if new.companies == 0 {
                new.about = format!("not known, {why}");
                let warning = format!("companies: {}", new.about);
                new.warnings.push(warning);
            }
        }
        let all = new.robots + new.rates + new.index_pages + new.companies;
        if job.resume.is_some() {
            // A resumed run takes robots.txt and the rates from the journal, too.
            let journal = Archive::open_unfinished(&job.outputs.journal());
            let kept = journal.map_or(0, |journal| journal.good_pages().count());
            new.in_journal = kept.min(all);
        }
        new.requests = all + new.page_1_again - new.in_journal;
        new.requests_sent = counters.requests.get();
        new.add_time(job, counters.crawl_delay_ms.get() as f64 / 1e3);
        if let Err(error) = source.pages_host.robots.check(COMPANY_PREFIX) {
            new.warnings.push(format!("company pages: {error}"));
        }
        new
    }

    /// Adds the time with the longer of the two intervals, that of `--rps` and the crawl delay.
    fn add_time(&mut self, job: &Job, delay: f64) {
        let (interval, limit) = match job.rps {
            Some(rps) if 1.0 / rps >= delay => (1.0 / rps, format!("--rps {rps}")),
            _ => (delay, format!("the crawl delay of robots.txt, {delay} s")),
        };
        if interval == 0.0 {
            self.time = "without a limit (--rps): as fast as the site answers".to_owned();
            return;
        }
        let seconds = interval * self.requests as f64;
        self.seconds = Some(seconds);
        self.time = format!("with {limit}: {}", about(seconds));
        let max_time = job.max_time.map(|limit| limit.as_secs_f64());
        if let Some(limit) = max_time.filter(|limit| seconds > *limit) {
            let warning = format!("--max-time {limit} s would cancel the run");
            self.warnings.push(warning);
        }
    }

    /// The estimate in lines: a row for each kind of request, then the time.
    pub fn text(&self) -> String {
        let mut text = format!("{}, index {}\n", self.source, self.index);
        for (kind, number, detail) in [
            ("robots.txt", self.robots, ""),
            ("exchange rates", self.rates, ""),
            ("index pages", self.index_pages, ""),
            ("companies", self.companies, &*self.about),
            ("page 1 again", self.page_1_again, ""),
            (
                "in the journal",
                self.in_journal,
                "subtracted, unless older than --max-age",
            ),
            ("in all", self.requests, "without retries"),
        ] {
            if number > 0 {
                let row = format!("{kind:15}{number:>7}  {detail}");
                text = text + row.trim_end() + "\n";
            }
        }
        text = text + &self.time + "\n";
        for warning in &self.warnings {
            text += &format!("warning: {warning}\n");
        }
        let sent = count(self.requests_sent as usize, "request", "requests");
        text + &format!("{sent} sent for this estimate; no file was written\n")
    }
}

/// Seconds in words, to the second below an hour and to the minute above: `about 4 min 20 s`.
pub fn about(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    let minutes = (seconds + 30) / 60;
    match seconds {
        0 => "less than a second".to_owned(),
        1..60 => format!("about {seconds} s"),
        60..3570 => format!("about {} min {} s", seconds / 60, seconds % 60),
        _ => format!("about {} h {} min", minutes / 60, minutes % 60),
    }
}
