//! Everything in a rayon pool as wide as the number of pages in flight, the waiting too.

use indexrank::harvest::Harvest;
use indexrank::meter::Meter;
use rayon::ThreadPoolBuilder;
use rayon::prelude::*;

use super::{Answer, Task, fetch_and_read, rate, settled};

pub fn run(task: &Task) -> Answer {
    let (source, meter) = (&task.source(), &Meter::default());
    let pool = ThreadPoolBuilder::new()
        .num_threads(task.workers)
        .build()
        .map_err(|error| error.to_string())?;
    let (rate, links) = pool.install(|| {
        rayon::join(
            || rate(source, meter),
            || task.links(source, task.workers, meter),
        )
    });
    let links = links?;
    let listed = links.len();
    let one_by_one = |(mut harvest, mut buffer): (Harvest, Vec<u8>), link| {
        fetch_and_read(source, link, &mut buffer, meter, &mut harvest);
        (harvest, buffer)
    };
    let both = |mut one: Harvest, other: Harvest| {
        one.absorb(other);
        one
    };
    let harvest = pool.install(|| {
        // Pages take different times: no thread shall sit on a heap of them while others are idle.
        let singly = links.into_par_iter().with_max_len(1);
        singly
            .fold(Default::default, one_by_one)
            .map(|(harvest, _)| harvest)
            .reduce(Harvest::default, both)
    });
    Ok((settled(harvest, listed), rate?))
}
