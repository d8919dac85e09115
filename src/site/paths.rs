//! Addresses of the two sites and the paths of their pages.

use std::borrow::Cow;
use std::slice;

use jiff::civil::Date;
use percent_encoding::{
    AsciiSet, CONTROLS, percent_decode_str, percent_encode, utf8_percent_encode,
};

/// The site of the index and company pages: scheme and host, without a slash at the end.
pub const LIVE_PAGES: &str = "https://markets.businessinsider.com";
/// The site of the Bank of Russia, in the same form.
pub const LIVE_RATES: &str = "https://www.cbr.ru";

pub const ROBOTS: &str = "/robots.txt";
pub const RATES: &str = "/scripts/XML_daily.asp";
/// Prefix of the paths of all company pages, such as `/stocks/mmm-stock`.
pub const COMPANY_PREFIX: &str = "/stocks/";
/// Prefix of the paths of all index pages.
pub const INDEX_PREFIX: &str = "/index/components/";

/// The index of a run without `--index`.
pub const DEFAULT_INDEX: &str = "s&p_500";

/// The indices that the site links to, as its addresses spell them.
pub const INDICES: [&str; 6] = [
    "dow_jones",
    "nasdaq_100",
    "s&p_500",
    "dax",
    "ftse_100",
    "euro_stoxx_50",
];

/// The letter pages of an index, in the order of their requests.
pub const LETTERS: [&str; 27] = [
    "A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L", "M", "N", "O", "P", "Q", "R", "S",
    "T", "U", "V", "W", "X", "Y", "Z", "0-9",
];

/// The ASCII characters that an address cannot contain as they are (RFC 3986, 2), without `%`, `[` and
/// `]`: browsers send these as they are.
const NOT_IN_ADDRESSES: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// A path, or a whole address, as it is sent: what an address cannot contain is percent-encoded, letters
/// beyond ASCII as UTF-8. Escapes, and a `%` that begins none, stay as they are.
pub fn encoded(path: &str) -> Cow<'_, str> {
    utf8_percent_encode(path, NOT_IN_ADDRESSES).into()
}

/// One spelling for all paths that surely mean the same page. Encodes like [`encoded`], decodes escaped
/// letters, digits and `-._~` (RFC 3986, 6.2.2.2), and writes escapes of bytes that [`encoded`] escapes in
/// upper case.
///
/// Escapes of other characters stay as they are: for some sites `a%2fb` and `a%2Fb` are two pages, or
/// `a%26b` and `a&b`.
pub fn canonical(path: &str) -> Cow<'_, str> {
    let path = encoded(path);
    if !path.contains('%') {
        return path;
    }
    let mut canonical = String::with_capacity(path.len());
    let mut rest = &*path;
    while let Some(at) = rest.find('%') {
        let (before, escape) = rest.split_at(at);
        canonical.push_str(before);
        let Some(byte) = escaped_byte(escape) else {
            canonical.push('%');
            rest = &escape[1..];
            continue;
        };
        let (escape, after) = escape.split_at(3);
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            canonical.push(char::from(byte));
        } else if is_encoded(byte) {
            canonical.push_str(&escape.to_ascii_uppercase());
        } else {
            canonical.push_str(escape);
        }
        rest = after;
    }
    canonical.push_str(rest);
    Cow::Owned(canonical)
}

/// The byte that the escape at the start of a text stands for.
fn escaped_byte(text: &str) -> Option<u8> {
    let digits = text.get(1..3)?;
    let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_hex.then(|| u8::from_str_radix(digits, 16).ok())?
}

/// Whether [`encoded`] escapes a byte.
fn is_encoded(byte: u8) -> bool {
    let mut parts = percent_encode(slice::from_ref(&byte), NOT_IN_ADDRESSES);
    parts.next().is_some_and(|part| part.len() > 1)
}

/// Path of a numbered page of an index, counted from 1.
pub fn numbered_page(index: &str, number: u32) -> String {
    format!("{INDEX_PREFIX}{index}?p={number}")
}

/// The path without query parameters that the site ignores: `p=1`, because page 1 also has a path without a
/// number, and `op`, which other sites add to links.
pub fn without_ignored_parameters(path: &str) -> String {
    let (page, query) = path.split_once('?').unwrap_or((path, ""));
    let is_ignored = |pair: &&str| *pair == "p=1" || pair.split('=').next() == Some("op");
    let pairs: Vec<&str> = query.split('&').filter(|pair| !is_ignored(pair)).collect();
    match pairs.join("&") {
        query if query.is_empty() => page.to_owned(),
        query => format!("{page}?{query}"),
    }
}

/// Path of a letter page of an index; `letter` is one of [`LETTERS`].
pub fn letter_page(index: &str, letter: &str) -> String {
    format!("{INDEX_PREFIX}{index}/{letter}")
}

/// Path of the Bank of Russia's rates for a day, or of the latest rates for `None`.
pub fn rates(date: Option<Date>) -> String {
    match date {
        Some(date) => format!(
            "{RATES}?date_req={:02}/{:02}/{}",
            date.day(),
            date.month(),
            date.year()
        ),
        None => RATES.to_owned(),
    }
}

/// Path and query of an address; a path stays as it is.
pub fn of_address(address: &str) -> &str {
    if address.starts_with('/') {
        return address;
    }
    let host = address.find("://").map_or(0, |at| at + "://".len());
    match address[host..].find(['/', '?', '#']) {
        Some(at) if address[host + at..].starts_with('/') => &address[host + at..],
        _ => "/",
    }
}

/// Whether a path belongs to the site of the rates, for callers that know the path alone.
pub fn is_rates(path: &str) -> bool {
    path.starts_with(RATES)
}

/// Whether a run may ask for a path: for a company, an index page, rates or robots.txt. Escapes count as what
/// they stand for.
pub fn may_be_requested(path: &str) -> bool {
    let has_prefix = |prefix: &&str| {
        let start = percent_decode_str(path).take(prefix.len());
        start.eq(prefix.bytes())
    };
    let prefixes = [COMPANY_PREFIX, INDEX_PREFIX, RATES, ROBOTS];
    prefixes.iter().any(has_prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spells_paths_as_they_are_sent() {
        for (path, sent, same) in [
            (
                "/stocks/mmm-stock",
                "/stocks/mmm-stock",
                "/stocks/mmm-stock",
            ),
            (
                "/index/s&p_500?p=1",
                "/index/s&p_500?p=1",
                "/index/s&p_500?p=1",
            ),
            ("/münchen", "/m%C3%BCnchen", "/m%C3%BCnchen"),
            ("/m%C3%BCnchen", "/m%C3%BCnchen", "/m%C3%BCnchen"),
            ("/m%c3%bcnchen", "/m%c3%bcnchen", "/m%C3%BCnchen"),
            ("/m%c3ünchen", "/m%c3%C3%BCnchen", "/m%C3%C3%BCnchen"),
            ("/a b", "/a%20b", "/a%20b"),
            ("/a\u{a0}b", "/a%C2%A0b", "/a%C2%A0b"),
            (
                "/`<>\"{}^|\\",
                "/%60%3C%3E%22%7B%7D%5E%7C%5C",
                "/%60%3C%3E%22%7B%7D%5E%7C%5C",
            ),
            ("/%7c%5e", "/%7c%5e", "/%7C%5E"),
            (
                "/[a]'()*+,;=:@!$~",
                "/[a]'()*+,;=:@!$~",
                "/[a]'()*+,;=:@!$~",
            ),
            ("/100%", "/100%", "/100%"),
            ("/%", "/%", "/%"),
            ("/%%41%4", "/%%41%4", "/%A%4"),
            ("/%zz%+f%é", "/%zz%+f%%C3%A9", "/%zz%+f%%C3%A9"),
            ("/a%2db%7Ec%2E", "/a%2db%7Ec%2E", "/a-b~c."),
            (
                "/a%2fb%2Fc%26d%3f",
                "/a%2fb%2Fc%26d%3f",
                "/a%2fb%2Fc%26d%3f",
            ),
            ("/%00%25", "/%00%25", "/%00%25"),
        ] {
            assert_eq!(encoded(path), sent, "{path}");
            assert_eq!(canonical(path), same, "{path}");
            assert_eq!(encoded(sent), sent, "{path}");
            assert_eq!(canonical(same), same, "{path}");
        }
    }
}
