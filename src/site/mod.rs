//! What the pages of the two sites say: index pages, company pages, daily exchange rates.
//! Everything here is pure: bytes in, values out; requests, files and threads are elsewhere.
//! Another figure of a company goes into `company`, its class token or header text into `landmarks`.

pub mod block_page;
pub mod company;
pub(crate) mod dom;
pub mod index;
pub mod number;
pub mod rates;
pub(crate) mod scan;
