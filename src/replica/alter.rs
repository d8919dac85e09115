//! Well-formed pages that are wrong: another page than the requested one, or a changed page.

use std::iter;

use super::fault::Alteration;
use super::pages::{Pages, Response, split_index_path};
use super::table::Page;
use crate::site::paths::{LETTERS, RATES, letter_page, numbered_page};

/// Rows on an index page of `few-rows`; a full one has about 50.
const FEW_ROWS: usize = 5;
/// Bytes of the address of `long-row`. The longest on real pages has under 100.
const LONG_ADDRESS: usize = 300;

/// What a request asks for.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    /// Path and query, percent-decoded.
    pub(super) path: &'a str,
    /// Number of the request among those for this path, from 1.
    pub(super) occurrence: u32,
    pub(super) pages: &'a Pages,
}

/// The pages of an index with several pages.
enum IndexPage<'a> {
    Number(u32),
    Letter(&'a str),
}

impl<'a> Target<'a> {
    pub(super) fn page(&self) -> Option<&'a Response> {
        self.pages.get(self.path)
    }

    /// The name of the index and the page. `None` if the path is not that of such a page.
    fn index_page(&self) -> Option<(&'a str, IndexPage<'a>)> {
        let (index, page) = split_index_path(self.path)?;
        let page = match page.strip_prefix("?p=") {
            Some(number) => IndexPage::Number(number.parse().ok()?),
            None => IndexPage::Letter(page.strip_prefix('/')?),
        };
        Some((index, page))
    }

    /// The path of page 1 or letter A of the same index. `None` for that page itself.
    pub(super) fn page_one(&self) -> Option<String> {
        let path = match self.index_page()? {
            (index, IndexPage::Number(_)) => numbered_page(index, 1),
            (index, IndexPage::Letter(_)) => letter_page(index, LETTERS[0]),
        };
        (path != self.path).then_some(path)
    }

    /// The path of the same page of another index.
    pub(super) fn in_other_index(&self) -> Option<String> {
        let (index, page) = split_index_path(self.path)?;
        self.pages.other_index(index, page).map(str::to_owned)
    }

    /// The path of the next page of its kind, or of the first after the last. For rates and
    /// `robots.txt`, a company page.
    fn next_page(&self) -> Option<String> {
        match self.index_page() {
            Some((index, IndexPage::Number(number))) => {
                let next = numbered_page(index, number.saturating_add(1));
                let exists = self.pages.get(&next).is_some();
                Some(if exists {
                    next
                } else {
                    numbered_page(index, 1)
                })
            }
            Some((index, IndexPage::Letter(letter))) => {
                let position = LETTERS.iter().position(|other| *other == letter)?;
                Some(letter_page(index, LETTERS[(position + 1) % LETTERS.len()]))
            }
            None => self.pages.company_after(self.path).map(str::to_owned),
        }
    }

    fn plain(&self, path: &str) -> Option<Vec<u8>> {
        Some(self.pages.get(path)?.plain_body())
    }

    fn text(&self, path: &str) -> Option<String> {
        String::from_utf8(self.plain(path)?).ok()
    }

    /// The requested index page, split at its table.
    fn table(&self) -> Option<Page> {
        split_index_path(self.path)?;
        Page::split(&self.text(self.path)?)
    }
}

/// The body of the changed page. `None` if the alteration does not apply to the requested page.
pub(super) fn altered(alteration: Alteration, target: Target) -> Option<Vec<u8>> {
    let changed_table = |change: fn(&mut Page)| {
        let mut table = target.table()?;
        change(&mut table);
        Some(table.join().into_bytes())
    };
    match alteration {
        Alteration::Layout => Some(with_renamed_labels(&target.plain(target.path)?)),
        Alteration::OtherPage => target.plain(&target.next_page()?),
        Alteration::PageOne => target.plain(&target.page_one()?),
        Alteration::Growing => growing_index(target),
        Alteration::FewRows => changed_table(|table| table.rows.truncate(FEW_ROWS)),
        Alteration::TdHeader => changed_table(Page::use_td_in_header),
        Alteration::Colspan => changed_table(Page::span_two_columns),
        Alteration::ExtraColumn => changed_table(Page::add_header_cell),
        Alteration::RowSpace => changed_table(|table| {
            for row in &mut table.rows {
                Page::change_address(row, |address| format!("\r\n\t {address} \n"));
            }
        }),
        Alteration::LongRow => changed_table(|table| {
            if let Some(row) = table.rows.first_mut() {
                Page::change_address(row, |_| long_address());
            }
        }),
        Alteration::Moved => moved(target),
        Alteration::Unnamed => Some(unnamed(target.text(target.path)?).into_bytes()),
        Alteration::AbsurdRate => absurd_rate(target),
    }
}

/// Renames the label of the P/E ratio on a company page and of the growth column on an index page.
fn with_renamed_labels(body: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(body)
        .replace("P/E Ratio", "Price/Earnings")
        .replace("1 Year", "12 Months")
        .into_bytes()
}

/// The first index page with every company renamed, and a pager that links to page N + 100. `None`
/// unless the path ends in `?p=N`.
fn growing_index(target: Target) -> Option<Vec<u8>> {
    let (index, IndexPage::Number(number)) = target.index_page()? else {
        return None;
    };
    let more = number.saturating_add(100);
    let page = target
        .text(&numbered_page(index, 1))?
        .replace("?p=2\"", &format!("?p={more}\""))
        .replace("/stocks/", &format!("/stocks/x{number}-"));
    Some(page.into_bytes())
}

fn long_address() -> String {
    let (start, end) = ("/stocks/", "-stock");
    let middle = LONG_ADDRESS - start.len() - end.len();
    [start, &"x".repeat(middle), end].concat()
}

/// The first company of page 2 moves to the end of page 1 between the first request for page 1 and the
/// second. Page 2 is always the later one.
fn moved(target: Target) -> Option<Vec<u8>> {
    let (index, IndexPage::Number(number)) = target.index_page()? else {
        return None;
    };
    let mut second = Page::split(&target.text(&numbered_page(index, 2))?)?;
    let company = second.take_first_row()?;
    let page = match number {
        1 if target.occurrence > 1 => {
            let mut first = target.table()?;
            first.rows.push(company);
            first
        }
        2 => second,
        _ => return None,
    };
    Some(page.join().into_bytes())
}

/// Removes everything by which a page names itself.
fn unnamed(page: String) -> String {
    let page = without(page, "<link rel=\"canonical\"", ">");
    let page = without(page, "\"StockUrl\"", ",");
    let page = without(page, "loginUrl:", "\n");
    page.replace("<strong>", "").replace("</strong>", "")
}

/// Removes each part from `start` to the next `end`, both included.
fn without(page: String, start: &str, end: &str) -> String {
    let mut pieces = page.split(start);
    let first = pieces.next().unwrap_or_default();
    let others = pieces.map(|piece| piece.split_once(end).map_or("", |(_, kept)| kept));
    iter::once(first).chain(others).collect()
}

/// The rates with another value for the dollar. `None` for other pages.
fn absurd_rate(target: Target) -> Option<Vec<u8>> {
    if !target.path.starts_with(RATES) {
        return None;
    }
    let rates = target.plain(target.path)?;
    let find = |from: usize, text: &str| {
        let at = memchr::memmem::find(&rates[from..], text.as_bytes())?;
        Some(from + at)
    };
    let dollar = find(0, "<CharCode>USD</CharCode>")?;
    let start = find(dollar, "<Value>")? + "<Value>".len();
    let end = find(start, "</Value>")?;
    Some([&rates[..start], b"0,0000001", &rates[end..]].concat())
}
