//! The walk over an index: which of its pages come next, and what they list.
//!
//! Pages arrive in any order and are parsed in theirs, so the result does not depend on threads. Two
//! walks exist because the site drops rows after it has cut an index into numbered pages: on
//! 2022-01-01 these listed 496 companies of the S&P 500, the letter pages 505.

use std::collections::VecDeque;

use crate::http::decode::{self, Inflater};
use crate::http::error::{PageError, Reason, catch_panic};
use crate::http::page::Page;
use crate::pipeline::series::{self, Kind, Series, Slugs, WalkReport};
use crate::pipeline::task::{IndexPageId, Target, Task};
use crate::site::index::{self, IndexPage, Link, MAX_PAGES};
use crate::site::paths::LETTERS;
use crate::source::Source;
use crate::telemetry::counters::Counters;
use crate::telemetry::lane::Lane;
use crate::telemetry::trace::Label;

/// More companies than any index has, or any two. Each takes some 60 bytes of memory here.
pub const MAX_COMPANIES: usize = 100_000;
/// Maximum number of index pages requested and not yet parsed. Each may hold a body of 1 MiB.
const MAX_AHEAD: usize = 64;
/// Numbered pages in a row without a new company that end the walk.
const MAX_STALE: usize = 16;
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
    /// Part of the message, so it is no `#[source]`: a chain of causes would print it twice.
    pub error: PageError,
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
    /// Whether the first page has to be fetched once more.
    recheck: bool,
    /// The series in progress, and those after it.
    series: VecDeque<Series>,
    /// The finished series.
    finished: Vec<Series>,
    /// The companies listed so far, until the last series ends.
    seen: Slugs,
    /// The number of companies, once the last series has ended.
    listed: usize,
    /// Companies that wait for a fetcher.
    links: VecDeque<Link>,
    first_page: Slugs,
    /// A sentence about an index that changed during the walk.
    pub changed: Option<String>,
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
        IndexWalk {
            source,
            name,
            counters,
            recheck: false,
            series,
            finished: Vec::new(),
            seen: Slugs::new(),
            listed: 0,
            links: VecDeque::new(),
            first_page: Slugs::new(),
            changed: None,
            lane: counters.lane(Label::Index),
            inflater: Inflater::default(),
        }
    }

    /// Fetches the first numbered page once more after the walk, to detect that the index has changed
    /// meanwhile. An archive does not change.
    pub fn with_recheck(mut self) -> Self {
        let has_numbers = self
            .series
            .iter()
            .any(|series| series.kind == Kind::Numbers);
        self.recheck = has_numbers && self.source.as_archive().is_none();
        self
    }

    /// Checks that the letter pages can be requested, if the walk needs them: the archive has some, and
    /// robots.txt allows them. Blocks until robots.txt is known.
    ///
    /// An archive with any letter page must have all of them. The check of robots.txt comes before 27
    /// requests go out at once.
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
    /// companies are known, so that an index of any size takes little memory. The second look at the
    /// first page comes last.
    pub fn next_task(&mut self) -> Option<Task> {
        let may_request = self.links.len() < MAX_LINKS;
        if let Some(series) = self.series.front_mut()
            && may_request
            && series.requested < series.known.min(MAX_PAGES as usize)
            && series.requested - series.parsed < MAX_AHEAD
        {
            let id = series.kind.page(series.requested);
            series.requested += 1;
            let path = id.path(self.name);
            return Some(Task::new(Target::IndexPage { id, path }));
        }
        if let Some(link) = self.links.pop_front() {
            return Some(Task::new(Target::Company(link)));
        }
        let is_walked = self.series.is_empty();
        (is_walked && std::mem::take(&mut self.recheck)).then(|| {
            let path = IndexPageId::Number(1).path(self.name);
            Task::new(Target::Recheck { path })
        })
    }

    /// Hands out no more tasks, because the run was cancelled.
    pub fn stop(&mut self) {
        self.series.clear();
        self.links.clear();
        self.recheck = false;
    }

    pub fn page_arrived(&mut self, task: Task, page: Page) {
        match task.target {
            Target::Recheck { .. } => self.compare_first_page(&page),
            _ => self.keep(task, Ok(page)),
        }
    }

    /// Whether a page still matters: its series goes on, or it is the second look.
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
        // The second look is for a warning only.
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
                Ok(page) => match self.parse(kind, &task, &page) {
                    Ok(parsed) => self.add(id, parsed)?,
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
                    self.advance(0, true)?;
                }
                Err(error) => return Err(self.error(id, error)),
            }
        }
        Ok(None)
    }

    fn parse(&mut self, kind: Kind, task: &Task, page: &Page) -> Result<IndexPage, PageError> {
        self.lane.set_path(task.path());
        catch_panic("parsing", || {
            decode::parse_html(
                page,
                &mut self.inflater,
                &mut self.lane,
                |html| match kind {
                    Kind::Numbers => index::parse(html),
                    Kind::Letters => index::parse_letter(html, self.name),
                },
            )
        })
    }

    /// Adds the rows of a page and goes on to the next one.
    fn add(&mut self, id: IndexPageId, page: IndexPage) -> Result<(), WalkError> {
        let IndexPage { pages, mut rows } = page;
        if id == IndexPageId::Number(1) {
            self.first_page = rows.iter().map(|link| link.slug().into()).collect();
        }
        let is_compared = self.series.len() + self.finished.len() > 1;
        if let Some(series) = self.series.front_mut() {
            series.rows += rows.len();
            if is_compared {
                let slugs = rows.iter().map(|link| Box::from(link.slug()));
                series.listed.extend(slugs);
            }
        }
        rows.retain(|link| self.seen.insert(link.slug().into()));
        if self.seen.len() > MAX_COMPANIES {
            let detail = format!("the index lists more than {MAX_COMPANIES} companies");
            return Err(self.error(id, PageError::new(Reason::TooLarge, detail)));
        }
        self.counters.listed.add(rows.len() as u64);
        self.source.retries.plan(rows.len());
        let has_new = !rows.is_empty();
        self.links.extend(rows);
        self.advance(pages as usize, has_new)
    }

    /// Counts a page as parsed, and ends its series after the last page.
    ///
    /// Some sites answer every number past the end with the last page, so a series ends after 16 numbered
    /// pages in a row without a new company. One such page may be a fault of a cache.
    fn advance(&mut self, known: usize, has_new: bool) -> Result<(), WalkError> {
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
        series.stale = if has_new { 0 } else { series.stale + 1 };
        let is_past_end = series.kind == Kind::Numbers && series.stale >= MAX_STALE;
        if !is_past_end && series.parsed == MAX_PAGES as usize && series.known > series.parsed {
            let detail = format!("the index has more than {MAX_PAGES} pages");
            let last = IndexPageId::Number(MAX_PAGES);
            return Err(self.error(last, PageError::new(Reason::TooLarge, detail)));
        }
        if is_past_end || series.parsed == series.known {
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
        if series.kind == Kind::Letters && series.rows == 0 {
            let error = if series.unknown.len() == LETTERS.len() {
                series.unknown.swap_remove(0)
            } else {
                PageError::new(Reason::Unrecognised, "no letter page lists a company")
            };
            return Err(self.error(Kind::Letters.page(0), error));
        }
        series.waiting.clear();
        self.finished.push(series);
        match self.series.front() {
            Some(next) => self.counters.index_pages.add(next.known as u64),
            None => {
                self.listed = self.seen.len();
                self.seen = Slugs::new();
            }
        }
        Ok(())
    }

    /// Describes how the first page has changed during the walk. An index that changes may list a
    /// company twice or not at all.
    fn compare_first_page(&mut self, page: &Page) {
        let parsed = catch_panic("parsing", || {
            decode::parse_html(page, &mut self.inflater, &mut self.lane, index::parse)
        });
        let Ok(page) = parsed else { return };
        let now: Slugs = page.rows.iter().map(|link| link.slug().into()).collect();
        let added = now.difference(&self.first_page).count();
        let removed = self.first_page.difference(&now).count();
        if added + removed > 0 {
            self.changed = Some(format!(
                "the index changed during the walk (its first page: {added} added, {removed} removed); \
                 companies may be missing, run it again"
            ));
        }
    }

    /// Distinct companies listed so far.
    pub fn listed(&self) -> usize {
        self.listed.max(self.seen.len())
    }

    /// What each finished series has listed.
    pub fn reports(&self) -> Vec<WalkReport> {
        series::reports(&self.finished, self.listed)
    }

    fn error(&self, page: IndexPageId, error: PageError) -> WalkError {
        WalkError {
            page,
            address: self.source.address(&page.path(self.name)),
            error,
        }
    }
}
