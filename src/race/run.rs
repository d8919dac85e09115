//! One run of one participant in a process of its own, measured from outside.

use std::convert::Infallible;
use std::fs::{self, File};
use std::path::Path;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use crate::replica::Counts;
use crate::telemetry::trace::Timeline;
use anyhow::Result;
use crossbeam_channel::{RecvTimeoutError, bounded};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use wait4::{ResUse, Wait4};

use crate::race::answer::Answer;
use crate::race::child::{MEASUREMENT_FILE, Measurement, TIMELINE_FILE};
use crate::race::participant::Participant;
use crate::race::samples::{self, Sample};
use crate::race::server::Server;
use crate::race::task::Task;

/// The cost and the answer of one run.
#[derive(Debug, Clone)]
pub struct Run {
    /// Wall time in seconds, measured by the contender itself. For a program of the user, the time of
    /// the whole process.
    pub wall_s: f64,
    /// CPU time in seconds, measured in the same way.
    pub cpu_s: f64,
    /// Peak memory in MB, measured in the same way.
    pub peak_mb: f64,
    /// `None` for a program of the user.
    pub measurement: Option<Measurement>,
    pub traffic: Traffic,
    pub answer: Answer,
    /// Present if the task asked for a trace.
    pub timeline: Option<Timeline>,
    /// Empty unless samples were requested and there is a server.
    pub samples: Vec<Sample>,
}

impl Run {
    /// The number of pages that the run reported as failed.
    pub fn lost(&self) -> usize {
        self.measurement
            .as_ref()
            .map_or(0, |measurement| measurement.failures)
    }
}

/// Requests and response bytes as counted by the server; without a server, by the run itself.
#[derive(Debug, Clone, Copy)]
pub struct Traffic {
    pub requests: u64,
    pub bytes: u64,
    pub connections: Option<u64>,
}

impl Traffic {
    fn between(before: Counts, after: Counts) -> Self {
        Traffic {
            requests: after.requests - before.requests,
            bytes: after.bytes - before.bytes,
            connections: Some(after.connections - before.connections),
        }
    }

    fn of(measurement: Option<&Measurement>) -> Self {
        Traffic {
            requests: measurement.map_or(0, |measurement| measurement.requests),
            bytes: measurement.map_or(0, |measurement| measurement.bytes),
            connections: None,
        }
    }
}

/// Runs a participant once and samples it over time if `wants_samples`.
///
/// The outer error ends the race. The inner error is the reason why this run failed.
pub fn measure(
    participant: &Participant,
    server: &mut Option<Server>,
    task: &Task,
    timeout: Duration,
    wants_samples: bool,
) -> Result<Result<Run, String>> {
    let folder = tempfile::tempdir()?;
    let stderr = folder.path().join("stderr");
    let out = folder.path().join("out");
    fs::create_dir(&out)?;
    let mut command = participant.command(task, &out)?;
    command.stderr(File::create(&stderr)?);

    let before = server.as_mut().map(Server::counts).transpose()?;
    let started = Instant::now();
    let child = command.spawn()?;
    let sampled_server = server.as_mut().filter(|_| wants_samples);
    let exit = wait(child, started, timeout, sampled_server)?;
    if exit.timed_out {
        let seconds = timeout.as_secs();
        return Ok(Err(format!("timed out: killed after {seconds} s")));
    }
    let after = server.as_mut().map(Server::counts).transpose()?;
    let ResUse { status, rusage } = exit.usage;
    if !status.success() {
        let last_line = last_line(&stderr);
        let last_line = last_line.as_deref().unwrap_or("no output on stderr");
        return Ok(Err(format!("failed with {status}: {last_line}")));
    }

    let measurement: Option<Measurement> = match participant {
        Participant::Contender { .. } => {
            let bytes = fs::read(out.join(MEASUREMENT_FILE))?;
            Some(serde_json::from_slice(&bytes)?)
        }
        Participant::Program { .. } => None,
    };
    let own_wall = measurement.as_ref().map(|measurement| measurement.wall_s);
    let own_peak = measurement
        .as_ref()
        .and_then(|measurement| measurement.peak_memory);
    Ok(Ok(Run {
        wall_s: own_wall.unwrap_or(exit.wall_s),
        cpu_s: (rusage.utime + rusage.stime).as_secs_f64(),
        // The system's value for a child includes the memory of this process before `exec`.
        // Contenders therefore measure their own peak.
        peak_mb: own_peak.unwrap_or(rusage.maxrss) as f64 / 1e6,
        traffic: match before.zip(after) {
            Some((before, after)) => Traffic::between(before, after),
            None => Traffic::of(measurement.as_ref()),
        },
        measurement,
        answer: Answer::read(&out),
        timeline: fs::read(out.join(TIMELINE_FILE))
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok()),
        samples: exit.samples,
    }))
}

/// How a process ended.
struct Exit {
    usage: ResUse,
    wall_s: f64,
    timed_out: bool,
    samples: Vec<Sample>,
}

/// Waits for a process, and kills its process group after `timeout`. Samples it if there is a
/// server.
fn wait(
    mut child: Child,
    started: Instant,
    timeout: Duration,
    server: Option<&mut Server>,
) -> Result<Exit> {
    let process = child.id();
    let group = Pid::from_raw(process as i32);
    // Never carries a message: dropping the sender tells the other threads that the process ended.
    let (ended, has_ended) = bounded::<Infallible>(0);
    let has_ended = &has_ended;
    thread::scope(|scope| {
        let watchdog = scope.spawn(move || {
            let timed_out = has_ended.recv_timeout(timeout) == Err(RecvTimeoutError::Timeout);
            if timed_out {
                // Fails only if the process has just ended.
                let _ = killpg(group, Signal::SIGKILL);
            }
            timed_out
        });
        let sampler =
            server.map(|server| scope.spawn(move || samples::collect(process, server, has_ended)));
        let usage = child.wait4();
        let wall_s = started.elapsed().as_secs_f64();
        drop(ended);
        let samples = sampler.map(|sampler| sampler.join().expect("no panic"));
        Ok(Exit {
            usage: usage?,
            wall_s,
            timed_out: watchdog.join().expect("no panic"),
            samples: samples.unwrap_or_default(),
        })
    })
}

/// The last non-blank line of a file. `None` if it has none or cannot be read.
fn last_line(file: &Path) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().rfind(|line| !line.trim().is_empty())?;
    Some(line.to_owned())
}
