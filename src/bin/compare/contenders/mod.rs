//! The ways of doing the job: sibling functions of one type in one table.
//!
//! The blocking ones share the product's client, walk and readers and differ in who fetches and
//! reads the pages, and on how many threads. The async ones have a client of their own and share the
//! readers.

mod async_tokio;
mod floor;
mod inline;
mod pipeline;
mod processes;
mod rayon_only;
mod sequential;
mod thread_per_page;

use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, bounded};
use indexrank::http::decode::Inflater;
use indexrank::http::page::{Page, PageError};
use indexrank::pipeline::harvest::Harvest;
use indexrank::pipeline::{LINKS, Stages, Widths};
use indexrank::site::index::Link;
use indexrank::site::rates::Rate;
use indexrank::source::Source;
use indexrank::telemetry::counters::Meter;
use indexrank::telemetry::trace::{Lane, Role};

use crate::task::{Seen, Task};

pub use processes::worker;

/// All pages and the rate, if there was one to ask for, or why the run failed.
pub type Answer = Result<(Harvest<Seen>, Option<Rate>), String>;

pub struct Contender {
    pub name: &'static str,
    pub way: &'static str,
    pub run: fn(&Task, &Arc<Meter>) -> Answer,
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

pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, |cores| cores.get())
}

/// Walks the index and has a pool of threads work on its links, each with a harvest of its own.
fn pool(
    task: &Task,
    meter: &Meter,
    work: impl Fn(&Source, Receiver<Link>) -> Result<Harvest<Seen>, String> + Sync,
) -> Answer {
    let (source, work) = (&task.source()?, &work);
    let (link_out, link_in) = bounded(LINKS);
    thread::scope(|scope| {
        let rate = scope.spawn(|| task.rate(source, meter));
        let hand_on = move |link| link_out.send(link).is_ok();
        let walker = scope.spawn(move || task.links(source, task.workers, meter, hand_on));
        let at_work = |links: Receiver<Link>| scope.spawn(move || work(source, links));
        let workers: Vec<_> = (0..task.workers)
            .map(|_| at_work(link_in.clone()))
            .collect();
        drop(link_in);
        let mut harvest = Harvest::default();
        for worker in workers {
            harvest.absorb(worker.join().expect("no panic")?);
        }
        harvest.listed = walker.join().expect("no panic")?;
        Ok((harvest, rate.join().expect("no panic")?))
    })
}

fn widths(task: &Task) -> Widths {
    Widths {
        workers: task.workers,
        readers: cores(),
    }
}

/// Has the harvest brought home while the rate is asked for.
fn beside_the_rate(
    task: &Task,
    meter: &Meter,
    harvest: impl FnOnce(&Source) -> Result<Harvest<Seen>, String>,
) -> Answer {
    let source = &task.source()?;
    thread::scope(|scope| {
        let rate = scope.spawn(|| task.rate(source, meter));
        Ok((harvest(source)?, rate.join().expect("no panic")?))
    })
}

/// The product's stages, which do `read` with each page.
fn staged(
    task: &Task,
    source: &Source,
    meter: &Meter,
    read: impl Fn(&Page, &mut Inflater, &mut Lane) -> Result<Seen, PageError> + Sync,
) -> Result<Harvest<Seen>, String> {
    let stages = Stages::new(source, widths(task), meter);
    let (mut harvest, listed) = stages.run(read, |feed| {
        task.links(source, task.workers, meter, |link| feed.send(link))
    });
    harvest.listed = listed?;
    Ok(harvest)
}

/// One who fetches a page and reads it, then the next, with buffers and a harvest of its own.
struct Worker<'a> {
    task: &'a Task,
    source: &'a Source,
    lane: Lane<'a>,
    body: Vec<u8>,
    inflater: Inflater,
    harvest: Harvest<Seen>,
}

impl<'a> Worker<'a> {
    fn new(task: &'a Task, source: &'a Source, meter: &'a Meter) -> Self {
        Worker {
            task,
            source,
            lane: meter.lane(Role::Worker),
            body: Vec::new(),
            inflater: Inflater::default(),
            harvest: Harvest::default(),
        }
    }

    fn visit(&mut self, link: Link) {
        let body = || std::mem::take(&mut self.body);
        let page = self.source.get(&link.path, body, &mut self.lane);
        let result = page.and_then(|page| {
            self.harvest.came_after(page.elapsed);
            let seen = self.task.read(&page, &mut self.inflater, &mut self.lane);
            self.body = page.body;
            seen
        });
        self.harvest.add(link, result);
    }
}

fn all_links(
    task: &Task,
    source: &Source,
    side_by_side: usize,
    meter: &Meter,
) -> Result<Vec<Link>, String> {
    let mut links = Vec::new();
    let keep = |link| {
        links.push(link);
        true
    };
    task.links(source, side_by_side, meter, keep)?;
    Ok(links)
}
