//! What the runs of a race show: medians and order under each condition, bounds, comparisons, and the
//! sentences at the end.
//! Pure: measured numbers in, values and sentences out. Not in here: tables (`terminal`), charts (`page`),
//! files (`export`).
//! A further sentence goes into `verdict`, a further number of a participant into `round_set`.

pub mod bottleneck;
pub mod comparison;
pub mod connection_notes;
pub mod labels;
pub mod round_set;
pub mod sweep;
pub mod verdict;
