//! What a run counts, times and shows while it goes, and what the operating system says it has used.
//! Nothing in here sends a request or takes a decision: the other rooms report durations and labels.
//! Another counter goes into `counters`, its display into `progress`, another label of the timeline into `trace`.

pub mod counters;
pub mod lane;
pub mod percentile;
pub mod progress;
pub mod trace;
pub mod usage;
