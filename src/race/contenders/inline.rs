//! A thread pool in which each thread parses the pages that it fetches.

use std::sync::Arc;

use super::contender::{Contender, MAX_IN_FLIGHT};
use super::shared::{Outcome, Worker, worker_pool};
use crate::race::contenders::task::Task;
use crate::telemetry::counters::Counters;

pub const CONTENDER: Contender = Contender {
    name: "inline",
    description: "each fetcher parses its own pages",
    run,
    max_in_flight: MAX_IN_FLIGHT,
    files_per_page: 1,
};

fn run(task: &Task, counters: &Arc<Counters>) -> Outcome {
    worker_pool(task, counters, |source, links| {
        let mut worker = Worker::new(task, source, counters);
        for link in links {
            worker.visit(link);
        }
        Ok(worker.harvest)
    })
}
