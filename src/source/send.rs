//! Sends one request to a site: when robots.txt and the throttles allow it, and what its response changes.

use std::time::Instant;

use crate::http::client::Get;
use crate::http::error::{PageError, Reason};
use crate::http::page::Page;
use crate::site::paths;
use crate::source::host::Host;
use crate::source::pauses::{self, Pause};
use crate::source::purpose::{Purpose, Request};
use crate::source::throttle::{self, PauseResponse, Permit, Throttle};
use crate::source::{Site, Source, record, retry};
use crate::telemetry::counters::Counters;
use crate::telemetry::lane::Lane;
use crate::warc::journal::Keep;

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

impl Source {
    /// Requests a page from the site, as soon as robots.txt and the throttle allow it.
    ///
    /// A company page whose first response begins a pause is requested again right after it. All others
    /// wait for the response to that, so one thread waits with its page.
    pub(super) fn request(
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
    pub(super) fn host_has_ended(&self, host: &Host, error: PageError) -> PageError {
        if error.reason != Reason::Stopped || self.cause().is_some() {
            return error;
        }
        match host.throttle.cause() {
            Some(cause) => PageError::new(Reason::Blocked, cause.to_string()),
            None => error,
        }
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
