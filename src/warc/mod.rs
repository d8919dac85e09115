//! Recorded pages: reading WARC archives, writing them, and the journal of an unfinished run.
//! Which responses are recorded is decided in `source::purpose`; what pages say is in `site`.
//! A quirk in the records of other tools goes into `record`, one in the responses in these into `stored_response`, one in their files into `raw`, one in their spelling of paths into `path_map`, another digest into `digest`, another rule for which record answers a path into `contents`, another header field into `writer`.

mod contents;
mod digest;
pub mod journal;
pub mod path_map;
mod raw;
pub mod reader;
mod record;
mod stored_response;
mod sync;
pub mod writer;
