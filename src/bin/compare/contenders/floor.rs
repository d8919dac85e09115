//! Not a contender but the limit: every page fetched and inflated, none read. The stages are the
//! product's, which inflate on as many threads as there are cores; inflating on the fetchers' own
//! threads was slower.

use std::sync::Arc;
use std::thread;

use indexrank::inflate::Inflater;
use indexrank::meter::Meter;
use indexrank::page::{Page, PageError};
use indexrank::pipeline::{Stages, Widths};
use indexrank::trace::{Lane, Phase};

use super::{Answer, cores};
use crate::task::{Seen, Task};

pub fn run(task: &Task, meter: &Arc<Meter>) -> Answer {
    let (source, meter) = (&task.source()?, &**meter);
    let widths = Widths {
        workers: task.workers,
        readers: cores(),
    };
    thread::scope(|scope| {
        let rate = scope.spawn(|| task.rate(source, meter));
        let (mut harvest, listed) = Stages::new(source, widths, meter).run(inflate, |links| {
            task.links(source, task.workers, meter, |link| links.send(link).is_ok())
        });
        harvest.listed = listed?;
        Ok((harvest, rate.join().expect("no panic")?))
    })
}

fn inflate(page: &Page, inflater: &mut Inflater, lane: &mut Lane) -> Result<Seen, PageError> {
    lane.time(Phase::Inflating, || page.inflate(inflater))?;
    Ok(Seen::Nothing)
}
