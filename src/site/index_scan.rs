//! The rows and the pager of an index page, scanned without parsing the whole page.
//!
//! Only the head of the table and the pager go through an HTML parser, as one small fragment. Of each
//! row the scan takes two texts: the link, and the growth in its cell.

use std::borrow::Cow;
use std::iter;
use std::mem;
use std::slice;

use memchr::memmem;

use crate::site::dom;
use crate::site::index_page::{
    Columns, IndexPage, Link, TABLE, column_span, company_path, header_row, own_number, page_count,
    parse_growth,
};
use crate::site::landmarks::index::{PAGER, YEAR_HEADER};
use crate::site::paths::COMPANY_PREFIX;
use crate::site::scan::{Element, Tag, all_visible, append_collapsed, plain_tags, plain_text};
use crate::site::text::short_words;

/// Maximum number of tags in a row that is scanned. Real rows have up to 58.
const MAX_ROW_TAGS: usize = 1000;
/// Maximum number of rows that are scanned. A page with more is parsed as a whole, under the limits of
/// the tree.
const MAX_ROWS: usize = 4000;

/// Scans an index page.
///
/// `None` unless the page has one table with a "1 Year" header and at most one pager, and both
/// consist of plain tags.
pub fn parse_scanned(html: &[u8]) -> Option<IndexPage> {
    let header = memmem::find(html, YEAR_HEADER.as_bytes())?;
    let start = memmem::rfind(&html[..header], b"<table")?;
    let end = header + memmem::find(&html[header..], b"</table>")?;
    let is_only_one = memmem::find(&html[end..], YEAR_HEADER.as_bytes()).is_none();
    if !is_only_one || !all_visible(html, slice::from_ref(&(start..end))) {
        return None;
    }
    let table = &html[start..end];
    let (table_head, table_rows) = table.split_at(find_first_row(table, header - start)?);
    let mut fragment = String::new();
    append_collapsed(&mut fragment, table_head);
    fragment.push_str("</table>");
    append_pager(&mut fragment, html)?;
    let fragment = dom::fragment(&fragment).ok()?;
    let (_, columns) = header_row(fragment.select(&TABLE).next()?)?;
    Some(IndexPage {
        pages: page_count(&fragment),
        number: own_number(&fragment),
        rows: scan_rows(table_rows, columns)?,
        // The scan gives up on a row without a company link.
        unread: 0,
    })
}

/// The position of the first row behind the header. `None` if there is none, if it begins without a
/// `<tr>`, if the table has other than plain tags, or if it contains another table: the first
/// `</table>` closes the inner table.
fn find_first_row(table: &[u8], header: usize) -> Option<usize> {
    let mut first_row = None;
    let mut is_header_open = true;
    for (number, tag) in plain_tags(table).enumerate() {
        let tag = tag?;
        match tag.name {
            b"table" | b"/table" if number > 0 => return None,
            b"tr" if tag.start > header => {
                first_row.get_or_insert(tag.start);
            }
            b"td" | b"th" if first_row.is_none() && !is_header_open => return None,
            b"/tr" | b"/thead" | b"tbody" if tag.start > header => is_header_open = false,
            _ => {}
        }
    }
    first_row
}

/// Appends the pager, if the page has one. Returns `None` to give up.
fn append_pager(fragment: &mut String, html: &[u8]) -> Option<()> {
    let mut pagers = memmem::find_iter(html, PAGER.as_bytes());
    let Some(pager) = pagers.next() else {
        return Some(());
    };
    let start = Element::around(html, pager, "div", PAGER)?.start;
    let end = pager + memmem::find(&html[pager..], b"</div>")?;
    for (number, tag) in plain_tags(&html[start..end]).enumerate() {
        // If the pager contains another div, the first `</div>` closes the inner div.
        if tag?.name == b"div" && number > 0 {
            return None;
        }
    }
    if pagers.next().is_some() || !all_visible(html, slice::from_ref(&(start..end))) {
        return None;
    }
    append_collapsed(fragment, &html[start..end]);
    Some(())
}

/// Scans all rows behind the header. Returns `None` to give up.
fn scan_rows(table: &[u8], columns: Columns) -> Option<Vec<Link>> {
    let mut links = Vec::new();
    let mut row = Vec::new();
    let mut tags = plain_tags(table).peekable();
    while let Some(tag) = tags.next() {
        row.push(tag?);
        if row.len() > MAX_ROW_TAGS {
            return None;
        }
        let row_continues = matches!(tags.peek(), Some(Some(next)) if next.name != b"tr");
        if !row_continues {
            links.push(scan_row(table, &row, columns)?);
            row.clear();
            if links.len() > MAX_ROWS {
                return None;
            }
        }
    }
    Some(links)
}

/// Scans the tags from one `<tr>` up to the next. Returns `None` to give up, also on a row without a
/// company link: a parser may find a link that the scan does not.
fn scan_row(table: &[u8], tags: &[Tag], columns: Columns) -> Option<Link> {
    let end = tags.iter().position(|tag| tag.name == b"/tr");
    let (row, after) = tags.split_at(end.unwrap_or(tags.len()));
    if !is_plain_row(row, after) {
        return None;
    }
    let link = find_company_link(table, row)?;
    let path = company_path(row[link].attribute(table, "href")?)?;
    let mut count = 0;
    let mut cell = row.len();
    for at in (0..row.len()).filter(|at| row[*at].name == b"td") {
        if count == columns.year {
            cell = at;
        }
        count += scan_column_span(table, &row[at])?;
    }
    let misfit = columns.misfit(count);
    let mut spans = (cell..row.len())
        .take_while(|at| row[*at].name != b"/td")
        .filter(|at| row[*at].name == b"span");
    // The first span of the cell is the change in the currency, the second the growth in per cent.
    let (growth, unusable) = match spans.nth(1).filter(|_| misfit.is_none()) {
        Some(span) => parse_growth(&element_text(table, row, span, b"/span")?),
        None => (None, None),
    };
    Some(Link {
        path: path.into(),
        name: short_words(iter::once(&*element_text(table, row, link, b"/a")?)),
        growth,
        note: misfit.or(unusable),
    })
}

/// The number of columns that a cell covers. Returns `None` to give up.
fn scan_column_span(table: &[u8], cell: &Tag) -> Option<usize> {
    const NAME: &str = "colspan";
    let mut words = table[cell.start..cell.end].windows(NAME.len());
    if !words.any(|word| word.eq_ignore_ascii_case(NAME.as_bytes())) {
        return Some(1);
    }
    Some(column_span(Some(cell.attribute(table, NAME)?)))
}

/// Whether a parser leaves every element of a row in its place. The cells must follow one another,
/// all other elements must be inside cells, and only ends of rows and table bodies may come `after`.
///
/// A parser moves an element between cells out of the table. Other table elements end the cell or
/// the row.
fn is_plain_row(row: &[Tag], after: &[Tag]) -> bool {
    let mut in_cell = false;
    let has_plain_cells = row.iter().all(|tag| match tag.name {
        b"td" => !mem::replace(&mut in_cell, true),
        b"/td" => mem::replace(&mut in_cell, false),
        b"tr" => true,
        b"th" | b"caption" | b"col" | b"colgroup" => false,
        b"tbody" | b"thead" | b"tfoot" | b"/tbody" | b"/thead" | b"/tfoot" => false,
        _ => in_cell,
    });
    has_plain_cells
        && after
            .iter()
            .all(|tag| matches!(tag.name, b"/tr" | b"tbody" | b"/tbody"))
}

/// The index of the first tag that links to a company. `None` if there is none, or if a link before it
/// may be one too.
fn find_company_link(table: &[u8], row: &[Tag]) -> Option<usize> {
    let source = |tag: &Tag| &table[tag.start..tag.end];
    let link = row.iter().position(|tag| {
        tag.name == b"a" && memmem::find(source(tag), COMPANY_PREFIX.as_bytes()).is_some()
    })?;
    // A link before it may be a company link spelled with a character reference: `&#47;stocks/…`.
    let has_reference = |tag: &Tag| tag.name == b"a" && source(tag).contains(&b'&');
    (!row[..link].iter().any(has_reference)).then_some(link)
}

/// The text of the element that begins with the tag at `at`. `None` if the next tag is not its end
/// tag, because the element then contains other elements.
fn element_text<'a>(
    table: &'a [u8],
    row: &[Tag],
    at: usize,
    end_tag: &[u8],
) -> Option<Cow<'a, str>> {
    let (tag, next) = (&row[at], row.get(at + 1)?);
    if next.name != end_tag {
        return None;
    }
    plain_text(&table[tag.end..next.start])
}
