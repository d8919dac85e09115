//! The parsers: they inflate and parse company pages, each into a harvest of its own.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use crate::http::decode::{self, Inflater};
use crate::http::error::{PageError, catch_panic};
use crate::http::page::Page;
use crate::pipeline::harvest::Harvest;
use crate::pipeline::open_tasks::OpenTasks;
use crate::pipeline::task::{Event, Fetched, Target, Task};
use crate::pipeline::threads::PanicGuard;
use crate::site::company::{self, CompanyPage};
use crate::source::Source;
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
    pub open_tasks: Arc<OpenTasks>,
    pub events: Sender<Event>,
    pub parse: F,
}

impl<P, F> Parser<'_, F>
where
    F: Fn(&mut Target, &Page, &mut Inflater, &mut Lane) -> Result<P, PageError>,
{
    /// Parses one page after another, until the pages end.
    pub fn run(&self) -> Harvest<P> {
        let _guard = PanicGuard(&self.events);
        let mut harvest = Harvest::default();
        let mut inflater = Inflater::default();
        let mut lane = self.counters.lane(Label::Reader);
        for fetched in &self.pages {
            let Fetched {
                mut task,
                page,
                unrecorded,
            } = fetched;
            lane.set_path(task.path().clone());
            let from_journal = page.as_ref().is_ok_and(|page| page.from_journal);
            let is_redirected = page.as_ref().is_ok_and(|page| page.reached.is_some());
            let result = page
                .and_then(|page| self.parse_page(&mut task.target, page, &mut inflater, &mut lane));
            // Recorded pages say nothing about the site as it is now.
            if !from_journal && self.source.as_archive().is_none() {
                self.record_result(&task, &result);
            }
            drop(unrecorded);
            let event = match (result, task) {
                (
                    Ok(_),
                    task @ Task {
                        target: Target::Listed(_),
                        ..
                    },
                ) => {
                    self.counters.parsed.add(1);
                    Event::Done(task)
                }
                (Ok((page, elapsed)), Task { target, .. }) => {
                    if !from_journal {
                        harvest.add_latency(elapsed);
                    }
                    if let Target::Company(link) = target {
                        harvest.add_company(link, page).is_redirected = is_redirected;
                    }
                    self.counters.parsed.add(1);
                    if !self.open_tasks.end() {
                        continue;
                    }
                    Event::FewOpen
                }
                (Err(error), task) => Event::Failed {
                    task,
                    error,
                    from_journal,
                },
            };
            // If the walker has ended early, the results are of no use any more.
            let _ = self.events.send(event);
        }
        harvest
    }

    fn record_result<T>(&self, task: &Task, result: &Result<T, PageError>) {
        let throttle = self.source.throttle(task.request());
        match task.target {
            Target::Listed(_) => throttle.record_listed(result, self.counters),
            _ => throttle.record_result(task.path(), result, self.counters),
        }
    }

    /// Parses a page and gives its buffer back. Returns the time that its request took as well.
    fn parse_page(
        &self,
        target: &mut Target,
        page: Page,
        inflater: &mut Inflater,
        lane: &mut Lane,
    ) -> Result<(P, Duration), PageError> {
        let elapsed = page.elapsed;
        // A panic may leave anything in the inflater's buffer; the next page overwrites it.
        let parsed = catch_panic("parsing", || (self.parse)(target, &page, inflater, lane));
        match page.large {
            Some(permit) => permit.give_back(page.body),
            None => {
                // If the channel is full or the fetchers have ended, the buffer is freed.
                let _ = self.spare_buffers.try_send(page.body);
            }
        }
        parsed.map(|parsed| (parsed, elapsed))
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
