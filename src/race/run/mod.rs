//! One run of one participant in processes of its own, measured from outside: its time, cost, traffic and
//! answer.
//! Not in here: what the job is (`contenders`), which runs there are (`rounds`), what they show (`findings`).
//! A further program in another language goes into `rivals`; what a run measures of itself into `child`.

pub mod answer;
pub mod child;
pub mod listen_drops;
pub mod participant;
pub mod processes;
pub mod rivals;
pub mod samples;
pub mod server;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fs;
use std::io::Read;
use std::process::{Child, ChildStderr};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use crossbeam_channel::{Receiver, bounded, select};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use wait4::{ResUse, Wait4};

use crate::race::contenders::task::Task;
use crate::race::run::answer::Answer;
use crate::race::run::child::{MEASUREMENT_FILE, Measurement, TIMELINE_FILE};
use crate::race::run::participant::Participant;
use crate::race::run::samples::Sample;
use crate::race::run::server::Server;
use crate::replica::Counts;
use crate::telemetry::trace::Timeline;

/// Bytes of the end of stderr that are kept.
const STDERR_KEPT: usize = 4 << 10;
/// How long the end of stderr may take after the end of the processes.
const MAX_STDERR_WAIT: Duration = Duration::from_secs(1);

/// The cost and the answer of one run.
#[derive(Debug, Clone)]
pub struct Run {
    /// The number of the round, to compare runs of different participants that followed each other.
    pub round: u32,
    /// Wall time in seconds, measured by the contender itself. For a program of the user, the time of
    /// the whole process.
    pub wall_s: f64,
    /// CPU time in seconds, measured in the same way.
    pub cpu_s: f64,
    /// CPU time of the server during the run in seconds; 0 without a server.
    pub server_cpu_s: f64,
    /// Peak memory in MB, measured in the same way.
    pub peak_mb: f64,
    /// `None` for a program of the user.
    pub measurement: Option<Measurement>,
    pub traffic: Traffic,
    /// Connections that the system dropped during the run. `None` if it does not count them.
    pub dropped_connections: Option<u64>,
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
    /// TLS handshakes, and how many of them resumed a session.
    pub handshakes: Option<(u64, u64)>,
}

impl Traffic {
    fn between(before: Counts, after: Counts) -> Self {
        Traffic {
            requests: after.requests - before.requests,
            bytes: after.bytes - before.bytes,
            connections: Some(after.connections - before.connections),
            handshakes: Some((
                after.handshakes - before.handshakes,
                after.resumed_handshakes - before.resumed_handshakes,
            )),
        }
    }

    fn of(measurement: Option<&Measurement>) -> Self {
        Traffic {
            requests: measurement.map_or(0, |measurement| measurement.requests),
            bytes: measurement.map_or(0, |measurement| measurement.bytes),
            connections: None,
            handshakes: None,
        }
    }
}

/// What ends a run before its participant does.
#[derive(Debug)]
pub struct Limits<'a> {
    pub timeout: Duration,
    /// Signals to this process.
    pub signals: &'a Receiver<i32>,
}

/// Why a run has no result.
#[derive(Debug)]
pub enum Failure {
    /// A signal, by its number, ended the run.
    Interrupted(i32),
    /// The participant is disqualified for this reason.
    Broken(String),
}

/// Runs a participant once and samples it over time if `wants_samples`. When it returns, no process of the
/// run is left.
///
/// The outer error ends the race. The inner error is the reason why this run failed.
pub fn measure(
    participant: &Participant,
    server: &mut Option<Server>,
    task: &Task,
    limits: &Limits,
    wants_samples: bool,
) -> Result<Result<Run, Failure>> {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("out");
    fs::create_dir(&out)?;
    let mut command = participant.command(task, &out)?;

    let dropped_before = listen_drops::so_far();
    let before = server.as_mut().map(Server::status).transpose()?;
    let child = command.spawn()?;
    let server_process = server.as_ref().map(Server::process);
    let sampled_server = server.as_mut().filter(|_| wants_samples);
    let Exit {
        usage: ResUse { status, rusage },
        wall_s,
        last_line,
        samples,
        end,
    } = wait(child, limits, server_process, sampled_server)?;
    let broken = |reason: String| Ok(Err(Failure::Broken(reason)));
    match end {
        End::Own => {}
        End::Signal(signal) => return Ok(Err(Failure::Interrupted(signal))),
        End::Timeout => {
            let seconds = limits.timeout.as_secs();
            return broken(format!("timed out: killed after {seconds} s"));
        }
    }
    let after = server.as_mut().map(Server::status).transpose()?;
    if !status.success() {
        let last_line = last_line.as_deref().unwrap_or("no output on stderr");
        return broken(format!("failed with {status}: {last_line}"));
    }

    let (measurement, answer): (Option<Measurement>, _) = match participant {
        Participant::Contender { .. } => {
            let bytes = fs::read(out.join(MEASUREMENT_FILE))?;
            let answer = Answer::of_contender(&out);
            (Some(serde_json::from_slice(&bytes)?), answer)
        }
        Participant::Program { .. } => match Answer::of_program(&out) {
            Ok(answer) => (None, answer),
            Err(reason) => return broken(reason),
        },
    };
    let own_wall = measurement.as_ref().map(|measurement| measurement.wall_s);
    let own_peak = measurement
        .as_ref()
        .and_then(|measurement| measurement.peak_memory);
    let own_cpu = measurement
        .as_ref()
        .and_then(|measurement| measurement.cpu_s);
    Ok(Ok(Run {
        round: 0,
        wall_s: own_wall.unwrap_or(wall_s),
        cpu_s: own_cpu.unwrap_or((rusage.utime + rusage.stime).as_secs_f64()),
        server_cpu_s: before
            .zip(after)
            .map_or(0.0, |(before, after)| after.cpu_s - before.cpu_s),
        // The system's value for a child includes the memory of this process before `exec`.
        // Contenders therefore measure their own peak.
        peak_mb: own_peak.unwrap_or(rusage.maxrss) as f64 / 1e6,
        traffic: match before.zip(after) {
            Some((before, after)) => Traffic::between(before.counts, after.counts),
            None => Traffic::of(measurement.as_ref()),
        },
        measurement,
        dropped_connections: dropped_before
            .zip(listen_drops::so_far())
            .map(|(before, after)| after - before),
        answer,
        timeline: fs::read(out.join(TIMELINE_FILE))
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok()),
        samples,
    }))
}

/// What ended a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Own,
    Timeout,
    /// A signal to this process, by its number.
    Signal(i32),
}

/// How a process ended.
struct Exit {
    end: End,
    usage: ResUse,
    wall_s: f64,
    /// The last non-blank line that the process or its children wrote to stderr.
    last_line: Option<String>,
    samples: Vec<Sample>,
}

/// Waits for a process that has just started, and kills its process group at the end of the limits. Samples
/// it if there is a server to sample. Ends all processes below this one but `server_process`.
fn wait(
    mut child: Child,
    limits: &Limits,
    server_process: Option<u32>,
    server: Option<&mut Server>,
) -> Result<Exit> {
    let started = Instant::now();
    let process = child.id();
    let group = Pid::from_raw(process as i32);
    let stderr = child.stderr.take().expect("piped");
    // Never carries a message: dropping the sender tells the other threads that the process ended.
    let (ended, has_ended) = bounded::<Infallible>(0);
    let has_ended = &has_ended;
    let (line_out, line) = bounded(1);
    // Not joined: where `end_all` finds no processes, one may keep stderr open.
    thread::spawn(move || line_out.send(last_line(stderr)));
    thread::scope(|scope| {
        let watchdog = scope.spawn(move || {
            let end = select! {
                recv(has_ended) -> _ => return End::Own,
                recv(limits.signals) -> signal => signal.map_or(End::Own, End::Signal),
                default(limits.timeout) => End::Timeout,
            };
            // Fails only if the process has just ended.
            let _ = killpg(group, Signal::SIGKILL);
            end
        });
        let sampler =
            server.map(|server| scope.spawn(move || samples::collect(process, server, has_ended)));
        let usage = child.wait4();
        let wall_s = started.elapsed().as_secs_f64();
        drop(ended);
        let samples = sampler.map(|sampler| sampler.join().expect("no panic"));
        let end = watchdog.join().expect("no panic");
        if !processes::end_all(server_process) {
            bail!("processes of a run do not end after SIGKILL; end them, and race again");
        }
        Ok(Exit {
            usage: usage?,
            wall_s,
            end,
            last_line: line.recv_timeout(MAX_STDERR_WAIT).ok().flatten(),
            samples: samples.unwrap_or_default(),
        })
    })
}

/// Reads to the end, and returns the last non-blank line of the last 4 KiB.
fn last_line(mut stderr: ChildStderr) -> Option<String> {
    let mut end = VecDeque::with_capacity(2 * STDERR_KEPT);
    let mut block = [0; STDERR_KEPT];
    while let Ok(length @ 1..) = stderr.read(&mut block) {
        end.extend(&block[..length]);
        end.drain(..end.len().saturating_sub(STDERR_KEPT));
    }
    let end = Vec::from(end);
    let text = String::from_utf8_lossy(&end);
    let line = text.lines().rfind(|line| !line.trim().is_empty())?;
    Some(line.to_owned())
}
