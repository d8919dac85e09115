//! What the pages of the two sites say: their paths, their landmarks, and the parsers that turn their bytes into values; and the titles and headings of any page.
//! Requests, files and threads are elsewhere: every function in here is pure.
//! Another figure of a company goes into `company` (parsed from the whole page), `company_scan` (read without a parser) and `landmarks`; another address goes into `paths`, another block page into `block_texts`, another text of a page of any site into `page_text`.

pub(crate) mod block_page;
mod block_texts;
pub mod company;
pub(crate) mod company_scan;
pub mod currency;
pub(crate) mod dom;
pub mod identity;
pub mod index;
pub(crate) mod index_page;
pub(crate) mod index_scan;
pub(crate) mod landmarks;
pub mod notes;
pub mod number;
pub mod page_text;
pub mod paths;
pub mod rates;
pub(crate) mod robots;
pub(crate) mod scan;
pub mod text;
