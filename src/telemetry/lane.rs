//! Records the spans of one worker for the trace.
//!
//! A lane belongs to one thread and shares nothing until it is dropped. Without a trace it records
//! nothing and costs a comparison.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::telemetry::counters::Counters;
use crate::telemetry::trace::{Label, Phase, Span};

/// Records the spans of one worker.
///
/// Rows are reused: a label has as many rows as it had workers at the same time. A lane takes the
/// lowest free row of its label and frees it when dropped.
#[derive(Debug)]
pub struct Lane<'a> {
    pub counters: &'a Counters,
    label: Label,
    row: usize,
    path: Arc<str>,
    spans: Vec<Span>,
}

impl Counters {
    /// A lane for a worker with this label.
    pub fn lane(&self, label: Label) -> Lane<'_> {
        Lane {
            counters: self,
            label,
            row: self.trace.take_row(label),
            path: Arc::default(),
            spans: Vec::new(),
        }
    }
}

impl Lane<'_> {
    /// Sets the page that the spans recorded from now on belong to.
    pub fn set_path(&mut self, path: impl Into<Arc<str>>) {
        if self.counters.trace.is_recording() {
            self.path = path.into();
        }
    }

    /// Runs `work` and records how long it took.
    pub fn time<T>(&mut self, phase: Phase, work: impl FnOnce() -> T) -> T {
        if !self.counters.trace.is_recording() {
            return work();
        }
        let start = Instant::now();
        let result = work();
        self.record(phase, start, Instant::now());
        result
    }

    /// Records a request that got a response: `waited` until its headers, `elapsed` until its last
    /// byte, both since `sent`.
    pub fn record_response(&mut self, sent: Instant, waited: Duration, elapsed: Duration) {
        self.record(Phase::Waiting, sent, sent + waited);
        self.record(Phase::Receiving, sent + waited, sent + elapsed);
    }

    /// Records a request that failed just now.
    pub fn record_failure(&mut self, sent: Instant) {
        if self.counters.trace.is_recording() {
            self.record(Phase::Failing, sent, Instant::now());
        }
    }

    pub fn record(&mut self, phase: Phase, start: Instant, end: Instant) {
        let trace = &self.counters.trace;
        if trace.is_recording() {
            self.spans.push(Span {
                phase,
                start: trace.micros(start),
                end: trace.micros(end),
                path: self.path.clone(),
            });
        }
    }

    /// Takes the spans out, to send them to the parent process.
    pub fn take(&mut self) -> Vec<Span> {
        std::mem::take(&mut self.spans)
    }
}

impl Drop for Lane<'_> {
    fn drop(&mut self) {
        let spans = std::mem::take(&mut self.spans);
        self.counters.trace.free_row(self.label, self.row, spans);
    }
}
