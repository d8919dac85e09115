//! The engine: the threads and channels that turn an index into a harvest of companies.
//! How a page is fetched and retried is in `source`, what it says in `site`, what becomes of the harvest in `results`.
//! Another order of the index pages goes into `walker`, another use of the fetcher threads into `fetchers`; this file only wires threads and channels.
//!
//! ```text
//!  walker (1 thread) ──Task──► fetchers (N threads) ──Fetched──► parsers (rayon) ──► Harvest
//!                        ▲         ▲                               │      │
//!                        │         └──────── empty buffers ────────┘      │
//!                        └─────── retry queue (1 thread) ◄────────────────┘
//! ```
//!
//! **End.** A stage ends when the channel that it receives from disconnects, and then drops its own
//! sender. Every task owns a sender of the retry queue, and so does the walker. When the walk is over
//! and the last task is done, that channel disconnects; the retry queue ends, then the fetchers, then
//! the parsers. A failed send means that the next stage has ended, and ends this one too. All threads
//! are scoped, so all have ended when [`run`] returns.
//!
//! **No deadlock.** A stage may block only on a send to the stage on its right. Sends to the left never
//! block: the channel to the retry queue is unbounded and holds at most as many tasks as the retry
//! budget allows, and buffers go back with `try_send`.
//!
//! **Speed.** On a real crawl (496 companies, 507 HTML pages, 113 MB of HTML, 23 MB gzipped), with
//! client and server on the same two cores, medians of 15 runs of
//! `compare --from CRAWL.warc.gz --only pipeline --latency 0,50 --workers 32 --rounds 15` (and 128):
//!
//! | Server waits | Workers | Seconds | Least possible | CPU per page | Peak memory |
//! |---|---|---|---|---|---|
//! | 0 ms | 32 | 0.067 | | 0.24 ms | 12 MB |
//! | 0 ms | 128 | 0.065 | | 0.23 ms | 12 MB |
//! | 50 ms | 32 | 0.870 | 0.85 | 0.30 ms | 14 MB |
//! | 50 ms | 128 | 0.328 | 0.30 | 0.33 ms | 23 MB |
//!
//! The least possible time counts waves of requests: one for the first index page, one for its
//! companies and the other index pages, and as many as the other companies need.

pub(crate) mod addresses;
mod fetchers;
pub mod harvest;
pub mod index_pages;
pub mod letters;
pub mod packed;
mod parsers;
mod retry_queue;
mod task;
pub(crate) mod threads;
pub mod walker;

pub use crate::pipeline::parsers::parse_company;

use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Sender, bounded, unbounded};
use rayon::{ThreadPool, ThreadPoolBuilder};
use serde::Serialize;

use crate::http::decode::Inflater;
use crate::http::error::PageError;
use crate::http::page::Page;
use crate::pipeline::fetchers::{Demand, Fetcher};
use crate::pipeline::harvest::Harvest;
use crate::pipeline::index_pages::{Index, SIDE_BY_SIDE, WalkError};
use crate::pipeline::parsers::Parser;
use crate::pipeline::task::{DelayedTask, Task};
use crate::pipeline::threads::join;
use crate::pipeline::walker::WalkMode;
use crate::site::index::Link;
use crate::source::Source;
use crate::source::retry::Attempts;
use crate::telemetry::counters::Counters;
use crate::telemetry::lane::Lane;

/// Threads of the two pools.
#[derive(Debug, Clone, Copy)]
pub struct PoolSizes {
    /// Threads that fetch company pages, at the most.
    pub fetchers: usize,
    /// Threads that parse them.
    pub parsers: usize,
}

/// Tasks that may wait for a fetcher: as many as the index pages list that are fetched side by side. So
/// the walker rarely blocks, and the number of companies is known early.
pub const TASKS: usize = SIDE_BY_SIDE * 50;

/// Fetches and parses every company of an index. A page that fails is data in the harvest. Only an
/// index that cannot be walked to its end is an error.
pub fn run(mode: WalkMode, index: Index, sizes: PoolSizes) -> Result<Harvest, WalkError> {
    let stages = Stages::new(index.source, sizes, index.counters);
    let (mut harvest, walked) = stages.run(parse_company, |tasks| {
        walker::walk(mode, index, |link| tasks.send(link))
    });
    let walked = walked?;
    harvest.listed = walked.listed;
    harvest.walks = walked.walks;
    harvest.index_changed = walked.changed;
    harvest.settle();
    Ok(harvest)
}

/// Like [`run`] by the numbered pages, but without the second look at the index. The other
/// contenders of the race do the same.
pub fn run_numbered_pages(index: Index, sizes: PoolSizes) -> Result<Harvest, WalkError> {
    let stages = Stages::new(index.source, sizes, index.counters);
    let (mut harvest, listed) = stages.run(parse_company, |tasks| {
        walker::walk_numbered_pages(index, |link| tasks.send(link))
    });
    harvest.listed = listed?;
    harvest.settle();
    Ok(harvest)
}

/// The entrance of the pipeline. The stages run at least as long as it exists.
pub struct TaskSender {
    tasks: Sender<Task>,
    retry_queue: Sender<DelayedTask>,
    demand: Arc<Demand>,
}

impl TaskSender {
    /// Sends a company to the fetchers. Returns false if they have ended.
    pub fn send(&self, link: Link) -> bool {
        let task = Task {
            link,
            attempts: Attempts::default(),
            retry_queue: self.retry_queue.clone(),
        };
        self.demand.page_listed();
        self.tasks.send(task).is_ok()
    }
}

impl Drop for TaskSender {
    fn drop(&mut self) {
        self.demand.walk_ended();
    }
}

/// The stages behind the walker: fetchers, retry queue, parsers.
pub struct Stages<'a> {
    source: &'a Source,
    sizes: PoolSizes,
    /// A pool of its own: its threads block on channels, which would stall other work in a shared one.
    parsers: ThreadPool,
    counters: &'a Counters,
}

impl<'a> Stages<'a> {
    pub fn new(source: &'a Source, sizes: PoolSizes, counters: &'a Counters) -> Self {
        let parsers = ThreadPoolBuilder::new()
            .num_threads(sizes.parsers)
            .thread_name(|number| format!("reader-{number}"))
            .build()
            .expect("threads for the parsers");
        Stages {
            source,
            sizes,
            parsers,
            counters,
        }
    }

    /// Runs the stages: `produce` sends tasks, the fetchers get their pages, and the parsers fill the
    /// harvest with what `parse` makes of each.
    pub fn run<P: Serialize, T: Send>(
        &self,
        parse: impl Fn(&Page, &mut Inflater, &mut Lane) -> Result<P, PageError> + Sync,
        produce: impl FnOnce(TaskSender) -> T + Send,
    ) -> (Harvest<P>, T) {
        let PoolSizes { fetchers, parsers } = self.sizes;
        let (tasks_out, tasks_in) = bounded(TASKS);
        let (retries_out, retries_in) = unbounded();
        // Half as many take 3 % longer where responses come at once. Twice as many only hold more
        // pages in memory: each blocked fetcher holds one more anyway.
        let (pages_out, pages_in) = bounded(4 * parsers);
        let (spares_out, spares_in) = bounded(fetchers);
        let (running, pipeline_ended) = bounded(0);
        // `move`: if a parser panics, the channel ends in this closure are dropped before the scope
        // joins its threads, so no fetcher blocks on a send for ever.
        thread::scope(move |scope| {
            let demand = Arc::new(Demand::default());
            let sender = TaskSender {
                tasks: tasks_out.clone(),
                retry_queue: retries_out,
                demand: Arc::clone(&demand),
            };
            let producer = scope.spawn(move || produce(sender));
            let cancelled = self.source.throttle.cancellation();
            scope.spawn(move || {
                retry_queue::run(retries_in, tasks_out, cancelled, self.counters);
                drop(running);
            });
            // No one but the fetchers and their pool may hold these ends: the parsers end when the
            // last sender of pages is dropped.
            let fetcher = Fetcher {
                source: self.source,
                counters: self.counters,
                tasks: tasks_in,
                spare_buffers: spares_in,
                pages: pages_out,
                demand: Arc::clone(&demand),
            };
            scope.spawn(move || fetcher.scale_up(scope, fetchers, 2 * parsers, &pipeline_ended));
            let parser = Parser {
                source: self.source,
                counters: self.counters,
                pages: pages_in,
                spare_buffers: spares_out,
                demand: &demand,
                parse,
            };
            // Every thread of the pool runs this once, with a harvest of its own.
            let harvests = self.parsers.broadcast(|_| parser.run());
            let mut harvest = Harvest::default();
            harvests.into_iter().for_each(|one| harvest.absorb(one));
            (harvest, join(producer))
        })
    }
}
