//! Parts that all HTML pages of a market share: head, navigation, news, footer, random figures.
//!
//! The pages have the structure, the size and the traps of the real site's pages of 2022. The text is
//! original.

use std::fmt::Write;

use fastrand::Rng;

use crate::site::number::group_thousands;
use crate::site::paths::LIVE_PAGES;

/// Appends a formatted line to a page.
macro_rules! push_line {
    ($page:expr, $($text:tt)*) => {{
        // Writing to a `String` cannot fail.
        let _ = writeln!($page, $($text)*);
    }};
}
pub(super) use push_line;

const WORDS: [&str; 64] = [
    "market",
    "share",
    "quarter",
    "growth",
    "revenue",
    "analyst",
    "outlook",
    "guidance",
    "margin",
    "dividend",
    "demand",
    "supply",
    "energy",
    "capital",
    "investor",
    "fund",
    "rally",
    "decline",
    "record",
    "estimate",
    "earnings",
    "forecast",
    "sector",
    "industry",
    "index",
    "volume",
    "trading",
    "session",
    "futures",
    "bond",
    "yield",
    "inflation",
    "rate",
    "policy",
    "central",
    "bank",
    "currency",
    "dollar",
    "rouble",
    "export",
    "import",
    "factory",
    "software",
    "chip",
    "cloud",
    "retail",
    "consumer",
    "travel",
    "airline",
    "pharma",
    "vaccine",
    "trial",
    "approval",
    "merger",
    "stake",
    "buyback",
    "debt",
    "credit",
    "rating",
    "upgrade",
    "target",
    "position",
    "portfolio",
    "strategy",
];

/// The random numbers of one page. They depend on the seed and the page's path alone.
pub(super) fn page_rng(seed: u64, path: &str) -> Rng {
    // FNV-1a, started with the market's seed.
    let seed = path.bytes().fold(seed, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    Rng::with_seed(seed)
}

pub(super) fn random_word(rng: &mut Rng) -> &'static str {
    WORDS[rng.usize(..WORDS.len())]
}

pub(super) fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

/// The head, with the site's own address for this page. `canonical` is its path.
pub(super) fn head(page: &mut String, title: &str, canonical: &str, rng: &mut Rng) {
    push_line!(
        page,
        "<!DOCTYPE html><html lang=\"en\"><head>\n<!-- Performance timing - Start -->\n<script data-load-strategy=\"domready\">"
    );
    for step in 0..60 {
        push_line!(
            page,
            "window.timings = window.timings || []; window.timings.push({{step: {step}, mark: \"{}-{}\", at: {}}});",
            random_word(rng),
            random_word(rng),
            rng.u32(..)
        );
    }
    push_line!(page, "</script>\n<!-- Performance timing - End -->");
    push_line!(
        page,
        "<meta charset=\"utf-8\">\n<title>{title} | Markets</title>\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
    );
    for rule in 0..90 {
        push_line!(
            page,
            "<style>.layout-{rule} .row > .col-{} {{ margin: {}px {}px; color: #{:06x}; }}</style>",
            rule % 12,
            rule % 7,
            rule % 5,
            rng.u32(..0x100_0000)
        );
    }
    push_line!(
        page,
        "<link rel=\"canonical\" href=\"{LIVE_PAGES}{}\" />\n</head>\n<body>",
        escaped(canonical)
    );
}

pub(super) fn navigation(page: &mut String) {
    push_line!(
        page,
        "<nav data-nav=\"\" data-e2e-name=\"l-nav\" data-track-page-area=\"Navigation\">\n<ul class=\"row verticals list-unstyled\">"
    );
    for (number, word) in WORDS.iter().cycle().take(220).enumerate() {
        push_line!(
            page,
            "            <li class=\"verticals-listitem\" data-vertical-label=\"{word}\">\n              \
            <a href=\"/news/{word}-{number}\" class=\"verticals-listitem-link headline-regular\" data-e2e-name=\"vertical-listitem-link\">\n                \
            <span class=\"verticals-listitem-label\"><svg class=\"svg-icon nav-icon\" role=\"img\" viewBox=\"0 0 12 12\"><path d=\"M{number} {}h8v{}H1z\"></path></svg>{word}</span>\n              </a>\n            </li>",
            number % 9,
            number % 11
        );
    }
    push_line!(page, "</ul>\n</nav>");
}

/// Appends news until the page has at least `length` bytes.
pub(super) fn pad_with_news(page: &mut String, length: usize, rng: &mut Rng) {
    while page.len() < length {
        let (month, day) = (rng.u8(1..13), rng.u8(1..29));
        let mut headline = capitalized(random_word(rng));
        for _ in 0..rng.u8(6..12) {
            headline = headline + " " + random_word(rng);
        }
        push_line!(
            page,
            "<div class=\"latest-news__story\">\n\t<time class=\"latest-news__date\" datetime=\"{month}/{day}/2022 10:00:00 AM\">{month}/{day}/2022</time>\n\
            \t<a class=\"latest-news__link\" href=\"/news/stocks/{}\" target=\"_blank\" data-analytics-module=\"news|{}\">{headline}</a>\n\t<span class=\"latest-news__source\">{}</span>",
            headline.replace(' ', "-").to_lowercase(),
            rng.u32(..),
            capitalized(random_word(rng))
        );
        push_line!(page, "\t<p class=\"note\">");
        for _ in 0..rng.u8(20..60) {
            // Writing to a `String` cannot fail.
            let _ = write!(page, "{} ", random_word(rng));
        }
        push_line!(
            page,
            "{}.</p>\n</div>\n\t\t\t\t\t\t\t\t\t<div class=\"spacer-50 mobile-spacer-25\"></div>",
            rng.u32(..10_000)
        );
    }
}

pub(super) fn footer(page: &mut String) {
    push_line!(page, "<footer class=\"l-footer\" data-e2e-name=\"footer\">");
    for word in WORDS {
        push_line!(
            page,
            "\t<a class=\"footer-link\" href=\"/about/{word}\" data-track-page-area=\"Footer\">{}</a>",
            capitalized(word)
        );
    }
    push_line!(page, "</footer>\n</body>\n</html>");
}

pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

/// An amount below `limit`, with two decimals and thousands separators.
pub(super) fn random_amount(rng: &mut Rng, limit: u32) -> String {
    group_thousands(&format!("{}.{:02}", rng.u32(..limit), rng.u8(..100)))
}

/// A change between -39.99 and 39.99, without the per cent sign.
pub(super) fn random_percent(rng: &mut Rng) -> String {
    format!(
        "{}{}.{:02}",
        if rng.bool() { "-" } else { "" },
        rng.u8(..40),
        rng.u8(..100)
    )
}
