//! Child processes of this binary: paths in, one JSON line for each company out.

use std::io::{BufRead, BufReader, Write, stdin, stdout};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use indexrank::company::CompanyPage;
use indexrank::harvest::Harvest;
use indexrank::meter::Meter;
use indexrank::page::{PageError, Reason};
use indexrank::walk::walk;
use serde::{Deserialize, Serialize};

use super::{Answer, Task, rate, settled};

/// What a child says of a page: the company, or why there is none, and how long the page took.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    page: Result<CompanyPage, String>,
    seconds: f64,
}

pub fn run(task: &Task) -> Answer {
    let (source, meter) = (&task.source(), &Meter::default());
    let (link_out, link_in) = bounded(2 * task.workers);
    thread::scope(|scope| {
        let rate = scope.spawn(|| rate(source, meter));
        let walker = scope.spawn(move || {
            walk(source, &task.index, task.workers, meter, |link| {
                link_out.send(link).is_ok()
            })
        });
        let children: Vec<_> = (0..task.workers)
            .map(|_| {
                let links = link_in.clone();
                scope.spawn(move || {
                    feed(task, links.into_iter())
                        .map_err(|error| format!("a child process: {error}"))
                })
            })
            .collect();
        drop(link_in);
        let mut harvest = Harvest::default();
        for child in children {
            harvest.absorb(child.join().expect("no panic")?);
        }
        let listed = walker
            .join()
            .expect("no panic")
            .map_err(|error| error.to_string())?;
        Ok((settled(harvest, listed), rate.join().expect("no panic")?))
    })
}

/// Gives a child one path after the other and takes what it says.
fn feed(
    task: &Task,
    links: impl Iterator<Item = indexrank::index::Link>,
) -> std::io::Result<Harvest> {
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
