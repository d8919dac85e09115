//! One company page → [`CompanyPage`].
//!
//! Parsing a whole page of 230 KB costs several milliseconds, and of all that only a heading and
//! three figures are wanted. So [`parse`] finds these with `memmem` and takes their texts as they
//! stand there, where they stand as they do on every real page; where there is any doubt it parses
//! the whole page and asks it with selectors. Tests compare both on real pages and on thousands of
//! changed ones. Where they are known to differ: an element or a quote left open far before, landmarks
//! within attributes or where text is not read as HTML, a landmark spelled with references, and pages
//! over the parser's limits, which the cut still reads.

use std::iter;
use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem::{self, Finder};
use rust_decimal::Decimal;
use scraper::{ElementRef, Html, Selector};
use serde::{Deserialize, Serialize};

use crate::site::dom::{self, TooLarge};
use crate::site::landmarks::company::{
    CODE, HEADER, HIGH, HIGH_IN_SCRIPT, ITEM, LOW, LOW_IN_SCRIPT, NAME, PE, PRICE,
};
use crate::site::number;
use crate::site::scan::{Element, in_plain_sight, plain_text};
use crate::site::text::printable;

/// What a company page says. A figure that is missing, or not usable, is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompanyPage {
    /// The code in the price section, `BRK.B`. It is the company's identity: `rel=canonical` and
    /// the address are wrong on real pages.
    pub code: String,
    pub name: String,
    /// The first current value on the page, in dollars, above zero.
    pub price: Option<Decimal>,
    /// Negative for a company that makes a loss; never zero.
    pub pe: Option<Decimal>,
    /// Above zero, and not above [`high52`](Self::high52); both are there or neither.
    pub low52: Option<Decimal>,
    pub high52: Option<Decimal>,
    /// Figures that the page shows but that cannot be used, with their text.
    pub notes: Vec<String>,
}

/// A company of the index with everything known of it. `P` is the parsed page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Company<P = CompanyPage> {
    pub page: P,
    pub path: String,
    /// Growth over one year in per cent, from the index.
    pub growth: Option<Decimal>,
}

/// A page that is no company page, with the landmarks that were looked for and not found, or
/// one that is far larger than any.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a company page: {0}")]
pub enum NotACompany {
    #[error("not a company page: no {}", .0.join(", no "))]
    Without(Vec<&'static str>),
    TooLarge(#[from] TooLarge),
}

/// Parses a company page, given as UTF-8; invalid bytes are replaced where they matter.
pub fn parse(html: &[u8]) -> Result<CompanyPage, NotACompany> {
    dom::check_length(html)?;
    parse_scanned(html).unwrap_or_else(|| parse_whole(html))
}

/// Parses a company page by the scan alone. `None` where the scan is in doubt.
pub fn parse_scanned(html: &[u8]) -> Option<Result<CompanyPage, NotACompany>> {
    Some(company(scan(html)?, html))
}

/// Parses a company page by building its whole tree. [`parse`] must agree with this, and is 250 to
/// 400 times faster.
pub fn parse_whole(html: &[u8]) -> Result<CompanyPage, NotACompany> {
    company(fields(&dom::document(html)?), html)
}

/// The wanted texts as they stand on the page.
#[derive(Debug, Default)]
struct Fields {
    name: Option<String>,
    code: Option<String>,
    price: Option<String>,
    pe: Option<String>,
    low: Option<String>,
    high: Option<String>,
}

impl Fields {
    /// The place of the value that stands beside a header.
    fn beside(&mut self, header: &str) -> Option<&mut Option<String>> {
        match header {
            PE => Some(&mut self.pe),
            LOW => Some(&mut self.low),
            HIGH => Some(&mut self.high),
            _ => None,
        }
    }
}

/// Of all that follows the first name, the first of each kind counts.
fn fields(html: &Html) -> Fields {
    static WANTED: LazyLock<Selector> = LazyLock::new(|| {
        let css = format!(".{NAME}, .{CODE} > span, .{PRICE}, .{ITEM} > .{HEADER}");
        Selector::parse(&css).expect("a selector of ours")
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
            *value = item_value(element);
        }
        let slot = match &mut fields {
            Fields { name, .. } if is_name => name,
            Fields { price, .. } if has(element, PRICE) => price,
            Fields { code, .. } if is_in(CODE) && element.value().name() == "span" => code,
            _ => continue,
        };
        slot.get_or_insert_with(|| printable(element.text()));
    }
    for field in [&mut fields.name, &mut fields.price] {
        field.take_if(|text| text.is_empty());
    }
    fields.code = fields.code.and_then(|text| code(&text));
    fields
}

/// The code in `, MMM`.
fn code(text: &str) -> Option<String> {
    let code = text.trim_start_matches(',').trim();
    (!code.is_empty()).then(|| code.to_owned())
}

/// The text that stands beside a header in its item.
fn item_value(header: ElementRef) -> Option<String> {
    let item = header.parent()?;
    let texts = item
        .children()
        .filter_map(|child| child.value().as_text().map(|text| &**text));
    Some(printable(texts)).filter(|text| !text.is_empty())
}

fn company(fields: Fields, html: &[u8]) -> Result<CompanyPage, NotACompany> {
    let no_code = fields.code.is_none();
    let (Some(code), Some(name)) = (fields.code, &fields.name) else {
        let missing = [(NAME, fields.name.is_none()), (CODE, no_code)];
        let looked_for = missing
            .into_iter()
            .filter(|(_, missing)| *missing)
            .map(|(what, _)| what);
        return Err(NotACompany::Without(looked_for.collect()));
    };
    let mut page = CompanyPage {
        code,
        name: name.clone(),
        ..CompanyPage::default()
    };
    page.price = page.usable("price", fields.price.as_deref(), |price| {
        price > Decimal::ZERO
    });
    page.pe = page.usable("P/E", fields.pe.as_deref(), |pe| !pe.is_zero());
    let low = in_script(fields.low, LOW_IN_SCRIPT, html);
    let high = in_script(fields.high, HIGH_IN_SCRIPT, html);
    let low = page.usable("52 week low", low.as_deref(), |low| low > Decimal::ZERO);
    let high = page.usable("52 week high", high.as_deref(), |high| high > Decimal::ZERO);
    match (low, high) {
        (Some(low), Some(high)) if low <= high => {
            (page.low52, page.high52) = (Some(low), Some(high))
        }
        (Some(low), Some(high)) => page.notes.push(format!("52 week range is {low} to {high}")),
        _ => {}
    }
    Ok(page)
}

impl CompanyPage {
    fn usable(
        &mut self,
        what: &str,
        text: Option<&str>,
        is_usable: impl Fn(Decimal) -> bool,
    ) -> Option<Decimal> {
        let text = text?;
        let value = number::parse(text).ok().filter(|value| is_usable(*value));
        if value.is_none() {
            let shown: String = text.chars().take(40).collect();
            self.notes.push(format!("{what} is {shown:?}"));
        }
        value
    }
}

/// An item of the first generation holds `{{low52weeksDisplay}}`, and the figure stands in a
/// script: `low52weeks: 114.04,`.
fn in_script(item: Option<String>, key: &str, html: &[u8]) -> Option<String> {
    let item = item?;
    if !item.starts_with("{{") {
        return Some(item);
    }
    let after = &html[memmem::find(html, key.as_bytes())? + key.len()..];
    let number = &after[..after
        .iter()
        .position(|byte| matches!(byte, b',' | b'\n' | b'}'))?];
    Some(String::from_utf8_lossy(number).trim().to_owned())
}

/// Cuts the texts of the heading and of the wanted items out of a page.
///
/// `None` where these do not have the plain shape that they have on real pages, or where they touch
/// a comment or a script, the two places in which real pages hold their landmarks as text.
fn scan(html: &[u8]) -> Option<Fields> {
    static HEADING_AT: LazyLock<Finder> = LazyLock::new(|| Finder::new("price-section__"));
    static HEADER_AT: LazyLock<Finder> = LazyLock::new(|| Finder::new(HEADER));

    // The name comes first: one in a category would be a code as well.
    let landmark = |at: usize| {
        { [NAME, CODE, PRICE].into_iter() }.find(|one| html[at..].starts_with(one.as_bytes()))
    };
    let mut heading = HEADING_AT
        .find_iter(html)
        .filter_map(|at| Some((at, landmark(at)?)));
    let (name, _) = heading.next().filter(|(_, landmark)| *landmark == NAME)?;
    let (mut category, mut price) = (None, None);
    while let (Some((at, landmark)), true) = (heading.next(), category.is_none() || price.is_none())
    {
        match landmark {
            CODE => category = category.or(Some(at)),
            PRICE => price = price.or(Some(at)),
            _ => return None,
        }
    }
    let name = Element::around(html, name, "span", NAME)?;
    let category = Element::around(html, category?, "span", CODE)?;
    let price = Element::around(html, price?, "span", PRICE)?;
    let code_span = Element::at(html, category.text.end)?;
    // With a second class, one span might be the name and the price.
    let of_class = |class| format!("<span class=\"{class}\">");
    let tags = [of_class(NAME), of_class(PRICE), "<span>".to_owned()];
    for (span, tag) in [&name, &price, &code_span].into_iter().zip(tags) {
        let is_plain = html[span.start..].starts_with(tag.as_bytes());
        if !is_plain || !html[span.text.end..].starts_with(b"</span>") {
            return None;
        }
    }
    let mut fields = Fields {
        name: Some(text(html, name.text.clone())?),
        code: Some(code(&text(html, code_span.text.clone())?)?),
        price: Some(text(html, price.text.clone())?),
        ..Fields::default()
    };
    let mut regions = vec![
        name.start..name.text.end,
        category.start..code_span.text.end,
        price.start..price.text.end,
    ];
    let mut at = name.text.end;
    while let Some(found) = HEADER_AT.find(&html[at..]) {
        let header = Element::around(html, at + found, "div", HEADER)?;
        at = header.text.end;
        // Elements may stand inside it.
        if !html[at..].starts_with(b"</div>") {
            return None;
        }
        let Some(value @ None) = fields.beside(&text(html, header.text)?) else {
            continue;
        };
        let item = Element::before(html, header.start, "div", ITEM)?;
        let after = &html[at + "</div>".len()..];
        if item.text.end != header.start || !after.trim_ascii_start().starts_with(b"</div>") {
            return None;
        }
        *value = Some(text(html, item.text)?);
        regions.push(item.start..at);
        if let Fields {
            pe: Some(_),
            low: Some(_),
            high: Some(_),
            ..
        } = fields
        {
            break;
        }
    }
    regions.sort_unstable_by_key(|region| region.start);
    in_plain_sight(html, &regions).then_some(fields)
}

/// What a piece of a page without tags says, unless that is nothing.
fn text(html: &[u8], piece: Range<usize>) -> Option<String> {
    let text = printable(iter::once(&*plain_text(&html[piece])?));
    (!text.is_empty()).then_some(text)
}
