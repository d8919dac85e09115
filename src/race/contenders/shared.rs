//! Building blocks of the blocking contenders.

use std::thread;

use crossbeam_channel::{Receiver, bounded};

use crate::http::decode::Inflater;
use crate::http::error::PageError;
use crate::pipeline::harvest::{Failure, Harvest};
use crate::race::contenders::extract::Extract;
use crate::race::contenders::task::Task;
use crate::site::index::Link;
use crate::site::rates::Rates;
use crate::source::Source;
use crate::source::purpose::{Purpose, Request};
use crate::telemetry::counters::Counters;
use crate::telemetry::lane::Lane;
use crate::telemetry::trace::Label;

/// Links that may wait for a thread.
const QUEUED: usize = 800;

/// Adds a page or its failure to a harvest.
pub fn add(harvest: &mut Harvest<Extract>, link: Link, result: Result<Extract, PageError>) {
    match result {
        Ok(page) => {
            harvest.add_company(link, page);
        }
        Err(error) => harvest.failures.push(Failure::new(link, error)),
    }
}

/// All pages, and the exchange rate if the task needs one; or why the run failed.
pub type Outcome = Result<(Harvest<Extract>, Option<Rates>), String>;

/// Walks the index while `task.workers` threads call `work` with a shared channel of links. Merges
/// the harvests of these threads.
pub fn worker_pool(
    task: &Task,
    counters: &Counters,
    work: impl Fn(&Source, Receiver<Link>) -> Result<Harvest<Extract>, String> + Sync,
) -> Outcome {
    let source = &task.source()?;
    let work = &work;
    let (link_out, link_in) = bounded(QUEUED);
    thread::scope(|scope| {
        let rate = scope.spawn(|| task.rate(source, counters));
        let send = move |link| link_out.send(link).is_ok();
        let walker = scope.spawn(move || task.for_each_link(source, task.workers, counters, send));
        let workers: Vec<_> = (0..task.workers)
            .map(|_| {
                let links = link_in.clone();
                scope.spawn(move || work(source, links))
            })
            .collect();
        // The walker must not block on a full channel after all workers have ended.
        drop(link_in);
        let mut harvest = Harvest::default();
        for worker in workers {
            harvest.absorb(worker.join().expect("no panic")?);
        }
        harvest.listed = walker.join().expect("no panic")?;
        Ok((harvest, rate.join().expect("no panic")?))
    })
}

/// Fetches and parses one page after the other, with its own buffers and harvest.
pub struct Worker<'a> {
    task: &'a Task,
    source: &'a Source,
    pub lane: Lane<'a>,
    body: Vec<u8>,
    inflater: Inflater,
    pub harvest: Harvest<Extract>,
}

impl<'a> Worker<'a> {
    pub fn new(task: &'a Task, source: &'a Source, counters: &'a Counters) -> Self {
        Worker {
            task,
            source,
            lane: counters.lane(Label::Worker),
            body: Vec::new(),
            inflater: Inflater::default(),
            harvest: Harvest::default(),
        }
    }

    pub fn visit(&mut self, link: Link) {
        let body = || std::mem::take(&mut self.body);
        self.lane.set_path(link.path.clone());
        let request = Request::new(Purpose::Company, &link.path);
        let page = self.source.get(request, body, &mut self.lane);
        let result = page.and_then(|page| {
            self.harvest.add_latency(page.elapsed);
            let extract = self.task.extract(&page, &mut self.inflater, &mut self.lane);
            self.body = page.body;
            extract
        });
        add(&mut self.harvest, link, result);
    }
}
