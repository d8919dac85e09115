//! The ways through an index: by its numbered pages, by its letter pages, or by both, so that one
//! shows what the other lacks.
//!
//! The site drops rows after it has cut an index into numbered pages: on 2022-01-01 those listed 496
//! companies of the S&P 500, the letter pages 505.

use std::panic::resume_unwind;
use std::thread;

use serde::Serialize;

use crate::http::page::{PageError, Reason};
use crate::pipeline::addresses::Addresses;
use crate::pipeline::walker::{
    Leaf, PageReader, Roll, SIDE_BY_SIDE, WalkError, by_pages, fetch, look_again,
};
use crate::site::index::{self, Link};
use crate::source::Source;
use crate::telemetry::counters::Meter;

/// The letter pages of an index, in the order in which they are asked for.
pub const LETTERS: [&str; 27] = [
    "A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L", "M", "N", "O", "P", "Q", "R", "S",
    "T", "U", "V", "W", "X", "Y", "Z", "0-9",
];

/// Names in a sentence; all of them are in the report.
const NAMED: usize = 5;

/// Which pages of an index are walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ways {
    Pages,
    Letters,
    /// The numbered pages first. Of a company that is listed twice, the first row counts.
    Both,
}

/// What a walk has listed.
#[derive(Debug, Clone)]
pub struct Walked {
    /// Distinct addresses, over all ways.
    pub listed: usize,
    pub walks: Vec<Walk>,
    /// A sentence about an index that changed meanwhile.
    pub changed: Option<String>,
}

/// What one way has listed, and how it differs from the other if there was one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Walk {
    /// `pages` or `letters`.
    pub way: &'static str,
    /// Distinct addresses.
    pub listed: usize,
    /// Addresses that only this way lists, in alphabetical order.
    pub only: Vec<String>,
    /// Addresses that only the other way lists.
    pub lacks: Vec<String>,
}

/// As [`walk`](crate::pipeline::walker::walk), by the ways that are asked for.
pub fn walk_by(
    ways: Ways,
    source: &Source,
    index: &str,
    workers: usize,
    meter: &Meter,
    hand_on: impl FnMut(Link) -> bool,
) -> Result<Walked, WalkError> {
    if ways != Ways::Pages {
        check_for_letters(source, index)?;
        // Sixteen letters at once do not go out before the robots' rules are known.
        let path = Leaf::Letter(LETTERS[0]).path(index);
        let allowed = source.robots.check(&path);
        allowed.map_err(|error| at_first_letter(source, index, error.reason, &error.detail))?;
    }
    let mut roll = Roll::new(source, meter, hand_on);
    let walks = match ways {
        Ways::Pages => {
            by_pages(source, index, workers, meter, &mut roll)?;
            vec![alone("pages", roll.seen.len())]
        }
        Ways::Letters => {
            let letters = by_letters(source, index, workers, meter, &mut roll)?;
            vec![alone("letters", letters.len())]
        }
        Ways::Both => {
            // Where nobody listens any more, nobody asks what differs.
            if by_pages(source, index, workers, meter, &mut roll)? {
                let pages = roll.seen.clone();
                let letters = by_letters(source, index, workers, meter, &mut roll)?;
                compared(&pages, &letters)
            } else {
                Vec::new()
            }
        }
    };
    Ok(Walked {
        listed: roll.seen.len(),
        walks,
        changed: match ways {
            Ways::Pages | Ways::Both => look_again(source, index, meter, &roll),
            Ways::Letters => None,
        },
    })
}

/// The letter pages, fetched side by side and read in their order. Gives the addresses on them.
///
/// A letter that the site does not know (404) has no companies. A site that knows none of them has
/// no letter pages, and pages that all list nobody are laid out in another way: both end the walk.
fn by_letters(
    source: &Source,
    index: &str,
    workers: usize,
    meter: &Meter,
    roll: &mut Roll<impl FnMut(Link) -> bool>,
) -> Result<Addresses, WalkError> {
    let mut reader = PageReader::new(source, meter);
    let mut listed = Addresses::default();
    let mut unknown = Vec::new();
    meter.index_pages.add(LETTERS.len() as u64);
    for letters in LETTERS.chunks(workers.clamp(1, SIDE_BY_SIDE)) {
        let listened = thread::scope(|scope| {
            let fetch = |letter: &&'static str| {
                let leaf = Leaf::Letter(letter);
                scope.spawn(move || fetch(source, index, leaf, meter))
            };
            let fetched: Vec<_> = letters.iter().map(fetch).collect();
            for fetched in fetched {
                let fetched = fetched.join().unwrap_or_else(|panic| resume_unwind(panic));
                let leaf = fetched.leaf;
                let page = reader.read(fetched, |html| index::parse_letter(html, index));
                meter.index_read.add(1);
                let rows = match page {
                    Ok(page) => page.rows,
                    Err(error) if error.error.reason == Reason::Gone => {
                        unknown.push(error);
                        continue;
                    }
                    Err(error) => return Err(error),
                };
                for link in &rows {
                    listed.insert(link.slug());
                }
                if !roll.add(index, leaf, rows)? {
                    return Ok(false);
                }
            }
            Ok(true)
        })?;
        if !listened {
            return Ok(listed);
        }
    }
    if unknown.len() == LETTERS.len() {
        return Err(unknown.swap_remove(0));
    }
    if listed.is_empty() {
        let why = "no letter page lists a company";
        return Err(at_first_letter(source, index, Reason::Unrecognised, why));
    }
    Ok(listed)
}

/// An archive is not asked for letters that it cannot have. One that has some must have all that are
/// asked for.
fn check_for_letters(source: &Source, index: &str) -> Result<(), WalkError> {
    let Some(archive) = source.as_archive() else {
        return Ok(());
    };
    let paths = LETTERS.map(|letter| Leaf::Letter(letter).path(index));
    if archive
        .paths()
        .any(|held| paths.iter().any(|path| path == held))
    {
        return Ok(());
    }
    let why = "the archive holds no letter pages, it was recorded without --walk letters or both";
    Err(at_first_letter(source, index, Reason::NotArchived, why))
}

fn at_first_letter(source: &Source, index: &str, reason: Reason, why: &str) -> WalkError {
    let leaf = Leaf::Letter(LETTERS[0]);
    WalkError {
        leaf,
        address: source.address(&leaf.path(index)),
        error: PageError::new(reason, why),
    }
}

fn alone(way: &'static str, listed: usize) -> Walk {
    Walk {
        way,
        listed,
        only: Vec::new(),
        lacks: Vec::new(),
    }
}

fn compared(pages: &Addresses, letters: &Addresses) -> Vec<Walk> {
    let beyond = |one: &Addresses, other: &Addresses| {
        let mut paths: Vec<String> = one.beyond(other).map(Link::path_of).collect();
        paths.sort_unstable();
        paths
    };
    let (only_pages, only_letters) = (beyond(pages, letters), beyond(letters, pages));
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

/// One sentence about companies that one way lacks, if there are any.
pub fn difference(walks: &[Walk], listed: usize) -> Option<String> {
    let [pages, letters] = walks else {
        return None;
    };
    let lacking = |walk: &Walk| {
        let named = walk.lacks.iter().take(NAMED).cloned();
        let mut named: Vec<String> = named.collect();
        match walk.lacks.len() {
            0 => return "none".to_owned(),
            all if all > NAMED => named.push(format!("{} more", all - NAMED)),
            _ => {}
        }
        format!("{} ({})", walk.lacks.len(), named.join(", "))
    };
    (pages.lacks.len() + letters.lacks.len() > 0).then(|| {
        format!(
            "of {listed} companies in the index its numbered pages lack {}, its letter pages lack {}; \
             all of them are asked for",
            lacking(pages),
            lacking(letters)
        )
    })
}
