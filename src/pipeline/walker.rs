//! The walker: it walks the pages of an index in their order and sends every company on once.
//!
//! The numbered pages are walked here, the letter pages in `letters`. Two walks exist because the
//! site drops rows after it has cut an index into numbered pages: on 2022-01-01 these listed 496
//! companies of the S&P 500, the letter pages 505.

use serde::Serialize;

use crate::http::decode::{self, Inflater};
use crate::http::error::Reason;
use crate::pipeline::addresses::Addresses;
use crate::pipeline::index_pages::{CompaniesSeen, Index, IndexPageId, IndexPageParser, WalkError};
use crate::pipeline::letters;
use crate::site::index::{self, Link, MAX_PAGES};
use crate::source::purpose::{Purpose, Request};
use crate::telemetry::trace::Label;

/// Which pages of an index are walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WalkMode {
    /// The numbered pages.
    Pages,
    Letters,
    /// The numbered pages, then the letter pages. The first row of a company counts.
    Both,
}

/// What a walk has listed.
#[derive(Debug, Clone)]
pub struct Walked {
    /// Distinct companies.
    pub listed: usize,
    pub walks: Vec<Walk>,
    /// A sentence about an index that changed during the walk.
    pub changed: Option<String>,
}

/// What the numbered or the letter pages have listed. After a walk of both, also how they differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Walk {
    /// `pages` or `letters`.
    pub way: &'static str,
    /// Distinct companies.
    pub listed: usize,
    /// Paths of the companies that only these pages list, in alphabetical order.
    pub only: Vec<String>,
    /// Paths of the companies that only the other pages list.
    pub lacks: Vec<String>,
}

/// Walks an index and passes every company to `send` once, in the order of the pages. `send` returns
/// false if the fetchers have ended; then the walk ends too.
pub fn walk(
    mode: WalkMode,
    index: Index,
    send: impl FnMut(Link) -> bool,
) -> Result<Walked, WalkError> {
    if mode != WalkMode::Pages {
        letters::check_availability(index)?;
    }
    let mut seen = CompaniesSeen::new(index, send);
    let walks = match mode {
        WalkMode::Pages => {
            numbered_pages(index, &mut seen)?;
            vec![single_walk("pages", seen.all.len())]
        }
        WalkMode::Letters => {
            let letters = letters::letter_pages(index, &mut seen)?;
            vec![single_walk("letters", letters.len())]
        }
        WalkMode::Both => {
            if numbered_pages(index, &mut seen)? {
                let pages = seen.all.clone();
                let letters = letters::letter_pages(index, &mut seen)?;
                compare(&pages, &letters)
            } else {
                // The fetchers have ended, so there is nothing to compare.
                Vec::new()
            }
        }
    };
    Ok(Walked {
        listed: seen.all.len(),
        walks,
        changed: match mode {
            WalkMode::Pages | WalkMode::Both => recheck_first_page(index, &seen.first_page),
            WalkMode::Letters => None,
        },
    })
}

/// Walks the numbered pages like [`walk`], without the second look. Returns the number of companies.
pub fn walk_numbered_pages(
    index: Index,
    send: impl FnMut(Link) -> bool,
) -> Result<usize, WalkError> {
    let mut seen = CompaniesSeen::new(index, send);
    numbered_pages(index, &mut seen)?;
    Ok(seen.all.len())
}

/// Walks the numbered pages. Returns false if the fetchers have ended.
///
/// The pager of the first page tells how many pages there are, so the first page is fetched alone.
/// The others are fetched side by side, in groups, and parsed in their order.
fn numbered_pages(
    index: Index,
    seen: &mut CompaniesSeen<impl FnMut(Link) -> bool>,
) -> Result<bool, WalkError> {
    let counters = index.counters;
    let mut parser = IndexPageParser::new(index);
    let mut pages = 1;
    let mut next = 1;
    counters.index_pages.add(1);
    while next <= pages.min(MAX_PAGES) {
        let group = if next == 1 {
            1
        } else {
            index.side_by_side() as u32
        };
        let last = pages.min(MAX_PAGES).min(next + group - 1);
        let seen_before = seen.all.len();
        let numbers = (next..=last).map(IndexPageId::Number);
        let fetchers_run = index.fetch_in_order(numbers, |fetched| {
            let id = fetched.id;
            let page = parser.parse(fetched, index::parse)?;
            counters.index_parsed.add(1);
            if page.pages > pages {
                counters.index_pages.add(u64::from(page.pages - pages));
                pages = page.pages;
            }
            seen.add(id, page.rows)
        })?;
        if !fetchers_run {
            return Ok(false);
        }
        // Some sites answer every number past the end with the last page.
        if seen.all.len() == seen_before {
            break;
        }
        if last == MAX_PAGES && pages > MAX_PAGES {
            let detail = format!("the index has more than {MAX_PAGES} pages");
            return Err(index.error(IndexPageId::Number(last), Reason::TooLarge, &detail));
        }
        next = last + 1;
    }
    Ok(true)
}

/// Fetches the first page once more after the walk and describes how it has changed. An index that
/// changes during the walk may list a company twice or not at all.
///
/// The answer is for a warning only, so the request has one attempt and the page is not kept.
fn recheck_first_page(index: Index, first_page: &Addresses) -> Option<String> {
    // An archive does not change.
    if index.source.as_archive().is_some() {
        return None;
    }
    let path = IndexPageId::Number(1).path(index.name);
    let mut lane = index.counters.lane(Label::Recheck);
    let request = Request::new(Purpose::Recheck, &path);
    let page = index.source.get(request, Vec::new, &mut lane).ok()?;
    let page = decode::parse_html(&page, &mut Inflater::default(), &mut lane, index::parse).ok()?;
    let now: Addresses = page.rows.iter().map(Link::slug).collect();
    let added = now.difference(first_page).count();
    let removed = first_page.difference(&now).count();
    (added + removed > 0).then(|| {
        format!(
            "the index changed during the walk (its first page: {added} added, {removed} removed); \
             companies may be missing, run it again"
        )
    })
}

fn single_walk(way: &'static str, listed: usize) -> Walk {
    Walk {
        way,
        listed,
        only: Vec::new(),
        lacks: Vec::new(),
    }
}

fn compare(pages: &Addresses, letters: &Addresses) -> Vec<Walk> {
    let difference = |one: &Addresses, other: &Addresses| {
        let mut paths: Vec<String> = one.difference(other).map(Link::path_of).collect();
        paths.sort_unstable();
        paths
    };
    let (only_pages, only_letters) = (difference(pages, letters), difference(letters, pages));
    vec![
        Walk {
            way: "pages",
            listed: pages.len(),
            only: only_pages.clone(),
            lacks: only_letters.clone(),
        },
        Walk {
            way: "letters",
            listed: letters.len(),
            only: only_letters,
            lacks: only_pages,
        },
    ]
}
