//! The landmarks of a company page.

use crate::http::decode::{self, Inflater};
use crate::http::error::{PageError, catch_panic};
use crate::http::page::Page;
use crate::job::check::verdict::{Landmark, State, Verdicts};
use crate::site::company::{self, AsOf, CompanyPage};
use crate::site::currency::Currency;
use crate::site::identity::{self, Identity};
use crate::site::landmarks::company::{HEADER, HIGH, LOW, PE, PRICE};
use crate::site::landmarks::places;
use crate::telemetry::lane::Lane;

/// What the text of a company page says before it is parsed.
#[derive(Default)]
pub struct Facts {
    is_named: bool,
    figures: Vec<Landmark>,
}

/// A parsed company page and its path.
pub struct Seen {
    pub path: String,
    pub page: CompanyPage,
}

impl Seen {
    /// Whether the page lacks a figure that some companies lack.
    pub fn lacks_figure(&self) -> bool {
        self.page.pe.is_none() || self.page.low52.is_none()
    }
}

/// Parses a company page.
pub fn parse(page: &Page, lane: &mut Lane) -> (Result<CompanyPage, PageError>, Facts) {
    let mut facts = Facts::default();
    let read = |html: &[u8]| {
        let identity = identity::check(html, &page.asked, page.reached.as_deref());
        facts = Facts {
            is_named: identity == Identity::Confirmed,
            figures: vec![
                Landmark::find("price", html, &[PRICE], places::PRICE),
                Landmark::find("P/E", html, &[HEADER, PE], places::PE),
                Landmark::find("52 weeks", html, &[HEADER, LOW, HIGH], places::RANGE),
            ],
        };
        company::parse(html)
    };
    let parsed = catch_panic("parsing", || {
        decode::parse_html(page, &mut Inflater::default(), lane, read)
    });
    (parsed, facts)
}

/// Adds the verdicts on a page without a name or a code.
pub fn judge_unparsed(path: &str, error: &PageError, facts: Facts, verdicts: &mut Verdicts) {
    verdicts.add("company page", State::Missing, path);
    let detail = error.detail.trim_start_matches("not a company page: ");
    verdicts.add("name, code", State::Missing, detail);
    for landmark in facts.figures {
        verdicts.unparsed(landmark);
    }
}

/// Adds the verdicts on everything that each company page has.
pub fn judge_heading(seen: &Seen, facts: &Facts, verdicts: &mut Verdicts) {
    let Seen { path, page } = seen;
    if facts.is_named {
        verdicts.ok("company page", format!("{path} names itself"));
    } else {
        let detail = format!("names no address: {}", places::ADDRESS);
        verdicts.add("company page", State::Absent, detail);
    }
    verdicts.ok("name, code", format!("{}, {}", page.name, page.code));
    let when = match page.as_of {
        Some(AsOf::Day(day)) => format!(", official close {day}"),
        Some(AsOf::Time(time)) => format!(", at {time}"),
        None => String::new(),
    };
    match page.price {
        Some(price) => verdicts.ok("price", format!("{price}{when}")),
        None => verdicts.add(
            "price",
            State::Missing,
            unusable(page, "price", places::PRICE),
        ),
    }
    match page.currency {
        Some(currency) if currency != Currency::UNKNOWN => {
            verdicts.ok("currency", currency.as_str());
        }
        _ => {
            let why = unusable(page, "currency", places::CURRENCY);
            verdicts.add("currency", State::Absent, why);
        }
    }
}

/// Adds the verdicts on the figures that some companies lack. `second` is a page that was fetched because
/// the first lacks one.
pub fn judge_figures(first: &Seen, second: Option<&Seen>, verdicts: &mut Verdicts) {
    for (check, noted_as, place, value) in [
        (
            "P/E",
            "P/E",
            places::PE,
            pe as fn(&CompanyPage) -> Option<String>,
        ),
        ("52 weeks", "52 week", places::RANGE, range),
    ] {
        let why = unusable(&first.page, noted_as, place);
        let at_second = second.map(|second| (&second.path, value(&second.page)));
        match (value(&first.page), at_second) {
            (Some(value), _) => verdicts.ok(check, value),
            (None, Some((path, Some(value)))) => verdicts.ok(check, format!("{value} at {path}")),
            (None, Some((_, None))) => verdicts.add(check, State::Missing, why),
            (None, None) => {
                let detail = format!("some companies have none: {why}");
                verdicts.add(check, State::Absent, detail);
            }
        }
    }
}

fn pe(page: &CompanyPage) -> Option<String> {
    Some(page.pe?.to_string())
}

fn range(page: &CompanyPage) -> Option<String> {
    Some(format!("{} to {}", page.low52?, page.high52?))
}

/// The note of a page about an unusable figure, or else the place of the missing figure.
fn unusable(page: &CompanyPage, noted_as: &str, place: &str) -> String {
    let mut notes = page.notes.iter();
    let note = notes.find(|note| note.starts_with(noted_as));
    note.unwrap_or(place).to_owned()
}
