//! The landmarks of the first index page.

use crate::http::decode::{self, Inflater};
use crate::http::error::{PageError, Reason, catch_panic};
use crate::http::page::Page;
use crate::job::check::verdict::{Landmark, State, Verdicts};
use crate::results::layout_check::is_too_many;
use crate::site::identity::{self, Identity};
use crate::site::index::{self, IndexPage};
use crate::site::landmarks::{index as landmarks, places};
use crate::site::paths::COMPANY_PREFIX;
use crate::telemetry::lane::Lane;
use crate::words::quantity;

const LINKS: &str = "links to /stocks/…";

/// What the text of an index page says before it is parsed.
#[derive(Default)]
pub struct Facts {
    is_named: bool,
    has_pager: bool,
    year: Option<Landmark>,
    links: Option<Landmark>,
    /// The path of the first company that the page links to anywhere.
    company: Option<String>,
}

/// Parses page 1 of an index.
pub fn parse(page: &Page, lane: &mut Lane) -> (Result<IndexPage, PageError>, Facts) {
    let mut facts = Facts::default();
    let read = |html: &[u8]| {
        let identity = identity::check(html, &page.asked, page.reached.as_deref());
        facts = Facts {
            is_named: identity == Identity::Confirmed,
            has_pager: Landmark::find("pager", html, &[landmarks::PAGER], places::PAGER).is_there,
            year: Some(Landmark::find(
                "growth",
                html,
                &[landmarks::YEAR_HEADER],
                places::GROWTH,
            )),
            links: Some(Landmark::find("addresses", html, &[COMPANY_PREFIX], LINKS)),
            company: index::first_company(html),
        };
        index::parse(html)
    };
    let parsed = catch_panic("parsing", || {
        decode::parse_html(page, &mut Inflater::default(), lane, read)
    });
    (parsed.and_then(require_first), facts)
}

/// Fails if the pager says that the page is another than the first.
fn require_first(page: IndexPage) -> Result<IndexPage, PageError> {
    match page.number {
        Some(number) if number != 1 => {
            let detail = format!("its pager says that it is page {number}");
            Err(PageError::new(Reason::OtherPage, detail))
        }
        _ => Ok(page),
    }
}

/// Adds the verdicts on page 1 of the index `name`. Returns the paths of the first two companies.
pub fn judge(page: IndexPage, facts: &Facts, name: &str, verdicts: &mut Verdicts) -> Vec<String> {
    let all = page.rows.len() + page.unread;
    let companies = quantity(all, "company", "companies");
    if facts.is_named {
        verdicts.ok("index page", format!("{companies}, names {name}"));
    } else {
        let detail = format!("{companies}, names no index: {}", places::CANONICAL);
        verdicts.add("index page", State::Absent, detail);
    }
    let place = places::PAGER;
    if page.pages > 1 {
        verdicts.ok("pager", format!("page 1 of {}", page.pages));
    } else if facts.has_pager || page.lacks_pager(name) {
        let detail = format!("{place} with links to further pages");
        verdicts.add("pager", State::Missing, detail);
    } else {
        let detail = format!("an index of one page has none: {place}");
        verdicts.add("pager", State::Absent, detail);
    }
    let grown = page.rows.iter().filter(|row| row.growth.is_some()).count();
    for (check, usable, place) in [
        ("growth", grown, places::GROWTH),
        ("addresses", page.rows.len(), LINKS),
    ] {
        let state = match is_too_many(all - usable, all) {
            true => State::Missing,
            false => State::Ok,
        };
        let rows = quantity(all, "row", "rows");
        verdicts.add(check, state, format!("{usable} of {rows}, {place}"));
    }
    let rows = page.rows.into_iter().take(2);
    rows.map(|row| row.path.to_string()).collect()
}

/// Adds the verdicts on an index page without a table of companies. Returns the path of a company that
/// it links to.
pub fn judge_unparsed(error: &PageError, facts: Facts, verdicts: &mut Verdicts) -> Vec<String> {
    let detail = error.detail.trim_start_matches("not an index page: ");
    verdicts.add("index page", State::Missing, detail);
    for landmark in [facts.year, facts.links].into_iter().flatten() {
        verdicts.unparsed(landmark);
    }
    facts.company.into_iter().collect()
}
