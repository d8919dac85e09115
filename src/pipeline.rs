//! The engine: three stages and the channels between them.
//!
//! ```text
//!  walker (1 thread) ──Link──► fetchers (N threads) ──Fetched──► readers (rayon) ──► Harvest
//!                                    ▲                                  │
//!                                    └────────── empty buffers ─────────┘
//! ```
//!
//! How it ends: a stage ends when the channel it reads closes, and closes the one it writes by
//! dropping its sender. A send that fails means that nobody listens, so the stage stops. Every
//! thread is scoped, so all have ended when [`run`] returns.
//!
//! Why nothing waits for ever: blocking sends go only from left to right, and the last stage sends
//! nothing that blocks. Buffers go back with `try_send` and are taken with `try_recv`, so the circle
//! they close never waits.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::company::{self, CompanyPage};
use crate::harvest::Harvest;
use crate::index::Link;
use crate::inflate::Inflater;
use crate::meter::Meter;
use crate::page::{self, Page, PageError, Reason};
use crate::retry;
use crate::source::Source;
use crate::trace::{Lane, Phase, Role};
use crate::walk::{SIDE_BY_SIDE, WalkError, walk};

/// How wide the stages are.
#[derive(Debug, Clone, Copy)]
pub struct Widths {
    /// Threads that fetch company pages.
    pub workers: usize,
    /// Threads that read them.
    pub readers: usize,
}

/// Links that may wait for a fetcher: as many as the index pages hold that are fetched side by side,
/// so that the walker reads on and it is soon known how many companies there are.
pub const LINKS: usize = SIDE_BY_SIDE * 50;

/// What a fetcher hands on: a company and its page as it came, or why there is none.
struct Fetched {
    link: Link,
    page: Result<Page, PageError>,
}

/// Brings home every company of an index. A page that fails is data in the harvest; only an index
/// that cannot be walked to its end ends the run.
pub fn run(
    source: &Source,
    index: &str,
    widths: Widths,
    meter: &Meter,
) -> Result<Harvest, WalkError> {
    let stages = Stages::new(source, widths, meter);
    let (mut harvest, listed) = stages.run(read, |links| {
        walk(source, index, widths.workers, meter, |link| {
            links.send(link).is_ok()
        })
    });
    harvest.listed = listed?;
    try_again(&stages, &mut harvest);
    harvest.settle();
    Ok(harvest)
}

/// The transient failures once more, all together after a pause, as often as the policy allows. No
/// worker is held up by a page that waits: by now there is nothing else to do.
fn try_again(stages: &Stages, harvest: &mut Harvest) {
    if !stages.source.may_change() {
        return;
    }
    let meter = stages.meter;
    let mut budget = retry::budget(harvest.listed);
    for attempts in 1..retry::MAX_ATTEMPTS {
        let failures = harvest.take_transient(budget, retry::is_transient);
        if failures.is_empty() {
            return;
        }
        budget -= failures.len();
        thread::sleep(retry::pause(attempts));
        meter.retries.add(failures.len() as u64);
        for settled in [&meter.fetched, &meter.read, &meter.failed] {
            settled.take_back(failures.len() as u64);
        }
        let (again, ()) = stages.run(read, |links| {
            failures
                .into_iter()
                .map(|failure| failure.link)
                .all(|link| links.send(link).is_ok());
        });
        harvest.absorb(again);
    }
}

/// Fetchers and readers, to be fed with links.
pub struct Stages<'a> {
    source: &'a Source,
    widths: Widths,
    /// A pool of its own: its threads wait for pages, which must not hold up anybody else's work.
    readers: ThreadPool,
    meter: &'a Meter,
}

impl<'a> Stages<'a> {
    pub fn new(source: &'a Source, widths: Widths, meter: &'a Meter) -> Self {
        let readers = ThreadPoolBuilder::new()
            .num_threads(widths.readers)
            .thread_name(|number| format!("reader-{number}"))
            .build()
            .expect("threads for the readers");
        Stages {
            source,
            widths,
            readers,
            meter,
        }
    }

    /// Wires the stages: `produce` feeds links, fetchers get their pages, readers fill the harvest
    /// with what `read` makes of each.
    pub fn run<P: Send, T: Send>(
        &self,
        read: impl Fn(&Page, &mut Inflater, &mut Lane) -> Result<P, PageError> + Sync,
        produce: impl FnOnce(&Sender<Link>) -> T + Send,
    ) -> (Harvest<P>, T) {
        let workers = self.widths.workers;
        let (link_out, link_in) = bounded(LINKS);
        // Each fetcher holds a page more than that when readers are behind. A wider channel holds
        // more pages in memory and is no faster: after the first wave they come one by one.
        let (fetched_out, fetched_in) = bounded(2 * self.widths.readers);
        let (spare_out, spare_in) = bounded(workers);
        // `move`: should a reader panic, the ends that this closure holds are dropped before the
        // scope waits for its threads, and no fetcher is left sending to nobody.
        thread::scope(move |scope| {
            let producer = scope.spawn(move || produce(&link_out));
            for _ in 0..workers {
                let (links, spares, fetched) =
                    (link_in.clone(), spare_in.clone(), fetched_out.clone());
                scope.spawn(move || self.fetch_all(&links, &spares, &fetched));
            }
            // Only the fetchers may hold these ends: the readers end when the last fetcher drops
            // its sender, and the walker stops when the last one drops its receiver.
            drop((link_in, spare_in, fetched_out));
            // Each thread of the pool runs this once, with a harvest and a buffer of its own.
            let harvests = self
                .readers
                .broadcast(|_| self.read_all(&read, &fetched_in, &spare_out));
            let mut harvest = Harvest::default();
            harvests.into_iter().for_each(|one| harvest.absorb(one));
            (
                harvest,
                producer.join().unwrap_or_else(|panic| resume_unwind(panic)),
            )
        })
    }

    /// One fetcher: gets page after page, into buffers that come back from the readers.
    fn fetch_all(
        &self,
        links: &Receiver<Link>,
        spares: &Receiver<Vec<u8>>,
        fetched: &Sender<Fetched>,
    ) {
        let mut lane = self.meter.lane(Role::Fetcher);
        for link in links {
            let spare = spares.try_recv().unwrap_or_default();
            let page = self.source.get(&link.path, spare, &mut lane);
            self.meter.fetched.add(1);
            if fetched.send(Fetched { link, page }).is_err() {
                return;
            }
        }
    }

    /// One reader: inflates and reads page after page, into a harvest and a buffer of its own.
    fn read_all<P>(
        &self,
        read: &impl Fn(&Page, &mut Inflater, &mut Lane) -> Result<P, PageError>,
        fetched: &Receiver<Fetched>,
        spares: &Sender<Vec<u8>>,
    ) -> Harvest<P> {
        let mut harvest = Harvest::default();
        let mut inflater = Inflater::default();
        let mut lane = self.meter.lane(Role::Reader);
        for Fetched { link, page } in fetched {
            lane.about(&link.path);
            let result = page.and_then(|page| {
                harvest.latencies.push(page.elapsed);
                // A page that makes a reader panic is that page's failure. The inflater's buffer may
                // then hold anything, which the next page overwrites.
                let read = || read(&page, &mut inflater, &mut lane);
                let read = catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
                    Err(PageError::new(Reason::Panic, "reading the page panicked"))
                });
                // Nobody may be there any more to use it; then it is simply freed.
                let _ = spares.try_send(page.body);
                read
            });
            self.meter.read.add(1);
            self.meter.failed.add(u64::from(result.is_err()));
            harvest.add(link, result);
        }
        harvest
    }
}

/// Inflates a company's page and reads it.
pub fn read(
    page: &Page,
    inflater: &mut Inflater,
    lane: &mut Lane,
) -> Result<CompanyPage, PageError> {
    let html = lane.time(Phase::Inflating, || page.inflate(inflater))?;
    lane.meter.bytes_decoded.add(html.len() as u64);
    lane.time(Phase::Reading, || {
        let html = page::to_utf8(html, page.charset().as_deref());
        page::check_end(&html)?;
        company::parse(&html)
            .map_err(|error| PageError::new(Reason::Unrecognised, error.to_string()))
    })
}
