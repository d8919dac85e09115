//! One series of index pages: the numbered pages, or the letter pages.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use serde::Serialize;

use crate::http::error::{PageError, Reason};
use crate::http::page::Page;
use crate::pipeline::task::{IndexPageId, Task};
use crate::site::index::IndexPage;
use crate::site::paths::LETTERS;
use crate::words::quantity;

/// The paths of companies, shared with their links.
pub type Paths = HashSet<Arc<str>>;

/// What the numbered or the letter pages have listed. After a walk of both, also how they differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WalkReport {
    /// `pages` or `letters`.
    pub way: &'static str,
    /// Distinct companies.
    pub listed: usize,
    /// Paths of the companies that only these pages list, in alphabetical order.
    pub only: Vec<Arc<str>>,
    /// Paths of the companies that only the other pages list.
    pub lacks: Vec<Arc<str>>,
}

/// One series of index pages, in the order in which they are parsed.
pub struct Series {
    pub kind: Kind,
    /// Pages known to exist.
    pub known: usize,
    /// Pages requested so far, in their order.
    pub requested: usize,
    /// Pages parsed so far, in their order.
    pub parsed: usize,
    /// Pages that wait for their turn to be parsed.
    pub waiting: BTreeMap<usize, (Task, Result<Page, PageError>)>,
    /// Whether the pager of the first page states its number.
    pub states_numbers: bool,
    /// Rows of each page parsed so far.
    pub rows: Vec<usize>,
    /// Rows without a readable address, of all pages.
    pub unread: usize,
    /// Digest of the set of companies of each page that lists any.
    pub digests: HashMap<u64, IndexPageId>,
    /// The companies listed, if two series are compared.
    pub listed: Paths,
    /// The failures of letters that the site does not know.
    pub unknown: Vec<PageError>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Numbers,
    Letters,
}

impl Kind {
    pub fn page(self, position: usize) -> IndexPageId {
        match self {
            Kind::Numbers => IndexPageId::Number(position as u32 + 1),
            Kind::Letters => IndexPageId::Letter(LETTERS[position]),
        }
    }

    /// The position of a page in its series; `None` if the page belongs to the other series.
    pub fn position(self, id: IndexPageId) -> Option<usize> {
        match (self, id) {
            (Kind::Numbers, IndexPageId::Number(number)) => Some(number as usize - 1),
            (Kind::Letters, IndexPageId::Letter(letter)) => {
                LETTERS.iter().position(|one| *one == letter)
            }
            _ => None,
        }
    }
}

impl Series {
    pub fn new(kind: Kind) -> Self {
        Series {
            kind,
            // The pager of the first numbered page tells how many there are, so it is fetched alone.
            known: match kind {
                Kind::Numbers => 1,
                Kind::Letters => LETTERS.len(),
            },
            requested: 0,
            parsed: 0,
            waiting: BTreeMap::new(),
            states_numbers: false,
            rows: Vec::new(),
            unread: 0,
            digests: HashMap::new(),
            listed: Paths::new(),
            unknown: Vec::new(),
        }
    }

    /// Checks that a page lists other companies than each page before it, and not far fewer. A cache
    /// that answers one page with another gives such lists.
    pub fn check_list(&self, page: &IndexPage) -> Result<(), PageError> {
        let position = self.parsed;
        let error = |detail| Err(PageError::new(Reason::OtherPage, detail));
        // A letter page with a pager of one page states the number 1.
        let is_numbered = self.kind == Kind::Numbers;
        match page.number.filter(|_| is_numbered) {
            Some(number) if number as usize != position + 1 => {
                return error(format!("its pager says that it is page {number}"));
            }
            None if is_numbered && self.states_numbers => {
                return error(
                    "its pager does not say which page it is, as the first one does".to_owned(),
                );
            }
            _ => {}
        }
        if let Some(same) = self.digests.get(&digest(page)) {
            return error(format!("it lists the same companies as {same}"));
        }
        let is_last = position + 1 >= self.known.max(page.pages as usize);
        let (rows, fullest) = (page.rows.len() + page.unread, self.fullest());
        if is_numbered && !is_last && is_far_fewer(rows, fullest) {
            return error(few_rows(rows, fullest));
        }
        Ok(())
    }

    /// Counts a page as parsed.
    pub fn add_list(&mut self, page: &IndexPage) {
        self.states_numbers |= page.number.is_some();
        self.rows.push(page.rows.len() + page.unread);
        self.unread += page.unread;
        if !page.rows.is_empty() {
            let id = self.kind.page(self.parsed);
            self.digests.insert(digest(page), id);
        }
    }

    /// The first page before the last with far fewer rows than the fullest page, with what is wrong.
    /// Unlike [`check_list`](Self::check_list), it compares with later pages too.
    pub fn cut_page(&self) -> Option<(IndexPageId, PageError)> {
        let (_, before_last) = self.rows.split_last()?;
        let fullest = self.fullest();
        let position = before_last
            .iter()
            .position(|rows| is_far_fewer(*rows, fullest))?;
        let detail = few_rows(before_last[position], fullest);
        let error = PageError::new(Reason::OtherPage, detail);
        (self.kind == Kind::Numbers).then(|| (self.kind.page(position), error))
    }

    fn fullest(&self) -> usize {
        self.rows.iter().copied().max().unwrap_or(0)
    }
}

/// All numbered pages of an index but the last have about as many rows: 50, 47, 50, 47, 50, 50, 49, 50,
/// 48, 50, 5 in a real crawl. A page with under half of the fullest is a part of one.
fn is_far_fewer(rows: usize, fullest: usize) -> bool {
    2 * rows < fullest
}

fn few_rows(rows: usize, fullest: usize) -> String {
    let companies = quantity(rows, "company", "companies");
    format!("it lists {companies}, another page of the index {fullest}")
}

/// A digest of the set of companies that a page lists, whatever their order.
fn digest(page: &IndexPage) -> u64 {
    let mut paths: Vec<&str> = page.rows.iter().map(|link| &*link.path).collect();
    paths.sort_unstable();
    paths.dedup();
    let mut hasher = DefaultHasher::new();
    paths.hash(&mut hasher);
    hasher.finish()
}

/// What each finished series has listed. Of two, also how they differ. `seen` is the number of distinct
/// companies of all series.
pub fn reports(finished: &[Series], seen: usize) -> Vec<WalkReport> {
    let report = |series: &Series, listed| WalkReport {
        way: match series.kind {
            Kind::Numbers => "pages",
            Kind::Letters => "letters",
        },
        listed,
        only: Vec::new(),
        lacks: Vec::new(),
    };
    let compare = |one: &Series, other: &Series| WalkReport {
        only: beyond(&one.listed, &other.listed),
        lacks: beyond(&other.listed, &one.listed),
        ..report(one, one.listed.len())
    };
    match finished {
        [pages, letters] => vec![compare(pages, letters), compare(letters, pages)],
        series => series.iter().map(|one| report(one, seen)).collect(),
    }
}

/// The paths of the companies in one set and not in another, in alphabetical order.
fn beyond(one: &Paths, other: &Paths) -> Vec<Arc<str>> {
    let mut paths: Vec<Arc<str>> = one.difference(other).cloned().collect();
    paths.sort_unstable();
    paths
}

/// The paths of the companies that a page lists.
pub fn paths(page: &IndexPage) -> Paths {
    page.rows.iter().map(|link| link.path.clone()).collect()
}
