//! Everything in a rayon pool as wide as the number of pages in flight, the waiting too.

use std::sync::Arc;

use crossbeam_channel::unbounded;
use indexrank::harvest::Harvest;
use indexrank::meter::Meter;
use rayon::ThreadPoolBuilder;
use rayon::prelude::*;

use super::{Answer, Worker, all_links};
use crate::task::Task;

pub fn run(task: &Task, meter: &Arc<Meter>) -> Answer {
    let (source, meter) = (&task.source()?, &**meter);
    let pool = ThreadPoolBuilder::new()
        .num_threads(task.workers)
        .build()
        .map_err(|error| error.to_string())?;
    let (rate, links) = pool.install(|| {
        rayon::join(
            || task.rate(source, meter),
            || all_links(task, source, task.workers, meter),
        )
    });
    let links = links?;
    let mut harvest = Harvest {
        listed: links.len(),
        ..Harvest::default()
    };
    // A state of rayon's own (`fold`, `map_init`) lives as long as a piece of work, which here is
    // one page; buffers are to live longer.
    let (rest, rested) = unbounded();
    pool.install(|| {
        // Pages take different times: no thread shall sit on a heap of them while others are idle.
        links.into_par_iter().with_max_len(1).for_each(|link| {
            let mut worker = rested
                .try_recv()
                .unwrap_or_else(|_| Worker::new(task, source, meter));
            worker.visit(link);
            let _ = rest.send(worker);
        });
    });
    rested
        .try_iter()
        .for_each(|worker| harvest.absorb(worker.harvest));
    Ok((harvest, rate?))
}
