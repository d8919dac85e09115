//! The product: its stages parse each page as far as the task requires.

use std::sync::Arc;

use indexrank::telemetry::counters::Counters;

use super::shared::{Outcome, run_stages, with_rate};
use crate::task::Task;

pub fn run(task: &Task, counters: &Arc<Counters>) -> Outcome {
    with_rate(task, counters, |source| {
        run_stages(task, source, counters, |page, inflater, lane| {
            task.extract(page, inflater, lane)
        })
    })
}
