//! One page of an index: its address, fetching it, parsing it; and the companies seen so far.

use std::fmt;
use std::thread;

use crate::http::decode::{self, Inflater};
use crate::http::error::{PageError, Reason, catch_panic};
use crate::http::page::Page;
use crate::pipeline::addresses::Addresses;
use crate::pipeline::threads::join;
use crate::site::index::{IndexPage, Link, NotAnIndex};
use crate::site::paths;
use crate::source::Source;
use crate::source::get_with_retries::{get_with_retries, wait_for_retry};
use crate::source::purpose::{Purpose, Request};
use crate::source::retry::Attempts;
use crate::telemetry::counters::Counters;
use crate::telemetry::lane::Lane;
use crate::telemetry::trace::Label;

/// Index pages fetched at the same time. An index has about eleven, and the fetchers wait for them.
pub const SIDE_BY_SIDE: usize = 16;

/// More companies than any index has, or any two. Each takes some 30 bytes of memory here, and 250 if
/// its page fails.
pub const MAX_COMPANIES: usize = 100_000;

/// An index to walk, and what a walk works with.
#[derive(Clone, Copy)]
pub struct Index<'a> {
    pub source: &'a Source,
    /// Its name in the addresses, `s&p_500`.
    pub name: &'a str,
    /// Index pages to fetch at the same time, at the most; never more than [`SIDE_BY_SIDE`].
    pub workers: usize,
    pub counters: &'a Counters,
}

impl<'a> Index<'a> {
    pub fn side_by_side(&self) -> usize {
        self.workers.clamp(1, SIDE_BY_SIDE)
    }

    /// The failure of a page, which ends the walk.
    pub fn error(&self, page: IndexPageId, reason: Reason, detail: &str) -> WalkError {
        WalkError {
            page,
            address: self.source.address(&page.path(self.name)),
            error: PageError::new(reason, detail),
        }
    }

    /// Fetches pages side by side and passes them to `handle` in their order. Stops when `handle`
    /// returns false, and returns that.
    pub fn fetch_in_order(
        &self,
        pages: impl Iterator<Item = IndexPageId>,
        mut handle: impl FnMut(FetchedIndexPage) -> Result<bool, WalkError>,
    ) -> Result<bool, WalkError> {
        thread::scope(|scope| {
            let threads: Vec<_> = pages
                .map(|page| scope.spawn(move || self.fetch(page)))
                .collect();
            for thread in threads {
                if !handle(join(thread))? {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    fn fetch(&self, id: IndexPageId) -> FetchedIndexPage {
        let path = id.path(self.name);
        let request = Request::new(Purpose::Index, &path);
        let mut attempts = Attempts::default();
        let lane = &mut self.counters.lane(Label::Index);
        let page = get_with_retries(self.source, request, &mut attempts, lane, |page, _| {
            Ok(page)
        });
        // The first page is requested before robots.txt is known, so the response is checked as well.
        let page = page.and_then(|page| self.source.robots.check(&path).map(|()| page));
        FetchedIndexPage {
            id,
            path,
            attempts,
            page,
        }
    }
}

/// An index that could not be walked to its end. A top ten of half an index would be wrong, so this
/// ends the run.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{page} of the index, {address}: {error}")]
pub struct WalkError {
    pub page: IndexPageId,
    pub address: String,
    #[source]
    pub error: PageError,
}

/// Which page of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexPageId {
    /// `?p=1` and so on.
    Number(u32),
    /// `/A` to `/Z`, `/0-9`.
    Letter(&'static str),
}

impl IndexPageId {
    pub fn path(self, index: &str) -> String {
        match self {
            IndexPageId::Number(number) => paths::numbered_page(index, number),
            IndexPageId::Letter(letter) => paths::letter_page(index, letter),
        }
    }
}

impl fmt::Display for IndexPageId {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            IndexPageId::Number(number) => write!(f, "page {number}"),
            IndexPageId::Letter(letter) => write!(f, "letter page {letter}"),
        }
    }
}

/// The companies listed so far. New ones are sent to the fetchers.
pub struct CompaniesSeen<'a, F> {
    pub all: Addresses,
    /// Those of the first page.
    pub first_page: Addresses,
    index: Index<'a>,
    send: F,
}

impl<'a, F: FnMut(Link) -> bool> CompaniesSeen<'a, F> {
    /// `send` returns false if the fetchers have ended.
    pub fn new(index: Index<'a>, send: F) -> Self {
        CompaniesSeen {
            all: Addresses::default(),
            first_page: Addresses::default(),
            index,
            send,
        }
    }

    /// Adds the rows of a page and sends the new companies on. Returns false if the fetchers have
    /// ended.
    pub fn add(&mut self, page: IndexPageId, mut rows: Vec<Link>) -> Result<bool, WalkError> {
        rows.retain(|link| self.all.insert(link.slug()));
        if self.all.len() > MAX_COMPANIES {
            let detail = format!("the index lists more than {MAX_COMPANIES} companies");
            return Err(self.index.error(page, Reason::TooLarge, &detail));
        }
        if self.first_page.is_empty() {
            self.first_page = rows.iter().map(Link::slug).collect();
        }
        self.index.counters.listed.add(rows.len() as u64);
        self.index.source.retries.plan(rows.len());
        Ok(rows.into_iter().all(&mut self.send))
    }
}

/// An index page as received, or why there is none. If it does not parse, its attempts count on.
pub struct FetchedIndexPage {
    pub id: IndexPageId,
    path: String,
    attempts: Attempts,
    page: Result<Page, PageError>,
}

/// Parses index pages one after another, with the buffers that it keeps for that.
pub struct IndexPageParser<'a> {
    source: &'a Source,
    lane: Lane<'a>,
    inflater: Inflater,
}

impl<'a> IndexPageParser<'a> {
    pub fn new(index: Index<'a>) -> Self {
        IndexPageParser {
            source: index.source,
            lane: index.counters.lane(Label::Index),
            inflater: Inflater::default(),
        }
    }

    /// Parses a page. A page that does not parse is fetched again, as often as its policy allows.
    pub fn parse(
        &mut self,
        fetched: FetchedIndexPage,
        parse: impl Fn(&[u8]) -> Result<IndexPage, NotAnIndex>,
    ) -> Result<IndexPage, WalkError> {
        let FetchedIndexPage {
            id,
            path,
            mut attempts,
            page,
        } = fetched;
        let IndexPageParser {
            source,
            lane,
            inflater,
        } = self;
        lane.set_path(&path);
        let request = Request::new(Purpose::Index, &path);
        let mut parse_page =
            |page: Page, lane: &mut Lane| decode::parse_html(&page, inflater, lane, &parse);
        let from_journal = page.as_ref().is_ok_and(|page| page.from_journal);
        let parsed = page.and_then(|page| catch_panic("parsing", || parse_page(page, lane)));
        let parsed = parsed.or_else(|error| {
            // The journal gives a page once, so the next attempt asks the site at once.
            if !from_journal {
                wait_for_retry(source, request, &mut attempts, error, lane)?;
            }
            get_with_retries(source, request, &mut attempts, lane, parse_page)
        });
        parsed.map_err(|error| WalkError {
            page: id,
            address: source.address(&path),
            error,
        })
    }
}
