//! One GET: the client, the body under its limit, the page as received, inflating and decoding it.
//! Retries, throttling and robots.txt are in `source`; what a page says is in `site`.
//! Another reason for a failure goes into `error`, another encoding into `decode`.

pub(crate) mod body;
pub mod client;
pub mod decode;
pub mod page;
pub mod tls;
