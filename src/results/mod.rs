//! What becomes of the companies: rankings, checks, the report, the files, the tables on the terminal.
//! Nothing here sends a request; which sentence ends a failed run is decided in `job::advice`.
//! Another ranking goes into `ranking`, another column into `table`, another check beside `plausibility`.

pub mod layout_check;
pub mod plausibility;
pub mod ranking;
pub mod report;
pub mod table;
pub mod terminal;
pub(crate) mod write;
