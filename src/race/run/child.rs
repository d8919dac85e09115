//! The child processes of a race: the server, and one run of a contender.

use std::fs::{self, File};
use std::io::{self, BufRead, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::pipeline::harvest::Harvest;
use crate::race::contenders::ALL;
use crate::race::contenders::extract::Extract;
use crate::race::contenders::task::Task;
use crate::race::stats;
use crate::replica::tls::server_config;
use crate::replica::{Counts, Event, Line, Market, Pages, SEED, Server};
use crate::results::prices::Prices;
use crate::results::ranking::{Figure, PeRange, ranking};
use crate::results::report;
use crate::results::table;
use crate::site::company::Company;
use crate::site::currency::Currency;
use crate::site::rates::Rates;
use crate::source::origin::Origin;
use crate::telemetry::usage;
use crate::warc::reader::Archive;

/// File with the [`Measurement`] of a run.
pub const MEASUREMENT_FILE: &str = "result.json";
/// File with all companies of the answer, or with one line for each address of a list.
pub const COMPANIES_FILE: &str = "companies.ndjson";
/// File with the timeline of the workers.
pub const TIMELINE_FILE: &str = "timeline.json";

/// The options of the server process.
#[derive(Debug, Serialize, Deserialize)]
pub struct ServeOptions {
    pub from: String,
    pub companies: usize,
    pub latency_ms: u64,
    pub jitter_ms: u64,
    /// Megabits per second.
    pub bandwidth: Option<f64>,
    /// Certificate and private key of the server in PEM; `None` for plain HTTP.
    pub certificate: Option<PathBuf>,
}

/// What the server says for each line on stdin.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct ServerStatus {
    pub counts: Counts,
    /// CPU time in seconds. 0 if the system does not report it.
    pub cpu_s: f64,
}

/// What a run of a contender measures of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measurement {
    /// From the first request to the answer.
    pub wall_s: f64,
    /// CPU time in the same span in seconds, with that of child processes. `None` if the system does not
    /// report it.
    pub cpu_s: Option<f64>,
    pub pages: usize,
    pub failures: usize,
    pub requests: u64,
    /// Bytes of all bodies before inflating.
    pub bytes: u64,
    /// Peak memory in bytes of this process or of one of its children, whichever is larger.
    pub peak_memory: Option<u64>,
    pub latency_p50_ms: f64,
    pub latency_p99_ms: f64,
}

/// Serves pages until stdin closes. Writes its address to stdout, then its counters as JSON for
/// each line on stdin.
pub fn serve(options: &ServeOptions) -> anyhow::Result<()> {
    let from: Origin = options.from.parse().map_err(|error| anyhow!("{error}"))?;
    let pages = match from {
        Origin::Archive(path) => Pages::of_archive(&Archive::open(&path)?),
        _ => Pages::of_market(&Market::embedded(Some(options.companies), SEED)),
    };
    let line = Line {
        latency: Duration::from_millis(options.latency_ms),
        jitter: Duration::from_millis(options.jitter_ms),
        bandwidth: options.bandwidth.map(|megabits| megabits * 1e6),
        seed: SEED,
    };
    let read = |file| server_config(&fs::read_to_string(file)?);
    let tls = options.certificate.as_ref().map(read).transpose()?;
    let observer = |event: Event| {
        if let Event::Overload(_) = event {
            eprintln!("{event}");
        }
    };
    let server = Server::start_with_tls(pages, 0, line, Some(observer), tls)?;
    println!("{}", server.address());
    for line in io::stdin().lock().lines() {
        line?;
        let status = ServerStatus {
            counts: server.counts(),
            cpu_s: cpu_seconds().unwrap_or(0.0),
        };
        println!("{}", serde_json::to_string(&status)?);
    }
    Ok(())
}

/// Runs one contender and writes its measurement and its answer to the task's folder.
pub fn run(task: &Task) -> anyhow::Result<()> {
    let contender = ALL
        .iter()
        .find(|contender| contender.name == task.name)
        .context("no such contender")?;
    contender
        .require_files(task.workers)
        .map_err(|error| anyhow!(error))?;
    let counters = Arc::new(task.counters());
    let cpu_before = cpu_seconds();
    let started = Instant::now();
    let (mut harvest, rates) = (contender.run)(task, &counters).map_err(|error| anyhow!(error))?;
    if let Some(fault) = task.fault {
        fault.inject(&mut harvest);
    }
    let ledger = harvest.ledger();
    let results = Results::of(harvest);
    let wall_s = started.elapsed().as_secs_f64();
    let cpu_s = cpu_seconds()
        .zip(cpu_before)
        .map(|(after, before)| after - before);

    let latencies = &results.harvest.latencies;
    let latency_ms = |percent| {
        stats::percentile_of_sorted(latencies, percent)
            .map_or(0.0, |micros| f64::from(micros) / 1e3)
    };
    let measurement = Measurement {
        wall_s,
        cpu_s,
        pages: latencies.len(),
        failures: ledger.failed + ledger.not_attempted,
        requests: counters.requests.get(),
        bytes: counters.bytes_wire.get(),
        peak_memory: usage::peak_memory().max(usage::peak_memory_of_children()),
        latency_p50_ms: latency_ms(50),
        latency_p99_ms: latency_ms(99),
    };
    fs::write(task.out.join(MEASUREMENT_FILE), report::json(&measurement))?;
    if let Some(timeline) = counters.trace.take_timeline() {
        fs::write(task.out.join(TIMELINE_FILE), serde_json::to_vec(&timeline)?)?;
    }
    if task.work.index().is_some() {
        results.write_rankings(&task.out, rates)?;
    } else {
        fs::write(task.out.join(COMPANIES_FILE), results.list_lines.concat())?;
    }
    Ok(())
}

/// CPU time of this process and of its children that have ended.
fn cpu_seconds() -> Option<f64> {
    let children = usage::cpu_time_of_children().unwrap_or_default();
    usage::cpu_time().map(|own| (own + children).as_secs_f64())
}

/// The harvest of a contender, in an order that does not depend on its threads.
struct Results {
    /// Companies, if the contender parsed any, and sorted latencies.
    harvest: Harvest,
    /// A line of JSON for each address of a list, and for each failure.
    list_lines: Vec<Vec<u8>>,
}

impl Results {
    fn of(extracts: Harvest<Extract>) -> Self {
        let mut harvest = Harvest {
            latencies: extracts.latencies,
            ..Harvest::default()
        };
        let mut list_lines = Vec::new();
        for company in extracts.companies {
            let path = company.path;
            match company.page {
                Extract::Company(page) => harvest.companies.push(Company {
                    page,
                    path,
                    currency: company.currency,
                    is_redirected: company.is_redirected,
                    growth: company.growth,
                    index_note: company.index_note,
                }),
                Extract::Fetched { bytes } => {
                    list_lines.push(report::json_line(&json!({"address": path, "bytes": bytes})));
                }
                Extract::Headings { bytes, counts } => list_lines.push(report::json_line(
                    &json!({"address": path, "bytes": bytes, "headings": counts}),
                )),
            }
        }
        // Clients word errors differently, except for an HTTP status. All other errors become one
        // text, so that answers can be compared.
        list_lines.extend(extracts.failures.iter().map(|failure| {
            let error = Some(failure.error.to_string())
                .filter(|error| error.starts_with("HTTP status"))
                .unwrap_or("no answer".to_owned());
            report::json_line(&json!({"address": failure.path, "error": error}))
        }));
        list_lines.sort();
        harvest.settle();
        Results {
            harvest,
            list_lines,
        }
    }

    fn write_rankings(&self, out: &Path, rates: Option<Rates>) -> anyhow::Result<()> {
        let companies = &self.harvest.companies;
        let rates = rates.context("the contender has fetched no rates")?;
        let prices = Prices::new(companies, Ok(rates), Currency::RUB);
        let file = BufWriter::new(File::create(out.join(COMPANIES_FILE))?);
        table::write(companies, &prices, table::Format::NdJson, file)?;
        for figure in Figure::ALL {
            let places = ranking(companies, figure, &prices, PeRange::Any, 10);
            fs::write(out.join(figure.file_name()), report::json(&places))?;
        }
        Ok(())
    }
}
