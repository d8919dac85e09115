//! What the pages of the two sites say: index pages, company pages, daily exchange rates, robots.txt.
//! Everything here is pure: bytes in, values out; requests, files and threads are elsewhere.
//! Another figure of a company goes into `company`, its class token or header text into `landmarks`.

pub(crate) mod block_page;
pub mod company;
pub(crate) mod dom;
pub mod index;
pub(crate) mod landmarks;
pub mod number;
pub mod paths;
pub mod rates;
pub(crate) mod robots;
pub(crate) mod scan;
pub(crate) mod text;
