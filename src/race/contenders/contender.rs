//! What a contender is, and the files that it needs.

use std::sync::Arc;

use crate::telemetry::counters::Counters;
use crate::telemetry::usage;

use super::shared::Outcome;
use crate::race::task::Task;

/// The contender that is the product. Tables and charts highlight it.
pub const PRODUCT: &str = "pipeline";
/// The contender that speedups are relative to.
pub const BASELINE: &str = "sequential";
/// The highest number of pages in flight that a race accepts.
pub const MAX_IN_FLIGHT: usize = 4096;

/// Files that a run opens besides its connections, such as its answer and those for looking up a host
/// name.
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
    /// Raises the limit of open files and fails if the contender needs more than the system allows.
    pub fn require_files(&self, in_flight: usize) -> Result<(), String> {
        // If the limit cannot be raised, the present one holds.
        let _ = usage::raise_open_file_limit();
        let needed = OTHER_FILES + self.files_per_page * in_flight;
        let available = usage::openable_files(needed);
        if available < needed {
            return Err(format!(
                "{} needs {needed} open files for {in_flight} pages in flight, and the system allows this process {available} more: raise the limit with `ulimit -n {}`",
                self.name,
                needed + OTHER_FILES
            ));
        }
        Ok(())
    }
}
