//! The contents of an index page, and the functions that its scan and its whole parse share.

use std::borrow::Cow;
use std::iter;
use std::sync::{Arc, LazyLock};

use rust_decimal::Decimal;
use scraper::{ElementRef, Html, Selector};

use crate::site::landmarks::index::{CHART_HEADER, PAGER, YEAR_HEADER};
use crate::site::notes::RowNote;
use crate::site::number;
use crate::site::paths::COMPANY_PREFIX;
use crate::site::text::{printable, words};

/// A full page of an index has 46 to 50 rows. One with fewer than this may be the only page.
const FULL_PAGE: usize = 45;
/// Maximum length of a slug in bytes. Real ones have up to 40.
const MAX_SLUG: usize = 200;

/// A company as the index lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Path of the company's page on the site, `/stocks/mmm-stock`. Shared with everything else that
    /// names the page, so that an index of 100,000 companies holds each path once.
    pub path: Arc<str>,
    /// Name in the index, empty for some companies, at most 200 bytes. Reports use the name on the
    /// company page.
    pub name: String,
    /// Growth over one year in per cent. Only the index has it.
    pub growth: Option<Decimal>,
    /// Why the row has no growth, unless it shows none.
    pub note: Option<RowNote>,
}

impl Link {
    /// A link with a path alone, without name and growth.
    pub fn to(path: impl Into<Arc<str>>) -> Self {
        Link {
            path: path.into(),
            name: String::new(),
            growth: None,
            note: None,
        }
    }
}

/// One page of an index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IndexPage {
    /// Number of pages according to the pager, 1 without a pager.
    pub pages: u32,
    /// The number of this page, if the pager states it.
    pub number: Option<u32>,
    pub rows: Vec<Link>,
    /// Rows like those of companies, but without a readable address.
    pub unread: usize,
}

impl IndexPage {
    /// Whether the page lists far fewer companies than the name of its index promises, and no pager leads
    /// to the others: the pager was not found.
    pub fn lacks_pager(&self, index: &str) -> bool {
        let rows = self.rows.len() + self.unread;
        self.pages == 1 && rows >= FULL_PAGE && 2 * promised_companies(index) > 3 * rows
    }
}

/// The number of companies that an index has by its name: 500 for `s&p_500`, 0 for `dax`.
pub fn promised_companies(index: &str) -> usize {
    let number = index.rsplit('_').next().and_then(|last| last.parse().ok());
    number.unwrap_or(0)
}

pub static TABLE: LazyLock<Selector> = LazyLock::new(|| selector("table"));
pub static ROW: LazyLock<Selector> = LazyLock::new(|| selector("tr"));

pub fn selector(css: &str) -> Selector {
    Selector::parse(css).expect("a valid selector")
}

/// The columns of an index table, according to its header row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Columns {
    /// The position of the column with the growth over one year.
    pub year: usize,
    pub count: usize,
}

impl Columns {
    /// The columns of a header row, whose cells may be `th` or `td`. `None` unless the row has one header
    /// "1 Year". A cell with a `colspan` counts as several columns.
    pub fn of_row(tr: ElementRef) -> Option<Self> {
        let mut year = None;
        let mut count = 0;
        for cell in cells(tr) {
            let text = words(cell.text());
            if text.contains(YEAR_HEADER)
                && !text.contains(CHART_HEADER)
                && year.replace(count).is_some()
            {
                return None;
            }
            count += column_span(cell.attr("colspan"));
        }
        Some(Columns { year: year?, count })
    }

    /// The note about a row with another number of columns.
    pub fn misfit(self, columns: usize) -> Option<RowNote> {
        (columns != self.count).then_some(RowNote::Misfit {
            columns,
            in_header: self.count,
        })
    }
}

/// The growth in the text of its cell, or the note on a text that is no percentage. Neither for an empty
/// text.
pub fn parse_growth(text: &str) -> (Option<Decimal>, Option<RowNote>) {
    let growth = number::parse_percent(text).ok();
    let shown = printable(iter::once(text));
    let is_unusable = growth.is_none() && !shown.is_empty();
    (growth, is_unusable.then(|| RowNote::unusable(&shown)))
}

/// The header row of a table and its columns, if it is an index table.
pub fn header_row(table: ElementRef) -> Option<(ElementRef, Columns)> {
    table
        .select(&ROW)
        .find_map(|tr| Some((tr, Columns::of_row(tr)?)))
}

/// The cells of a row, without those of a table in it.
pub fn cells(tr: ElementRef) -> impl Iterator<Item = ElementRef> {
    tr.children()
        .filter_map(ElementRef::wrap)
        .filter(|cell| matches!(cell.value().name(), "td" | "th"))
}

/// The number of columns that a cell covers. Browsers read an invalid span as 1 and limit it to 1000
/// (<https://html.spec.whatwg.org/multipage/tables.html#attr-tdth-colspan>).
pub fn column_span(attribute: Option<&str>) -> usize {
    let span = attribute.and_then(|text| text.trim().parse().ok());
    span.filter(|span| *span > 0).unwrap_or(1).min(1000)
}

/// The highest page number that the pager links to, 1 without a pager.
pub fn page_count(html: &Html) -> u32 {
    static PAGER_LINK: LazyLock<Selector> =
        LazyLock::new(|| selector(&format!(".{PAGER} a[href]")));
    let numbers = html
        .select(&PAGER_LINK)
        .filter_map(|link| page_number(link.attr("href")?));
    numbers.max().unwrap_or(1)
}

/// The number of the page itself, which the pager shows as `<a href="?p=3"><strong>3</strong></a>`.
/// `None` if no link or more than one is marked so.
pub fn own_number(html: &Html) -> Option<u32> {
    static CURRENT: LazyLock<Selector> =
        LazyLock::new(|| selector(&format!(".{PAGER} a[href] strong")));
    let mut numbers = html.select(&CURRENT);
    let number = words(numbers.next()?.text()).parse().ok()?;
    numbers.next().is_none().then_some(number)
}

/// The page number in the query of a link. `None` without one.
fn page_number(href: &str) -> Option<u32> {
    let (_, query) = href.split_once('?')?;
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix("p="))?
        .parse()
        .ok()
}

/// The path of a company link, relative or absolute, without query and fragment. `None` for other
/// links. The host in the link is ignored: company pages are requested from the site of the run.
///
/// As in browsers, white space and control characters around an address are ignored, and line ends and
/// tabs also within it (<https://url.spec.whatwg.org/#concept-basic-url-parser>).
pub fn company_path(href: &str) -> Option<Cow<'_, str>> {
    let href = href.trim_matches(|c| c <= ' ');
    if href.contains(['\t', '\n', '\r']) {
        let href = href.replace(['\t', '\n', '\r'], "");
        return plain_company_path(&href).map(|path| path.to_owned().into());
    }
    plain_company_path(href).map(Cow::Borrowed)
}

fn plain_company_path(href: &str) -> Option<&str> {
    let path = &href[href.find(COMPANY_PREFIX)?..];
    let path = path.split(['?', '#']).next()?.trim_end_matches('/');
    let slug = path.strip_prefix(COMPANY_PREFIX)?;
    let is_one_name = !slug.is_empty()
        && slug.len() <= MAX_SLUG
        && !slug.contains("..")
        && slug.chars().all(|c| c != '/' && !c.is_control());
    is_one_name.then_some(path)
}
