//! Child processes of this binary. Each reads paths from stdin and writes one line of JSON for each
//! page.

use std::io::{BufRead, BufReader, Write, stdin, stdout};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use serde::{Deserialize, Serialize};

use super::contender::Contender;
use super::shared::{Outcome, Worker, add, worker_pool};
use crate::http::error::{PageError, Reason};
use crate::pipeline::harvest::Harvest;
use crate::race::contenders::extract::Extract;
use crate::race::contenders::task::Task;
use crate::site::index::Link;
use crate::source::Source;
use crate::telemetry::counters::Counters;
use crate::telemetry::trace::{Label, Span};

pub const CONTENDER: Contender = Contender {
    name: "processes",
    description: "child processes, addresses in, JSON out",
    run,
    // A child has 12 MB, so 1,024 of them would need 12 GB.
    max_in_flight: 64,
    // Two pipes to its child, and the connection for an index page.
    files_per_page: 3,
};

/// The line that a child writes for a page.
#[derive(Debug, Serialize, Deserialize)]
struct PageReport {
    /// What the child extracted from the page, or why it failed.
    page: Result<Extract, String>,
    /// Microseconds that the request took; `None` if no page came.
    latency: Option<u32>,
    bytes: u64,
    /// Empty without a trace. The first span begins when the request is sent.
    spans: Vec<Span>,
}

fn run(task: &Task, counters: &Arc<Counters>) -> Outcome {
    worker_pool(task, counters, |source, links| {
        feed(task, source, counters, links).map_err(|error| format!("a child process: {error}"))
    })
}

/// Starts a child, sends it one path after the other and collects its reports.
fn feed(
    task: &Task,
    source: &Source,
    counters: &Counters,
    links: Receiver<Link>,
) -> std::io::Result<Harvest<Extract>> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["race", "worker", &serde_json::to_string(task)?])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut paths = child.stdin.take().expect("piped");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut harvest = Harvest::default();
    let mut lane = counters.lane(Label::Worker);
    for link in links {
        lane.set_path(link.path.clone());
        // The request of the child counts like one of this process, which fetches the index pages.
        let permit = source.pages_host.throttle.acquire();
        let permit = permit.map_err(std::io::Error::other)?;
        let sent_at = Instant::now();
        paths.write_all(format!("{}\n", link.path).as_bytes())?;
        let line = lines.next().ok_or(std::io::ErrorKind::UnexpectedEof)??;
        drop(permit);
        let report: PageReport = serde_json::from_str(&line)?;
        counters.requests.add(1);
        counters.bytes_wire.add(report.bytes);
        // Map the child's clock to this process: its first span starts when the path was sent.
        let first_start = report.spans.first().map_or(0, |span| span.start);
        for span in report.spans {
            let at = |micros| sent_at + Duration::from_micros(micros - first_start);
            lane.record(span.phase, at(span.start), at(span.end));
        }
        harvest.latencies.extend(report.latency);
        let page = report
            .page
            .map_err(|error| PageError::new(Reason::Status, error));
        add(&mut harvest, link, page);
    }
    // The child ends when its stdin closes.
    drop(paths);
    child.wait()?;
    Ok(harvest)
}

/// The child process: visits each path that it reads from stdin, until stdin closes.
pub fn worker(task: &Task) -> anyhow::Result<()> {
    let source = task.source().map_err(anyhow::Error::msg)?;
    let counters = task.counters();
    let mut worker = Worker::new(task, &source, &counters);
    for path in stdin().lock().lines() {
        let bytes_before = counters.bytes_wire.get();
        worker.visit(Link::to(path?));
        let mut harvest = std::mem::take(&mut worker.harvest);
        let page = match harvest.companies.pop() {
            Some(company) => Ok(company.page),
            None => Err(harvest
                .failures
                .first()
                .map_or(String::new(), |failure| failure.error.to_string())),
        };
        let mut line = serde_json::to_vec(&PageReport {
            page,
            latency: harvest.latencies.pop(),
            bytes: counters.bytes_wire.get() - bytes_before,
            spans: worker.lane.take(),
        })?;
        line.push(b'\n');
        stdout().lock().write_all(&line)?;
    }
    Ok(())
}
