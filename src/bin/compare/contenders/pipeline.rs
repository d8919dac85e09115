//! The product: its stages parse each page as far as the task requires.

use std::sync::Arc;

use indexrank::telemetry::counters::Meter;

use super::shared::{Outcome, run_stages, with_rate};
use crate::task::Task;

pub fn run(task: &Task, meter: &Arc<Meter>) -> Outcome {
    with_rate(task, meter, |source| {
        run_stages(task, source, meter, |page, inflater, lane| {
            task.extract(page, inflater, lane)
        })
    })
}
