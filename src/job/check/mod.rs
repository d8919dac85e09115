//! The subcommand `check`: fetches one page of each kind and says which landmarks are there.
//! Which text is a landmark, and how a page is parsed, is in `site`; this folder only asks and prints.
//! A landmark of an index page goes into `index`, one of a company page into `company`, the form of the lines into `verdict`.
//!
//! Four requests: robots.txt, page 1 of the index, its first company, and the exchange rate. A fifth goes
//! to the second company if the first lacks a figure that some companies lack. Nothing is retried, and
//! no file is written.

mod company;
mod index;
pub mod verdict;

use std::convert::Infallible;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};

use crate::exit::Exit;
use crate::http::error::{PageError, Reason};
use crate::http::page::Page;
use crate::job::advice::{self, Stop};
use crate::job::check::company::Seen;
use crate::job::check::verdict::{Checked, State, Verdicts};
use crate::job::exchange_rate::{self, RateChoice};
use crate::job::settings::Access;
use crate::job::{cancel_on_signal_or_timeout, limits, open, remedies, shell};
use crate::pipeline::PoolSizes;
use crate::pipeline::index_walk::WalkError;
use crate::pipeline::task::IndexPageId;
use crate::pipeline::threads::join;
use crate::site::currency::Currency;
use crate::site::paths;
use crate::site::rates::{Rate, Rates};
use crate::source::get_with_retries::fetch_robots;
use crate::source::purpose::{Purpose, Request};
use crate::source::throttle::{self, Cause};
use crate::source::{RequestLimit, Source};
use crate::telemetry::counters::Counters;
use crate::telemetry::lane::Lane;
use crate::telemetry::trace::Label;

/// Maximum number of requests, redirects included.
const MAX_REQUESTS: u32 = 5;
/// Connections that stay open, one for each of the two sites.
const CONNECTIONS: usize = 2;
/// The limit of one attempt. The limit of the whole check is shorter, so it ends a request that stalls.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The settings of a check.
#[derive(Debug, Clone)]
pub struct Check {
    pub access: Access,
    pub index: String,
    /// The limit of the whole check.
    pub max_time: Duration,
    /// Receives the numbers of signals that end the check.
    pub interrupts: Receiver<i32>,
}

/// Checks one page of each kind. An error is of the options, or a signal.
pub fn check(check: &Check) -> Result<(Checked, Exit), Stop> {
    let mut sizes = PoolSizes {
        fetchers: CONNECTIONS,
        parsers: 0,
    };
    // It sends one request after another, so any number of connections is enough.
    limits::fit(&check.access.origin, &mut sizes, 0)?;
    let mut source = open::source(&check.access, CONNECTIONS, TIMEOUT, || Ok(None))?;
    source.request_limit = Some(RequestLimit::new(MAX_REQUESTS));
    let (source, counters) = (&source, &Counters::default());
    let clock = Instant::now();
    let (running, ended) = bounded::<Infallible>(0);
    let mut visit = Visit {
        check,
        source,
        counters,
        verdicts: Verdicts::default(),
        failure: None,
        no_rate: None,
    };
    thread::scope(|scope| {
        let (interrupts, max_time) = (&check.interrupts, Some(check.max_time));
        scope.spawn(move || cancel_on_signal_or_timeout(interrupts, max_time, source, &ended));
        // The rates are on a site of their own, so a site that stalls hides nothing of the other.
        let rates = || {
            let rates = exchange_rate::find(&RateChoice::OfDay(None), source, counters);
            rates.map_err(|no_rates| no_rates.sentence)
        };
        let rates = scope.spawn(rates);
        visit.see_pages(|| join(rates));
        drop(running);
    });
    match source.cause() {
        Some(cause @ Cause::Signal(_)) => Err(Stop {
            resumable: false,
            ..Stop::of_cancellation(&cause)
        }),
        _ => Ok(visit.end(clock.elapsed())),
    }
}

/// A check in progress.
struct Visit<'a> {
    check: &'a Check,
    source: &'a Source,
    counters: &'a Counters,
    verdicts: Verdicts,
    /// The first page that could not be had: why, and what to do about it.
    failure: Option<String>,
    /// Why there is no exchange rate.
    no_rate: Option<String>,
}

impl Visit<'_> {
    fn see_pages(&mut self, rates: impl FnOnce() -> Result<Rates, String>) {
        let companies = if self.see_robots() {
            self.see_index()
        } else {
            let why = "not requested, because of robots.txt";
            self.verdicts.skip("index page", why);
            Vec::new()
        };
        let first = match companies.first() {
            Some(path) => self.see_company(path),
            None => {
                self.verdicts.skip("company page", "no company is known");
                None
            }
        };
        // The rates take their request before the second company may.
        let rates = rates();
        let currency = first.as_ref().and_then(|first| first.page.currency);
        if let Some(first) = first {
            // If no request is left, this one fails without being sent.
            let path = companies.get(1).filter(|_| first.lacks_figure());
            let second = path.and_then(|path| {
                let page = self.parse(Purpose::Company, path, company::parse).0.ok()?;
                let path = path.clone();
                Some(Seen { path, page })
            });
            company::judge_figures(&first, second.as_ref(), &mut self.verdicts);
        }
        let (currency, _) = currency.unwrap_or(Currency::USD).main_unit();
        self.see_rate(rates, currency);
    }

    /// Returns whether the index page may be requested.
    fn see_robots(&mut self) -> bool {
        let access = &self.check.access;
        if access.ignore_robots {
            let detail = "neither fetched nor obeyed (--ignore-robots)";
            self.verdicts.ok("robots.txt", detail);
            return true;
        }
        if access.origin.is_archived() {
            self.verdicts.ok("robots.txt", "an archive needs none");
            return true;
        }
        fetch_robots(self.source, &access.user_agent, self.counters);
        let robots = &self.source.pages_host.robots;
        let name = &self.check.index;
        let index = robots.check(&paths::numbered_page(name, 1));
        let may_request_index = index.is_ok();
        let may_walk_letters = !may_request_index && robots.allows_letter_pages(name);
        match index.and(robots.check(paths::COMPANY_PREFIX)) {
            Ok(()) => {
                let delay = match self.counters.crawl_delay_ms.get() {
                    0 => "no crawl delay".to_owned(),
                    delay => format!("crawl delay {} s", delay as f64 / 1e3),
                };
                let detail = format!("allows index and company pages, {delay}");
                self.verdicts.ok("robots.txt", detail);
            }
            Err(error) => {
                // If robots.txt could not be fetched, the reason for that is the short one.
                let error = error.cause_on_other_page().unwrap_or(&error);
                let next = if may_walk_letters {
                    remedies::WALK_LETTERS
                } else {
                    advice::next_step(error, &access.origin)
                };
                self.fail_with("robots.txt", paths::ROBOTS, error, next);
            }
        }
        may_request_index
    }

    /// Returns the paths of the first companies, at most two.
    fn see_index(&mut self) -> Vec<String> {
        let index = &self.check.index;
        let path = paths::numbered_page(index, 1);
        match self.parse(Purpose::Index, &path, index::parse) {
            (Ok(page), facts) => index::judge(page, &facts, index, &mut self.verdicts),
            (Err(error), facts) if error.reason == Reason::Unrecognised => {
                index::judge_unparsed(&error, facts, &mut self.verdicts)
            }
            (Err(error), _) => {
                let described = PageError::new(error.reason, self.describe(&error));
                let page = IndexPageId::Number(1);
                let walk_error = WalkError::new(self.source, index, page, described);
                let stop = Stop::of_walk(&walk_error, &self.check.access.origin, index);
                self.failure.get_or_insert(stop.message);
                self.fail("index page", &path, &error);
                Vec::new()
            }
        }
    }

    /// Returns the page if it parses.
    fn see_company(&mut self, path: &str) -> Option<Seen> {
        match self.parse(Purpose::Company, path, company::parse) {
            (Ok(page), facts) => {
                let path = path.to_owned();
                let seen = Seen { path, page };
                company::judge_heading(&seen, &facts, &mut self.verdicts);
                Some(seen)
            }
            (Err(error), facts) if error.reason == Reason::Unrecognised => {
                company::judge_unparsed(path, &error, facts, &mut self.verdicts);
                None
            }
            (Err(error), _) => {
                self.fail("company page", path, &error);
                None
            }
        }
    }

    /// Adds the verdict on the rate of the first company's currency.
    fn see_rate(&mut self, rates: Result<Rates, String>, currency: Currency) {
        let check = "exchange rate";
        let rate = rates.and_then(|rates| {
            let rate = rates.get(currency);
            let rate = rate.map_err(|why| rates.explain(currency, &why))?;
            let day = rates.day.map(|day| format!(", {}", day.date));
            Ok((rate, day.unwrap_or_default()))
        });
        match rate {
            Ok((Rate { value, nominal }, day)) => {
                let detail = format!("{nominal} {currency} = {value} RUB, Bank of Russia{day}");
                self.verdicts.ok(check, detail);
            }
            Err(error) => {
                let address = self.source.address(&paths::rates(None)) + ": ";
                let detail = error.strip_prefix(&address).unwrap_or(&error);
                let cancelled = throttle::cancelled();
                let detail = match detail == cancelled.detail {
                    true => self.describe(&cancelled),
                    false => detail.to_owned(),
                };
                self.verdicts.add(check, State::Failed, &detail);
                self.no_rate = Some(address + &detail);
            }
        }
    }

    /// Fetches a page and parses it.
    fn parse<T, F: Default>(
        &self,
        purpose: Purpose,
        path: &str,
        parse: impl FnOnce(&Page, &mut Lane) -> (Result<T, PageError>, F),
    ) -> (Result<T, PageError>, F) {
        let mut lane = self.counters.lane(Label::Fetcher);
        let request = Request::new(purpose, path);
        match self.source.get(request, Vec::new, &mut lane) {
            Ok(page) => parse(&page, &mut lane),
            Err(error) => (Err(error), F::default()),
        }
    }

    /// Adds the failure of a page.
    fn fail(&mut self, check: &'static str, path: &str, error: &PageError) {
        let next = advice::next_step(error, &self.check.access.origin);
        self.fail_with(check, path, error, next);
    }

    /// Adds the failure of a page, and what to do next.
    fn fail_with(&mut self, check: &'static str, path: &str, error: &PageError, next: &str) {
        let what = self.describe(error);
        self.verdicts.add(check, State::Failed, &what);
        let address = self.source.address(path);
        let sentence = format!("{address}: {what}; {next}");
        self.failure.get_or_insert(sentence);
    }

    /// What has happened to a page.
    fn describe(&self, error: &PageError) -> String {
        match (error.reason, self.source.cause()) {
            (Reason::Stopped, Some(Cause::MaxTime(limit))) => {
                format!("not done within {} s", limit.as_secs_f64())
            }
            (Reason::Stopped, Some(cause)) => Stop::of_cancellation(&cause).message,
            _ => error.detail.clone(),
        }
    }

    /// The result, with a sentence about the worst problem, and the exit code for it.
    fn end(self, took: Duration) -> (Checked, Exit) {
        let origin = &self.check.access.origin;
        let missing = self.verdicts.missing();
        let (exit, next) = if let Some(failure) = self.failure {
            (Exit::Unreachable, failure)
        } else if !missing.is_empty() {
            let missing = missing.join("; ");
            let next =
                format!("the site's layout has changed: {missing}; attach these lines to a report");
            (Exit::Layout, next)
        } else if let Some(why) = self.no_rate {
            let next = format!("there is no exchange rate: {why}; give a run a rate with --rate");
            (Exit::NoRate, next)
        } else {
            let run = shell::command("", origin, &self.check.index);
            (
                Exit::Complete,
                format!("all that a run needs is there; next: {run}"),
            )
        };
        let checked = Checked {
            source: self.check.access.source_name(),
            index: self.check.index.clone(),
            checks: self.verdicts,
            requests: self.counters.requests.get(),
            seconds: took.as_secs_f64(),
            warning: self.source.archive_damage(),
            next,
        };
        (checked, exit)
    }
}
