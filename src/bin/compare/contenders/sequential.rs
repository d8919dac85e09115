//! One thread, one page after the other: what everything else is measured against.

use indexrank::harvest::Harvest;
use indexrank::meter::Meter;

use super::{Answer, Task, fetch_and_read, rate, settled};

pub fn run(task: &Task) -> Answer {
    let (source, meter) = (task.source(), Meter::default());
    let rate = rate(&source, &meter)?;
    let links = task.links(&source, 1, &meter)?;
    let (mut harvest, mut buffer, listed) = (Harvest::default(), Vec::new(), links.len());
    links
        .into_iter()
        .for_each(|link| fetch_and_read(&source, link, &mut buffer, &meter, &mut harvest));
    Ok((settled(harvest, listed), rate))
}
