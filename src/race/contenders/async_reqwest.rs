//! tokio + reqwest in idiomatic async style: one client, a semaphore for the requests in flight, and
//! one task for each page that fetches and parses it.
//!
//! Inflating and parsing take a fraction of a millisecond. Moving them to the blocking pool costs
//! more than it gains on the same cores, so the task does them itself.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use crate::http::client::ACCEPT;
use crate::http::decode::{self, Inflater};
use crate::http::error::{PageError, Reason};
use crate::http::page::{MAX_BODY, Page};
use crate::http::redirect::{MAX_REDIRECTS, may_follow};
use crate::pipeline::harvest::Harvest;
use crate::site::index::{self, IndexPage, Link};
use crate::site::paths;
use crate::site::rates::{self, Rates};
use crate::source::Source;
use crate::source::purpose::{Purpose, Request};
use crate::telemetry::counters::Counters;
use crate::telemetry::lane::Lane;
use crate::telemetry::trace::{Label, Phase};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder};
use tokio::runtime::Builder;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinSet;

use super::contender::{Contender, MAX_IN_FLIGHT};
use super::shared::{Outcome, add};
use crate::race::extract::Extract;
use crate::race::task::{TIMEOUT, Task, USER_AGENT};
use crate::race::trust;

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
    };
    let runtime = Builder::new_multi_thread().enable_all().build();
    runtime
        .map_err(|error| error.to_string())?
        .block_on(scrape(Arc::new(scraper)))
}

/// A client with the same limits, redirect rules and root certificates as the blocking client.
fn client(task: &Task) -> Result<Client, String> {
    let tls = trust::client_config(task.authorities.as_deref())?;
    let same_host = Policy::custom(|attempt| {
        let from = attempt
            .previous()
            .last()
            .expect("a redirect has a previous address");
        if attempt.previous().len() <= MAX_REDIRECTS && may_follow(from, attempt.url()) {
            attempt.follow()
        } else {
            attempt.error("too many redirects, or a redirect to another site")
        }
    });
    ClientBuilder::new()
        .tls_backend_preconfigured(Arc::unwrap_or_clone(tls))
        .http1_only()
        .pool_max_idle_per_host(task.workers)
        .timeout(TIMEOUT)
        .redirect(same_host)
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
            for number in 2..=first.pages {
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
        let sent_at = Instant::now();
        let page = self.request(request.path, sent_at).await;
        match &page {
            Ok(page) => lane.record_response(sent_at, page.waited, page.elapsed),
            Err(_) => lane.record_failure(sent_at),
        }
        page?.require_status_200()
    }

    async fn request(&self, path: &str, sent_at: Instant) -> Result<Page, PageError> {
        let broken = |error: reqwest::Error| PageError::new(Reason::Broken, error.to_string());
        self.counters.requests.add(1);
        let request = self
            .client
            .get(format!("{}{path}", self.task.site))
            .header("accept", ACCEPT)
            .header("accept-encoding", "gzip");
        let mut response = request.send().await.map_err(broken)?;
        let waited = sent_at.elapsed();
        let reached = response.url().as_str();
        let reached = (!reached.ends_with(path)).then(|| reached.to_owned());
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let content_length = response.content_length().unwrap_or(0).min(MAX_BODY);
        let mut body = Vec::with_capacity(content_length as usize);
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            body.extend_from_slice(&chunk);
            if body.len() as u64 > MAX_BODY {
                return Err(PageError::new(Reason::TooLarge, "the body is too large"));
            }
        }
        self.counters.bytes_wire.add(body.len() as u64);
        Ok(Page {
            asked: path.to_owned(),
            reached,
            status,
            headers,
            body,
            waited,
            elapsed: sent_at.elapsed(),
            from_journal: false,
            not_followed: None,
            large: None,
        })
    }
}

async fn index_page(scraper: Arc<Scraper>, number: u32) -> Result<IndexPage, String> {
    let _permit = scraper.permit().await;
    let mut lane = scraper.counters.lane(Label::Index);
    let path = paths::numbered_page(scraper.task.work.index().unwrap_or_default(), number);
    let page = scraper
        .get(Request::new(Purpose::Index, &path), &mut lane)
        .await
        .map_err(|error| error.to_string())?;
    let mut inflater = Inflater::default();
    let html = lane
        .time(Phase::Inflating, || page.inflate(&mut inflater))
        .map_err(|error| error.to_string())?;
    lane.time(Phase::Reading, || index::parse(html))
        .map_err(|error| error.to_string())
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
    let page = scraper
        .get(Request::new(Purpose::Rates, &path), &mut lane)
        .await
        .map_err(|error| error.to_string())?;
    let mut inflater = Inflater::default();
    let xml = page
        .inflate(&mut inflater)
        .map_err(|error| error.to_string())?;
    let xml = decode::to_utf8(xml, page.charset().as_deref());
    rates::parse(&String::from_utf8_lossy(&xml))
        .map(Some)
        .map_err(|error| error.to_string())
}
