//! The embedded market: three stock indices, the pages of their companies, and an HTTP/1.1 server on
//! 127.0.0.1 that can misbehave.
//! Nothing in here fetches or parses a page: the server works for any HTTP client.
//! Another fault goes into `fault` (its name) and `misbehave` or `alter` (its bytes), other markup into
//! `index_html` or `company_html`.

mod alter;
mod chart_html;
mod company_html;
mod connection;
mod fault;
mod faults;
mod html;
mod index;
mod index_html;
mod line;
mod listing;
mod market;
mod misbehave;
mod pages;
mod plan;
mod rates;
mod request;
mod server;
mod stream;
mod synthetic;
mod table;
#[cfg(feature = "race")]
pub mod tls;

pub use fault::kinds;
pub use faults::Faults;
pub use index::Index;
pub use line::{Line, bandwidth};
pub use listing::Listing;
pub use market::{Market, SEED};
pub use pages::Pages;
pub use plan::Plan;
pub use server::{Counts, Event, Server, TlsConfig};
