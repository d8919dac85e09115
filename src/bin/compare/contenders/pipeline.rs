//! The product.

use std::thread;

use indexrank::meter::Meter;
use indexrank::pipeline::{self, Widths};

use super::{Answer, Task, cores, rate};

pub fn run(task: &Task) -> Answer {
    let (source, meter) = (task.source(), Meter::default());
    let widths = Widths {
        workers: task.workers,
        readers: cores(),
    };
    thread::scope(|scope| {
        let rate = scope.spawn(|| rate(&source, &meter));
        let harvest = pipeline::run(&source, &task.index, widths, &meter)
            .map_err(|error| error.to_string())?;
        Ok((harvest, rate.join().expect("no panic")?))
    })
}
