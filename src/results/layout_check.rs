//! Detects a changed layout of the site by the figures that its pages lack.
//!
//! A company may lack a figure: 2 % have no P/E. When more than a fifth of all pages lack a figure,
//! the parser does not find it. A ranking by it would be wrong without looking wrong.

use crate::http::error::Reason;
use crate::pipeline::harvest::Harvest;
use crate::site::company::Company;
use crate::site::landmarks::places;

/// The layout has changed if more than this share of the pages is unusable: pages without the figure,
/// pages that cannot be parsed, or duplicates.
const MAX_UNUSABLE_PER_CENT: usize = 20;
/// Fewer unusable pages than this may be chance, unless all pages are unusable.
const MIN_UNUSABLE: usize = 5;

/// A figure that nearly every company has.
pub struct Expected {
    /// The name of the figure in `run.json` and in messages.
    pub figure: &'static str,
    /// Where the parser looks for it.
    pub landmark: &'static str,
    pub is_there: fn(&Company) -> bool,
}

pub const FIGURES: [Expected; 4] = [
    Expected {
        figure: "price",
        landmark: places::PRICE,
        is_there: |company| company.page.price.is_some(),
    },
    Expected {
        figure: "P/E",
        landmark: places::PE,
        is_there: |company| company.page.pe.is_some(),
    },
    Expected {
        figure: "growth",
        landmark: places::GROWTH,
        is_there: |company| company.growth.is_some(),
    },
    Expected {
        figure: "52 week range",
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
            "{count} of {} pages cannot be parsed as company pages; the first, {}: {}",
            parsed + count,
            first.link.path,
            first.error
        ));
    }
    let duplicates = harvest.duplicates.len();
    if is_too_many(duplicates, parsed + duplicates) {
        return Some(format!(
            "{duplicates} of {} pages show the code of a company that is also listed at another address",
            parsed + duplicates
        ));
    }
    let mut missing = [0; FIGURES.len()];
    for company in &harvest.companies {
        for (expected, missing) in FIGURES.iter().zip(&mut missing) {
            *missing += usize::from(!(expected.is_there)(company));
        }
    }
    let (expected, missing) = FIGURES
        .iter()
        .zip(missing)
        .find(|(_, missing)| is_too_many(*missing, parsed))?;
    let Expected {
        figure, landmark, ..
    } = expected;
    Some(format!(
        "{missing} of {parsed} pages show no {figure}, looked for at {landmark}"
    ))
}

fn is_too_many(unusable: usize, all: usize) -> bool {
    unusable * 100 > all * MAX_UNUSABLE_PER_CENT && (unusable >= MIN_UNUSABLE || unusable == all)
}
