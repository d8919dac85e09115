//! Contender `pipeline`: indexrank's own walker, fetchers and parsers, with the task's extraction as
//! the parser.

use std::sync::Arc;

use crate::telemetry::counters::Counters;

use super::shared::{Outcome, run_stages, with_exchange_rate};
use crate::race::task::Task;

pub fn run(task: &Task, counters: &Arc<Counters>) -> Outcome {
    with_exchange_rate(task, counters, |source| {
        run_stages(task, source, counters, |page, inflater, lane| {
            task.extract(page, inflater, lane)
        })
    })
}
