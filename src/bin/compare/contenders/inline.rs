//! A pool of threads that fetch pages and read what they fetched; no other threads.

use std::thread;

use crossbeam_channel::bounded;
use indexrank::harvest::Harvest;
use indexrank::meter::Meter;
use indexrank::walk::walk;

use super::{Answer, Task, fetch_and_read, rate, settled};

pub fn run(task: &Task) -> Answer {
    let (source, meter) = (&task.source(), &Meter::default());
    let (link_out, link_in) = bounded(2 * task.workers);
    thread::scope(|scope| {
        let rate = scope.spawn(|| rate(source, meter));
        let walker = scope.spawn(move || {
            walk(source, &task.index, task.workers, meter, |link| {
                link_out.send(link).is_ok()
            })
        });
        let fetchers: Vec<_> = (0..task.workers)
            .map(|_| {
                let links = link_in.clone();
                scope.spawn(move || {
                    let (mut harvest, mut buffer) = (Harvest::default(), Vec::new());
                    links.iter().for_each(|link| {
                        fetch_and_read(source, link, &mut buffer, meter, &mut harvest)
                    });
                    harvest
                })
            })
            .collect();
        drop(link_in);
        let mut harvest = Harvest::default();
        fetchers
            .into_iter()
            .for_each(|fetcher| harvest.absorb(fetcher.join().expect("no panic")));
        let listed = walker
            .join()
            .expect("no panic")
            .map_err(|error| error.to_string())?;
        Ok((settled(harvest, listed), rate.join().expect("no panic")?))
    })
}
