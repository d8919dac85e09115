//! The walk over every page of an index: company links, each address once.

use std::collections::HashSet;
use std::panic::resume_unwind;
use std::thread;

use crate::index::{self, IndexPage, Link, MAX_PAGES};
use crate::inflate::Inflater;
use crate::meter::Meter;
use crate::page::{self, Page, PageError, Reason};
use crate::retry::Patience;
use crate::source::{self, Source};
use crate::trace::{Lane, Phase, Role};

/// Index pages asked for at the same time. They are the only thing that can hold up the fetchers,
/// and there are eleven of them.
pub const SIDE_BY_SIDE: usize = 16;

/// An index that could not be walked to its end. A top ten of half an index is wrong, so this ends
/// the run.
#[derive(Debug, Clone, thiserror::Error)]
#[error("page {number} of the index, {address}: {error}")]
pub struct WalkError {
    pub number: u32,
    pub address: String,
    pub error: PageError,
}

/// Walks the index and hands on every link, page after page, until `hand_on` answers that nobody
/// listens any more. Gives the number of distinct addresses.
///
/// The first page tells how many there are; its links are handed on before the others are asked
/// for. Those are fetched side by side, at most `workers` of them, and read one by one in their
/// order, so that the links of the next are there as soon as can be.
pub fn walk(
    source: &Source,
    index: &str,
    workers: usize,
    meter: &Meter,
    mut hand_on: impl FnMut(Link) -> bool,
) -> Result<usize, WalkError> {
    let mut reader = PageReader {
        source,
        lane: meter.lane(Role::Index),
        inflater: Inflater::default(),
    };
    let mut seen = HashSet::new();
    let mut pages = 1;
    let mut next = 1;
    meter.index_pages.add(1);
    while next <= pages.min(MAX_PAGES) {
        let width = if next == 1 {
            1
        } else {
            workers.clamp(1, SIDE_BY_SIDE) as u32
        };
        let last = pages.min(MAX_PAGES).min(next + width - 1);
        let listed_before = seen.len();
        let listened = thread::scope(|scope| {
            let fetch = |number| scope.spawn(move || fetch(source, index, number, meter));
            let fetched: Vec<_> = (next..=last).map(fetch).collect();
            for fetched in fetched {
                let fetched = fetched.join().unwrap_or_else(|panic| resume_unwind(panic));
                let page = reader.read(fetched)?;
                if next == 1 {
                    reader.check_rules(&source::index_path(index, 1))?;
                }
                meter.index_read.add(1);
                if page.pages > pages {
                    meter.index_pages.add(u64::from(page.pages - pages));
                    pages = page.pages;
                }
                let mut fresh = page.rows;
                fresh.retain(|link| seen.insert(link.path.clone()));
                meter.listed.add(fresh.len() as u64);
                source.retries.plan(fresh.len());
                if !fresh.into_iter().all(&mut hand_on) {
                    return Ok(false);
                }
            }
            Ok(true)
        })?;
        // Some sites serve the last page again for every number past the end.
        if !listened || seen.len() == listed_before {
            break;
        }
        if last == MAX_PAGES && pages > MAX_PAGES {
            let error = PageError::new(
                Reason::TooLarge,
                format!("the index has more than {MAX_PAGES} pages"),
            );
            let address = source.address(&source::index_path(index, last));
            return Err(WalkError {
                number: last,
                address,
                error,
            });
        }
        next = last + 1;
    }
    Ok(seen.len())
}

/// A page of the index as it came, or why it did not.
struct Fetched<'a> {
    number: u32,
    patience: Patience<'a>,
    page: Result<Page, PageError>,
}

fn fetch<'a>(source: &'a Source, index: &str, number: u32, meter: &Meter) -> Fetched<'a> {
    let mut patience = Patience::new(source, source::index_path(index, number));
    let page = patience.get(&mut meter.lane(Role::Index), |page, _| Ok(page));
    Fetched {
        number,
        patience,
        page,
    }
}

/// Reads one page after the other, with what it keeps for that.
struct PageReader<'a> {
    source: &'a Source,
    lane: Lane<'a>,
    inflater: Inflater,
}

impl PageReader<'_> {
    /// The first page was asked for before anybody knew whether it may be.
    fn check_rules(&self, path: &str) -> Result<(), WalkError> {
        self.source.robots.check(path).map_err(|error| WalkError {
            number: 1,
            address: self.source.address(path),
            error,
        })
    }

    /// What a page lists. One that came and cannot be read may be worth another attempt too.
    fn read(&mut self, fetched: Fetched) -> Result<IndexPage, WalkError> {
        let Fetched {
            number,
            mut patience,
            page,
        } = fetched;
        let mut read = |page: Page, lane: &mut Lane| read(&page, &mut self.inflater, lane);
        self.lane.about(&patience.path);
        let mut first = |page| page::guarded("reading", || read(page, &mut self.lane));
        let page = match page.and_then(&mut first) {
            Err(error) if patience.has_another(&error) => patience.get(&mut self.lane, read),
            page => page,
        };
        page.map_err(|error| WalkError {
            number,
            address: self.source.address(&patience.path),
            error,
        })
    }
}

fn read(page: &Page, inflater: &mut Inflater, lane: &mut Lane) -> Result<IndexPage, PageError> {
    let html = lane.time(Phase::Inflating, || page.inflate(inflater))?;
    lane.meter.bytes_decoded.add(html.len() as u64);
    lane.time(Phase::Reading, || {
        let html = page::to_utf8(html, page.charset().as_deref());
        page::check_end(&html)?;
        index::parse(&html).map_err(|error| page::unrecognised(&html, error.to_string()))
    })
}
