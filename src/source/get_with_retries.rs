//! Fetches a page on the calling thread, which sleeps before each retry.
//!
//! Index and company pages are retried by the pipeline instead, which blocks no thread between
//! attempts.

use std::borrow::Cow;

use crate::http::decode::{self, Inflater};
use crate::http::error::{PageError, Reason, catch_panic};
use crate::http::page::Page;
use crate::site::paths;
use crate::site::robots::{self, Rules};
use crate::source::Source;
use crate::source::host::Host;
use crate::source::pauses::MAX_RETRY_AFTER;
use crate::source::purpose::{Purpose, Request};
use crate::source::retry::{self, Attempts};
use crate::telemetry::counters::Counters;
use crate::telemetry::lane::Lane;
use crate::telemetry::trace::Label;

/// Fetches a page and parses it, with as many attempts as the policy of its purpose allows. A page
/// that fails to parse is retried like a failed request.
pub fn get_with_retries<T>(
    source: &Source,
    request: Request,
    lane: &mut Lane,
    mut parse: impl FnMut(Page, &mut Lane) -> Result<T, PageError>,
) -> Result<T, PageError> {
    let mut attempts = Attempts::default();
    lane.set_path(request.path);
    loop {
        let page = source.get(request.after(attempts), Vec::new, lane);
        let from_journal = page.as_ref().is_ok_and(|page| page.from_journal);
        let parsed = page.and_then(|page| catch_panic("parsing", || parse(page, lane)));
        match parsed {
            // The journal gives each page once, so the next attempt sends a request.
            Err(_) if from_journal => {}
            Err(error) => match source.delay_before_retry(request, &mut attempts, &error) {
                Some(delay) => {
                    source.throttle(request).sleep(delay);
                    lane.counters.retries.add(1);
                }
                None => return Err(error),
            },
            parsed => return parsed,
        }
    }
}

/// Fetches robots.txt and applies its crawl delay, unless the run ignores it. Requests to its host block
/// until this is done.
pub fn fetch_robots(source: &Source, user_agent: &str, counters: &Counters) {
    let host = &source.pages_host;
    if !host.robots.is_wanted() {
        return;
    }
    let request = Request::new(Purpose::Robots, paths::ROBOTS);
    let rules = usable_rules(source, request, user_agent, counters);
    // robots.txt and the list of rates name no address: a surplus copy of it would be taken for the list.
    source.retire_connections();
    host.robots.set(rules);
}

/// Fetches the robots.txt of a host of a list and applies its crawl delay. Requests to the host block until
/// this is done.
pub fn fetch_robots_of(source: &Source, host: &Host, counters: &Counters) {
    let list = source.list.as_ref();
    let user_agent = list.and_then(|list| list.hosts.user_agent.as_deref());
    let address = format!("{}{}", host.address, paths::ROBOTS);
    let request = Request {
        host: Some(host),
        ..Request::new(Purpose::Robots, &address)
    };
    let rules = usable_rules(source, request, user_agent.unwrap_or_default(), counters);
    host.robots.set(rules);
}

/// Fetches robots.txt and applies its crawl delay to its host.
fn usable_rules(
    source: &Source,
    request: Request,
    user_agent: &str,
    counters: &Counters,
) -> Result<Rules, PageError> {
    // Other threads block until the rules are set, so they must be set even after a panic.
    catch_panic("fetching", || {
        let rules = request_rules(source, request, user_agent, counters)?;
        if let Some(delay) = rules.crawl_delay() {
            if delay > MAX_RETRY_AFTER {
                let detail = format!(
                    "it demands at least {} s between requests, more than the {} s that indexrank accepts",
                    delay.as_secs(),
                    MAX_RETRY_AFTER.as_secs()
                );
                return Err(PageError::new(Reason::Robots, detail));
            }
            // The delay must apply before the rules are set, because that releases blocked requests.
            let interval = delay * source.runs;
            counters.crawl_delay_ms.set(interval.as_millis() as u64);
            source.throttle(request).space_requests(interval);
        }
        Ok(rules)
    })
}

/// A robots.txt that is not there allows everything: a status of 400 to 499 except the transient ones, more
/// than five redirects, or one without a usable address (RFC 9309, 2.3.1.2 and 2.3.1.3). A status of 500
/// and above allows nothing (2.3.1.4), whatever its page says.
fn request_rules(
    source: &Source,
    request: Request,
    user_agent: &str,
    counters: &Counters,
) -> Result<Rules, PageError> {
    let lane = &mut counters.lane(Label::Rules);
    get_with_retries(source, request, lane, |page, lane| {
        let status = page.status;
        let page = match page.require_status_200() {
            Ok(page) => page,
            Err(error) if status < 500 && !retry::is_transient(error.reason) => {
                return Ok(Rules::allow_all());
            }
            Err(error) => return Err(error),
        };
        let mut inflater = Inflater::default();
        // A body that was cut, or inflates to more than the inflater takes, has rules in its first part.
        let text = page.inflate(&mut inflater).map(Cow::Borrowed);
        let text = text.or_else(|error| {
            let prefix = decode::gunzip_prefix(&page.body, robots::MAX_BYTES + 1);
            prefix.map(Cow::Owned).ok_or(error)
        })?;
        page.check_identity(&text, lane.counters)?;
        Ok(Rules::parse(&text, user_agent))
    })
}
