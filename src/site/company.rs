//! One company page → [`CompanyPage`].
//!
//! A page has 230 KB. Parsing all of it takes several milliseconds, but only a heading and three
//! figures are needed. So [`parse`] scans the page for these texts first (`company_scan`). If the scan
//! gives up, [`parse_whole`] builds the tree and queries it with selectors. Tests compare both on real
//! pages and on thousands of mutated ones.
//!
//! Known pages where the two return different results:
//!
//! * An element or a quote far before a landmark is left open. It may move or hide the landmark.
//! * A landmark is inside `<textarea>`, an attribute value or other non-HTML content.
//! * A landmark is spelled with character references. The scan does not find it.
//! * The page exceeds a limit of the tree. The scan still parses it.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, LazyLock};

use jiff::civil::{Date, Time};
use memchr::memmem;
use rust_decimal::Decimal;
use scraper::{ElementRef, Html, Selector};
use serde::{Deserialize, Serialize};

use crate::site::company_scan::{Fields, scan, strip_comma};
use crate::site::currency::{self, Currency, NotACurrency};
use crate::site::dom::{self, TooLarge};
use crate::site::landmarks::company::{
    CODE, HEADER, HIGH_IN_SCRIPT, ITEM, LOW_IN_SCRIPT, NAME, OFFICIAL_CLOSE, PRICE, PRICE_TIME,
};
use crate::site::notes::{self, Notes, RowNote};
use crate::site::number;
use crate::site::text::{MAX_LEN, prefix, printable};

/// When a price was quoted, as far as a page says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AsOf {
    /// The day of a closing price.
    Day(Date),
    /// The time of a current price, on the clock of its exchange. The page does not name the day.
    Time(Time),
}

impl fmt::Display for AsOf {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            AsOf::Day(day) => day.fmt(f),
            AsOf::Time(time) => time.fmt(f),
        }
    }
}

/// A parsed company page. A figure that is missing or unusable is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompanyPage {
    /// The code in the price section, such as `BRK.B`. It identifies the company, because
    /// `rel=canonical` and the address are wrong on some real pages. At most 32 bytes.
    pub code: String,
    /// At most 200 bytes; the end of a longer name is cut off, with a note.
    pub name: String,
    /// The currency of price, low and high, as the page states. `None` if it states none.
    pub currency: Option<Currency>,
    /// When the price was quoted.
    pub as_of: Option<AsOf>,
    /// The first current value on the page, above zero.
    pub price: Option<Decimal>,
    /// Negative for a company that makes a loss; never zero.
    pub pe: Option<Decimal>,
    /// The 52-week low, above zero and at most [`high52`](Self::high52). The ratio of both in per cent is
    /// within the range of `Decimal`.
    pub low52: Option<Decimal>,
    /// The 52-week high. `Some` if and only if [`low52`](Self::low52) is.
    pub high52: Option<Decimal>,
    /// One note for each figure that the page shows but that is unusable, with its text.
    pub notes: Notes,
}

/// Maximum size in bytes of the element with the date or time of a price. Real ones have up to 700.
const MAX_PRICE_TIME: usize = 2 << 10;

/// Maximum size of a code in bytes. Real ones have up to 6. A longer text is no code: cut off, it might equal
/// that of another company.
const MAX_CODE: usize = 32;

/// A company of the index: its page, and its path and growth from the index. `P` is the type of the
/// parsed page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Company<P = CompanyPage> {
    pub page: P,
    pub path: Arc<str>,
    /// The currency of the quotes on the page: as the page states, or else as most of the index.
    /// [`Currency::UNKNOWN`] until the harvest is settled.
    pub currency: Currency,
    /// Whether a redirect led from the path to the page, so that it may be the page of another company.
    pub is_redirected: bool,
    /// Growth over one year in per cent, from the index.
    pub growth: Option<Decimal>,
    /// Why the index has no usable growth.
    pub index_note: Option<RowNote>,
}

impl Company {
    /// The notes on its page and on its row in the index.
    pub fn notes(&self) -> impl Iterator<Item = Cow<'_, str>> + Clone {
        let of_page = self.page.notes.iter().map(Cow::Borrowed);
        let of_row = self.index_note.iter();
        of_page.chain(of_row.map(|note| note.to_string().into()))
    }
}

/// Why a page is not a company page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a company page: {0}")]
pub enum NotACompany {
    /// The page lacks these landmarks.
    #[error("not a company page: no {}", .0.join(", no "))]
    Without(Vec<&'static str>),
    TooLarge(#[from] TooLarge),
}

/// Parses a company page. It should be UTF-8; invalid bytes are replaced where they matter.
pub fn parse(html: &[u8]) -> Result<CompanyPage, NotACompany> {
    dom::check_length(html)?;
    parse_scanned(html).unwrap_or_else(|| parse_whole(html))
}

/// Parses a company page by the scan alone. `None` if the scan gives up.
pub fn parse_scanned(html: &[u8]) -> Option<Result<CompanyPage, NotACompany>> {
    Some(convert(scan(html)?, html))
}

/// Parses a company page by building its whole tree. [`parse`] must return the same, except on the
/// pages listed above, and is 250 to 400 times faster.
pub fn parse_whole(html: &[u8]) -> Result<CompanyPage, NotACompany> {
    let fields = Fields {
        name_at: memmem::find(html, NAME.as_bytes()).unwrap_or(0),
        ..select_fields(&dom::document(html)?)
    };
    convert(fields, html)
}

/// Selects the first text of each kind. Everything before the first name is ignored.
fn select_fields(html: &Html) -> Fields {
    static WANTED: LazyLock<Selector> = LazyLock::new(|| {
        let css = format!(".{NAME}, .{CODE} > span, .{PRICE}, .{ITEM} > .{HEADER}");
        Selector::parse(&css).expect("a valid selector")
    });
    let has = |element: ElementRef, class| element.value().classes().any(|one| one == class);

    let mut fields = Fields::default();
    for element in html.select(&WANTED) {
        let parent = element.parent().and_then(ElementRef::wrap);
        let is_in = |class| parent.is_some_and(|parent| has(parent, class));
        let is_name = has(element, NAME);
        if fields.name.is_none() && !is_name {
            continue;
        }
        if has(element, HEADER)
            && is_in(ITEM)
            && let Some(value @ None) = fields.beside(&printable(element.text()))
        {
            *value = value_beside(element);
        }
        let field = if is_name {
            &mut fields.name
        } else if has(element, PRICE) {
            &mut fields.price
        } else if is_in(CODE) && element.value().name() == "span" {
            &mut fields.code
        } else {
            continue;
        };
        field.get_or_insert_with(|| printable(element.text()));
    }
    for field in [&mut fields.name, &mut fields.price] {
        field.take_if(|text| text.is_empty());
    }
    fields.code = fields.code.and_then(|text| strip_comma(&text));
    fields
}

/// The text directly in the item of a header, which is the value. `None` if it is empty.
fn value_beside(header: ElementRef) -> Option<String> {
    let item = header.parent()?;
    let texts = item
        .children()
        .filter_map(|child| child.value().as_text().map(|text| &**text));
    Some(printable(texts)).filter(|text| !text.is_empty())
}

/// Converts the texts of a page to figures. `html` is the same page.
fn convert(fields: Fields, html: &[u8]) -> Result<CompanyPage, NotACompany> {
    let code = fields.code.filter(|code| code.len() <= MAX_CODE);
    let (name, code) = match (fields.name, code) {
        (Some(name), Some(code)) => (name, code),
        (name, code) => {
            let landmarks = [(NAME, name.is_none()), (CODE, code.is_none())];
            let missing = landmarks
                .into_iter()
                .filter(|(_, is_missing)| *is_missing)
                .map(|(landmark, _)| landmark);
            return Err(NotACompany::Without(missing.collect()));
        }
    };
    let mut page = CompanyPage {
        code,
        name,
        ..CompanyPage::default()
    };
    if page.name.len() > MAX_LEN {
        page.name.truncate(prefix(&page.name, MAX_LEN).len());
        let note = format!("the name has over {MAX_LEN} bytes, its end is cut off");
        page.notes.push(&note);
    }
    let behind_name = &html[fields.name_at..];
    page.as_of = price_time(behind_name);
    page.currency = currency::stated(behind_name).map(|text| {
        text.parse().unwrap_or_else(|NotACurrency| {
            page.note_unusable("currency", &text);
            Currency::UNKNOWN
        })
    });
    let is_positive = |figure: Decimal| figure > Decimal::ZERO;
    page.price = page.usable("price", fields.price.as_deref(), is_positive);
    page.pe = page.usable("P/E", fields.pe.as_deref(), |pe| !pe.is_zero());
    let low = resolve_placeholder(fields.low, LOW_IN_SCRIPT, html);
    let high = resolve_placeholder(fields.high, HIGH_IN_SCRIPT, html);
    let low = page.usable("52 week low", low.as_deref(), is_positive);
    let high = page.usable("52 week high", high.as_deref(), is_positive);
    match (low, high) {
        (Some(low), Some(high)) if is_usable_range(low, high) => {
            (page.low52, page.high52) = (Some(low), Some(high));
        }
        (Some(low), Some(high)) => {
            let note = format!("52 week range is {low} to {high}");
            page.notes.push(&note);
        }
        _ => {}
    }
    Ok(page)
}

/// Whether the high is at least the low, and their ratio in per cent within the range of `Decimal`.
fn is_usable_range(low: Decimal, high: Decimal) -> bool {
    let per_cent = || high.checked_div(low)?.checked_mul(Decimal::ONE_HUNDRED);
    low <= high && per_cent().is_some()
}

impl CompanyPage {
    /// Parses a figure. If it is not a number or `is_usable` rejects it, returns `None` and notes its
    /// text. Also `None` without a text.
    fn usable(
        &mut self,
        what: &str,
        text: Option<&str>,
        is_usable: impl Fn(Decimal) -> bool,
    ) -> Option<Decimal> {
        let text = text?;
        let value = number::parse(text).ok().filter(|value| is_usable(*value));
        if value.is_none() {
            self.note_unusable(what, text);
        }
        value
    }

    fn note_unusable(&mut self, what: &str, text: &str) {
        self.notes.push(&notes::unusable(what, text));
    }
}

/// The date or time behind the first price: `Official Close 6/15/2021` or `03:52:05 PM`.
fn price_time(behind_name: &[u8]) -> Option<AsOf> {
    let start = memmem::find(behind_name, PRICE_TIME.as_bytes())?;
    let element = &behind_name[start..];
    let end = memmem::find(element, b"</section>").unwrap_or(element.len());
    let text = String::from_utf8_lossy(&element[..end.min(MAX_PRICE_TIME)]);
    let day = text.split_once(OFFICIAL_CLOSE).and_then(|(_, date)| {
        let is_in_date = |c: char| c.is_ascii_digit() || c == '/';
        let end = date.find(|c| !is_in_date(c)).unwrap_or(date.len());
        Date::strptime("%m/%d/%Y", &date[..end]).ok()
    });
    let time = || {
        let mut texts = text.split(['<', '>']).map(str::trim);
        texts.find_map(|text| Time::strptime("%I:%M:%S %p", text).ok())
    };
    day.map(AsOf::Day).or_else(|| time().map(AsOf::Time))
}

/// Replaces a placeholder by its figure. In the first generation of the site, an item contains
/// `{{low52weeksDisplay}}`, and an inline script has the figure: `low52weeks: 114.04,`. `None` if the
/// script has no figure.
fn resolve_placeholder(value: Option<String>, key: &str, html: &[u8]) -> Option<String> {
    let value = value?;
    if !value.starts_with("{{") {
        return Some(value);
    }
    let after = &html[memmem::find(html, key.as_bytes())? + key.len()..];
    let end = after
        .iter()
        .position(|byte| matches!(byte, b',' | b'\n' | b'}'))?;
    Some(String::from_utf8_lossy(&after[..end]).trim().to_owned())
}
