//! What contenders with a client of their own share: the pages to fetch, the redirects and checks of a
//! response, and the handling of its page.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue};
use rustls::ClientConfig;
use url::Url;

use super::frontier::{Frontier, Limits, Target};
use super::host_pause::HostPause;
use super::shared::add;
use crate::http::client;
use crate::http::decode::{self, Inflater};
use crate::http::error::{PageError, Reason};
use crate::http::page::Page;
use crate::http::redirect::{self, Chain};
use crate::job::exchange_rate;
use crate::pipeline::harvest::Harvest;
use crate::race::contenders::extract::Extract;
use crate::race::contenders::task::Task;
use crate::race::contenders::trust;
use crate::site::{index, paths};
use crate::source::Source;
use crate::source::purpose::Request;
use crate::source::retry::{Attempts, MAX_ATTEMPTS, Retries};
use crate::telemetry::counters::Counters;
use crate::telemetry::lane::Lane;
use crate::telemetry::trace::Label;

/// One run, shared by all its workers.
pub struct Crawl {
    pub task: Task,
    pub counters: Arc<Counters>,
    pub frontier: Frontier,
    /// Pages in memory, used instead of a server.
    pub archive: Option<Source>,
    pub tls: Arc<ClientConfig>,
    pub pause: HostPause,
    retries: Retries,
    /// Buffers of bodies that no page uses. A request that waits for its response has none.
    buffers: Mutex<Vec<Vec<u8>>>,
}

impl Crawl {
    /// `threads` is the number of threads that parse pages, at most one for each core.
    pub fn new(task: &Task, counters: &Arc<Counters>, threads: usize) -> Result<Self, String> {
        let limits = Limits {
            in_flight: task.workers,
            threads,
        };
        let frontier = match task.work.index() {
            Some(index) => Frontier::of_index(index, limits),
            None => Frontier::of_list(task.links_from_file()?, limits),
        };
        Ok(Crawl {
            counters: Arc::clone(counters),
            frontier,
            archive: task.archive_source()?,
            tls: trust::client_config(task.authorities.as_deref())?,
            pause: HostPause::default(),
            retries: Retries::default(),
            buffers: Mutex::default(),
            task: task.clone(),
        })
    }

    /// A buffer for a body. It may contain an earlier one.
    pub fn take_buffer(&self) -> Vec<u8> {
        let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        buffers.pop().unwrap_or_default()
    }

    pub fn recycle(&self, buffer: Vec<u8>) {
        let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        buffers.push(buffer);
    }

    /// The row of the timeline for a target that is no company.
    pub fn lane_of(&self, target: &Target) -> Option<Lane<'_>> {
        match target {
            Target::Company(_) => None,
            Target::IndexPage { .. } => Some(self.counters.lane(Label::Index)),
            Target::Rates { .. } => Some(self.counters.lane(Label::Rate)),
        }
    }

    /// The page of the last response. Begins the pause that it asks for. Fails unless its status is 200.
    pub fn receive(
        &self,
        exchange: Exchange,
        head: Head,
        body: Vec<u8>,
    ) -> Result<Page, PageError> {
        let pauses_host = exchange.pauses_host;
        let page = exchange.page(head, body);
        if pauses_host && let Err(why) = self.pause.record(&page) {
            self.frontier.fail(why);
        }
        page.require_status_200()
    }

    /// Parses a page and adds what it says to the harvest or to the frontier. Returns its target again if
    /// it should be fetched again after a delay. As with the blocking contenders, that is done for index
    /// pages and exchange rates alone.
    pub fn handle_page(
        &self,
        target: Target,
        attempts: &mut Attempts,
        page: Result<Page, PageError>,
        parsing: Parsing<'_, '_>,
    ) -> Option<(Target, Duration)> {
        let Parsing {
            inflater,
            lane,
            harvest,
        } = parsing;
        let handled = match target {
            Target::Company(link) => {
                let extract = page.and_then(|page| {
                    harvest.add_latency(page.elapsed);
                    let extract = self.task.extract(&page, inflater, lane);
                    self.recycle(page.body);
                    extract
                });
                add(harvest, link, extract);
                return None;
            }
            Target::IndexPage { .. } => page
                .and_then(|page| decode::parse_html(&page, inflater, lane, index::parse))
                .map(|page| self.frontier.add_index_page(page)),
            Target::Rates { .. } => page
                .and_then(|page| exchange_rate::parse(&page, lane.counters))
                .map(|rates| self.frontier.set_rates(rates)),
        };
        let error = handled.err()?;
        let path = target.path();
        let delay = self
            .retries
            .next_delay(path, MAX_ATTEMPTS, attempts, &error);
        match delay.filter(|_| self.archive.is_none()) {
            Some(delay) => {
                self.counters.retries.add(1);
                Some((target, delay))
            }
            None => {
                self.frontier.fail(format!("{path}: {error}"));
                None
            }
        }
    }
}

/// Records a request in the timeline and the counters. Returns how long it waited for its response.
pub fn record(
    page: &Result<Page, PageError>,
    sent_at: Instant,
    lane: &mut Lane,
) -> Option<Duration> {
    match page {
        Ok(page) => {
            lane.record_response(sent_at, page.waited, page.elapsed);
            Some(page.waited)
        }
        Err(_) => {
            lane.record_failure(sent_at);
            None
        }
    }
}

/// What a worker parses with.
pub struct Parsing<'a, 'b> {
    pub inflater: &'a mut Inflater,
    pub lane: &'a mut Lane<'b>,
    pub harvest: &'a mut Harvest<Extract>,
}

/// The requests for one page: the first, and those for its redirects.
pub struct Exchange {
    asked: String,
    chain: Chain,
    pub limits: client::Limits,
    pub pauses_host: bool,
    pub sent_at: Instant,
    not_followed: Option<Box<PageError>>,
}

/// The head of a response, and how long it took.
pub struct Head {
    pub status: u16,
    pub headers: HeaderMap,
    pub waited: Duration,
}

impl Exchange {
    pub fn new(site: &str, request: Request<'_>) -> Self {
        let asked = format!("{site}{}", paths::encoded(request.path));
        let policy = request.purpose.policy();
        Exchange {
            chain: Chain::new(&asked, policy.limits.redirects),
            asked,
            limits: policy.limits,
            pauses_host: policy.pauses_host,
            sent_at: Instant::now(),
            not_followed: None,
        }
    }

    /// The address to request next, as its [origin and path](split).
    pub fn address(&self) -> (&str, &str) {
        split(self.chain.address())
    }

    pub fn cookies(&self) -> Option<&HeaderValue> {
        self.chain.cookies()
    }

    /// Whether the response is a redirect to follow.
    pub fn follows(&mut self, head: &Head) -> bool {
        if !redirect::is_redirect(head.status) {
            return false;
        }
        self.not_followed = self.chain.follow(&head.headers).err().map(Box::new);
        self.not_followed.is_none()
    }

    /// The page of the last response, with any status.
    pub fn page(self, head: Head, body: Vec<u8>) -> Page {
        Page {
            asked: self.asked,
            reached: self.chain.reached(),
            not_followed: self.not_followed,
            status: head.status,
            headers: head.headers,
            body,
            waited: head.waited,
            elapsed: self.sent_at.elapsed(),
            from_journal: false,
            large: None,
            saved: None,
        }
    }
}

/// Splits an address into scheme, host and port, and its path with the query.
fn split(address: &str) -> (&str, &str) {
    let address = address.split('#').next().unwrap_or_default();
    let host = address.find("://").map_or(0, |at| at + "://".len());
    let end = address[host..]
        .find('/')
        .map_or(address.len(), |at| host + at);
    let (origin, path) = address.split_at(end);
    (origin, if path.is_empty() { "/" } else { path })
}

/// Where a connection leads.
pub struct Origin {
    pub is_https: bool,
    /// Without the brackets of an IPv6 address.
    pub host: String,
    pub port: u16,
    /// The value of the `Host` header.
    pub authority: String,
}

impl Origin {
    /// Parses scheme, host and port, like `https://127.0.0.1:8080`.
    pub fn parse(origin: &str) -> Result<Self, PageError> {
        let invalid =
            || PageError::new(Reason::Unreachable, format!("{origin} is no HTTP address"));
        let url = Url::parse(origin).map_err(|_| invalid())?;
        let host = url.host_str().ok_or_else(invalid)?;
        let port = url.port_or_known_default().ok_or_else(invalid)?;
        Ok(Origin {
            is_https: url.scheme() == "https",
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            authority: match url.port() {
                Some(port) => format!("{host}:{port}"),
                None => host.to_owned(),
            },
        })
    }
}

/// The error of a response that does not arrive within its time limit.
pub fn timed_out() -> PageError {
    PageError::new(Reason::Timeout, "no response in time")
}

/// The error of a body over its limit in bytes.
pub fn too_large(limit: u64) -> PageError {
    let detail = format!("the body is larger than {} MiB", limit >> 20);
    PageError::new(Reason::TooLarge, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_addresses_into_origin_and_path() {
        for (address, expected) in [
            ("http://a/b?c", ("http://a", "/b?c")),
            ("https://a:1/", ("https://a:1", "/")),
            ("http://[::1]:80/b#c", ("http://[::1]:80", "/b")),
            ("http://a", ("http://a", "/")),
        ] {
            assert_eq!(split(address), expected);
        }
    }

    #[test]
    fn parses_origins() {
        for (origin, is_https, host, port, authority) in [
            (
                "http://127.0.0.1:8080",
                false,
                "127.0.0.1",
                8080,
                "127.0.0.1:8080",
            ),
            (
                "https://site.example",
                true,
                "site.example",
                443,
                "site.example",
            ),
            ("http://[::1]:81", false, "::1", 81, "[::1]:81"),
        ] {
            let parsed = Origin::parse(origin).unwrap();
            let parsed = (
                parsed.is_https,
                &*parsed.host,
                parsed.port,
                &*parsed.authority,
            );
            assert_eq!(parsed, (is_https, host, port, authority));
        }
        assert!(Origin::parse("nowhere").is_err());
    }
}
