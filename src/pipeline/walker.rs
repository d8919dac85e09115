//! The walk over every page of an index: company links, each address once. The walk by letters is
//! in [`ways`](crate::pipeline::letters).

use std::fmt;
use std::panic::resume_unwind;
use std::thread;

use crate::http::decode::Inflater;
use crate::http::page::{self, Page, PageError, Reason};
use crate::pipeline::addresses::Addresses;
use crate::site::index::{self, IndexPage, Link, MAX_PAGES, NotAnIndex};
use crate::source::get_with_retries::Patience;
use crate::source::{self, Source};
use crate::telemetry::counters::Meter;
use crate::telemetry::trace::{Lane, Phase, Role};

/// Index pages asked for at the same time. They are the only thing that can hold up the fetchers,
/// and there are eleven of them.
pub const SIDE_BY_SIDE: usize = 16;

/// More companies than any index has, or any two. Some 30 bytes of each are kept in memory, 250 of
/// one whose page fails.
pub const MAX_COMPANIES: usize = 100_000;

/// An index that could not be walked to its end. A top ten of half an index is wrong, so this ends
/// the run.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{leaf} of the index, {address}: {error}")]
pub struct WalkError {
    pub leaf: Leaf,
    pub address: String,
    pub error: PageError,
}

/// One page of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaf {
    /// `?p=1` and so on.
    Number(u32),
    /// `/A` to `/Z`, `/0-9`.
    Letter(&'static str),
}

impl Leaf {
    pub fn path(self, index: &str) -> String {
        match self {
            Leaf::Number(number) => source::index_path(index, number),
            Leaf::Letter(letter) => source::letter_path(index, letter),
        }
    }
}

impl fmt::Display for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Leaf::Number(number) => write!(f, "page {number}"),
            Leaf::Letter(letter) => write!(f, "letter page {letter}"),
        }
    }
}

/// Who has been listed so far, and who is told of the others.
pub(crate) struct Roll<'a, F> {
    pub seen: Addresses,
    /// The addresses on the first page.
    first: Addresses,
    source: &'a Source,
    meter: &'a Meter,
    hand_on: F,
}

impl<'a, F: FnMut(Link) -> bool> Roll<'a, F> {
    pub fn new(source: &'a Source, meter: &'a Meter, hand_on: F) -> Self {
        Roll {
            seen: Addresses::default(),
            first: Addresses::default(),
            source,
            meter,
            hand_on,
        }
    }

    /// Hands on those that are not listed yet. False if nobody listens any more.
    pub fn add(&mut self, index: &str, leaf: Leaf, mut rows: Vec<Link>) -> Result<bool, WalkError> {
        rows.retain(|link| self.seen.insert(link.slug()));
        if self.seen.len() > MAX_COMPANIES {
            let why = format!("the index lists over {MAX_COMPANIES} companies");
            return Err(beyond(self.source, index, leaf, why));
        }
        if self.first.is_empty() {
            self.first = rows.iter().map(Link::slug).collect();
        }
        self.meter.listed.add(rows.len() as u64);
        self.source.retries.plan(rows.len());
        Ok(rows.into_iter().all(&mut self.hand_on))
    }
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
    hand_on: impl FnMut(Link) -> bool,
) -> Result<usize, WalkError> {
    let mut roll = Roll::new(source, meter, hand_on);
    by_pages(source, index, workers, meter, &mut roll)?;
    Ok(roll.seen.len())
}

/// The same into a roll, which must be an empty one. False if nobody listens any more.
pub(crate) fn by_pages(
    source: &Source,
    index: &str,
    workers: usize,
    meter: &Meter,
    roll: &mut Roll<impl FnMut(Link) -> bool>,
) -> Result<bool, WalkError> {
    let mut reader = PageReader::new(source, meter);
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
        let listed_before = roll.seen.len();
        let listened = thread::scope(|scope| {
            let fetch = |number| {
                let leaf = Leaf::Number(number);
                scope.spawn(move || fetch(source, index, leaf, meter))
            };
            let fetched: Vec<_> = (next..=last).map(fetch).collect();
            for fetched in fetched {
                let fetched = fetched.join().unwrap_or_else(|panic| resume_unwind(panic));
                let leaf = fetched.leaf;
                let page = reader.read(fetched, index::parse)?;
                meter.index_read.add(1);
                if page.pages > pages {
                    meter.index_pages.add(u64::from(page.pages - pages));
                    pages = page.pages;
                }
                if !roll.add(index, leaf, page.rows)? {
                    return Ok(false);
                }
            }
            Ok(true)
        })?;
        if !listened {
            return Ok(false);
        }
        // Some sites serve the last page again for every number past the end.
        if roll.seen.len() == listed_before {
            break;
        }
        if last == MAX_PAGES && pages > MAX_PAGES {
            let why = format!("the index has more than {MAX_PAGES} pages");
            return Err(beyond(source, index, Leaf::Number(last), why));
        }
        next = last + 1;
    }
    Ok(true)
}

fn beyond(source: &Source, index: &str, leaf: Leaf, why: String) -> WalkError {
    WalkError {
        leaf,
        address: source.address(&leaf.path(index)),
        error: PageError::new(Reason::TooLarge, why),
    }
}

/// Looks at the first page once more when all have been read, and tells in a sentence what has
/// changed on it meanwhile. An index that changes under the walk may list a company twice or not at
/// all. It is a question of interest only, so it is asked once, and what comes is not kept.
pub(crate) fn look_again(
    source: &Source,
    index: &str,
    meter: &Meter,
    roll: &Roll<impl FnMut(Link) -> bool>,
) -> Option<String> {
    let path = Leaf::Number(1).path(index);
    let mut lane = meter.lane(Role::Recheck);
    let page = source.look_again(&path, &mut lane)?;
    let page = read(&page, &mut Inflater::default(), &mut lane, index::parse).ok()?;
    let now: Addresses = page.rows.iter().map(Link::slug).collect();
    let came = now.beyond(&roll.first).count();
    let went = roll.first.beyond(&now).count();
    (came + went > 0).then(|| {
        format!(
            "the index changed while it was walked: {came} of the companies on its first page were \
             not there before, {went} are there no more; companies may be missing, run it again"
        )
    })
}

/// A page of the index as it came, or why it did not.
pub(crate) struct Fetched<'a> {
    pub leaf: Leaf,
    patience: Patience<'a>,
    page: Result<Page, PageError>,
}

pub(crate) fn fetch<'a>(source: &'a Source, index: &str, leaf: Leaf, meter: &Meter) -> Fetched<'a> {
    let mut patience = Patience::new(source, leaf.path(index));
    let page = patience.get(&mut meter.lane(Role::Index), |page, _| Ok(page));
    // The first is asked for before anybody knows whether it may be.
    let page = page.and_then(|page| source.robots.check(&patience.path).map(|()| page));
    Fetched {
        leaf,
        patience,
        page,
    }
}

/// Reads one page after the other, with what it keeps for that.
pub(crate) struct PageReader<'a> {
    source: &'a Source,
    lane: Lane<'a>,
    inflater: Inflater,
}

impl<'a> PageReader<'a> {
    pub fn new(source: &'a Source, meter: &'a Meter) -> Self {
        PageReader {
            source,
            lane: meter.lane(Role::Index),
            inflater: Inflater::default(),
        }
    }

    /// What a page lists. One that came and cannot be read may be worth another attempt too.
    pub fn read(
        &mut self,
        fetched: Fetched,
        parse: impl Fn(&[u8]) -> Result<IndexPage, NotAnIndex>,
    ) -> Result<IndexPage, WalkError> {
        let Fetched {
            leaf,
            mut patience,
            page,
        } = fetched;
        let mut read = |page: Page, lane: &mut Lane| read(&page, &mut self.inflater, lane, &parse);
        self.lane.about(&patience.path);
        let mut first = |page| page::guarded("reading", || read(page, &mut self.lane));
        let page = match page.and_then(&mut first) {
            Err(error) if patience.has_another(&error) => patience.get(&mut self.lane, read),
            page => page,
        };
        page.map_err(|error| WalkError {
            leaf,
            address: self.source.address(&patience.path),
            error,
        })
    }
}

fn read(
    page: &Page,
    inflater: &mut Inflater,
    lane: &mut Lane,
    parse: impl Fn(&[u8]) -> Result<IndexPage, NotAnIndex>,
) -> Result<IndexPage, PageError> {
    let html = lane.time(Phase::Inflating, || page.inflate(inflater))?;
    lane.meter.bytes_decoded.add(html.len() as u64);
    lane.time(Phase::Reading, || {
        let html = page::to_utf8(html, page.charset().as_deref());
        page::check_end(&html)?;
        parse(&html).map_err(|error| page::unrecognised(&html, error.to_string()))
    })
}
