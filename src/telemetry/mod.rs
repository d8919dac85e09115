//! Counters, timeline, progress display and log of a run, the terminal, and its CPU time and memory from the
//! operating system.
//! Nothing in here sends a request or makes a decision: the other rooms report durations and labels.
//! Another counter goes into `counters`, its text into `snapshot`, its bar into `bars`, its place on the
//! terminal into `frame`, another label of the timeline into `trace`, another colour into `screen`, another character that a shell does not take as it is into `shell_word`.

mod bars;
pub mod counters;
pub mod frame;
pub mod lane;
pub mod log;
pub mod percentile;
pub mod progress;
pub mod screen;
pub mod shell_word;
mod snapshot;
mod speed;
pub mod trace;
pub mod usage;
