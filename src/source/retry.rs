//! What is worth another try, how often, and after which pause.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};

use crate::http::page::{PageError, Reason};

/// Attempts at one address, the first included.
const MAX_ATTEMPTS: u32 = 4;
/// What is no HTTP is seldom any better the next time.
const MAX_ATTEMPTS_AT_NO_HTTP: u32 = 2;
/// How often a page is put off because the site asks for it. That is no failure, but a site that
/// asks for ever must not hold a run for ever.
const MAX_POSTPONED: u32 = 10;
pub const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The longest pause that a site may ask for.
pub const LONGEST_ASKED: Duration = Duration::from_secs(120);
/// Never fewer repetitions than this are allowed.
const LEAST_BUDGET: u64 = 20;

/// How often an address is asked for that fails in this way: once if the failure does not pass by
/// itself.
pub fn attempts(reason: Reason) -> u32 {
    use Reason::*;
    match reason {
        Unreachable | Timeout | Broken | Truncated | Busy | BadEncoding => MAX_ATTEMPTS,
        Protocol => MAX_ATTEMPTS_AT_NO_HTTP,
        _ => 1,
    }
}

/// Attempts at one page so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Attempts {
    pub made: u32,
    postponed: u32,
}

/// The policy of a run, and what it has spent of its budget.
#[derive(Debug)]
pub struct Retries {
    /// Of the pauses' jitter: a page's pauses depend on it, the path and the attempt alone.
    seed: u64,
    first_pause: Duration,
    /// Companies whose pages the run will ask for, as far as is known.
    planned: AtomicU64,
    spent: AtomicU64,
}

impl Default for Retries {
    fn default() -> Self {
        Retries::new(fastrand::u64(..), FIRST_PAUSE)
    }
}

impl Retries {
    pub fn new(seed: u64, first_pause: Duration) -> Self {
        Retries {
            seed,
            first_pause,
            planned: AtomicU64::new(0),
            spent: AtomicU64::new(0),
        }
    }

    /// More addresses are known that will be asked for.
    pub fn plan(&self, requests: usize) {
        self.planned.fetch_add(requests as u64, Relaxed);
    }

    /// How many requests of the run may be repeated: a quarter of all, and never fewer than twenty. A
    /// site that fails more than that is not helped by asking again.
    ///
    /// With a fifth, runs in which a fifth of the requests failed lost some companies in two cases of
    /// twenty, for some fail more than once.
    pub fn budget(&self) -> u64 {
        // Of 400 requests 100 are repetitions, where 300 were planned.
        (self.planned.load(Relaxed) / 3).max(LEAST_BUDGET)
    }

    pub fn spent(&self) -> u64 {
        self.spent.load(Relaxed)
    }

    /// After which pause a page is asked for once more that failed like this; none if it is not.
    pub fn pause(&self, path: &str, tried: &mut Attempts, error: &PageError) -> Option<Duration> {
        if error.reason == Reason::Postponed && tried.postponed < MAX_POSTPONED {
            tried.postponed += 1;
            // The gate holds it back as long as the site has asked for.
            return Some(Duration::ZERO);
        }
        tried.made += 1;
        let reason = match error.reason {
            Reason::Postponed => Reason::Busy,
            reason => reason,
        };
        if tried.made >= attempts(reason) || !self.spend() {
            return None;
        }
        Some(self.jitter(path, tried.made))
    }

    fn spend(&self) -> bool {
        let budget = self.budget();
        let more = |spent| (spent < budget).then_some(spent + 1);
        self.spent.fetch_update(Relaxed, Relaxed, more).is_ok()
    }

    /// Anything from nothing to 0.5 s · 2ⁿ⁻¹ after n attempts, 30 s at the most ("full jitter",
    /// <https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/>).
    fn jitter(&self, path: &str, attempts: u32) -> Duration {
        let longest = self
            .first_pause
            .saturating_mul(1 << attempts.saturating_sub(1).min(16))
            .min(LONGEST_PAUSE);
        let mut hasher = DefaultHasher::new();
        (self.seed, path, attempts).hash(&mut hasher);
        longest.mul_f64(fastrand::Rng::with_seed(hasher.finish()).f64())
    }
}

/// How long a site asks to be left alone, by `Retry-After` in seconds or as any HTTP date
/// (RFC 9110, 10.2.3); none where it does not say, says nonsense, or names a time that is over.
///
/// A date is compared with the answer's own `Date`, where it has one: the site's clock may not be
/// ours.
pub fn asked_pause(headers: &HeaderMap) -> Option<Duration> {
    let asked = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let pause = if !asked.is_empty() && asked.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are more seconds than anybody waits.
        Duration::from_secs(asked.parse().unwrap_or(u64::MAX))
    } else {
        let date = |text| httpdate::parse_http_date(text).ok();
        let now = headers.get(DATE).and_then(|now| date(now.to_str().ok()?));
        let now = now.unwrap_or_else(SystemTime::now);
        date(asked)?.duration_since(now).ok()?
    };
    Some(pause).filter(|pause| !pause.is_zero())
}
