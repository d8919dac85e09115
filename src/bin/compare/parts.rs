//! The processes of a race, seen from inside: the server and one run of a contender.

use std::fs;
use std::io::{self, BufRead, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use indexrank::archive::Archive;
use indexrank::harvest::Ledger;
use indexrank::rank::{Figure, PeRange, ranking};
use indexrank::replica::{Market, Pages, SEED, Server};
use indexrank::report;
use indexrank::source::Origin;
use indexrank::table;
use serde::{Deserialize, Serialize};

use crate::contenders::{ALL, Task};

/// The file in which a run leaves what it measured of itself.
pub const RESULT: &str = "result.json";
/// The file with all companies of its answer.
pub const COMPANIES: &str = "companies.ndjson";

/// What a run of a contender says of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measured {
    /// From the first request to the answer.
    pub wall_s: f64,
    pub pages: usize,
    pub failures: usize,
    pub latency_p50_ms: f64,
    pub latency_p99_ms: f64,
}

/// Serves until stdin ends, and tells its counts for each line that comes in.
pub fn serve(from: &str, companies: usize, latency: u64) -> anyhow::Result<()> {
    let pages = match from.parse::<Origin>().map_err(|error| anyhow!(error))? {
        Origin::Archive(path) => Pages::of_archive(&Archive::open(&path)?),
        _ => Pages::of_market(&Market::embedded(Some(companies), SEED)),
    };
    let server = Server::start(pages, 0, Duration::from_millis(latency), None)?;
    println!("{}", server.address());
    for line in io::stdin().lock().lines() {
        line?;
        println!("{}", serde_json::to_string(&server.counts())?);
    }
    Ok(())
}

/// Runs one contender and leaves its measurements and its answer in a folder.
pub fn run(name: &str, task: &Task, out: &Path) -> anyhow::Result<()> {
    let contender = ALL
        .iter()
        .find(|contender| contender.name == name)
        .context("no such contender")?;
    let started = Instant::now();
    let (harvest, rate) = (contender.run)(task).map_err(|why| anyhow!(why))?;
    let wall_s = started.elapsed().as_secs_f64();

    let mut latencies: Vec<f64> = harvest
        .latencies
        .iter()
        .map(|time| time.as_secs_f64() * 1e3)
        .collect();
    latencies.sort_by(f64::total_cmp);
    let percentile = |per_cent: usize| {
        let rank = (latencies.len() * per_cent).div_ceil(100).max(1);
        latencies.get(rank - 1).copied().unwrap_or(0.0)
    };
    let Ledger {
        failed,
        not_attempted,
        ..
    } = harvest.ledger();
    let measured = Measured {
        wall_s,
        pages: latencies.len(),
        failures: failed + not_attempted,
        latency_p50_ms: percentile(50),
        latency_p99_ms: percentile(99),
    };
    write(out, RESULT, &report::json(&measured))?;
    if contender.answers {
        let companies = table::write(&harvest.companies, Some(&rate), table::Format::NdJson)?;
        write(out, COMPANIES, &companies)?;
        for figure in Figure::ALL {
            let places = ranking(&harvest.companies, figure, Some(&rate), PeRange::Any, 10);
            write(out, report::file_name(figure), &report::json(&places))?;
        }
    }
    Ok(())
}

fn write(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    fs::File::create(folder.join(name))?.write_all(content)
}
