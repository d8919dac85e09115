//! A pool of threads that fetch pages and read what they fetched; no other threads.

use indexrank::harvest::Harvest;

use super::{Answer, Task, fetch_and_read, pool};

pub fn run(task: &Task) -> Answer {
    pool(task, |source, meter, links| {
        let (mut harvest, mut buffer) = (Harvest::default(), Vec::new());
        links
            .iter()
            .for_each(|link| fetch_and_read(source, link, &mut buffer, meter, &mut harvest));
        Ok(harvest)
    })
}
