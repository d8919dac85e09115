//! A thread for every page. A semaphore limits how many run at the same time.

use std::sync::Arc;
use std::thread;

use crossbeam_channel::{bounded, unbounded};

use super::contender::{Contender, MAX_IN_FLIGHT};
use super::shared::{Outcome, Worker};
use crate::pipeline::harvest::Harvest;
use crate::race::contenders::task::Task;
use crate::telemetry::counters::Counters;

pub const CONTENDER: Contender = Contender {
    name: "thread-per-page",
    description: "a new thread for every company page, as many at a time as pages in flight",
    run,
    max_in_flight: MAX_IN_FLIGHT,
    files_per_page: 1,
};

fn run(task: &Task, counters: &Arc<Counters>) -> Outcome {
    let source = &task.source()?;
    thread::scope(|scope| {
        let rate = scope.spawn(|| task.rate(source, counters));
        // The bounded channel is the semaphore: one message for each running thread.
        let (acquire, release) = bounded(task.workers);
        let (harvest_out, harvests) = unbounded();
        let start = |link| {
            acquire.send(()).expect("the receiver is in this function");
            let (release, harvest_out) = (release.clone(), harvest_out.clone());
            scope.spawn(move || {
                let mut worker = Worker::new(task, source, counters);
                worker.visit(link);
                // Sending fails only if the walk failed, which ends the run with its error.
                let _ = harvest_out.send(worker.harvest);
                // Frees the row of the timeline, so that the next thread uses it again.
                drop(worker.lane);
                // Receiving cannot fail: the message of this thread is in the channel.
                let _ = release.recv();
            });
            true
        };
        let listed = task.for_each_link(source, task.workers, counters, start)?;
        drop(harvest_out);
        let mut harvest = Harvest::default();
        for page in harvests {
            harvest.absorb(page);
        }
        harvest.listed = listed;
        Ok((harvest, rate.join().expect("no panic")?))
    })
}
