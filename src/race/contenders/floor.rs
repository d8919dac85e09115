//! The lower limit, not a contender: it fetches and inflates every page and parses none.
//!
//! It uses the product's stages, which inflate on as many threads as there are cores. Inflating on
//! the fetchers' own threads was slower.

use std::sync::Arc;

use crate::http::decode::Inflater;
use crate::http::error::PageError;
use crate::http::page::Page;
use crate::telemetry::counters::Counters;
use crate::telemetry::lane::Lane;
use crate::telemetry::trace::Phase;

use super::shared::{Outcome, run_stages, with_exchange_rate};
use crate::race::extract::Extract;
use crate::race::task::Task;

pub fn run(task: &Task, counters: &Arc<Counters>) -> Outcome {
    with_exchange_rate(task, counters, |source| {
        run_stages(task, source, counters, inflate)
    })
}

fn inflate(page: &Page, inflater: &mut Inflater, lane: &mut Lane) -> Result<Extract, PageError> {
    lane.time(Phase::Inflating, || page.inflate(inflater))?;
    Ok(Extract::Nothing)
}
