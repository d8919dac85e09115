//! What becomes of the companies: rankings, checks, the report, the table of all companies, the terminal.
//! Nothing in here sends a request; the sentence and exit code of a failed run are in `job::advice`.
//! Another ranking goes into `ranking`, another rule about rates and currencies into `prices`, another column of the table of all companies into `table`, another contradiction between figures into `plausibility`, another bound on the number of companies into `coverage`, another list of companies in the report into `findings`, another output file into `write`.

pub mod coverage;
pub mod failed_run;
pub mod findings;
pub mod grid;
pub mod layout_check;
pub mod plausibility;
pub mod prices;
pub mod ranking;
pub mod report;
pub mod schema;
pub mod table;
pub mod terminal;
pub(crate) mod write;
