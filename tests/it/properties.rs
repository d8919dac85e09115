//! Properties of every parser for generated input. An input that has failed becomes a test case beside
//! the other tests of its parser.

use std::time::Duration;

use indexrank::http::decode;
use indexrank::inspect;
use indexrank::replica::{Faults, Plan};
use indexrank::site::company;
use indexrank::site::currency::Currency;
use indexrank::site::index;
use indexrank::site::number;
use indexrank::site::rates;
use indexrank::source::pauses;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use rust_decimal::Decimal;

/// Any number that the site could show.
fn decimal() -> impl Strategy<Value = Decimal> {
    (-1_000_000_000_000_000_i64..1_000_000_000_000_000, 0_u32..9)
        .prop_map(|(digits, scale)| Decimal::new(digits, scale))
}

/// Puts a comma between groups of three digits of the integer part.
fn group_thousands(digits: &str) -> String {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mut text = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if !fraction.is_empty() {
        text = format!("{text}.{fraction}");
    }
    text
}

/// Characters of a number in random order.
const NUMBER_LIKE: &str = "[ \u{a0}\u{2212}+-]{0,2}[0-9,.]{0,12}[0-9]{0,30}[%0-9eE_ ]{0,2}";

/// The digits of a text without leading zeros. Each character in `point` becomes a decimal point.
fn digits(text: &str, point: &[char]) -> String {
    let digits = text.chars().filter_map(|c| match c {
        _ if c.is_ascii_digit() => Some(c),
        _ if point.contains(&c) => Some('.'),
        _ => None,
    });
    let digits: String = digits.collect();
    let whole = digits.find('.').unwrap_or(digits.len());
    let zeros = digits[..whole].len() - digits[..whole].trim_start_matches('0').len();
    let digits = digits[zeros..].to_owned();
    if digits.starts_with('.') || digits.is_empty() {
        format!("0{digits}")
    } else {
        digits
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parses_every_spelling_of_a_number(
        value in decimal(),
        minus in select(&["-", "\u{2212}"][..]),
        plus in select(&["", "+"][..]),
        space in select(&["", " ", "\u{a0}", "\n\t"][..]),
    ) {
        let sign = if value.is_sign_negative() { minus } else { plus };
        let plain = value.abs().to_string();
        let grouped = group_thousands(&plain);
        for text in [&plain, &grouped] {
            let written = format!("{space}{sign}{text}{space}");
            prop_assert_eq!(number::parse(&written), Ok(value), "{:?}", written);
            let written = format!("{space}{sign}{text}%{space}");
            prop_assert_eq!(number::parse_percent(&written), Ok(value), "{:?}", written);
        }
        for text in [&plain, &plain.replace('.', ",")] {
            let written = format!("{space}{sign}{text}{space}");
            prop_assert_eq!(number::parse_decimal_comma(&written), Ok(value), "{:?}", written);
        }
    }

    /// No digit is lost, added or moved across the decimal point, and the sign is that of the text.
    #[test]
    fn a_parsed_number_keeps_its_digits_and_sign(
        text in prop_oneof![NUMBER_LIKE, "\\PC{0,20}", any::<String>()],
    ) {
        let is_negative = text.contains(['-', '\u{2212}']);
        for (parsed, point) in [
            (number::parse(&text), &['.'][..]),
            (number::parse_percent(&text), &['.']),
            (number::parse_decimal_comma(&text), &[',', '.']),
        ] {
            let Ok(value) = parsed else { continue };
            prop_assert_eq!(digits(&value.to_string(), &['.']), digits(&text, point), "{:?}", text);
            prop_assert!(value.is_zero() || value.is_sign_negative() == is_negative, "{:?}", text);
        }
    }
}

/// Parts of index and company pages, with markup that opens, closes, hides and quotes.
const PARTS: [&str; 56] = [
    "<table",
    "<table>",
    "</table>",
    "<thead>",
    "<tbody>",
    "<tr>",
    "</tr>",
    "<th>",
    "<th",
    "</th>",
    "<td>",
    "</td>",
    "1 Year",
    "Chart",
    "<a href=\"/stocks/mmm-stock\">",
    "<a href='/stocks/x-stock'",
    "</a>",
    "3M",
    "<span>",
    "<span",
    "</span>",
    "-9.27%",
    "5,221.56",
    "<div class=\"finando_paging\">",
    "<a href=\"?p=11\">",
    "<div",
    "<div>",
    "</div>",
    "<span class=\"price-section__label\">",
    "<span class=\"price-section__category\"><span>, MMM</span></span>",
    "<span class=\"price-section__current-value\">163.09</span>",
    "price-section__label",
    "price-section__category",
    "price-section__current-value",
    "snapshot__data-item",
    "snapshot__header",
    "<div class=\"snapshot__data-item\"> 9.95 <div class=\"snapshot__header\">P/E Ratio</div></div>",
    "<div class=\"snapshot__data-item\">",
    "<div class=\"snapshot__header\">",
    "52 Week Low",
    "52 Week High",
    "P/E Ratio",
    "{{low52weeksDisplay}}",
    "low52weeks: 114.04,",
    "<!--",
    "-->",
    "<script>",
    "</script>",
    "\"",
    "'",
    "=",
    ">",
    "<",
    "&amp;",
    " \n",
    "\u{a0}é",
];

/// Up to 60 random parts, cut short by up to a quarter.
fn parts() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        20 => select(&PARTS[..]).prop_map(|part| part.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..4),
    ];
    (vec(part, 0..60), any::<Index>()).prop_map(|(parts, end)| {
        let mut page = parts.concat();
        page.truncate(page.len() - end.index(page.len() / 4 + 1));
        page
    })
}

const ROW: &str = "<tr><td><a href=\"/stocks/mmm-stock\">3M</a></td><td><span>1</span><span>-9.27%</span></td></tr>";

/// A valid page with text inserted between its pieces. The text leaves no tag open: an unclosed `<b>`
/// affects elements far behind it, which only a parser of the whole page can know. The scan need not.
fn with_insertions(page: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let harmless = [
        "",
        " ",
        "\n",
        "x",
        "<br>",
        "<i>n</i>",
        "<!-- n -->",
        "<script>1 < 2</script>",
        "\"",
        "'",
        "&lt;",
        "é",
    ];
    vec(select(harmless.to_vec()), page.len()).prop_map(|insertions| {
        let pieces = page
            .iter()
            .zip(&insertions)
            .map(|(piece, after)| format!("{piece}{after}"));
        pieces.collect::<String>().into_bytes()
    })
}

const COMPANY: [&str; 12] = [
    "<html><body>",
    "<span class=\"price-section__label\">",
    "3M Co.",
    "</span>",
    "<span class=\"price-section__category\"><span>, MMM</span></span>",
    "<span class=\"price-section__current-value\">",
    "163.09",
    "</span>",
    "<div class=\"snapshot__data-item\"> -16.55 ",
    "<div class=\"snapshot__header\">P/E Ratio</div>",
    "</div>",
    "</body></html>",
];

const INDEX: [&str; 7] = [
    "<html><body>",
    "<table><tr><th>Name</th><th>1 Year</th></tr>",
    ROW,
    ROW,
    "</table>",
    "<div class=\"finando_paging\"><a href=\"?p=2\">2</a></div>",
    "</body></html>",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_page_is_parsed_or_rejected(page in prop_oneof![parts(), vec(any::<u8>(), 0..300)]) {
        for (company, index) in [
            (company::parse(&page), index::parse(&page)),
            (company::parse_whole(&page), index::parse_whole(&page)),
        ] {
            if let Ok(company) = company {
                prop_assert!(!company.code.is_empty() && !company.name.is_empty());
                prop_assert!(company.price.is_none_or(|price| price > Decimal::ZERO));
                prop_assert_eq!(company.low52.is_some(), company.high52.is_some());
            }
            if let Ok(index) = index {
                prop_assert!(!index.rows.is_empty());
                prop_assert!(index.rows.iter().all(|row| row.path.starts_with("/stocks/")));
            }
        }
        inspect::inspect(&page);
    }

    #[test]
    fn company_scan_matches_the_parser(page in with_insertions(&COMPANY)) {
        prop_assert_eq!(company::parse(&page), company::parse_whole(&page));
    }

    #[test]
    fn index_scan_matches_the_parser(page in with_insertions(&INDEX)) {
        prop_assert_eq!(index::parse(&page), index::parse_whole(&page));
    }

    #[test]
    fn scans_match_the_parser_on_truncated_pages(end in any::<Index>()) {
        let (company, index) = (COMPANY.concat(), INDEX.concat());
        let company = &company.as_bytes()[..end.index(company.len() + 1)];
        prop_assert_eq!(company::parse(company), company::parse_whole(company));
        let index = &index.as_bytes()[..end.index(index.len() + 1)];
        prop_assert_eq!(index::parse(index), index::parse_whole(index));
    }
}

const XML: [&str; 24] = [
    "<?xml version=\"1.0\" encoding=\"windows-1251\"?>",
    "<ValCurs Date=\"04.02.2022\" name=\"x\">",
    "<ValCurs>",
    "<ValCurs Date=\"99.99.9999\">",
    "</ValCurs>",
    "<Valute ID=\"R01235\">",
    "<Valute>",
    "</Valute>",
    "<CharCode>USD</CharCode>",
    "<CharCode>EUR</CharCode>",
    "<Nominal>1</Nominal>",
    "<Nominal>0</Nominal>",
    "<Value>76,6501</Value>",
    "<Value>-1</Value>",
    "<Value>79228162514264337593543950335</Value>",
    "<VunitRate>76,6501</VunitRate>",
    "<VunitRate>0,0000000000000000000000000001</VunitRate>",
    "Error in parameters",
    "<!-- x -->",
    "<![CDATA[",
    "]]>",
    "&lt;",
    "&x;",
    "<a><b/></a>",
];

/// Random parts of a rate file; half of them complete a valid file.
fn xml() -> impl Strategy<Value = String> {
    let dollar =
        "<Valute ID=\"R01235\"><CharCode>USD</CharCode><Nominal>1</Nominal><Value>76,6501</Value>";
    let part = prop_oneof![8 => select(&XML[..]).prop_map(str::to_owned), 1 => ".{0,4}"];
    (vec(part, 0..16), any::<bool>()).prop_map(move |(parts, is_valid)| {
        let parts = parts.concat();
        if is_valid {
            format!("<ValCurs Date=\"04.02.2022\">{dollar}{parts}</Valute></ValCurs>")
        } else {
            parts
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parsed_rates_are_positive_and_in_proportion(xml in prop_oneof![xml(), any::<String>()]) {
        let rates = rates::parse(&xml);
        for (currency, rate) in rates.iter().flat_map(|rates| rates.usable()) {
            prop_assert!(rate.value > Decimal::ZERO && rate.nominal > Decimal::ZERO, "{xml}");
            prop_assert!(rates::PER_UNIT.contains(&rate.per_unit()), "{xml}");
            let rates = rates.as_ref().unwrap();
            for (from, into) in [(currency, Currency::RUB), (Currency::RUB, currency)] {
                let _ = rates.conversion(from, into).unwrap().apply(Decimal::MAX);
            }
        }
    }

    #[test]
    fn decodes_any_bytes_in_any_charset(
        bytes in vec(any::<u8>(), 0..200),
        label in select(&["", "utf-8", "windows-1251", "utf-16le", "gb18030", "iso-2022-jp", "replacement", "\u{0}"][..]),
        declares in any::<bool>(),
    ) {
        let declaration = if declares { format!("<meta charset=\"{label}\">") } else { String::new() };
        let bytes = [declaration.as_bytes(), &bytes].concat();
        for charset in [None, Some(label)] {
            let text = decode::to_utf8(&bytes, charset);
            prop_assert!(text.len() <= 3 * bytes.len() + 3);
            decode::has_html_end(&text);
        }
    }
}

/// Up to eight pieces of a header or a fault plan in random order, some replaced by random text.
fn shuffled(pieces: &'static [&'static str]) -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => select(pieces).prop_map(str::to_owned),
        1 => "[ -~]{0,4}",
    ];
    vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

const DATE_PIECES: [&str; 18] = [
    "Sun, ",
    "Sunday, ",
    "06",
    "-Nov-",
    " Nov ",
    "94",
    "1994",
    " 08:49:37",
    " GMT",
    "99",
    "0",
    "-",
    "1",
    ":",
    " ",
    "18446744073709551615",
    "Feb",
    "31",
];
const SPEC_PIECES: [&str; 22] = [
    "503",
    "reset-body",
    "retry-after:",
    "stall:",
    "charset:",
    "@",
    "@20%",
    "@/stocks/",
    "*",
    "#1",
    "#2-3",
    "@=",
    "17",
    ",",
    "%",
    "-",
    "#",
    "1e400",
    "NaN",
    "inf",
    "0",
    "999999999999999999999",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_retry_after_pause_is_positive_or_absent(text in shuffled(&DATE_PIECES), date in shuffled(&DATE_PIECES)) {
        let mut headers = http::HeaderMap::new();
        for (name, text) in [("retry-after", text), ("date", date)] {
            if let Ok(value) = text.parse() {
                headers.insert(name, value);
            }
        }
        prop_assert_ne!(pauses::retry_after(&headers), Some(Duration::ZERO));
    }

    #[test]
    fn retry_after_seconds_are_used_unchanged(seconds in 1u64..) {
        let mut headers = http::HeaderMap::new();
        headers.insert("retry-after", seconds.to_string().parse().unwrap());
        prop_assert_eq!(pauses::retry_after(&headers), Some(Duration::from_secs(seconds)));
    }

    /// An error names the wrong part. A valid plan decides about every request.
    #[test]
    fn any_fault_plan_is_parsed_or_rejected(spec in shuffled(&SPEC_PIECES), seed in any::<u64>()) {
        match spec.parse::<Faults>() {
            Ok(faults) => {
                let plan = Plan::new(faults, seed);
                for path in ["/", "/stocks/a-stock", "/stocks/a-stock", ""] {
                    plan.next(path);
                }
            }
            Err(why) => prop_assert!(why.starts_with("fault \"") || why.contains("shares"), "{why}"),
        }
    }

    /// Of 1000 requests, the planned share fails, give or take 100.
    #[test]
    fn meets_the_shares_of_a_fault_plan(share in 0u32..=100, seed in any::<u64>()) {
        let plan = Plan::new(format!("503@{share}%").parse().unwrap(), seed);
        let failed = (0..1000).filter(|number| plan.next(&format!("/{number}")).is_some()).count();
        prop_assert!(failed.abs_diff(share as usize * 10) < 100, "{failed} of 1000 for {share} %");
    }
}
