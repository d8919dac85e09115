//! Block pages: captchas, consent forms, log-ins and waiting rooms that a site sends instead of the page
//! requested.
//!
//! They come with status 200 or another. This program recognises and names them, and does not try to
//! pass them. The signs are, from the surest to the weakest: headers, the title and the heading, texts
//! that only block pages have, and words of a small page.

use std::fmt::{self, Display, Formatter};
use std::iter;
use std::ops::Range;

use http::HeaderMap;
use memchr::memmem;

use crate::site::landmarks;
use crate::site::text;

/// Words count on small pages only. A real company page has 92 KB or more, an index page 150. A larger
/// page that is not recognised has another layout, whatever words its scripts and footers contain.
const MAX_BYTES: usize = 64 << 10;
/// Longer titles are cut when they are printed.
const MAX_TITLE: usize = 60;

/// A text that shows a block page, in lower case, and the product that uses it, if it is known.
type Known = (&'static str, Option<&'static str>);

const AWS_WAF: Option<&str> = Some("AWS WAF");
const AKAMAI: Option<&str> = Some("Akamai");
const CLOUDFLARE: Option<&str> = Some("Cloudflare");
const DATADOME: Option<&str> = Some("DataDome");
const DDOS_GUARD: Option<&str> = Some("DDoS-Guard");
const F5: Option<&str> = Some("F5");
const IMPERVA: Option<&str> = Some("Imperva");
const KASADA: Option<&str> = Some("Kasada");
const PERIMETERX: Option<&str> = Some("PerimeterX");
const QUEUE: Option<&str> = Some("a waiting room");
const RADWARE: Option<&str> = Some("Radware");
const SUCURI: Option<&str> = Some("Sucuri");
const VERCEL: Option<&str> = Some("Vercel");

/// Headers that only responses of a block have.
const HEADERS: [Known; 4] = [
    ("cf-mitigated", CLOUDFLARE),
    ("x-amzn-waf-action", AWS_WAF),
    ("x-sucuri-block", SUCURI),
    ("x-vercel-mitigated", VERCEL),
];

/// Parts of titles and headings.
const TITLES: [Known; 41] = [
    ("just a moment", CLOUDFLARE),
    ("attention required!", CLOUDFLARE),
    ("please wait... | cloudflare", CLOUDFLARE),
    ("used cloudflare to restrict access", CLOUDFLARE),
    ("ddos-guard", DDOS_GUARD),
    ("ddos protection", None),
    ("pardon our interruption", PERIMETERX),
    ("access to this page has been denied", PERIMETERX),
    ("incapsula", IMPERVA),
    ("imperva", IMPERVA),
    ("request unsuccessful", IMPERVA),
    ("human verification", AWS_WAF),
    ("request rejected", F5),
    ("sucuri", SUCURI),
    ("radware bot manager", RADWARE),
    ("vercel security checkpoint", VERCEL),
    ("you are now in line", QUEUE),
    ("you are in line", QUEUE),
    ("waiting room", QUEUE),
    ("queue-it", QUEUE),
    ("virtual queue", QUEUE),
    ("captcha", None),
    ("access denied", None),
    ("blocked", None),
    ("forbidden", None),
    ("unauthorized", None),
    ("too many requests", None),
    ("rate limit", None),
    ("unusual traffic", None),
    ("are you a robot", None),
    ("are you human", None),
    ("robot check", None),
    ("bot protection", None),
    ("security check", None),
    ("security challenge", None),
    ("checking your browser", None),
    ("one moment, please", None),
    ("verify you are", None),
    ("before you continue", None),
    ("consent", None),
    ("sign in", None),
];

/// Texts in the code and the sentences of block pages. A page of the site itself, to which the same
/// products may add scripts, has none of them.
const TEXTS: [Known; 18] = [
    ("pardon our interruption", PERIMETERX),
    ("you are now in line", QUEUE),
    ("sorry, you have been blocked", CLOUDFLARE),
    ("enable javascript and cookies to continue", CLOUDFLARE),
    ("checking your browser before accessing", None),
    ("_cf_chl_opt", CLOUDFLARE),
    ("cf-challenge", CLOUDFLARE),
    ("incapsula incident id", IMPERVA),
    ("id=\"main-iframe\" src=\"/_incapsula_resource", IMPERVA),
    ("captcha-delivery.com", DATADOME),
    ("px-captcha", PERIMETERX),
    ("_pxappid", PERIMETERX),
    ("errors.edgesuite.net", AKAMAI),
    ("gokuprops", AWS_WAF),
    ("window.kpsdk", KASADA),
    ("perfdrive.com", RADWARE),
    ("check.ddos-guard.net", DDOS_GUARD),
    ("queue-it.net", QUEUE),
];

/// Words of small block pages.
const WORDS: [Known; 28] = [
    ("just a moment", CLOUDFLARE),
    ("challenge-platform", CLOUDFLARE),
    ("_incapsula_resource", IMPERVA),
    ("ddos-guard", DDOS_GUARD),
    ("perimeterx", PERIMETERX),
    ("datadome", DATADOME),
    ("awswaf", AWS_WAF),
    ("the requested url was rejected", F5),
    ("sucuri", SUCURI),
    ("waiting room", QUEUE),
    ("queue-it", QUEUE),
    ("captcha", None),
    ("turnstile", CLOUDFLARE),
    ("verify you are", None),
    ("verify that you are", None),
    ("are you a robot", None),
    ("not a robot", None),
    ("unusual traffic", None),
    ("automated access", None),
    ("enable javascript", None),
    ("javascript is disabled", None),
    ("enable cookies", None),
    ("before you continue", None),
    ("your privacy", None),
    ("access denied", None),
    ("has been blocked", None),
    ("have been blocked", None),
    ("sign in to continue", None),
];

/// Parts of the header `server`, which name a product that stands before a site. Not a sign of a block.
const SERVERS: [Known; 7] = [
    ("cloudflare", CLOUDFLARE),
    ("ddos-guard", DDOS_GUARD),
    ("akamai", AKAMAI),
    ("imperva", IMPERVA),
    ("incapsula", IMPERVA),
    ("sucuri", SUCURI),
    ("datadome", DATADOME),
];

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

/// The sign that a response is a block page, whatever its status. `None` if there is none: then a page
/// that cannot be parsed has another layout.
pub fn sign(headers: &HeaderMap, html: &[u8]) -> Option<Sign> {
    sure_sign(headers, html).or_else(|| {
        if html.len() > MAX_BYTES || landmarks::any_in(html) {
            return None;
        }
        let (word, product) = find(&WORDS, &html.to_ascii_lowercase())?;
        Some(Sign {
            product: product.or_else(|| product_before(headers)),
            what: format!("it contains {word:?}"),
        })
    })
}

/// Like [`sign`], but without words, for an error page or a part of a page: both may have any words.
pub fn sure_sign(headers: &HeaderMap, html: &[u8]) -> Option<Sign> {
    if let Some((name, product)) = HEADERS.iter().find(|(name, _)| headers.contains_key(*name)) {
        let value = String::from_utf8_lossy(headers[*name].as_bytes());
        return Some(Sign {
            product: *product,
            what: format!("header {name}: {}", text::prefix(&value, MAX_TITLE)),
        });
    }
    if landmarks::any_in(html) {
        return None;
    }
    let lower = html.to_ascii_lowercase();
    let heading = ["title", "h1"].into_iter().find_map(|element| {
        let content = content(&lower, element)?;
        let text = String::from_utf8_lossy(&html[content]);
        let text = text::words(iter::once(&*text));
        let (_, product) = find(&TITLES, text.to_ascii_lowercase().as_bytes())?;
        let text = text::prefix(&text, MAX_TITLE);
        Some((product, format!("{element} {text:?}")))
    });
    let (product, what) = heading.or_else(|| {
        let (text, product) = find(&TEXTS, &lower)?;
        Some((product, format!("it contains {text:?}")))
    })?;
    Some(Sign {
        product: product.or_else(|| product_before(headers)),
        what,
    })
}

/// The product that stands before a site, by the header `server`.
pub fn product_before(headers: &HeaderMap) -> Option<&'static str> {
    let server = headers.get(http::header::SERVER)?;
    find(&SERVERS, &server.as_bytes().to_ascii_lowercase())?.1
}

/// The first of these texts that `lower` contains.
fn find(known: &[Known], lower: &[u8]) -> Option<Known> {
    let is_there = |(text, _): &&Known| memmem::find(lower, text.as_bytes()).is_some();
    known.iter().find(is_there).copied()
}

/// Where the content of the first `element` is in a page in lower case.
fn content(lower: &[u8], element: &str) -> Option<Range<usize>> {
    let tag = memmem::find(lower, format!("<{element}").as_bytes())?;
    let start = tag + memchr::memchr(b'>', &lower[tag..])? + 1;
    let length = memmem::find(&lower[start..], format!("</{element}").as_bytes())?;
    Some(start..start + length)
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
            // The script that Cloudflare adds to pages that it lets through
            &format!(
                "{long}<script src='/cdn-cgi/challenge-platform/scripts/jsd/main.js'></script>"
            ),
        ] {
            assert_eq!(sign(&HeaderMap::new(), html.as_bytes()), None, "{html:.80}");
        }
        for html in [
            "<title>x.com | 522: Connection timed out</title><div id=cf-error-details>Ray ID</div>",
            "<title>Site maintenance</title>Please enable JavaScript",
        ] {
            assert_eq!(
                sure_sign(&HeaderMap::new(), html.as_bytes()),
                None,
                "{html}"
            );
        }
    }
}
