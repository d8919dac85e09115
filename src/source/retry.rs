//! The retry policy: which failures are retried, how often, and after which delay.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::http::error::{PageError, Reason};
use crate::seeded;

/// Maximum number of attempts at one page, including the first.
pub const MAX_ATTEMPTS: u32 = 4;
/// A server that sends invalid HTTP seldom recovers, so it gets one retry.
const MAX_ATTEMPTS_AFTER_PROTOCOL_ERROR: u32 = 2;
/// Maximum number of times that a 429, or a 503 with `Retry-After`, may postpone one page. That is not a
/// failure, but a site that always postpones must not keep a run going without end.
const MAX_POSTPONED: u32 = 10;
/// The longest delay before the second attempt; it doubles with every attempt.
pub const FIRST_DELAY: Duration = Duration::from_millis(500);
const MAX_DELAY: Duration = Duration::from_secs(30);
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
    /// Times that the page was postponed. These do not count as attempts.
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
    /// First attempts for each retry in the budget.
    planned_per_retry: u64,
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
            // planned ÷ 3 retries are a quarter of planned + retries: 300 + 100.
            planned_per_retry: 3,
        }
    }

    /// The retries of one host of a list. There may be one for each of its addresses: a run over a list goes
    /// on when one of its hosts fails this often.
    pub fn of_list_host() -> Self {
        Retries {
            planned_per_retry: 1,
            ..Retries::default()
        }
    }

    /// The longest delay before the second attempt at a page.
    pub fn first_delay(&self) -> Duration {
        self.first_delay
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
        (self.planned.load(Relaxed) / self.planned_per_retry).max(MIN_BUDGET)
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
            // The throttle pauses the host.
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
