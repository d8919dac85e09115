//! Recorded pages: the WARC reader, the WARC writer, and the journal of an unfinished run.
//! Which pages are recorded is decided in `source`; what they say is in `site`.
//! A quirk of another tool's archive goes into `reader`, another header field into `writer`.

pub mod journal;
pub mod reader;
pub mod writer;
