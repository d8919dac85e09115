//! What a run counts while it goes, for the progress display and the report.
//!
//! Every stage adds to these counters and no stage decides by them, so they need no order between
//! each other: all accesses are relaxed.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    pub fn add(&self, number: u64) {
        self.0.fetch_add(number, Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

#[derive(Debug, Default)]
pub struct Meter {
    /// Pages that the index is known to have, and those that were read.
    pub index_pages: Count,
    pub index_read: Count,
    /// Companies that the index is known to list.
    pub listed: Count,
    /// Company pages that came, and those whose reading is done.
    pub fetched: Count,
    pub read: Count,
    /// Company pages that this attempt gave up; a later attempt may still get some of them.
    pub failed: Count,
    /// Requests sent, repeated ones and redirects included.
    pub requests: Count,
    pub retries: Count,
    /// Bytes of bodies as they came, and inflated.
    pub bytes_wire: Count,
    pub bytes_decoded: Count,
}
