//! The product.

use std::sync::Arc;

use indexrank::harvest::{Company, Harvest};
use indexrank::meter::Meter;
use indexrank::pipeline;

use super::{Answer, beside_the_rate, staged, widths};
use crate::task::{Seen, Task};

pub fn run(task: &Task, meter: &Arc<Meter>) -> Answer {
    beside_the_rate(task, meter, |source| match task.work.index() {
        Some(index) => pipeline::run(source, index, widths(task), meter)
            .map(seen)
            .map_err(|error| error.to_string()),
        None => staged(task, source, meter, |page, inflater, lane| {
            task.read(page, inflater, lane)
        }),
    })
}

fn seen(harvest: Harvest) -> Harvest<Seen> {
    let seen = |company: Company| Company {
        page: Seen::Company(company.page),
        path: company.path,
        growth: company.growth,
    };
    Harvest {
        companies: harvest.companies.iter().map(seen).collect(),
        failures: harvest.failures,
        duplicates: harvest.duplicates,
        latencies: harvest.latencies,
        listed: harvest.listed,
        ..Harvest::default()
    }
}
