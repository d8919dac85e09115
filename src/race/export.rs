//! Output files for other programs. JSON has one result for each participant in each round set, CSV
//! one row for each run, and a trace one timeline.

use serde_json::{Map, Value, json};

use crate::race::findings::bottleneck::Bottleneck;
use crate::race::findings::round_set::{Entry, RoundSet};
use crate::race::findings::verdict;
use crate::race::machine::{cores, cpu};
use crate::race::options::RaceArgs;
use crate::telemetry::trace::Timeline;

/// Packages that decide how fast a contender is.
const LIBRARIES: [&str; 16] = [
    "ureq",
    "ureq-proto",
    "libdeflater",
    "rayon",
    "crossbeam-channel",
    "scraper",
    "quick-xml",
    "flate2",
    "zlib-rs",
    "httparse",
    "hyper",
    "hyper-util",
    "reqwest",
    "tokio",
    "tokio-rustls",
    "rustls",
];
const LOCK: &str = include_str!("../../Cargo.lock");

pub fn json(args: &RaceArgs, sets: &[RoundSet]) -> Value {
    let results: Vec<Value> = sets
        .iter()
        .flat_map(|set| {
            let bottleneck = Bottleneck::of(args, set);
            let least = bottleneck.map(|bottleneck| bottleneck.minimum());
            let entries = set.entries.iter();
            entries.map(move |entry| result(set, entry, least))
        })
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
            "companies": args.companies(),
            "work": args.work.name(),
            "latency_ms": args.latencies(),
            "jitter_ms": args.jitter,
            "bandwidth_mbit": args.bandwidth,
            "tls": args.tls,
            "workers": args.worker_counts(),
            "rounds": rounds,
        },
        "answer": verdict::sentences(args, sets),
        "results": results,
    })
}

/// Versions of these packages in the lock file of this build.
fn versions() -> Map<String, Value> {
    let version = |name: &str| {
        let (_, after) = LOCK.split_once(&format!("\nname = \"{name}\"\nversion = \""))?;
        Some((name.to_owned(), after.split_once('"')?.0.into()))
    };
    LIBRARIES.into_iter().filter_map(version).collect()
}

fn result(set: &RoundSet, entry: &Entry, least_possible_s: Option<f64>) -> Value {
    let handshakes = entry.handshakes();
    let first = entry.runs.first();
    let measurement = first.and_then(|run| run.measurement.as_ref());
    json!({
        "name": entry.name(),
        "latency_ms": set.condition.latency_ms,
        "workers": set.condition.workers,
        "rounds": entry.runs.len(),
        "copied": entry.is_copied,
        "wall_s": entry.wall(),
        "least_possible_s": least_possible_s,
        "pages_per_s": entry.pages_per_s(),
        "cpu_ms_per_page": entry.cpu_ms_per_page(),
        "peak_mb": entry.median(|run| run.peak_mb),
        "requests": entry.requests(),
        "connections": entry.connections(),
        "handshakes": handshakes.map(|(all, _)| all),
        "resumed_handshakes": handshakes.map(|(_, resumed)| resumed),
        "dropped_connections": entry.dropped_connections(),
        "digest": first.and_then(|run| run.answer.digest()),
        "samples": entry.walls(),
        "failures": measurement.map(|measurement| measurement.failures),
        "broken": entry.broken,
        "differs": entry.differs,
    })
}

pub fn csv(sets: &[RoundSet]) -> anyhow::Result<Vec<u8>> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record([
        "name",
        "latency_ms",
        "workers",
        "round",
        "wall_s",
        "cpu_s",
        "server_cpu_s",
        "peak_mb",
        "requests",
        "connections",
        "bytes",
        "handshakes",
        "resumed_handshakes",
        "dropped_connections",
    ])?;
    for set in sets {
        for entry in &set.entries {
            // Copied runs are rows of the round set that they were counted in.
            for run in entry.runs.iter().filter(|_| !entry.is_copied) {
                let traffic = run.traffic;
                let or_empty =
                    |count: Option<u64>| count.map_or(String::new(), |it| it.to_string());
                let (handshakes, resumed) = traffic.handshakes.unzip();
                csv.write_record([
                    entry.name().to_owned(),
                    set.condition.latency_ms.to_string(),
                    set.condition.workers.to_string(),
                    run.round.to_string(),
                    run.wall_s.to_string(),
                    run.cpu_s.to_string(),
                    run.server_cpu_s.to_string(),
                    run.peak_mb.to_string(),
                    traffic.requests.to_string(),
                    or_empty(traffic.connections),
                    traffic.bytes.to_string(),
                    or_empty(handshakes),
                    or_empty(resumed),
                    or_empty(run.dropped_connections),
                ])?;
            }
        }
    }
    Ok(csv.into_inner().map_err(|error| error.into_error())?)
}

/// File name and timeline of each trace of a round set.
pub fn traces(set: &RoundSet) -> impl Iterator<Item = (String, &Timeline)> {
    set.entries.iter().filter_map(|entry| {
        let name = trace_name(
            entry.name(),
            set.condition.latency_ms,
            set.condition.workers,
        );
        Some((name, entry.timeline.as_ref()?))
    })
}

/// `pipeline-20ms-32.json`
pub fn trace_name(name: &str, latency_ms: u64, workers: u64) -> String {
    format!("{name}-{latency_ms}ms-{workers}.json")
}
