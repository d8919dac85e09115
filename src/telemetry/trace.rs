//! What every worker was doing when: the timeline of a run.
//!
//! A worker has a [`Lane`] and notes in it what it does; nothing is shared until it ends. Without a
//! trace a lane keeps nothing.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::http::page::{Page, PageError};
use crate::telemetry::counters::Meter;

/// What a worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Rate,
    Index,
    Fetcher,
    Reader,
    /// Fetches pages and reads them.
    Worker,
    /// Looks at the index once more.
    Recheck,
    /// Asks for the robots' rules.
    Rules,
    /// A page that waits for its next attempt.
    Waiting,
}

/// What a worker does at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// From sending a request to the head of its answer.
    Waiting,
    /// From there to the last byte.
    Receiving,
    /// A request that gave no answer, all of it.
    Failing,
    Inflating,
    Reading,
    /// Until the next attempt at a page, or as long as the site has asked to be left alone, which is
    /// noted by who was told.
    Pausing,
}

/// One thing done, in microseconds since the run began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    pub phase: Phase,
    pub start: u64,
    pub end: u64,
    /// Path of the page.
    pub path: String,
}

/// Everything that workers did in one place of the run, one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    pub role: Role,
    /// Counts the rows of a role from 1.
    pub number: usize,
    pub spans: Vec<Span>,
}

impl Row {
    /// `fetcher 3`
    pub fn name(&self) -> String {
        let role = format!("{:?}", self.role).to_lowercase();
        format!("{role} {}", self.number)
    }
}

/// A finished trace, its rows ordered by role and number.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    pub rows: Vec<Row>,
}

impl Timeline {
    /// In Chrome's trace event format
    /// (<https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU>), as
    /// complete events ("X") of one process; Perfetto and chrome://tracing show it.
    pub fn chrome(&self) -> Vec<u8> {
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
        let lines: Vec<String> = rows.map(|event| event.to_string()).collect();
        format!(
            "{{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n{}\n]}}\n",
            lines.join(",\n")
        )
        .into_bytes()
    }
}

/// A trace that is being written, or none.
#[derive(Debug, Default)]
pub struct Trace(Option<Recording>);

#[derive(Debug)]
struct Recording {
    began: Instant,
    places: Mutex<HashMap<Role, Vec<Place>>>,
}

/// A row of a role.
#[derive(Debug, Default)]
struct Place {
    /// Whether a worker is at it now.
    taken: bool,
    spans: Vec<Span>,
}

impl Trace {
    /// A trace that begins now.
    pub fn begin() -> Self {
        Trace(Some(Recording {
            began: Instant::now(),
            places: Mutex::default(),
        }))
    }

    /// What has been noted by workers that have ended; none where nothing is traced.
    pub fn timeline(&self) -> Option<Timeline> {
        let recording = self.0.as_ref()?;
        let places = recording.places.lock().expect("no panic holds the lock");
        let mut rows: Vec<Row> = places
            .iter()
            .flat_map(|(role, places)| {
                places.iter().enumerate().map(|(at, place)| Row {
                    role: *role,
                    number: at + 1,
                    spans: place.spans.clone(),
                })
            })
            .collect();
        rows.sort_by_key(|row| (row.role, row.number));
        Some(Timeline { rows })
    }
}

/// Where one worker counts what it does and notes when. The lowest row of its role that has no
/// worker is taken, and given back in the end, so that as many rows come about as there were workers
/// at the same time, however many there were one after the other.
#[derive(Debug)]
pub struct Lane<'a> {
    pub meter: &'a Meter,
    role: Role,
    row: usize,
    path: String,
    spans: Vec<Span>,
}

impl<'a> Lane<'a> {
    pub fn new(meter: &'a Meter, role: Role) -> Self {
        let row = meter.trace.0.as_ref().map_or(0, |recording| {
            let mut places = recording.places.lock().expect("no panic holds the lock");
            let places = places.entry(role).or_default();
            let free = places.iter().position(|place| !place.taken);
            let row = free.unwrap_or(places.len());
            if row == places.len() {
                places.push(Place::default());
            }
            places[row].taken = true;
            row
        });
        Lane {
            meter,
            role,
            row,
            path: String::new(),
            spans: Vec::new(),
        }
    }

    pub fn role(&self) -> Role {
        self.role
    }

    fn recording(&self) -> Option<&'a Recording> {
        self.meter.trace.0.as_ref()
    }

    /// What follows is about the page of this path.
    pub fn about(&mut self, path: &str) {
        if self.recording().is_some() {
            path.clone_into(&mut self.path);
        }
    }

    /// Does something and notes how long it took.
    pub fn time<T>(&mut self, phase: Phase, work: impl FnOnce() -> T) -> T {
        if self.recording().is_none() {
            return work();
        }
        let start = Instant::now();
        let done = work();
        self.note(phase, start, Instant::now());
        done
    }

    /// Notes a request that was sent at `asked` and has just ended.
    pub fn asked(&mut self, asked: Instant, answer: &Result<Page, PageError>) {
        match answer {
            Ok(page) => {
                let answered = asked + page.waited;
                self.note(Phase::Waiting, asked, answered);
                self.note(Phase::Receiving, answered, asked + page.elapsed);
            }
            Err(_) if self.recording().is_some() => {
                self.note(Phase::Failing, asked, Instant::now());
            }
            Err(_) => {}
        }
    }

    pub fn note(&mut self, phase: Phase, start: Instant, end: Instant) {
        if let Some(recording) = self.recording() {
            let since = |moment: Instant| {
                moment
                    .saturating_duration_since(recording.began)
                    .as_micros() as u64
            };
            self.spans.push(Span {
                phase,
                start: since(start),
                end: since(end),
                path: self.path.clone(),
            });
        }
    }

    /// What has been noted, to be noted elsewhere.
    pub fn take(&mut self) -> Vec<Span> {
        std::mem::take(&mut self.spans)
    }
}

impl Drop for Lane<'_> {
    fn drop(&mut self) {
        if let Some(recording) = self.recording() {
            // Also after a panic elsewhere: what there is may show why.
            let mut places = recording
                .places
                .lock()
                .unwrap_or_else(|poison| poison.into_inner());
            let role = places.get_mut(&self.role).expect("taken when it was made");
            role[self.row].taken = false;
            role[self.row].spans.append(&mut self.spans);
        }
    }
}
