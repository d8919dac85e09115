//! The SQLite database of `--db`: how runs and the answers of `fetch` get into it, and what is read back and compared.
//! Nothing in here knows the command line, sends a request or prints; when a run appends is in `job::database`, the text of the answers is in `diff` and `history`.
//! Another column goes into a new script of `schema` (never into one that exists), and from there into `runs` (written) and `rows` (read); another comparison of two runs goes into `changes`, another way to choose them into `choose`, another way for a file to be unusable into `error`. The tables of `fetch --into` are in `objects`, what JSON becomes in a column in `json`.

pub mod changes;
pub mod choose;
pub mod error;
mod json;
pub mod objects;
pub mod rows;
pub mod runs;
pub mod schema;
