//! The engine: three stages and the channels between them.
//!
//! ```text
//!  walker (1 thread) ──Errand──► fetchers (N threads) ──Fetched──► readers (rayon) ──► Harvest
//!                          ▲         ▲                                │      │
//!                          │         └──────── empty buffers ─────────┘      │
//!                          └────── waiting room (1 thread) ◄─────────────────┘
//! ```
//!
//! A page that is worth another try goes into the [waiting room](crate::pipeline::retry_queue) and comes back to
//! the fetchers when it is due; meanwhile it keeps nobody busy.
//!
//! How it ends: a stage ends when the channel it reads closes, and closes the one it writes by
//! dropping its sender; a fetcher that comes back from a page ends before, if the others are enough
//! for what may still come. A send that fails means that nobody listens, so the stage stops. The
//! circle is cut by its end: the way into the waiting room is held by the walker and by every
//! [`Errand`] that is not settled, nobody else. With the last of them, whatever became of it, the
//! room closes, then the fetchers' channel, then the readers'. Every thread is scoped, so all have
//! ended when [`run`] returns.
//!
//! Why nothing waits for ever: bounded sends go only from left to right, from the room too. What goes
//! back into the room goes through a channel without a bound, so that readers never wait for it; no
//! more errands are in it than the budget of repetitions allows. Buffers go back with `try_send` and
//! are taken with `try_recv`, so the circle they close never waits.

pub(crate) mod addresses;
mod fetchers;
pub mod harvest;
pub mod letters;
pub mod packed;
pub mod retry_queue;
pub mod walker;

use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use rayon::{ThreadPool, ThreadPoolBuilder};
use serde::Serialize;

use crate::http::decode::Inflater;
use crate::http::page::{self, Page, PageError};
use crate::pipeline::fetchers::{Fetched, Fetcher, Prospect};
use crate::pipeline::harvest::Harvest;
use crate::pipeline::letters::{Ways, walk_by};
use crate::pipeline::retry_queue::{Errand, Waiting};
use crate::pipeline::walker::{SIDE_BY_SIDE, WalkError, walk};
use crate::site::company::{self, CompanyPage};
use crate::site::index::Link;
use crate::source::Source;
use crate::source::retry::Attempts;
use crate::telemetry::counters::Meter;
use crate::telemetry::trace::{Lane, Phase, Role};

/// How wide the stages are.
#[derive(Debug, Clone, Copy)]
pub struct Widths {
    /// Threads that fetch company pages, at the most.
    pub workers: usize,
    /// Threads that read them.
    pub readers: usize,
}

/// Links that may wait for a fetcher: as many as the index pages hold that are fetched side by side,
/// so that the walker reads on and it is soon known how many companies there are.
pub const LINKS: usize = SIDE_BY_SIDE * 50;

/// Brings home every company that the numbered pages of an index list. A page that fails is data in
/// the harvest; only an index that cannot be walked to its end ends the run.
pub fn run(
    source: &Source,
    index: &str,
    widths: Widths,
    meter: &Meter,
) -> Result<Harvest, WalkError> {
    let stages = Stages::new(source, widths, meter);
    let (mut harvest, listed) = stages.run(read, |feed| {
        walk(source, index, widths.workers, meter, |link| feed.send(link))
    });
    harvest.listed = listed?;
    harvest.settle();
    Ok(harvest)
}

/// The same by the ways through the index that are asked for, with an eye on whether it changes.
pub fn run_by(
    ways: Ways,
    source: &Source,
    index: &str,
    widths: Widths,
    meter: &Meter,
) -> Result<Harvest, WalkError> {
    let stages = Stages::new(source, widths, meter);
    let (mut harvest, walked) = stages.run(read, |feed| {
        let hand_on = |link| feed.send(link);
        walk_by(ways, source, index, widths.workers, meter, hand_on)
    });
    let walked = walked?;
    harvest.listed = walked.listed;
    harvest.walks = walked.walks;
    harvest.index_changed = walked.changed;
    harvest.settle();
    Ok(harvest)
}

/// Where links go in. The stages run at least as long as there is one.
pub struct Feed {
    links: Sender<Errand>,
    back: Sender<Waiting>,
    prospect: Arc<Prospect>,
}

impl Feed {
    /// Hands a link on; false if nobody is there any more to fetch it.
    pub fn send(&self, link: Link) -> bool {
        let errand = Errand {
            link,
            tried: Attempts::default(),
            back: self.back.clone(),
        };
        self.prospect.one_more();
        self.links.send(errand).is_ok()
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.prospect.no_more();
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
    pub fn run<P: Serialize, T: Send>(
        &self,
        read: impl Fn(&Page, &mut Inflater, &mut Lane) -> Result<P, PageError> + Sync,
        produce: impl FnOnce(Feed) -> T + Send,
    ) -> (Harvest<P>, T) {
        let (link_out, link_in) = bounded(LINKS);
        let (back_out, back_in) = unbounded();
        // Each fetcher holds a page more than that when readers are behind. Half as wide takes 3 %
        // longer where answers come at once; twice as wide only holds more pages in memory.
        let (fetched_out, fetched_in) = bounded(4 * self.widths.readers);
        let (spare_out, spare_in) = bounded(self.widths.workers);
        let (over_out, over_in) = bounded(0);
        // `move`: should a reader panic, the ends that this closure holds are dropped before the
        // scope waits for its threads, and no fetcher is left sending to nobody.
        thread::scope(move |scope| {
            let prospect = Arc::new(Prospect::default());
            let feed = Feed {
                links: link_out.clone(),
                back: back_out,
                prospect: Arc::clone(&prospect),
            };
            let producer = scope.spawn(move || produce(feed));
            let closing = self.source.gate.closing();
            scope.spawn(move || {
                retry_queue::room(back_in, link_out, closing, self.meter);
                drop(over_out);
            });
            // Only the fetchers, and who starts them, may hold these ends: the readers end when the
            // last one drops its sender.
            let fetcher = Fetcher {
                source: self.source,
                meter: self.meter,
                links: link_in,
                spares: spare_in,
                fetched: fetched_out,
                prospect: Arc::clone(&prospect),
            };
            let Widths { workers, readers } = self.widths;
            scope.spawn(move || fetcher.engage(scope, workers, 2 * readers, &over_in));
            // Each thread of the pool runs this once, with a harvest and a buffer of its own.
            let harvests = self
                .readers
                .broadcast(|_| self.read_all(&read, &fetched_in, &spare_out, &prospect));
            let mut harvest = Harvest::default();
            harvests.into_iter().for_each(|one| harvest.absorb(one));
            (
                harvest,
                producer.join().unwrap_or_else(|panic| resume_unwind(panic)),
            )
        })
    }

    /// One reader: inflates and reads page after page, into a harvest and a buffer of its own.
    fn read_all<P: Serialize>(
        &self,
        read: &impl Fn(&Page, &mut Inflater, &mut Lane) -> Result<P, PageError>,
        fetched: &Receiver<Fetched>,
        spares: &Sender<Vec<u8>>,
        prospect: &Prospect,
    ) -> Harvest<P> {
        let mut harvest = Harvest::default();
        let mut inflater = Inflater::default();
        let mut lane = self.meter.lane(Role::Reader);
        for Fetched { errand, page } in fetched {
            let path = &errand.link.path;
            lane.about(path);
            let kept = page.as_ref().is_ok_and(|page| page.kept);
            let result = page.and_then(|page| {
                let elapsed = page.elapsed;
                // The inflater's buffer may hold anything after a panic, which the next page
                // overwrites.
                let read = page::guarded("reading", || read(&page, &mut inflater, &mut lane));
                match page.hold {
                    Some(hold) => hold.give_back(page.body),
                    // Nobody may be there any more to use it; then it is simply freed.
                    None => drop(spares.try_send(page.body)),
                }
                read.map(|seen| (seen, elapsed))
            });
            let errand = match &result {
                Err(_) if kept => self.wait(errand, Duration::ZERO),
                Err(error) => {
                    self.source.gate.judge(path, &result, self.meter);
                    self.try_again(errand, error)
                }
                Ok(_) => {
                    self.source.gate.judge(path, &result, self.meter);
                    Some(errand)
                }
            };
            let Some(errand) = errand else { continue };
            let result = result.map(|(seen, elapsed)| {
                // Nobody has waited for a page that was there already.
                if !kept {
                    harvest.came_after(elapsed);
                }
                seen
            });
            prospect.one_is_settled();
            self.meter.read.add(1);
            self.meter.failed.add(u64::from(result.is_err()));
            harvest.add(errand.link, result);
        }
        harvest
    }

    /// Has an errand wait for its next attempt, or gives it back if there is none.
    fn try_again(&self, mut errand: Errand, error: &PageError) -> Option<Errand> {
        let path = &errand.link.path;
        let pause = self
            .source
            .pause_before_next(path, &mut errand.tried, error);
        let Some(pause) = pause else {
            return Some(errand);
        };
        self.meter.retries.add(1);
        self.wait(errand, pause)
    }

    /// Has an errand wait, or gives it back if it cannot.
    fn wait(&self, errand: Errand, pause: Duration) -> Option<Errand> {
        self.meter.fetched.take_back(1);
        errand.wait_until(Instant::now() + pause).err()
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
        company::parse(&html).map_err(|error| page::unrecognised(&html, error.to_string()))
    })
}
