//! Block pages: captchas, consent forms, log-ins and waiting rooms that a site sends instead of the page
//! requested.
//!
//! They come with status 200 or another. This program recognises and names them, and does not try to
//! pass them. The signs are, from the surest to the weakest: headers, the title, texts that only block
//! pages have, and words of a small page.

use std::fmt::{self, Display, Formatter};
use std::iter;

use http::HeaderMap;
use memchr::memmem;

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

/// A text that shows a block page, in lower case, and the product that uses it, if it is known.
type Known = (&'static str, Option<&'static str>);

const ANUBIS: Option<&str> = Some("Anubis");
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

/// Phrases of titles.
const TITLES: [Known; 51] = [
    ("just a moment", CLOUDFLARE),
    ("attention required!", CLOUDFLARE),
    ("please wait... | cloudflare", CLOUDFLARE),
    ("used cloudflare to restrict access", CLOUDFLARE),
    ("ddos-guard", DDOS_GUARD),
    ("ddos protection", None),
    ("pardon our interruption", PERIMETERX),
    ("access to this page has been denied", PERIMETERX),
    ("incapsula", IMPERVA),
    ("request unsuccessful", IMPERVA),
    ("human verification", AWS_WAF),
    ("request rejected", F5),
    ("sucuri website firewall", SUCURI),
    ("radware bot manager", RADWARE),
    ("vercel security checkpoint", VERCEL),
    ("making sure you're not a bot", ANUBIS),
    ("you are now in line", QUEUE),
    ("you are in line", QUEUE),
    ("waiting room", QUEUE),
    ("queue-it", QUEUE),
    ("virtual queue", QUEUE),
    ("captcha", None),
    ("access denied", None),
    ("access restricted", None),
    ("blocked", None),
    ("forbidden", None),
    ("unauthorized", None),
    ("too many requests", None),
    ("rate limit", None),
    ("rate limited", None),
    ("unusual traffic", None),
    ("are you a robot", None),
    ("are you human", None),
    ("not a robot", None),
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
    ("log in", None),
    ("login", None),
    ("subscribe to read", None),
    ("your privacy", None),
    ("privacy settings", None),
    ("datenschutz", None),
    ("limited by the site owner", None),
];

/// Texts that only block pages have. Of the scripts that the same products add to the pages they let
/// through, none is here.
const TEXTS: [Known; 19] = [
    ("pardon our interruption", PERIMETERX),
    ("you are now in line", QUEUE),
    ("sorry, you have been blocked", CLOUDFLARE),
    ("enable javascript and cookies to continue", CLOUDFLARE),
    ("checking your browser before accessing", None),
    ("to confirm you are a human", PERIMETERX),
    ("estimated wait time", QUEUE),
    ("_cf_chl_opt", CLOUDFLARE),
    ("/orchestrate/chl_page/", CLOUDFLARE),
    ("cf-challenge", CLOUDFLARE),
    ("incapsula incident id", IMPERVA),
    ("id=\"main-iframe\" src=\"/_incapsula_resource", IMPERVA),
    ("captcha-delivery.com", DATADOME),
    ("px-captcha", PERIMETERX),
    ("errors.edgesuite.net", AKAMAI),
    ("sec-if-cpt-container", AKAMAI),
    ("bm-verify=", AKAMAI),
    ("gokuprops", AWS_WAF),
    ("check.ddos-guard.net", DDOS_GUARD),
];

/// Words of small block pages.
const WORDS: [Known; 43] = [
    ("just a moment", CLOUDFLARE),
    ("challenge-platform", CLOUDFLARE),
    ("_incapsula_resource", IMPERVA),
    ("ddos-guard", DDOS_GUARD),
    ("perimeterx", PERIMETERX),
    ("_pxappid", PERIMETERX),
    ("datadome", DATADOME),
    ("awswaf", AWS_WAF),
    ("window.kpsdk", KASADA),
    ("perfdrive.com", RADWARE),
    ("the requested url was rejected", F5),
    ("sucuri", SUCURI),
    ("waiting room", QUEUE),
    ("queue-it", QUEUE),
    ("in the queue", QUEUE),
    ("captcha", None),
    ("turnstile", CLOUDFLARE),
    ("arkoselabs", None),
    ("geetest", None),
    ("verify you are", None),
    ("verify that you are", None),
    ("are you a robot", None),
    ("not a robot", None),
    ("not a bot", None),
    ("unusual traffic", None),
    ("too many requests", None),
    ("rate limit", None),
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
    ("log in to continue", None),
    ("type=\"password\"", None),
    ("in your region", None),
    ("in your country", None),
    ("location.reload", None),
    ("http-equiv=\"refresh\"", None),
];

/// Parts of the header `server` that name a product before a site, and headers that a product adds. A page
/// that it lets through has them too.
const SERVERS: [Known; 7] = [
    ("cloudflare", CLOUDFLARE),
    ("ddos-guard", DDOS_GUARD),
    ("akamai", AKAMAI),
    ("imperva", IMPERVA),
    ("incapsula", IMPERVA),
    ("sucuri", SUCURI),
    ("datadome", DATADOME),
];

const ADDED_HEADERS: [Known; 4] = [
    ("x-iinfo", IMPERVA),
    ("x-datadome", DATADOME),
    ("x-kpsdk-ct", KASADA),
    ("x-sucuri-id", SUCURI),
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

/// The sign that a response is a block page: a header, the title, a text, or a word. `None` if there is none:
/// then a page that cannot be parsed has another layout.
pub fn sign(headers: &HeaderMap, html: &[u8]) -> Option<Sign> {
    sure_sign(headers, html).or_else(|| {
        if html.len() > MAX_BYTES || landmarks::any_in(html) {
            return None;
        }
        text_sign(&WORDS, headers, html)
    })
}

/// Like [`sign`], but without words: a part of a page may have any.
pub fn sure_sign(headers: &HeaderMap, html: &[u8]) -> Option<Sign> {
    title_sign(headers, html).or_else(|| {
        if landmarks::any_in(html) {
            return None;
        }
        text_sign(&TEXTS, headers, html)
    })
}

/// Like [`sign`], but by headers and the title alone: an error page of a site that is out of order may have
/// all the rest.
pub fn title_sign(headers: &HeaderMap, html: &[u8]) -> Option<Sign> {
    header_sign(headers).or_else(|| {
        if landmarks::any_in(html) {
            return None;
        }
        let title = title(html)?;
        let (_, product) = find(&TITLES, title.to_ascii_lowercase().as_bytes(), is_phrase)?;
        let title = text::prefix(&title, MAX_TITLE);
        Some(Sign {
            product: product.or_else(|| product_before(headers)),
            what: format!("title {title:?}"),
        })
    })
}

/// Like [`sign`], but by headers alone.
pub fn header_sign(headers: &HeaderMap) -> Option<Sign> {
    let (name, product) = HEADERS
        .iter()
        .find(|(name, _)| headers.contains_key(*name))?;
    let value = String::from_utf8_lossy(headers[*name].as_bytes());
    Some(Sign {
        product: *product,
        what: format!("header {name}: {}", text::prefix(&value, MAX_TITLE)),
    })
}

fn text_sign(known: &[Known], headers: &HeaderMap, html: &[u8]) -> Option<Sign> {
    let (text, product) = find(known, &html.to_ascii_lowercase(), |_, _| true)?;
    Some(Sign {
        product: product.or_else(|| product_before(headers)),
        what: format!("it contains {text:?}"),
    })
}

/// The sign of a small page without any landmark, if a product before the site may have sent it.
pub fn foreign_sign(headers: &HeaderMap, html: &[u8]) -> Option<Sign> {
    if html.len() > MAX_FOREIGN || landmarks::any_in(html) {
        return None;
    }
    Some(Sign {
        product: Some(product_before(headers)?),
        what: format!("{} bytes without any landmark of the site", html.len()),
    })
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

/// The text of the first `title`.
fn title(html: &[u8]) -> Option<String> {
    let lower = html.to_ascii_lowercase();
    let tag = memmem::find(&lower, b"<title")?;
    let start = tag + memchr::memchr(b'>', &lower[tag..])? + 1;
    let length = memmem::find(&lower[start..], b"</title")?;
    let title = String::from_utf8_lossy(&html[start..start + length]).replace("&nbsp;", " ");
    Some(text::words(iter::once(&*title)))
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
            assert_eq!(sign(&HeaderMap::new(), html.as_bytes()), None, "{html:.80}");
        }
        for html in [
            "<title>x.com | 522: Connection timed out</title><div id=cf-error-details>Ray ID</div>",
            "<title>Site maintenance</title>Please enable JavaScript",
            "<title>500</title><script>window._pxAppId = 'PX1'</script>",
        ] {
            assert_eq!(
                title_sign(&HeaderMap::new(), html.as_bytes()),
                None,
                "{html}"
            );
        }
    }
}
