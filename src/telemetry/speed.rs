//! Pages and bytes per second, over the last seconds of a run.

use std::collections::VecDeque;
use std::time::Duration;

/// The rates are those of the last five seconds, so single bursts and pauses hardly show.
const WINDOW: Duration = Duration::from_secs(5);
/// A slow run needs a longer window: one page more or less changes the rate by a tenth at most.
const MIN_PAGES: u64 = 10;
/// The longest window. A run that stands still shows 0 pages/s after this time.
const MAX_WINDOW: Duration = Duration::from_secs(60);
/// Before this time, a rate says nothing about the time left.
const MIN_WINDOW: Duration = Duration::from_secs(1);

/// The numbers at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sample {
    /// Since the start of the run.
    pub at: Duration,
    pub pages: u64,
    pub bytes: u64,
}

/// The samples of the last seconds, oldest first.
#[derive(Debug)]
pub struct Speed(VecDeque<Sample>);

/// The speed at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rates {
    pub pages_per_second: f64,
    pub bytes_per_second: f64,
    /// Whether the rates are those of at least a second.
    pub is_steady: bool,
}

impl Speed {
    pub fn new() -> Self {
        Speed(VecDeque::from([Sample::default()]))
    }

    /// Adds a sample and returns the rates. Samples may come at any interval.
    pub fn add(&mut self, now: Sample) -> Rates {
        let samples = &mut self.0;
        if now.pages == 0 {
            // The walk of the index before the first page would count as slowness.
            samples.clear();
        }
        samples.push_back(now);
        let is_too_old = |second: &Sample| {
            let age = now.at.saturating_sub(second.at);
            let pages = now.pages.saturating_sub(second.pages);
            age >= MAX_WINDOW || age >= WINDOW && pages >= MIN_PAGES
        };
        // The first sample is the start of the window, so it is dropped when the second can be.
        while samples.get(1).is_some_and(is_too_old) {
            samples.pop_front();
        }
        let first = samples.front().copied().unwrap_or(now);
        let window = now.at.saturating_sub(first.at);
        if window.is_zero() {
            return Rates::default();
        }
        let per_second = |number: u64| number as f64 / window.as_secs_f64();
        Rates {
            pages_per_second: per_second(now.pages.saturating_sub(first.pages)),
            bytes_per_second: per_second(now.bytes.saturating_sub(first.bytes)),
            is_steady: window >= MIN_WINDOW,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Samples every 100 ms; `pages` gives the number of pages after so many milliseconds.
    fn rates(pages: impl Fn(u64) -> u64, milliseconds: u64) -> Vec<f64> {
        let mut speed = Speed::new();
        let times = (100..=milliseconds).step_by(100);
        let sample = |at| Sample {
            at: Duration::from_millis(at),
            pages: pages(at),
            bytes: 0,
        };
        times
            .map(|at| speed.add(sample(at)).pages_per_second)
            .collect()
    }

    fn assert_between(rates: &[f64], min: f64, max: f64) {
        let is_between = rates.iter().all(|rate| (min..=max).contains(rate));
        assert!(is_between, "{rates:?}");
    }

    #[test]
    fn steady_load_has_a_steady_rate() {
        assert_between(&rates(|at| at / 50, 20_000)[50..], 19.7, 20.3);
        // 24 pages at once, every 1.2 seconds
        assert_between(&rates(|at| at / 1200 * 24, 20_000)[60..], 15.0, 25.0);
        // A page every two seconds
        assert_between(&rates(|at| at / 2000, 100_000)[400..], 0.49, 0.56);
    }

    #[test]
    fn rate_is_that_of_the_last_seconds() {
        // No page in the first ten seconds, then 100 per second, then 20 per second, then none.
        let pages = |at: u64| match at {
            0..10_000 => 0,
            10_000..20_000 => (at - 10_000) / 10,
            20_000..30_000 => 1000 + (at - 20_000) / 50,
            _ => 1200,
        };
        let rates = rates(pages, 95_000);
        assert_between(&rates[120..200], 95.0, 105.0);
        assert_between(&rates[251..299], 19.0, 21.0);
        assert!(rates[340] < 10.0, "{rates:?}");
        assert_between(&rates[930..], 0.0, 0.01);
    }

    #[test]
    fn rate_is_steady_after_a_second() {
        let mut speed = Speed::new();
        let mut is_steady = |at, pages| {
            let at = Duration::from_millis(at);
            let bytes = 0;
            speed.add(Sample { at, pages, bytes }).is_steady
        };
        assert!(!is_steady(5_000, 0));
        assert!(!is_steady(5_900, 3));
        assert!(is_steady(6_000, 4));
    }
}
