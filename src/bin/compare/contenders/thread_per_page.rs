//! A thread for every page, started when one of the permitted number has ended.

use std::thread;

use crossbeam_channel::{bounded, unbounded};
use indexrank::harvest::Harvest;
use indexrank::meter::Meter;

use super::{Answer, Task, fetch_and_read, rate, settled};

pub fn run(task: &Task) -> Answer {
    let (source, meter) = (&task.source(), &Meter::default());
    thread::scope(|scope| {
        let rate = scope.spawn(|| rate(source, meter));
        let links = task.links(source, task.workers, meter)?;
        let listed = links.len();
        let (permit, permits) = bounded(task.workers);
        let (done, all_done) = unbounded();
        for link in links {
            // Waits while as many threads as permitted are at work.
            permit.send(()).expect("the other end is here");
            let (permits, done) = (permits.clone(), done.clone());
            scope.spawn(move || {
                let mut harvest = Harvest::default();
                fetch_and_read(source, link, &mut Vec::new(), meter, &mut harvest);
                let _ = done.send(harvest);
                let _ = permits.recv();
            });
        }
        drop(done);
        let mut harvest = Harvest::default();
        all_done.into_iter().for_each(|one| harvest.absorb(one));
        Ok((settled(harvest, listed), rate.join().expect("no panic")?))
    })
}
