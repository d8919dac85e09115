//! The ways of doing the job: sibling functions of one type in one table.
//!
//! The blocking ones share the product's client, walk and readers and differ in who fetches and
//! reads the companies' pages, and on how many threads. The async ones have a client of their own
//! and share the readers.

mod async_tokio;
mod floor;
mod inline;
mod pipeline;
mod processes;
mod rayon_only;
mod sequential;
mod thread_per_page;

use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use indexrank::harvest::Harvest;
use indexrank::http::{Client, Options, ProxyChoice};
use indexrank::index::Link;
use indexrank::job::{self, RateChoice};
use indexrank::meter::Meter;
use indexrank::page::PageError;
use indexrank::rates::Rate;
use indexrank::source::{Site, Source};
use indexrank::walk::{self, walk};

pub use processes::worker;

/// What every contender is asked to do.
#[derive(Debug, Clone)]
pub struct Task {
    /// Scheme, host and port of the server.
    pub site: String,
    pub index: String,
    /// Company pages in flight at the same time.
    pub workers: usize,
}

pub const TIMEOUT: Duration = Duration::from_secs(45);

/// All companies and the rate, or why the run failed.
pub type Answer = Result<(Harvest, Rate), String>;

pub struct Contender {
    pub name: &'static str,
    pub way: &'static str,
    pub run: fn(&Task) -> Answer,
    /// False for the limit, which reads nothing and so has no answer.
    pub answers: bool,
}

pub const ALL: [Contender; 9] = [
    Contender {
        name: "pipeline",
        way: "walker → fetchers → rayon: the product",
        run: pipeline::run,
        answers: true,
    },
    Contender {
        name: "inline",
        way: "fetchers read their own pages",
        run: inline::run,
        answers: true,
    },
    Contender {
        name: "sequential",
        way: "one page after the other",
        run: sequential::run,
        answers: true,
    },
    Contender {
        name: "thread-per-page",
        way: "a thread for every page, no pool",
        run: thread_per_page::run,
        answers: true,
    },
    Contender {
        name: "rayon-only",
        way: "everything in a rayon pool, waiting too",
        run: rayon_only::run,
        answers: true,
    },
    Contender {
        name: "processes",
        way: "child processes, addresses in, JSON out",
        run: processes::run,
        answers: true,
    },
    Contender {
        name: "async",
        way: "tokio + reqwest, a thread a core",
        run: async_tokio::on_all_cores,
        answers: true,
    },
    Contender {
        name: "async-single",
        way: "tokio + reqwest on one thread",
        run: async_tokio::on_one_thread,
        answers: true,
    },
    Contender {
        name: "floor",
        way: "fetch and inflate, read nothing: the limit",
        run: floor::run,
        answers: false,
    },
];

impl Task {
    /// The product's source of pages, with a client of its own.
    fn source(&self) -> Source {
        let client = Client::new(Options {
            connections: self.workers + walk::SIDE_BY_SIDE + 1,
            timeout: TIMEOUT,
            user_agent: "indexrank-compare".to_owned(),
            proxy: ProxyChoice::Direct,
        });
        Source::Site(Site {
            client,
            pages: self.site.clone(),
            rates: self.site.clone(),
            recorder: None,
        })
    }

    /// Walks the whole index before anything else is done.
    fn links(
        &self,
        source: &Source,
        side_by_side: usize,
        meter: &Meter,
    ) -> Result<Vec<Link>, String> {
        let mut links = Vec::new();
        let keep = |link| {
            links.push(link);
            true
        };
        walk(source, &self.index, side_by_side, meter, keep).map_err(|error| error.to_string())?;
        Ok(links)
    }
}

pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, |cores| cores.get())
}

fn rate(source: &Source, meter: &Meter) -> Result<Rate, String> {
    job::find_rate(RateChoice::OfDay(None), source, meter)
}

/// Walks the index and has a pool of threads work on its links, each with a harvest of its own.
fn pool(
    task: &Task,
    work: impl Fn(&Source, &Meter, Receiver<Link>) -> Result<Harvest, String> + Sync,
) -> Answer {
    let (source, meter, work) = (&task.source(), &Meter::default(), &work);
    let (link_out, link_in) = bounded(2 * task.workers);
    thread::scope(|scope| {
        let rate = scope.spawn(|| rate(source, meter));
        let hand_on = move |link| link_out.send(link).is_ok();
        let walker = scope.spawn(move || walk(source, &task.index, task.workers, meter, hand_on));
        let at_work = |links: Receiver<Link>| scope.spawn(move || work(source, meter, links));
        let workers: Vec<_> = (0..task.workers)
            .map(|_| at_work(link_in.clone()))
            .collect();
        drop(link_in);
        let mut harvest = Harvest::default();
        for worker in workers {
            harvest.absorb(worker.join().expect("no panic")?);
        }
        let listed = walker
            .join()
            .expect("no panic")
            .map_err(|error| error.to_string())?;
        Ok((settled(harvest, listed), rate.join().expect("no panic")?))
    })
}

/// Fetches one company's page and reads it on the same thread.
fn fetch_and_read(
    source: &Source,
    link: Link,
    buffer: &mut Vec<u8>,
    meter: &Meter,
    harvest: &mut Harvest,
) {
    let page = source.get(&link.path, Vec::new(), meter);
    let result = page.and_then(|page| {
        harvest.latencies.push(page.elapsed);
        indexrank::pipeline::read(&page, buffer, meter)
    });
    harvest.add(link, result);
}

/// The harvest of links that were all asked for.
fn settled(mut harvest: Harvest, listed: usize) -> Harvest {
    harvest.listed = listed;
    harvest.settle();
    harvest
}

fn text(error: PageError) -> String {
    error.to_string()
}
