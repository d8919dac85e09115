//! The engine: the threads and channels that turn an index into a harvest of companies.
//! How a page is fetched and retried is in `source`, what it says in `site`, what becomes of the harvest in `results`.
//! Another order of the index pages goes into `index_walk`, another rule about open tasks into `walker`; this file only wires threads and channels.
//!
//! ```text
//!         ┌──────────── events: index page · failed · few open ─────────┐
//!         ▼                                 │                           │
//!  walker (1 thread) ──Task──► fetchers (N threads) ──Fetched──► parsers (rayon pool) ──► Harvest
//!  order of the index,                  ▲                           │
//!  times of retries                     └────── empty buffers ──────┘
//! ```
//!
//! The walker hands out tasks. Index pages come back to it, company pages go to the parsers, and a failed
//! page comes back to wait for its next attempt. A parsed page is only counted: to wake the walker for each
//! takes three of four futex calls of a run whose pages come at once.
//!
//! **End.** When no task is open and the index is walked, the walker drops its sender of tasks. A stage
//! ends when the channel that it receives from disconnects. All threads are scoped, so all have ended
//! when [`run`] returns.
//!
//! **No deadlock.** Only fetchers ever block on a send, to the parsers, and parsers never block on one.
//! The walker sends only what fits, `events` is unbounded and holds at most one message per open task, and buffers go back
//! with `try_send`.
//!
//! **Speed.** On a real crawl (496 companies, 507 HTML pages, 113 MB of HTML, 23 MB gzipped), with
//! client and server on the same two cores, medians of 9 runs of
//! `indexrank race --from CRAWL.warc.gz --only pipeline,async --latency 0,50 --workers 32,128 --rounds 9`:
//!
//! | Server waits | In flight | Seconds | hyper | Least possible | CPU per page | Peak memory |
//! |---|---|---|---|---|---|---|
//! | 0 ms | 32 | 0.058 | 0.055 |  | 0.21 ms | 17 MB |
//! | 0 ms | 128 | 0.060 | 0.055 |  | 0.21 ms | 23 MB |
//! | 50 ms | 32 | 0.872 | 0.873 | 0.85 | 0.29 ms | 17 MB |
//! | 50 ms | 128 | 0.334 | 0.330 | 0.30 | 0.37 ms | 27 MB |
//!
//! The least possible time counts waves of requests: one for the first index page, one for its
//! companies and the other index pages, and as many as the other companies need.
//!
//! **Memory.** With 50,000 companies a run has 44 MB, with 500 it has 16 MB: 570 bytes for each.
//! With 100,000, 128 fetchers and 8 parsers it has 82 MB.

pub mod address_walk;
mod companies_seen;
mod fetchers;
pub mod harvest;
pub mod index_walk;
mod open_tasks;
mod parsers;
mod retry_queue;
mod second_looks;
pub mod series;
pub mod shard_rows;
pub mod task;
pub(crate) mod threads;
mod walker;

pub use crate::pipeline::parsers::parse_company;
pub use crate::pipeline::walker::Walk;

use std::sync::Arc;
use std::thread;

use crossbeam_channel::{bounded, unbounded};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::http::decode::Inflater;
use crate::http::error::PageError;
use crate::http::page::Page;
use crate::pipeline::fetchers::Fetcher;
use crate::pipeline::harvest::Harvest;
use crate::pipeline::index_walk::WalkError;
use crate::pipeline::open_tasks::OpenTasks;
use crate::pipeline::parsers::Parser;
use crate::pipeline::task::Target;
use crate::pipeline::threads::join;
use crate::pipeline::walker::Walker;
use crate::source::Source;
use crate::telemetry::counters::Counters;
use crate::telemetry::lane::Lane;

/// Threads of the two pools.
#[derive(Debug, Clone, Copy)]
pub struct PoolSizes {
    /// Maximum number of threads that fetch.
    pub fetchers: usize,
    /// Threads that parse.
    pub parsers: usize,
}

/// Tasks that may wait in the channel, beside one for each fetcher. The walker fills it up when half of
/// these have ended, so it wakes once for 256 companies of a large index.
const QUEUED: usize = 512;
/// Page buffers that are kept for the next pages. With 1,024 fetchers that keep one each, a run has 106 MB
/// instead of 86 MB, and takes as long.
const SPARE_BUFFERS: usize = 128;

/// Fetches and parses every company of a walk. A page that fails is data in the harvest. Only an index
/// that cannot be walked to its end is an error.
pub fn run<'a, P: Send>(
    mut walk: Walk<'a>,
    source: &'a Source,
    sizes: PoolSizes,
    counters: &'a Counters,
    parse: impl Fn(&mut Target, &Page, &mut Inflater, &mut Lane) -> Result<P, PageError> + Sync,
) -> Result<Harvest<P>, WalkError> {
    let PoolSizes { fetchers, parsers } = sizes;
    let parser_pool = parser_pool(parsers);
    let (tasks_out, tasks_in) = bounded(fetchers + QUEUED);
    let (events_out, events_in) = unbounded();
    // With room for a page of each fetcher, none waits with its page before it sends the next request. With
    // room for 8 pages, 1,024 requests in flight take 3.84 s instead of 3.78 s.
    let (pages_out, pages_in) = bounded(fetchers.max(4 * parsers));
    let (spares_out, spares_in) = bounded(fetchers.min(SPARE_BUFFERS));
    let (running, run_ended) = bounded(0);
    let listed = walk.listed();
    let open_tasks = Arc::new(OpenTasks::default());
    let walk = &mut walk;
    // `move`: if a parser panics, the channel ends in this closure are dropped before the scope joins
    // its threads, so no fetcher blocks on a send for ever.
    thread::scope(move |scope| {
        let walker = Walker {
            source,
            counters,
            tasks: tasks_out,
            open_tasks: open_tasks.clone(),
            few_open: fetchers + QUEUED / 2,
            events: events_in,
        };
        let walker = scope.spawn(move || {
            let failures = walker.run(walk);
            drop(running);
            failures.map(|failures| (failures, walk))
        });
        let fetcher = Fetcher {
            source,
            counters,
            tasks: tasks_in,
            spare_buffers: spares_in,
            pages: pages_out,
            events: events_out.clone(),
        };
        scope.spawn(move || fetcher.scale_up(scope, 2 * parsers, fetchers, &run_ended));
        let parser = Parser {
            source,
            counters,
            pages: pages_in,
            spare_buffers: spares_out,
            open_tasks,
            events: events_out,
            parse,
        };
        // Every thread of the pool runs this once, with a harvest of its own.
        let harvests = parser_pool.broadcast(|_| parser.run());
        // Without it, the walker's channel of events could never disconnect.
        drop(parser);
        let mut harvests = harvests.into_iter();
        let mut harvest = harvests.next().unwrap_or_default();
        harvests.for_each(|one| harvest.absorb(one));
        let (failures, walk) = join(walker)?;
        harvest.failures = failures;
        if let Walk::Index(walk) = walk {
            harvest.listed = walk.listed();
            harvest.walks = walk.reports();
            harvest.unread_rows = walk.unread_rows();
            harvest.index_changed = walk.changed();
            harvest.index = walk.digest();
        } else {
            harvest.listed = listed;
        }
        Ok(harvest)
    })
}

/// A pool of its own: its threads block on a channel, which would stall other work in a shared one.
fn parser_pool(threads: usize) -> ThreadPool {
    ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|number| format!("reader-{number}"))
        .build()
        .expect("threads for the parsers")
}
