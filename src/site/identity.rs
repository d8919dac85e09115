//! Whether a page is the one that was requested, according to the addresses that it names itself.
//!
//! The connection and the address of a request prove nothing. A surplus response shifts all later
//! responses of a connection by one, a cache may swap pages, and a redirect may lead to another index.
//! Every real company page names its address twice: `"StockUrl" : "/stocks/mmm/price"` in the script
//! of the chart, and `r=%2fstocks%2fmmm-stock` in the link to log in. Index pages name their index in
//! `rel=canonical`; that of company pages is wrong on some real pages and is not used.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memmem::{self, Finder};
use memchr::{memchr, memrchr};
use percent_encoding::percent_decode_str;
use scraper::Selector;

use crate::site::dom;
use crate::site::landmarks::identity::{CANONICAL, LOGIN_TARGET, STOCK_URL};
use crate::site::paths::{COMPANY_PREFIX, INDEX_PREFIX};
use crate::site::scan;

/// Maximum number of places with the word `canonical` that are tried. Real pages have one or none.
const MAX_CANONICAL: usize = 8;
/// Maximum size of a link to log in, in bytes. Real ones have 40. Without a limit, a page of nothing but
/// such links would take minutes.
const MAX_TARGET: usize = 1 << 10;
/// Maximum size of the tag with the canonical address, in bytes. Real ones have 110.
const MAX_TAG: usize = 2 << 10;

/// What a page says about the request that it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// It names the requested address.
    Confirmed,
    /// It names no address.
    Unnamed,
    /// It names this address, and not the requested one.
    Other(String),
}

/// Compares the addresses that a page names with the requested one. `asked` and `reached`, the target
/// of the last redirect, are addresses or paths with their query.
pub fn check(html: &[u8], asked: &str, reached: Option<&str>) -> Identity {
    match (company_slug(asked), IndexAddress::of(asked)) {
        (Some(slug), _) => check_company(html, &slug, reached.and_then(company_slug).as_deref()),
        (_, Some(index)) => check_index(html, &index, reached),
        // robots.txt and exchange rates name no address, so any named one is of another page.
        (None, None) => stock_url(html)
            .or_else(|| canonical_index(html))
            .map_or(Identity::Unnamed, Identity::Other),
    }
}

fn check_company(html: &[u8], asked: &str, reached: Option<&str>) -> Identity {
    // On every page of a crawl, the script of the chart lies behind the first third. Searching from there
    // takes a quarter of the time.
    let third = html.len() / 3;
    let stock_urls = stock_urls(&html[third..]).chain(stock_urls(html));
    let mut other = None;
    for (named, slug) in stock_urls.chain(login_targets(html)) {
        if slug == asked || reached.is_some_and(|reached| slug == reached) {
            return Identity::Confirmed;
        }
        other.get_or_insert(named);
    }
    other
        .or_else(|| canonical_index(html))
        .map_or(Identity::Unnamed, Identity::Other)
}

/// A redirect to another page of the index, or to another index, is a statement too.
fn check_index(html: &[u8], asked: &IndexAddress, reached: Option<&str>) -> Identity {
    if let Some(reached) = reached
        && IndexAddress::of(reached).is_none_or(|target| target != *asked)
    {
        return Identity::Other(reached.to_owned());
    }
    let Some(canonical) = canonical_index(html) else {
        return stock_url(html).map_or(Identity::Unnamed, Identity::Other);
    };
    match IndexAddress::of(&canonical) {
        Some(named) if named.name == asked.name && named.may_be_letter(&asked.letter) => {
            Identity::Confirmed
        }
        _ => Identity::Other(canonical),
    }
}

/// The addresses of companies in `"StockUrl"`, each with its slug.
fn stock_urls(html: &[u8]) -> impl Iterator<Item = (String, String)> {
    static FINDER: LazyLock<Finder> = LazyLock::new(|| Finder::new(STOCK_URL));
    FINDER
        .find_iter(html)
        .filter_map(|at| scan::json_text(&html[at + STOCK_URL.len()..]))
        .filter_map(with_slug)
}

fn stock_url(html: &[u8]) -> Option<String> {
    stock_urls(html).next().map(|(address, _)| address)
}

/// The percent-decoded addresses of companies in links to log in, each with its slug.
fn login_targets(html: &[u8]) -> impl Iterator<Item = (String, String)> {
    let targets = memmem::find_iter(html, LOGIN_TARGET).map(|at| &html[at + LOGIN_TARGET.len()..]);
    targets.filter_map(|target| {
        let target = &target[..target.len().min(MAX_TARGET)];
        let ends = |byte: &u8| {
            matches!(
                byte,
                b'\'' | b'"' | b'&' | b'#' | b'<' | b'\\' | b' ' | b'\n' | b'\r'
            )
        };
        let end = target.iter().position(ends)?;
        let target = std::str::from_utf8(&target[..end]).ok()?;
        with_slug(decoded(target).into_owned())
    })
}

fn with_slug(address: String) -> Option<(String, String)> {
    let slug = company_slug(&address)?;
    Some((address, slug))
}

/// The address in `rel=canonical`, if it is that of an index page.
fn canonical_index(html: &[u8]) -> Option<String> {
    static LINK: LazyLock<Selector> =
        LazyLock::new(|| Selector::parse("link[rel~=canonical][href]").expect("a valid selector"));
    let address = |at: usize| {
        let start = memrchr(b'<', &html[..at])?;
        let end = at + memchr(b'>', &html[at..])? + 1;
        let tag = Some(&html[start..end]).filter(|tag| tag.len() <= MAX_TAG)?;
        let tag = dom::fragment(&String::from_utf8_lossy(tag)).ok()?;
        let address = tag.select(&LINK).next()?.attr("href")?.trim();
        IndexAddress::of(address).map(|_| address.to_owned())
    };
    memmem::find_iter(html, CANONICAL)
        .take(MAX_CANONICAL)
        .find_map(address)
}

/// The part of a company's address that identifies it, decoded and in lower case: `mmm` for
/// `/stocks/mmm-stock`, `/stocks/mmm/price` and `https://…/stocks/MMM-stock?x`. `None` for other
/// addresses.
fn company_slug(address: &str) -> Option<String> {
    let (_, after) = address.split_once(COMPANY_PREFIX)?;
    let slug = after.split(['/', '?', '#']).next()?;
    // An address in the query of another one is encoded twice.
    let slug = decoded(&decoded(slug)).to_lowercase();
    let slug = slug.strip_suffix("-stock").unwrap_or(&slug);
    (!slug.is_empty()).then(|| slug.to_owned())
}

/// Which page of which index an address is of.
#[derive(Debug, PartialEq, Eq)]
struct IndexAddress {
    /// Decoded and in lower case.
    name: String,
    letter: Option<String>,
    /// 1 without a number in the address.
    number: String,
}

impl IndexAddress {
    /// `None` unless the address is of an index page.
    fn of(address: &str) -> Option<Self> {
        let (_, after) = address.split_once(INDEX_PREFIX)?;
        let after = after.split('#').next()?;
        let (path, query) = after.split_once('?').unwrap_or((after, ""));
        let (name, letter) = path.trim_end_matches('/').split_once('/').map_or_else(
            || (path.trim_end_matches('/'), None),
            |(name, letter)| (name, Some(decoded(letter).to_uppercase())),
        );
        let number = query.split('&').find_map(|pair| pair.strip_prefix("p="));
        Some(IndexAddress {
            name: decoded(name).to_lowercase(),
            letter,
            number: number.unwrap_or("1").to_owned(),
        })
    }

    /// Whether a page that names this address may be the page of a letter. On real pages the
    /// canonical address has neither number nor letter.
    fn may_be_letter(&self, letter: &Option<String>) -> bool {
        self.letter.is_none() || self.letter == *letter
    }
}

/// Percent-decodes a text. Bytes that are not UTF-8 are taken for Latin-1, so that `%e8` and `%e9` stay
/// different letters.
fn decoded(text: &str) -> Cow<'_, str> {
    let bytes: Cow<[u8]> = percent_decode_str(text).into();
    match bytes {
        Cow::Borrowed(_) => Cow::Borrowed(text),
        Cow::Owned(bytes) => String::from_utf8(bytes).map_or_else(
            |error| error.as_bytes().iter().copied().map(char::from).collect(),
            Cow::Owned,
        ),
    }
}
