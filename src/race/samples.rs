//! Samples of a run over time: its memory, and the requests that the server has received.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use crate::telemetry::usage;
use crossbeam_channel::{Receiver, RecvTimeoutError};

use crate::race::server::Server;

/// Time between samples at the start of a run.
const FIRST_INTERVAL: Duration = Duration::from_millis(4);
/// When there are this many samples, every second one is dropped and the interval doubles.
const MAX_SAMPLES: usize = 256;
/// Number of equal parts of a run, each with one rate. Shorter parts have so few pages that the
/// rate jumps.
const RATE_WINDOWS: f64 = 40.0;

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

/// Requests per second in each part of a run, as pairs of the part's end in seconds and the rate.
pub fn rates(samples: &[Sample]) -> Vec<(f64, f64)> {
    let window = samples.last().map_or(0.0, |last| last.seconds) / RATE_WINDOWS;
    let (mut window_start, mut requests_before) = (0.0, 0);
    let mut rates = Vec::new();
    for sample in samples {
        let elapsed = sample.seconds - window_start;
        // The tolerance keeps rounding errors from joining two windows.
        if elapsed > 0.0 && elapsed >= 0.999 * window {
            let requests = (sample.requests - requests_before) as f64;
            rates.push((sample.seconds, requests / elapsed));
            (window_start, requests_before) = (sample.seconds, sample.requests);
        }
    }
    rates
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(seconds: f64, requests: u64) -> Sample {
        Sample {
            seconds,
            requests,
            memory_mb: 1.0,
        }
    }

    #[test]
    fn takes_a_rate_over_each_window() {
        assert_eq!(rates(&[]), []);
        let steady: Vec<Sample> = (1..=400)
            .map(|at| sample(f64::from(at) / 100.0, at as u64 * 5))
            .collect();
        let steady_rates = rates(&steady);
        assert!(
            (39..=40).contains(&steady_rates.len()),
            "{}",
            steady_rates.len()
        );
        let is_500 = |(_, rate): &(f64, f64)| (rate - 500.0).abs() < 1e-6;
        assert!(steady_rates.iter().all(is_500), "{steady_rates:?}");
        assert_eq!(
            rates(&[sample(0.5, 10), sample(1.0, 10)]),
            [(0.5, 20.0), (1.0, 0.0)]
        );
    }
}
