//! The product.

use std::sync::Arc;
use std::thread;

use indexrank::harvest::{Company, Harvest};
use indexrank::meter::Meter;
use indexrank::pipeline::{self, Stages, Widths};

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
        let harvest = match task.work.index() {
            Some(index) => pipeline::run(source, index, widths, meter)
                .map(seen)
                .map_err(|error| error.to_string())?,
            None => {
                let (mut harvest, listed) = Stages::new(source, widths, meter).run(
                    |page, inflater, lane| task.read(page, inflater, lane),
                    |links| {
                        task.links(source, task.workers, meter, |link| links.send(link).is_ok())
                    },
                );
                harvest.listed = listed?;
                harvest
            }
        };
        Ok((harvest, rate.join().expect("no panic")?))
    })
}

fn seen(harvest: Harvest) -> Harvest<Seen> {
    let seen = |company: Company| Company {
        path: company.path,
        growth: company.growth,
        page: Seen::Company(company.page),
    };
    Harvest {
        companies: harvest.companies.into_iter().map(seen).collect(),
        failures: harvest.failures,
        duplicates: harvest.duplicates,
        latencies: harvest.latencies,
        listed: harvest.listed,
    }
}
