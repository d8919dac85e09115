//! tokio + reqwest in idiomatic async style: one client, a semaphore for the requests in flight, and
//! one task for each page that fetches and parses it.
//!
//! Inflating and parsing take a fraction of a millisecond. Moving them to the blocking pool costs
//! more than it gains on the same cores, so the task does them itself.
//!
//! Limits, redirects, checks and retries are those of the other contenders. The head of a response has the
//! limits of the library, and a retry may get the connection of the attempt before.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use http::header::{ACCEPT as ACCEPT_HEADER, ACCEPT_ENCODING, COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Response};
use tokio::runtime::Builder;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::async_hyper::is_malformed;
use super::contender::{Contender, MAX_IN_FLIGHT};
use super::host_pause::HostPause;
use super::own_client::{Exchange, Head, record, timed_out, too_large};
use super::shared::{Outcome, add};
use crate::http::client::{
    ACCEPT, BODY_TIMEOUT, CONNECT_TIMEOUT, HEADERS_TIMEOUT, READ_TIMEOUT, check_transfer_encoding,
};
use crate::http::decode::{self, Inflater};
use crate::http::error::{PageError, Reason};
use crate::http::page::Page;
use crate::job::exchange_rate;
use crate::pipeline::harvest::Harvest;
use crate::race::contenders::extract::Extract;
use crate::race::contenders::task::{TIMEOUT, Task, USER_AGENT};
use crate::race::contenders::trust;
use crate::site::index::{self, IndexPage, Link, MAX_PAGES};
use crate::site::paths;
use crate::site::rates::Rates;
use crate::source::Source;
use crate::source::purpose::{Purpose, Request};
use crate::source::retry::{Attempts, MAX_ATTEMPTS, Retries};
use crate::telemetry::counters::Counters;
use crate::telemetry::lane::Lane;
use crate::telemetry::trace::Label;

thread_local! {
    /// One buffer for each thread of the runtime.
    static INFLATER: RefCell<Inflater> = RefCell::default();
}

pub const CONTENDER: Contender = Contender {
    name: "async-reqwest",
    description: "tokio + reqwest, a task for every page, one thread per core",
    run,
    max_in_flight: MAX_IN_FLIGHT,
    // The client may open a connection for a request that then gets an idle one: 1,092 for 1,024.
    files_per_page: 2,
};

fn run(task: &Task, counters: &Arc<Counters>) -> Outcome {
    let scraper = Scraper {
        client: client(task)?,
        archive: task.archive_source()?,
        task: task.clone(),
        counters: Arc::clone(counters),
        permits: Semaphore::new(task.workers),
        retries: Retries::default(),
        pause: HostPause::default(),
        failure: OnceLock::new(),
    };
    let runtime = Builder::new_multi_thread().enable_all().build();
    runtime
        .map_err(|error| error.to_string())?
        .block_on(scrape(Arc::new(scraper)))
}

/// A client with the root certificates of the blocking client. [`Exchange`] follows the redirects.
fn client(task: &Task) -> Result<Client, String> {
    let tls = trust::client_config(task.authorities.as_deref())?;
    ClientBuilder::new()
        .tls_backend_preconfigured(Arc::unwrap_or_clone(tls))
        .http1_only()
        .pool_max_idle_per_host(task.workers)
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(Policy::none())
        .user_agent(USER_AGENT)
        .no_proxy()
        .build()
        .map_err(|error| error.to_string())
}

struct Scraper {
    client: Client,
    /// Pages in memory, used instead of a server.
    archive: Option<Source>,
    task: Task,
    counters: Arc<Counters>,
    /// One for each page in flight, index pages and exchange rates included. Tasks get them in the order
    /// in which they were started.
    permits: Semaphore,
    retries: Retries,
    pause: HostPause,
    /// Why the run has failed. No request follows.
    failure: OnceLock<String>,
}

async fn scrape(scraper: Arc<Scraper>) -> Outcome {
    let rate = tokio::spawn(rate(Arc::clone(&scraper)));
    let mut pages = JoinSet::new();
    let mut listed = HashSet::new();
    let mut start = |links: Vec<Link>| {
        for link in links {
            if listed.insert(link.path.clone()) {
                pages.spawn(visit(Arc::clone(&scraper), link));
            }
        }
    };
    match scraper.task.work.index() {
        None => start(scraper.task.links_from_file()?),
        Some(_) => {
            let first = index_page(Arc::clone(&scraper), 1).await?;
            let mut others = JoinSet::new();
            for number in 2..=first.pages.min(MAX_PAGES) {
                others.spawn(index_page(Arc::clone(&scraper), number));
            }
            start(first.rows);
            while let Some(page) = others.join_next().await {
                start(page.map_err(|error| error.to_string())??.rows);
            }
        }
    }
    let mut harvest = Harvest {
        listed: listed.len(),
        ..Harvest::default()
    };
    while let Some(ended) = pages.join_next().await {
        harvest.absorb(ended.map_err(|error| error.to_string())?);
    }
    let rate = rate.await.map_err(|error| error.to_string())??;
    if let Some(why) = scraper.failure.get() {
        return Err(why.clone());
    }
    Ok((harvest, rate))
}

impl Scraper {
    async fn permit(&self) -> SemaphorePermit<'_> {
        let permit = self.permits.acquire().await;
        permit.expect("the semaphore is never closed")
    }

    async fn get(&self, request: Request<'_>, lane: &mut Lane<'_>) -> Result<Page, PageError> {
        lane.set_path(request.path);
        if let Some(archive) = &self.archive {
            return archive.get(request, Vec::new, lane);
        }
        while let Some(left) = self.pause.left() {
            sleep(left).await;
        }
        if let Some(why) = self.failure.get() {
            return Err(PageError::new(Reason::Stopped, why.clone()));
        }
        let sent_at = Instant::now();
        let page = timeout(TIMEOUT, self.fetch(request)).await;
        let page = page.unwrap_or_else(|_| Err(timed_out()));
        record(&page, sent_at, lane);
        let page = page?;
        if request.purpose.policy().pauses_host
            && let Err(why) = self.pause.record(&page)
        {
            let _ = self.failure.set(why);
        }
        page.require_status_200()
    }

    async fn fetch(&self, request: Request<'_>) -> Result<Page, PageError> {
        let mut exchange = Exchange::new(&self.task.site, request);
        loop {
            let (head, body) = self.exchange(&exchange).await?;
            if !exchange.follows(&head) {
                return Ok(exchange.page(head, body));
            }
        }
    }

    /// Sends a request and receives its response.
    async fn exchange(&self, exchange: &Exchange) -> Result<(Head, Vec<u8>), PageError> {
        let response = match self.send(exchange).await {
            // The server may have closed the connection before the request came. The client does not say
            // whether it has opened one for this request.
            Err(error) if error.reason == Reason::Broken => {
                self.counters.retries.add(1);
                self.send(exchange).await?
            }
            response => response?,
        };
        let head = Head {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            waited: exchange.sent_at.elapsed(),
        };
        let is_ok = head.status == 200;
        if is_ok {
            check_transfer_encoding(&head.headers, response.version())?;
        }
        let body = timeout(BODY_TIMEOUT, read(response, exchange.limits.max_body)).await;
        let body = match body.unwrap_or_else(|_| Err(timed_out())) {
            // The body of an error page is read only to keep the connection.
            Err(_) if !is_ok => Vec::new(),
            body => body?,
        };
        self.counters.bytes_wire.add(body.len() as u64);
        Ok((head, body))
    }

    async fn send(&self, exchange: &Exchange) -> Result<Response, PageError> {
        self.counters.requests.add(1);
        let (origin, path) = exchange.address();
        let mut request = self
            .client
            .get(format!("{origin}{path}"))
            .header(ACCEPT_HEADER, ACCEPT)
            .header(ACCEPT_ENCODING, "gzip");
        if let Some(cookies) = exchange.cookies() {
            request = request.header(COOKIE, cookies);
        }
        let response = timeout(HEADERS_TIMEOUT, request.send()).await;
        response.map_err(|_| timed_out())?.map_err(of_reqwest)
    }

    /// Fetches a page and parses it, with the attempts and delays of the other contenders.
    async fn get_with_retries<T>(
        &self,
        request: Request<'_>,
        lane: &mut Lane<'_>,
        mut parse: impl FnMut(&Page, &mut Lane<'_>) -> Result<T, PageError>,
    ) -> Result<T, String> {
        let path = request.path;
        let mut attempts = Attempts::default();
        loop {
            let page = self.get(request, lane).await;
            let error = match page.and_then(|page| parse(&page, lane)) {
                Ok(parsed) => return Ok(parsed),
                Err(error) => error,
            };
            let delay = self
                .retries
                .next_delay(path, MAX_ATTEMPTS, &mut attempts, &error);
            let Some(delay) = delay.filter(|_| self.archive.is_none()) else {
                return Err(format!("{path}: {error}"));
            };
            self.counters.retries.add(1);
            sleep(delay).await;
        }
    }
}

/// Reads a whole body of at most `limit` bytes.
async fn read(mut response: Response, limit: u64) -> Result<Vec<u8>, PageError> {
    let announced = response.content_length().unwrap_or(0);
    if announced > limit {
        return Err(too_large(limit));
    }
    let mut body = Vec::with_capacity(announced as usize);
    loop {
        let chunk = timeout(READ_TIMEOUT, response.chunk()).await;
        let Some(chunk) = chunk.map_err(|_| timed_out())?.map_err(of_reqwest)? else {
            return Ok(body);
        };
        if (body.len() + chunk.len()) as u64 > limit {
            return Err(too_large(limit));
        }
        body.extend_from_slice(&chunk);
    }
}

fn of_reqwest(error: reqwest::Error) -> PageError {
    let reason = if error.is_connect() {
        Reason::Unreachable
    } else if is_malformed(&error) {
        Reason::Protocol
    } else {
        Reason::Broken
    };
    PageError::new(reason, error.to_string()).caused_by(error)
}

async fn index_page(scraper: Arc<Scraper>, number: u32) -> Result<IndexPage, String> {
    let _permit = scraper.permit().await;
    let mut lane = scraper.counters.lane(Label::Index);
    let path = paths::numbered_page(scraper.task.work.index().unwrap_or_default(), number);
    let request = Request::new(Purpose::Index, &path);
    let mut inflater = Inflater::default();
    let parse =
        |page: &Page, lane: &mut Lane| decode::parse_html(page, &mut inflater, lane, index::parse);
    scraper.get_with_retries(request, &mut lane, parse).await
}

async fn visit(scraper: Arc<Scraper>, link: Link) -> Harvest<Extract> {
    let _permit = scraper.permit().await;
    let mut lane = scraper.counters.lane(Label::Worker);
    let mut harvest = Harvest::default();
    let request = Request::new(Purpose::Company, &link.path);
    let result = scraper.get(request, &mut lane).await.and_then(|page| {
        harvest.add_latency(page.elapsed);
        INFLATER.with_borrow_mut(|inflater| scraper.task.extract(&page, inflater, &mut lane))
    });
    add(&mut harvest, link, result);
    harvest
}

async fn rate(scraper: Arc<Scraper>) -> Result<Option<Rates>, String> {
    if scraper.task.work.index().is_none() {
        return Ok(None);
    }
    let _permit = scraper.permit().await;
    let mut lane = scraper.counters.lane(Label::Rate);
    let path = paths::rates(None);
    let request = Request::new(Purpose::Rates, &path);
    let parse = |page: &Page, lane: &mut Lane| exchange_rate::parse(page, lane.counters);
    let rates = scraper.get_with_retries(request, &mut lane, parse).await?;
    Ok(Some(rates))
}
