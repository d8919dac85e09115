//! The retry policy: which failures are retried, how often, and after which delay.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};

use crate::http::error::{PageError, Reason};
use crate::http::page::Page;
use crate::seeded;

/// Maximum number of attempts at one page, including the first.
pub const MAX_ATTEMPTS: u32 = 4;
/// A server that sends invalid HTTP seldom recovers, so it gets one retry.
const MAX_ATTEMPTS_AFTER_PROTOCOL_ERROR: u32 = 2;
/// Maximum number of times that `Retry-After` may postpone one page. That is not a failure, but a site
/// that always postpones must not keep a run going without end.
const MAX_POSTPONED: u32 = 10;
/// The longest delay before the second attempt; it doubles with every attempt.
pub const FIRST_DELAY: Duration = Duration::from_millis(500);
const MAX_DELAY: Duration = Duration::from_secs(30);
/// The longest pause or crawl delay that a run obeys. A longer one ends it.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(120);
/// The first pause after a 429 without `Retry-After`, in delays before the second attempt at a page: 5 s.
const UNSTATED_PAUSE: u32 = 10;
/// Minimum of the retry budget, for small indices.
const MIN_BUDGET: u64 = 20;

/// Attempts allowed at a page that fails for this reason: 1 if the failure is not transient.
pub fn max_attempts(reason: Reason) -> u32 {
    use Reason::*;
    match reason {
        Unreachable | Proxy | TooManyFiles | Timeout | Broken | Truncated | Busy | BadEncoding
        | OtherPage => MAX_ATTEMPTS,
        Protocol => MAX_ATTEMPTS_AFTER_PROTOCOL_ERROR,
        _ => 1,
    }
}

/// Whether a later attempt may succeed.
pub fn is_transient(reason: Reason) -> bool {
    max_attempts(reason) > 1
}

/// The attempts at one page so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Attempts {
    /// Attempts that failed.
    pub made: u32,
    /// Times that `Retry-After` postponed the page. These do not count as attempts.
    postponed: u32,
    /// Whether the last response was another page, so that the next attempt needs a connection that
    /// has carried no other request.
    pub got_other_page: bool,
}

impl Attempts {
    /// Whether the page has been requested before.
    pub fn is_retry(&self) -> bool {
        self.made + self.postponed > 0
    }
}

/// The retries of a run: their budget and their delays.
#[derive(Debug)]
pub struct Retries {
    /// Seed of the jitter. A delay depends on the seed, the path and the attempt alone.
    seed: u64,
    first_delay: Duration,
    /// First attempts [announced](Retries::plan) so far: one for each listed company.
    planned: AtomicU64,
    /// Retries charged to the budget so far.
    spent: AtomicU64,
}

impl Default for Retries {
    fn default() -> Self {
        Retries::new(fastrand::u64(..), FIRST_DELAY)
    }
}

impl Retries {
    pub fn new(seed: u64, first_delay: Duration) -> Self {
        Retries {
            seed,
            first_delay,
            planned: AtomicU64::new(0),
            spent: AtomicU64::new(0),
        }
    }

    /// Announces `requests` first attempts; the retry budget grows with them.
    pub fn plan(&self, requests: usize) {
        self.planned.fetch_add(requests as u64, Relaxed);
    }

    /// Maximum number of retries: a quarter of all requests, and at least 20. More retries would
    /// not help a site that fails this often.
    ///
    /// With a fifth instead, runs in which a fifth of the requests failed lost companies in two of
    /// twenty cases, because some pages fail more than once.
    pub fn budget(&self) -> u64 {
        // planned ÷ 3 retries are a quarter of planned + retries: 300 + 100.
        (self.planned.load(Relaxed) / 3).max(MIN_BUDGET)
    }

    pub fn spent(&self) -> u64 {
        self.spent.load(Relaxed)
    }

    /// Counts a failed attempt. Returns the delay before the next attempt, or `None` to give up: the
    /// failure is not transient, `limit` attempts have been made, or the budget is spent.
    pub fn next_delay(
        &self,
        path: &str,
        limit: u32,
        attempts: &mut Attempts,
        error: &PageError,
    ) -> Option<Duration> {
        attempts.got_other_page = error.reason == Reason::OtherPage;
        if error.reason == Reason::Postponed && attempts.postponed < MAX_POSTPONED {
            attempts.postponed += 1;
            // The throttle pauses the host for as long as the site has asked.
            return Some(Duration::ZERO);
        }
        attempts.made += 1;
        let reason = match error.reason {
            Reason::Postponed => Reason::Busy,
            reason => reason,
        };
        if attempts.made >= max_attempts(reason).min(limit) || !self.spend() {
            return None;
        }
        Some(self.jitter(path, attempts.made))
    }

    /// The pause that a page asks for: with status 429, or with status 503 and `Retry-After`.
    pub fn pause(&self, page: &Page) -> Option<Pause> {
        let stated = retry_after(&page.headers).map(Pause::Stated);
        match page.status {
            429 => stated.or(Some(Pause::Unstated(self.first_delay * UNSTATED_PAUSE))),
            503 => stated,
            _ => None,
        }
    }

    fn spend(&self) -> bool {
        let budget = self.budget();
        let next = |spent| (spent < budget).then_some(spent + 1);
        self.spent.fetch_update(Relaxed, Relaxed, next).is_ok()
    }

    /// A delay between zero and 0.5 s · 2ⁿ⁻¹ after n attempts, at most 30 s ("full jitter",
    /// <https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/>).
    fn jitter(&self, path: &str, attempts: u32) -> Duration {
        let longest = self
            .first_delay
            .saturating_mul(1 << attempts.saturating_sub(1).min(16))
            .min(MAX_DELAY);
        longest.mul_f64(seeded::share((self.seed, path, attempts)))
    }
}

/// A pause that a response asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// As long as `Retry-After` says.
    Stated(Duration),
    /// A 429 (too many requests) does not say how long. The first such pause is this long.
    Unstated(Duration),
}

/// The pause that a response asks for with `Retry-After`, in seconds or as any HTTP date
/// (RFC 9110, 10.2.3). `None` if the header is missing, malformed, or names a time in the past.
///
/// A date is compared with the `Date` of the response, if it has one: the clock of the site may
/// differ from ours.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let pause = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number that overflows is a longer pause than any run obeys.
        Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        let date = |text| httpdate::parse_http_date(text).ok();
        let now = headers.get(DATE).and_then(|now| date(now.to_str().ok()?));
        let now = now.unwrap_or_else(SystemTime::now);
        date(value)?.duration_since(now).ok()?
    };
    Some(pause).filter(|pause| !pause.is_zero())
}
