//! What a page of any site says: its title and its headings.

use serde::{Deserialize, Serialize};
use std::mem;

use html5ever::ns;
use scraper::{ElementRef, Html, Node};

use crate::site::dom::{self, TooLarge};

/// Maximum number of characters of a title or a heading.
const MAX_CHARS: usize = 1000;
/// Maximum number of characters that are read for one of them, white space included. Headings can be nested,
/// and each has the text of those inside it.
const MAX_SCANNED: usize = 100_000;
/// Maximum number of headings of a page.
const MAX_HEADINGS: usize = 10_000;

/// How a document without a content type begins if it is HTML, in lower case
/// (<https://mimesniff.spec.whatwg.org/#identifying-a-resource-with-an-unknown-mime-type>). A space or a `>`
/// follows all but the last.
const HTML_STARTS: [&str; 17] = [
    "!doctype html",
    "html",
    "head",
    "script",
    "iframe",
    "h1",
    "div",
    "font",
    "table",
    "a",
    "style",
    "title",
    "b",
    "body",
    "br",
    "p",
    "!--",
];

/// Elements whose text no browser with scripts shows.
const NOT_SHOWN: [&str; 7] = [
    "script", "style", "template", "noscript", "iframe", "noembed", "noframes",
];

/// What a page says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageText {
    /// Characters (Unicode scalar values) of the whole text of the page, markup included.
    pub chars: u64,
    /// The text of the first `title`; `None` if there is none, or the page is no HTML.
    pub title: Option<String>,
    /// The headings in the order of the page; none if the page is no HTML.
    pub headings: Vec<Heading>,
}

/// A heading. White space in its text is single spaces, and a text of over 1,000 characters is cut there and
/// ends with `…`. Titles are the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heading {
    /// 1 to 4: h1 to h4.
    pub level: u8,
    pub text: String,
}

impl PageText {
    /// Reads a page without its headings. A title behind more markup than any page of the site has is not
    /// found.
    pub fn with_title(text: &str, content_type: Option<&str>) -> Self {
        let is_html = is_html(text, content_type);
        PageText {
            chars: text.chars().count() as u64,
            title: is_html.then(|| title(text)).flatten(),
            headings: Vec::new(),
        }
    }

    /// Reads a page with its headings, up to 10,000. Those in comments, scripts and templates are none; those
    /// that are hidden count.
    pub fn with_headings(text: &str, content_type: Option<&str>) -> Result<Self, TooLarge> {
        let headings = if is_html(text, content_type) {
            headings(text)?
        } else {
            Vec::new()
        };
        Ok(PageText {
            headings,
            ..PageText::with_title(text, content_type)
        })
    }
}

/// Whether a text is HTML: by its content type, or without one by its beginning.
fn is_html(text: &str, content_type: Option<&str>) -> bool {
    if let Some(content_type) = content_type {
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        return ["text/html", "application/xhtml+xml"]
            .iter()
            .any(|html| media_type.eq_ignore_ascii_case(html));
    }
    let text = text.trim_start_matches('\u{feff}').trim_ascii_start();
    let Some(tag) = text.strip_prefix('<') else {
        return false;
    };
    HTML_STARTS.iter().any(|start| {
        let rest = tag
            .get(..start.len())
            .filter(|this| this.eq_ignore_ascii_case(start));
        rest.is_some() && (*start == "!--" || tag[start.len()..].starts_with([' ', '>']))
    })
}

fn title(text: &str) -> Option<String> {
    let html = dom::document_up_to_title(text.as_bytes()).ok()?;
    let title = elements(&html).find(|element| dom::is_title(*element));
    title.map(text_of)
}

fn headings(text: &str) -> Result<Vec<Heading>, TooLarge> {
    let html = dom::document(text.as_bytes())?;
    let headings = elements(&html).filter_map(|element| {
        let level = level(element)?;
        let is_template = |outer: ElementRef| outer.value().name() == "template";
        let is_inert = element
            .ancestors()
            .filter_map(ElementRef::wrap)
            .any(is_template);
        (!is_inert).then(|| Heading {
            level,
            text: text_of(element),
        })
    });
    Ok(headings.take(MAX_HEADINGS).collect())
}

fn elements(html: &Html) -> impl Iterator<Item = ElementRef<'_>> {
    html.tree.root().descendants().filter_map(ElementRef::wrap)
}

fn level(element: ElementRef) -> Option<u8> {
    let name = &element.value().name;
    let level = ["h1", "h2", "h3", "h4"]
        .iter()
        .position(|level| *level == &*name.local)?;
    (name.ns == ns!(html)).then_some(level as u8 + 1)
}

fn text_of(element: ElementRef) -> String {
    let mut shown = ShownText::default();
    shown.append(element);
    shown.text
}

/// The text of an element and of all in it that is shown, with single spaces, cut.
#[derive(Default)]
struct ShownText {
    text: String,
    /// Characters of `text`.
    chars: usize,
    /// Characters read, white space included.
    scanned: usize,
    pending_space: bool,
}

impl ShownText {
    /// Recurses as deep as the elements are nested, which `dom` limits.
    fn append(&mut self, element: ElementRef) {
        for child in element.children() {
            if self.scanned >= MAX_SCANNED {
                return;
            }
            if let Node::Text(text) = child.value() {
                text.chars().for_each(|c| self.push(c));
            }
            let shown = ElementRef::wrap(child);
            let shown = shown.filter(|child| !NOT_SHOWN.contains(&child.value().name()));
            if let Some(child) = shown {
                self.append(child);
            }
        }
    }

    fn push(&mut self, c: char) {
        self.scanned += 1;
        if self.scanned > MAX_SCANNED {
            return;
        }
        if c.is_whitespace() {
            self.pending_space = self.chars > 0;
            return;
        }
        let space = mem::take(&mut self.pending_space).then_some(' ');
        for c in space.into_iter().chain([c]) {
            if self.chars == MAX_CHARS {
                self.text.push('…');
                self.scanned = MAX_SCANNED;
                return;
            }
            self.text.push(c);
            self.chars += 1;
        }
    }
}
