//! What a run counts while it goes, for the progress display and the report.
//!
//! Every stage adds to these counters, and nothing is decided by them but how soon there is another
//! fetcher, so they need no order between each other: all accesses are relaxed.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::telemetry::trace::{Lane, Role, Trace};

#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    pub fn add(&self, number: u64) {
        self.0.fetch_add(number, Relaxed);
    }

    pub fn take_back(&self, number: u64) {
        self.0.fetch_sub(number, Relaxed);
    }

    pub fn set(&self, number: u64) {
        self.0.store(number, Relaxed);
    }

    pub fn raise_to(&self, number: u64) {
        self.0.fetch_max(number, Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

#[derive(Debug, Default)]
pub struct Meter {
    /// When every worker did what, if that is to be known.
    pub trace: Trace,
    /// Pages that the index is known to have, and those that were read.
    pub index_pages: Count,
    pub index_read: Count,
    /// Companies that the index is known to list.
    pub listed: Count,
    /// Companies whose page was asked for with an end, good or bad, and those of which that end has
    /// been looked at. A page that is to be tried again is not counted yet.
    pub fetched: Count,
    pub read: Count,
    /// Companies that gave no page that can be used.
    pub failed: Count,
    /// Requests sent, repeated ones and redirects included.
    pub requests: Count,
    pub retries: Count,
    /// Pages that were there already, from an earlier run that was interrupted.
    pub resumed: Count,
    /// Pages that wait for their next attempt.
    pub waiting: Count,
    /// Fetchers that rest because many requests fail, now and at the most.
    pub resting: Count,
    pub most_resting: Count,
    /// Milliseconds that the site's rules want between requests.
    pub apart: Count,
    /// Milliseconds for which the site has asked to be left alone.
    pub paused: Count,
    /// Bytes of bodies as they came, and inflated.
    pub bytes_wire: Count,
    pub bytes_decoded: Count,
}

impl Meter {
    /// A worker's place to count and to note what it does.
    pub fn lane(&self, role: Role) -> Lane<'_> {
        Lane::new(self, role)
    }
}
