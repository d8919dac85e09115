//! The line between a server and its clients.

use std::io::{self, Write};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use crate::seeded;

/// Bytes that a connection sends before the next connection may send, if bandwidth is limited.
const PACKET: usize = 16 << 10;

/// Latency and bandwidth between a server and its clients. The default adds no delay and no limit.
#[derive(Debug, Clone, Copy, Default)]
pub struct Line {
    /// Delay before each response.
    pub latency: Duration,
    /// Upper end of a random additional delay, evenly distributed from 0. A path has the same
    /// additional delay at each request, so all clients get equal treatment.
    pub jitter: Duration,
    /// Bits per second of all responses together, heads included; `None` for no limit.
    pub bandwidth: Option<f64>,
    /// Seed of the jitter.
    pub seed: u64,
}

impl Line {
    /// The delay before the response to `path`: the latency, and the path's part of the jitter.
    pub fn time_before_answer(&self, path: &str) -> Duration {
        if self.jitter.is_zero() {
            return self.latency;
        }
        let share = seeded::share((self.seed, path));
        self.latency + self.jitter.mul_f64(share)
    }
}

/// Megabits per second.
pub fn bandwidth(text: &str) -> Result<f64, String> {
    let megabits = text.parse().ok();
    megabits
        .filter(|megabits| (0.001..=1e6).contains(megabits))
        .ok_or_else(|| "expected megabits per second from 0.001 to 1000000".to_owned())
}

/// A line that all connections of a server share packet by packet.
#[derive(Debug)]
pub(super) struct SharedLine {
    pub(super) line: Line,
    /// When the line will have sent all bytes reserved so far.
    free_at: Mutex<Instant>,
}

impl SharedLine {
    pub(super) fn new(line: Line) -> Self {
        SharedLine {
            line,
            free_at: Mutex::new(Instant::now()),
        }
    }

    /// Sends bytes as fast as the line allows. What TLS adds to them takes no time of the line.
    pub(super) fn send(&self, out: &mut impl Write, message: &[u8]) -> io::Result<()> {
        let Some(bandwidth) = self.line.bandwidth else {
            return out.write_all(message);
        };
        for packet in message.chunks(PACKET) {
            let duration = Duration::from_secs_f64(packet.len() as f64 * 8.0 / bandwidth);
            let sent_at = {
                let mut free_at = self.free_at.lock().expect("no panic holds the lock");
                *free_at = (*free_at).max(Instant::now()) + duration;
                *free_at
            };
            thread::sleep(sent_at.saturating_duration_since(Instant::now()));
            out.write_all(packet)?;
        }
        Ok(())
    }
}
