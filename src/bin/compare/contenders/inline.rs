//! A pool of threads that fetch pages and read what they fetched; no other threads.

use std::sync::Arc;

use indexrank::telemetry::counters::Meter;

use super::{Answer, Worker, pool};
use crate::task::Task;

pub fn run(task: &Task, meter: &Arc<Meter>) -> Answer {
    pool(task, meter, |source, links| {
        let mut worker = Worker::new(task, source, meter);
        links.iter().for_each(|link| worker.visit(link));
        Ok(worker.harvest)
    })
}
