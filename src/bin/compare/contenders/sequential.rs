//! One thread, one page after the other: what everything else is measured against.

use std::sync::Arc;

use indexrank::telemetry::counters::Meter;

use super::{Answer, Worker, all_links};
use crate::task::Task;

pub fn run(task: &Task, meter: &Arc<Meter>) -> Answer {
    let source = task.source()?;
    let rate = task.rate(&source, meter)?;
    let links = all_links(task, &source, 1, meter)?;
    let mut worker = Worker::new(task, &source, meter);
    worker.harvest.listed = links.len();
    links.into_iter().for_each(|link| worker.visit(link));
    Ok((worker.harvest, rate))
}
