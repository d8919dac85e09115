//! Warnings about a run that wrote its rankings, one sentence each.

use crate::pipeline::harvest::Harvest;
use crate::pipeline::series::WalkReport;
use crate::results::coverage;
use crate::site::company::Company;
use crate::words::{form, quantity};

/// Maximum number of paths in a sentence. The report has all of them.
const NAMED: usize = 5;

/// Warns about companies listed under two paths. `None` if there are none.
pub fn of_duplicates(harvest: &Harvest) -> Option<String> {
    let first = harvest.duplicates.first()?;
    let duplicates = harvest.duplicates.len();
    Some(format!(
        "{duplicates} of {} listed pages {} of another page; for example, {} and {} both show {}",
        harvest.listed,
        form(duplicates, "is a duplicate", "are duplicates"),
        first.same_as,
        first.path,
        first.code
    ))
}

/// Warns about rows of the index without a readable address. `None` if there are none.
pub fn of_unread_rows(rows: usize) -> Option<String> {
    let have = quantity(rows, "row of the index has", "rows of the index have");
    (rows > 0)
        .then(|| format!("{have} no readable address of a company, so companies may be missing"))
}

/// Warns about company pages that name no address, if they are more than a run may lack: pages of other
/// companies would not be noticed among them.
pub fn of_unnamed_pages(unnamed: usize, listed: usize) -> Option<String> {
    (unnamed > coverage::may_be_missing(listed)).then(|| {
        format!(
            "{unnamed} company pages do not name their address, so they may be those of other companies"
        )
    })
}

/// Tells of notes on pages and on rows of the index: a figure in an unusable form, or a currency that had
/// to be assumed. Each may concern the first place of a ranking.
pub fn of_notes(companies: &[Company]) -> Option<String> {
    let notes = companies.iter().flat_map(|company| {
        let notes = company.notes();
        notes.map(|note| (&company.page.code, note))
    });
    let (code, note) = notes.clone().next()?;
    let notes = quantity(notes.count(), "note", "notes");
    Some(format!("{notes} on figures; the first, {code}: {note}"))
}

/// Warns about companies missing from the numbered pages or from the letter pages. `None` if none is
/// missing or only one kind of page was fetched.
pub fn of_walks(harvest: &Harvest) -> Option<String> {
    let [pages, letters] = &*harvest.walks else {
        return None;
    };
    if pages.lacks.is_empty() && letters.lacks.is_empty() {
        return None;
    }
    let index = harvest.index.as_ref();
    let listed = index.map_or(harvest.listed, |index| index.companies);
    Some(format!(
        "of {listed} companies in the index, the numbered pages lack {} and the letter pages lack {}; \
         none of them is left out",
        lacking(pages),
        lacking(letters)
    ))
}

fn lacking(walk: &WalkReport) -> String {
    let all = walk.lacks.len();
    if all == 0 {
        return "none".to_owned();
    }
    let mut named = walk.lacks[..all.min(NAMED)].join(", ");
    if all > NAMED {
        named += &format!(", {} more", all - NAMED);
    }
    format!("{all} ({named})")
}
