//! The fetcher pool: it grows on demand, and fetchers that are not needed exit.
//!
//! Starting and joining a thread costs 0.1 ms, and a page that waits in a thread leaves the cache of
//! the processor.

use std::convert::Infallible;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::{self, Scope};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use crate::http::error::{PageError, catch_panic};
use crate::http::page::Page;
use crate::pipeline::task::Task;
use crate::source::Source;
use crate::source::purpose::{Purpose, Request};
use crate::telemetry::counters::Counters;
use crate::telemetry::trace::Label;

/// How often the pool checks whether the parsers have pages.
const POLL: Duration = Duration::from_millis(1);
/// Polls that decide about growth while pages do come.
const POLLS_TO_DECIDE: u32 = 16;

/// What a fetcher sends to the parsers: a task with its page, or why there is none.
pub struct Fetched {
    pub task: Task,
    pub page: Result<Page, PageError>,
}

/// The number of pages still to fetch, and of fetchers to fetch them.
pub struct Demand {
    fetchers: AtomicUsize,
    /// Pages that are listed and not finished. During the walk, [`UNKNOWN`] more.
    remaining: AtomicUsize,
}

/// Stands for the pages that the rest of the walk may list.
const UNKNOWN: usize = usize::MAX / 2;

impl Default for Demand {
    fn default() -> Self {
        Demand {
            fetchers: AtomicUsize::new(0),
            remaining: AtomicUsize::new(UNKNOWN),
        }
    }
}

impl Demand {
    pub fn page_listed(&self) {
        self.remaining.fetch_add(1, Relaxed);
    }

    pub fn page_finished(&self) {
        self.remaining.fetch_sub(1, Relaxed);
    }

    pub fn walk_ended(&self) {
        self.remaining.fetch_sub(UNKNOWN, Relaxed);
    }

    /// Takes one fetcher off the count if the others suffice for the remaining pages. (A fetcher that
    /// panicked is still counted, but then the whole run ends.)
    fn scale_down(&self) -> bool {
        let remaining = self.remaining.load(Relaxed);
        let fewer = |fetchers| (fetchers > remaining).then(|| fetchers - 1);
        self.fetchers.fetch_update(Relaxed, Relaxed, fewer).is_ok()
    }
}

/// What every fetcher works with.
#[derive(Clone)]
pub struct Fetcher<'a> {
    pub source: &'a Source,
    pub counters: &'a Counters,
    pub tasks: Receiver<Task>,
    /// Empty buffers that the parsers give back.
    pub spare_buffers: Receiver<Vec<u8>>,
    pub pages: Sender<Fetched>,
    pub demand: Arc<Demand>,
}

impl<'a> Fetcher<'a> {
    /// Starts `few` fetchers and doubles their number whenever the parsers run out of pages, up to
    /// `workers`. Returns when there are enough, or when `pipeline_ended` disconnects.
    ///
    /// Where pages arrive as fast as they are parsed, more fetchers only make pages wait: 32 of them
    /// take 1.2 times as long as 4. Where a page takes 50 ms, all fetchers run after 5 ms.
    pub fn scale_up<'scope>(
        self,
        scope: &'scope Scope<'scope, '_>,
        workers: usize,
        few: usize,
        pipeline_ended: &Receiver<Infallible>,
    ) where
        'a: 'scope,
    {
        let (mut started, mut wanted) = (0, workers.min(few));
        let (mut polls, mut starved) = (0, 0);
        let mut fetched = 0;
        loop {
            while started < wanted {
                let fetcher = self.clone();
                let thread = thread::Builder::new().name("fetcher".to_owned());
                match thread.spawn_scoped(scope, move || fetcher.run()) {
                    Ok(_) => started += 1,
                    // The system allows no more threads. The ones already running go on.
                    Err(_) if started > 0 => return,
                    Err(error) => panic!("cannot start a thread for a fetcher: {error}"),
                }
            }
            let enough = workers.min(self.demand.remaining.load(Relaxed));
            if started >= enough
                || pipeline_ended.recv_timeout(POLL) != Err(RecvTimeoutError::Timeout)
            {
                return;
            }
            let fetched_before = mem::replace(&mut fetched, self.counters.fetched.get());
            if self.tasks.is_empty() {
                continue;
            }
            polls += 1;
            starved += u32::from(self.pages.is_empty());
            // A short gap may be chance where pages do arrive, so only more polls decide there.
            if 2 * starved > polls && (fetched == fetched_before || polls >= POLLS_TO_DECIDE) {
                wanted = workers.min(2 * started);
                (polls, starved) = (0, 0);
            }
            // Older polls count for less.
            if polls >= 2 * POLLS_TO_DECIDE {
                (polls, starved) = (polls / 2, starved / 2);
            }
        }
    }

    /// Fetches one page after another, until the tasks end or the other fetchers suffice.
    fn run(&self) {
        self.demand.fetchers.fetch_add(1, Relaxed);
        let mut lane = self.counters.lane(Label::Fetcher);
        for task in &self.tasks {
            let buffer = || self.spare_buffers.try_recv().unwrap_or_default();
            let request = Request::new(Purpose::Company, &task.link.path);
            let page = catch_panic("fetching", || self.source.get(request, buffer, &mut lane));
            self.counters.fetched.add(1);
            if self.pages.send(Fetched { task, page }).is_err() {
                // The parsers have ended. Tasks left in the channel would keep the retry queue alive.
                self.tasks.iter().for_each(drop);
                return;
            }
            if self.demand.scale_down() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fetcher_exits_only_if_the_others_suffice() {
        let demand = Demand::default();
        demand.fetchers.store(4, Relaxed);
        for _ in 0..3 {
            demand.page_listed();
        }
        assert!(!demand.scale_down(), "the walk may list more");
        demand.walk_ended();
        let exits = || (0..9).filter(|_| demand.scale_down()).count();
        assert_eq!(exits(), 1, "4 fetchers, 3 pages");
        assert_eq!(exits(), 0);
        demand.page_finished();
        demand.page_finished();
        assert_eq!(exits(), 2);
        demand.page_finished();
        assert_eq!(exits(), 1, "the last one");
        assert_eq!(exits(), 0);
    }
}
