//! The parsers: they inflate and parse pages, and decide which tasks are retried.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use serde::Serialize;

use crate::http::decode::{self, Inflater};
use crate::http::error::{PageError, catch_panic};
use crate::http::page::Page;
use crate::pipeline::fetchers::{Demand, Fetched};
use crate::pipeline::harvest::Harvest;
use crate::pipeline::task::Task;
use crate::site::company::{self, CompanyPage};
use crate::source::Source;
use crate::source::purpose::{Purpose, Request};
use crate::telemetry::counters::Counters;
use crate::telemetry::lane::Lane;
use crate::telemetry::trace::Label;

/// What every parser works with. `F` makes a value of a page.
pub struct Parser<'a, F> {
    pub source: &'a Source,
    pub counters: &'a Counters,
    pub pages: Receiver<Fetched>,
    /// Takes the buffers of parsed pages, for the fetchers to use again.
    pub spare_buffers: Sender<Vec<u8>>,
    pub demand: &'a Demand,
    pub parse: F,
}

impl<P, F> Parser<'_, F>
where
    P: Serialize,
    F: Fn(&Page, &mut Inflater, &mut Lane) -> Result<P, PageError>,
{
    /// Parses one page after another into a harvest, until the pages end.
    pub fn run(&self) -> Harvest<P> {
        let mut harvest = Harvest::default();
        let mut inflater = Inflater::default();
        let mut lane = self.counters.lane(Label::Reader);
        for Fetched { task, page } in &self.pages {
            let path = &task.link.path;
            lane.set_path(path);
            let from_journal = page.as_ref().is_ok_and(|page| page.from_journal);
            let result = page.and_then(|page| self.parse_page(page, &mut inflater, &mut lane));
            if !(from_journal && result.is_err()) {
                self.source
                    .throttle
                    .record_result(path, &result, self.counters);
            }
            let finished = match &result {
                Ok(_) => Some(task),
                // The journal gives a page once, so the next attempt asks the site.
                Err(_) if from_journal => self.retry_after(task, Duration::ZERO),
                Err(error) => self.retry(task, error),
            };
            let Some(Task { link, .. }) = finished else {
                continue;
            };
            let result = result.map(|(parsed, elapsed)| {
                if !from_journal {
                    harvest.add_latency(elapsed);
                }
                parsed
            });
            self.demand.page_finished();
            self.counters.parsed.add(1);
            self.counters.failed.add(u64::from(result.is_err()));
            harvest.add(link, result);
        }
        harvest
    }

    /// Parses a page and gives its buffer back. Returns the time that its request took as well.
    fn parse_page(
        &self,
        page: Page,
        inflater: &mut Inflater,
        lane: &mut Lane,
    ) -> Result<(P, Duration), PageError> {
        let elapsed = page.elapsed;
        // A panic may leave anything in the inflater's buffer; the next page overwrites it.
        let parsed = catch_panic("parsing", || (self.parse)(&page, inflater, lane));
        match page.large {
            Some(permit) => permit.give_back(page.body),
            None => {
                // If the channel is full or the fetchers have exited, the buffer is freed.
                let _ = self.spare_buffers.try_send(page.body);
            }
        }
        parsed.map(|parsed| (parsed, elapsed))
    }

    /// Queues a task for its next attempt. Returns it if there is none.
    fn retry(&self, mut task: Task, error: &PageError) -> Option<Task> {
        let request = Request::new(Purpose::Company, &task.link.path);
        let delay = self
            .source
            .delay_before_retry(request, &mut task.attempts, error);
        let Some(delay) = delay else {
            return Some(task);
        };
        self.counters.retries.add(1);
        self.retry_after(task, delay)
    }

    fn retry_after(&self, task: Task, delay: Duration) -> Option<Task> {
        self.counters.fetched.sub(1);
        task.retry_at(Instant::now() + delay).err()
    }
}

/// Inflates a company page and parses it.
pub fn parse_company(
    page: &Page,
    inflater: &mut Inflater,
    lane: &mut Lane,
) -> Result<CompanyPage, PageError> {
    decode::parse_html(page, inflater, lane, company::parse)
}
