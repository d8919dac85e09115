//! Writes files so that they appear whole or not at all, and locks out a second run.
//! Which files a run writes is decided in `results::write`; what they contain, in `results` and `warc`.
//! Another way to stage or check a file goes into `output`, another lock into `lock`.

pub(crate) mod lock;
pub mod output;
