//! One thread, one page after the other: the baseline of all speedups.

use std::sync::Arc;

use super::contender::{BASELINE, Contender};
use super::shared::{Outcome, Worker};
use crate::race::contenders::task::Task;
use crate::telemetry::counters::Counters;

pub const CONTENDER: Contender = Contender {
    name: BASELINE,
    description: "one page after the other",
    run,
    max_in_flight: 1,
    files_per_page: 1,
};

fn run(task: &Task, counters: &Arc<Counters>) -> Outcome {
    let source = task.source()?;
    let rate = task.rate(&source, counters)?;
    let mut links = Vec::new();
    task.for_each_link(&source, 1, counters, |link| {
        links.push(link);
        true
    })?;
    let mut worker = Worker::new(task, &source, counters);
    worker.harvest.listed = links.len();
    for link in links {
        worker.visit(link);
    }
    Ok((worker.harvest, rate))
}
