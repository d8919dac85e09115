//! indexrank scrapes every company of a stock index with blocking threads and writes four top tens.
//!
//! One program, one job: walk the index → fetch the pages → parse them → rank → write.
//!
//! ```text
//!         ┌──────────── events: index page · failed · few open ─────────┐
//!         ▼                                 │                           │
//!  walker (1 thread) ──Task──► fetchers (N blocking threads) ──► parsers (rayon pool) ──► Harvest ──► rankings, files
//! ```
//!
//! The code lies in rooms. A room imports only from rooms above it in this table;
//! `tests/it/architecture.rs` checks that. Each room's `mod.rs` begins with three sentences: what is in
//! it, what is not, where the next change goes.
//!
//! | Room | |
//! |---|---|
//! | [`site`] | what the pages of the two sites say; bytes in, values out |
//! | [`disk`] | output files that appear whole or not at all; locks |
//! | [`telemetry`] | what is counted, timed and shown while a run goes |
//! | [`http`] | one GET |
//! | [`warc`] | recorded pages, and the journal of an unfinished run |
//! | [`source`] | where pages come from, and when they may be requested |
//! | [`pipeline`] | the engine: walker, fetchers, parsers |
//! | [`results`] | rankings, checks, files, tables |
//! | [`store`] | the SQLite database of `--db`: runs appended, read back, compared |
//! | [`replica`] | the embedded market on 127.0.0.1, which can misbehave |
//! | [`job`] | the rankings job, from opening to writing; the check of the site |
//! | [`lists`] | the subcommand `fetch`: any list of pages |
//! | `race` | the job done in other ways and compared; behind the cargo feature `race` |
//! | [`cli`] | the command line |
//! | [`serve`], [`inspect`], [`diff`], [`history`], [`fetch`], [`console`] | the subcommands `serve`, `read`, `diff`, `history` and `fetch`; printing |
//!
//! [`exit`], [`signals`], [`words`] and `seeded` import nothing, so any room may import them. No room but
//! [`cli`] imports the race.
//!
//! To see the concurrency, read in this order: [`pipeline`], `pipeline/walker.rs`,
//! `pipeline/fetchers.rs`, `source/throttle.rs`.

pub mod cli;
pub mod console;
pub mod diff;
pub mod disk;
pub mod exit;
pub mod fetch;
pub mod history;
pub mod http;
pub mod inspect;
pub mod job;
pub mod lists;
pub mod pipeline;
#[cfg(feature = "race")]
pub mod race;
pub mod replica;
pub mod results;
mod seeded;
pub mod serve;
pub mod signals;
pub mod site;
pub mod source;
pub mod store;
pub mod telemetry;
pub mod warc;
pub mod words;
