//! One GET: the client, the response as received, its body under a limit, and its text.
//! Retries, throttling and robots.txt are in `source`; what a page says is in `site`.
//! Another kind of failure, or another meaning of a status, goes into `error`; a status whose page shows more into `status`; another charset into `decode`, another content encoding of archived pages into `encodings`, another rule for redirects into `redirect`.

pub(crate) mod body;
pub mod client;
pub(crate) mod connections;
pub mod decode;
pub mod encodings;
pub mod error;
pub(crate) mod no_proxy;
pub mod page;
pub mod proxy;
pub mod redirect;
mod status;
pub mod tls;
