//! Recorded pages: reading WARC archives, writing them, and the journal of an unfinished run.
//! Which responses are recorded is decided in `source::purpose`; what pages say is in `site`.
//! A quirk of other programs goes into `raw` (bytes between records, which it reads through `window`), `record` (heads of records), `stored_response` (HTTP in a record) or `path_map` (spellings of a path). Which record answers a path is decided in `contents`; what is kept of each is in `stored`. Another digest goes into `digest`, another header field into `writer`.

mod contents;
mod digest;
pub mod journal;
pub mod path_map;
mod raw;
pub mod reader;
mod record;
mod stored;
mod stored_response;
mod sync;
mod window;
pub mod writer;
