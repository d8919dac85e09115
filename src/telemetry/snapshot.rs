//! The counters of a run at one moment, as text.

use std::fmt::{self, Display};
use std::time::Duration;

use crate::telemetry::counters::Counters;
use crate::telemetry::speed::{Rates, Sample, Speed};
use crate::words::quantity;

/// How many pages there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Total {
    Unknown,
    /// The index pages parsed so far list this many.
    AtLeast(u64),
    Known(u64),
}

impl Display for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Total::Unknown => f.write_str("?"),
            Total::AtLeast(number) => write!(f, "{number}+"),
            Total::Known(number) => write!(f, "{number}"),
        }
    }
}

/// The counters at one moment.
#[derive(Debug)]
pub struct Snapshot {
    elapsed: Duration,
    /// Whether there is no index.
    pub is_list: bool,
    pub index_parsed: u64,
    pub index_pages: Total,
    pub companies: Total,
    pub fetched: u64,
    pub parsed: u64,
    rates: Rates,
    retries: u64,
    failures: u64,
    waiting: u64,
    held_back: u64,
    paused_seconds: f64,
    crawl_delay_seconds: f64,
}

impl Snapshot {
    /// `elapsed` is the time since the start of the run. The rates compare this snapshot with earlier ones
    /// that used the same `speed`.
    pub fn of(counters: &Counters, elapsed: Duration, speed: &mut Speed) -> Self {
        let index_parsed = counters.index_parsed.get();
        let index_pages = match counters.index_pages.get() {
            0 => Total::Unknown,
            pages => Total::Known(pages),
        };
        let companies = match counters.listed.get() {
            listed if counters.is_list || index_pages == Total::Known(index_parsed) => {
                Total::Known(listed)
            }
            0 => Total::Unknown,
            listed => Total::AtLeast(listed),
        };
        let fetched = counters.fetched.get();
        let rates = speed.add(Sample {
            at: elapsed,
            // Pages from the journal say nothing about the speed of the others.
            pages: fetched.saturating_sub(counters.resumed.get()),
            bytes: counters.bytes_wire.get(),
        });
        Snapshot {
            elapsed,
            is_list: counters.is_list,
            index_parsed,
            index_pages,
            companies,
            fetched,
            parsed: counters.parsed.get(),
            rates,
            retries: counters.retries.get(),
            failures: counters.failed.get(),
            waiting: counters.waiting.get(),
            held_back: counters.held_back.get(),
            paused_seconds: counters.paused_ms.get() as f64 / 1e3,
            crawl_delay_seconds: counters.crawl_delay_ms.get() as f64 / 1e3,
        }
    }

    /// Rates, the time left, and problems. The time left appears as soon as it can be estimated, delays
    /// only in a run that has some.
    pub fn status(&self) -> String {
        let Rates {
            pages_per_second: pages,
            bytes_per_second: bytes,
            ..
        } = self.rates;
        let decimals = if pages < 9.95 { 1 } else { 0 };
        let mut text = format!("{pages:.decimals$} pages/s, {:.1} MB/s, ", bytes / 1e6);
        if let Some(left) = self.time_left() {
            text += &format!("ETA {}, ", duration(left));
        }
        text += &format!(
            "{}, {}",
            quantity(self.retries as usize, "retry", "retries"),
            quantity(self.failures as usize, "failure", "failures"),
        );
        if self.crawl_delay_seconds > 0.0 {
            text += &format!(
                ", {} s between requests (robots.txt)",
                self.crawl_delay_seconds
            );
        }
        if self.waiting > 0 {
            let pages = quantity(self.waiting as usize, "page", "pages");
            text += &format!(", {pages} waiting for a retry");
        }
        if self.held_back > 0 {
            let workers = quantity(self.held_back as usize, "worker", "workers");
            text += &format!(", {workers} held back");
        }
        if self.paused_seconds > 0.0 {
            text += &format!(", {:.0} s of pause", self.paused_seconds);
        }
        text
    }

    /// Seconds until all companies are fetched, at the present rate. `None` while some index pages are
    /// missing, and while the rate is unknown.
    fn time_left(&self) -> Option<f64> {
        let Total::Known(listed) = self.companies else {
            return None;
        };
        let left = listed.saturating_sub(self.fetched) as f64;
        let rate = self.rates.pages_per_second;
        (self.rates.is_steady && rate > 0.0 && left > 0.0).then(|| left / rate)
    }

    pub fn line(&self) -> String {
        let Snapshot {
            index_parsed,
            index_pages,
            companies,
            fetched,
            parsed,
            ..
        } = self;
        let index = if self.is_list {
            String::new()
        } else {
            format!("index {index_parsed}/{index_pages}, ")
        };
        format!(
            "{:.0} s: {index}fetched {fetched}/{companies}, parsed {parsed}/{companies}, {}",
            self.elapsed.as_secs_f64(),
            self.status()
        )
    }
}

/// A duration in one unit, rounded: `90 s`, `100 min`, `12 h`.
fn duration(seconds: f64) -> String {
    match seconds.ceil() {
        seconds if seconds <= 120.0 => format!("{seconds} s"),
        seconds if seconds <= 7200.0 => format!("{:.0} min", seconds / 60.0),
        seconds => format!("{:.0} h", seconds / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(counters: &Counters) -> String {
        Snapshot::of(counters, Duration::from_millis(2_010), &mut Speed::new()).line()
    }

    #[test]
    fn line_uses_singular_and_plural_nouns() {
        let counters = Counters::default();
        let start = "2 s: index 7/11, fetched 47/322+, parsed 46/322+, 23 pages/s, 0.9 MB/s";
        counters.index_parsed.add(7);
        counters.index_pages.add(11);
        counters.listed.add(322);
        counters.fetched.add(47);
        counters.parsed.add(46);
        counters.bytes_wire.add(1_800_000);
        assert_eq!(line(&counters), format!("{start}, 0 retries, 0 failures"));

        counters.retries.add(2);
        counters.failed.add(1);
        counters.waiting.add(1);
        counters.held_back.add(3);
        counters.paused_ms.add(2_000);
        counters.crawl_delay_ms.add(500);
        assert_eq!(
            line(&counters),
            format!(
                "{start}, 2 retries, 1 failure, 0.5 s between requests (robots.txt), \
                 1 page waiting for a retry, 3 workers held back, 2 s of pause"
            )
        );
    }

    /// The total is unknown at first, then that of the parsed index pages, and final with the last one.
    /// Only then is there an ETA.
    #[test]
    fn line_shows_a_total_and_an_eta_when_they_are_known() {
        let counters = Counters::default();
        let check = |expected| assert_eq!(line(&counters), expected);
        check(
            "2 s: index 0/?, fetched 0/?, parsed 0/?, 0.0 pages/s, 0.0 MB/s, 0 retries, 0 failures",
        );
        counters.index_pages.add(2);
        check(
            "2 s: index 0/2, fetched 0/?, parsed 0/?, 0.0 pages/s, 0.0 MB/s, 0 retries, 0 failures",
        );
        counters.index_parsed.add(1);
        counters.listed.add(50);
        counters.fetched.add(4);
        check(
            "2 s: index 1/2, fetched 4/50+, parsed 0/50+, 2.0 pages/s, 0.0 MB/s, 0 retries, 0 failures",
        );
        counters.index_parsed.add(1);
        counters.listed.add(30);
        check(
            "2 s: index 2/2, fetched 4/80, parsed 0/80, 2.0 pages/s, 0.0 MB/s, ETA 39 s, 0 retries, 0 failures",
        );
        counters.fetched.add(76);
        check(
            "2 s: index 2/2, fetched 80/80, parsed 0/80, 40 pages/s, 0.0 MB/s, 0 retries, 0 failures",
        );
    }

    #[test]
    fn durations_have_up_to_three_digits() {
        for (seconds, expected) in [
            (0.2, "1 s"),
            (120.0, "120 s"),
            (121.0, "2 min"),
            (7200.0, "120 min"),
            (360_000.0, "100 h"),
        ] {
            assert_eq!(duration(seconds), expected);
        }
    }
}
