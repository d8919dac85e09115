//! The contents of an index page, and the functions that its scan and its whole parse share.

use std::sync::LazyLock;

use rust_decimal::Decimal;
use scraper::{ElementRef, Html, Selector};

use crate::site::landmarks::index::{CHART_HEADER, PAGER, YEAR_HEADER};
use crate::site::paths::COMPANY_PREFIX;
use crate::site::text::words;

/// Maximum length of a slug in bytes. Real ones have up to 40.
const MAX_SLUG: usize = 200;

/// A company as the index lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Path of the company's page on the site, `/stocks/mmm-stock`.
    pub path: String,
    /// Name in the index, empty for some companies. Reports use the name on the company page.
    pub name: String,
    /// Growth over one year in per cent. Only the index has it.
    pub growth: Option<Decimal>,
}

impl Link {
    /// The path without its prefix `/stocks/`, such as `mmm-stock`. Every company path has this prefix,
    /// so a list of companies needs less memory without it.
    pub fn slug(&self) -> &str {
        self.path.strip_prefix(COMPANY_PREFIX).unwrap_or(&self.path)
    }

    pub fn path_of(slug: &str) -> String {
        format!("{COMPANY_PREFIX}{slug}")
    }

    /// A link with a path alone, without name and growth.
    pub fn to(path: String) -> Self {
        Link {
            path,
            name: String::new(),
            growth: None,
        }
    }
}

/// One page of an index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IndexPage {
    /// Number of pages according to the pager, 1 without a pager.
    pub pages: u32,
    pub rows: Vec<Link>,
}

pub static TABLE: LazyLock<Selector> = LazyLock::new(|| selector("table"));

pub fn selector(css: &str) -> Selector {
    Selector::parse(css).expect("a valid selector")
}

/// The position of the column with the growth over one year. `None` if the table has no such header.
pub fn year_column(table: ElementRef) -> Option<usize> {
    static HEADER: LazyLock<Selector> = LazyLock::new(|| selector("th"));
    table.select(&HEADER).position(|header| {
        let text = words(header.text());
        text.contains(YEAR_HEADER) && !text.contains(CHART_HEADER)
    })
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
pub fn company_path(href: &str) -> Option<&str> {
    let path = &href[href.find(COMPANY_PREFIX)?..];
    let path = path.split(['?', '#']).next()?.trim_end_matches('/');
    let slug = path.strip_prefix(COMPANY_PREFIX)?;
    let is_one_name = !slug.is_empty()
        && slug.len() <= MAX_SLUG
        && !slug.contains("..")
        && slug
            .chars()
            .all(|c| c != '/' && !c.is_whitespace() && !c.is_control());
    is_one_name.then_some(path)
}
