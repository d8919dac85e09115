//! Child processes of this binary: paths in, one JSON line for each company out.

use std::io::{BufRead, BufReader, Write, stdin, stdout};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use indexrank::company::CompanyPage;
use indexrank::harvest::Harvest;
use indexrank::index::Link;
use indexrank::meter::Meter;
use indexrank::page::{PageError, Reason};
use serde::{Deserialize, Serialize};

use super::{Answer, Task, pool};

/// What a child says of a page: the company, or why there is none, and how long the page took.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    page: Result<CompanyPage, String>,
    seconds: f64,
}

pub fn run(task: &Task) -> Answer {
    pool(task, |_, _, links| {
        feed(task, links.into_iter()).map_err(|error| format!("a child process: {error}"))
    })
}

/// Gives a child one path after the other and takes what it says.
fn feed(task: &Task, links: impl Iterator<Item = Link>) -> std::io::Result<Harvest> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["worker", &task.site])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut paths = child.stdin.take().expect("piped");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut harvest = Harvest::default();
    for link in links {
        paths.write_all(format!("{}\n", link.path).as_bytes())?;
        let line = lines.next().ok_or(std::io::ErrorKind::UnexpectedEof)??;
        let told: Told = serde_json::from_str(&line)?;
        harvest
            .latencies
            .push(Duration::from_secs_f64(told.seconds));
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
pub fn worker(site: &str) -> std::io::Result<()> {
    let task = Task {
        site: site.to_owned(),
        index: String::new(),
        workers: 1,
    };
    let (source, meter, mut buffer) = (task.source(), Meter::default(), Vec::new());
    for path in stdin().lock().lines() {
        let started = Instant::now();
        let page = source.get(&path?, Vec::new(), &meter);
        let seconds = started.elapsed().as_secs_f64();
        let page = page.and_then(|page| indexrank::pipeline::read(&page, &mut buffer, &meter));
        let mut line = serde_json::to_vec(&Told {
            page: page.map_err(|error| error.to_string()),
            seconds,
        })?;
        line.push(b'\n');
        stdout().lock().write_all(&line)?;
    }
    Ok(())
}
