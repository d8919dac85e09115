//! A thread for every page, started when one of the permitted number has ended.

use std::sync::Arc;
use std::thread;

use crossbeam_channel::{bounded, unbounded};
use indexrank::pipeline::harvest::Harvest;
use indexrank::telemetry::counters::Meter;

use super::{Answer, Worker};
use crate::task::Task;

pub fn run(task: &Task, meter: &Arc<Meter>) -> Answer {
    let (source, meter) = (&task.source()?, &**meter);
    thread::scope(|scope| {
        let rate = scope.spawn(|| task.rate(source, meter));
        let (permit, permits) = bounded(task.workers);
        let (done, all_done) = unbounded();
        let start = |link| {
            // Waits while as many threads as permitted are at work.
            permit.send(()).expect("the other end is here");
            let (permits, done) = (permits.clone(), done.clone());
            scope.spawn(move || {
                let mut worker = Worker::new(task, source, meter);
                worker.visit(link);
                let _ = done.send(worker.harvest);
                drop(worker.lane);
                let _ = permits.recv();
            });
            true
        };
        let listed = task.links(source, task.workers, meter, start)?;
        drop(done);
        let mut harvest = Harvest::default();
        all_done.into_iter().for_each(|one| harvest.absorb(one));
        harvest.listed = listed;
        Ok((harvest, rate.join().expect("no panic")?))
    })
}
