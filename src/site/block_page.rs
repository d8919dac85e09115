//! Block pages: captchas, consent forms, log-ins and waiting rooms that a site sends instead of the page
//! requested.
//!
//! They come with status 200 or another. This program recognises and names them, and does not try to
//! pass them. Signs are of several kinds, from the surest to the weakest; see [`Evidence`].

use std::fmt::{self, Display, Formatter};
use std::iter;

use http::HeaderMap;
use memchr::memmem;

use crate::site::block_texts::{ADDED_HEADERS, HEADERS, Known, SERVERS, TEXTS, TITLES, WORDS};
use crate::site::landmarks;
use crate::site::text;

/// Words count on small pages only. A real company page has 92 KB or more, an index page 150. A larger
/// page that is not recognised has another layout, whatever words its scripts and footers contain.
const MAX_BYTES: usize = 64 << 10;
/// A smaller page without any landmark is of the product before the site, if there is one: no page of the
/// site is so small.
const MAX_FOREIGN: usize = 16 << 10;
/// Longer titles are cut when they are printed.
const MAX_TITLE: usize = 60;

/// What shows that a response is a block page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sign {
    product: Option<&'static str>,
    /// The header, title or text, as a phrase.
    what: String,
}

/// Like `a block page of Cloudflare (title "Just a moment...")`.
impl Display for Sign {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        f.write_str("a block page")?;
        if let Some(product) = self.product {
            write!(f, " of {product}")?;
        }
        write!(f, " ({})", self.what)
    }
}

/// The kinds of signs, the surest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Evidence {
    /// A header that only responses of a block have.
    Header,
    /// The title. An error page of a site that is out of order may have all signs after this.
    Title,
    /// A text that only block pages have. A part of a page may have all signs after this.
    Text,
    /// A word of a page of at most 64 KiB.
    Word,
    /// A page of at most 16 KiB if a product before the site may have sent it.
    Size,
}

impl Evidence {
    const ALL: [Evidence; 5] = [
        Evidence::Header,
        Evidence::Title,
        Evidence::Text,
        Evidence::Word,
        Evidence::Size,
    ];
}

/// The surest sign that a response is a block page, of those that are no weaker than `weakest`. `None` if
/// there is none; of a page with a landmark of the site, only a header is one.
pub fn sign(headers: &HeaderMap, html: &[u8], weakest: Evidence) -> Option<Sign> {
    let weakest = if landmarks::any_in(html) {
        Evidence::Header
    } else {
        weakest
    };
    let lower = html.to_ascii_lowercase();
    let mut kinds = Evidence::ALL.iter().filter(|kind| **kind <= weakest);
    let (product, what) = kinds.find_map(|kind| match kind {
        Evidence::Header => header(headers),
        Evidence::Title => title(html, &lower),
        Evidence::Text => contained(&TEXTS, &lower),
        Evidence::Word if html.len() > MAX_BYTES => None,
        Evidence::Word => contained(&WORDS, &lower),
        Evidence::Size => size(headers, html),
    })?;
    Some(Sign {
        product: product.or_else(|| product_before(headers)),
        what,
    })
}

/// The product that a sign names, if it names one, and the sign as a phrase.
type Found = (Option<&'static str>, String);

fn header(headers: &HeaderMap) -> Option<Found> {
    let mut known = HEADERS.iter();
    let (name, product) = known.find(|(name, _)| headers.contains_key(*name))?;
    let value = String::from_utf8_lossy(headers[*name].as_bytes());
    let what = format!("header {name}: {}", text::prefix(&value, MAX_TITLE));
    Some((*product, what))
}

/// The first `title` of a page, if it is known; `lower` is the page in lower case.
fn title(html: &[u8], lower: &[u8]) -> Option<Found> {
    let tag = memmem::find(lower, b"<title")?;
    let start = tag + memchr::memchr(b'>', &lower[tag..])? + 1;
    let length = memmem::find(&lower[start..], b"</title")?;
    let title = String::from_utf8_lossy(&html[start..start + length]).replace("&nbsp;", " ");
    let title = text::words(iter::once(&*title));
    let (_, product) = find(&TITLES, title.to_ascii_lowercase().as_bytes(), is_phrase)?;
    let what = format!("title {:?}", text::prefix(&title, MAX_TITLE));
    Some((product, what))
}

fn contained(known: &[Known], lower: &[u8]) -> Option<Found> {
    let (text, product) = find(known, lower, |_, _| true)?;
    Some((product, format!("it contains {text:?}")))
}

fn size(headers: &HeaderMap, html: &[u8]) -> Option<Found> {
    let size = html.len();
    let product = product_before(headers).filter(|_| size <= MAX_FOREIGN)?;
    let what = format!("{size} bytes without any landmark of the site");
    Some((Some(product), what))
}

/// The product that stands before a site, by the header `server` or one that the product adds.
pub fn product_before(headers: &HeaderMap) -> Option<&'static str> {
    let of_server = || {
        let server = headers.get(http::header::SERVER)?.as_bytes();
        find(&SERVERS, &server.to_ascii_lowercase(), |_, _| true)?.1
    };
    let is_there = |(name, _): &&Known| headers.contains_key(*name);
    let of_header = || ADDED_HEADERS.iter().find(is_there)?.1;
    of_server().or_else(of_header)
}

/// The first of these texts that `lower` contains where `counts` holds of what is before and after it.
fn find(known: &[Known], lower: &[u8], counts: impl Fn(&[u8], &[u8]) -> bool) -> Option<Known> {
    let is_there = |(text, _): &&Known| {
        let mut places = memmem::find_iter(lower, text.as_bytes());
        places.any(|at| counts(&lower[..at], &lower[at + text.len()..]))
    };
    known.iter().find(is_there).copied()
}

/// Whether a text between these two is no part of a word: `sign in`, but not `design inc`.
fn is_phrase(before: &[u8], after: &[u8]) -> bool {
    let is_word = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    !is_word(before.last()) && !is_word(after.first())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::landmarks::company;

    #[test]
    fn other_pages_are_no_block_pages() {
        let long = "x".repeat(MAX_BYTES);
        for html in [
            "",
            "<html><title>3M Stock</title>Something else</html>",
            // A page of the site with the words of its footer
            &format!(
                "<title>Consent</title><b class='{}'></b>captcha",
                company::PRICE
            ),
            &format!(
                "<html><title>New</title>{long} enable JavaScript, captcha, your privacy</html>"
            ),
            // What the products add to pages that they let through
            &format!(
                "{long}<script src='/cdn-cgi/challenge-platform/scripts/jsd/main.js'></script>"
            ),
            &format!("{long}<script src='/_Incapsula_Resource?SWJIYLWA=1'></script>"),
            &format!("{long}<script>window._pxAppId = 'PX1'; window.KPSDK = {{}}</script>"),
            &format!("{long}<script src='//static.queue-it.net/script/queueclient.js'></script>"),
            "<html><title>Cadence Design Inc Stock</title>Something else</html>",
            "<html><title>Imperva Inc Stock</title>Something else</html>",
        ] {
            let sign = sign(&HeaderMap::new(), html.as_bytes(), Evidence::Size);
            assert_eq!(sign, None, "{html:.80}");
        }
        for html in [
            "<title>x.com | 522: Connection timed out</title><div id=cf-error-details>Ray ID</div>",
            "<title>Site maintenance</title>Please enable JavaScript",
            "<title>500</title><script>window._pxAppId = 'PX1'</script>",
        ] {
            let sign = sign(&HeaderMap::new(), html.as_bytes(), Evidence::Title);
            assert_eq!(sign, None, "{html}");
        }
    }
}
