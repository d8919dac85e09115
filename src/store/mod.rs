//! The SQLite database of `--db`: how runs get into it, and what is read back and compared.
//! Nothing in here knows the command line, sends a request or prints; when a run appends is in `job::database`, the text of the answers is in `diff` and `history`.
//! Another column goes into a new script of `schema` (never into one that exists), and from there into `runs` (written) and `rows` (read); another comparison of two runs goes into `changes`, another way to choose them into `choose`, another way for a file to be unusable into `error`.

pub mod changes;
pub mod choose;
pub mod error;
pub mod rows;
pub mod runs;
pub mod schema;
