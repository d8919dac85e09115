//! The walk over the letter pages of an index.

use crate::http::error::Reason;
use crate::pipeline::addresses::Addresses;
use crate::pipeline::index_pages::{CompaniesSeen, Index, IndexPageId, IndexPageParser, WalkError};
use crate::site::index::{self, Link};
use crate::site::paths::LETTERS;

const FIRST: IndexPageId = IndexPageId::Letter(LETTERS[0]);

/// Checks that the letter pages can be requested: the archive has some, and robots.txt allows them.
///
/// An archive with any letter page must have all of them. The check of robots.txt comes before
/// sixteen requests go out at once.
pub fn check_availability(index: Index) -> Result<(), WalkError> {
    if let Some(archive) = index.source.as_archive() {
        let paths = LETTERS.map(|letter| IndexPageId::Letter(letter).path(index.name));
        if !archive
            .paths()
            .any(|stored| paths.iter().any(|path| path == stored))
        {
            let detail =
                "the archive has no letter pages: it was recorded without --walk letters or both";
            return Err(index.error(FIRST, Reason::NotArchived, detail));
        }
    }
    let allowed = index.source.robots.check(&FIRST.path(index.name));
    allowed.map_err(|error| index.error(FIRST, error.reason, &error.detail))
}

/// Walks the letter pages: fetches them side by side and parses them in their order. Returns the
/// companies on them.
///
/// A letter that the site does not know (404) has no companies. If all letters are unknown, the site
/// has no letter pages; if all are empty, their layout has changed. Both are errors.
pub fn letter_pages(
    index: Index,
    seen: &mut CompaniesSeen<impl FnMut(Link) -> bool>,
) -> Result<Addresses, WalkError> {
    let mut parser = IndexPageParser::new(index);
    let mut listed = Addresses::default();
    let mut unknown = Vec::new();
    index.counters.index_pages.add(LETTERS.len() as u64);
    for group in LETTERS.chunks(index.side_by_side()) {
        let letters = group.iter().map(|letter| IndexPageId::Letter(letter));
        let fetchers_run = index.fetch_in_order(letters, |fetched| {
            let id = fetched.id;
            let page = parser.parse(fetched, |html| index::parse_letter(html, index.name));
            index.counters.index_parsed.add(1);
            let rows = match page {
                Ok(page) => page.rows,
                Err(error) if error.error.reason == Reason::Gone => {
                    unknown.push(error);
                    return Ok(true);
                }
                Err(error) => return Err(error),
            };
            for link in &rows {
                listed.insert(link.slug());
            }
            seen.add(id, rows)
        })?;
        if !fetchers_run {
            return Ok(listed);
        }
    }
    if unknown.len() == LETTERS.len() {
        return Err(unknown.swap_remove(0));
    }
    if listed.is_empty() {
        let detail = "no letter page lists a company";
        return Err(index.error(FIRST, Reason::Unrecognised, detail));
    }
    Ok(listed)
}
