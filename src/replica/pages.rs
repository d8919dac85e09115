//! All responses of a server, made and compressed before the first request.

use std::collections::HashMap;
use std::io::Write;
use std::thread;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::market::Market;
use crate::http::decode::Inflater;
use crate::http::error::{PageError, Reason};
use crate::site::paths::{self, LETTERS};
use crate::warc::path_map::PathMap;
use crate::warc::reader::Archive;

const HTML: &str = "text/html; charset=utf-8";
const XML: &str = "application/xml; charset=windows-1251";
const ROBOTS: &[u8] = b"User-agent: *\nDisallow: /ajax/\nAllow: /\n";
/// The Bank of Russia's response to a date without rates, sent with status 200.
const RATES_ERROR: &[u8] =
    b"<?xml version=\"1.0\" encoding=\"utf-8\" ?><ValCurs>Error in parameters</ValCurs>";

/// A map from path and query to the response.
#[derive(Debug)]
pub struct Pages {
    responses: PathMap<Response>,
    /// For rates of a date that `responses` lacks. Pages of an archive have none.
    no_rates: Option<Response>,
    /// Pages of the archive that cannot be read or inflated, by path, and why. They are not served.
    pub unreadable: Vec<(String, PageError)>,
}

/// A response of status 200, or a redirect, ready to be sent to a client that accepts gzip.
#[derive(Debug)]
pub struct Response {
    /// The status line, and `Location` for a redirect, each with its line end.
    pub head_start: String,
    pub content_type: String,
    /// The head without the empty line at its end.
    pub gzipped_head: String,
    /// Head and gzipped body in one piece, so that one write sends both.
    pub gzipped_message: Vec<u8>,
    body_start: usize,
}

impl Response {
    /// A page of status 200. Compresses its plain body.
    pub fn new(content_type: &str, body: &[u8]) -> Self {
        let head_start = "HTTP/1.1 200 OK\r\n".to_owned();
        Response::with_head_start(head_start, content_type, body)
    }

    /// A redirect to another path of this server.
    pub fn redirect(path: &str) -> Self {
        let head_start = format!("HTTP/1.1 301 Moved Permanently\r\nLocation: {path}\r\n");
        Response::with_head_start(head_start, "text/html", b"")
    }

    fn with_head_start(head_start: String, content_type: &str, body: &[u8]) -> Self {
        // Level 2 gives pages of the real site's size, in half the time of level 6.
        let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::new(2));
        let body = encoder
            .write_all(body)
            .and_then(|()| encoder.finish())
            .expect("writing to memory");
        let head = format!(
            "{head_start}Server: indexrank\r\nContent-Type: {content_type}\r\nVary: Accept-Encoding\r\n\
             Content-Encoding: gzip\r\nContent-Length: {}\r\n",
            body.len()
        );
        Response {
            head_start,
            content_type: content_type.to_owned(),
            gzipped_message: [head.as_bytes(), b"\r\n", &body].concat(),
            body_start: head.len() + 2,
            gzipped_head: head,
        }
    }

    pub fn gzipped_body(&self) -> &[u8] {
        &self.gzipped_message[self.body_start..]
    }

    /// The inflated body, for clients that do not accept gzip.
    pub fn plain_body(&self) -> Vec<u8> {
        let mut inflater = Inflater::default();
        let body = inflater.gunzip(self.gzipped_body());
        body.expect("`new` compressed it").to_vec()
    }
}

impl Pages {
    /// All pages of a market: numbered pages, letter pages, company pages, rates and `robots.txt`.
    /// A company of several indices has one page.
    pub fn of_market(market: &Market) -> Self {
        let html = |page: String| Response::new(HTML, page.as_bytes());
        let mut responses = HashMap::new();
        for index in market.indices() {
            let first = format!("{}{}", paths::INDEX_PREFIX, index.name);
            responses.insert(first, html(index.page(1)));
            responses.extend((1..=index.pages()).map(|number| {
                let path = paths::numbered_page(index.name, number);
                (path, html(index.page(number)))
            }));
            responses.extend(map_in_parallel(&LETTERS, |letter| {
                let path = paths::letter_page(index.name, letter);
                Some((path, html(index.letter_page(letter))))
            }));
        }
        let rates = market.rates();
        for date in [None, Some(Market::DATE)] {
            responses.insert(paths::rates(date), Response::new(XML, &rates));
        }
        responses.insert(
            paths::ROBOTS.to_owned(),
            Response::new("text/plain", ROBOTS),
        );
        responses.extend(map_in_parallel(&market.all_companies(), |company| {
            Some((company.path.clone(), html(market.company_page(company))))
        }));
        Pages {
            responses: responses.into_iter().collect(),
            no_rates: Some(Response::new("application/xml; charset=utf-8", RATES_ERROR)),
            unreadable: Vec::new(),
        }
    }

    /// All readable pages of an archive with status 200. A page that was redirected is a redirect here too,
    /// because a client compares the page with the address that it was redirected to.
    pub fn of_archive(archive: &Archive) -> Self {
        let paths: Vec<&str> = archive.paths().collect();
        let read = |path: &str| -> Result<Option<(Response, Option<String>)>, PageError> {
            let page = match archive.get(path, Vec::new()) {
                // A redirect that leads out of the archive has no page.
                Err(error) if matches!(error.reason, Reason::NotArchived | Reason::Redirects) => {
                    return Ok(None);
                }
                page => page?,
            };
            if page.status != 200 {
                return Ok(None);
            }
            let mut inflater = Inflater::default();
            let body = page.inflate(&mut inflater)?;
            let content_type = page.header("content-type").unwrap_or("text/html".into());
            let target = page.reached.as_deref().map(paths::of_address);
            let target = target.filter(|target| *target != path).map(str::to_owned);
            Ok(Some((Response::new(&content_type, body), target)))
        };
        let pages = map_in_parallel(&paths, |path| {
            let page = read(path).transpose()?;
            Some(((*path).to_owned(), page))
        });
        let (mut responses, mut unreadable) = (PathMap::default(), Vec::new());
        let mut targets = Vec::new();
        for (path, page) in pages {
            match page {
                Ok((response, None)) => {
                    responses.or_insert(&path, response);
                }
                Ok((response, Some(target))) => {
                    responses.or_insert(&path, Response::redirect(&target));
                    targets.push((target, response));
                }
                Err(error) => unreadable.push((path, error)),
            }
        }
        for (target, response) in targets {
            // A recording has such a page under the requested path only.
            if responses.find(&target).is_err() {
                responses.or_insert(&target, response);
            }
        }
        // The archive lists its pages in no order.
        unreadable.sort_by(|(a, _), (b, _)| a.cmp(b));
        Pages {
            responses,
            no_rates: None,
            unreadable,
        }
    }

    /// Whether there is no response to any path.
    pub fn is_empty(&self) -> bool {
        self.responses.iter().len() == 0
    }

    /// The path of the next company page in the order of paths; the first after the last one.
    pub(super) fn company_after(&self, path: &str) -> Option<&str> {
        let paths = self.responses.iter().map(|(path, _)| path);
        paths
            .filter(|other| other.starts_with(paths::COMPANY_PREFIX))
            .min_by_key(|other| (*other <= path, *other))
    }

    /// The path of the same page of another index, the next in the order of names. `page` is what
    /// follows the name, such as `?p=2`.
    pub(super) fn other_index(&self, index: &str, page: &str) -> Option<&str> {
        let paths = self.responses.iter().map(|(path, _)| path);
        paths
            .filter_map(|path| Some((path, split_index_path(path)?)))
            .filter(|(_, (name, other))| *name != index && *other == page)
            .min_by_key(|(_, (name, _))| (*name < index, *name))
            .map(|(path, _)| path)
    }

    /// The response to a path with its query as a client spells it; `None` stands for 404. [`PathMap`]
    /// says which other spelling of a path finds its page.
    pub fn get(&self, path: &str) -> Option<&Response> {
        let is_rates_of_a_date = path
            .strip_prefix(&paths::rates(None))
            .is_some_and(|query| query.starts_with('?'));
        match self.responses.find_page(path) {
            Ok((_, response)) => Some(response),
            Err(_) => self.no_rates.as_ref().filter(|_| is_rates_of_a_date),
        }
    }
}

/// The name of the index in the path of an index page, and the rest: `?p=2`, `/A` or nothing.
pub(super) fn split_index_path(path: &str) -> Option<(&str, &str)> {
    let path = path.strip_prefix(paths::INDEX_PREFIX)?;
    Some(path.split_at(path.find(['?', '/']).unwrap_or(path.len())))
}

/// `filter_map` on all cores, because compressing a page takes about a millisecond.
fn map_in_parallel<T: Sync, U: Send>(items: &[T], make: impl Fn(&T) -> Option<U> + Sync) -> Vec<U> {
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get());
    let chunk_size = items.len().div_ceil(cores).max(1);
    thread::scope(|scope| {
        let make = &make;
        let make_all = move |chunk: &[T]| chunk.iter().filter_map(make).collect::<Vec<U>>();
        let workers: Vec<_> = items
            .chunks(chunk_size)
            .map(|chunk| {
                let worker = thread::Builder::new().spawn_scoped(scope, move || make_all(chunk));
                // Without a thread for it, this one makes the chunk.
                worker.map_err(|_| chunk)
            })
            .collect();
        let join = |worker: Result<thread::ScopedJoinHandle<'_, Vec<U>>, &[T]>| match worker {
            Ok(worker) => worker
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(chunk) => make_all(chunk),
        };
        workers.into_iter().flat_map(join).collect()
    })
}
