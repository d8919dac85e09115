//! Everything in a rayon pool as wide as the number of pages in flight, the waiting too.

use std::sync::Arc;

use crossbeam_channel::unbounded;
use indexrank::pipeline::harvest::Harvest;
use indexrank::telemetry::counters::Meter;
use rayon::ThreadPoolBuilder;

use super::{Answer, Worker};
use crate::task::Task;

pub fn run(task: &Task, meter: &Arc<Meter>) -> Answer {
    let (source, meter) = (&task.source()?, &**meter);
    let pool = ThreadPoolBuilder::new()
        .num_threads(task.workers)
        .build()
        .map_err(|error| error.to_string())?;
    // A state of rayon's own (`fold`, `map_init`) lives as long as a piece of work, which here is
    // one page; buffers are to live longer.
    let (rest, rested) = unbounded();
    let (rested, visit) = (&rested, |link| {
        let mut worker: Worker = rested
            .try_recv()
            .unwrap_or_else(|_| Worker::new(task, source, meter));
        worker.visit(link);
        let _ = rest.send(worker);
    });
    let (visit, rate) = (&visit, &mut None);
    let listed = pool.in_place_scope(|scope| {
        scope.spawn(|_| *rate = Some(task.rate(source, meter)));
        task.links(source, task.workers, meter, |link| {
            scope.spawn(move |_| visit(link));
            true
        })
    })?;
    let mut harvest = Harvest {
        listed,
        ..Harvest::default()
    };
    rested
        .try_iter()
        .for_each(|worker| harvest.absorb(worker.harvest));
    let rate = rate.take().expect("the scope has ended")?;
    Ok((harvest, rate))
}
