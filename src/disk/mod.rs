//! How a file is written so that it appears whole or not at all, and how a second run is kept out.
//! Which files a run writes is decided in `results::write`; what they contain, in `results` and `warc`.
//! Another way to stage or check a file goes into `output`, another lock into `lock`.

pub(crate) mod lock;
pub mod output;
