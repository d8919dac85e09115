//! The processes of a race, seen from inside: the server and one run of a contender.

use std::fs;
use std::io::{self, BufRead};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use indexrank::pipeline::harvest::{Company, Harvest};
use indexrank::replica::{Line, Market, Pages, SEED, Server};
use indexrank::results::ranking::{Figure, PeRange, ranking};
use indexrank::results::report;
use indexrank::results::table;
use indexrank::source::Origin;
use indexrank::telemetry::usage;
use indexrank::warc::reader::Archive;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::contenders::ALL;
use crate::stats;
use crate::task::{Seen, Task};

/// The file in which a run leaves what it measured of itself.
pub const RESULT: &str = "result.json";
/// The file with all companies of its answer, or with what was seen of each address.
pub const COMPANIES: &str = "companies.ndjson";
/// The file that tells what its workers did when.
pub const TIMELINE: &str = "timeline.json";

/// What a server is told.
#[derive(Debug, Serialize, Deserialize)]
pub struct Serving {
    pub from: String,
    pub companies: usize,
    pub latency_ms: u64,
    pub jitter_ms: u64,
    /// Megabits per second.
    pub bandwidth: Option<f64>,
}

/// What a run of a contender says of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measured {
    /// From the first request to the answer.
    pub wall_s: f64,
    pub pages: usize,
    pub failures: usize,
    pub requests: u64,
    /// Of bodies, as they came.
    pub bytes: u64,
    /// The most memory of this process, or of one of its children if that was more, in bytes.
    pub peak_memory: Option<u64>,
    pub latency_p50_ms: f64,
    pub latency_p99_ms: f64,
}

/// Serves until stdin ends, and tells its counts for each line that comes in.
pub fn serve(serving: &Serving) -> anyhow::Result<()> {
    let pages = match serving
        .from
        .parse::<Origin>()
        .map_err(|error| anyhow!(error))?
    {
        Origin::Archive(path) => Pages::of_archive(&Archive::open(&path)?),
        _ => Pages::of_market(&Market::embedded(Some(serving.companies), SEED)),
    };
    let line = Line {
        latency: Duration::from_millis(serving.latency_ms),
        jitter: Duration::from_millis(serving.jitter_ms),
        bandwidth: serving.bandwidth.map(|megabits| megabits * 1e6),
        seed: SEED,
    };
    let server = Server::start(pages, 0, line, None)?;
    println!("{}", server.address());
    for line in io::stdin().lock().lines() {
        line?;
        println!("{}", serde_json::to_string(&server.counts())?);
    }
    Ok(())
}

/// Runs one contender and leaves its measurements and its answer in a folder.
pub fn run(task: &Task) -> anyhow::Result<()> {
    let contender = ALL
        .iter()
        .find(|contender| contender.name == task.name)
        .context("no such contender")?;
    let meter = Arc::new(task.meter());
    let started = Instant::now();
    let (mut harvest, rate) = (contender.run)(task, &meter).map_err(|why| anyhow!(why))?;
    if let Some(fault) = task.fault {
        fault.commit(&mut harvest);
    }
    let ledger = harvest.ledger();
    let answer = Answer::of(harvest);
    let wall_s = started.elapsed().as_secs_f64();

    let percentile = |percent| {
        let time = stats::percentile_of_sorted(&answer.companies.latencies, percent);
        time.map_or(0.0, |micros| f64::from(micros) / 1e3)
    };
    let measured = Measured {
        wall_s,
        pages: answer.companies.latencies.len(),
        failures: ledger.failed + ledger.not_attempted,
        requests: meter.requests.get(),
        bytes: meter.bytes_wire.get(),
        peak_memory: usage::peak_memory().max(usage::peak_memory_of_children()),
        latency_p50_ms: percentile(50),
        latency_p99_ms: percentile(99),
    };
    let write = |name: &str, content: &[u8]| fs::write(task.out.join(name), content);
    write(RESULT, &report::json(&measured))?;
    if let Some(timeline) = meter.trace.timeline() {
        write(TIMELINE, &serde_json::to_vec(&timeline)?)?;
    }
    if !contender.answers {
        return Ok(());
    }
    if task.work.index().is_none() {
        write(COMPANIES, &answer.visits.concat())?;
        return Ok(());
    }
    let companies = &answer.companies.companies;
    write(
        COMPANIES,
        &table::write(companies.iter(), rate.as_ref(), table::Format::NdJson)?,
    )?;
    for figure in Figure::ALL {
        let places = ranking(companies.iter(), figure, rate.as_ref(), PeRange::Any, 10);
        write(report::file_name(figure), &report::json(&places))?;
    }
    Ok(())
}

/// What a contender brought home, in an order that does not depend on its ways.
struct Answer {
    companies: Harvest,
    /// What was seen of each address of a list, a line of JSON each.
    visits: Vec<Vec<u8>>,
}

impl Answer {
    fn of(harvest: Harvest<Seen>) -> Self {
        let mut companies = Harvest {
            latencies: harvest.latencies,
            ..Harvest::default()
        };
        let mut visits = Vec::new();
        for Company { page, path, growth } in harvest.companies.iter() {
            match page {
                Seen::Company(page) => companies.companies.push(&Company { page, path, growth }),
                Seen::Fetched { bytes } => {
                    visits.push(report::json_line(&json!({"address": path, "bytes": bytes})));
                }
                Seen::Visited { bytes, headings } => visits.push(report::json_line(
                    &json!({"address": path, "bytes": bytes, "headings": headings}),
                )),
                Seen::Nothing => {}
            }
        }
        // What else than a status went wrong, every client says in its own words.
        visits.extend(harvest.failures.iter().map(|failure| {
            let error = failure.error.to_string();
            let error = Some(error).filter(|error| error.starts_with("HTTP status"));
            let error = error.unwrap_or("no answer".to_owned());
            report::json_line(&json!({"address": failure.link.path, "error": error}))
        }));
        visits.sort();
        companies.settle();
        Answer { companies, visits }
    }
}
