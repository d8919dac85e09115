//! Files that appear whole or not at all, and only one run at a time that writes them.
//! Which files a run writes is decided in `results::write`; what they contain, in `results` and `warc`.
//! Another check of a path goes into `same_file`, another property of the staging file into `staging`, another step at the end of a run into `commit`, what they share into `output`.

pub(crate) mod commit;
pub mod output;
pub mod same_file;
pub mod staging;
