//! Addresses of the two sites and the paths of their pages.

use jiff::civil::Date;

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

/// Path of a numbered page of an index, counted from 1.
pub fn numbered_page(index: &str, number: u32) -> String {
    format!("{INDEX_PREFIX}{index}?p={number}")
}

/// The path of a page without the parameters that do not change it: `p=1`, because page 1 has a path
/// without a number too, and `op`, which links of other sites have.
pub fn without_idle_parameters(path: &str) -> String {
    let (page, query) = path.split_once('?').unwrap_or((path, ""));
    let is_idle = |pair: &&str| *pair == "p=1" || pair.split('=').next() == Some("op");
    let pairs: Vec<&str> = query.split('&').filter(|pair| !is_idle(pair)).collect();
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

/// Path and query of an address.
pub fn of_address(address: &str) -> &str {
    let host = address.find("://").map_or(0, |at| at + "://".len());
    address[host..]
        .find('/')
        .map_or("/", |at| &address[host + at..])
}

/// Whether a path belongs to the site of the rates, for callers that know the path alone.
pub fn is_rates(path: &str) -> bool {
    path.starts_with(RATES)
}
