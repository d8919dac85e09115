//! What a contender is, and the files that it needs.

use std::sync::Arc;

use super::shared::Outcome;
use crate::race::contenders::task::Task;
use crate::telemetry::counters::Counters;
use crate::telemetry::usage;

/// The contender that is the product. Tables and charts highlight it.
pub const PRODUCT: &str = "pipeline";
/// The contender that speedups are relative to.
pub const BASELINE: &str = "sequential";
/// The highest number of pages in flight that a race accepts.
pub const MAX_IN_FLIGHT: usize = 4096;

/// Files that a process of a run has open besides those of its pages in flight: its answer, those for
/// looking up a host name, and those of the async runtime.
const OTHER_FILES: usize = 24;

pub struct Contender {
    pub name: &'static str,
    /// One line for `--help`.
    pub description: &'static str,
    pub run: fn(&Task, &Arc<Counters>) -> Outcome,
    /// The highest number of pages in flight that a sweep tries. More gain nothing, or cost more than a
    /// machine has.
    pub max_in_flight: usize,
    /// Files that a page in flight needs open in this process: its connection, or more.
    pub files_per_page: usize,
}

impl Contender {
    /// Files that a run opens with this many pages in flight.
    pub fn files(&self, in_flight: usize) -> usize {
        OTHER_FILES + self.files_per_page * in_flight
    }

    /// Raises the limit of open files and fails if the contender needs more than the system allows.
    pub fn require_files(&self, in_flight: usize) -> Result<(), String> {
        // If the limit cannot be raised, the present one holds.
        let _ = usage::raise_open_file_limit();
        let needed = self.files(in_flight);
        let available = usage::openable_files(needed);
        if available < needed {
            return Err(format!(
                "{} needs {needed} open files for {in_flight} pages in flight, and the system allows \
                 this process {available} more: raise the limit with `ulimit -n {}`",
                self.name,
                needed + OTHER_FILES
            ));
        }
        Ok(())
    }
}
