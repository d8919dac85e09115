//! The run's report, `run.json`, and how every JSON file is written.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use rust_decimal::Decimal;
use rust_decimal::serde::arbitrary_precision as exact;
use serde::Serialize;

use crate::http::page::PageError;
use crate::pipeline::Widths;
use crate::pipeline::harvest::{Company, Duplicate, Failure, Harvest, Ledger};
use crate::pipeline::letters::Walk;
use crate::results::layout_check::FIGURES;
use crate::results::plausibility::{self, Suspicion};
use crate::results::ranking::Figure;
use crate::site::company::CompanyPage;
use crate::site::rates::Rate;
use crate::source::Source;
use crate::telemetry::counters::Meter;
use crate::telemetry::usage;

/// Name of a ranking's file.
pub fn file_name(figure: Figure) -> &'static str {
    match figure {
        Figure::Price => "price.json",
        Figure::Pe => "pe.json",
        Figure::Growth => "growth.json",
        Figure::PotentialProfit => "potential_profit.json",
    }
}

/// Pretty-printed JSON with a line end, as all files of a run are written.
pub fn json(value: &impl Serialize) -> Vec<u8> {
    let mut bytes =
        serde_json::to_vec_pretty(value).expect("reports hold nothing that JSON cannot");
    bytes.push(b'\n');
    bytes
}

/// One line of NDJSON.
pub fn json_line(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(value).expect("reports hold nothing that JSON cannot");
    bytes.push(b'\n');
    bytes
}

/// The content of `run.json`.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub version: &'static str,
    /// What `--from` said.
    pub source: String,
    pub index: String,
    pub started: Timestamp,
    pub finished: Timestamp,
    /// From the first request to the last page read.
    pub seconds: f64,
    /// Null if none could be had; [`rate_error`](Self::rate_error) then says why.
    pub rate: Option<RateUsed>,
    pub rate_error: Option<String>,
    pub ledger: Ledger,
    /// What each way through the index listed, and what it lacks that the other has.
    pub walks: Vec<Walk>,
    pub failures: Vec<FailureReport>,
    pub duplicates: Vec<Duplicate>,
    /// Codes of the companies that lack a figure, by figure.
    pub missing: Missing,
    /// Figures that a page shows but that cannot be used.
    pub notes: Vec<Note>,
    /// Figures that contradict each other, ranked all the same.
    pub suspicious: Vec<Suspicion>,
    pub warnings: Vec<String>,
    pub requests: u64,
    /// Requests that were repeated, and how many the run would have allowed itself, not counting the
    /// free ones: for a connection that had been closed, and after a pause that the site asked for.
    pub retries: u64,
    pub retry_budget: u64,
    /// Seconds for which the site asked to be left alone.
    pub paused_seconds: f64,
    /// The fewest workers that were at work because many requests failed.
    pub fewest_workers: usize,
    /// Pages that an earlier run had left.
    pub resumed: u64,
    pub bytes_on_the_wire: u64,
    pub bytes_decoded: u64,
    /// Time from a request to the last byte of its page, over the company pages that came.
    pub latency_ms: Option<Latency>,
    pub pages_per_second: f64,
    /// Of the whole process, with the server in it if the pages came from the replica.
    pub cpu_seconds: Option<f64>,
    pub peak_memory_bytes: Option<u64>,
    pub workers: usize,
    pub readers: usize,
    /// The files of this run, as they were named to it.
    pub files: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
pub struct RateUsed {
    /// Roubles for `nominal` dollars.
    #[serde(with = "exact")]
    pub usd_rub: Decimal,
    #[serde(with = "exact")]
    pub nominal: Decimal,
    /// The day the rate is for; null if it was given by hand.
    pub date: Option<Date>,
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

/// Figure → codes, in the order of [`FIGURES`].
#[derive(Debug, Clone)]
pub struct Missing(Vec<(&'static str, Vec<String>)>);

impl Serialize for Missing {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(figure, codes)| (figure, codes)))
    }
}

/// What a run was asked for, as far as it is reported.
#[derive(Debug, Clone)]
pub struct Asked {
    pub source: String,
    pub index: String,
    pub widths: Widths,
}

/// When a run began, and when its last page was read.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    pub started: Timestamp,
    pub finished: Timestamp,
    pub took: Duration,
}

impl Report {
    /// Everything but `warnings`, `files` and `peak_memory_bytes`, which are known later.
    pub fn new(
        asked: Asked,
        source: &Source,
        times: Times,
        harvest: &Harvest,
        rate: &Result<Rate, String>,
        meter: &Meter,
    ) -> Self {
        let seconds = times.took.as_secs_f64();
        Report {
            version: env!("CARGO_PKG_VERSION"),
            source: asked.source,
            index: asked.index,
            started: times.started,
            finished: times.finished,
            seconds,
            rate: rate.as_ref().ok().map(|rate| RateUsed {
                usd_rub: rate.value,
                nominal: rate.nominal,
                date: rate.day.as_ref().map(|day| day.date),
            }),
            rate_error: rate.as_ref().err().cloned(),
            ledger: harvest.ledger(),
            walks: harvest.walks.clone(),
            failures: harvest
                .failures
                .iter()
                .map(|failure| failure_report(failure, source))
                .collect(),
            duplicates: harvest.duplicates.clone(),
            missing: missing(harvest.companies.iter()),
            notes: notes(harvest.companies.iter()),
            suspicious: plausibility::suspicious(harvest.companies.iter()),
            warnings: Vec::new(),
            requests: meter.requests.get(),
            retries: meter.retries.get(),
            retry_budget: source.retries.budget(),
            paused_seconds: meter.paused.get() as f64 / 1e3,
            fewest_workers: asked.widths.workers - meter.most_resting.get() as usize,
            resumed: meter.resumed.get(),
            bytes_on_the_wire: meter.bytes_wire.get(),
            bytes_decoded: meter.bytes_decoded.get(),
            latency_ms: latency(&harvest.latencies),
            pages_per_second: harvest.latencies.len() as f64 / seconds.max(f64::MIN_POSITIVE),
            cpu_seconds: usage::cpu_time().map(|time| time.as_secs_f64()),
            peak_memory_bytes: None,
            workers: asked.widths.workers,
            readers: asked.widths.readers,
            files: Vec::new(),
        }
    }
}

fn failure_report(failure: &Failure, source: &Source) -> FailureReport {
    FailureReport {
        path: failure.link.path.clone(),
        address: source.address(&failure.link.path),
        error: failure.error.clone(),
    }
}

fn missing(companies: impl Iterator<Item = Company>) -> Missing {
    let mut missing = FIGURES.map(|expected| (expected.figure, Vec::new()));
    for company in companies {
        for (expected, (_, codes)) in FIGURES.iter().zip(&mut missing) {
            if !(expected.is_there)(&company) {
                codes.push(company.page.code.clone());
            }
        }
    }
    Missing(missing.into())
}

fn notes(companies: impl Iterator<Item = Company>) -> Vec<Note> {
    let of_page = |CompanyPage { code, notes, .. }: CompanyPage| {
        let note = move |note| Note {
            code: code.clone(),
            note,
        };
        notes.into_iter().map(note)
    };
    companies
        .flat_map(|company| of_page(company.page))
        .collect()
}

/// Percentiles by the nearest-rank method: the smallest value that at least so many per cent of
/// the values do not exceed.
fn latency(sorted: &[u32]) -> Option<Latency> {
    let milliseconds = |micros: &u32| f64::from(*micros) / 1e3;
    let percentile = |per_cent: usize| {
        let rank = (sorted.len() * per_cent).div_ceil(100).max(1);
        sorted.get(rank - 1).map(milliseconds)
    };
    Some(Latency {
        p50: percentile(50)?,
        p90: percentile(90)?,
        p99: percentile(99)?,
        max: percentile(100)?,
    })
}
