//! The SQLite database of `--db`: its schema, and how runs get into it.
//! Nothing in here knows the command line, sends a request or prints; when a run appends is in `job::database`.
//! Another column goes into a new script of `schema` (never into one that exists), and from there into `runs`; another way for a file to be unusable goes into `error`.

pub mod error;
pub mod runs;
pub mod schema;
