//! One GET: the client, the response as received, its body under a limit, and its text.
//! Retries, throttling and robots.txt are in `source`; what a page says is in `site`.
//! Another kind of failure, or another meaning of a status, goes into `error`. Another charset goes into `decode`, another encoding of archived bodies into `encodings`. Another rule for redirects goes into `redirect`, another form of a proxy variable into `proxy`, of its exceptions into `no_proxy`.

pub(crate) mod body;
pub mod client;
pub mod connections;
pub mod decode;
pub mod encodings;
pub mod error;
pub(crate) mod no_proxy;
pub mod page;
pub mod proxy;
pub mod redirect;
mod status;
mod tcp;
pub mod tls;
