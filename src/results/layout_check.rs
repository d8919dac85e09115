//! Whether the site still looks as the readers expect.
//!
//! A company may lack a figure: 2 % have no P/E. When a fifth of all pages lack one, it is the
//! reader that does not find it any more, and a ranking would be wrong without looking wrong.

use crate::http::error::Reason;
use crate::pipeline::harvest::Harvest;
use crate::site::company::Company;
use crate::site::landmarks::places;

const TOO_MANY_PER_CENT: usize = 20;
/// With fewer pages than this a few odd ones are no sign, unless all are odd.
const FEW: usize = 5;

/// A figure of a company that nearly every page shows.
pub struct Expected {
    /// Its name in reports.
    pub figure: &'static str,
    /// Where it is looked for.
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

/// One sentence if the layout has changed: what is missing, on how many pages, and where it was
/// looked for.
pub fn change(harvest: &Harvest) -> Option<String> {
    let unrecognised = harvest
        .failures
        .iter()
        .filter(|failure| failure.error.reason == Reason::Unrecognised);
    let (count, read) = (unrecognised.clone().count(), harvest.companies.len());
    if too_many(count, read + count) {
        let first = unrecognised.clone().next()?;
        return Some(format!(
            "{count} of {} pages are no company pages as this program knows them; {}: {}",
            read + count,
            first.link.path,
            first.error
        ));
    }
    let duplicates = harvest.duplicates.len();
    if too_many(duplicates, read + duplicates) {
        let same = "pages show the code of a company that stands at another address too";
        return Some(format!("{duplicates} of {} {same}", read + duplicates));
    }
    let mut without = [0; FIGURES.len()];
    for company in harvest.companies.iter() {
        for (expected, without) in FIGURES.iter().zip(&mut without) {
            *without += usize::from(!(expected.is_there)(&company));
        }
    }
    let figures = FIGURES.iter().zip(without);
    let mut lost = figures.filter(|(_, without)| too_many(*without, read));
    lost.next().map(|(expected, without)| {
        let Expected {
            figure, landmark, ..
        } = expected;
        format!("{without} of {read} pages show no {figure}, looked for at {landmark}")
    })
}

fn too_many(odd: usize, all: usize) -> bool {
    odd * 100 > all * TOO_MANY_PER_CENT && (odd >= FEW || odd == all)
}
