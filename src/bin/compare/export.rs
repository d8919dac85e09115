//! The results as JSON, one entry for each condition and entrant, and as CSV, one row for each run.

use indexrank::report;
use serde_json::{Value, json};

use crate::cli::RaceArgs;
use crate::contenders::cores;
use crate::show::median;
use crate::stats::Spread;
use crate::{Entry, Heat, walls};

pub fn json(args: &RaceArgs, heats: &[Heat]) -> Vec<u8> {
    let results: Vec<Value> = heats
        .iter()
        .flat_map(|heat| heat.entries.iter().map(move |entry| result(heat, entry)))
        .collect();
    report::json(&json!({
        "version": env!("CARGO_PKG_VERSION"),
        "machine": {
            "os": std::env::consts::OS,
            "arch": std::env::consts::ARCH,
            "cores": cores(),
        },
        "options": {
            "from": args.from.to_string(),
            "companies": args.companies,
            "latency_ms": args.latency,
            "workers": args.workers,
            "rounds": args.rounds,
        },
        "results": results,
    }))
}

fn result(heat: &Heat, entry: &Entry) -> Value {
    let wall = Spread::of(&walls(entry));
    let requests = median(entry, |run| run.counts.requests as f64);
    json!({
        "name": entry.entrant.name(),
        "latency_ms": heat.latency_ms,
        "workers": heat.workers,
        "rounds": entry.runs.len(),
        "wall_s": wall,
        "pages_per_s": requests.zip(wall).map(|(requests, wall)| requests / wall.median),
        "cpu_ms_per_page": median(entry, |run| run.cpu_s * 1e3 / (run.counts.requests as f64).max(1.0)),
        "peak_mb": median(entry, |run| run.peak_mb),
        "requests": requests,
        "connections": median(entry, |run| run.counts.connections as f64),
        "digest": entry.runs.first().and_then(|run| run.answer.digest()),
        "samples": walls(entry),
        "broken": entry.broken,
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
                csv.write_record([
                    entry.entrant.name().to_owned(),
                    heat.latency_ms.to_string(),
                    heat.workers.to_string(),
                    run.wall_s.to_string(),
                    run.cpu_s.to_string(),
                    run.peak_mb.to_string(),
                    run.counts.requests.to_string(),
                    run.counts.connections.to_string(),
                    run.counts.bytes.to_string(),
                ])?;
            }
        }
    }
    Ok(csv.into_inner().map_err(|error| error.into_error())?)
}
