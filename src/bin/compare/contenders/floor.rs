//! Not a contender but the limit: every page fetched and inflated, none read. The stages are the
//! product's, which inflate on as many threads as there are cores; inflating on the fetchers' own
//! threads was slower.

use std::sync::Arc;

use indexrank::http::decode::Inflater;
use indexrank::http::page::{Page, PageError};
use indexrank::telemetry::counters::Meter;
use indexrank::telemetry::trace::{Lane, Phase};

use super::{Answer, beside_the_rate, staged};
use crate::task::{Seen, Task};

pub fn run(task: &Task, meter: &Arc<Meter>) -> Answer {
    beside_the_rate(task, meter, |source| staged(task, source, meter, inflate))
}

fn inflate(page: &Page, inflater: &mut Inflater, lane: &mut Lane) -> Result<Seen, PageError> {
    lane.time(Phase::Inflating, || page.inflate(inflater))?;
    Ok(Seen::Nothing)
}
