//! Contender `pipeline`: indexrank's own walker, fetchers and parsers, with the task's extraction as
//! the parser.

use std::sync::Arc;
use std::thread;

use super::contender::{Contender, MAX_IN_FLIGHT, PRODUCT};
use super::shared::Outcome;
use crate::pipeline::{self, PoolSizes};
use crate::race::contenders::task::Task;
use crate::race::machine;
use crate::telemetry::counters::Counters;

pub const CONTENDER: Contender = Contender {
    name: PRODUCT,
    description: "walker → fetchers → rayon: the product",
    run,
    max_in_flight: MAX_IN_FLIGHT,
    files_per_page: 1,
};

fn run(task: &Task, counters: &Arc<Counters>) -> Outcome {
    let source = &task.source()?;
    let sizes = PoolSizes {
        fetchers: task.workers,
        parsers: machine::cores(),
    };
    let walk = task.walk(source, counters)?;
    thread::scope(|scope| {
        let rate = scope.spawn(|| task.rate(source, counters));
        let harvest = pipeline::run(walk, source, sizes, counters, |_, page, inflater, lane| {
            task.extract(page, inflater, lane)
        });
        let harvest = harvest.map_err(|error| error.to_string())?;
        Ok((harvest, rate.join().expect("no panic")?))
    })
}
