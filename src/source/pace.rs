//! The pace of requests to a host of a list that refuses some with 429, or with 503, and does not say how long
//! to wait.
//!
//! Each refusal doubles the time between two requests, each success shortens it by a hundredth. So the pace
//! settles around what the host allows, like the window of TCP (RFC 5681): slower at once, faster bit by bit.

use std::time::{Duration, Instant};

/// The time between two requests after the first refusal.
const FIRST_INTERVAL: Duration = Duration::from_millis(10);
/// A shorter time between two requests counts as none.
const MIN_INTERVAL: Duration = Duration::from_millis(1);
const MAX_INTERVAL: Duration = Duration::from_secs(10);
/// A 503 without a success in this time before it means that the host is out of order.
const RECENTLY: Duration = Duration::from_secs(5);

/// The pace of one host. The throttle holds it under its lock and passes the time in.
#[derive(Debug, Default)]
pub struct Pace {
    /// The minimum time between two requests; zero for any pace.
    pub interval: Duration,
    /// When the interval was doubled last.
    slowed: Option<Instant>,
    succeeded: Option<Instant>,
}

impl Pace {
    /// Slows down after the refusal of a request that was sent at `sent`. A request that was sent before the
    /// last time does not count: it went at the pace of before. Returns whether the refusal is about the pace:
    /// the host has served requests recently.
    pub fn slow_down(&mut self, sent: Instant, now: Instant) -> bool {
        if self.slowed.is_none_or(|slowed| slowed <= sent) {
            let doubled = (2 * self.interval).clamp(FIRST_INTERVAL, MAX_INTERVAL);
            self.interval = doubled;
            self.slowed = Some(now);
        }
        let recently = RECENTLY.max(8 * self.interval);
        self.succeeded
            .is_some_and(|succeeded| now - succeeded <= recently)
    }

    /// Speeds up a little after a success.
    pub fn speed_up(&mut self, now: Instant) {
        self.succeeded = Some(now);
        self.interval -= self.interval / 100;
        if self.interval < MIN_INTERVAL {
            self.interval = Duration::ZERO;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A host that allows 50 requests per second and refuses each that comes earlier: how long 200 pages take,
    /// and how many requests, with eight under way at a time.
    #[test]
    fn settles_at_the_pace_of_the_host() {
        let start = Instant::now();
        let (mut pace, mut now, mut free_at) = (Pace::default(), start, start);
        let (mut pages, mut requests) = (0, 0);
        while pages < 200 {
            let sent = now;
            requests += 1;
            if now >= free_at {
                free_at = now + Duration::from_millis(20);
                pages += 1;
                pace.speed_up(now);
            } else {
                assert!(pace.slow_down(sent, now), "it has served one recently");
            }
            now += pace.interval.max(Duration::from_micros(300));
        }
        let took = now - start;
        assert!(took < Duration::from_secs(10), "{took:?}");
        assert!(requests < 300, "{requests}");
    }

    #[test]
    fn refusals_at_once_slow_down_once() {
        let sent = Instant::now();
        let mut pace = Pace::default();
        assert!(
            !pace.slow_down(sent, sent + Duration::from_millis(1)),
            "never a success"
        );
        for _ in 0..7 {
            pace.slow_down(sent, sent + Duration::from_millis(2));
        }
        assert_eq!(pace.interval, FIRST_INTERVAL);
        let later = sent + Duration::from_secs(1);
        pace.slow_down(later, later);
        assert_eq!(pace.interval, 2 * FIRST_INTERVAL);
        for second in 0..20 {
            let later = later + Duration::from_secs(second);
            pace.slow_down(later, later);
        }
        assert_eq!(pace.interval, MAX_INTERVAL);
    }

    #[test]
    fn a_host_that_has_stopped_serving_is_out_of_order() {
        let start = Instant::now();
        let mut pace = Pace::default();
        pace.speed_up(start);
        let soon = start + Duration::from_secs(1);
        assert!(pace.slow_down(soon, soon));
        let late = start + Duration::from_secs(6);
        assert!(!pace.slow_down(late, late));
    }
}
