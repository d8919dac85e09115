//! The wanted texts of a company page, found without an HTML parser.
//!
//! The scan finds landmarks with `memmem` and takes the texts beside them, but only where these have
//! the plain shape that they have on every real page.

use std::iter;
use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::site::landmarks::company::{CODE, HEADER, HIGH, ITEM, LOW, NAME, PE, PRICE};
use crate::site::scan::{Element, all_visible, plain_text};
use crate::site::text::printable;

/// The wanted texts of a page, not yet converted to figures.
#[derive(Debug, Default)]
pub struct Fields {
    /// The position of the first name landmark.
    pub name_at: usize,
    pub name: Option<String>,
    pub code: Option<String>,
    pub price: Option<String>,
    pub pe: Option<String>,
    pub low: Option<String>,
    pub high: Option<String>,
}

impl Fields {
    /// The field for the value beside a header. `None` if the value is not wanted.
    pub fn beside(&mut self, header: &str) -> Option<&mut Option<String>> {
        match header {
            PE => Some(&mut self.pe),
            LOW => Some(&mut self.low),
            HIGH => Some(&mut self.high),
            _ => None,
        }
    }
}

/// The code in `, MMM`. `None` if it is empty.
pub fn strip_comma(text: &str) -> Option<String> {
    let code = text.trim_start_matches(',').trim();
    (!code.is_empty()).then(|| code.to_owned())
}

/// Scans the heading and the wanted items of a page.
///
/// `None` if their shape differs from that of real pages, or if they overlap a comment or a script.
/// Real pages contain landmarks as text in comments and scripts.
pub fn scan(html: &[u8]) -> Option<Fields> {
    let mut scan = Scan {
        html,
        fields: Fields::default(),
        regions: Vec::new(),
    };
    let name_end = scan.heading()?;
    scan.items(name_end)?;
    scan.regions.sort_unstable_by_key(|region| region.start);
    all_visible(html, &scan.regions).then_some(scan.fields)
}

struct Scan<'a> {
    html: &'a [u8],
    fields: Fields,
    /// The parts of the page that the fields come from, each from its first tag to its last text.
    regions: Vec<Range<usize>>,
}

impl Scan<'_> {
    /// Scans name, code and price. Returns the end of the name, or `None` to give up.
    fn heading(&mut self) -> Option<usize> {
        let html = self.html;
        let places = find_heading(html)?;
        let name = Element::around(html, places.name, "span", NAME)?;
        let category = Element::around(html, places.category, "span", CODE)?;
        let price = Element::around(html, places.price, "span", PRICE)?;
        let code = Element::at(html, category.text.end)?;
        // Each span must have exactly this tag, because one span with two classes could be both name
        // and price. It must contain only text.
        let of_class = |class| format!("<span class=\"{class}\">");
        let tags = [of_class(NAME), of_class(PRICE), "<span>".to_owned()];
        for (span, tag) in [&name, &price, &code].into_iter().zip(tags) {
            let has_tag = html[span.start..].starts_with(tag.as_bytes());
            if !has_tag || !html[span.text.end..].starts_with(b"</span>") {
                return None;
            }
        }
        self.fields.name_at = places.name;
        self.fields.name = Some(self.text(name.text.clone())?);
        self.fields.code = Some(strip_comma(&self.text(code.text.clone())?)?);
        self.fields.price = Some(self.text(price.text.clone())?);
        self.regions.extend([
            name.start..name.text.end,
            category.start..code.text.end,
            price.start..price.text.end,
        ]);
        Some(name.text.end)
    }

    /// Scans the items behind `at` until all three wanted values are found or the page ends. Returns
    /// `None` to give up.
    fn items(&mut self, mut at: usize) -> Option<()> {
        static HEADER_FINDER: LazyLock<Finder> = LazyLock::new(|| Finder::new(HEADER));

        let html = self.html;
        while let Some(found) = HEADER_FINDER.find(&html[at..]) {
            let header = Element::around(html, at + found, "div", HEADER)?;
            at = header.text.end;
            // Give up if the header contains another element; its text would be incomplete.
            if !html[at..].starts_with(b"</div>") {
                return None;
            }
            let header_text = self.text(header.text)?;
            let Some(None) = self.fields.beside(&header_text) else {
                continue;
            };
            // The item must consist of the value and the header: any other text in the item would be
            // part of the value.
            let item = Element::last_before(html, header.start, "div", ITEM)?;
            let after = &html[at + "</div>".len()..];
            if item.text.end != header.start || !after.trim_ascii_start().starts_with(b"</div>") {
                return None;
            }
            let value = self.text(item.text)?;
            *self.fields.beside(&header_text)? = Some(value);
            self.regions.push(item.start..at);
            let Fields { pe, low, high, .. } = &self.fields;
            if pe.is_some() && low.is_some() && high.is_some() {
                break;
            }
        }
        Some(())
    }

    /// The text of a part of the page without tags. `None` if it is empty.
    fn text(&self, part: Range<usize>) -> Option<String> {
        let text = printable(iter::once(&*plain_text(&self.html[part])?));
        (!text.is_empty()).then_some(text)
    }
}

/// Positions of the heading's landmarks.
struct Heading {
    name: usize,
    category: usize,
    price: usize,
}

/// Finds the name, the first category and the first price. Returns `None` to give up.
///
/// Give up if the first landmark is not the name, because a name span inside a category also matches
/// the code selector. Give up on a second name before category and price.
fn find_heading(html: &[u8]) -> Option<Heading> {
    static PREFIX_FINDER: LazyLock<Finder> = LazyLock::new(|| Finder::new("price-section__"));

    let landmark_at = |at: usize| {
        let mut landmarks = [NAME, CODE, PRICE].into_iter();
        landmarks.find(|landmark| html[at..].starts_with(landmark.as_bytes()))
    };
    let mut landmarks = PREFIX_FINDER
        .find_iter(html)
        .filter_map(|at| Some((at, landmark_at(at)?)));
    let (name, _) = landmarks.next().filter(|(_, first)| *first == NAME)?;
    let (mut category, mut price) = (None, None);
    loop {
        if let (Some(category), Some(price)) = (category, price) {
            return Some(Heading {
                name,
                category,
                price,
            });
        }
        let (at, landmark) = landmarks.next()?;
        match landmark {
            CODE => category = category.or(Some(at)),
            PRICE => price = price.or(Some(at)),
            _ => return None,
        }
    }
}
