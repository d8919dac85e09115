//! Output files that appear whole or not at all, and the lock that keeps a second run out.
//! What the files contain is decided in `results` and `warc`; nothing here knows a format.
//! Another way to replace or protect a file goes here; another output file is listed in `results::write`.

pub(crate) mod lock;
pub mod output;
