//! One index page → [`IndexPage`].
//!
//! As with company pages, [`parse`] scans the page first (`index_scan`). If the scan gives up,
//! [`parse_whole`] builds the tree. Known pages where the two return different results:
//!
//! * A table before the index table has the header "1 Year" spelled with character references, such
//!   as `1&#32;Year`. `parse_whole` returns the rows of that table.
//! * The table is inside `<textarea>`, an attribute value or other non-HTML content. `parse_whole`
//!   finds no table.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memmem;
use scraper::{ElementRef, Html, Selector};

use crate::site::dom::{self, TooLarge};
use crate::site::index_page::{
    Columns, ROW, TABLE, cells, column_span, company_path, header_row, own_number, page_count,
    parse_growth, selector,
};
use crate::site::landmarks::index::{FIRST_AND_LAST_LETTER, MIN_CELLS};
use crate::site::paths::{COMPANY_PREFIX, letter_page};
use crate::site::text::short_words;

pub use crate::site::index_page::{IndexPage, Link};
pub use crate::site::index_scan::parse_scanned;

/// Maximum number of pages that a walk fetches; the S&P 500 has 11. At about 50 companies a page,
/// 2,500 pages exceed `MAX_COMPANIES` (100,000), so this limit never applies first.
pub const MAX_PAGES: u32 = 2_500;

/// Maximum size of a company's address in bytes, for a page that does not parse. Real ones have up to 50.
/// Without a limit, a page of nothing but addresses would take minutes.
const MAX_ADDRESS: usize = 1 << 10;

/// Why a page is not an index page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an index page: {0}")]
pub enum NotAnIndex {
    /// The page lacks this landmark.
    #[error("not an index page: no {0}")]
    Without(&'static str),
    #[error("not a letter page: its pager links to further pages")]
    PagedLetter,
    TooLarge(#[from] TooLarge),
}

const NO_TABLE: NotAnIndex =
    NotAnIndex::Without("table with a column \"1 Year\" and links to /stocks/…");

/// Parses an index page. It should be UTF-8; invalid bytes are replaced.
pub fn parse(html: &[u8]) -> Result<IndexPage, NotAnIndex> {
    dom::check_length(html)?;
    parse_scanned(html).map_or_else(|| parse_whole(html), Ok)
}

/// Parses an index page by building its whole tree. [`parse`] must return the same, except on the
/// pages listed above.
pub fn parse_whole(html: &[u8]) -> Result<IndexPage, NotAnIndex> {
    select_page(&dom::document(html)?).ok_or(NO_TABLE)
}

/// Parses a letter page, which has no pager and may list no companies.
///
/// No real site has yet served a letter page without companies, so the test is a guess: the page
/// links to letters A and Z of this index, and no table row looks like a company. The table header
/// is optional. A page with a changed layout looks the same, so the walk over the letter pages
/// rejects an index whose letter pages are all empty.
///
/// A letter page whose pager links to more pages is an error; their companies would be lost
/// silently.
pub fn parse_letter(html: &[u8], index: &str) -> Result<IndexPage, NotAnIndex> {
    match parse(html) {
        Ok(page) if page.pages > 1 => Err(NotAnIndex::PagedLetter),
        Err(_) if is_empty_letter(&dom::document(html)?, index) => Ok(IndexPage {
            pages: 1,
            ..IndexPage::default()
        }),
        result => result,
    }
}

/// The path of the first company that a page links to anywhere, for a page that does not parse.
pub fn first_company(html: &[u8]) -> Option<String> {
    let ends = |byte: &u8| matches!(byte, b'"' | b'\'' | b'<' | b'>' | b' ');
    memmem::find_iter(html, COMPANY_PREFIX).find_map(|at| {
        let address = &html[at..html.len().min(at + MAX_ADDRESS)];
        let end = address.iter().position(ends)?;
        let address = std::str::from_utf8(&address[..end]).ok()?;
        company_path(address).map(Cow::into_owned)
    })
}

static LINK: LazyLock<Selector> = LazyLock::new(|| selector("a[href]"));
static CELL: LazyLock<Selector> = LazyLock::new(|| selector("td"));

fn is_empty_letter(html: &Html, index: &str) -> bool {
    let has_bar = FIRST_AND_LAST_LETTER.iter().all(|letter| {
        let path = letter_page(index, letter);
        let mut links = html.select(&LINK).filter_map(|link| link.attr("href"));
        links.any(|href| href.ends_with(&path))
    });
    let links_to_company = |tr: &ElementRef| {
        let mut links = tr.select(&LINK).filter_map(|link| link.attr("href"));
        links.any(|href| company_path(href).is_some())
    };
    let has_company = html.select(&TABLE).any(|table| {
        let header = header_row(table).map(|(header, _)| header);
        let mut rows = table
            .select(&ROW)
            .filter(|tr| tr.select(&CELL).count() >= MIN_CELLS && Some(*tr) != header);
        rows.any(|tr| header.is_some() || links_to_company(&tr))
    });
    has_bar && !has_company
}

/// Returns the rows of the first index table with at least one company, and what the pager says.
/// `None` if there is no such table.
fn select_page(html: &Html) -> Option<IndexPage> {
    let mut tables = html.select(&TABLE).filter_map(|table| {
        let (header, columns) = header_row(table)?;
        // Skip a layout table: its selectors also match the headers and rows of the index table
        // nested in it.
        let is_around_index_table = table
            .select(&TABLE)
            .any(|inner| header_row(inner).is_some());
        if is_around_index_table {
            return None;
        }
        let mut page = IndexPage::default();
        let rows = table.select(&ROW).skip_while(|tr| *tr != header).skip(1);
        for tr in rows {
            match select_row(tr, columns) {
                Some(row) => page.rows.push(row),
                None => page.unread += usize::from(tr.select(&CELL).count() >= MIN_CELLS),
            }
        }
        (!page.rows.is_empty()).then_some(page)
    });
    Some(IndexPage {
        pages: page_count(html),
        number: own_number(html),
        ..tables.next()?
    })
}

/// `None` if the row has no link to a company.
fn select_row(tr: ElementRef, columns: Columns) -> Option<Link> {
    static SPAN: LazyLock<Selector> = LazyLock::new(|| selector("span"));

    let (path, link) = tr
        .select(&LINK)
        .find_map(|link| Some((company_path(link.attr("href")?)?, link)))?;
    let mut count = 0;
    let mut cell = None;
    for one in cells(tr) {
        if count == columns.year {
            cell = Some(one);
        }
        count += column_span(one.attr("colspan"));
    }
    let misfit = columns.misfit(count);
    // The first span of the cell is the change in the currency, the second the growth in per cent.
    let span = cell
        .filter(|_| misfit.is_none())
        .and_then(|cell| cell.select(&SPAN).nth(1));
    let (growth, unusable) = match span {
        Some(span) => parse_growth(&span.text().collect::<String>()),
        None => (None, None),
    };
    Some(Link {
        path: path.into(),
        name: short_words(link.text()),
        growth,
        note: misfit.or(unusable),
    })
}
