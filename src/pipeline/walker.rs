//! The walker: the scheduler of a run. It hands out tasks, and decides what follows from their events.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, TrySendError, at, never, select};

use crate::http::error::{PageError, Reason};
use crate::pipeline::address_walk::AddressWalk;
use crate::pipeline::harvest::Failure;
use crate::pipeline::index_walk::{IndexWalk, WalkError};
use crate::pipeline::open_tasks::OpenTasks;
use crate::pipeline::retry_queue::RetryQueue;
use crate::pipeline::task::{Event, Fetched, Target, Task};
use crate::site::index::Link;
use crate::source::Source;
use crate::source::throttle::Cause;
use crate::telemetry::counters::Counters;

/// Where the companies of a run come from.
#[expect(clippy::large_enum_variant, reason = "a run has one")]
pub enum Walk<'a> {
    Index(IndexWalk<'a>),
    /// The paths of companies on one site.
    List(std::vec::IntoIter<Link>),
    /// A list of addresses.
    Addresses(AddressWalk<'a>),
}

impl Walk<'_> {
    /// Companies listed so far.
    pub fn listed(&self) -> usize {
        match self {
            Walk::Index(walk) => walk.listed(),
            Walk::List(links) => links.len(),
            Walk::Addresses(_) => 0,
        }
    }

    fn next_task(&mut self) -> Option<Task> {
        match self {
            Walk::Index(walk) => walk.next_task(),
            Walk::List(links) => links.next().map(Target::Company).map(Task::new),
            Walk::Addresses(walk) => walk.next_task(),
        }
    }

    /// Notes that a task is no longer under way: it has its result, or waits for its next attempt.
    fn task_ended(&mut self, task: &Task) {
        if let (Walk::Addresses(walk), Target::Listed(listed)) = (self, &task.target) {
            walk.task_ended(listed);
        }
    }

    /// Takes a task for its next attempt, and returns it unless its host has enough under way.
    fn resume(&mut self, task: Task) -> Option<Task> {
        match self {
            Walk::Addresses(walk) => walk.resume(task),
            Walk::Index(_) | Walk::List(_) => Some(task),
        }
    }

    /// The next task: a retry that is due, or a further page.
    fn next_due(&mut self, retries: &mut RetryQueue) -> Option<Task> {
        while let Some(task) = retries.pop_due() {
            if let Some(task) = self.resume(task) {
                return Some(task);
            }
        }
        self.next_task()
    }

    fn stop(&mut self) {
        match self {
            Walk::Index(walk) => walk.stop(),
            Walk::List(links) => links.by_ref().for_each(drop),
            Walk::Addresses(walk) => walk.stop(),
        }
    }
}

/// What the walker works with.
pub struct Walker<'a> {
    pub source: &'a Source,
    pub counters: &'a Counters,
    pub tasks: Sender<Task>,
    pub open_tasks: Arc<OpenTasks>,
    /// With at most so many tasks open, the channel has room for others, and the walker fills it up.
    pub few_open: usize,
    pub events: Receiver<Event>,
}

impl<'a> Walker<'a> {
    /// Hands out tasks until all have ended. Returns the companies that failed for good. An index page
    /// that fails for good ends the run at once.
    pub fn run(self, walk: &mut Walk<'a>) -> Result<Vec<Failure>, WalkError> {
        let result = self.schedule(walk);
        if !matches!(result, Ok(Some(_))) {
            // Ends the requests under way and those still queued.
            self.source.cancel(Cause::WalkFailed);
        }
        result.map(Option::unwrap_or_default)
    }

    /// Returns the companies that failed for good, or `None` if a thread panicked.
    ///
    /// The walker never blocks on a send. A task that does not fit into the channel waits in `unsent`
    /// until few tasks are open, and an event must come then: a full channel means that tasks are open.
    fn schedule(&self, walk: &mut Walk<'a>) -> Result<Option<Vec<Failure>>, WalkError> {
        let mut failures = Vec::new();
        let mut retries = RetryQueue::new(self.source, self.counters);
        // A task that did not fit into the channel.
        let mut unsent = None;
        let mut cancelled = self.source.cancellation();
        loop {
            while let Some(task) = unsent.take().or_else(|| walk.next_due(&mut retries)) {
                // Before it is sent: it may end at once.
                self.open_tasks.add();
                match self.tasks.try_send(task) {
                    Ok(()) => {}
                    Err(TrySendError::Full(task)) => {
                        self.open_tasks.end();
                        unsent = Some(task);
                        break;
                    }
                    // Fetchers end before the walker only by a panic.
                    Err(TrySendError::Disconnected(_)) => return Ok(None),
                }
            }
            let few = if unsent.is_some() { self.few_open } else { 0 };
            let open = self.open_tasks.wait_for(few);
            if open == 0 && unsent.is_none() && retries.is_empty() {
                return Ok(Some(failures));
            }
            if unsent.is_some() && open <= few {
                continue;
            }
            // While a task is unsent, a due retry would not fit either, and the loop would spin.
            let due = retries.next_due().filter(|_| unsent.is_none());
            select! {
                recv(self.events) -> event => match event {
                    Ok(Event::Panicked) | Err(_) => return Ok(None),
                    Ok(Event::FewOpen) => {}
                    Ok(event) => {
                        self.open_tasks.end();
                        self.handle(event, walk, &mut retries, &mut failures)?;
                    }
                },
                recv(due.map_or_else(never, at)) -> _ => {}
                recv(cancelled) -> _ => {
                    // Companies without a result count as not attempted.
                    cancelled = never();
                    unsent = None;
                    retries.close();
                    walk.stop();
                }
            }
        }
    }

    fn handle(
        &self,
        event: Event,
        walk: &mut Walk<'a>,
        retries: &mut RetryQueue<'a>,
        failures: &mut Vec<Failure>,
    ) -> Result<(), WalkError> {
        if let Event::Done(task) | Event::Failed { task, .. } = &event {
            walk.task_ended(task);
        }
        match (event, walk) {
            // The cancelled run did not fetch it: it counts as not attempted.
            (Event::Failed { error, .. }, _) if error.reason == Reason::Stopped => {}
            (
                Event::Failed {
                    task,
                    error,
                    from_journal,
                },
                walk,
            ) => match retries.push(task, error, from_journal) {
                None => self.counters.fetched.sub(1),
                Some((task, error)) => self.give_up(task, error, walk, failures),
            },
            (Event::IndexPage(fetched), Walk::Index(walk)) => {
                let Fetched { task, page, .. } = *fetched;
                match page {
                    Ok(page) => walk.page_arrived(task, page)?,
                    // The walk stops when the cancellation arrives, or does not need the page any more.
                    Err(error) if error.reason == Reason::Stopped || !walk.needs(&task) => {}
                    Err(error) => {
                        if let Some((task, error)) = retries.push(task, error, false) {
                            walk.page_lost(task, error);
                        }
                    }
                }
                // Pages are parsed in their order, so this one may have to wait for others, and others
                // may have waited for this one.
                while let Some(unparsed) = walk.parse_next()? {
                    let from_journal = unparsed.from_journal;
                    if let Some((task, error)) =
                        retries.push(unparsed.task, unparsed.error, from_journal)
                    {
                        walk.page_lost(task, error);
                    }
                }
            }
            (Event::FewOpen | Event::Done(_) | Event::Panicked | Event::IndexPage(_), _) => {}
        }
        Ok(())
    }

    fn give_up(&self, task: Task, error: PageError, walk: &Walk, failures: &mut Vec<Failure>) {
        self.counters.parsed.add(1);
        self.counters.failed.add(1);
        match (task.target, walk) {
            (Target::Company(link), _) => failures.push(Failure::new(link, error)),
            (Target::Listed(listed), Walk::Addresses(walk)) => walk.give_up(*listed, error),
            _ => {}
        }
    }
}
