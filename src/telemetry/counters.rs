//! Counters of a run, for the progress display and the report.
//!
//! Relaxed ordering suffices: counters are only added up and displayed. One exception steers the run:
//! the fetcher pool grows when `fetched` stops rising.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::telemetry::trace::Trace;

#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, number: u64) {
        self.0.fetch_add(number, Relaxed);
    }

    pub fn sub(&self, number: u64) {
        self.0.fetch_sub(number, Relaxed);
    }

    pub fn set(&self, number: u64) {
        self.0.store(number, Relaxed);
    }

    /// Keeps the larger of the present value and `number`.
    pub fn raise_to(&self, number: u64) {
        self.0.fetch_max(number, Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

#[derive(Debug, Default)]
pub struct Counters {
    /// The timeline of every worker, if the run records one.
    pub trace: Trace,
    /// Whether the pages are those of a list, and not the companies of an index. Then `listed` is known from
    /// the beginning.
    pub is_list: bool,
    /// Index pages known to exist.
    pub index_pages: Counter,
    /// Index pages parsed so far.
    pub index_parsed: Counter,
    /// Companies listed on the index pages parsed so far.
    pub listed: Counter,
    /// Companies whose last attempt has ended, well or badly. A page that waits for a retry is not
    /// counted.
    pub fetched: Counter,
    /// Companies whose result is in a harvest. Never more than `fetched`.
    pub parsed: Counter,
    /// Companies without a usable page.
    pub failed: Counter,
    /// Company pages that name no address, so they may be those of another company.
    pub unnamed: Counter,
    /// Requests sent, including retries and redirects.
    pub requests: Counter,
    /// Retries among the requests.
    pub retries: Counter,
    /// Pages taken from the journal of an interrupted run.
    pub resumed: Counter,
    /// Pages that wait for their next attempt.
    pub waiting: Counter,
    /// Workers that the lowered concurrency limit holds back now.
    pub held_back: Counter,
    /// The maximum of `held_back` during the run.
    pub most_held_back: Counter,
    /// Milliseconds between requests that robots.txt demands.
    pub crawl_delay_ms: Counter,
    /// Milliseconds of pause that the site has demanded, with `Retry-After` or a 429.
    pub paused_ms: Counter,
    /// Bytes of bodies as received.
    pub bytes_wire: Counter,
    /// Bytes of bodies after inflating.
    pub bytes_decoded: Counter,
}
