//! The adaptive limit on requests under way: lower while many pages fail.

/// Number of recent results that decide. The limit is halved when more than half of them failed.
const WINDOW: u32 = 20;
/// Successes in a row that raise the limit by one.
const SUCCESSES_TO_RAISE: u32 = 10;

/// The limit and the results that it depends on. The throttle holds it under its lock.
#[derive(Debug)]
pub struct Concurrency {
    /// The current limit.
    pub limit: usize,
    /// The highest limit, and the first.
    max: usize,
    /// The last 20 results as bits: 1 for a failure, the newest in the lowest bit.
    failures: u32,
    /// Results since the limit was last halved. Below 20, `failures` is not yet conclusive.
    results: u32,
    successes_in_a_row: u32,
}

/// What a result does to the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Lowered,
    Raised,
}

impl Concurrency {
    pub fn new(max: usize) -> Self {
        Concurrency {
            limit: max,
            max,
            failures: 0,
            results: 0,
            successes_in_a_row: 0,
        }
    }

    /// Records whether a page failed, and adjusts the limit: halves it when more than half of the last 20
    /// pages failed, raises it by one after 10 successes in a row. `most_in_flight` is the most requests
    /// that there were under way: the pool may not have grown to the limit yet.
    pub fn record(&mut self, failed: bool, most_in_flight: usize) -> Option<Change> {
        self.failures = (self.failures << 1 | u32::from(failed)) & ((1 << WINDOW) - 1);
        self.results += 1;
        self.successes_in_a_row = if failed {
            0
        } else {
            self.successes_in_a_row + 1
        };
        if self.results >= WINDOW && self.failures.count_ones() > WINDOW / 2 {
            // The next decision needs a new window.
            (self.failures, self.results) = (0, 0);
            self.limit = (self.limit.min(most_in_flight.max(1)) / 2).max(1);
            Some(Change::Lowered)
        } else if self.is_lowered() && self.successes_in_a_row >= SUCCESSES_TO_RAISE {
            self.successes_in_a_row = 0;
            self.limit += 1;
            Some(Change::Raised)
        } else {
            None
        }
    }

    pub fn is_lowered(&self) -> bool {
        self.limit < self.max
    }

    /// The number of requests fewer than at first.
    pub fn held_back(&self) -> usize {
        self.max - self.limit
    }
}
