//! The fetcher pool: threads that fetch one page after another. It starts small and grows on demand.

use std::convert::Infallible;
use std::mem;
use std::thread::{self, Scope};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::http::error::{PageError, Reason, catch_panic};
use crate::http::page::Page;
use crate::pipeline::task::{Event, Fetched, Target, Task};
use crate::pipeline::threads::PanicGuard;
use crate::source::Source;
use crate::telemetry::counters::Counters;
use crate::telemetry::trace::Label;

/// How often the pool checks whether the parsers have pages, and a fetcher whether the site serves any. A
/// page takes 0.1 ms or more even on loopback, so a shorter interval would see the same pages again.
const POLL: Duration = Duration::from_millis(1);
/// Polls that decide about growth while pages do arrive, or while no task waits.
const POLLS_TO_DECIDE: u32 = 16;

/// What the polls of the pool have seen.
#[derive(Default)]
struct Polls {
    /// Pages that had arrived by the last poll.
    arrived: u64,
    /// Polls since a page has arrived.
    quiet: u32,
    /// Polls while tasks wait, and of these the ones that saw no page for the parsers.
    all: u32,
    starved: u32,
}

/// What every fetcher works with.
#[derive(Clone)]
pub struct Fetcher<'a> {
    pub source: &'a Source,
    pub counters: &'a Counters,
    pub tasks: Receiver<Task>,
    /// Empty buffers that the parsers give back.
    pub spare_buffers: Receiver<Vec<u8>>,
    /// Company pages go to the parsers.
    pub pages: Sender<Fetched>,
    /// Index pages go to the walker.
    pub events: Sender<Event>,
}

impl<'a> Fetcher<'a> {
    /// Starts `few` fetchers, and more of them as the parsers run out of pages, up to `most`. Returns when
    /// there are enough, or when `run_ended` disconnects.
    ///
    /// Where pages arrive as fast as they are parsed, more fetchers only make pages wait: 32 of them
    /// take 1.2 times as long as 4. Where a page takes 50 ms, all fetchers run after 5 ms.
    pub fn scale_up<'scope>(
        self,
        scope: &'scope Scope<'scope, '_>,
        few: usize,
        most: usize,
        run_ended: &Receiver<Infallible>,
    ) where
        'a: 'scope,
    {
        let _guard = PanicGuard(&self.events);
        let (mut started, mut wanted) = (0, most.min(few));
        let mut polls = Polls::default();
        loop {
            while started < wanted {
                let fetcher = self.clone();
                let thread = thread::Builder::new().name("fetcher".to_owned());
                match thread.spawn_scoped(scope, move || fetcher.run()) {
                    Ok(_) => started += 1,
                    // The system allows no more threads. The ones already running go on.
                    Err(_) if started > 0 => return,
                    Err(error) => panic!("cannot start a thread for a fetcher: {error}"),
                }
            }
            if started >= most || run_ended.recv_timeout(POLL) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            wanted = self.wanted(started, &mut polls).min(most);
        }
    }

    /// The number of fetchers, now that `started` are running: twice as many if the parsers run out of
    /// pages while tasks wait.
    ///
    /// While tasks do not wait and the site takes long to answer, all that the index will need are started:
    /// with 4,096 fetchers and responses after 1 s, 20,000 companies take 7.98 s instead of 8.10.
    fn wanted(&self, started: usize, polls: &mut Polls) -> usize {
        // Index pages count too: while they arrive, the parsers starve for want of links, not of
        // fetchers.
        let arrived = self.counters.fetched.get() + self.counters.index_parsed.get();
        let is_quiet = mem::replace(&mut polls.arrived, arrived) == arrived;
        polls.quiet = if is_quiet { polls.quiet + 1 } else { 0 };
        if self.tasks.is_empty() {
            let is_slow = polls.quiet >= POLLS_TO_DECIDE;
            return started.max(if is_slow {
                self.expected_companies()
            } else {
                0
            });
        }
        polls.all += 1;
        polls.starved += u32::from(self.pages.is_empty());
        // A short gap may be chance where pages do arrive, so only more polls decide there.
        if 2 * polls.starved > polls.all && (is_quiet || polls.all >= POLLS_TO_DECIDE) {
            (polls.all, polls.starved) = (0, 0);
            return 2 * started;
        }
        // Older polls count for less.
        if polls.all >= 2 * POLLS_TO_DECIDE {
            (polls.all, polls.starved) = (polls.all / 2, polls.starved / 2);
        }
        started
    }

    /// How many companies there will be if the index pages to come list as many each as those before.
    fn expected_companies(&self) -> usize {
        let (listed, pages) = (self.counters.listed.get(), self.counters.index_pages.get());
        let expected = (listed * pages).checked_div(self.counters.index_parsed.get());
        expected.unwrap_or(0) as usize
    }

    /// Fetches one page after another, until the tasks end or no one receives the pages.
    fn run(&self) {
        let _guard = PanicGuard(&self.events);
        let mut lane = self.counters.lane(Label::Fetcher);
        for task in &self.tasks {
            let buffer = || match task.target {
                Target::Company(_) | Target::Listed(_) => {
                    self.spare_buffers.try_recv().unwrap_or_default()
                }
                _ => Vec::new(),
            };
            lane.set_path(task.path().clone());
            let get = || self.source.get(task.request(), buffer, &mut lane);
            let page = catch_panic("fetching", get);
            if !self.hand_over(task, page) {
                return;
            }
        }
    }

    /// Sends a page to its receiver. Returns false if that has ended.
    fn hand_over(&self, task: Task, page: Result<Page, PageError>) -> bool {
        if matches!(
            task.target,
            Target::IndexPage { .. } | Target::Recheck { .. }
        ) {
            let fetched = Fetched {
                task,
                page,
                unrecorded: None,
            };
            return self.events.send(Event::IndexPage(fetched.into())).is_ok();
        }
        // A page that the cancelled run did not fetch counts as nothing.
        if !matches!(&page, Err(error) if error.reason == Reason::Stopped) {
            self.counters.fetched.add(1);
        }
        let is_recorded =
            self.source.as_archive().is_some() || page.as_ref().is_ok_and(|page| page.from_journal);
        let is_company = matches!(task.target, Target::Company(_));
        let throttle = &self.source.pages_host.throttle;
        if is_recorded || !is_company || throttle.serves_pages() {
            let unrecorded = None;
            let fetched = Fetched {
                task,
                page,
                unrecorded,
            };
            return self.pages.send(fetched).is_ok();
        }
        // See `source::refusals`.
        let (unrecorded, recorded) = bounded(0);
        let unrecorded = Some(unrecorded);
        let fetched = Fetched {
            task,
            page,
            unrecorded,
        };
        let is_sent = self.pages.send(fetched).is_ok();
        while !throttle.serves_pages()
            && recorded.recv_timeout(POLL) == Err(RecvTimeoutError::Timeout)
        {}
        is_sent
    }
}
