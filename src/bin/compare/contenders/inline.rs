//! A thread pool in which each thread parses the pages that it fetches.

use std::sync::Arc;

use indexrank::telemetry::counters::Meter;

use super::shared::{Outcome, Worker, worker_pool};
use crate::task::Task;

pub fn run(task: &Task, meter: &Arc<Meter>) -> Outcome {
    worker_pool(task, meter, |source, links| {
        let mut worker = Worker::new(task, source, meter);
        for link in links {
            worker.visit(link);
        }
        Ok(worker.harvest)
    })
}
