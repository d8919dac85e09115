//! Rounds of runs: the server and every run a process of its own, measured from outside.

use std::convert::Infallible;
use std::fs;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use crossbeam_channel::{RecvTimeoutError, bounded};
use data_encoding::HEXLOWER;
use indexrank::replica::Counts;
use indexrank::telemetry::trace::Timeline;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::Value;
use sha1::{Digest, Sha1};
use wait4::Wait4;

use crate::child::{COMPANIES, Measured, RESULT, Serving, TIMELINE};
use crate::samples::{self, Moment};
use crate::task::{Task, Work};

/// One way to run: a contender of the table, or a program of the user's.
#[derive(Debug, Clone)]
pub enum Entrant {
    Own { name: &'static str, answers: bool },
    Also { name: String, command: String },
}

impl Entrant {
    pub fn name(&self) -> &str {
        match self {
            Entrant::Own { name, .. } => name,
            Entrant::Also { name, .. } => name,
        }
    }
}

/// What one run took and gave.
#[derive(Debug, Clone)]
pub struct Run {
    /// Of its own measure, or of the whole process for a program of the user's.
    pub wall_s: f64,
    pub cpu_s: f64,
    pub peak_mb: f64,
    pub measured: Option<Measured>,
    pub traffic: Traffic,
    pub answer: Answer,
    /// What its workers did when, if that was asked for.
    pub timeline: Option<Timeline>,
    /// How it went on, if that was asked for; empty where there is no server.
    pub course: Vec<Moment>,
}

impl Run {
    /// Pages that it says it went without.
    pub fn lost(&self) -> usize {
        self.measured
            .as_ref()
            .map_or(0, |measured| measured.failures)
    }
}

/// What was asked for and the size of the answers, as the server counted it; without a server, as
/// the run did.
#[derive(Debug, Clone, Copy)]
pub struct Traffic {
    pub requests: u64,
    pub bytes: u64,
    pub connections: Option<u64>,
}

/// The answer of a run, as far as it gave one: what files say, in a form that can be compared.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    pub companies: Option<String>,
    pub rankings: Vec<(String, Value)>,
}

/// A server in a process of its own.
pub struct Server {
    child: Child,
    questions: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    pub address: String,
}

impl Server {
    pub fn start(serving: &Serving) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", &serde_json::to_string(serving)?])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let questions = child.stdin.take().expect("piped");
        let mut answers = BufReader::new(child.stdout.take().expect("piped")).lines();
        let address = answers.next().context("the server ended")??;
        Ok(Server {
            child,
            questions,
            answers,
            address,
        })
    }

    pub fn counts(&mut self) -> Result<Counts> {
        self.questions.write_all(b"\n")?;
        let line = self.answers.next().context("the server ended")??;
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One run of one entrant, or why it failed. `is_followed` if its course is wanted too.
pub fn run(
    entrant: &Entrant,
    server: &mut Option<Server>,
    task: &Task,
    patience: Duration,
    is_followed: bool,
) -> Result<Result<Run, String>> {
    let folder = tempfile::tempdir()?;
    let errors = folder.path().join("stderr");
    let out = folder.path().join("out");
    fs::create_dir(&out)?;
    let mut command = match entrant {
        Entrant::Own { name, .. } => {
            let mut command = Command::new(std::env::current_exe()?);
            let task = Task {
                name: (*name).to_owned(),
                out: out.clone(),
                ..task.clone()
            };
            command.args(["run", &serde_json::to_string(&task)?]);
            command
        }
        Entrant::Also { command: line, .. } => {
            let mut command = Command::new("sh");
            command.args(["-c", line]);
            command
        }
    };
    command
        .env("INDEXRANK_SITE", &task.site)
        .env("INDEXRANK_RATES", &task.site)
        .env("INDEXRANK_OUT", &out);
    if let Work::Visit { list } = &task.work {
        command.env("INDEXRANK_URLS", list);
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(&errors)?);
    std::os::unix::process::CommandExt::process_group(&mut command, 0);

    let before = server.as_mut().map(Server::counts).transpose()?;
    let started = Instant::now();
    let mut child = command.spawn()?;
    let group = Pid::from_raw(child.id() as i32);
    let process = child.id();
    let (ended, has_ended) = bounded::<Infallible>(0);
    let has_ended = &has_ended;
    let (used, whole, hangs, course) = thread::scope(|scope| {
        let watchdog = scope.spawn(move || {
            let hangs = has_ended.recv_timeout(patience) == Err(RecvTimeoutError::Timeout);
            if hangs {
                let _ = killpg(group, Signal::SIGKILL);
            }
            hangs
        });
        let followed = server.as_mut().filter(|_| is_followed);
        let course =
            followed.map(|server| scope.spawn(move || samples::follow(process, server, has_ended)));
        let used = child.wait4();
        let whole = started.elapsed().as_secs_f64();
        drop(ended);
        let course = course.map(|course| course.join().expect("no panic"));
        let hangs = watchdog.join().expect("no panic");
        (used, whole, hangs, course.unwrap_or_default())
    });
    let used = used?;
    if hangs {
        return Ok(Err(format!("hangs: killed after {} s", patience.as_secs())));
    }
    let after = server.as_mut().map(Server::counts).transpose()?;
    if !used.status.success() {
        let said = fs::read_to_string(&errors).unwrap_or_default();
        let last = said
            .lines()
            .rfind(|line| !line.trim().is_empty())
            .unwrap_or("it said nothing");
        return Ok(Err(format!("failed with {}: {last}", used.status)));
    }
    let measured: Option<Measured> = match entrant {
        Entrant::Own { .. } => Some(serde_json::from_slice(&fs::read(out.join(RESULT))?)?),
        Entrant::Also { .. } => None,
    };
    let traffic = traffic(before.zip(after), measured.as_ref());
    let own_peak = measured.as_ref().and_then(|measured| measured.peak_memory);
    Ok(Ok(Run {
        wall_s: measured.as_ref().map_or(whole, |measured| measured.wall_s),
        cpu_s: (used.rusage.utime + used.rusage.stime).as_secs_f64(),
        // What the system tells of a process that was started here begins with the memory of this
        // one, so the contenders tell it of themselves.
        peak_mb: own_peak.unwrap_or(used.rusage.maxrss) as f64 / 1e6,
        measured,
        traffic,
        answer: answer(&out),
        timeline: fs::read(out.join(TIMELINE))
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok()),
        course,
    }))
}

fn traffic(counts: Option<(Counts, Counts)>, measured: Option<&Measured>) -> Traffic {
    match counts {
        Some((before, after)) => Traffic {
            requests: after.requests - before.requests,
            bytes: after.bytes - before.bytes,
            connections: Some(after.connections - before.connections),
        },
        None => Traffic {
            requests: measured.map_or(0, |measured| measured.requests),
            bytes: measured.map_or(0, |measured| measured.bytes),
            connections: None,
        },
    }
}

fn answer(out: &Path) -> Answer {
    let ranking = |name: &str| {
        let bytes = fs::read(out.join(name)).ok()?;
        // A file that is no JSON is another answer, not a missing one.
        Some((
            name.to_owned(),
            serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        ))
    };
    let names = [
        "price.json",
        "pe.json",
        "growth.json",
        "potential_profit.json",
    ];
    Answer {
        companies: fs::read_to_string(out.join(COMPANIES)).ok(),
        rankings: names.into_iter().filter_map(ranking).collect(),
    }
}

impl Answer {
    /// The first difference to the answer that is taken for right; none where both say the same, or
    /// this one says nothing.
    pub fn difference(&self, right: &Answer) -> Option<String> {
        for (name, expected) in right.rankings.iter().filter(|_| !self.rankings.is_empty()) {
            let Some((_, ranking)) = self.rankings.iter().find(|(other, _)| other == name) else {
                return Some(format!("there is no {name}"));
            };
            if same(ranking, expected) {
                continue;
            }
            let places = expected.as_array().into_iter().flatten().enumerate();
            let differs = |(at, place): &(usize, &Value)| {
                !ranking.get(*at).is_some_and(|given| same(given, place))
            };
            return Some(match places.clone().find(differs) {
                Some((at, place)) => {
                    let given = ranking
                        .get(at)
                        .map_or("nothing".to_owned(), Value::to_string);
                    format!("{name}, place {}: {given} instead of {place}", at + 1)
                }
                None => format!("{name} has more than {} places", places.count()),
            });
        }
        let (Some(given), Some(expected)) = (&self.companies, &right.companies) else {
            return None;
        };
        let (mut given, mut expected) = (given.lines(), expected.lines());
        loop {
            match (given.next(), expected.next()) {
                (None, None) => return None,
                (one, other) if one == other => {}
                (one, other) => {
                    return Some(format!(
                        "{} instead of {}",
                        one.unwrap_or("nothing"),
                        other.unwrap_or("nothing")
                    ));
                }
            }
        }
    }

    /// The lines that tell of an address that gave no page.
    pub fn failures(&self) -> impl Iterator<Item = Value> {
        let lines = self.companies.as_deref().unwrap_or_default().lines();
        let lines = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["error"].is_string())
    }

    /// SHA-1 of all that it says, in hexadecimal; none of nothing.
    pub fn digest(&self) -> Option<String> {
        let mut hash = Sha1::new();
        hash.update(self.companies.as_deref()?);
        self.rankings
            .iter()
            .for_each(|(name, ranking)| hash.update(format!("{name}{ranking}")));
        Some(HEXLOWER.encode(&hash.finalize()))
    }
}

/// Numbers are compared as floats: other languages write 12.0 for 12.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| same(a, b))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(key, a)| other.get(key).is_some_and(|b| same(a, b)))
        }
        _ => one == other,
    }
}
