//! Child processes of this binary: paths in, one JSON line for each page out.

use std::io::{BufRead, BufReader, Write, stdin, stdout};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use indexrank::http::page::{PageError, Reason};
use indexrank::pipeline::harvest::Harvest;
use indexrank::site::index::Link;
use indexrank::telemetry::counters::Meter;
use indexrank::telemetry::trace::{Role, Span};
use serde::{Deserialize, Serialize};

use super::{Answer, Worker, pool};
use crate::task::{Seen, Task};

/// What a child says of a page: what it has seen, or why nothing, and what that took.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    page: Result<Seen, String>,
    latency: Option<u32>,
    bytes: u64,
    /// Empty where nothing is traced. The first begins when the request was sent.
    spans: Vec<Span>,
}

pub fn run(task: &Task, meter: &Arc<Meter>) -> Answer {
    pool(task, meter, |_, links| {
        feed(task, meter, links.into_iter()).map_err(|error| format!("a child process: {error}"))
    })
}

/// Gives a child one path after the other and takes what it says.
fn feed(
    task: &Task,
    meter: &Meter,
    links: impl Iterator<Item = Link>,
) -> std::io::Result<Harvest<Seen>> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["worker", &serde_json::to_string(task)?])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut paths = child.stdin.take().expect("piped");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut harvest = Harvest::default();
    let mut lane = meter.lane(Role::Worker);
    for link in links {
        lane.about(&link.path);
        let asked = Instant::now();
        paths.write_all(format!("{}\n", link.path).as_bytes())?;
        let line = lines.next().ok_or(std::io::ErrorKind::UnexpectedEof)??;
        let told: Told = serde_json::from_str(&line)?;
        meter.requests.add(1);
        meter.bytes_wire.add(told.bytes);
        let began = told.spans.first().map_or(0, |span| span.start);
        for span in told.spans {
            let at = |micros| asked + Duration::from_micros(micros - began);
            lane.note(span.phase, at(span.start), at(span.end));
        }
        harvest.latencies.extend(told.latency);
        harvest.add(
            link,
            told.page.map_err(|why| PageError::new(Reason::Status, why)),
        );
    }
    drop(paths);
    child.wait()?;
    Ok(harvest)
}

/// The child: reads paths until there are no more.
pub fn worker(task: &Task) -> anyhow::Result<()> {
    let (source, meter) = (task.source().map_err(anyhow::Error::msg)?, task.meter());
    let mut worker = Worker::new(task, &source, &meter);
    for path in stdin().lock().lines() {
        let before = meter.bytes_wire.get();
        worker.visit(Link::to(path?));
        let mut harvest = std::mem::take(&mut worker.harvest);
        let failed = || {
            Err(harvest
                .failures
                .first()
                .map_or(String::new(), |failure| failure.error.to_string()))
        };
        let mut line = serde_json::to_vec(&Told {
            page: harvest
                .companies
                .iter()
                .next()
                .map_or_else(failed, |company| Ok(company.page)),
            latency: harvest.latencies.pop(),
            bytes: meter.bytes_wire.get() - before,
            spans: worker.lane.take(),
        })?;
        line.push(b'\n');
        stdout().lock().write_all(&line)?;
    }
    Ok(())
}
