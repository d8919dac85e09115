//! Detects a changed layout of the site by the figures that its pages lack.
//!
//! A company may lack a figure: 2 % have no P/E. When more than a fifth of all pages lack a figure,
//! the parser does not find it. A ranking by it would be wrong without looking wrong. Between the usual
//! share and a fifth, the run warns.

use crate::http::error::Reason;
use crate::pipeline::harvest::Harvest;
use crate::site::company::Company;
use crate::site::landmarks::places;
use crate::words::{form, quantity};

/// The layout has changed if more than this share of the pages is unusable: pages without the figure,
/// pages that cannot be parsed, or duplicates.
const MAX_UNUSABLE_PER_CENT: usize = 20;
/// A figure that more companies lack than its usual share and this share together gets a warning.
const MAX_BEYOND_USUAL_PER_CENT: usize = 5;
/// Fewer unusable pages than this may be chance, unless all pages are unusable. Of 30 companies, of
/// which 3 % usually have no P/E, five or more lack it by chance once in 500 runs, and three or more
/// once in 16.
const MIN_UNUSABLE: usize = 5;

/// A figure that nearly every company has.
pub struct Expected {
    /// The name of the figure in `run.json`.
    pub key: &'static str,
    /// The name of the figure in messages.
    pub name: &'static str,
    /// Share of the companies that usually lack the figure, in per cent, rounded up. On a real crawl of
    /// 496 companies, 11 have no P/E and 4 no 52-week range.
    pub usually_missing: usize,
    /// Where the parser looks for it.
    pub landmark: &'static str,
    pub is_there: fn(&Company) -> bool,
}

pub static FIGURES: [Expected; 4] = [
    Expected {
        key: "price",
        name: "price",
        usually_missing: 0,
        landmark: places::PRICE,
        is_there: |company| company.page.price.is_some(),
    },
    Expected {
        key: "P/E",
        name: "P/E",
        usually_missing: 3,
        landmark: places::PE,
        is_there: |company| company.page.pe.is_some(),
    },
    Expected {
        key: "growth",
        name: "growth",
        usually_missing: 0,
        landmark: places::GROWTH,
        is_there: |company| company.growth.is_some(),
    },
    Expected {
        key: "52 week range",
        name: "52-week range",
        usually_missing: 1,
        landmark: places::RANGE,
        is_there: |company| company.page.low52.is_some(),
    },
];

/// Returns a sentence if the layout has changed: the missing figure, the number of pages without it,
/// and where the parser looked for it.
pub fn change(harvest: &Harvest) -> Option<String> {
    let unrecognised = harvest
        .failures
        .iter()
        .filter(|failure| failure.error.reason == Reason::Unrecognised);
    let (count, parsed) = (unrecognised.clone().count(), harvest.companies.len());
    if is_too_many(count, parsed + count) {
        let first = unrecognised.clone().next()?;
        return Some(format!(
            "{count} of {} cannot be parsed as {}; the first, {}: {}",
            quantity(parsed + count, "page", "pages"),
            form(count, "a company page", "company pages"),
            first.path,
            first.error
        ));
    }
    let duplicates = harvest.duplicates.len();
    if is_too_many(duplicates, parsed + duplicates) {
        return Some(format!(
            "{duplicates} of {} {} the code of a company that is also listed at another address",
            quantity(parsed + duplicates, "page", "pages"),
            form(duplicates, "shows", "show")
        ));
    }
    let (expected, missing) =
        missing(&harvest.companies).find(|(_, missing)| is_too_many(*missing, parsed))?;
    let Expected { name, landmark, .. } = expected;
    Some(format!(
        "{missing} of {} {} no {name}, looked for at {landmark}",
        quantity(parsed, "page", "pages"),
        form(missing, "shows", "show")
    ))
}

/// One warning for each figure that more companies lack than usual.
pub fn unusually_missing(companies: &[Company]) -> Vec<String> {
    let unusual = missing(companies).filter(|(expected, missing)| {
        let per_cent = expected.usually_missing + MAX_BEYOND_USUAL_PER_CENT;
        *missing >= MIN_UNUSABLE && missing * 100 > companies.len() * per_cent
    });
    let warning = |(expected, missing): (&Expected, usize)| {
        let Expected {
            name,
            landmark,
            usually_missing,
            ..
        } = expected;
        format!(
            "{missing} of {} companies have no {name}, more than the usual {usually_missing} %; \
             if their pages show it, the layout has changed (looked for at {landmark})",
            companies.len()
        )
    };
    unusual.map(warning).collect()
}

/// How many companies lack each figure, in the order of [`FIGURES`].
fn missing(companies: &[Company]) -> impl Iterator<Item = (&'static Expected, usize)> {
    FIGURES.iter().map(|expected| {
        let missing = companies
            .iter()
            .filter(|company| !(expected.is_there)(company));
        (expected, missing.count())
    })
}

/// Whether so many of all pages or rows lack something that the layout must have changed.
pub fn is_too_many(unusable: usize, all: usize) -> bool {
    unusable * 100 > all * MAX_UNUSABLE_PER_CENT && (unusable >= MIN_UNUSABLE || unusable == all)
}
