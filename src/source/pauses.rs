//! The pauses that a host has asked for, with `Retry-After` or a 429, and which request ends one.
//!
//! After a pause, one request goes first, the probe. Its success releases all others. If the host asks
//! for another pause instead, only one request was sent for it. Without a probe, a host that refuses the
//! first request for each of 100 pages gets 100 pauses.

use std::time::{Duration, Instant, SystemTime};

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};

use crate::http::page::Page;

/// The longest pause or crawl delay that a run obeys. A longer one ends it.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(120);
/// The longest time that a host may be paused in all. A site that asks for more does not want to be
/// scraped now, and a run must not take hours without an end in sight.
pub const MAX_PAUSED: Duration = Duration::from_secs(600);
/// Cancel the run at this many 429s without `Retry-After` and without a success between them. The pauses
/// before are 5, 10, 20 and 40 s.
pub const MAX_UNSTATED: u32 = 5;
/// The first pause after a 429 without `Retry-After`, as a multiple of the longest delay before the second
/// attempt: 10 × 0.5 s. With it, a run waits 75 s in all before it gives up.
const FIRST_UNSTATED: u32 = 10;

/// A pause that a response asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// As long as `Retry-After` says.
    Stated(Duration),
    /// A 429 (too many requests) does not say how long. The first such pause is this long.
    Unstated(Duration),
}

/// The pauses of one host. The throttle holds them under its lock and passes the time in.
#[derive(Debug, Default)]
pub struct Pauses {
    phase: Phase,
    /// The end of the latest pause.
    until: Option<Instant>,
    /// The length of all pauses.
    total: Duration,
    /// Pauses of [unstated](Pause::Unstated) length since the last success.
    unstated: u32,
    /// Requests that wait and [go first](Turn::First) after the pause.
    first: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    #[default]
    Running,
    /// Requests wait for the end of a pause, and for the probe to be sent.
    Paused,
    /// The probe is under way.
    Probing,
}

/// What a waiting request is, which decides when it may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    New,
    /// Its response has begun the pause, so its success says most about the host.
    First,
    /// A further request of one under way, such as a redirect.
    Further,
    /// A further request of the probe.
    OfProbe,
}

/// Why the run is cancelled instead of paused.
#[derive(Debug, PartialEq, Eq)]
pub enum Excess {
    /// All pauses together are longer than [`MAX_PAUSED`].
    Time,
    /// There were [`MAX_UNSTATED`] 429s without a success between them.
    Number,
}

impl Pauses {
    /// Begins a pause, or extends the one in progress. Returns the time that this adds, if any. A pause of
    /// unstated length extends none: its request was sent before the pause began.
    pub fn begin(
        &mut self,
        pause: Pause,
        now: Instant,
    ) -> Result<Option<(Instant, Instant)>, Excess> {
        let from = self.until.map_or(now, |until| until.max(now));
        let pause = match pause {
            Pause::Stated(pause) => pause,
            Pause::Unstated(_) if from > now => return Ok(None),
            Pause::Unstated(first) => {
                self.unstated += 1;
                if self.unstated == MAX_UNSTATED {
                    return Err(Excess::Number);
                }
                first * (1 << (self.unstated - 1))
            }
        };
        let until = now + pause;
        if until <= from {
            return Ok(None);
        }
        self.total += until - from;
        if self.total > MAX_PAUSED {
            return Err(Excess::Time);
        }
        self.until = Some(until);
        if self.phase == Phase::Running {
            self.phase = Phase::Paused;
        }
        Ok(Some((from, until)))
    }

    /// Whether no request has to wait.
    pub fn is_running(&self) -> bool {
        self.phase == Phase::Running
    }

    /// How long a request has to wait; `Duration::MAX` if it waits for another request. `None` if it may be
    /// sent.
    pub fn wait_time(&self, turn: Turn, now: Instant) -> Option<Duration> {
        let until = self.until.unwrap_or(now);
        let left = until.saturating_duration_since(now);
        match (self.phase, turn) {
            (Phase::Running, _) => None,
            _ if !left.is_zero() => Some(left),
            (Phase::Paused, Turn::First) | (Phase::Probing, Turn::OfProbe) => None,
            (Phase::Paused, _) if self.first == 0 => None,
            (Phase::Paused | Phase::Probing, _) => Some(Duration::MAX),
        }
    }

    /// Counts a request that begins to wait.
    pub fn add_waiting(&mut self, turn: Turn) {
        self.first += usize::from(turn == Turn::First);
    }

    /// Counts a request that no longer waits.
    pub fn remove_waiting(&mut self, turn: Turn) {
        self.first -= usize::from(turn == Turn::First);
    }

    /// Marks a request as sent, once [`wait_time`](Self::wait_time) has returned `None`. The first one after
    /// a pause is the probe; returns whether this is it.
    pub fn send(&mut self) -> bool {
        let is_probe = self.phase == Phase::Paused;
        if is_probe {
            self.phase = Phase::Probing;
        }
        is_probe
    }

    /// Ends the probe. Its success releases all requests, unless a response to an earlier one has begun
    /// another pause. Otherwise the next request is the probe.
    pub fn end_probe(&mut self, is_success: bool, now: Instant) {
        if is_success {
            self.unstated = 0;
        }
        let is_paused = self.until.is_some_and(|until| now < until);
        self.phase = if is_success && !is_paused {
            Phase::Running
        } else {
            Phase::Paused
        };
    }
}

/// The pause that a page asks for: with status 429, or with status 503 and `Retry-After`. `first_delay` is
/// the longest delay before the second attempt at a page.
pub fn asked_for(page: &Page, first_delay: Duration) -> Option<Pause> {
    let stated = retry_after(&page.headers).map(Pause::Stated);
    match page.status {
        429 => stated.or(Some(Pause::Unstated(first_delay * FIRST_UNSTATED))),
        503 => stated,
        _ => None,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const STATED: Pause = Pause::Stated(SECOND);
    const UNSTATED: Pause = Pause::Unstated(SECOND);

    #[test]
    fn ten_responses_are_one_pause_and_one_probe_ends_it() {
        let (mut pauses, start) = (Pauses::default(), Instant::now());
        for response in 0..10 {
            let now = start + response * SECOND / 100;
            pauses.begin(STATED, now).unwrap();
        }
        assert_eq!(pauses.total, SECOND + 9 * SECOND / 100);
        let end = start + pauses.total;
        assert_eq!(
            pauses.wait_time(Turn::New, end - SECOND / 2),
            Some(SECOND / 2)
        );
        assert_eq!(pauses.wait_time(Turn::New, end), None);
        assert!(pauses.send());
        assert_eq!(pauses.wait_time(Turn::First, end), Some(Duration::MAX));
        pauses.end_probe(true, end);
        assert_eq!(pauses.wait_time(Turn::New, end), None);
        assert!(pauses.is_running() && !pauses.send());
    }

    #[test]
    fn a_postponed_request_goes_before_new_ones() {
        let (mut pauses, start) = (Pauses::default(), Instant::now());
        pauses.begin(STATED, start).unwrap();
        pauses.add_waiting(Turn::First);
        let end = start + SECOND;
        assert_eq!(pauses.wait_time(Turn::New, end), Some(Duration::MAX));
        assert_eq!(pauses.wait_time(Turn::First, end), None);
        pauses.remove_waiting(Turn::First);
        assert_eq!(pauses.wait_time(Turn::New, end), None);
    }

    #[test]
    fn a_failed_probe_or_another_pause_keeps_requests_back() {
        let (mut pauses, start) = (Pauses::default(), Instant::now());
        pauses.begin(STATED, start).unwrap();
        let end = start + SECOND;
        assert!(pauses.send());
        pauses.end_probe(false, end);
        assert!(!pauses.is_running());
        assert!(pauses.send());
        // The late response to a request from before the pause.
        pauses.begin(STATED, end).unwrap();
        pauses.end_probe(true, end + SECOND / 2);
        assert_eq!(
            pauses.wait_time(Turn::New, end + SECOND / 2),
            Some(SECOND / 2)
        );
        assert!(pauses.send());
        pauses.end_probe(true, end + SECOND);
        assert!(pauses.is_running());
    }

    #[test]
    fn rejects_more_than_ten_minutes_of_pauses() {
        let (mut pauses, start) = (Pauses::default(), Instant::now());
        let pause = Duration::from_secs(100);
        for number in 0..6 {
            assert!(
                pauses
                    .begin(Pause::Stated(pause), start + number * pause)
                    .is_ok()
            );
        }
        assert_eq!(pauses.begin(STATED, start), Ok(None));
        assert_eq!(pauses.begin(STATED, start + 6 * pause), Err(Excess::Time));
    }

    #[test]
    fn pauses_of_unstated_length_double_until_a_success() {
        let (mut pauses, mut now) = (Pauses::default(), Instant::now());
        let fail = |pauses: &mut Pauses, now: &mut Instant, seconds: u32| {
            let end = *now + seconds * SECOND;
            assert_eq!(pauses.begin(UNSTATED, *now), Ok(Some((*now, end))));
            // The response to a request from before the pause.
            assert_eq!(pauses.begin(UNSTATED, end - SECOND / 2), Ok(None));
            *now = end;
            assert!(pauses.send());
        };
        for seconds in [1, 2, 4, 8] {
            fail(&mut pauses, &mut now, seconds);
            pauses.end_probe(false, now);
        }
        assert!(pauses.send());
        pauses.end_probe(true, now);
        for seconds in [1, 2, 4, 8] {
            fail(&mut pauses, &mut now, seconds);
            pauses.end_probe(false, now);
        }
        assert_eq!(pauses.begin(UNSTATED, now), Err(Excess::Number));
    }
}
