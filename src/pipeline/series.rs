//! One series of index pages: the numbered pages, or the letter pages.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;

use crate::http::error::PageError;
use crate::http::page::Page;
use crate::pipeline::task::{IndexPageId, Task};
use crate::site::index::Link;
use crate::site::paths::LETTERS;

/// The slugs of companies. All paths begin alike, so the rest is enough.
pub type Slugs = HashSet<Box<str>>;

/// What the numbered or the letter pages have listed. After a walk of both, also how they differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WalkReport {
    /// `pages` or `letters`.
    pub way: &'static str,
    /// Distinct companies.
    pub listed: usize,
    /// Paths of the companies that only these pages list, in alphabetical order.
    pub only: Vec<String>,
    /// Paths of the companies that only the other pages list.
    pub lacks: Vec<String>,
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
    /// The last pages in a row without a new company.
    pub stale: usize,
    /// Rows parsed so far.
    pub rows: usize,
    /// The companies listed, if two series are compared.
    pub listed: Slugs,
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
            stale: 0,
            rows: 0,
            listed: Slugs::new(),
            unknown: Vec::new(),
        }
    }
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
fn beyond(one: &Slugs, other: &Slugs) -> Vec<String> {
    let slugs = one.difference(other);
    let mut paths: Vec<String> = slugs.map(|slug| Link::path_of(slug)).collect();
    paths.sort_unstable();
    paths
}
