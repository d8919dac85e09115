//! One GET: the client, the body under its limit, the page as received, inflating and decoding it.
//! Retries, throttling and robots.txt are in `source`; what a page says is in `site`.
//! Another kind of failure goes into `error`, another content encoding into `decode`.

pub(crate) mod body;
pub mod client;
pub mod decode;
pub mod error;
pub mod page;
pub mod proxy;
pub mod tls;
