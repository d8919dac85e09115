//! Recorded pages: reading WARC archives, writing them, and the journal of an unfinished run.
//! Which responses are recorded is decided in `source::purpose`; what pages say is in `site`.
//! A quirk in the records of other tools goes into `record`, one in their files into `reader`, one in their spelling of paths into `path_map`, another header field into `writer`.

pub mod journal;
pub mod path_map;
pub mod reader;
mod record;
pub mod writer;
