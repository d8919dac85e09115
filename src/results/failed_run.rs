//! The report of a run that began and wrote no results (`failed-run.json`).

use jiff::Timestamp;
use serde::Serialize;

use crate::exit::Exit;
use crate::results::report::{Report, Times};
use crate::results::schema::SCHEMA;
use crate::source::origin::Origin;
use crate::telemetry::counters::Counters;

/// The content of `failed-run.json`.
#[derive(Debug, Serialize)]
pub struct FailedRun {
    /// The exit code: 4, 5, 7 or 8.
    pub exit: u8,
    /// The message on the terminal, without the command that resumes.
    pub error: String,
    /// Whether the same command with `--resume` continues the run.
    pub resumable: bool,
    #[serde(flatten)]
    pub facts: Facts,
}

/// What is known of the run.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Facts {
    /// All that `run.json` would have, if the index was walked to its end.
    Whole(Box<Report>),
    Walk(WalkFacts),
}

impl From<Report> for Facts {
    fn from(report: Report) -> Self {
        Facts::Whole(Box::new(report))
    }
}

impl FailedRun {
    /// What `run.json` would have contained, if the index was walked to its end.
    pub fn report(&self) -> Option<&Report> {
        match &self.facts {
            Facts::Whole(report) => Some(report),
            Facts::Walk(_) => None,
        }
    }
}

/// The keys of `run.json` that do not depend on the companies.
#[derive(Debug, Clone, Serialize)]
pub struct WalkFacts {
    pub schema: u32,
    pub version: &'static str,
    pub source: String,
    pub index: String,
    pub started: Timestamp,
    pub finished: Timestamp,
    pub seconds: f64,
    pub requests: u64,
    pub retries: u64,
    pub paused_seconds: f64,
    pub resumed: u64,
    pub bytes_on_the_wire: u64,
    pub bytes_decoded: u64,
}

impl WalkFacts {
    pub fn new(origin: &Origin, index: &str, times: Times, counters: &Counters) -> Self {
        WalkFacts {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            source: origin.to_string(),
            index: index.to_owned(),
            started: times.started,
            finished: times.finished,
            seconds: times.took.as_secs_f64(),
            requests: counters.requests.get(),
            retries: counters.retries.get(),
            paused_seconds: counters.paused_ms.get() as f64 / 1e3,
            resumed: counters.resumed.get(),
            bytes_on_the_wire: counters.bytes_wire.get(),
            bytes_decoded: counters.bytes_decoded.get(),
        }
    }
}

/// Whether a run that ends so leaves a report. An interrupted run is no failure, and one that ends
/// before its first request has nothing to report.
pub fn is_reported(exit: Exit) -> bool {
    matches!(
        exit,
        Exit::Unreachable | Exit::Layout | Exit::Output | Exit::TooFew
    )
}
