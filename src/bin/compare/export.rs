//! The results as JSON, one entry for each condition and entrant; as CSV, one row for each run; as
//! traces, one for each timeline.

use serde_json::{Map, Value, json};

use crate::cli::RaceArgs;
use crate::contenders::cores;
use crate::round_set::{Entry, Heat};

/// What decides how fast a contender is, by the names of the packages.
const LIBRARIES: [&str; 10] = [
    "ureq",
    "libdeflater",
    "rayon",
    "crossbeam-channel",
    "scraper",
    "quick-xml",
    "flate2",
    "zlib-rs",
    "reqwest",
    "tokio",
];
const LOCK: &str = include_str!("../../../Cargo.lock");

pub fn json(args: &RaceArgs, heats: &[Heat]) -> Value {
    let results: Vec<Value> = heats
        .iter()
        .flat_map(|heat| heat.entries.iter().map(move |entry| result(heat, entry)))
        .collect();
    let (rounds, _) = args.rounds();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "versions": versions(),
        "machine": {
            "os": std::env::consts::OS,
            "arch": std::env::consts::ARCH,
            "cpu": cpu(),
            "cores": cores(),
        },
        "options": {
            "from": args.urls.is_none().then(|| args.from.to_string()),
            "urls": args.urls,
            "companies": args.companies,
            "work": args.work.name(),
            "latency_ms": args.latencies(),
            "jitter_ms": args.jitter,
            "bandwidth_mbit": args.bandwidth,
            "workers": args.widths(),
            "rounds": rounds,
        },
        "results": results,
    })
}

/// Versions of the libraries, as they were locked when this program was built.
fn versions() -> Map<String, Value> {
    let version = |name: &str| {
        let (_, after) = LOCK.split_once(&format!("\nname = \"{name}\"\nversion = \""))?;
        Some((name.to_owned(), after.split_once('"')?.0.into()))
    };
    LIBRARIES.into_iter().filter_map(version).collect()
}

/// The processor's name for itself, where the system tells it.
fn cpu() -> Option<String> {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = cpuinfo
        .lines()
        .find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn result(heat: &Heat, entry: &Entry) -> Value {
    json!({
        "name": entry.entrant.name(),
        "latency_ms": heat.latency_ms,
        "workers": heat.workers,
        "rounds": entry.runs.len(),
        "wall_s": entry.wall(),
        "pages_per_s": entry.pages_per_s(),
        "cpu_ms_per_page": entry.cpu_ms_per_page(),
        "peak_mb": entry.median(|run| run.peak_mb),
        "requests": entry.median(|run| run.traffic.requests as f64),
        "connections": entry.connections(),
        "digest": entry.runs.first().and_then(|run| run.answer.digest()),
        "samples": entry.walls(),
        "failures": entry.runs.first().and_then(|run| run.measured.as_ref()).map(|measured| measured.failures),
        "broken": entry.broken,
        "differs": entry.differs,
    })
}

pub fn csv(heats: &[Heat]) -> anyhow::Result<Vec<u8>> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record([
        "name",
        "latency_ms",
        "workers",
        "wall_s",
        "cpu_s",
        "peak_mb",
        "requests",
        "connections",
        "bytes",
    ])?;
    for heat in heats {
        for entry in &heat.entries {
            for run in &entry.runs {
                let traffic = run.traffic;
                csv.write_record([
                    entry.entrant.name().to_owned(),
                    heat.latency_ms.to_string(),
                    heat.workers.to_string(),
                    run.wall_s.to_string(),
                    run.cpu_s.to_string(),
                    run.peak_mb.to_string(),
                    traffic.requests.to_string(),
                    traffic
                        .connections
                        .map_or(String::new(), |count| count.to_string()),
                    traffic.bytes.to_string(),
                ])?;
            }
        }
    }
    Ok(csv.into_inner().map_err(|error| error.into_error())?)
}

/// Name and content of each trace.
pub fn traces(heats: &[Heat]) -> impl Iterator<Item = (String, Vec<u8>)> {
    heats.iter().flat_map(|heat| {
        heat.entries.iter().filter_map(|entry| {
            let name = trace_name(entry.entrant.name(), heat.latency_ms, heat.workers);
            Some((name, entry.timeline.as_ref()?.chrome()))
        })
    })
}

/// `pipeline-20ms-32.json`
pub fn trace_name(name: &str, latency_ms: u64, workers: u64) -> String {
    format!("{name}-{latency_ms}ms-{workers}.json")
}
