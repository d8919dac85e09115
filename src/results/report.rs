//! The report of a run (`run.json`), and the form of all JSON files and counts.

use std::io::{self, Write};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use crate::disk::staging::Content;
use crate::http::error::PageError;
use crate::pipeline::PoolSizes;
use crate::pipeline::harvest::{Duplicate, Failure, Harvest, Ledger};
use crate::pipeline::series::WalkReport;
use crate::results::layout_check::FIGURES;
use crate::results::plausibility::{self, Contradiction};
use crate::results::prices::{self, Prices, RateUsed};
use crate::results::schema::SCHEMA;
use crate::site::company::Company;
use crate::site::currency::Currency;
use crate::source::Source;
use crate::source::origin::Origin;
use crate::telemetry::counters::Counters;
use crate::telemetry::percentile::percentile;
use crate::telemetry::usage;

/// Pretty-printed JSON with a final newline, the form of all JSON files of a run.
pub fn json(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).expect("every value has a JSON form");
    bytes.push(b'\n');
    bytes
}

/// Writes pretty-printed JSON with a final newline.
pub fn write_json(value: &impl Serialize, mut out: impl Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut out, value)?;
    out.write_all(b"\n")
}

/// Compact JSON with a final newline: one line of NDJSON.
pub fn json_line(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(value).expect("every value has a JSON form");
    bytes.push(b'\n');
    bytes
}

/// A number with its noun: `no pages`, `1 page`, `2 pages`.
pub fn count(number: usize, singular: &str, plural: &str) -> String {
    match number {
        0 => format!("no {plural}"),
        1 => format!("1 {singular}"),
        _ => format!("{number} {plural}"),
    }
}

/// The content of `run.json`.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    pub version: &'static str,
    /// The argument of `--from`.
    pub source: String,
    pub index: String,
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
    pub ledger: Ledger,
    /// The companies that the numbered and the letter pages listed, and how the two lists differ.
    pub walks: Vec<WalkReport>,
    pub failures: Vec<FailureReport>,
    pub duplicates: Vec<Duplicate>,
    /// For each figure, the codes of the companies that lack it.
    pub missing: Missing,
    /// Figures that a page shows in an unusable form or that cannot be ranked, and currencies that it does
    /// not state.
    pub notes: Vec<Note>,
    /// Figures that contradict each other. They are ranked unchanged.
    pub suspicious: Vec<Contradiction>,
    pub warnings: Vec<String>,
    pub requests: u64,
    /// Retries made. Includes retries after a stale connection or a `Retry-After`, which do not count
    /// against the budget.
    pub retries: u64,
    /// Maximum number of retries of the run.
    pub retry_budget: u64,
    /// Sum of the pauses that the site demanded with `Retry-After`, in seconds.
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

/// The names of files and their contents, in the order of [`Report::files`].
#[derive(Debug, Clone, Default)]
pub struct Digests(Vec<(String, Content)>);

impl Serialize for Digests {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(file, content)| (file, &content.sha256)))
    }
}

#[derive(Debug, Clone, Serialize)]
pub struct FailureReport {
    pub path: String,
    pub address: String,
    #[serde(flatten)]
    pub error: PageError,
}

#[derive(Debug, Clone, Serialize)]
pub struct Note {
    pub code: String,
    pub note: String,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub struct Latency {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub max: f64,
}

/// For each of [`FIGURES`], the codes of the companies that lack it.
#[derive(Debug, Clone)]
pub struct Missing([Vec<String>; FIGURES.len()]);

impl Missing {
    /// The figures that companies lack, by their names in messages, and the number of these companies.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, usize)> {
        let figures = FIGURES.iter().zip(&self.0);
        figures
            .filter(|(_, codes)| !codes.is_empty())
            .map(|(figure, codes)| (figure.name, codes.len()))
    }
}

impl Serialize for Missing {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let figures = FIGURES.iter().zip(&self.0);
        serializer.collect_map(figures.map(|(figure, codes)| (figure.key, codes)))
    }
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
    pub sizes: PoolSizes,
    pub source: &'a Source,
    pub times: Times,
    pub harvest: &'a Harvest,
    pub prices: &'a Prices,
    pub counters: &'a Counters,
    pub warnings: Vec<String>,
    pub previous_price: Option<String>,
    /// The files that the run writes, or why it writes none.
    pub files: Result<Vec<WrittenFile>, String>,
}

/// A file as the user named it and its content, if that is known before the report is complete.
pub type WrittenFile = (String, Option<Content>);

impl Report {
    pub fn new(facts: Facts) -> Self {
        let Facts {
            source,
            harvest,
            prices,
            counters,
            times,
            sizes,
            ..
        } = facts;
        let not_written = facts.files.as_ref().err().cloned();
        let files = facts.files.unwrap_or_default();
        let names = files.iter().map(|(file, _)| file.clone()).collect();
        let digests = files.into_iter();
        let digests = digests.filter_map(|(file, content)| Some((file, content?)));
        let seconds = times.took.as_secs_f64();
        Report {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            source: facts.origin.to_string(),
            index: facts.index.to_owned(),
            started: times.started,
            finished: times.finished,
            seconds,
            price_currency: prices.currency,
            rates: prices.used(&harvest.companies),
            rate_error: prices.error.clone(),
            as_of: prices::most_common_day(&harvest.companies),
            ledger: harvest.ledger(),
            walks: harvest.walks.clone(),
            failures: failure_reports(harvest, source),
            duplicates: harvest.duplicates.clone(),
            missing: missing(&harvest.companies),
            notes: notes(&harvest.companies, prices),
            suspicious: plausibility::check_all(&harvest.companies),
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
            previous_price: facts.previous_price,
            not_written,
            files: names,
            sha256: Digests(digests.collect()),
        }
    }
}

fn failure_reports(harvest: &Harvest, source: &Source) -> Vec<FailureReport> {
    let report = |failure: &Failure| FailureReport {
        path: failure.link.path.clone(),
        address: source.address(&failure.link.path),
        error: failure.error.clone(),
    };
    harvest.failures.iter().map(report).collect()
}

fn missing(companies: &[Company]) -> Missing {
    Missing(std::array::from_fn(|figure| {
        let lacking = companies
            .iter()
            .filter(|company| !(FIGURES[figure].is_there)(company));
        lacking.map(|company| company.page.code.clone()).collect()
    }))
}

fn notes(companies: &[Company], prices: &Prices) -> Vec<Note> {
    let notes = companies.iter().flat_map(|company| {
        let page = &company.page;
        let notes = page.notes.iter().chain(&company.index_note).cloned();
        let notes = notes.chain(prices.note(company));
        notes.map(|note| Note {
            code: page.code.clone(),
            note,
        })
    });
    notes.collect()
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
