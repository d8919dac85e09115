//! The report of a run (`run.json`), and the form of all JSON files.

use std::io::{self, Write};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use crate::disk::staging::Content;
use crate::pipeline::PoolSizes;
use crate::pipeline::shard_rows::IndexDigest;
use crate::results::findings::Findings;
use crate::results::prices::{self, RateUsed};
use crate::results::schema::SCHEMA;
use crate::site::currency::Currency;
use crate::source::Source;
use crate::source::origin::Origin;
use crate::source::shard::Shard;
use crate::telemetry::counters::Counters;
use crate::telemetry::percentile::percentile;
use crate::telemetry::usage;

/// Writes pretty-printed JSON with a final newline, the form of all JSON files of a run.
pub fn write_json(value: &impl Serialize, mut out: impl Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut out, value)?;
    out.write_all(b"\n")
}

/// Writes compact JSON with a final newline: one line of NDJSON.
pub fn write_json_line(value: &impl Serialize, mut out: impl Write) -> io::Result<()> {
    serde_json::to_writer(&mut out, value)?;
    out.write_all(b"\n")
}

/// The bytes that [`write_json`] writes, for values that are small.
pub fn json(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_json(value, &mut bytes).expect("every value has a JSON form");
    bytes
}

/// The bytes that [`write_json_line`] writes, for values that are small.
pub fn json_line(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_json_line(value, &mut bytes).expect("every value has a JSON form");
    bytes
}

/// The content of `run.json`.
#[derive(Debug, Serialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    pub version: &'static str,
    /// The argument of `--from`.
    pub source: String,
    pub index: String,
    /// The shard that this run fetched, and the index of which it is a part; null for a whole run.
    pub shard: Option<ShardReport>,
    pub started: Timestamp,
    pub finished: Timestamp,
    /// From the first request to the last page parsed.
    pub seconds: f64,
    /// The currency of the ranking by price.
    pub price_currency: Currency,
    /// The rates that prices were converted by. Empty if no company is quoted in another currency, and
    /// without a ranking by price; [`rate_error`](Self::rate_error) then says why.
    pub rates: Vec<RateUsed>,
    /// Why there is no ranking by price; null if there is one.
    pub rate_error: Option<String>,
    /// The most common day of the quotes; null if no page states one.
    pub as_of: Option<Date>,
    /// What became of the companies: the ledger and the lists.
    #[serde(flatten)]
    pub findings: Findings,
    pub warnings: Vec<String>,
    pub requests: u64,
    /// Retries made. Includes retries after a stale connection or a `Retry-After`, which do not count
    /// against the budget.
    pub retries: u64,
    /// Maximum number of retries of the run.
    pub retry_budget: u64,
    /// Sum of the pauses that the site demanded, with `Retry-After` or a 429, in seconds.
    pub paused_seconds: f64,
    /// The lowest concurrency limit during the run.
    pub fewest_workers: usize,
    /// Company pages that name no address of their own, so they may be those of other companies.
    pub unnamed_pages: u64,
    /// Rows of the index without a readable address. Their companies are not in the ledger.
    pub unread_rows: usize,
    /// Pages taken from the journal of an interrupted run.
    pub resumed: u64,
    pub bytes_on_the_wire: u64,
    pub bytes_decoded: u64,
    /// Milliseconds from sending a request to the last byte of its response, over all company pages
    /// fetched.
    pub latency_ms: Option<Latency>,
    pub pages_per_second: f64,
    /// CPU time of the process. With `--from replica`, it includes the server.
    pub cpu_seconds: Option<f64>,
    /// Peak memory of the process. With `--from replica`, it includes the server.
    pub peak_memory_bytes: Option<u64>,
    pub workers: usize,
    pub readers: usize,
    /// The name that an earlier ranking by price got because this run has none; null if none was renamed.
    pub previous_price: Option<String>,
    /// Why this run wrote no file; null if it wrote its files.
    pub not_written: Option<String>,
    /// The files that this run wrote, as the user named them.
    pub files: Vec<String>,
    /// The SHA-256 of each of these files but this one, as `sha256sum` prints it.
    pub sha256: Digests,
}

/// A shard of a job. Its ledger counts the companies of the shard.
#[derive(Debug, Clone, Serialize)]
pub struct ShardReport {
    #[serde(flatten)]
    pub shard: Shard,
    pub index: IndexDigest,
}

/// The names of files and their contents, in the order of [`Report::files`].
#[derive(Debug, Clone, Default)]
pub struct Digests(Vec<(String, Content)>);

impl Serialize for Digests {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(file, content)| (file, &content.sha256)))
    }
}

#[derive(Debug, Clone, Copy, Serialize)]
pub struct Latency {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub max: f64,
}

/// The times of a run.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// When the run began.
    pub started: Timestamp,
    /// When the last page was parsed.
    pub finished: Timestamp,
    /// The time between the two, from a monotonic clock.
    pub took: Duration,
}

/// The inputs of a [`Report`].
pub struct Facts<'a> {
    pub origin: &'a Origin,
    pub index: &'a str,
    pub shard: Option<Shard>,
    pub sizes: PoolSizes,
    pub source: &'a Source,
    pub times: Times,
    pub findings: Findings,
    pub counters: &'a Counters,
    pub warnings: Vec<String>,
}

/// A file as the user named it and its content, if that is known before the report is complete.
pub type WrittenFile = (String, Option<Content>);

impl Report {
    pub fn new(facts: Facts) -> Self {
        let Facts {
            source,
            findings,
            counters,
            times,
            sizes,
            ..
        } = facts;
        let Findings {
            harvest, prices, ..
        } = &findings;
        let seconds = times.took.as_secs_f64();
        Report {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            source: facts.origin.to_string(),
            index: facts.index.to_owned(),
            shard: facts
                .shard
                .zip(harvest.index.clone())
                .map(|(shard, index)| ShardReport { shard, index }),
            started: times.started,
            finished: times.finished,
            seconds,
            price_currency: prices.currency,
            rates: prices.used(&harvest.companies),
            rate_error: prices.error.clone(),
            as_of: prices::most_common_day(&harvest.companies),
            warnings: facts.warnings,
            requests: counters.requests.get(),
            retries: counters.retries.get(),
            retry_budget: source.retries.budget(),
            paused_seconds: counters.paused_ms.get() as f64 / 1e3,
            fewest_workers: sizes.fetchers - counters.most_held_back.get() as usize,
            unnamed_pages: counters.unnamed.get(),
            unread_rows: harvest.unread_rows,
            resumed: counters.resumed.get(),
            bytes_on_the_wire: counters.bytes_wire.get(),
            bytes_decoded: counters.bytes_decoded.get(),
            latency_ms: latency(&harvest.latencies),
            pages_per_second: harvest.latencies.len() as f64 / seconds.max(f64::MIN_POSITIVE),
            cpu_seconds: usage::cpu_time().map(|time| time.as_secs_f64()),
            peak_memory_bytes: usage::peak_memory(),
            workers: sizes.fetchers,
            readers: sizes.parsers,
            not_written: None,
            previous_price: None,
            files: Vec::new(),
            sha256: Digests::default(),
            findings,
        }
    }

    /// Adds the files that the run writes, and the name that an earlier ranking by price gets.
    pub fn add_files(&mut self, files: &[WrittenFile], previous_price: Option<&str>) {
        self.files = files.iter().map(|(file, _)| file.clone()).collect();
        let digests = files.iter().cloned();
        let digests = digests.filter_map(|(file, content)| Some((file, content?)));
        self.sha256 = Digests(digests.collect());
        self.previous_price = previous_price.map(str::to_owned);
    }

    /// Notes why the run writes no results.
    pub fn set_not_written(&mut self, why: impl Into<String>) {
        self.add_files(&[], None);
        self.not_written = Some(why.into());
    }
}

/// `None` if no page was fetched.
fn latency(sorted_micros: &[u32]) -> Option<Latency> {
    let milliseconds =
        |per_cent| percentile(sorted_micros, per_cent).map(|micros| f64::from(micros) / 1e3);
    Some(Latency {
        p50: milliseconds(50)?,
        p90: milliseconds(90)?,
        p99: milliseconds(99)?,
        max: milliseconds(100)?,
    })
}
