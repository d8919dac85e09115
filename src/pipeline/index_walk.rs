//! The walk over an index: which of its pages come next, and what they list.
//!
//! Pages arrive in any order and are parsed in theirs, so the result does not depend on threads. Two
//! walks exist because the site drops rows after it has cut an index into numbered pages: on
//! 2022-01-01 these listed 496 companies of the S&P 500, the letter pages 505.

use std::collections::VecDeque;

use crate::http::decode::{self, Inflater};
use crate::http::error::{PageError, Reason, catch_panic};
use crate::http::page::Page;
use crate::pipeline::companies_seen::CompaniesSeen;
use crate::pipeline::second_looks::SecondLooks;
use crate::pipeline::series::{self, Kind, Series, WalkReport, paths};
use crate::pipeline::shard_rows::{IndexDigest, ShardRows};
use crate::pipeline::task::{IndexPageId, Target, Task};
use crate::site::index::{self, IndexPage, Link, MAX_PAGES};
use crate::site::landmarks::places;
use crate::site::paths::LETTERS;
use crate::source::Source;
use crate::source::shard::Shard;
use crate::telemetry::counters::Counters;
use crate::telemetry::lane::Lane;
use crate::telemetry::trace::Label;
use crate::words::quantity;

/// More companies than any index has, or any two. Each takes its path and some 40 bytes of memory here.
pub const MAX_COMPANIES: usize = 100_000;
/// Index pages that may be requested and not yet parsed: all letter pages, three times as many as a real
/// index has numbered ones. Each may hold a body of 1 MiB: with 32 of these, a run has 97 MB, with 64 it
/// has 142 MB.
const MIN_AHEAD: usize = 32;
/// With more requests in flight, one in this number may be for an index page. With 4,096, responses after
/// 1 s and 20,000 companies on 435 index pages, a run with 32 pages ahead takes 16.6 s, with 512 8.6 s.
/// Bodies of 1 MiB then take 0.5 GB, and as many company pages may take 1 GB.
const IN_FLIGHT_PER_PAGE_AHEAD: usize = 8;
/// No index page is requested while this many companies wait for a fetcher.
const MAX_LINKS: usize = 2_000;

/// Which pages of an index are walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WalkMode {
    /// The numbered pages.
    Pages,
    Letters,
    /// The numbered pages, then the letter pages. The first row of a company counts.
    Both,
}

/// An index that could not be walked to its end. A top ten of half an index would be wrong, so this
/// ends the run.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{page} of the index, {address}: {error}")]
pub struct WalkError {
    pub page: IndexPageId,
    pub address: String,
    /// Whether robots.txt forbids the page and allows all letter pages of the index.
    pub allows_letters: bool,
    /// Part of the message, so it is no `#[source]`: a chain of causes would print it twice.
    pub error: PageError,
}

impl WalkError {
    /// The failure of a page of an index.
    pub fn new(source: &Source, index: &str, page: IndexPageId, error: PageError) -> Self {
        let robots = &source.pages_host.robots;
        WalkError {
            page,
            address: source.address(&page.path(index)),
            allows_letters: error.reason == Reason::Robots && robots.allows_letter_pages(index),
            error,
        }
    }
}

/// An index page that arrived and does not parse.
pub struct Unparsed {
    pub task: Task,
    pub error: PageError,
    pub from_journal: bool,
}

pub struct IndexWalk<'a> {
    source: &'a Source,
    /// Its name in the addresses, `s&p_500`.
    name: &'a str,
    counters: &'a Counters,
    /// Maximum number of index pages requested and not yet parsed.
    max_ahead: usize,
    /// The second looks after the walk, if it takes any.
    second_looks: Option<SecondLooks>,
    /// Which companies are fetched, if there is a shard.
    shard_rows: Option<ShardRows>,
    /// The series in progress, and those after it.
    series: VecDeque<Series>,
    /// The finished series.
    finished: Vec<Series>,
    /// The companies listed so far.
    seen: CompaniesSeen,
    /// Companies that wait for a fetcher.
    links: VecDeque<Link>,
    lane: Lane<'a>,
    inflater: Inflater,
}

impl<'a> IndexWalk<'a> {
    /// A walk over the index `name`.
    pub fn new(source: &'a Source, name: &'a str, mode: WalkMode, counters: &'a Counters) -> Self {
        let kinds: &[Kind] = match mode {
            WalkMode::Pages => &[Kind::Numbers],
            WalkMode::Letters => &[Kind::Letters],
            WalkMode::Both => &[Kind::Numbers, Kind::Letters],
        };
        let series: VecDeque<Series> = kinds.iter().copied().map(Series::new).collect();
        if let Some(first) = series.front() {
            counters.index_pages.add(first.known as u64);
        }
        let in_flight = source.pages_host.throttle.max_in_flight();
        IndexWalk {
            source,
            name,
            counters,
            max_ahead: MIN_AHEAD.max(in_flight / IN_FLIGHT_PER_PAGE_AHEAD),
            second_looks: None,
            shard_rows: None,
            series,
            finished: Vec::new(),
            seen: CompaniesSeen::default(),
            links: VecDeque::new(),
            lane: counters.lane(Label::Index),
            inflater: Inflater::default(),
        }
    }

    /// Takes second looks after the walk. An archive does not change, so a replay takes those that were
    /// recorded.
    pub fn with_second_looks(mut self) -> Self {
        self.second_looks = Some(SecondLooks::default());
        self
    }

    /// Fetches only the companies of a shard, and makes a digest of the whole index.
    pub fn of_shard(mut self, shard: Option<Shard>) -> Self {
        self.shard_rows = shard.map(ShardRows::new);
        self
    }

    /// Checks that the letter pages can be requested, if the walk needs them: the archive has some, and
    /// robots.txt allows them. Otherwise `--walk both` would end after all numbered pages.
    ///
    /// An archive with any letter page must have all of them.
    pub fn check_letters(&self) -> Result<(), WalkError> {
        if !self
            .series
            .iter()
            .any(|series| series.kind == Kind::Letters)
        {
            return Ok(());
        }
        let first = Kind::Letters.page(0);
        if let Some(archive) = self.source.as_archive() {
            let paths = LETTERS.map(|letter| IndexPageId::Letter(letter).path(self.name));
            if !paths.iter().any(|path| archive.stored_path(path).is_some()) {
                let detail = "the archive has no letter pages: it was recorded without --walk letters or both";
                return Err(self.error(first, PageError::new(Reason::NotArchived, detail)));
            }
        }
        let allowed = self.source.pages_host.robots.check(&first.path(self.name));
        allowed.map_err(|error| self.error(first, error))
    }

    /// The next index page, or else the next company.
    ///
    /// Index pages come first, because they list the work of all fetchers. They wait while enough
    /// companies are known, so that an index of any size takes little memory. Second looks come last.
    pub fn next_task(&mut self) -> Option<Task> {
        let may_request = self.links.len() < MAX_LINKS;
        if let Some(series) = self.series.front_mut()
            && may_request
            && series.requested < series.known.min(MAX_PAGES as usize)
            && series.requested - series.parsed < self.max_ahead
        {
            let id = series.kind.page(series.requested);
            series.requested += 1;
            let path = id.path(self.name).into();
            return Some(Task::new(Target::IndexPage { id, path }));
        }
        if let Some(link) = self.links.pop_front() {
            return Some(Task::new(Target::Company(link)));
        }
        let second_looks = self.second_looks.as_mut()?;
        let is_walked = self.series.is_empty();
        is_walked.then(|| second_looks.next_task(self.name))?
    }

    /// Hands out no more tasks, because the run was cancelled.
    pub fn stop(&mut self) {
        self.series.clear();
        self.links.clear();
        if let Some(second_looks) = &mut self.second_looks {
            second_looks.stop();
        }
    }

    pub fn page_arrived(&mut self, task: Task, page: Page) -> Result<(), WalkError> {
        match task.target {
            Target::Recheck { id, .. } => self.look_again(id, &page),
            _ => {
                self.keep(task, Ok(page));
                Ok(())
            }
        }
    }

    /// Whether a page still matters: its series goes on, or it is a second look.
    pub fn needs(&self, task: &Task) -> bool {
        match task.target {
            Target::IndexPage { id, .. } => {
                let series = self.series.front();
                series.is_some_and(|series| series.kind.position(id).is_some())
            }
            _ => true,
        }
    }

    /// A page failed for good. The walk fails when it reaches this page, or ignores it if the series
    /// ends before.
    pub fn page_lost(&mut self, task: Task, error: PageError) {
        // The first look at the page has listed its companies.
        if !matches!(task.target, Target::Recheck { .. }) {
            self.keep(task, Err(error));
        }
    }

    fn keep(&mut self, task: Task, page: Result<Page, PageError>) {
        let Target::IndexPage { id, .. } = task.target else {
            return;
        };
        // A page of a series that has ended already is of no use.
        if let Some(series) = self.series.front_mut()
            && let Some(position) = series.kind.position(id)
        {
            series.waiting.insert(position, (task, page));
        }
    }

    /// Parses the next page in order, if it has arrived. Returns it if it does not parse.
    pub fn parse_next(&mut self) -> Result<Option<Unparsed>, WalkError> {
        while let Some(series) = self.series.front_mut() {
            let position = series.parsed;
            let Some((task, page)) = series.waiting.remove(&position) else {
                return Ok(None);
            };
            let (kind, id) = (series.kind, series.kind.page(position));
            match page {
                Ok(page) => match self.parse(id, &page).and_then(|page| self.check_list(page)) {
                    Ok(parsed) => self.add(id, &task, parsed)?,
                    Err(error) => {
                        return Ok(Some(Unparsed {
                            task,
                            error,
                            from_journal: page.from_journal,
                        }));
                    }
                },
                Err(error) if kind == Kind::Letters && error.reason == Reason::Gone => {
                    series.unknown.push(error);
                    series.rows.push(0);
                    self.advance(0)?;
                }
                Err(error) => return Err(self.error(id, error)),
            }
        }
        Ok(None)
    }

    fn parse(&mut self, id: IndexPageId, page: &Page) -> Result<IndexPage, PageError> {
        let (inflater, lane) = (&mut self.inflater, &mut self.lane);
        lane.set_path(id.path(self.name));
        let parse = |html: &[u8]| match id {
            IndexPageId::Number(_) => index::parse(html),
            IndexPageId::Letter(_) => index::parse_letter(html, self.name),
        };
        catch_panic("parsing", || {
            decode::parse_html(page, inflater, lane, parse)
        })
    }

    /// Returns the page if it fits the pages of its series so far.
    fn check_list(&self, page: IndexPage) -> Result<IndexPage, PageError> {
        if let Some(series) = self.series.front() {
            if series.kind == Kind::Numbers && page.lacks_pager(self.name) {
                let detail = format!(
                    "no {} with links to further pages, and only {}",
                    places::PAGER,
                    quantity(page.rows.len(), "company", "companies")
                );
                return Err(PageError::new(Reason::Unrecognised, detail));
            }
            series.check_list(&page)?;
        }
        Ok(page)
    }

    /// Adds the rows of a page and goes on to the next one.
    fn add(&mut self, id: IndexPageId, task: &Task, mut page: IndexPage) -> Result<(), WalkError> {
        self.share_paths(&mut page.rows);
        if let Some(second_looks) = &mut self.second_looks {
            second_looks.add(self.source, task, &page);
        }
        let is_compared = self.series.len() + self.finished.len() > 1;
        if let Some(series) = self.series.front_mut() {
            series.add_list(&page);
            if is_compared {
                series.listed.extend(paths(&page));
            }
        }
        self.add_new(id, page.rows)?;
        self.advance(page.pages as usize)
    }

    /// Gives a row the path of an earlier row of the same company, so that both share its memory and its
    /// spelling.
    fn share_paths(&self, rows: &mut [Link]) {
        let mut on_page = CompaniesSeen::default();
        for link in rows {
            let known = self.seen.get(&link.path);
            match known.or_else(|| on_page.get(&link.path)) {
                Some(path) => link.path = path.clone(),
                None => {
                    on_page.insert(link.path.clone());
                }
            }
        }
    }

    /// Queues the companies that no page before has listed.
    fn add_new(&mut self, id: IndexPageId, mut rows: Vec<Link>) -> Result<(), WalkError> {
        rows.retain(|link| self.seen.insert(link.path.clone()));
        if self.seen.len() > MAX_COMPANIES {
            let detail = format!("the index lists more than {MAX_COMPANIES} companies");
            return Err(self.error(id, PageError::new(Reason::TooLarge, detail)));
        }
        if let Some(shard_rows) = &mut self.shard_rows {
            shard_rows.keep_own(&mut rows);
        }
        self.counters.listed.add(rows.len() as u64);
        self.source.retries.plan(rows.len());
        self.links.extend(rows.into_iter().map(|link| Link {
            // Results use the name on the company page.
            name: String::new(),
            ..link
        }));
        Ok(())
    }

    /// Counts a page as parsed, and ends its series after the last page.
    fn advance(&mut self, known: usize) -> Result<(), WalkError> {
        let Some(series) = self.series.front_mut() else {
            return Ok(());
        };
        self.counters.index_parsed.add(1);
        series.parsed += 1;
        if series.kind == Kind::Numbers && known > series.known {
            let more = known - series.known;
            self.counters.index_pages.add(more as u64);
            series.known = known;
        }
        if series.parsed == MAX_PAGES as usize && series.known > series.parsed {
            let detail = format!("the index has more than {MAX_PAGES} pages");
            let last = IndexPageId::Number(MAX_PAGES);
            return Err(self.error(last, PageError::new(Reason::TooLarge, detail)));
        }
        if series.parsed == series.known {
            self.end_series()?;
        }
        Ok(())
    }

    /// Ends the series in progress and begins the next one.
    ///
    /// A letter that the site does not know (404) has no companies. If all letters are unknown, the site
    /// has no letter pages; if all are empty, their layout has changed. Both are errors.
    fn end_series(&mut self) -> Result<(), WalkError> {
        let Some(mut series) = self.series.pop_front() else {
            return Ok(());
        };
        if let Some((page, error)) = series.cut_page() {
            return Err(self.error(page, error));
        }
        if series.kind == Kind::Letters && series.rows.iter().all(|rows| *rows == 0) {
            let error = if series.unknown.len() == LETTERS.len() {
                series.unknown.swap_remove(0)
            } else {
                PageError::new(Reason::Unrecognised, "no letter page lists a company")
            };
            return Err(self.error(Kind::Letters.page(0), error));
        }
        series.waiting.clear();
        self.finished.push(series);
        if let Some(next) = self.series.front() {
            self.counters.index_pages.add(next.known as u64);
        }
        Ok(())
    }

    /// Queues the companies that a page lists now and no page listed before. A page that cannot be parsed
    /// now is ignored.
    fn look_again(&mut self, id: IndexPageId, page: &Page) -> Result<(), WalkError> {
        let mut parsed = self.parse(id, page);
        if let Ok(parsed) = &mut parsed {
            self.share_paths(&mut parsed.rows);
        }
        match (parsed, &mut self.second_looks) {
            (Ok(parsed), Some(second_looks)) => {
                let added = second_looks.compare(id, parsed);
                if !added.is_empty() {
                    // Otherwise a replay would not know of the added companies.
                    self.source.keep_second_look(&id.path(self.name), page);
                }
                self.add_new(id, added)
            }
            _ => Ok(()),
        }
    }

    /// A warning about an index that changed during the walk, if it did.
    pub fn changed(&self) -> Option<String> {
        self.second_looks.as_ref()?.warning()
    }

    /// Distinct companies listed so far, those of other shards not counted.
    pub fn listed(&self) -> usize {
        let of_shard = self.shard_rows.as_ref().map(|rows| rows.own);
        of_shard.unwrap_or(self.seen.len())
    }

    /// The whole index, if there is a shard.
    pub fn digest(&mut self) -> Option<IndexDigest> {
        self.shard_rows.as_mut().map(ShardRows::digest)
    }

    /// Rows of the index without a readable address. Numbered and letter pages list the same rows.
    pub fn unread_rows(&self) -> usize {
        let unread = self.finished.iter().map(|series| series.unread);
        unread.max().unwrap_or(0)
    }

    /// What each finished series has listed.
    pub fn reports(&self) -> Vec<WalkReport> {
        series::reports(&self.finished, self.seen.len())
    }

    fn error(&self, page: IndexPageId, error: PageError) -> WalkError {
        WalkError::new(self.source, self.name, page, error)
    }
}
