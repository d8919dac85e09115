//! The product: its stages, which do with each page what the work asks for.

use std::sync::Arc;

use indexrank::telemetry::counters::Meter;

use super::{Answer, beside_the_rate, staged};
use crate::task::Task;

pub fn run(task: &Task, meter: &Arc<Meter>) -> Answer {
    beside_the_rate(task, meter, |source| {
        staged(task, source, meter, |page, inflater, lane| {
            task.read(page, inflater, lane)
        })
    })
}
