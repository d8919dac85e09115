//! Where pages come from, a site or an archive, and when they may be requested.
//! Sending one request is in `http`, the archive format in `warc`, the order of the requests in `pipeline`.
//! How several archives answer is in `archives`, which addresses a shard requests in `shard`.
//! Another retry rule goes into `retry`; a rule for one kind of request (attempts, size, robots.txt, journal) into `purpose`; another limit on all requests into `throttle`, another rule about `Retry-After` and 429 into `pauses`, another one about refusals into `refusals`, what the hosts of a list have in common into `hosts`.

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
pub mod shard;
pub mod throttle;

use std::convert::Infallible;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use crate::http::client::{Client, Get};
use crate::http::error::{PageError, Reason};
use crate::http::page::Page;
use crate::site::paths;
use crate::source::archives::{Archives, Bases};
use crate::source::host::Host;
use crate::source::hosts::Hosts;
use crate::source::pauses::Pause;
use crate::source::purpose::{Purpose, Request};
use crate::source::retry::{Attempts, Retries};
use crate::source::throttle::{Cause, PauseResponse, Permit, Throttle};
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
    /// How many runs share the sites, this one included: each shard of a job is one. A crawl delay is for
    /// all of them together.
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

/// What a site answers to one request.
#[expect(clippy::large_enum_variant, reason = "an answer is moved once")]
enum Answer {
    Page(Page),
    /// It asks for a pause. Its request may go first after the pause if `goes_first`.
    Pause {
        error: PageError,
        goes_first: bool,
    },
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

    /// Requests a page from the site, as soon as robots.txt and the throttle allow it.
    ///
    /// A company page whose first response begins a pause is requested again right after it. All others
    /// wait for the response to that, so one thread waits with its page.
    fn request(
        &self,
        site: &Site,
        request: Request,
        mut buffer: impl FnMut() -> Vec<u8>,
        lane: &mut Lane,
    ) -> Result<Page, PageError> {
        let host = self.host(request);
        self.allow(request, host, request.path, lane.counters)?;
        let permit = host.throttle.acquire()?;
        let mut answer = self.send(site, request, permit, &mut buffer, lane)?;
        let may_go_first = matches!(request.purpose, Purpose::Company | Purpose::Listed)
            && !request.is_retry
            && self.request_limit.is_none();
        if matches!(answer, Answer::Pause { goes_first, .. } if goes_first && may_go_first) {
            let permit = host.throttle.acquire_first()?;
            lane.counters.retries.add(1);
            answer = self.send(site, request, permit, &mut buffer, lane)?;
        }
        match answer {
            Answer::Page(page) => Ok(page),
            Answer::Pause { error, .. } => Err(error),
        }
    }

    /// Sends one request to the site.
    fn send(
        &self,
        site: &Site,
        request: Request,
        permit: Permit,
        buffer: impl FnOnce() -> Vec<u8>,
        lane: &mut Lane,
    ) -> Result<Answer, PageError> {
        let policy = request.purpose.policy();
        if request.needs_new_connection {
            site.client.retire_connections();
        }
        self.count_request()?;
        self.take_turn_of_run(request)?;
        let started = Instant::now();
        let address = site.address(request.path);
        let counters = lane.counters;
        let may_send = |address: &str| {
            self.allow_further(request, address, counters)?;
            permit.acquire_again()?;
            self.count_request()
        };
        let get = Get {
            address: &address,
            limits: policy.limits,
            sink: request.sink,
        };
        let result = site.client.get(get, buffer, counters, may_send);
        record(lane, started, &result);
        // Cancelling aborts the requests under way. Their failures say nothing about the page, and an
        // aborted body may look complete.
        if self.cause().is_some() {
            return Err(throttle::cancelled());
        }
        let page = result?;
        let pause = pauses::asked_for(&page, self.retries.first_delay());
        if let Some(host) = request.host
            && adjust_pace(&host.throttle, &page, pause, started)
        {
            let detail = format!("HTTP status {}, at this pace", page.status);
            return Err(PageError::new(Reason::Postponed, detail));
        }
        let pause = pause.filter(|_| policy.pauses_host);
        let base = site.base(request.path);
        let site_address = request.host.map_or(base, |host| &host.address);
        let status = page.status;
        // Before the permit is dropped, because that may release the next request.
        let goes_first = pause.is_some_and(|pause| {
            let response = PauseResponse {
                site: site_address,
                status,
                pause,
            };
            permit.pause(response, lane)
        });
        if pause.is_none() && !retry::is_transient(Reason::of_status(status)) {
            permit.succeed();
        }
        drop(permit);
        if let (Some(journal), true) = (&site.journal, policy.keep != Keep::Nothing) {
            journal.keep(&address, &page, policy.keep);
        }
        let Some(pause) = pause else {
            return Ok(Answer::Page(page));
        };
        let error = postponed(status, pause);
        Ok(Answer::Pause { error, goes_first })
    }

    /// Fails if robots.txt forbids a further request, such as a redirect. Waits for the turn of one to another
    /// host of a list, but not for a place there: two hosts whose requests lead to each other would wait for
    /// ever.
    fn allow_further(
        &self,
        request: Request,
        address: &str,
        counters: &Counters,
    ) -> Result<(), PageError> {
        let (Some(list), Some(host)) = (&self.list, request.host) else {
            return self.allow(request, self.host(request), address, counters);
        };
        let target = list.hosts.of(address);
        self.allow(request, &target, address, counters)?;
        if target.address != host.address {
            let turn = target.throttle.acquire_beyond_limit();
            drop(turn.map_err(|error| self.host_has_ended(&target, error))?);
        }
        self.take_turn_of_run(request)
    }

    /// Waits until the rate limit of the run allows a request of a list. It keeps no place: on the way to its
    /// page, a request may wait for those to other hosts.
    fn take_turn_of_run(&self, request: Request) -> Result<(), PageError> {
        match request.host {
            Some(_) => self.pages_host.throttle.acquire().map(drop),
            None => Ok(()),
        }
    }

    /// Fails if the robots.txt of the host forbids the request of a path or an address. Waits until the rules
    /// are known; the first request to a host of a list fetches them.
    fn allow(
        &self,
        request: Request,
        host: &Host,
        address: &str,
        counters: &Counters,
    ) -> Result<(), PageError> {
        if !request.purpose.policy().obeys_robots {
            return Ok(());
        }
        if let Some(list) = &self.list
            && host.robots.is_first()
        {
            (list.fetch_rules)(self, host, counters);
        }
        host.robots.check(paths::of_address(address))
    }

    /// The error of a request that was rejected because its host, and not the run, has been given up.
    fn host_has_ended(&self, host: &Host, error: PageError) -> PageError {
        if error.reason != Reason::Stopped || self.cause().is_some() {
            return error;
        }
        match host.throttle.cause() {
            Some(cause) => PageError::new(Reason::Blocked, cause.to_string()),
            None => error,
        }
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

/// Adjusts the pace of a host to a response: slower after a refusal that does not say how long to wait.
/// Returns whether that is a refusal because of the pace.
fn adjust_pace(throttle: &Throttle, page: &Page, pause: Option<Pause>, sent: Instant) -> bool {
    match (page.status, pause) {
        (_, Some(Pause::Stated(_))) => false,
        (429 | 503, _) => throttle.slow_down(sent),
        (status, _) => {
            if !retry::is_transient(Reason::of_status(status)) {
                throttle.speed_up();
            }
            false
        }
    }
}

/// The error of a page whose response asks for a pause.
fn postponed(status: u16, pause: Pause) -> PageError {
    let detail = match pause {
        Pause::Stated(pause) => {
            let seconds = pause.as_secs();
            format!("HTTP status {status}, with a Retry-After of {seconds} s")
        }
        Pause::Unstated(_) => format!("HTTP status {status}, without a Retry-After"),
    };
    PageError::new(Reason::Postponed, detail)
}

fn record(lane: &mut Lane, started: Instant, result: &Result<Page, PageError>) {
    match result {
        Ok(page) => lane.record_response(started, page.waited, page.elapsed),
        Err(_) => lane.record_failure(started),
    }
}
