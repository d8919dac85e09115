//! The contenders: one file each, and one line in the table [`ALL`].
//!
//! The blocking contenders share the product's client, index walk and parsers (`shared`). They differ
//! in which threads fetch and parse the pages, and in how many there are. Contenders with a client of
//! their own share the parsers, and the queue of pages with its workers (`own_client`, `frontier`).

pub mod blocking_walk;
pub mod extract;
pub mod fault;
pub mod task;
pub mod trust;

mod async_hyper;
mod async_reqwest;
mod contender;
mod frontier;
mod host_pause;
mod http1;
mod inline;
mod own_client;
mod pipeline;
mod processes;
mod rayon_only;
mod sequential;
mod shared;
mod sockets;
mod thread_per_page;

pub use contender::{BASELINE, Contender, MAX_IN_FLIGHT, PRODUCT};
pub use processes::worker;

/// The table of all contenders.
pub const ALL: [Contender; 10] = [
    pipeline::CONTENDER,
    sockets::CONTENDER,
    inline::CONTENDER,
    sequential::CONTENDER,
    async_hyper::ON_ALL_CORES,
    thread_per_page::CONTENDER,
    rayon_only::CONTENDER,
    processes::CONTENDER,
    async_hyper::ON_ONE_THREAD,
    async_reqwest::CONTENDER,
];
