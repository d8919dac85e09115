//! A rayon pool does everything, even the blocking requests. It has as many threads as pages may be
//! in flight.

use std::sync::Arc;

use crossbeam_channel::unbounded;
use rayon::ThreadPoolBuilder;

use super::contender::{Contender, MAX_IN_FLIGHT};
use super::shared::{Outcome, Worker};
use crate::pipeline::harvest::Harvest;
use crate::race::contenders::task::Task;
use crate::telemetry::counters::Counters;

pub const CONTENDER: Contender = Contender {
    name: "rayon-only",
    description: "a rayon pool does everything, even the blocking requests",
    run,
    max_in_flight: MAX_IN_FLIGHT,
    files_per_page: 1,
};

fn run(task: &Task, counters: &Arc<Counters>) -> Outcome {
    let source = &task.source()?;
    let pool = ThreadPoolBuilder::new()
        .num_threads(task.workers)
        .build()
        .map_err(|error| error.to_string())?;
    // Workers are reused, so that their buffers are too. Rayon's own state (`fold`, `map_init`)
    // lives only as long as one job, which here is one page.
    let (idle_out, idle_workers) = unbounded();
    let visit = |link| {
        let mut worker: Worker = idle_workers
            .try_recv()
            .unwrap_or_else(|_| Worker::new(task, source, counters));
        worker.visit(link);
        // Sending cannot fail: the receiver outlives the pool's scope.
        let _ = idle_out.send(worker);
    };
    let visit = &visit;
    let mut rate = None;
    let listed = pool.in_place_scope(|scope| {
        scope.spawn(|_| rate = Some(task.rate(source, counters)));
        task.for_each_link(source, task.workers, counters, |link| {
            scope.spawn(move |_| visit(link));
            true
        })
    })?;
    let mut harvest = Harvest {
        listed,
        ..Harvest::default()
    };
    for worker in idle_workers.try_iter() {
        harvest.absorb(worker.harvest);
    }
    let rate = rate.expect("the scope has run the spawned job")?;
    Ok((harvest, rate))
}
