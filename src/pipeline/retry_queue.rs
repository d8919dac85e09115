//! Tasks that wait for their next attempt. No thread waits with them: the walker asks when the next one
//! is due.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::Instant;

use crate::http::error::PageError;
use crate::pipeline::task::Task;
use crate::source::Source;
use crate::telemetry::counters::Counters;
use crate::telemetry::lane::Lane;
use crate::telemetry::trace::{Label, Phase};

pub struct RetryQueue<'a> {
    source: &'a Source,
    counters: &'a Counters,
    waiting: BinaryHeap<Waiting<'a>>,
    /// Whether tasks are dropped instead, because the run was cancelled.
    closed: bool,
}

struct Waiting<'a> {
    due: Instant,
    since: Instant,
    task: Task,
    /// Records the wait.
    lane: Lane<'a>,
}

impl<'a> RetryQueue<'a> {
    pub fn new(source: &'a Source, counters: &'a Counters) -> Self {
        RetryQueue {
            source,
            counters,
            waiting: BinaryHeap::new(),
            closed: false,
        }
    }

    /// Queues a failed task for its next attempt. Returns it if there is none, and `None` otherwise. Once
    /// [closed](RetryQueue::close), drops a task with a next attempt: it counts as not attempted.
    ///
    /// The journal gives a page once. If that page is bad, the next attempt asks the site at once and
    /// counts as the first.
    pub fn push(
        &mut self,
        mut task: Task,
        error: PageError,
        from_journal: bool,
    ) -> Option<(Task, PageError)> {
        let since = Instant::now();
        let mut due = since;
        if !from_journal {
            let mut attempts = task.attempts;
            let delay = self
                .source
                .delay_before_retry(task.request(), &mut attempts, &error);
            task.attempts = attempts;
            let Some(delay) = delay else {
                return Some((task, error));
            };
            due += delay;
        }
        if self.closed {
            return None;
        }
        self.counters.retries.add(u64::from(!from_journal));
        let mut lane = self.counters.lane(Label::Waiting);
        lane.set_path(task.path().clone());
        self.counters.waiting.add(1);
        self.waiting.push(Waiting {
            due,
            since,
            task,
            lane,
        });
        None
    }

    /// Takes out a task whose next attempt is due.
    pub fn pop_due(&mut self) -> Option<Task> {
        self.next_due().filter(|due| *due <= Instant::now())?;
        let Waiting {
            since,
            task,
            mut lane,
            ..
        } = self.waiting.pop()?;
        lane.record(Phase::Pausing, since, Instant::now());
        self.counters.waiting.sub(1);
        Some(task)
    }

    /// When the next attempt is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.waiting.peek().map(|waiting| waiting.due)
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Drops all tasks, and takes no more.
    pub fn close(&mut self) {
        self.closed = true;
        self.counters.waiting.sub(self.waiting.len() as u64);
        self.waiting.clear();
    }
}

/// By due time, the earliest on top of the heap.
impl Ord for Waiting<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.due.cmp(&self.due)
    }
}

impl PartialOrd for Waiting<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Waiting<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}

impl Eq for Waiting<'_> {}
