//! Progress of a run: bars on a terminal, plain lines elsewhere, nothing with `--quiet`; and plain lines
//! in the log.
//!
//! A separate thread samples the [`Counters`], so the stages of the pipeline do not depend on the
//! display.

use std::io::{Write, stderr};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::telemetry::bars::{self, Bars};
use crate::telemetry::counters::Counters;
use crate::telemetry::log::Log;
use crate::telemetry::screen;
use crate::telemetry::snapshot::Snapshot;
use crate::telemetry::speed::Speed;

/// A frame must be erased soon after the terminal is resized.
const SIZE_INTERVAL: Duration = Duration::from_millis(20);
const BAR_INTERVAL: Duration = Duration::from_millis(100);
const LINE_INTERVAL: Duration = Duration::from_secs(2);

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Bars,
    Lines,
    Nothing,
}

impl Style {
    /// Chooses the style for stderr. Bars need a terminal of at least 50 columns and 8 rows that can move
    /// its cursor (`TERM` is not `dumb`). A run changes from bars to lines if its terminal gets smaller.
    pub fn for_stderr(quiet: bool) -> Self {
        let is_large = screen::size(stderr()).is_some_and(bars::fit_into);
        if quiet {
            Style::Nothing
        } else if is_large && !screen::is_dumb() {
            Style::Bars
        } else {
            Style::Lines
        }
    }
}

/// A running display. It erases its bars when it is [finished](Progress::finish) or dropped.
#[derive(Debug)]
pub struct Progress {
    /// Dropping it stops the display.
    stop: Option<Sender<()>>,
    /// The thread that draws. `None` if there is nothing to draw or to log.
    display: Option<JoinHandle<()>>,
}

impl Progress {
    pub fn start(style: Style, counters: Arc<Counters>, log: Arc<Log>) -> Self {
        if style == Style::Nothing && !log.is_open() {
            return Progress {
                stop: None,
                display: None,
            };
        }
        let (stop, stopped) = channel();
        let display = move || show(style, &counters, &log, &stopped);
        Progress {
            stop: Some(stop),
            // A run goes on without its display if no thread can be started.
            display: thread::Builder::new().spawn(display).ok(),
        }
    }

    /// Stops the display and erases its bars.
    pub fn finish(mut self) {
        self.stop_and_join();
    }

    fn stop_and_join(&mut self) {
        self.stop.take();
        if let Some(display) = self.display.take() {
            // A display that panicked must not end the run.
            let _ = display.join();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.stop_and_join();
    }
}

fn show(mut style: Style, counters: &Counters, log: &Log, stopped: &Receiver<()>) {
    let started = Instant::now();
    let mut speed = Speed::new();
    let mut bars = Bars::new();
    let (mut next_frame, mut next_line) = (BAR_INTERVAL, LINE_INTERVAL);
    while stopped.recv_timeout(SIZE_INTERVAL) == Err(RecvTimeoutError::Timeout) {
        if style == Style::Bars && !bars.follow_size() {
            style = Style::Lines;
        }
        let elapsed = started.elapsed();
        if elapsed < next_frame {
            continue;
        }
        next_frame = elapsed + BAR_INTERVAL;
        let now = Snapshot::of(counters, elapsed, &mut speed);
        if style == Style::Bars {
            bars.draw(&now);
        }
        if elapsed < next_line {
            continue;
        }
        // A process that was stopped for a while skips the lines of that time.
        while next_line <= elapsed {
            next_line += LINE_INTERVAL;
        }
        let line = now.line();
        log.append(&line);
        if style == Style::Lines {
            let line = screen::fit(&line, screen::size(stderr()));
            // A closed stderr must not end the run.
            let _ = stderr().write_all(format!("{line}\n").as_bytes());
        }
    }
    bars.finish();
}
