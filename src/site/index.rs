//! One index page → [`IndexPage`].
//!
//! As with a company's page, what is wanted is cut out where the page is as usual. Where that is
//! known to differ from the whole page: a head of the table that leads to a company is a row for the
//! latter; a table before it with a head of other bytes that say the same is the one it takes; and
//! within a text area, an attribute and the like it sees no table at all.

use std::iter;
use std::sync::LazyLock;
use std::{mem, slice};

use memchr::memmem;
use rust_decimal::Decimal;
use scraper::{ElementRef, Html, Selector};

use crate::site::dom::{self, TooLarge};
use crate::site::landmarks::index::{
    CHART_HEADER, FIRST_AND_LAST_LETTER, MIN_CELLS, PAGER, YEAR_HEADER,
};
use crate::site::number;
use crate::site::paths::{COMPANY_PREFIX, letter_page};
use crate::site::scan::{Element, Tag, append, in_plain_sight, plain_tags, plain_text};
use crate::site::text::words;

/// Bytes of a company's name in its address. Real ones have up to 40.
const LONGEST_SLUG: usize = 200;

/// More pages than any index has had, eleven for the S&P 500, and enough for as many companies as a
/// walk takes.
pub const MAX_PAGES: u32 = 2_500;

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
    /// What the path says of the company, `mmm-stock`, which is less to remember. All paths that an
    /// index lists begin alike.
    pub fn slug(&self) -> &str {
        self.path.strip_prefix(COMPANY_PREFIX).unwrap_or(&self.path)
    }

    pub fn path_of(slug: &str) -> String {
        format!("{COMPANY_PREFIX}{slug}")
    }

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

/// A page that is no index page, with what was looked for and not found, or one that is far
/// larger than any.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an index page: {0}")]
pub enum NotAnIndex {
    #[error("not an index page: no {0}")]
    Without(&'static str),
    TooLarge(#[from] TooLarge),
}

/// Tags of one row that are looked at. Real ones have up to 58.
const MOST_TAGS: usize = 1000;
/// Rows that are cut. Of a page with more, the limits of the tree decide whether it is read.
const MOST_ROWS: usize = 4000;

const PAGED_LETTER: NotAnIndex = NotAnIndex::Without("letter page without a pager");

const NO_TABLE: NotAnIndex =
    NotAnIndex::Without("table with a column \"1 Year\" and links to /stocks/…");

/// Parses an index page, given as UTF-8; invalid bytes are replaced.
pub fn parse(html: &[u8]) -> Result<IndexPage, NotAnIndex> {
    dom::check_length(html)?;
    parse_scanned(html).map_or_else(|| parse_whole(html), Ok)
}

/// Parses an index page by building its whole tree. [`parse`] must agree with this.
pub fn parse_whole(html: &[u8]) -> Result<IndexPage, NotAnIndex> {
    whole(&dom::document(html)?).ok_or(NO_TABLE)
}

/// Reads the page of a letter, which has no pager and may list nobody.
///
/// An empty letter page is one with the bar of letters of this very index and without a row that
/// could be a company's, whether the head of its table is there or not: no page of a letter without
/// companies has been seen. A changed layout has such pages too; [`ways`](crate::pipeline::letters) notices it by
/// all letters being empty.
///
/// A letter that goes on on a second page is refused: the rest of it would be lost silently.
pub fn parse_letter(html: &[u8], index: &str) -> Result<IndexPage, NotAnIndex> {
    match parse(html) {
        Ok(page) if page.pages > 1 => Err(PAGED_LETTER),
        Err(_) if lists_nobody(&dom::document(html)?, index) => Ok(IndexPage {
            pages: 1,
            rows: Vec::new(),
        }),
        result => result,
    }
}

fn lists_nobody(html: &Html, index: &str) -> bool {
    let has_bar = FIRST_AND_LAST_LETTER.iter().all(|letter| {
        let end = letter_page(index, letter);
        let mut links = html.select(&LINK).filter_map(|link| link.attr("href"));
        links.any(|href| href.ends_with(&end))
    });
    let leads_to_company = |tr: &ElementRef| {
        let mut links = tr.select(&LINK).filter_map(|link| link.attr("href"));
        links.any(|href| company_path(href).is_some())
    };
    let has_company = html.select(&TABLE).any(|table| {
        let is_components = year_column(table).is_some();
        let mut rows = table
            .select(&ROW)
            .filter(|tr| tr.select(&CELL).count() >= MIN_CELLS);
        rows.any(|tr| is_components || leads_to_company(&tr))
    });
    has_bar && !has_company
}

fn whole(html: &Html) -> Option<IndexPage> {
    let tables = html.select(&TABLE).filter_map(|table| {
        let column = year_column(table)?;
        // A table around it has its heads and rows too, but not as columns and rows of its own.
        if table
            .select(&TABLE)
            .any(|inner| year_column(inner).is_some())
        {
            return None;
        }
        let rows: Vec<Link> = table
            .select(&ROW)
            .filter_map(|tr| row(tr, column))
            .collect();
        Some(rows).filter(|rows| !rows.is_empty())
    });
    Some(IndexPage {
        rows: { tables }.next()?,
        pages: pages(html),
    })
}

/// The same from as little as there must be: the table's head, the pager, and of each row the link
/// and the cell with the growth, whose texts are taken as they stand.
///
/// Only a page on which table and pager are the only ones of their kind is cut, and only where the
/// table is plain tags. `None` where it is not.
pub fn parse_scanned(html: &[u8]) -> Option<IndexPage> {
    let header = memmem::find(html, YEAR_HEADER.as_bytes())?;
    let start = memmem::rfind(&html[..header], b"<table")?;
    let end = header + memmem::find(&html[header..], b"</table>")?;
    let is_only_one = memmem::find(&html[end..], YEAR_HEADER.as_bytes()).is_none();
    if !is_only_one || !in_plain_sight(html, slice::from_ref(&(start..end))) {
        return None;
    }
    let (table_head, table_rows) = html[start..end].split_at(first_row(&html[start..end])?);
    let mut head = String::new();
    append(&mut head, table_head);
    head.push_str("</table>");
    let mut pagers = memmem::find_iter(html, PAGER.as_bytes());
    if let Some(pager) = pagers.next() {
        let start = Element::around(html, pager, "div", PAGER)?.start;
        let end = pager + memmem::find(&html[pager..], b"</div>")?;
        // With another in it, the first end would not be its own.
        for (number, tag) in plain_tags(&html[start..end]).enumerate() {
            if tag?.name == b"div" && number > 0 {
                return None;
            }
        }
        if pagers.next().is_some() || !in_plain_sight(html, slice::from_ref(&(start..end))) {
            return None;
        }
        append(&mut head, &html[start..end]);
    }
    let head = dom::fragment(&head).ok()?;
    let column = year_column(head.select(&TABLE).next()?)?;

    Some(IndexPage {
        pages: pages(&head),
        rows: cut_rows(table_rows, column)?,
    })
}

/// Where in a table of plain tags the row begins that has the first cell. With a table in it, it
/// would end somewhere else.
fn first_row(table: &[u8]) -> Option<usize> {
    let (mut last_row, mut first_row) = (None, None);
    for (number, tag) in plain_tags(table).enumerate() {
        let tag = tag?;
        match tag.name {
            b"table" | b"/table" if number > 0 => return None,
            b"tr" => last_row = Some(tag.start),
            b"td" if first_row.is_none() => first_row = Some(last_row?),
            _ => {}
        }
    }
    first_row
}

/// The companies of the rows of a table.
fn cut_rows(table: &[u8], column: usize) -> Option<Vec<Link>> {
    let mut links = Vec::new();
    let mut row = Vec::new();
    let mut tags = plain_tags(table).peekable();
    while let Some(tag) = tags.next() {
        row.push(tag?);
        if row.len() > MOST_TAGS {
            return None;
        }
        if !matches!(tags.peek(), Some(Some(next)) if next.name != b"tr") {
            links.push(cut_row(table, &row, column)?);
            row.clear();
            if links.len() > MOST_ROWS {
                return None;
            }
        }
    }
    Some(links)
}

/// The company of a row by its link and the cell of one column. A row that shows none may show one
/// in what is not looked at.
fn cut_row(table: &[u8], row: &[Tag], column: usize) -> Option<Link> {
    let ends = row.iter().position(|tag| tag.name == b"/tr");
    let (inside, after) = row.split_at(ends.unwrap_or(row.len()));
    // Cells one after the other, and no element that does not stay where it is or makes a row of
    // its own.
    let mut in_cell = false;
    let is_plain = inside.iter().all(|tag| match tag.name {
        b"td" => !mem::replace(&mut in_cell, true),
        b"/td" => mem::replace(&mut in_cell, false),
        b"tr" => true,
        b"th" | b"caption" | b"col" | b"colgroup" => false,
        b"tbody" | b"thead" | b"tfoot" | b"/tbody" | b"/thead" | b"/tfoot" => false,
        _ => in_cell,
    }) && after
        .iter()
        .all(|tag| matches!(tag.name, b"/tr" | b"tbody" | b"/tbody"));
    if !is_plain {
        return None;
    }
    // Of an element without others in it.
    let text = |at: usize, end: &[u8]| {
        let (tag, next) = (&inside[at], inside.get(at + 1)?);
        (next.name == end).then(|| plain_text(&table[tag.end..next.start]))?
    };
    let leads_to_company = |tag: &Tag| {
        tag.name == b"a"
            && memmem::find(&table[tag.start..tag.end], COMPANY_PREFIX.as_bytes()).is_some()
    };
    let link = inside.iter().position(leads_to_company)?;
    // One before it may lead to a company in other words.
    let has_reference = |tag: &Tag| table[tag.start..tag.end].contains(&b'&');
    if inside[..link]
        .iter()
        .any(|tag| tag.name == b"a" && has_reference(tag))
    {
        return None;
    }
    let path = company_path(inside[link].attribute(table, "href")?)?;
    let mut cells = (0..inside.len()).filter(|at| inside[*at].name == b"td");
    let cell = cells.nth(column).unwrap_or(inside.len());
    let mut spans = (cell..inside.len())
        .take_while(|at| inside[*at].name != b"/td")
        .filter(|at| inside[*at].name == b"span");
    let growth = match spans.nth(1) {
        Some(span) => number::parse_percent(&text(span, b"/span")?).ok(),
        None => None,
    };
    Some(Link {
        path: path.to_owned(),
        name: words(iter::once(&*text(link, b"/a")?)),
        growth,
    })
}

static TABLE: LazyLock<Selector> = LazyLock::new(|| selector("table"));
static ROW: LazyLock<Selector> = LazyLock::new(|| selector("tr"));
static LINK: LazyLock<Selector> = LazyLock::new(|| selector("a[href]"));
static CELL: LazyLock<Selector> = LazyLock::new(|| selector("td"));

/// Which column holds the growth over a year.
fn year_column(table: ElementRef) -> Option<usize> {
    static HEADER: LazyLock<Selector> = LazyLock::new(|| selector("th"));
    table.select(&HEADER).position(|header| {
        let text = words(header.text());
        text.contains(YEAR_HEADER) && !text.contains(CHART_HEADER)
    })
}

/// The highest number that the pager shows, 1 without a pager.
fn pages(html: &Html) -> u32 {
    static PAGER_LINK: LazyLock<Selector> =
        LazyLock::new(|| selector(&format!(".{PAGER} a[href]")));
    let numbers = html
        .select(&PAGER_LINK)
        .filter_map(|link| page_number(link.attr("href")?));
    numbers.max().unwrap_or(1)
}

fn row(tr: ElementRef, year_column: usize) -> Option<Link> {
    static SPAN: LazyLock<Selector> = LazyLock::new(|| selector("span"));

    let (path, link) = tr
        .select(&LINK)
        .find_map(|link| Some((company_path(link.attr("href")?)?, link)))?;
    let name = words(link.text());
    let cell = tr.select(&CELL).nth(year_column);
    // The first span of the cell is the change in dollars, the second the one in per cent.
    let growth = cell
        .and_then(|cell| cell.select(&SPAN).nth(1))
        .and_then(|span| number::parse_percent(&span.text().collect::<String>()).ok());
    Some(Link {
        path: path.to_owned(),
        name,
        growth,
    })
}

/// The path of a link to a company, relative or absolute, without query and fragment. The host does
/// not count: pages are asked of the site that the run was pointed at.
fn company_path(href: &str) -> Option<&str> {
    let path = &href[href.find(COMPANY_PREFIX)?..];
    let path = path.split(['?', '#']).next()?.trim_end_matches('/');
    let slug = path.strip_prefix(COMPANY_PREFIX)?;
    let is_one_name = !slug.is_empty()
        && slug.len() <= LONGEST_SLUG
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
