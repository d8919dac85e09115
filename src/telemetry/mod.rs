//! Counters, timeline and progress display of a run, and its CPU time and memory from the operating system.
//! Nothing in here sends a request or makes a decision: the other rooms report durations and labels.
//! Another counter goes into `counters`, its display into `progress`, another label of the timeline into `trace`.

pub mod counters;
pub mod lane;
pub mod percentile;
pub mod progress;
pub mod trace;
pub mod usage;
