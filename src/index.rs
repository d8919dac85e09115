//! One index page → [`IndexPage`].

use std::sync::LazyLock;

use memchr::memmem;
use rust_decimal::Decimal;
use scraper::{ElementRef, Html, Selector};

use crate::figure;

// The site's landmarks. The table of components is the one with a column headed "1 Year"; other
// tables with links to companies may stand before it.
const COMPANY_PATH: &str = "/stocks/";
const YEAR_HEADER: &str = "1 Year";
/// The first generation of the site has a second "1 Year" column, with pictures.
const CHART_HEADER: &str = "Chart";
const PAGER: &str = "finando_paging";

/// More pages than any index has had: eleven for the S&P 500.
pub const MAX_PAGES: u32 = 100;

/// A company as the index lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Path of the company's page on the site, `/stocks/mmm-stock`.
    pub path: String,
    /// Name in the index; not the one to report, and empty for some.
    pub name: String,
    /// Growth over one year in per cent, which only the index has.
    pub growth: Option<Decimal>,
}

impl Link {
    /// An address of which nothing else is known.
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
    /// Number of pages that the pager shows, 1 without a pager.
    pub pages: u32,
    pub rows: Vec<Link>,
}

/// A page that is no index page, with what was looked for and not found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an index page: no {looked_for}")]
pub struct NotAnIndex {
    pub looked_for: &'static str,
}

const NO_TABLE: NotAnIndex = NotAnIndex {
    looked_for: "table with a column \"1 Year\" and links to /stocks/…",
};

/// Reads an index page, given as UTF-8 (bytes that are not are replaced).
pub fn parse(html: &[u8]) -> Result<IndexPage, NotAnIndex> {
    let from_cut = cut(html).and_then(|fragment| read(&Html::parse_fragment(&fragment)));
    from_cut.or_else(|| whole(html)).ok_or(NO_TABLE)
}

/// The same from the whole page, without the cut: what [`parse`] must agree with.
pub fn parse_whole(html: &[u8]) -> Result<IndexPage, NotAnIndex> {
    whole(html).ok_or(NO_TABLE)
}

fn whole(html: &[u8]) -> Option<IndexPage> {
    read(&Html::parse_document(&String::from_utf8_lossy(html)))
}

/// The table of components and the pager, as one piece of HTML. Only a page on which each of them
/// is the only one of its kind is cut.
fn cut(html: &[u8]) -> Option<String> {
    let header = memmem::find(html, YEAR_HEADER.as_bytes())?;
    let start = memmem::rfind(&html[..header], b"<table")?;
    let end = header + memmem::find(&html[header..], b"</table>")?;
    let link = memmem::find(&html[header..end], COMPANY_PATH.as_bytes());
    let hidden =
        memmem::find(&html[start..end], b"<!--").or(memmem::find(&html[start..end], b"<script"));
    if link.is_none()
        || hidden.is_some()
        || memmem::find(&html[end..], YEAR_HEADER.as_bytes()).is_some()
    {
        return None;
    }
    let mut fragment = format!("{}</table>", String::from_utf8_lossy(&html[start..end]));
    let mut pagers = memmem::find_iter(html, PAGER.as_bytes());
    if let Some(pager) = pagers.next() {
        if pagers.next().is_some() {
            return None;
        }
        let start = memmem::rfind(&html[..pager], b"<div")?;
        let end = pager + memmem::find(&html[pager..], b"</div>")?;
        fragment.push_str(&String::from_utf8_lossy(&html[start..end]));
    }
    Some(fragment)
}

fn read(html: &Html) -> Option<IndexPage> {
    static TABLE: LazyLock<Selector> = LazyLock::new(|| selector("table"));
    static HEADER: LazyLock<Selector> = LazyLock::new(|| selector("th"));
    static ROW: LazyLock<Selector> = LazyLock::new(|| selector("tr"));
    static PAGER_LINK: LazyLock<Selector> =
        LazyLock::new(|| selector(&format!(".{PAGER} a[href]")));

    let mut components = None;
    for table in html.select(&TABLE) {
        let year = table.select(&HEADER).position(|header| {
            let text: String = header.text().collect();
            text.contains(YEAR_HEADER) && !text.contains(CHART_HEADER)
        });
        let Some(column) = year else { continue };
        let rows: Vec<Link> = table
            .select(&ROW)
            .filter_map(|tr| row(tr, column))
            .collect();
        if !rows.is_empty() {
            components = Some(rows);
            break;
        }
    }
    let last = html
        .select(&PAGER_LINK)
        .filter_map(|link| page_number(link.attr("href")?))
        .max();
    Some(IndexPage {
        pages: last.unwrap_or(1),
        rows: components?,
    })
}

fn row(tr: ElementRef, year_column: usize) -> Option<Link> {
    static LINK: LazyLock<Selector> = LazyLock::new(|| selector("a[href]"));
    static CELL: LazyLock<Selector> = LazyLock::new(|| selector("td"));
    static SPAN: LazyLock<Selector> = LazyLock::new(|| selector("span"));

    let (path, link) = tr
        .select(&LINK)
        .find_map(|link| Some((company_path(link.attr("href")?)?, link)))?;
    let name: String = link
        .text()
        .collect::<String>()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    let cell = tr.select(&CELL).nth(year_column);
    // The first span of the cell is the change in dollars, the second the one in per cent.
    let growth = cell
        .and_then(|cell| cell.select(&SPAN).nth(1))
        .and_then(|span| figure::percent(&span.text().collect::<String>()).ok());
    Some(Link {
        path: path.to_owned(),
        name,
        growth,
    })
}

/// The path of a link to a company, relative or absolute, without query and fragment. The host does
/// not count: pages are asked of the site that the run was pointed at.
fn company_path(href: &str) -> Option<&str> {
    let path = &href[href.find(COMPANY_PATH)?..];
    let path = path.split(['?', '#']).next()?.trim_end_matches('/');
    let slug = path.strip_prefix(COMPANY_PATH)?;
    let is_one_name = !slug.is_empty()
        && !slug.contains("..")
        && slug
            .chars()
            .all(|c| c != '/' && !c.is_whitespace() && !c.is_control());
    is_one_name.then_some(path)
}

fn page_number(href: &str) -> Option<u32> {
    let (_, query) = href.split_once('?')?;
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix("p="))?
        .parse()
        .ok()
}

fn selector(css: &str) -> Selector {
    Selector::parse(css).expect("a selector of ours")
}
