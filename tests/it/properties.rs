//! What holds for every input. A case that failed stays as a test of its own beside its reader's.

use std::time::Duration;

use indexrank::http::page;
use indexrank::inspect;
use indexrank::replica::{Faults, Plan};
use indexrank::site::company;
use indexrank::site::index;
use indexrank::site::number;
use indexrank::site::rates;
use indexrank::source::retry;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use rust_decimal::Decimal;

/// Any figure that the site could show.
fn decimal() -> impl Strategy<Value = Decimal> {
    (-1_000_000_000_000_000_i64..1_000_000_000_000_000, 0_u32..9)
        .prop_map(|(digits, scale)| Decimal::new(digits, scale))
}

/// A comma between groups of three digits of the whole part.
fn grouped(digits: &str) -> String {
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

/// Digits and what may stand between them, in no order.
const FIGURE_LIKE: &str = "[ \u{a0}\u{2212}+-]{0,2}[0-9,.]{0,12}[0-9]{0,30}[%0-9eE_ ]{0,2}";

/// The digits of a text with the point between them, no zeros in front.
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
    fn a_figure_is_read_in_every_spelling_of_it(
        value in decimal(),
        minus in select(&["-", "\u{2212}"][..]),
        plus in select(&["", "+"][..]),
        space in select(&["", " ", "\u{a0}", "\n\t"][..]),
    ) {
        let sign = if value.is_sign_negative() { minus } else { plus };
        let plain = value.abs().to_string();
        let grouped = grouped(&plain);
        for text in [&plain, &grouped] {
            let written = format!("{space}{sign}{text}{space}");
            prop_assert_eq!(number::number(&written), Ok(value), "{:?}", written);
            let written = format!("{space}{sign}{text}%{space}");
            prop_assert_eq!(number::percent(&written), Ok(value), "{:?}", written);
        }
        for text in [&plain, &plain.replace('.', ",")] {
            let written = format!("{space}{sign}{text}{space}");
            prop_assert_eq!(number::decimal_comma(&written), Ok(value), "{:?}", written);
        }
    }

    /// No digit is lost, added or moved over the point, and the sign is the one that stands there.
    #[test]
    fn a_figure_that_is_read_is_what_stands_there(
        text in prop_oneof![FIGURE_LIKE, "\\PC{0,20}", any::<String>()],
    ) {
        let is_negative = text.contains(['-', '\u{2212}']);
        for (read, point) in [
            (number::number(&text), &['.'][..]),
            (number::percent(&text), &['.']),
            (number::decimal_comma(&text), &[',', '.']),
        ] {
            let Ok(value) = read else { continue };
            prop_assert_eq!(digits(&value.to_string(), &['.']), digits(&text, point), "{:?}", text);
            prop_assert!(value.is_zero() || value.is_sign_negative() == is_negative, "{:?}", text);
        }
    }
}

/// Parts of index and company pages, and what opens, closes, hides and quotes.
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

/// A page that is read, with parts put between its own. No other tags: what an open `<b>` does to
/// elements far behind it, only a parser of the whole page knows, and the cut need not.
fn nearly(page: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
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
    vec(select(harmless.to_vec()), page.len()).prop_map(|between| {
        let pieces = page
            .iter()
            .zip(&between)
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
    fn any_page_is_read_or_refused(page in prop_oneof![parts(), vec(any::<u8>(), 0..300)]) {
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
        inspect::see(&page);
    }

    #[test]
    fn the_cut_of_a_company_page_sees_what_the_whole_shows(page in nearly(&COMPANY)) {
        prop_assert_eq!(company::parse(&page), company::parse_whole(&page));
    }

    #[test]
    fn the_cut_of_an_index_page_sees_what_the_whole_shows(page in nearly(&INDEX)) {
        prop_assert_eq!(index::parse(&page), index::parse_whole(&page));
    }

    /// Cut off anywhere, a page is read alike in both ways too.
    #[test]
    fn a_page_that_is_cut_short(end in any::<Index>()) {
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

fn xml() -> impl Strategy<Value = String> {
    let dollar =
        "<Valute ID=\"R01235\"><CharCode>USD</CharCode><Nominal>1</Nominal><Value>76,6501</Value>";
    let part = prop_oneof![8 => select(&XML[..]).prop_map(str::to_owned), 1 => ".{0,4}"];
    (vec(part, 0..16), any::<bool>()).prop_map(move |(parts, is_whole)| {
        let parts = parts.concat();
        if is_whole {
            format!("<ValCurs Date=\"04.02.2022\">{dollar}{parts}</Valute></ValCurs>")
        } else {
            parts
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_rate_is_above_zero_or_there_is_none(xml in prop_oneof![xml(), any::<String>()]) {
        if let Ok(rate) = rates::parse(&xml) {
            prop_assert!(rate.value > Decimal::ZERO && rate.nominal > Decimal::ZERO, "{xml}");
            let _ = rate.roubles(Decimal::MAX);
        }
    }

    #[test]
    fn any_bytes_are_decoded_in_any_charset(
        bytes in vec(any::<u8>(), 0..200),
        label in select(&["", "utf-8", "windows-1251", "utf-16le", "gb18030", "iso-2022-jp", "replacement", "\u{0}"][..]),
        declares in any::<bool>(),
    ) {
        let declaration = if declares { format!("<meta charset=\"{label}\">") } else { String::new() };
        let bytes = [declaration.as_bytes(), &bytes].concat();
        for charset in [None, Some(label)] {
            let text = page::to_utf8(&bytes, charset);
            prop_assert!(text.len() <= 3 * bytes.len() + 3);
            page::has_its_end(&text);
        }
    }
}

/// Texts that are nearly what a header or a plan of faults has in it.
fn nearly_of(pieces: &'static [&'static str]) -> impl Strategy<Value = String> {
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
    fn a_pause_that_is_asked_for_is_above_zero_or_there_is_none(text in nearly_of(&DATE_PIECES), date in nearly_of(&DATE_PIECES)) {
        let mut headers = http::HeaderMap::new();
        for (name, text) in [("retry-after", text), ("date", date)] {
            if let Ok(value) = text.parse() {
                headers.insert(name, value);
            }
        }
        prop_assert_ne!(retry::asked_pause(&headers), Some(Duration::ZERO));
    }

    #[test]
    fn seconds_are_taken_as_they_are(seconds in 1u64..) {
        let mut headers = http::HeaderMap::new();
        headers.insert("retry-after", seconds.to_string().parse().unwrap());
        prop_assert_eq!(retry::asked_pause(&headers), Some(Duration::from_secs(seconds)));
    }

    /// A plan is read or refused with the part that is wrong; one that is read answers every request.
    #[test]
    fn any_plan_of_faults_is_read_or_refused(spec in nearly_of(&SPEC_PIECES), seed in any::<u64>()) {
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

    /// Shares are met: of a thousand requests about as many go wrong as the plan says.
    #[test]
    fn shares_of_faults_are_met(share in 0u32..=100, seed in any::<u64>()) {
        let plan = Plan::new(format!("503@{share}%").parse().unwrap(), seed);
        let wrong = (0..1000).filter(|number| plan.next(&format!("/{number}")).is_some()).count();
        prop_assert!(wrong.abs_diff(share as usize * 10) < 100, "{wrong} of 1000 for {share} %");
    }
}
