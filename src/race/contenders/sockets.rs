//! Blocking sockets without an HTTP library: one thread for each page in flight, with a connection of
//! its own. It parses the pages that it fetches. The leanest threads that do the whole job.

use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::contender::{Contender, MAX_IN_FLIGHT};
use super::frontier::{Next, Target};
use super::http1::Connection;
use super::own_client::{Crawl, Exchange, Head, Parsing, record};
use super::shared::Outcome;
use crate::http::client::ACCEPT;
use crate::http::decode::Inflater;
use crate::http::error::{PageError, Reason};
use crate::http::page::Page;
use crate::pipeline::harvest::Harvest;
use crate::race::contenders::extract::Extract;
use crate::race::contenders::task::{Task, USER_AGENT};
use crate::race::machine;
use crate::source::purpose::Request;
use crate::source::retry::Attempts;
use crate::telemetry::counters::Counters;
use crate::telemetry::lane::Lane;
use crate::telemetry::trace::Label;

pub const CONTENDER: Contender = Contender {
    name: "sockets",
    description: "blocking sockets, a thread for each page in flight",
    run,
    max_in_flight: MAX_IN_FLIGHT,
    files_per_page: 1,
};

/// Stack of a thread in bytes. A whole parse of a page, for which the scan is not enough, takes less.
const STACK: usize = 512 << 10;

fn run(task: &Task, counters: &Arc<Counters>) -> Outcome {
    let cores = machine::cores();
    let (return_inflater, inflaters) = bounded(cores);
    for _ in 0..cores {
        // The channel has room for all of them.
        let _ = return_inflater.send(Inflater::default());
    }
    let scraper = &Scraper {
        crawl: Crawl::new(task, counters, cores)?,
        idle: Mutex::default(),
        harvest: Mutex::default(),
        return_inflater,
        inflaters,
    };
    thread::scope(|scope| scraper.start(scraper.crawl.frontier.first_workers(), scope));
    let harvest = std::mem::take(&mut *lock(&scraper.harvest));
    scraper.crawl.frontier.finish(harvest)
}

struct Scraper {
    crawl: Crawl,
    /// Connections of threads that have ended.
    idle: Mutex<Vec<Connection>>,
    /// The pages of threads that have ended.
    harvest: Mutex<Harvest<Extract>>,
    /// One inflater for each core: 1,024 threads with one each take 300 MB, and no more than one for each
    /// core can inflate at the same time.
    inflaters: Receiver<Inflater>,
    return_inflater: Sender<Inflater>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Scraper {
    fn start<'scope>(&'scope self, workers: usize, scope: &'scope Scope<'scope, '_>) {
        for _ in 0..workers {
            let thread = thread::Builder::new().stack_size(STACK);
            if let Err(error) = thread.spawn_scoped(scope, || self.work(scope)) {
                let why = format!("cannot start a thread for each page in flight: {error}");
                self.crawl.frontier.fail(why);
                return;
            }
        }
    }

    /// A worker: fetches and parses one page after the other.
    fn work<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) {
        let crawl = &self.crawl;
        let mut worker = Worker {
            scraper: self,
            connection: lock(&self.idle).pop(),
            request: String::new(),
            waited: None,
        };
        let mut harvest = Harvest::default();
        let mut lane = crawl.counters.lane(Label::Worker);
        loop {
            let Next { target, to_start } = crawl.frontier.next(worker.waited.take());
            self.start(to_start, scope);
            let Some(target) = target else { break };
            let mut other_lane = crawl.lane_of(&target);
            let lane = other_lane.as_mut().unwrap_or(&mut lane);
            worker.visit(target, lane, &mut harvest);
        }
        lock(&self.idle).extend(worker.connection);
        lock(&self.harvest).absorb(harvest);
    }
}

struct Worker<'a> {
    scraper: &'a Scraper,
    connection: Option<Connection>,
    /// The request as sent, in a buffer that is kept.
    request: String,
    /// How long the last request waited for its response.
    waited: Option<Duration>,
}

impl Worker<'_> {
    fn visit(&mut self, mut target: Target, lane: &mut Lane, harvest: &mut Harvest<Extract>) {
        lane.set_path(target.path());
        let mut attempts = Attempts::default();
        loop {
            let page = self.get(&target, lane);
            let mut inflater = self.scraper.inflaters.recv().expect("self has a sender");
            let parsing = Parsing {
                inflater: &mut inflater,
                lane,
                harvest,
            };
            let again = self
                .scraper
                .crawl
                .handle_page(target, &mut attempts, page, parsing);
            // The channel has room for all inflaters.
            let _ = self.scraper.return_inflater.send(inflater);
            let Some((same, delay)) = again else { return };
            if attempts.got_other_page {
                self.connection = None;
            }
            thread::sleep(delay);
            target = same;
        }
    }

    fn get(&mut self, target: &Target, lane: &mut Lane) -> Result<Page, PageError> {
        let request = target.request();
        let crawl = &self.scraper.crawl;
        if let Some(archive) = &crawl.archive {
            return archive.get(request, || crawl.take_buffer(), lane);
        }
        while let Some(left) = crawl.pause.left() {
            thread::sleep(left);
        }
        let sent_at = Instant::now();
        let page = self.fetch(request);
        self.waited = record(&page, sent_at, lane);
        page
    }

    fn fetch(&mut self, request: Request<'_>) -> Result<Page, PageError> {
        let site = &self.scraper.crawl.task.site;
        let mut exchange = Exchange::new(site, request);
        loop {
            let (head, body) = self.send(&exchange)?;
            if !exchange.follows(&head) {
                return self.scraper.crawl.receive(exchange, head, body);
            }
        }
    }

    /// Sends a request on the connection of this worker, or opens one if that is closed or belongs to
    /// another origin.
    fn send(&mut self, exchange: &Exchange) -> Result<(Head, Vec<u8>), PageError> {
        let (origin, path) = exchange.address();
        let crawl = &self.scraper.crawl;
        let kept = self.connection.take().filter(|kept| kept.origin == origin);
        if let Some(kept) = kept {
            match self.exchange(kept, exchange, path) {
                // The server may have closed it before the request came.
                Err(error) if error.reason == Reason::Broken => crawl.counters.retries.add(1),
                response => return response,
            }
        }
        let connection = Connection::open(origin, &crawl.tls)?;
        self.exchange(connection, exchange, path)
    }

    /// Sends a request and receives its response. Keeps the connection if it can be used again.
    fn exchange(
        &mut self,
        mut connection: Connection,
        exchange: &Exchange,
        path: &str,
    ) -> Result<(Head, Vec<u8>), PageError> {
        let crawl = &self.scraper.crawl;
        crawl.counters.requests.add(1);
        self.write_request(path, &connection.authority, exchange);
        let request = self.request.as_bytes();
        let (head, body) = connection.exchange(request, exchange, || crawl.take_buffer())?;
        crawl.counters.bytes_wire.add(body.len() as u64);
        if connection.is_reusable {
            self.connection = Some(connection);
        }
        Ok((head, body))
    }

    fn write_request(&mut self, path: &str, authority: &str, exchange: &Exchange) {
        let request = &mut self.request;
        request.clear();
        // Writing to a string cannot fail.
        let _ = write!(
            request,
            "GET {path} HTTP/1.1\r\nhost: {authority}\r\nuser-agent: {USER_AGENT}\r\n\
             accept: {ACCEPT}\r\naccept-encoding: gzip\r\n"
        );
        if let Some(cookies) = exchange.cookies().and_then(|cookies| cookies.to_str().ok()) {
            let _ = write!(request, "cookie: {cookies}\r\n");
        }
        request.push_str("\r\n");
    }
}
