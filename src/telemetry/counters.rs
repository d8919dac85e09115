//! Counters of a run, for the progress display and the report.
//!
//! All accesses are relaxed: the stages only add, and no decision depends on the order between two
//! counters. One decision reads a counter at all: the fetcher pool grows while `fetched` stands still.

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
    /// Index pages known to exist, and index pages parsed.
    pub index_pages: Counter,
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
    /// Requests sent, retries and redirects included.
    pub requests: Counter,
    pub retries: Counter,
    /// Pages taken from the journal of an interrupted run.
    pub resumed: Counter,
    /// Pages that wait for their next attempt.
    pub waiting: Counter,
    /// Workers without a permit because many requests fail: now, and at the most.
    pub held_back: Counter,
    pub most_held_back: Counter,
    /// Milliseconds between requests that robots.txt demands.
    pub crawl_delay_ms: Counter,
    /// Milliseconds of pause that `Retry-After` has demanded.
    pub paused_ms: Counter,
    /// Bytes of bodies as received, and inflated.
    pub bytes_wire: Counter,
    pub bytes_decoded: Counter,
}
