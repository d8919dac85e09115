//! The report of a run over a list (`run.json`).

use jiff::Timestamp;
use serde::Serialize;

use crate::lists::settings::ListJob;
use crate::pipeline::harvest::Ledger;
use crate::source::shard::Shard;

/// The content of `run.json`.
#[derive(Debug, Serialize)]
pub struct ListReport {
    /// [`SCHEMA`](crate::results::schema::SCHEMA).
    pub schema: u32,
    pub version: &'static str,
    /// The shard that this run fetched; null for a whole list.
    pub shard: Option<Shard>,
    pub list: ListDigest,
    pub started: Timestamp,
    pub finished: Timestamp,
    pub seconds: f64,
    /// What became of the addresses, of the shard if it is one.
    pub ledger: Ledger,
    pub retries: u64,
    /// Rows taken from the journal of an interrupted run.
    pub resumed: u64,
    /// Of all bodies.
    pub bytes: u64,
    pub warnings: Vec<String>,
}

/// The whole list. All shards of a job must have read the same.
#[derive(Debug, Serialize)]
pub struct ListDigest {
    pub addresses: u64,
    /// SHA-256 in hexadecimal of the local files and addresses as given, each with a line feed.
    pub sha256: String,
}

impl ListDigest {
    pub fn of(job: &ListJob) -> Self {
        ListDigest {
            addresses: job.count_all(),
            sha256: job.addresses.digest(&job.files),
        }
    }
}
