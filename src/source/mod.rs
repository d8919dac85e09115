//! Where pages come from, a site or an archive, and when they may be requested.
//! Sending one request is in `http`, the archive format in `warc`, the order of the requests in `pipeline`.
//! How several archives answer is in `archives`, which addresses a shard requests in `shard`.
//! Another retry rule goes into `retry`; a rule for one kind of request (attempts, size, robots.txt, journal) into `purpose`; another limit on all requests into `throttle`, another rule about `Retry-After` and 429 into `pauses`, another one about refusals into `refusals`, what the hosts of a list have in common into `hosts`, what a response changes into `send`.

pub mod archives;
mod concurrency;
pub mod get_with_retries;
pub mod host;
pub mod hosts;
pub mod origin;
mod pace;
pub mod pauses;
pub mod purpose;
mod refusals;
pub mod retry;
pub mod robots;
mod send;
pub mod shard;
pub mod throttle;

use std::convert::Infallible;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use crate::http::client::Client;
use crate::http::error::{PageError, Reason};
use crate::http::page::Page;
use crate::site::paths;
use crate::source::archives::{Archives, Bases};
use crate::source::host::Host;
use crate::source::hosts::Hosts;
use crate::source::purpose::{Purpose, Request};
use crate::source::retry::{Attempts, Retries};
use crate::source::throttle::{Cause, Throttle};
use crate::telemetry::counters::Counters;
use crate::telemetry::lane::Lane;
use crate::warc::journal::{Journal, Keep};

/// The source of all pages of a run. Pages are requested by their path on the site, those of a list by
/// their address.
#[derive(Debug)]
pub struct Source {
    backend: Backend,
    /// The host of the index and the companies.
    pub pages_host: Host,
    /// The host of the exchange rates, if it is another one.
    rates_host: Option<Host>,
    /// The hosts of a list. Its requests pass the throttle of their own host first, then that of
    /// `pages_host`, which stands for the run.
    pub list: Option<ListHosts>,
    pub retries: Retries,
    /// How many runs share the sites, this one included: each shard of a job is one. Rate limits and crawl
    /// delays are for all of them together, on average.
    pub runs: u32,
    /// The limit on all requests together, if there is one. A source with a limit retries nothing.
    pub request_limit: Option<RequestLimit>,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a run has one")]
enum Backend {
    Site(Site),
    Archive(Archives),
}

/// The hosts of a list, and how their robots.txt are fetched.
#[derive(Debug)]
pub struct ListHosts {
    pub hosts: Hosts,
    /// Fetches the rules of a host and sets them. Other requests to the host wait for that.
    pub fetch_rules: fn(&Source, &Host, &Counters),
}

/// A site over HTTP.
#[derive(Debug)]
pub struct Site {
    pub client: Client,
    /// Scheme, host and port of the server of the index and the companies, without a slash at the end. Empty
    /// for a list of addresses.
    pub pages: String,
    /// The same for the server of the exchange rates.
    pub rates: String,
    /// The journal of the run, if it keeps one.
    pub journal: Option<Journal>,
}

/// A number of requests that may still be sent, redirects and second attempts included.
#[derive(Debug)]
pub struct RequestLimit(AtomicU32);

impl Source {
    /// A site with at most `workers` requests under way at each host, no rate limit and no robots.txt.
    pub fn site(site: Site, workers: usize) -> Self {
        let rates_host = (site.pages != site.rates).then(|| Host::new(workers));
        Source {
            rates_host,
            ..Source::new(Backend::Site(site), workers)
        }
    }

    pub fn archive(archives: Archives, workers: usize) -> Self {
        Source::new(Backend::Archive(archives), workers)
    }

    fn new(backend: Backend, workers: usize) -> Self {
        Source {
            backend,
            pages_host: Host::new(workers),
            rates_host: None,
            list: None,
            retries: Retries::default(),
            runs: 1,
            request_limit: None,
        }
    }

    /// Returns the page of a path; any status but 200 is an error, except for robots.txt. `buffer` returns
    /// a buffer for the body. The lane must know the path already. Blocks while the throttle or a robots.txt
    /// not yet known holds the request back.
    pub fn get(
        &self,
        request: Request,
        mut buffer: impl FnMut() -> Vec<u8>,
        lane: &mut Lane,
    ) -> Result<Page, PageError> {
        let page = match &self.backend {
            Backend::Site(site) => match site.take_from_journal(request, lane) {
                Some(page) => page,
                None => {
                    let requested = self.request(site, request, &mut buffer, lane);
                    requested.map_err(|error| self.host_has_ended(self.host(request), error))?
                }
            },
            Backend::Archive(archives) => self.look_up(archives, request, buffer, lane)?,
        };
        if request.purpose.policy().requires_status_200 {
            return page.require_status_200();
        }
        Ok(page)
    }

    fn look_up(
        &self,
        archives: &Archives,
        request: Request,
        buffer: impl FnOnce() -> Vec<u8>,
        lane: &mut Lane,
    ) -> Result<Page, PageError> {
        let _permit = self.throttle(request).acquire()?;
        let started = Instant::now();
        // As this program records it. An archive finds other spellings too.
        let path = &paths::encoded(request.path);
        let result = match request.purpose {
            Purpose::Recheck => archives.get_second_look(path, buffer()),
            Purpose::Company => archives.get_company(path, buffer()),
            _ => archives.get(path, buffer()),
        };
        lane.counters.requests.add(1);
        record(lane, started, &result);
        let page = result?;
        lane.counters.bytes_wire.add(page.body.len() as u64);
        Ok(page)
    }

    /// Keeps the second look at an index page in the journal, if there is one.
    pub fn keep_second_look(&self, path: &str, page: &Page) {
        if let Backend::Site(site) = &self.backend
            && let Some(journal) = &site.journal
        {
            journal.keep(&site.address(path), page, Keep::SecondLook);
        }
    }

    /// Takes one request off the limit. Fails if none is left.
    fn count_request(&self) -> Result<(), PageError> {
        match &self.request_limit {
            Some(limit) => limit.take(),
            None => Ok(()),
        }
    }

    /// Counts a failed attempt at a page. Returns the delay before the next attempt, or `None` to give
    /// up. Archives are never retried: a second read gives the same result.
    ///
    /// If the response was that of another request, no connection is used again. The next attempt gets a
    /// new one.
    pub fn delay_before_retry(
        &self,
        request: Request,
        attempts: &mut Attempts,
        error: &PageError,
    ) -> Option<Duration> {
        let host = self.host(request);
        // No later attempt is sent to a host that allows nothing.
        if self.as_archive().is_some() || host.robots.is_unavailable() {
            return None;
        }
        if error.reason == Reason::OtherPage {
            self.retire_connections();
        }
        if self.request_limit.is_some() {
            return None;
        }
        let limit = request.purpose.policy().max_attempts;
        let retries = match request.host {
            Some(host) => &host.retries,
            None => &self.retries,
        };
        retries.next_delay(request.path, limit, attempts, error)
    }

    /// Closes each open connection once its request, if one is under way, has ended.
    pub fn retire_connections(&self) {
        if let Backend::Site(site) = &self.backend {
            site.client.retire_connections();
        }
    }

    /// Sends at most so many requests per second to the host of the pages, together with the other
    /// [`runs`](Self::runs).
    pub fn limit_rate(&self, rps: f64) {
        let interval = Duration::from_secs_f64(1.0 / rps) * self.runs;
        self.pages_host.throttle.space_requests(interval);
    }

    /// The throttle that a request passes.
    pub fn throttle<'a>(&'a self, request: Request<'a>) -> &'a Throttle {
        &self.host(request).throttle
    }

    fn host<'a>(&'a self, request: Request<'a>) -> &'a Host {
        match (request.host, request.purpose, &self.rates_host) {
            (Some(host), ..) => host,
            (None, Purpose::Rates, Some(host)) => host,
            _ => &self.pages_host,
        }
    }

    /// Why the run was cancelled, if it was.
    pub fn cause(&self) -> Option<Cause> {
        self.pages_host.throttle.cause()
    }

    /// A channel that disconnects when the run is cancelled.
    pub fn cancellation(&self) -> Receiver<Infallible> {
        self.pages_host.throttle.cancellation()
    }

    /// Cancels the run: rejects all later requests and aborts those under way. The first cause stays.
    pub fn cancel(&self, cause: Cause) {
        // First, because it tells the end of the run from that of another host.
        self.pages_host.throttle.cancel(cause.clone());
        if let Some(list) = &self.list {
            list.hosts.cancel(&cause);
        }
        if let Some(host) = &self.rates_host {
            host.throttle.cancel(cause);
        }
        if let Backend::Site(site) = &self.backend {
            site.client.shut_down();
        }
    }

    /// The address of a path: a URL of the site, or `FILE#PATH` for an archive, whose name stands for all.
    pub fn address(&self, path: &str) -> String {
        match &self.backend {
            Backend::Site(site) => site.address(path),
            Backend::Archive(archives) => format!("{}#{path}", archives.name()),
        }
    }

    /// What precedes the paths of company pages in their addresses.
    pub fn bases(&self) -> Bases {
        match &self.backend {
            Backend::Site(site) => Bases::of_all(site.pages.clone()),
            Backend::Archive(archives) => archives.bases(),
        }
    }

    /// The archives, if the pages come from one or several.
    pub fn as_archive(&self) -> Option<&Archives> {
        match &self.backend {
            Backend::Archive(archives) => Some(archives),
            Backend::Site(_) => None,
        }
    }

    /// Why the archive is only partly readable, or why the journal could not be written. `None` if
    /// neither happened.
    pub fn warning(&self) -> Option<String> {
        match &self.backend {
            Backend::Site(site) => site.journal.as_ref()?.failure(),
            Backend::Archive(archives) => archives.damage(),
        }
    }

    /// Why the archive is only partly readable, if the pages come from one.
    pub fn archive_damage(&self) -> Option<String> {
        self.as_archive()?.damage()
    }

    /// A sentence about damaged pages of the interrupted run that this one resumes, if there are any.
    pub fn journal_damage(&self) -> Option<String> {
        match &self.backend {
            Backend::Site(site) => site.journal.as_ref()?.damage(),
            Backend::Archive(_) => None,
        }
    }

    /// Takes the journal, if the run has one. No request may follow.
    pub fn take_journal(&mut self) -> Option<Journal> {
        match &mut self.backend {
            Backend::Site(site) => site.journal.take(),
            Backend::Archive(_) => None,
        }
    }
}

impl RequestLimit {
    pub fn new(requests: u32) -> Self {
        RequestLimit(AtomicU32::new(requests))
    }

    fn take(&self) -> Result<(), PageError> {
        let one_less = |left: u32| left.checked_sub(1);
        let taken = self.0.fetch_update(Relaxed, Relaxed, one_less);
        taken.map(|_| ()).map_err(|_| {
            let detail = "no request is left, because redirects count too";
            PageError::new(Reason::Stopped, detail)
        })
    }
}

impl Site {
    /// The address of a path as it is sent: percent-encoded.
    fn address(&self, path: &str) -> String {
        format!("{}{}", self.base(path), paths::encoded(path))
    }

    /// Scheme, host and port of the server that a path belongs to.
    fn base(&self, path: &str) -> &str {
        if paths::is_rates(path) {
            &self.rates
        } else {
            &self.pages
        }
    }

    /// Takes the page from the journal of an interrupted run. `None` if the journal does not have it or
    /// the request is not resumable.
    fn take_from_journal(&self, request: Request, lane: &Lane) -> Option<Page> {
        let journal = self.journal.as_ref()?;
        if !request.purpose.policy().resumable {
            return None;
        }
        let page = journal.take(&paths::encoded(request.path))?;
        lane.counters.resumed.add(1);
        Some(page)
    }
}

fn record(lane: &mut Lane, started: Instant, result: &Result<Page, PageError>) {
    match result {
        Ok(page) => lane.record_response(started, page.waited, page.elapsed),
        Err(_) => lane.record_failure(started),
    }
}
