//! The contenders: one function each, of one type, in one table.
//!
//! The blocking contenders share the product's client, index walk and parsers. They differ in which
//! threads fetch and parse the pages, and in how many there are. The async contenders share the
//! parsers only and have their own client.

mod async_tokio;
mod inline;
mod pipeline;
mod processes;
mod rayon_only;
mod sequential;
mod shared;
mod thread_per_page;

use std::sync::Arc;

use crate::telemetry::counters::Counters;

use crate::race::task::Task;
use shared::Outcome;

pub use processes::worker;

/// The contender that is the product. Tables and charts highlight it.
pub const PRODUCT: &str = "pipeline";
/// The contender that speedups are relative to.
pub const BASELINE: &str = "sequential";

pub struct Contender {
    pub name: &'static str,
    /// One line for `--help`.
    pub description: &'static str,
    pub run: fn(&Task, &Arc<Counters>) -> Outcome,
}

pub const ALL: [Contender; 8] = [
    Contender {
        name: PRODUCT,
        description: "walker → fetchers → rayon: the product",
        run: pipeline::run,
    },
    Contender {
        name: "inline",
        description: "each fetcher parses its own pages",
        run: inline::run,
    },
    Contender {
        name: BASELINE,
        description: "one page after the other",
        run: sequential::run,
    },
    Contender {
        name: "thread-per-page",
        description: "a thread for every page, no pool",
        run: thread_per_page::run,
    },
    Contender {
        name: "rayon-only",
        description: "a rayon pool does everything, even the blocking requests",
        run: rayon_only::run,
    },
    Contender {
        name: "processes",
        description: "child processes, addresses in, JSON out",
        run: processes::run,
    },
    Contender {
        name: "async",
        description: "tokio + reqwest, one thread per core",
        run: async_tokio::on_all_cores,
    },
    Contender {
        name: "async-single",
        description: "tokio + reqwest on one thread",
        run: async_tokio::on_one_thread,
    },
];
