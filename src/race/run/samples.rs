//! Samples of a run over time: its memory, and the requests that the server has received.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use crate::race::run::server::Server;
use crate::telemetry::usage;

/// Time between samples at the start of a run.
const FIRST_INTERVAL: Duration = Duration::from_millis(4);
/// When there are this many samples, every second one is dropped and the interval doubles.
const MAX_SAMPLES: usize = 256;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Time since sampling began, at the start of the run.
    pub seconds: f64,
    /// Requests that the server has received since then.
    pub requests: u64,
    /// Resident memory of the process, without its children.
    pub memory_mb: f64,
}

/// Samples a process until the sender of `has_ended` is dropped. Returns no samples on systems that
/// do not report the memory of a process.
pub fn collect(process: u32, server: &mut Server, has_ended: &Receiver<Infallible>) -> Vec<Sample> {
    let mut samples = Vec::new();
    let started = Instant::now();
    let Ok(before) = server.counts() else {
        return samples;
    };
    let mut interval = FIRST_INTERVAL;
    while has_ended.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
        let (Some(memory), Ok(counts)) = (usage::memory_of(process), server.counts()) else {
            break;
        };
        samples.push(Sample {
            seconds: started.elapsed().as_secs_f64(),
            requests: counts.requests - before.requests,
            memory_mb: memory as f64 / 1e6,
        });
        if samples.len() == MAX_SAMPLES {
            samples = samples.into_iter().skip(1).step_by(2).collect();
            interval *= 2;
        }
    }
    samples
}
