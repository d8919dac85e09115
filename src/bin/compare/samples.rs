//! How a run goes on, watched from outside: its memory and what the server has been asked.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use indexrank::telemetry::usage;

use crate::run::Server;

/// How often is looked at first.
const OFTEN: Duration = Duration::from_millis(4);
/// Moments that are kept. When there are more, every second one goes, and is looked at half as often.
const MOST: usize = 256;
/// Parts of a run over each of which a rate is taken: fewer pages make it jump.
const PARTS: f64 = 40.0;

/// What is known of a run at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    /// Since it has been watched, which is from its start.
    pub seconds: f64,
    /// Requests that the server has had.
    pub requests: u64,
    /// Resident memory of the process, without its children.
    pub memory_mb: f64,
}

/// Looks at a process until it has ended. Gives nothing on systems that do not tell.
pub fn follow(process: u32, server: &mut Server, has_ended: &Receiver<Infallible>) -> Vec<Moment> {
    let mut moments = Vec::new();
    let started = Instant::now();
    let Ok(before) = server.counts() else {
        return moments;
    };
    let mut often = OFTEN;
    while has_ended.recv_timeout(often) == Err(RecvTimeoutError::Timeout) {
        let (Some(memory), Ok(counts)) = (usage::memory_of(process), server.counts()) else {
            break;
        };
        moments.push(Moment {
            seconds: started.elapsed().as_secs_f64(),
            requests: counts.requests - before.requests,
            memory_mb: memory as f64 / 1e6,
        });
        if moments.len() == MOST {
            let mut number = 0;
            moments.retain(|_| {
                number += 1;
                number % 2 == 0
            });
            often *= 2;
        }
    }
    moments
}

/// Requests per second over each part of a run, at the part's end.
pub fn rates(moments: &[Moment]) -> Vec<(f64, f64)> {
    let part = moments.last().map_or(0.0, |last| last.seconds) / PARTS;
    let (mut since, mut requests) = (0.0, 0);
    let mut rates = Vec::new();
    for moment in moments {
        let took = moment.seconds - since;
        if took > 0.0 && took >= 0.999 * part {
            rates.push((moment.seconds, (moment.requests - requests) as f64 / took));
            (since, requests) = (moment.seconds, moment.requests);
        }
    }
    rates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_over_parts() {
        let moment = |seconds, requests| Moment {
            seconds,
            requests,
            memory_mb: 1.0,
        };
        assert_eq!(rates(&[]), []);
        let steady: Vec<Moment> = (1..=400)
            .map(|at| moment(f64::from(at) / 100.0, at as u64 * 5))
            .collect();
        let rates = rates(&steady);
        assert!((39..=40).contains(&rates.len()), "{}", rates.len());
        assert!(
            { &rates }
                .iter()
                .all(|(_, rate)| (rate - 500.0).abs() < 1e-6),
            "{rates:?}"
        );
        assert_eq!(
            super::rates(&[moment(0.5, 10), moment(1.0, 10)]),
            [(0.5, 20.0), (1.0, 0.0)]
        );
    }
}
