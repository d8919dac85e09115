//! The timeline of a run: the spans of every worker.
//!
//! Workers record through a [`Lane`](crate::telemetry::lane::Lane) each; this file collects the lanes
//! of ended workers and writes Chrome's trace format.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::json;

/// The name of a group of rows. It labels rows and decides nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Label {
    Rate,
    Index,
    Fetcher,
    Reader,
    /// A thread that fetches and parses.
    Worker,
    /// The second request for index page 1.
    Recheck,
    /// The request for robots.txt.
    Rules,
    /// A page that waits for its next attempt.
    Waiting,
}

/// What a worker does during one span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// From sending a request to the headers of its response.
    Waiting,
    /// From the headers to the last byte.
    Receiving,
    /// A request without a response, from start to end.
    Failing,
    Inflating,
    /// Parsing. The trace file calls it `reading`.
    Reading,
    /// The wait before a retry, or a pause that the host asked for. The worker that got the response
    /// with `Retry-After` records the pause.
    Pausing,
}

/// A time span of one phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    pub phase: Phase,
    /// Microseconds since the run began.
    pub start: u64,
    /// Microseconds since the run began.
    pub end: u64,
    /// Path of the page, shared by all spans of the page.
    pub path: Arc<str>,
}

/// The spans of the workers that used one row, one worker after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    pub role: Label,
    /// Counts the rows of a label from 1.
    pub number: usize,
    pub spans: Vec<Span>,
}

impl Row {
    /// `fetcher 3`
    pub fn name(&self) -> String {
        let label = format!("{:?}", self.role).to_lowercase();
        format!("{label} {}", self.number)
    }
}

/// A finished trace, its rows ordered by label and number.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    pub rows: Vec<Row>,
}

impl Timeline {
    /// Writes the trace in Chrome's trace event format, as complete events ("X") of one process, one a
    /// line (<https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU>).
    /// Perfetto and chrome://tracing display it.
    pub fn write_chrome(&self, mut out: impl Write) -> io::Result<()> {
        let rows = self.rows.iter().enumerate().flat_map(|(at, row)| {
            let named = |name, args| json!({"name": name, "ph": "M", "pid": 1, "tid": at + 1, "args": args});
            let head = [
                named("thread_name", json!({"name": row.name()})),
                named("thread_sort_index", json!({"sort_index": at})),
            ];
            let span = move |span: &Span| {
                json!({
                    "name": span.phase, "cat": row.role, "ph": "X", "pid": 1, "tid": at + 1,
                    "ts": span.start, "dur": span.end - span.start, "args": {"path": span.path},
                })
            };
            head.into_iter().chain(row.spans.iter().map(span))
        });
        write!(out, "{{\"displayTimeUnit\":\"ms\",\"traceEvents\":[")?;
        for (at, event) in rows.enumerate() {
            let separator = if at == 0 { "" } else { "," };
            write!(out, "{separator}\n{event}")?;
        }
        writeln!(out, "\n]}}")
    }
}

/// A trace in progress, or none.
#[derive(Debug, Default)]
pub struct Trace(Option<Recording>);

#[derive(Debug)]
struct Recording {
    began: Instant,
    rows: Mutex<BTreeMap<Label, OpenRows>>,
}

/// The rows of a label. They may still grow.
#[derive(Debug, Default)]
struct OpenRows {
    /// The spans of each row.
    rows: Vec<Vec<Span>>,
    /// The lowest on top.
    free: BinaryHeap<Reverse<usize>>,
}

impl Recording {
    /// Locks the rows, also after a panic in another thread: the spans may show its cause.
    fn rows(&self) -> MutexGuard<'_, BTreeMap<Label, OpenRows>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Trace {
    /// A trace that begins now.
    pub fn begin() -> Self {
        Trace(Some(Recording {
            began: Instant::now(),
            rows: Mutex::default(),
        }))
    }

    pub(crate) fn is_recording(&self) -> bool {
        self.0.is_some()
    }

    /// Microseconds from the beginning of the trace to `moment`, 0 without a trace.
    pub(crate) fn micros(&self, moment: Instant) -> u64 {
        self.0.as_ref().map_or(0, |recording| {
            let since = moment.saturating_duration_since(recording.began);
            since.as_micros() as u64
        })
    }

    /// Takes the lowest free row of a label; 0 without a trace.
    pub(crate) fn take_row(&self, label: Label) -> usize {
        let Some(recording) = &self.0 else { return 0 };
        let mut rows = recording.rows();
        let OpenRows { rows, free } = rows.entry(label).or_default();
        match free.pop() {
            Some(Reverse(row)) => row,
            None => {
                rows.push(Vec::new());
                rows.len() - 1
            }
        }
    }

    /// Frees a row and appends what its worker has recorded.
    pub(crate) fn free_row(&self, label: Label, row: usize, spans: Vec<Span>) {
        let Some(recording) = &self.0 else { return };
        let mut rows = recording.rows();
        // A worker that outlives the timeline has no row any more.
        let Some(OpenRows { rows, free }) = rows.get_mut(&label) else {
            return;
        };
        if let Some(all) = rows.get_mut(row) {
            // Moved rather than copied, because the first worker of a row is usually its only one.
            if all.is_empty() {
                *all = spans;
            } else {
                all.extend(spans);
            }
            free.push(Reverse(row));
        }
    }

    /// Takes out the spans of all workers that have ended; `None` without a trace.
    pub fn take_timeline(&self) -> Option<Timeline> {
        let recorded = mem::take(&mut *self.0.as_ref()?.rows());
        let rows = recorded.into_iter().flat_map(|(role, rows)| {
            let rows = rows.rows.into_iter().enumerate();
            rows.map(move |(at, spans)| Row {
                role,
                number: at + 1,
                spans,
            })
        });
        Some(Timeline {
            rows: rows.collect(),
        })
    }
}
